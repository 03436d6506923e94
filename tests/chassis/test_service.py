"""A whole service process on a real broker and store: HTTP, events, drain, and what it does while parts are away."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import kombu
import pymongo
import pytest
from chassis import profile
from chassis.testing_live import Place, Running, event, eventually, running
from chassis.topology import EVENTS

SERVICE = "thing:Things"


@pytest.fixture
def service(thing_place: Place) -> Iterator[Running]:
    with running(SERVICE, thing_place) as process:
        yield process


class Publisher:
    """Publishes to the network's exchange as a partner would, with confirms."""

    def __init__(self, uri: str) -> None:
        self._connection = kombu.Connection(uri, transport_options={"confirm_publish": True})
        self._channel: Any = self._connection.channel()
        self._producer = kombu.Producer(self._channel, auto_declare=False)

    def send(self, *envelopes: Any) -> None:
        for envelope in envelopes:
            self.raw(profile.compose(envelope), envelope.routing_key)

    def raw(self, body: bytes, key: str, content_type: str = profile.CONTENT_TYPE, **headers: Any) -> None:
        self._producer.publish(
            body, exchange=EVENTS, routing_key=key, content_type=content_type, content_encoding="binary", headers=headers
        )

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def publisher(thing_place: Place) -> Iterator[Publisher]:
    made = Publisher(thing_place.amqp)
    yield made
    made.close()


def client(process: Running, *roles: str) -> httpx.Client:
    token = process.place.token(*roles)
    return httpx.Client(base_url=process.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def counts(process: Running) -> dict[str, int]:
    with client(process) as http:
        lines = http.get("/v1/things").text.splitlines()
    return {item["id"]: item["count"] for item in map(json.loads, lines)}


def parked(process: Running) -> dict[str, int]:
    with client(process, "operator") as http:
        return {group["reason"]: group["count"] for group in http.get("/v1/parked").json()}


def test_an_event_from_the_broker_is_applied_and_shown(service: Running, publisher: Publisher) -> None:
    publisher.send(*(event("thing.made", {"amount": n}, subject=f"s-{n}") for n in range(5)))

    eventually(lambda: counts(service) == {f"s-{n}": n for n in range(5)}, what="all five things")


def test_what_follows_is_published_and_comes_back_to_its_own_organisation(
    service: Running, publisher: Publisher, thing_place: Place
) -> None:
    with kombu.Connection(thing_place.amqp) as connection:
        channel: Any = connection.channel()
        channel.queue_declare("kunta.probe", durable=False, exclusive=True)
        channel.queue_bind("kunta.probe", EVENTS, "thing.counted.kunta.kunta")

        publisher.send(event("thing.made", {"amount": 4}))

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
        (profile.compose(event("thing.owned", {"amount": 1})), "thing.made.kunta.kunta", profile.CONTENT_TYPE, "wrong-key"),
        (profile.compose(event("thing.made", {"amount": "x"})), "thing.made.kunta.kunta", profile.CONTENT_TYPE, "schema"),
    ],
)
def test_bad_input_is_parked_with_its_reason_and_stops_nobody(
    service: Running, publisher: Publisher, body: bytes, key: str, content_type: str, reason: str
) -> None:
    publisher.raw(body, key, content_type)
    publisher.send(event("thing.made", {"amount": 2}, subject="after"))

    eventually(lambda: counts(service).get("after") == 2, what="the good event behind it")
    assert parked(service) == {reason: 1}


def test_headers_that_end_namekos_container_end_nothing(service: Running, publisher: Publisher) -> None:
    envelope = event("thing.made", {"amount": 2}, subject="after")
    hostile = {"call_id_stack": 5, "nameko.call_id_stack": 5, "nameko.x": "y"}

    publisher.raw(profile.compose(envelope), envelope.routing_key, **hostile)

    eventually(lambda: counts(service).get("after") == 2, what="the event with hostile headers")


def test_a_programming_error_is_never_acknowledged_away(service: Running, publisher: Publisher) -> None:
    publisher.send(event("thing.made", {"amount": 13}, subject="bad"), event("thing.made", {"amount": 1}, subject="good"))

    eventually(lambda: parked(service) == {"error": 1}, what="the guilty event in the parking lot")
    assert counts(service) == {"good": 1}


def test_killed_in_the_middle_nothing_is_lost_and_nothing_applied_twice(
    thing_place: Place, publisher: Publisher
) -> None:
    events = [event("thing.made", {"amount": 1}, subject=f"s-{n % 20}", sequence=n + 1) for n in range(600)]

    with running(SERVICE, thing_place) as first:
        publisher.send(*events[:300])
        os.kill(first.pid, signal.SIGKILL)
    publisher.send(*events[300:])
    with running(SERVICE, thing_place) as second:
        publisher.send(*events[250:350])
        eventually(lambda: sum(counts(second).values()) >= 600, seconds=40, what="all 600 events")

        assert counts(second) == {f"s-{n}": 30 for n in range(20)}
        assert parked(second) == {}


