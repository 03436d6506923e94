"""The catalogue on a real store, and as a process on a real broker: imports, other providers' events, matches."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import kombu
import pytest
from catalogue_examples import WELDING, offering, wire

from catalogue import adapters
from catalogue.schemas import ImportQuery
from catalogue.service import Catalogue
from chassis import profile
from chassis.decision import Classification
from chassis.incoming import Settled
from chassis.testing_live import Place, Running, Workshop, event, eventually, running
from chassis.topology import EVENTS

SHEET = "Tunnus;Nimi;Kunta;Jatkuva ilmoittautuminen;Taidot\r\n"
ROWS = f"1;Hitsaus;Seinäjoki;kyllä;{WELDING}\r\n2;Kahvila;Seinäjoki;kyllä;\r\n"


@pytest.fixture
def workshop(offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Catalogue, offline_place)
    yield made
    made.close()


def said(name: str = "offering.published", code: str = "sedu", number: int = 1, **fields: Any) -> Any:
    return event(
        name,
        wire(offering(provider=code)) | {"provider": code} | fields,
        source=f"urn:viisikko:{code}:console",
        to="all",
        subject=f"{code}.{number}",
        classification=Classification.PUBLIC,
    )


def plan(**fields: Any) -> Any:
    data = {
        "home": "kunta",
        "gaps": [{"skill": WELDING, "labels": {"fi": "hitsaus"}, "weight": 1.0}],
        "municipality": "743",
        "language": "fi",
        "planVersion": 1,
        "coach": "kunta-1",
    }
    return event("plan.published", data | fields, subject="c.client", source="urn:viisikko:kunta:assessment")


def test_offerings_of_others_are_kept_and_matched(workshop: Workshop) -> None:
    taken = workshop.take(said(), said(code="opisto"), said(code="seamk", number=7, withdrawn=True))
    workshop.take(plan())

    assert {outcome.settled for outcome in taken} == {Settled.APPLIED}
    (suggested,) = workshop.sent()
    assert suggested["type"] == "fi.viisikko.match.suggested.v1"
    assert {s["offering"] for s in suggested["data"]["suggestions"]} == {"sedu.1", "opisto.1"}
    assert workshop.state("match", "c.client").answer.path


def test_an_older_event_of_a_guest_does_not_undo_a_newer_one(workshop: Workshop) -> None:
    newer, older = said("offering.changed", capacity=3), said(capacity=9)
    older = replace(older, time=newer.time.replace(year=newer.time.year - 1, month=newer.time.month))
    older = replace(older, time=newer.time.fromtimestamp(newer.time.timestamp() - 3600, newer.time.tzinfo))

    workshop.take(newer)
    (late,) = workshop.take(older)

    assert late.settled is Settled.SUPERSEDED
    assert workshop.state("offering", "sedu.1").offering.capacity == 3


def test_what_another_says_of_an_offering_is_parked(workshop: Workshop) -> None:
    forged = replace(said(), source="urn:viisikko:seamk:catalogue", organisation="seamk")

    (outcome,) = workshop.take(forged)

    assert outcome.settled is Settled.PARKED
    assert workshop.state("offering", "sedu.1") is None


def test_what_holds_html_is_kept_by_no_copy(workshop: Workshop) -> None:
    (outcome,) = workshop.take(said(names={"fi": "<b>x</b><script>"}))

    assert outcome.settled is Settled.PARKED
    assert workshop.state("offering", "sedu.1") is None


def test_the_own_event_that_comes_back_changes_nothing(workshop: Workshop) -> None:
    data = wire(offering(provider="kunta"))
    workshop.order("keep-offering", data)
    workshop.order("keep-offering", data | {"capacity": 4})
    first = workshop.sent()[0]

    (back,) = workshop.take(
        event(
            "offering.published",
            first["data"],
            source=first["source"],
            to="all",
            subject=first["subject"],
            sequence=1,
            classification=Classification.PUBLIC,
        )
    )

    assert back.settled is Settled.IGNORED
    assert workshop.state("offering", "kunta.1").offering.capacity == 4


def test_the_stored_offering_is_what_was_said(workshop: Workshop) -> None:
    made = offering(price=None, keywords={"fi": ("tulityö",)})

    workshop.take(said(**wire(made)))

    assert workshop.state("offering", "sedu.1").offering == made


@pytest.fixture
def catalogue(place: Place) -> Iterator[Running]:
    with running("catalogue", place) as process:
        yield process


class Client:
    """A partner's program: HTTP with a token, and events with confirms."""

    def __init__(self, process: Running) -> None:
        headers = {"Authorization": f"Bearer {process.place.token()}"}
        self.http = httpx.Client(base_url=process.url, headers=headers, timeout=30)
        self._amqp = process.place.amqp

    def post(self, url: str, body: bytes = b"", **query: str) -> httpx.Response:
        return self.http.post(url, content=body, params=query, headers={"Idempotency-Key": str(uuid.uuid4())})

    def lines(self, **query: str) -> list[dict[str, Any]]:
        answer = self.http.get("/v1/offerings", params=query)
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in answer.text.splitlines()]

    def publish(self, *envelopes: Any) -> None:
        with kombu.Connection(self._amqp, transport_options={"confirm_publish": True}) as connection:
            producer = kombu.Producer(connection.channel(), auto_declare=False)
            for one in envelopes:
                producer.publish(
                    profile.compose(one),
                    exchange=EVENTS,
                    routing_key=one.routing_key,
                    content_type=profile.CONTENT_TYPE,
                    content_encoding="binary",
                )


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in report.items() if isinstance(value, int) and value}


