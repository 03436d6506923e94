"""Intake on a real store, and once as a real process over HTTP."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from openpyxl import Workbook, load_workbook

from chassis import secrets, strictjson
from chassis.crypto import KeyRing, read_short_reference
from chassis.decision import Classification
from chassis.incoming import Settled
from chassis.testing import NOON
from chassis.testing_live import Place, Workshop, event, running
from chassis.web import Request
from intake.adapters import columns, sheet
from intake.service import Intake

SKILL = "http://data.europa.eu/esco/skill/aaaaaaaa-0000-0000-0000-000000000001"
WORDS = "Olen hoitanut vanhuksia ja osaan hitsata."
ROW: Mapping[str, Any] = {
    "caseNumber": "A-17",
    "given": "Aino",
    "family": "Esimerkki",
    "email": "aino@esimerkki.fi",
    "phone": "+358 40 123 4567",
    "language": "fi",
    "municipality": "743",
    "words": WORDS,
    "consent": {"scope": ["assessment", "referral", "disclosure"], "given": "2026-11-01"},
    "coach": "kunta-12",
}
PERSONAL = ("A-17", "Aino", "Esimerkki", "aino@esimerkki.fi", "40 123", WORDS)


@pytest.fixture
def workshop(offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Intake, offline_place)
    for code in ("seamk", "sedu"):
        secrets.make(offline_place.folder / code, offline_place.folder / "keys", code)
    yield made
    made.close()


def register(workshop: Workshop, **fields: Any) -> str:
    outcome = workshop.order("import-client", {**ROW, **fields})
    assert outcome.settled in {Settled.APPLIED, Settled.IGNORED}
    assert outcome.aggregate_id is not None
    return outcome.aggregate_id


def sent(workshop: Workshop) -> list[tuple[str, str]]:
    return [(told["type"].removeprefix("fi.viisikko."), told["destination"]) for told in workshop.sent()]


def opened(told: Mapping[str, Any], place: Place, code: str) -> Any:
    """What the destination reads in a sealed event."""
    keyring = KeyRing(place.folder / code / "keys.json", place.folder / "keys")
    plain = keyring.open(told["data"], event_id=told["id"], source=told["source"], subject=told["subject"])
    return strictjson.loads(plain)


def referred(workshop: Workshop, data: Mapping[str, Any], *, source: str = "urn:viisikko:sedu:case") -> Any:
    """A case system's sealed event."""
    identifier = str(uuid.uuid4())
    sealed = workshop.floor.home.keyring.seal(
        strictjson.dumps(data), "kunta", event_id=identifier, source=source, subject="17"
    )
    return event(
        "client.referred",
        sealed,
        source=source,
        subject="17",
        identifier=identifier,
        classification=Classification.PERSONAL,
    )


def asking(client: str) -> Request:
    return Request(
        method="GET",
        route="",
        path={"id": client},
        query={},
        headers={},
        body=b"",
        person="kunta-12",
        organisation="kunta",
        roles=frozenset({"coach"}),
        key="",
        at=NOON,
    )


# ── on a real store ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_of_the_person_stands_in_the_store_in_clear(workshop: Workshop) -> None:
    client = register(workshop)

    stored = str(workshop.floor.home.database["client"].find_one({"_id": client}))
    waiting = str(list(workshop.floor.home.database["outbox"].find()))

    assert not [value for value in PERSONAL if value in stored or value in waiting]
    assert workshop.state("client", client).words == WORDS


def test_the_same_client_again_is_no_second_one_and_says_nothing(workshop: Workshop) -> None:
    first = register(workshop)

    again = workshop.order("import-client", dict(ROW))

    assert (again.aggregate_id, again.settled) == (first, Settled.IGNORED)
    assert sent(workshop) == [("client.registered.v1", "kunta"), ("words.given.v1", "kunta")]


def test_a_partners_event_registers_a_client_that_is_the_partners_own(workshop: Workshop) -> None:
    outcomes = workshop.take(referred(workshop, ROW), referred(workshop, {**ROW, "phone": "+358 50 1"}))

    assert [outcome.settled for outcome in outcomes] == [Settled.APPLIED, Settled.APPLIED]
    assert outcomes[0].aggregate_id == outcomes[1].aggregate_id != register(workshop)
    assert sent(workshop)[:3] == [
        ("client.registered.v1", "kunta"),
        ("words.given.v1", "kunta"),
        ("client.updated.v1", "kunta"),
    ]


