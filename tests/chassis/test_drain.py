"""A stop in good order: what was begun is finished and told, within a limit, and what is left is said and not lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from dataclasses import replace
from typing import Any

from listener import Listener
from process import SERVICE, client, frozen, keyed

from chassis.testing_live import Place, Publisher, Running, event, eventually, running

HANGS = 3
"""The amount at which the test service's adapter hangs."""


def limited(place: Place, seconds: float) -> Place:
    return replace(place, more={**place.more, "VIISIKKO_DRAIN_SECONDS": str(seconds)})


def last_words(process: Running) -> list[dict[str, Any]]:
    """What it said that it left."""
    lines = (json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{"))
    names = ("messages", "outbox", "effects")
    return [{name: line[name] for name in names} for line in lines if line["event"] == "service.left"]


def test_an_adapter_that_hangs_holds_a_stop_up_to_its_limit_only(
    thing_place: Place, publisher: Publisher, database: Any
) -> None:
    with (
        Listener(thing_place.amqp, "thing.counted.kunta.kunta") as listener,
        running(SERVICE, limited(thing_place, 1)) as service,
    ):
        publisher.send(event("thing.worked", {"amount": HANGS}))
        eventually(lambda: database["effects"].find_one({"attempt": 1}), what="the try that hangs")
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"s-{n}") for n in range(50)))
        eventually(lambda: database["thing"].find_one({"state.count": 1}), what="the first batch")

        began = time.monotonic()
        code = service.stop()
        took = time.monotonic() - began
        made = database["thing"].count_documents({"state.count": 1})
        counted = eventually(lambda: len(listener.events()) >= made and len(listener.events()), what="what followed")

    assert (code, last_words(service)) == (0, [{"messages": 0, "outbox": 0, "effects": 1}])
    assert 1 <= took < 8
    assert (counted, database["outbox"].count_documents({})) == (made, 0)
    assert database["effects"].find_one()["attempt"] == 1


def test_a_stop_without_a_broker_says_what_it_leaves_and_the_next_start_sends_it_once(
    thing_place: Place, broker: Any, database: Any
) -> None:
    with running(SERVICE, limited(thing_place, 3)) as service:
        broker.stop()
        try:
            with client(service) as http:
                made = [http.post("/v1/things", json={"amount": 5}, headers=keyed()).status_code for _n in range(3)]
            code = service.stop()
        finally:
            broker.start()
    with Listener(thing_place.amqp, "thing.counted.kunta.kunta") as listener, running(SERVICE, thing_place):
        eventually(lambda: database["outbox"].count_documents({}) == 0, what="the outbox sent")
        times = eventually(lambda: len(listener.times()) == 3 and listener.times(), what="three events")

    assert (made, code) == ([201] * 3, 0)
    assert last_words(service) == [{"messages": 0, "outbox": 3, "effects": 0}]
    assert set(times.values()) == {1}


def test_a_stop_with_a_store_that_hangs_gives_the_messages_back(
    thing_place: Place, publisher: Publisher, store: Any, database: Any
) -> None:
    with running(SERVICE, limited(thing_place, 1)) as service:
        with frozen(store.pid):
            publisher.send(*(event("thing.made", {"amount": 1}, subject=f"s-{n}") for n in range(20)))
            eventually(lambda: service.status("/health/ready") == 503, seconds=15, what="the store not answering")
            code = service.stop()
        (left,) = last_words(service)
    with running(SERVICE, thing_place):
        eventually(lambda: database["thing"].count_documents({"state.count": 1}) == 20, what="all of them, once")

    assert (code, left["messages"]) == (0, 20)


def test_a_request_that_is_on_its_way_is_answered_and_ends_its_connection(
    thing_place: Place,
) -> None:
    body = b'{"amount": 4}'
    with running(SERVICE, thing_place) as service:
        token = thing_place.token()
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            head = (
                "POST /v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"
                f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body[:5])
            eventually(lambda: service.status("/health/live") == 200, what="the first part read")
            os.kill(service.pid, signal.SIGTERM)
            eventually(lambda: refuses(host, int(port)), what="no new connections")

            connection.sendall(body[5:])
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        code = service.stop()

    assert answer.startswith(b"HTTP/1.1 201 ")
    assert (code, last_words(service)) == (0, [])


def refuses(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False
