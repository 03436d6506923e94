"""Two organisations' referral services on a real store, and one as a process with its HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from typing import Any

import httpx
import pytest
from referral_factories import ACHIEVED, OCCUPATION

from chassis import secrets, strictjson
from chassis.border import arrive
from chassis.decision import Classification
from chassis.incoming import Delivery, Due, Outcome, Settled
from chassis.outbox import Outbox
from chassis.testing_live import Place, Workshop, event, running
from chassis.topology import own_exchange, queue
from referral.domain import Contact, NotAllowed, Status
from referral.service import Referrals

CLIENT = "c.abcdefghijklmnopqrstuvwxyz"
PLAN = {
    "goal": {"occupation": OCCUPATION, "labels": {"fi": "sosiaaliohjaaja"}},
    "language": "fi",
    "confirmed": [{"skill": "http://data.europa.eu/esco/skill/1", "labels": {"fi": "asiakaspalvelu"}, "level": 3}],
    "planVersion": 1,
    "coach": "kunta-1",
}
MATCH = {
    "suggestions": [
        {"offering": "seamk.polku", "provider": "seamk", "names": {"fi": "Avoin polku"}},
        {"offering": "sedu.lahi", "provider": "sedu", "names": {"fi": "Lähihoitaja"}},
    ]
}


class Region:
    """The services of kunta and seamk, and the line between them."""

    def __init__(self, place: Place) -> None:
        # Everybody's public keys stand in one folder before anybody seals for another.
        for code in ("kunta", "seamk"):
            secrets.make(place.folder / code, place.folder / "keys", code)
        self.shops = {code: Workshop(Referrals, replace(place, organisation=code)) for code in ("kunta", "seamk")}
        self.mailboxes: dict[str, list[bytes]] = {}

    @property
    def kunta(self) -> Workshop:
        return self.shops["kunta"]

    @property
    def seamk(self) -> Workshop:
        return self.shops["seamk"]

    def carry(self) -> list[Settled]:
        """Relay every outbox until nothing waits; how everything settled."""
        settled: list[Settled] = []
        while waiting := [one for shop in self.shops.values() for one in _emptied(shop)]:
            for exchange, key, body, origin in waiting:
                settled += self._deliver(exchange, key, body, origin)
        return settled

    def _deliver(self, exchange: str, key: str, body: bytes, origin: str) -> list[Settled]:
        to = exchange.partition(".")[0] if origin else key.rpartition(".")[2]
        if to not in self.shops:
            self.mailboxes.setdefault(to, []).append(body)
            return []
        floor = self.shops[to].floor
        delivery = Delivery(
            body=body,
            routing_key=origin or key,
            queue=queue(to, "referral"),
            content_type="application/cloudevents+json; charset=utf-8",
            own=exchange == own_exchange(to),
        )
        return [outcome.settled for outcome in floor.transaction.apply([arrive(floor.home, delivery)])]

    def close(self) -> None:
        """Leave nothing of this test in the store."""
        for shop in self.shops.values():
            home = shop.floor.home
            for database in (home.database, home.keys):
                database.client.drop_database(database.name)
            shop.close()


def _emptied(shop: Workshop) -> list[tuple[str, str, bytes, str]]:
    outbox = Outbox(shop.floor.home.database)
    pages = outbox.pages(1000)
    outbox.remove(pages)
    return [(e.exchange, e.key, e.body, e.origin) for page in pages for e in page.entries]


@pytest.fixture
def region(offline_place: Place) -> Iterator[Region]:
    made = Region(offline_place)
    yield made
    made.close()


def refer(region: Region) -> str:
    """A referral from kunta to seamk that both know; its id."""
    region.kunta.take(
        event("plan.published", PLAN, subject=CLIENT, sequence=1),
        event("match.suggested", MATCH, subject=CLIENT, sequence=1),
    )
    body = {"client": CLIENT, "offering": "seamk.polku", "receiver": "seamk"}
    outcome = region.kunta.order("request", body, person="kunta-1")
    assert outcome.settled is Settled.APPLIED, outcome
    region.carry()
    return str(outcome.state.id)


def say(shop: Workshop, name: str, identifier: str, data: Any = None) -> Outcome:
    return shop.order(name, data, path={"sender": "kunta", "id": identifier}, person="seamk-1")


def both(region: Region, identifier: str) -> tuple[Any, Any]:
    key = f"kunta/{identifier}"
    return region.kunta.state("referral", key), region.seamk.state("referral", key)


def test_a_referral_goes_round_the_closed_loop(region: Region) -> None:
    identifier = refer(region)

    for order, data in (("accept", {}), ("start", {}), ("complete", {"outcomes": ACHIEVED})):
        assert say(region.seamk, order, identifier, data).settled is Settled.APPLIED
        region.carry()
    at_home, at_school = both(region, identifier)

    assert at_home.status is at_school.status is Status.COMPLETED
    assert at_home.receiver_staff == at_school.receiver_staff == "seamk-1"
    assert at_home.client == CLIENT
    assert at_school.client.startswith("r.")


def test_own_copies_leave_no_trace_in_the_history(region: Region) -> None:
    identifier = refer(region)

    say(region.seamk, "accept", identifier)
    region.carry()

    history = region.kunta.service.history("referral", f"kunta/{identifier}")
    assert [(entry["name"], entry["by"]) for entry in history] == [("request", "kunta"), ("referral.accepted", "seamk")]


def test_a_race_across_the_wire_ends_the_same_on_both_sides(region: Region) -> None:
    identifier = refer(region)

    say(region.kunta, "cancel", identifier, {"reason": "found-work"})
    say(region.seamk, "accept", identifier)
    settled = region.carry()
    at_home, at_school = both(region, identifier)

    assert at_home.status is at_school.status is Status.CANCELLED
    assert Settled.SUPERSEDED in settled
    assert Settled.PARKED not in settled


def test_a_rejected_referral_is_rerouted_and_both_stand_for_the_client(region: Region) -> None:
    identifier = refer(region)
    say(region.seamk, "reject", identifier, {"reason": "no-capacity"})
    region.carry()

    outcome = say(region.kunta, "reroute", identifier)
    region.carry()

    keys = list(region.kunta.service.store.keys({"client": CLIENT}))
    stands = [region.kunta.state("referral", key) for key in keys]
    assert [(one.receiver, one.status) for one in stands] == [
        ("seamk", Status.REJECTED),
        ("sedu", Status.REQUESTED),
    ]
    assert stands[1].id == outcome.state.rerouted_to
    assert list(region.kunta.service.store.keys({"client": CLIENT, "status": Status.REJECTED})) == keys[:1]
    assert [earlier.id for earlier in stands[1].based_on] == [identifier]
    assert len(region.mailboxes["sedu"]) == 1


def test_a_guest_answers_with_a_minimal_event(region: Region) -> None:
    identifier = refer(region)
    say(region.seamk, "reject", identifier, {"reason": "no-capacity"})
    region.carry()
    following = say(region.kunta, "reroute", identifier).state.rerouted_to
    region.carry()

    outcome = region.kunta.take(
        event("referral.accepted", {}, source="urn:viisikko:sedu:primus", subject=following, correlation="r.unknown")
    )[0]

    assert outcome.settled is Settled.APPLIED
    said = [(e["type"], e["destination"], e["correlationid"]) for e in region.kunta.sent()]
    assert said == [("fi.viisikko.referral.accepted.v1", "kunta", CLIENT)]


def test_a_disclosed_person_is_kept_encrypted(region: Region) -> None:
    identifier = refer(region)
    say(region.seamk, "accept", identifier)
    region.carry()
    disclosed = {"sender": "kunta", "referral": identifier, "given": "Aino", "family": "Virta", "language": "fi"}

    outcome = region.seamk.take(_sealed(region, disclosed))[0]

    assert outcome.settled is Settled.APPLIED
    assert both(region, identifier)[1].contact == Contact(given="Aino", family="Virta")
    stored = region.seamk.floor.home.database["referral"].find_one({"_id": f"kunta/{identifier}"})
    assert stored is not None
    assert b"Virta" not in bytes(stored["state"]["contact"])


def _sealed(region: Region, data: dict[str, Any]) -> Any:
    envelope = event(
        "client.disclosed", to="seamk", subject="r.pair", sequence=1, classification=Classification.PERSONAL
    )
    sealed = region.kunta.floor.home.keyring.seal(
        strictjson.dumps(data), "seamk", event_id=envelope.id, source=envelope.source, subject=envelope.subject
    )
    return replace(envelope, data=sealed)


def test_timers_wait_for_an_answer_and_go_with_it(region: Region) -> None:
    identifier = refer(region)
    documents = region.kunta.floor.home.database["referral"]
    key = f"kunta/{identifier}"
    stored = documents.find_one({"_id": key}, {"timers": 1})
    assert stored is not None
    assert set(stored["timers"]) == {"remind", "escalate", "expire"}

    say(region.seamk, "accept", identifier)
    region.carry()

    answered = documents.find_one({"_id": key}, {"timers": 1, "due": 1})
    assert answered is not None
    assert (answered["timers"], answered.get("due")) == ({}, None)


def test_an_expiry_is_told_to_both_sides(region: Region) -> None:
    identifier = refer(region)
    key = f"kunta/{identifier}"
    stored = region.kunta.floor.home.database["referral"].find_one({"_id": key}, {"timers": 1})
    assert stored is not None
    due = Due(aggregate="referral", id=key, name="expire", due=stored["timers"]["expire"].replace(tzinfo=UTC))

    region.kunta.floor.transaction.apply([due])
    region.carry()
    at_home, at_school = both(region, identifier)

    assert at_home.status is at_school.status is Status.CANCELLED
    assert at_home.reason == at_school.reason == "no-answer"
    assert at_home.next.provider == "sedu"
    assert at_school.next is None


def test_a_question_about_room_crosses_without_any_client(region: Region) -> None:
    asked = region.kunta.order("ask-capacity", {"offering": "seamk.polku", "receiver": "seamk"}, person="kunta-1")
    sent = region.kunta.sent()
    region.carry()
    asker, _, identifier = str(asked.aggregate_id).partition("/")

    say_room = {"answer": "waitlist", "date": "2027-03-01"}
    region.seamk.order("answer-capacity", say_room, path={"asker": asker, "id": identifier}, person="seamk-1")
    region.carry()

    assert "correlationid" not in sent[0]
    assert region.kunta.state("capacity", asked.aggregate_id).answer == "waitlist"


def test_a_refusal_says_which_rule(region: Region) -> None:
    identifier = refer(region)

    outcome = say(region.seamk, "start", identifier)

    assert outcome.settled is Settled.REFUSED
    assert isinstance(outcome.refusal, NotAllowed)
    assert str(outcome.refusal) == "status: requested does not lead to in-progress"


def test_over_http(place: Place) -> None:
    with running("referral", place) as process:
        token = place.token("coach", "counsellor")
        with httpx.Client(base_url=process.url, headers={"Authorization": f"Bearer {token}"}, timeout=20) as http:
            body = {"client": CLIENT, "offering": "seamk.polku", "receiver": "seamk"}
            no_plan = http.post("/v1/referrals", json=body, headers={"Idempotency-Key": "1"})
            asked = http.post(
                "/v1/capacity", json={"offering": "seamk.polku", "receiver": "seamk"}, headers={"Idempotency-Key": "2"}
            )
            question = http.get(f"/v1/capacity/{asked.json()['id']}")
            unknown = http.get("/v1/referrals/kunta/r-1")
            journey = http.get(f"/v1/journeys/{CLIENT}")
            listed = http.get("/v1/referrals", params={"status": "requested"})
            strange = http.get("/v1/referrals", params={"status": "lost"})

    assert (no_plan.status_code, no_plan.json()["type"]) == (409, "urn:viisikko:problem:plan-missing")
    assert asked.status_code == 201
    assert question.json()["receiver"] == "seamk"
    assert question.json()["answer"] is None
    assert unknown.status_code == journey.status_code == 404
    assert listed.json() == []
    assert (strange.status_code, strange.json()["errors"][0]["field"]) == (422, "status")