def test_a_partners_event_with_an_identity_code_is_parked_without_its_data(workshop: Workshop) -> None:
    outcomes = workshop.take(referred(workshop, {**ROW, "words": "Tunnukseni on 131052-308T."}))

    assert [outcome.settled for outcome in outcomes] == [Settled.PARKED]
    parked = workshop.floor.home.database["parked"].find_one()
    assert parked is not None
    assert parked["reason"] == "identity-code"
    assert not parked.get("body")


def test_only_the_school_that_accepted_can_read_who_the_client_is(workshop: Workshop, offline_place: Place) -> None:
    client = register(workshop)

    workshop.take(
        event("referral.accepted", {"sender": "kunta", "receiver": "seamk"}, subject="ref-1", correlation=client)
    )

    told = workshop.sent()[-1]
    assert (told["type"], told["destination"]) == ("fi.viisikko.client.disclosed.v1", "seamk")
    assert told["subject"].startswith("r.")
    assert not [value for value in PERSONAL if value in json.dumps(told)]
    assert opened(told, offline_place, "seamk") == {
        "sender": "kunta",
        "referral": "ref-1",
        "given": "Aino",
        "family": "Esimerkki",
        "email": "aino@esimerkki.fi",
        "phone": "+358 40 123 4567",
        "language": "fi",
    }


def test_a_proposal_is_shown_with_the_words_that_led_to_it(workshop: Workshop) -> None:
    client = register(workshop, priorLearning="Ajokortti C1E")
    offset = WORDS.index("osaan hitsata")
    evidence = [{"offset": offset, "length": 13}, {"offset": len(WORDS) + 1, "length": 9}]
    workshop.take(event("profile.proposed", {"proposals": [{"skill": SKILL, "evidence": evidence}]}, subject=client))

    shown = workshop.service.show_proposals(asking(client))

    assert [proposal["words"] for proposal in shown] == [["osaan hitsata", "Ajokortti"]]


def test_what_an_answer_names_goes_to_the_assessor(workshop: Workshop) -> None:
    client = register(workshop)
    proposals = [{"skill": SKILL, "score": 0.9, "evidence": [{"offset": 27, "length": 13}]}]
    workshop.take(event("profile.proposed", {"proposals": proposals}, subject=client))

    answer = {"confirmed": [{"skill": SKILL, "level": 4}]}
    workshop.order("answer", answer, path={"id": client})

    told = workshop.sent()[-1]
    assert (told["type"], told["subject"]) == ("fi.viisikko.profile.answered.v1", client)
    assert told["data"] == {"confirmed": [{"skill": SKILL, "level": 4}], "rejected": [], "added": []}


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────────


def workbook(*changes: Mapping[str, str]) -> bytes:
    good = {
        "asiakasnumero": "A-17",
        "etunimi": "Aino",
        "sukunimi": "Esimerkki",
        "puhelin": "+358 40 123 4567",
        "kieli": "suomi",
        "kunta": "Seinäjoki",
        "omin sanoin": WORDS,
        "suostumus": "kartoitus, ohjaus, yhteystiedot",
        "suostumuspäivä": "1.11.2026",
        "omavalmentaja": "kunta-12",
    }
    book = Workbook()
    book.active.append(list(good))
    for change in changes:
        book.active.append(list({**good, **change}.values()))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def upload(
    http: httpx.Client, body: bytes, *, accept: str = "application/json", key: str | None = None
) -> httpx.Response:
    headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Accept": accept}
    return http.post("/v1/imports", content=body, headers=headers)


def test_a_coachs_working_day_over_http(place: Place) -> None:
    with running("intake", place) as process:
        token = place.token("coach", person="kunta-12")
        with httpx.Client(base_url=process.url, headers={"Authorization": f"Bearer {token}"}, timeout=20) as http:
            template = http.get("/v1/imports/template", params={"language": "sv"})
            _reads_the_template(template)
            client = _imports_a_sheet(http)
            _imports_it_again(http)
            _sends_what_is_no_sheet(http)
            _reads_the_client(http, client)
            _answers(http, client)