def test_a_clean_stop_leaves_nothing_to_be_redelivered(thing_place: Place, publisher: Publisher) -> None:
    with running(SERVICE, thing_place) as process:
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"s-{n}") for n in range(300)))
        eventually(lambda: len(counts(process)) > 0, what="the first batch")

        assert process.stop() == 0

    with kombu.Connection(thing_place.amqp) as connection:
        channel: Any = connection.channel()
        left: list[Any] = []
        channel.basic_consume("kunta.test", callback=left.append, no_ack=True)
        with contextlib.suppress(TimeoutError):
            connection.drain_events(timeout=0.5)
        assert [m for m in left if m.delivery_info["redelivered"]] == []


def test_it_starts_without_broker_and_store_and_becomes_ready_when_they_come(
    thing_place: Place, broker: Any, store: Any
) -> None:
    from dataclasses import replace

    store.stop()
    try:
        process = Running(SERVICE, replace(thing_place), _port())
        process.start()
        eventually(lambda: process.status("/health/live") == 200, what="live")
        assert process.status("/health/ready") == 503
        with client(process) as http:
            answer = http.post("/v1/things", json={"amount": 1}, headers=keyed())
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    finally:
        store.start()
    process.wait_ready()
    assert process.stop() == 0


def test_the_store_going_away_pauses_and_parks_nothing(
    service: Running, publisher: Publisher, store: Any
) -> None:
    store.stop()
    publisher.send(event("thing.made", {"amount": 2}))
    eventually(lambda: service.status("/health/ready") == 503, what="not ready")

    store.start()

    eventually(lambda: counts(service) == {"s-1": 2}, seconds=30, what="the event that waited")
    assert parked(service) == {}


def _port() -> int:
    from console.nodes.ports import free_port

    return free_port()


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
        ({"method": "POST", "url": "/v1/things", "content": b"{", "headers": {"Idempotency-Key": "a"}}, 400, "json"),
        ({"method": "POST", "url": "/v1/things", "content": b"[]", "headers": {"Idempotency-Key": "a"}}, 422, "fields"),
        ({"method": "POST", "url": "/v1/things", "json": {}, "headers": {"Idempotency-Key": "a"}}, 422, "fields"),
        ({"method": "POST", "url": "/v1/things", "json": {"amount": 99}, "headers": {"Idempotency-Key": "b"}}, 422, "invalid"),
        ({"method": "POST", "url": "/v1/things", "json": {"amount": 98}, "headers": {"Idempotency-Key": "c"}}, 409, "too-much"),
        ({"method": "POST", "url": "/v1/things", "json": {"amount": 13}, "headers": {"Idempotency-Key": "d"}}, 500, "error"),
        ({"method": "POST", "url": "/v1/things/x/need", "headers": {"Idempotency-Key": "e"}}, 404, "unknown"),
        ({"method": "POST", "url": "/v1/uploads", "content": b"x" * 1001, "headers": {"Idempotency-Key": "f"}}, 413, "size"),
        ({"url": "/v1/things/x"}, 400, "why"),
        ({"url": "/v1/things/x?why=test"}, 404, "unknown"),
        (
            {"method": "POST", "url": "/v1/things", "json": {"amount": 1, "note": "131052-308T"}, "headers": {"Idempotency-Key": "g"}},
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


def test_a_reading_of_personal_data_is_remembered(service: Running, thing_place: Place) -> None:
    with client(service) as http:
        made = http.put("/v1/things/t-1", json={"amount": 1, "note": "Aino"})
        shown = http.get("/v1/things/t-1?why=meeting")

    assert (made.status_code, shown.json()["note"]) == (201, "Aino")
    with pymongo.MongoClient[dict[str, Any]](thing_place.mongo) as store:
        readings = list(store["kunta_test"]["reads"].find())
    assert [(r["person"], r["why"], r["subject"]) for r in readings] == [("kunta-1", "meeting", "t-1")]
    assert "Aino" not in service.log.read_text()


def test_metrics_tell_how_messages_were_settled(service: Running, publisher: Publisher) -> None:
    publisher.send(event("thing.made", {"amount": 2}))

    eventually(
        lambda: 'viisikko_settled_total{how="applied"} 1.0' in httpx.get(f"{service.url}/metrics").text,
        what="the settled message in the metrics",
    )


def test_missing_settings_are_all_named_at_once_and_end_it_with_2(thing_place: Place) -> None:
    import subprocess
    import sys

    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": thing_place.more["PYTHONPATH"], "VIISIKKO_PREFETCH": "many"}
    command = [sys.executable, "-W", "ignore", "-m", "chassis.run", SERVICE]

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 2
    for name in ("VIISIKKO_ORGANISATION", "VIISIKKO_AMQP_URI", "VIISIKKO_MONGO_URI", "VIISIKKO_PREFETCH"):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr
