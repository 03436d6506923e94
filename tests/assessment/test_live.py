"""Assessment on a real store, and as a process with its HTTP."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from assessment import packaged
from assessment.adapters import esco, upload
from assessment.handlers import case_id
from assessment.service import Assessment
from assessment.store import Incomplete, NoUpload, Queries
from chassis import strictjson
from chassis.decision import Classification
from chassis.incoming import Settled
from chassis.testing_live import Place, Running, Workshop, event, running

CLIENT = "c.abcdefghijklmnopqrstuvwxyz"
TEXT = "Olen hitsannut ja hoitanut vanhuksia."
OCCUPATIONS = {r["labels"]["fi"]: r["uri"] for r in packaged.records() if r["kind"] == "occupation"}
REGISTERED = {
    "home": "kunta",
    "language": "fi",
    "municipality": "743",
    "goal": {"occupation": OCCUPATIONS["hitsaaja"], "field": None},
    "wishes": {"places": ["743"]},
    "coach": "kunta-1",
}
SKILL = "http://data.europa.eu/esco/skill/"


@pytest.fixture
def workshop(offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Assessment, offline_place)
    yield made
    made.close()


@pytest.fixture
def queries(workshop: Workshop) -> Queries:
    found: Queries = workshop.service.store
    return found


def records(*names: str, counted: int | None = None) -> list[dict[str, Any]]:
    skills = [
        {"kind": "skill", "uri": SKILL + n, "labels": {"fi": n}, "alternatives": {}, "domain": None} for n in names
    ]
    return [
        {"kind": "begin", "source": "test"},
        *skills,
        {"kind": "complete", "counts": {"skills": counted or len(names), "occupations": 0}, "dangling": 0},
    ]


def words_given(workshop: Workshop, text: str) -> Any:
    """``words.given`` as intake seals it for the organisation that assesses."""
    envelope = said("words.given", {})
    body = strictjson.dumps({"language": "fi", "text": text, "coach": "kunta-1"})
    sealed = workshop.floor.home.keyring.seal(
        body, "kunta", event_id=envelope.id, source=envelope.source, subject=CLIENT
    )
    return replace(envelope, data=sealed, classification=Classification.PERSONAL)


def said(name: str, data: dict[str, Any]) -> Any:
    return event(name, data, source="urn:viisikko:kunta:intake", subject=CLIENT, correlation=CLIENT)


def test_a_client_comes_from_registration_to_a_plan(workshop: Workshop) -> None:
    welding = next(r["uri"] for r in packaged.records() if r["labels"]["en"] == "welding techniques")

    outcomes = workshop.take(
        said("client.registered", REGISTERED),
        said("profile.answered", {"confirmed": [{"skill": welding, "level": 4}], "rejected": [], "added": []}),
    )

    assert [one.settled for one in outcomes] == [Settled.APPLIED] * 2
    (plan,) = workshop.sent()
    assert plan["type"] == "fi.viisikko.plan.published.v1"
    assert (plan["subject"], plan["correlationid"], plan["destination"]) == (CLIENT, CLIENT, "kunta")
    assert plan["data"]["strengths"][0]["labels"]["fi"] == "hitsaustekniikat"
    kept = workshop.state("case", case_id("kunta", CLIENT))
    assert kept.plan.version == 1


def test_the_words_are_kept_encrypted_and_the_proposals_hold_none_of_them(workshop: Workshop) -> None:
    workshop.take(words_given(workshop, TEXT))

    (proposed,) = workshop.sent()
    stored = workshop.floor.home.database["case"].find_one({"_id": case_id("kunta", CLIENT)})
    assert proposed["type"] == "fi.viisikko.profile.proposed.v1"
    assert "hoitanut" not in json.dumps(proposed, ensure_ascii=False)
    assert stored is not None
    assert "hoitanut" not in str(stored)
    assert workshop.state("case", case_id("kunta", CLIENT)).words == TEXT


def test_an_upload_replaces_the_vocabulary_at_once_and_only_when_it_is_whole(queries: Queries) -> None:
    begin, one, two, complete = records("hitsata", "ommella")
    before = queries.refresh().counts

    queries.receive([begin, one], "first")
    assert queries.refresh().counts == before
    with pytest.raises(Incomplete, match="1 skills and 0 occupations have come instead of 2 and 0"):
        queries.receive([complete], "first")
    assert queries.refresh().counts == before
    progress = queries.receive([two, complete], "first")

    assert progress.complete
    assert (queries.refresh().counts.skills, queries.refresh().counts.source) == (2, "test")


def test_an_upload_that_is_given_up_leaves_nothing_behind(queries: Queries, workshop: Workshop) -> None:
    queries.receive(records("hitsata", "ommella", counted=2)[:3], "given-up")

    queries.receive(records("neuloa"), "second")

    assert [one.labels["fi"] for one in queries.refresh().find_skills("neuloa", "fi")] == ["neuloa"]
    assert workshop.floor.home.database["vocabulary"].count_documents({"generation": {"$ne": "second"}}) == 0


def test_a_page_that_is_sent_again_is_kept_once(queries: Queries) -> None:
    begin, one, complete = records("hitsata")

    queries.receive([begin, one], "same")
    queries.receive([one], "same")
    queries.receive([complete], "same")
    again = queries.receive([begin, one, complete], "same")

    assert again.complete
    assert queries.refresh().counts.skills == 1


def test_pages_without_a_beginning_are_refused(queries: Queries) -> None:
    with pytest.raises(NoUpload):
        queries.receive(records("hitsata")[1:], "none")


def test_an_uploaded_vocabulary_is_read_back_by_another_replica(workshop: Workshop, queries: Queries) -> None:
    queries.receive(records("hitsata"), "kept")

    other = Queries(workshop.floor.home.database)

    assert other.vocabulary().counts.generation == "kept"


@pytest.fixture
def service(place: Place) -> Iterator[Running]:
    with running("assessment", place) as process:
        yield process


def client(process: Running, *roles: str) -> httpx.Client:
    token = process.place.token(*roles)
    return httpx.Client(base_url=process.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def test_skills_occupations_and_counts_are_found_over_http(service: Running) -> None:
    with client(service, "coach") as coach:
        skills = coach.get("/v1/skills", params={"text": "hitsa", "language": "fi"}).json()
        occupations = coach.get("/v1/occupations", params={"text": "kokki", "language": "fi"}).json()
        counts = coach.get("/v1/vocabulary").json()
        wrong = coach.get("/v1/skills", params={"text": "x", "language": "de"})
        absent = coach.get(f"/v1/plans/{CLIENT}")
        refused = coach.post("/v1/vocabulary", content=b"", headers={"Idempotency-Key": "1"})
        why = coach.get(f"/v1/profiles/{CLIENT}")

    assert skills[0]["labels"]["fi"].startswith("hitsa")
    assert set(skills[0]) == {"skill", "labels", "score"}
    assert occupations[0]["occupation"] == OCCUPATIONS["kokki"]
    assert (counts["occupations"], counts["dangling"]) == (25, 0)
    assert counts["attribution"] == "This service uses the ESCO classification of the European Commission."
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "language")
    assert (absent.status_code, refused.status_code, why.status_code) == (404, 403, 400)


def test_the_full_esco_is_uploaded_over_http_and_in_use_with_the_answer(service: Running, data: Path) -> None:
    with client(service, "operator") as operator:
        for body in esco.pages(esco.records(data / "esco")):
            answer = operator.post("/v1/vocabulary", content=body, headers={"Idempotency-Key": uuid.uuid4().hex})
            assert answer.status_code == 200, answer.text
        counts = operator.get("/v1/vocabulary").json()
        wrong = operator.post("/v1/vocabulary", content=b'{"kind": "x"}', headers={"Idempotency-Key": "w"})

    assert answer.json()["complete"]
    assert (counts["skills"], counts["occupations"], counts["dangling"]) == (13_896, 3_007, 67)
    assert wrong.status_code == 422
    assert list(upload.read(json.dumps({"kind": "begin", "source": "s"}).encode()))
