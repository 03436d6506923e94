"""Nothing personal is in what operators see: logs, metrics and spans of a real flow, good and bad input in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from collector import Collector, collecting
from process import keyed

from chassis import secrets, strictjson
from chassis.crypto import KeyRing
from chassis.decision import Classification
from chassis.profile import Envelope
from chassis.testing_live import Place, Publisher, Running, event, eventually, running
from console.nodes.mail import MailSink

SYSTEM = "urn:viisikko:sedu:case"
COACH = {"name": "Kaisa Koutsi", "email": "kaisa.koutsi@kunta.example", "duties": ["clients"]}
CLIENT: Mapping[str, Any] = {
    "caseNumber": "ASIAKAS-17",
    "given": "Aino-Kyllikki",
    "family": "Esimerkkinen",
    "email": "aino@esimerkki.example",
    "phone": "+358 40 123 4567",
    "address": "Kuusikuja 7 B",
    "language": "fi",
    "municipality": "743",
    "words": "Olen hitsannut telakalla ja hoitanut isovanhempiani.",
    "priorLearning": "Keskeytin merkonomin opinnot Kauhavalla.",
    "consent": {"scope": ["assessment", "referral", "disclosure"], "given": "2026-11-01"},
    "coach": "kunta-12",
}
IDENTITY_CODE = "131052-308T"
PERSONAL = (
    "ASIAKAS-17",
    "Aino",
    "Kyllikki",
    "Esimerkkinen",
    "esimerkki.example",
    "123 4567",
    "1234567",
    "Kuusikuja",
    "hitsannut",
    "telakalla",
    "isovanhempiani",
    "merkonomin",
    "Kauhavalla",
    "Kaisa",
    "Koutsi",
    "kunta.example",
    "131052",
)


@dataclass(frozen=True)
class Watched:
    """Three services whose logs, metrics and spans are looked through."""

    place: Place
    intake: Running
    notify: Running
    publisher: Publisher
    mail: MailSink
    collector: Collector
    services: tuple[Running, ...]

    def call(self, service: Running, method: str, path: str, body: Any = None, **params: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.place.token()}", **keyed()}
        return httpx.request(method, service.url + path, json=body, params=params, headers=headers, timeout=30)

    def seen(self) -> dict[str, bytes]:
        """Everything that an operator sees, by where."""
        metrics = {f"metrics {one.url}": httpx.get(f"{one.url}/metrics").content for one in self.services}
        logs = {one.log.name: one.log.read_bytes() for one in self.services}
        return metrics | logs | {"spans": b"\n".join(self.collector.bodies)}


@pytest.fixture
def watched(place: Place, tmp_path: Path) -> Iterator[Watched]:
    secrets.make(place.folder / "seamk", place.folder / "keys", "seamk")
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        mail = MailSink(tmp_path / "mail")
        mail.start()
        stack.callback(mail.stop)
        more = {
            "VIISIKKO_LOG_LEVEL": "debug",
            "VIISIKKO_SMTP_URI": mail.uri,
            "VIISIKKO_MAIL_FROM": "viisikko@kunta.fi",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        here = replace(place, more=more)
        intake, assessment, notify = (stack.enter_context(running(n, here)) for n in ("intake", "assessment", "notify"))
        publisher = Publisher(place.amqp)
        stack.callback(publisher.close)
        yield Watched(here, intake, notify, publisher, mail, collector, (intake, assessment, notify))


def test_nothing_personal_is_in_logs_metrics_and_spans(watched: Watched) -> None:
    _the_coach_stands_in_the_directory(watched)
    client = _a_client_comes_and_the_coach_hears_of_it(watched)
    _a_school_gets_the_contact(watched, client)
    _somebody_sends_what_is_wrong(watched)
    _the_mail_server_goes_away(watched)

    seen = watched.seen()
    found = [(where, value) for where, text in seen.items() for value in PERSONAL if value.encode() in text]

    assert found == []
    # It was really looked at: who moved and what was refused is told, by ids.
    told = b"\n".join(seen.values())
    assert all(word in told for word in (client.encode(), b"message.parked", b"process words.given", b"effect mail"))
    assert {span.service for span in watched.collector.spans()} == {"intake", "assessment", "notify"}
    one_trace = {
        s.trace for s in watched.collector.spans() if s.attributes.get("viisikko.aggregate", "").endswith(client)
    }
    assert len({s.service for s in watched.collector.spans() if s.trace in one_trace}) == 3


def _the_coach_stands_in_the_directory(watched: Watched) -> None:
    assert watched.call(watched.notify, "PUT", "/v1/staff/kunta-12", COACH).status_code == 201
    misspelt = watched.call(watched.notify, "PUT", "/v1/staff/kunta-13", {**COACH, "Kaisa": "Koutsi"})
    assert misspelt.status_code == 422


def _a_client_comes_and_the_coach_hears_of_it(watched: Watched) -> str:
    answer = watched.call(watched.intake, "POST", "/v1/clients", dict(CLIENT))
    assert answer.status_code == 201
    client: str = answer.json()["id"]
    assert len(eventually(watched.mail.mails, seconds=40, what="the coach's mail")) >= 1
    shown = watched.call(watched.intake, "GET", f"/v1/clients/{client}", why="Aino Esimerkkinen tapaaminen")
    assert shown.json()["given"] == CLIENT["given"]
    return client


def _a_school_gets_the_contact(watched: Watched, client: str) -> None:
    accepted = {"sender": "kunta", "receiver": "seamk"}
    source = "urn:viisikko:kunta:referral"
    watched.publisher.send(event("referral.accepted", accepted, source=source, subject="ref-1", correlation=client))
    eventually(lambda: watched.collector.named("publish client.disclosed"), what="the contact on its way")


def _somebody_sends_what_is_wrong(watched: Watched) -> None:
    send = watched.publisher
    send.raw(b"Aino-Kyllikki Esimerkkinen, Kuusikuja 7", "client.referred.sedu.kunta")
    send.send(event("client.referred", dict(CLIENT), source=SYSTEM))
    for wrong in ({"email": "Kaisa Koutsi"}, {"language": "hitsannut"}, {"words": f"Tunnukseni on {IDENTITY_CODE}."}):
        send.send(_referred(watched.place, {**CLIENT, **wrong}))
    for body in ({**CLIENT, "Esimerkkinen": 1}, {**CLIENT, "phone": [CLIENT["phone"]]}, {"given": "Aino"}):
        assert watched.call(watched.intake, "POST", "/v1/clients", body).status_code == 422
    assert watched.call(watched.intake, "GET", "/v1/clients/Aino Esimerkkinen", why="?").status_code == 404
    assert watched.call(watched.intake, "GET", "/v1/Kuusikuja").status_code == 404
    assert watched.call(watched.intake, "POST", f"/v1/clients/{IDENTITY_CODE}/consent", {}).status_code == 422
    log = watched.intake.log
    eventually(lambda: log.read_text().count("message.parked") >= 4, what="the parked messages")


def _the_mail_server_goes_away(watched: Watched) -> None:
    watched.mail.stop()
    watched.publisher.send(_refused())
    technical = watched.call(watched.notify, "PUT", "/v1/staff/kunta-tuki", {**COACH, "duties": ["technical"]})
    assert technical.status_code == 201
    watched.publisher.send(_refused())
    eventually(lambda: "mail.away" in watched.notify.log.read_text(), what="the mail server's absence")


def _refused() -> Envelope:
    """An own event that seamk could not take; the technical contact hears of it by mail."""
    data = {"event": "1", "type": "client.disclosed", "reason": "schema", "error": "data: is wrong", "count": 1}
    return event(
        "event.refused", data, source="urn:viisikko:seamk:referral", classification=Classification.PUBLIC, subject="p-1"
    )


def _referred(place: Place, data: Mapping[str, Any]) -> Envelope:
    identifier = str(uuid.uuid4())
    keyring = KeyRing(place.folder / "kunta" / "keys.json", place.folder / "keys")
    sealed = keyring.seal(strictjson.dumps(data), "kunta", event_id=identifier, source=SYSTEM, subject="17")
    return event(
        "client.referred",
        sealed,
        source=SYSTEM,
        subject="17",
        identifier=identifier,
        classification=Classification.PERSONAL,
    )


def test_the_search_would_find_what_a_log_escapes() -> None:
    assert all(json.dumps(value) == f'"{value}"' for value in PERSONAL)
