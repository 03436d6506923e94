"""The nameko class of catalogue: wiring only; what it does stands in handlers.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import eventlet

from catalogue import adapters, handlers, store
from catalogue.adapters.copy import Copy, CopyAway, CopyWrong, arrived
from catalogue.beginning import Beginning, Known, Line
from catalogue.domain import OfferingUnknown, Reads
from catalogue.events import OfferingPublished, OfferingShown
from catalogue.imports import Change, Comparison, Verb
from catalogue.index import OfferingIndex
from catalogue.plans import PlanUnknown
from catalogue.schemas import ImportQuery, ImportShown, MatchQuery, MatchShown, MatchView, OfferingLine, OfferingsQuery
from catalogue.wording import worded
from chassis import states
from chassis.amqp import Weather
from chassis.incoming import Order, Outcome, Settled
from chassis.logs import log
from chassis.projection import projection
from chassis.service import PAGE, Service
from chassis.settings import Wrong, optional_path, optional_uri, positive, setting
from chassis.web import NDJSON, Answer, Request, Stream, command, get, post

IMPORT_BYTES = 50 * 2**20
"""An import's body at the most; spreadsheets have a lower limit of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of catalogue besides the chassis's.

    Attributes:
        copy: Address of another organisation's catalogue that is read at the beginning, or None.
        copy_token: File with a token for it.
        copy_hours: How long this copy may have stood still before it reads the other one again.
        copy_seconds: How often one that is away is asked again, and that this one follows events is remembered.
    """

    copy: str | None = setting("VIISIKKO_CATALOGUE_COPY", optional_uri("http", "https"), default=None)
    copy_token: Path | None = setting(  # noqa: RUF009 - it makes a field
        "VIISIKKO_CATALOGUE_COPY_TOKEN_FILE", optional_path, default=None
    )
    copy_hours: float = setting("VIISIKKO_CATALOGUE_COPY_HOURS", positive, default=1.0)
    copy_seconds: float = setting("VIISIKKO_CATALOGUE_COPY_SECONDS", positive, default=60.0)

    def __post_init__(self) -> None:
        """See that the address comes with a token."""
        if self.copy and self.copy_token is None:
            raise Wrong("VIISIKKO_CATALOGUE_COPY_TOKEN_FILE is missing: name a file with a token for the copy")


class Catalogue(Service):
    """Keeps the whole network's offerings, says the own ones, and matches plans."""

    name = "catalogue"
    handlers = handlers.on
    queries = store.Queries
    settings = Settings

    offerings = projection("offering", lambda _id, kept: kept.offering, index=OfferingIndex)

    def reads(self) -> Reads:
        """The view of one batch."""
        return Reads(network=self.network, offerings=self.offerings.view())

    def opened(self) -> None:
        """Read another copy first, where one is named and this one is new, restored or was long away; then follow."""
        if self.own_settings.copy:
            away = Weather("copy")
            self._begin(away)
            eventlet.spawn(self._stay_begun, away)

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
        """All offerings in the order of their ids, a line each.

        ``?provider=`` picks one provider, ``?withdrawn=true`` adds withdrawn ones, ``?after=`` goes on after an id.
        """
        query = request.query
        found = self.store.offerings(query.get("provider"), withdrawn=query["withdrawn"], after=query.get("after"))
        return Stream(self._lines(found))

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

    @property
    def _beginning(self) -> Beginning:
        own = self.own_settings
        return Beginning(
            copy=Copy(own.copy, own.copy_token, self.floor.home.settings.tls_authority),
            notes=self.store,
            known=self._known,
            take=self._take,
            longest=timedelta(hours=own.copy_hours),
        )

    def _stay_begun(self, away: Weather) -> None:
        while True:
            eventlet.sleep(self.own_settings.copy_seconds)
            # The store may be away at any moment; what is to be done then is to be done later.
            try:
                self._begin(away)
            except Exception as error:  # noqa: BLE001 - a green thread that dies would never ask again
                log.warning("copy.later", error=error)

    def _begin(self, away: Weather) -> None:
        """Read the other copy where that is due; where it is away, this one goes on alone and asks again later."""
        now = self.clock.now()
        try:
            if self._beginning.is_due(now):
                report = self._beginning.read(now)
                log.info("copy.read", lines=report.read, taken=report.taken, refused=report.refused)
            self.store.note_beginning(alive=now)
        except (CopyAway, CopyWrong) as error:
            if not away.away:
                log.warning("copy.alone", why=str(error))
            away.gone(error)
        else:
            away.back()

    def _known(self, ids: Sequence[str]) -> Known:
        own = self.floor.home.source
        return {d["_id"]: (d["state"]["source"], *store.heard(d, own)) for d in self.store.some(ids)}

    def _take(self, lines: Sequence[Line]) -> None:
        self.apply([arrived(line) for line in lines])

    def _order(self, change: Change, request: Request) -> Order:
        if change.offering is None:
            return self.order("withdraw-offering", {"offering": change.id}, request, change.id)
        return self.order("keep-offering", OfferingPublished().dump(change.offering), request, change.id)

    def _lines(self, documents: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        aggregate = self.handlers.aggregates["offering"]
        schema = OfferingPublished()
        for document in documents:
            kept = states.load(aggregate, document["state"], document["schema"], None)
            sequence, time = store.heard(document, self.floor.home.source)
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