def _reads_the_template(response: httpx.Response) -> None:
    sheets = load_workbook(io.BytesIO(response.content))

    assert response.headers["content-type"] == sheet.XLSX
    assert [cell.value for cell in sheets.active[1]] == columns.template("sv")


def _imports_a_sheet(http: httpx.Client) -> str:
    body = workbook({}, {"asiakasnumero": "A-18", "kunta": "Atlantis"}, {"asiakasnumero": "A-19"})

    report = upload(http, body).json()

    assert (report["rows"], report["accepted"]) == (3, 2)
    assert [(r["row"], r["column"], r["rule"]) for r in report["refused"]] == [(3, "kunta", "unknown-municipality")]
    assert all(read_short_reference(client["reference"]) for client in report["clients"])
    client: str = report["clients"][0]["client"]
    return client


def _imports_it_again(http: httpx.Client) -> None:
    body = workbook({}, {"asiakasnumero": "A-19", "puhelin": "+358 50 1"})
    key = str(uuid.uuid4())

    report = upload(http, body, key=key).json()
    back = upload(http, body, accept=sheet.XLSX)
    other = upload(http, workbook({}, {"asiakasnumero": "A-19", "puhelin": "+358 50 2"}), key=key)

    assert [client["outcome"] for client in report["clients"]] == ["unchanged", "changed"]
    rows = list(load_workbook(io.BytesIO(back.content)).active.iter_rows(values_only=True))
    assert rows[0][-2:] == (sheet.REFERENCE, sheet.ERROR)
    assert [row[-2] for row in rows[1:]] == [client["reference"] for client in report["clients"]]
    assert other.status_code == 409


def _sends_what_is_no_sheet(http: httpx.Client) -> None:
    wrong = upload(http, b"nimi;osoite\nAino;Koti\n")
    big = upload(http, bytes(5 * 2**20 + 1))

    assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
    assert "asiakasnumero" in wrong.json()["detail"]
    assert big.status_code == 413


def _reads_the_client(http: httpx.Client, client: str) -> None:
    summaries = http.get("/v1/clients").text
    unasked = http.get(f"/v1/clients/{client}")
    person = http.get(f"/v1/clients/{client}", params={"why": "tapaaminen"}).json()
    proposals = http.get(f"/v1/clients/{client}/proposals", params={"why": "tapaaminen"}).json()
    found = http.get("/v1/clients", params={"reference": person["reference"].lower()})
    changed = ("2" if person["reference"][0] == "0" else "0") + person["reference"][1:]
    slip = http.get("/v1/clients", params={"reference": changed})
    readings = http.get(f"/v1/clients/{client}/reads").json()
    unknown = http.get("/v1/clients/c.nobody", params={"why": "tapaaminen"})

    assert {json.loads(line)["stage"] for line in summaries.splitlines()} == {"registered"}
    assert not [value for value in (*PERSONAL, "743") if value in summaries]
    assert unasked.status_code == 400
    assert (person["given"], person["words"], person["municipality"]) == ("Aino", WORDS, "743")
    assert proposals == []
    assert [(reading["person"], reading["why"]) for reading in readings] == [("kunta-12", "tapaaminen")] * 2
    assert unknown.status_code == 404
    assert [json.loads(line)["id"] for line in found.text.splitlines()] == [client]
    assert (slip.status_code, "one is wrong" in slip.json()["detail"]) == (422, True)


def _answers(http: httpx.Client, client: str) -> None:
    def said(**lists: Any) -> httpx.Response:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return http.post(f"/v1/clients/{client}/answers", json=lists, headers=headers)

    added = said(added=[{"skill": SKILL, "level": 3}])
    unproposed = said(confirmed=[{"skill": SKILL.replace("1", "2"), "level": 3}])
    misspelt = said(confimed=[])

    assert (added.status_code, added.json()["stage"]) == (200, "answered")
    assert (unproposed.status_code, unproposed.json()["errors"][0]["field"]) == (422, "confirmed")
    assert (misspelt.status_code, misspelt.json()["errors"][0]["field"]) == (422, "confimed")
