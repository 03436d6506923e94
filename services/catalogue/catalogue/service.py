"""The nameko class of catalogue: wiring only; what it does stands in handlers.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from catalogue import adapters, handlers, store
from catalogue.domain import OfferingUnknown, Reads
from catalogue.events import OfferingPublished, OfferingShown
from catalogue.imports import Change, Comparison, Verb
from catalogue.index import OfferingIndex
from catalogue.plans import PlanUnknown
from catalogue.schemas import ImportQuery, ImportShown, MatchQuery, MatchShown, MatchView, OfferingLine, OfferingsQuery
from catalogue.wording import worded
from chassis import states
from chassis.incoming import Order, Outcome, Settled
from chassis.projection import projection
from chassis.service import PAGE, Service
from chassis.web import NDJSON, Answer, Request, Stream, command, get, post

IMPORT_BYTES = 50 * 2**20
"""An import's body at the most; spreadsheets have a lower limit of their own."""


class Catalogue(Service):
    """Keeps the whole network's offerings, says the own ones, and matches plans."""

    name = "catalogue"
    handlers = handlers.on
    queries = store.Queries

    offerings = projection("offering", lambda _id, kept: kept.offering, index=OfferingIndex)

    def reads(self) -> Reads:
        """The view of one batch."""
        return Reads(network=self.network, offerings=self.offerings.view())

    match_again = command("POST", "/v1/matches/{client}", name="match-again", roles={"coach"})

    @post(
        "/v1/imports",
        roles={"operator", "system"},
        limit=IMPORT_BYTES,
        query=ImportQuery,
        body="application/octet-stream",
        answers=[Answer(schema=ImportShown)],
    )
    def import_offerings(self, request: Request) -> Mapping[str, Any]:
        """An import of the own offerings (``?form=``): only what changed is said, what is gone is withdrawn."""
        items = adapters.offerings(request.query["form"], request.body, self.organisation, request.at)
        comparison = Comparison(known=self.offerings.view().known(self.organisation))
        changes = comparison.changes(items)
        counts = dict.fromkeys(Verb, 0)
        while page := list(islice(changes, PAGE)):
            outcomes = self.apply([self._order(change, request) for change in page])
            for change, outcome in zip(page, outcomes, strict=True):
                if _made(change, outcome, comparison):
                    counts[change.verb] += 1
        return comparison.report(counts)

    @get(
        "/v1/offerings",
        query=OfferingsQuery,
        answers=[Answer(schema=OfferingLine, many=True, media=NDJSON)],
    )
    def list_offerings(self, request: Request) -> Stream:
        """All offerings, a line each; ``?provider=`` picks one provider, ``?withdrawn=true`` adds withdrawn ones."""
        withdrawn = request.query["withdrawn"]
        return Stream(self._lines(self.store.offerings(request.query.get("provider"), withdrawn=withdrawn)))

    @get("/v1/offerings/{id}", answers=[Answer(schema=OfferingShown)])
    def show_offering(self, request: Request) -> Mapping[str, Any]:
        """One offering."""
        kept = self.state("offering", request.path["id"])
        if kept is None:
            raise OfferingUnknown("id: no such offering is known", field="id")
        return {"id": request.path["id"], **OfferingPublished().dump(kept.offering)}

    @get("/v1/matches/{client}", roles={"coach"}, query=MatchQuery, answers=[Answer(schema=MatchShown)])
    def show_match(self, request: Request) -> Mapping[str, Any]:
        """What fits a client's plan, with the reasons worded in the client's language or in ``?language=``."""
        found = self.state("match", request.path["client"])
        if found is None:
            raise PlanUnknown("client: has no plan here yet", field="client")
        language = request.query.get("language", found.plan.language)
        shown: dict[str, Any] = MatchView().dump(found)
        for suggestion, made in zip(shown["suggestions"], found.answer.suggestions, strict=True):
            suggestion["because"] = [worded(reason, language) for reason in made.reasons]
        return {"client": request.path["client"], "language": language, **shown}

    def _order(self, change: Change, request: Request) -> Order:
        if change.offering is None:
            return self.order("withdraw-offering", {"offering": change.id}, request, change.id)
        return self.order("keep-offering", OfferingPublished().dump(change.offering), request, change.id)

    def _lines(self, documents: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        aggregate = self.handlers.aggregates["offering"]
        schema = OfferingPublished()
        for document in documents:
            kept = states.load(aggregate, document["state"], document["schema"], None)
            sequence, time = store.heard(document)
            yield {
                "source": kept.source,
                "subject": document["_id"],
                "sequence": sequence,
                "time": time.isoformat(),
                "data": schema.dump(kept.offering),
            }


def _made(change: Change, outcome: Outcome, comparison: Comparison) -> bool:
    """Whether a change was made; what the rules refuse after all is reported with the other refusals."""
    if outcome.settled is Settled.REFUSED:
        rule = outcome.refusal.rule if outcome.refusal else "schema"
        text = str(outcome.refusal) if outcome.refusal else "breaks the schema of an offering"
        comparison.refuse(change, rule, text)
    return outcome.settled is Settled.APPLIED