def test_an_import_says_what_changed_and_nothing_twice(catalogue: Running) -> None:
    client = Client(catalogue)

    first = client.post("/v1/imports", (SHEET + ROWS + "3;;;;\r\n").encode(), form="csv").json()
    # What it says to all comes back to it as well, which moves an offering's version on.
    heard = 'viisikko_settled_total{how="ignored"} 2.0'
    eventually(lambda: heard in client.http.get("/metrics").text, what="its own words")
    again = client.post("/v1/imports", (SHEET + ROWS).encode(), form="csv").json()
    less = client.post("/v1/imports", (SHEET + ROWS.splitlines()[0]).encode(), form="csv").json()
    empty = client.post("/v1/imports", SHEET.encode(), form="csv")

    assert counts(first) == {"rows": 3, "published": 2}
    assert [(r["row"], r["rule"]) for r in first["refused"]] == [(4, "name-required")]
    assert counts(again) == {"rows": 2, "unchanged": 2}
    assert counts(less) == {"rows": 1, "unchanged": 1, "withdrawn": 1}
    assert (empty.status_code, empty.json()["detail"]) == (
        422,
        "body: holds no offering at all; nothing was imported",
    )
    assert [line["subject"] for line in client.lines()] == ["kunta.1"]
    assert [line["sequence"] for line in client.lines(withdrawn="true")] == [1, 3]


def test_every_form_that_is_read_can_be_asked_for_and_no_other() -> None:
    (offered,) = ImportQuery().fields["form"].validators

    assert set(offered.choices) == set(adapters.FORMS)


def test_offerings_of_guests_are_listed_and_matched_again(catalogue: Running) -> None:
    client = Client(catalogue)
    client.publish(plan())
    found = eventually(
        lambda: (
            client.http.get("/v1/matches/c.client").json() if client.http.get("/v1/matches/c.client").is_success else 0
        ),
        what="the match",
    )
    assert found["uncovered"] == [WELDING]

    client.publish(said(), said(code="opisto"))
    eventually(lambda: len(client.lines()) == 2, what="both offerings")
    made = client.post("/v1/matches/c.client").json()
    shown = client.http.get("/v1/matches/c.client", params={"language": "sv"}).json()

    assert [line["source"] for line in client.lines(provider="sedu")] == ["urn:viisikko:sedu:console"]
    assert client.lines(provider="sedu")[0]["sequence"] is None
    assert made["suggestions"][0]["offering"] == "opisto.1"
    assert shown["suggestions"][0]["because"][0] == "Ger en färdighet som du saknar: hitsaus"
    assert client.http.get("/v1/offerings/sedu.1").json()["names"] == {"fi": "Hitsauksen perusteet"}


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/v1/offerings/sedu.404", 404),
        ("GET", "/v1/matches/c.unknown", 404),
        ("GET", "/v1/offerings?withdrawn=perhaps", 422),
        ("POST", "/v1/imports", 422),
        ("POST", "/v1/imports?form=pdf", 422),
        ("POST", "/v1/imports?form=kouta", 422),
        ("POST", "/v1/matches/c.unknown", 404),
    ],
)
def test_what_cannot_be_answered_is_a_problem(catalogue: Running, method: str, url: str, status: int) -> None:
    client = Client(catalogue)

    answer = client.post(url, b"hello" if "imports" in url else b"") if method == "POST" else client.http.get(url)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
