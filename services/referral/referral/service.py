"""The nameko class of referral: wiring only; what it does stands in handlers.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chassis.projection import projection
from chassis.service import Service
from chassis.web import Answer, Request, command, get
from referral import handlers, store
from referral.domain import Made, QuestionUnknown, Reads, Referral, ReferralUnknown
from referral.schemas import (
    ContactView,
    Filters,
    JourneyShown,
    JourneyView,
    QuestionView,
    ReferralShown,
    ReferralView,
)

AT = "/v1/referrals/{sender}/{id}"


class Referrals(Service):
    """Carries a client from the sender to a school that takes them on."""

    name = "referral"
    handlers = handlers.on
    queries = store.Queries

    journeys = projection("journey", lambda _id, journey: journey)
    made = projection("referral", lambda _key, made: Made(client=made.client, receiver=made.receiver))

    def reads(self) -> Reads:
        """The view of one batch."""
        return Reads(network=self.network, journeys=self.journeys.view(), made=self.made.view())

    request = command("POST", "/v1/referrals", name="request", roles={"coach"})
    accept = command("POST", f"{AT}/accept", name="accept", roles={"counsellor"})
    reject = command("POST", f"{AT}/reject", name="reject", roles={"counsellor"})
    start = command("POST", f"{AT}/start", name="start", roles={"counsellor"})
    hold = command("POST", f"{AT}/hold", name="hold", roles={"counsellor"})
    resume = command("POST", f"{AT}/resume", name="resume", roles={"counsellor"})
    complete = command("POST", f"{AT}/complete", name="complete", roles={"counsellor"})
    fail = command("POST", f"{AT}/fail", name="fail", roles={"counsellor"})
    cancel = command("POST", f"{AT}/cancel", name="cancel", roles={"coach", "counsellor"})
    correct = command("POST", f"{AT}/correct", name="correct", roles={"coach"})
    progress = command("POST", f"{AT}/progress", name="progress", roles={"coach", "counsellor"})
    reroute = command("POST", f"{AT}/reroute", name="reroute", roles={"coach"})
    ask_capacity = command("POST", "/v1/capacity", name="ask-capacity", roles={"coach"})
    answer_capacity = command("POST", "/v1/capacity/{asker}/{id}/answer", name="answer-capacity", roles={"counsellor"})

    @get(
        "/v1/referrals",
        roles={"coach", "counsellor"},
        query=Filters,
        answers=[Answer(schema=ReferralView, many=True)],
    )
    def list_referrals(self, request: Request) -> list[Mapping[str, Any]]:
        """Referrals, of a client (``?client=``) or in a state (``?status=``)."""
        return [self._shown(key) for key in self.store.keys(request.query)]

    @get(AT, roles={"coach", "counsellor"}, answers=[Answer(schema=ReferralShown)])
    def show(self, request: Request) -> Mapping[str, Any]:
        """One referral with its history."""
        key = f"{request.path['sender']}/{request.path['id']}"
        return {**self._shown(key), "history": self.history("referral", key)}

    @get(f"{AT}/contact", roles={"counsellor"}, personal=True, answers=[Answer(schema=ContactView)])
    def show_contact(self, request: Request) -> Mapping[str, Any]:
        """The person behind an accepted referral."""
        referral = self._referral(f"{request.path['sender']}/{request.path['id']}")
        if referral.contact is None:
            raise ReferralUnknown("contact: nobody is disclosed for this referral", field="contact")
        shown: Mapping[str, Any] = ContactView().dump(referral.contact)
        return shown

    @get("/v1/journeys/{client}", roles={"coach"}, answers=[Answer(schema=JourneyShown)])
    def show_journey(self, request: Request) -> Mapping[str, Any]:
        """A client's plan in short, what was suggested, and all referrals."""
        client = request.path["client"]
        journey = self.journeys.view().get(client)
        if journey is None:
            raise ReferralUnknown("client: has no plan and no suggestions yet", field="client")
        made = [self._shown(key) for key in self.store.keys({"client": client})]
        return {**JourneyView().dump(journey), "referrals": made}

    @get("/v1/capacity/{asker}/{id}", roles={"coach", "counsellor"}, answers=[Answer(schema=QuestionView)])
    def show_capacity(self, request: Request) -> Mapping[str, Any]:
        """A question about capacity, and its answer."""
        question = self.state("capacity", f"{request.path['asker']}/{request.path['id']}")
        if question is None:
            raise QuestionUnknown("id: there is no such question here", field="id")
        shown: Mapping[str, Any] = QuestionView().dump(question)
        return shown

    def _referral(self, key: str) -> Referral:
        found: Referral | None = self.state("referral", key)
        if found is None:
            raise ReferralUnknown("id: there is no such referral here", field="id")
        return found

    def _shown(self, key: str) -> Mapping[str, Any]:
        shown: Mapping[str, Any] = ReferralView().dump(self._referral(key))
        return shown
