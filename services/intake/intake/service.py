"""The nameko class of intake: wiring only; what it does stands in handlers.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from werkzeug.wrappers import Response

from chassis.incoming import Settled
from chassis.service import Service
from chassis.web import NDJSON, Answer, Request, Stream, answer, command, get, post
from intake import handlers, store
from intake.adapters import columns, files, sheet
from intake.domain import Client, ClientUnknown, NotASheet, Reads
from intake.schemas import (
    ClientShown,
    ClientsQuery,
    ClientSummary,
    ClientView,
    ImportShown,
    ProposalShown,
    ReadingShown,
    SummaryShown,
    TemplateQuery,
)

SHEETS = [Answer(media=sheet.XLSX), Answer(media=sheet.CSV)]


class Intake(Service):
    """Registers clients and keeps the person behind the reference."""

    name = "intake"
    handlers = handlers.on
    queries = store.Queries

    def reads(self) -> Reads:
        """The view of one batch."""
        return Reads(network=self.network)

    register = command("POST", "/v1/clients", name="register-client", roles={"coach", "system"})
    answer_proposals = command("POST", "/v1/clients/{id}/answers", name="answer", roles={"coach"})
    consent = command("POST", "/v1/clients/{id}/consent", name="change-consent", roles={"coach"})

    @post(
        "/v1/imports",
        roles={"coach"},
        limit=files.MAX_BYTES,
        body=sheet.XLSX,
        answers=[Answer(schema=ImportShown), *SHEETS],
    )
    def import_clients(self, request: Request) -> Any:
        """A coach's spreadsheet: every good row becomes a client, and the sheet comes back with reference or error."""
        try:
            found = sheet.read(request.body)
        except files.NotASheet as error:
            raise NotASheet(str(error), field="body") from None
        orders = [self.order("import-client", row.data, request, mark=str(row.number)) for row in found.rows]
        report = sheet.Report(found)
        for row, outcome in zip(found.rows, self.apply(orders), strict=True):
            if outcome.settled is Settled.CONFLICT:
                return answer(self.floor, "import-client", outcome)
            report.add(row, outcome, short=self._short(outcome.aggregate_id))
        if _wants_json(request):
            return report.json()
        return Response(report.sheet(), content_type=found.content_type)

    @get("/v1/imports/template", roles={"coach"}, query=TemplateQuery, answers=[Answer(media=sheet.XLSX)])
    def show_template(self, request: Request) -> Response:
        """An empty sheet with the headings in a language (``?language=``)."""
        headings = columns.template(request.query["language"])
        return Response(files.write_xlsx([headings]), content_type=sheet.XLSX)

    @get(
        "/v1/clients",
        roles={"coach"},
        query=ClientsQuery,
        answers=[Answer(schema=SummaryShown, many=True, media=NDJSON)],
    )
    def list_clients(self, request: Request) -> Stream:
        """Clients without the persons, one a line: all, a coach's (``?coach=``), or the one with ``?reference=``."""
        clients: Iterable[str] = self.store.ids(request.query.get("coach"))
        if typed := request.query.get("reference"):
            wanted = self.floor.read_reference(typed)
            clients = (client for client in clients if self._short(client) == wanted)
        return Stream(map(self._summary, clients))

    @get("/v1/clients/{id}", roles={"coach"}, personal=True, answers=[Answer(schema=ClientShown)])
    def show(self, request: Request) -> Mapping[str, Any]:
        """One client with the person."""
        client = request.path["id"]
        return {**self._summary(client), **ClientView().dump(self._client(client))}

    @get(
        "/v1/clients/{id}/proposals",
        roles={"coach"},
        personal=True,
        answers=[Answer(schema=ProposalShown, many=True)],
    )
    def show_proposals(self, request: Request) -> list[Mapping[str, Any]]:
        """Proposed skills, each with the client's own words that led to it."""
        client = self._client(request.path["id"])
        words = client.told_words
        return [
            {
                "skill": proposal.skill,
                "labels": proposal.labels,
                "score": proposal.score,
                "through": proposal.through,
                "words": [words[span.offset : span.offset + span.length] for span in proposal.evidence],
            }
            for proposal in client.proposals
        ]

    @get("/v1/clients/{id}/reads", roles={"coach"}, answers=[Answer(schema=ReadingShown, many=True)])
    def show_readings(self, request: Request) -> Sequence[Mapping[str, Any]]:
        """Who has read the person's data, when and why; the client may see this list."""
        return self.floor.readings(request.path["id"])

    def _client(self, client: str) -> Client:
        found: Client | None = self.state("client", client)
        if found is None:
            raise ClientUnknown("id: there is no such client here", field="id")
        return found

    def _summary(self, client: str) -> Mapping[str, Any]:
        shown: Mapping[str, Any] = ClientSummary().dump(self._client(client))
        return {"id": client, "reference": self._short(client), **shown}

    def _short(self, client: str | None) -> str | None:
        return self.floor.short_reference(client) if client else None


def _wants_json(request: Request) -> bool:
    accepted = request.headers.get("Accept", "*/*")
    return "application/json" in accepted or accepted == "*/*"
