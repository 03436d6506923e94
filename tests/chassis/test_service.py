"""One service process on a real broker and store, for all these tests: HTTP, events, and bad input.

They share it, so that each uses subjects of its own and compares with what was there before.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import kombu
import pymongo
import pytest
from process import SERVICE, client, counts, keyed, parked, settled

from chassis import profile
from chassis.testing_live import Place, Publisher, Running, event, eventually, running
from chassis.topology import EVENTS

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def service(shared_place: Place) -> Iterator[Running]:
    with running(SERVICE, shared_place) as process:
        yield process


@pytest.fixture
def publisher(service: Running) -> Iterator[Publisher]:
    made = Publisher(service.place.amqp)
    yield made
    made.close()


@pytest.fixture
def subject() -> str:
    """A subject that no other test has."""
    return f"s-{uuid.uuid4().hex[:8]}"


def test_an_event_from_the_broker_is_applied_and_shown(service: Running, publisher: Publisher, subject: str) -> None:
    publisher.send(*(event("thing.made", {"amount": n}, subject=f"{subject}-{n}") for n in range(5)))

    expected = {f"{subject}-{n}": n for n in range(5)}
    eventually(lambda: expected.items() <= counts(service).items(), what="all five things")


def test_what_follows_is_published_and_comes_back_to_its_own_organisation(
    service: Running, publisher: Publisher, subject: str
) -> None:
    with kombu.Connection(service.place.amqp) as connection:
        channel: Any = connection.channel()
        channel.queue_declare("kunta.probe", durable=False, exclusive=True)
        channel.queue_bind("kunta.probe", EVENTS, "thing.counted.kunta.kunta")

        publisher.send(event("thing.made", {"amount": 4}, subject=subject))

        message = eventually(lambda: channel.basic_get("kunta.probe", no_ack=True), what="thing.counted")
        body = message.body.encode() if isinstance(message.body, str) else message.body
        assert json.loads(body)["data"] == {"count": 4}


def test_a_tell_comes_back_sealed_through_the_own_exchange(service: Running, publisher: Publisher) -> None:
    publisher.send(event("thing.told", {"amount": 6}))

    eventually(lambda: counts(service).get("other") == 6, what="the thing that was told")


@pytest.mark.parametrize(
    ("body", "key", "content_type", "reason"),
    [
        (b"not json", "thing.made.kunta.kunta", profile.CONTENT_TYPE, "not-an-event"),
        (b"{}", "thing.made.kunta.kunta", "application/json", "not-an-event"),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, "thing.made.kunta.kunta", profile.CONTENT_TYPE, "not-an-event"),
        (b'{"a": 1e999999999}', "thing.made.kunta.kunta", profile.CONTENT_TYPE, "not-an-event"),
        (b" " * 70_000, "thing.made.kunta.kunta", profile.CONTENT_TYPE, "too-large"),
        (profile.compose(event("thing.made", {"amount": 1})), "thing.made.seamk.kunta", profile.CONTENT_TYPE, "forged"),
        (
            profile.compose(event("thing.owned", {"amount": 1})),
            "thing.made.kunta.kunta",
            profile.CONTENT_TYPE,
            "wrong-key",
        ),
        (
            profile.compose(event("thing.made", {"amount": "x"})),
            "thing.made.kunta.kunta",
            profile.CONTENT_TYPE,
            "schema",
        ),
    ],
)
def test_bad_input_is_parked_with_its_reason_and_stops_nobody(  # noqa: PLR0917 - pytest names them
    service: Running, publisher: Publisher, subject: str, body: bytes, key: str, content_type: str, reason: str
) -> None:
    before = parked(service)

    publisher.raw(body, key, content_type=content_type)
    publisher.send(event("thing.made", {"amount": 2}, subject=subject))

    eventually(lambda: counts(service).get(subject) == 2, what="the good event behind it")
    assert parked(service) - before == {reason: 1}


def test_a_programming_error_is_never_acknowledged_away(service: Running, publisher: Publisher, subject: str) -> None:
    before = parked(service)

    publisher.send(
        event("thing.made", {"amount": 13}, subject=f"{subject}-bad"),
        event("thing.made", {"amount": 1}, subject=subject),
    )

    eventually(lambda: parked(service) - before == {"error": 1}, what="the guilty event in the parking lot")
    eventually(lambda: counts(service).get(subject) == 1, what="the good one")
    assert f"{subject}-bad" not in counts(service)


def test_a_command_creates_and_answers_with_the_aggregate(service: Running) -> None:
    with client(service) as http:
        answer = http.post("/v1/things", json={"amount": 5}, headers=keyed())

    assert answer.status_code == 201
    assert answer.json() | {"id": ""} == {"id": "", "version": 1, "owner": "kunta", "count": 5, "reminded": 0}


def test_the_same_key_again_gives_the_same_aggregate_and_another_body_is_refused(service: Running) -> None:
    key = keyed()
    with client(service) as http:
        first = http.post("/v1/things", json={"amount": 5}, headers=key)
        second = http.post("/v1/things", json={"amount": 5}, headers=key)
        third = http.post("/v1/things", json={"amount": 6}, headers=key)

    assert (first.status_code, second.status_code, third.status_code) == (201, 200, 409)
    assert first.json()["id"] == second.json()["id"]
    assert third.json()["type"] == "urn:viisikko:problem:key-reused"


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"url": "/v1/nowhere"}, 404, "no-route"),
        ({"url": "/v1/uploads"}, 405, "method"),
        ({"method": "POST", "url": "/v1/things", "json": {"amount": 1}}, 400, "key"),
        (
            {"method": "POST", "url": "/v1/things", "content": b"{", "headers": JSON | {"Idempotency-Key": "a"}},
            400,
            "json",
        ),
        (
            {"method": "POST", "url": "/v1/things", "content": b"[]", "headers": JSON | {"Idempotency-Key": "a"}},
            422,
            "fields",
        ),
        ({"method": "POST", "url": "/v1/things", "json": {}, "headers": {"Idempotency-Key": "a"}}, 422, "fields"),
        (
            {"method": "POST", "url": "/v1/things", "json": {"amount": 99}, "headers": {"Idempotency-Key": "b"}},
            422,
            "invalid",
        ),
        (
            {"method": "POST", "url": "/v1/things", "json": {"amount": 98}, "headers": {"Idempotency-Key": "c"}},
            409,
            "too-much",
        ),
        (
            {"method": "POST", "url": "/v1/things", "json": {"amount": 13}, "headers": {"Idempotency-Key": "d"}},
            500,
            "error",
        ),
        ({"method": "POST", "url": "/v1/things/x/need", "headers": {"Idempotency-Key": "e"}}, 404, "unknown"),
        (
            {"method": "POST", "url": "/v1/uploads", "content": b"x" * 1001, "headers": {"Idempotency-Key": "f"}},
            413,
            "size",
        ),
        ({"url": "/v1/things/x"}, 400, "why"),
        ({"url": "/v1/things/x?why=test"}, 404, "unknown"),
        (
            {
                "method": "POST",
                "url": "/v1/things",
                "json": {"amount": 1, "note": "131052-308T"},
                "headers": {"Idempotency-Key": "g"},
            },
            422,
            "identity-code",
        ),
    ],
)
def test_every_error_is_a_problem_with_its_code(
    service: Running, request_: dict[str, Any], status: int, code: str
) -> None:
    with client(service) as http:
        answer = http.request(request_.pop("method", "GET"), **request_)

    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:viisikko:problem:{code}")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    assert "131052" not in answer.text
    assert "secret value" not in answer.text + service.log.read_text()


def test_a_body_in_chunks_is_bounded_too(service: Running) -> None:
    with client(service, "operator") as http:
        answer = http.post("/v1/uploads", content=iter([b"x" * 600, b"x" * 600]), headers=keyed())

    assert answer.status_code == 413


def test_the_body_lists_each_wrong_field(service: Running) -> None:
    with client(service) as http:
        answer = http.post("/v1/things", json={"amount": "x", "colour": 1}, headers=keyed())

    assert [error["field"] for error in answer.json()["errors"]] == ["amount", "colour"]


def test_without_a_token_and_with_anothers_role_there_is_nothing(service: Running) -> None:
    without = httpx.get(f"{service.url}/v1/things/x")
    with client(service, "operator") as http:
        wrong = http.get("/v1/things/x?why=x")

    assert (without.status_code, wrong.status_code) == (401, 403)
    assert without.headers["WWW-Authenticate"] == "Bearer"


def test_a_reading_of_personal_data_is_remembered(service: Running) -> None:
    with client(service) as http:
        made = http.put("/v1/things/t-1", json={"amount": 1, "note": "Aino"})
        shown = http.get("/v1/things/t-1?why=meeting")

    assert (made.status_code, shown.json()["note"]) == (201, "Aino")
    with pymongo.MongoClient[dict[str, Any]](service.place.mongo) as store:
        readings = list(store["kunta_test"]["reads"].find({"subject": "t-1"}))
    assert [(r["person"], r["why"], r["subject"]) for r in readings] == [("kunta-1", "meeting", "t-1")]
    assert "Aino" not in service.log.read_text()


def test_metrics_tell_how_messages_were_settled(service: Running, publisher: Publisher, subject: str) -> None:
    before = settled(service)

    publisher.send(event("thing.made", {"amount": 2}, subject=subject))

    eventually(lambda: settled(service) - before == {"applied": 1}, what="the settled message in the metrics")
