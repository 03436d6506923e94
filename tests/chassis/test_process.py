"""A service process by itself: killed, stopped, started before its parts are there, and while they are away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from process import SERVICE, client, counts, frozen, keyed, parked, said

from chassis.ports import free_port
from chassis.testing_live import Place, Publisher, Running, event, eventually, running


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


def test_it_starts_without_broker_and_store_and_becomes_ready_when_they_come(thing_place: Place, store: Any) -> None:
    store.stop()
    try:
        process = Running(SERVICE, thing_place, free_port())
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


def test_missing_settings_are_all_named_at_once_and_end_it_with_2(thing_place: Place) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": thing_place.more["PYTHONPATH"],
        "VIISIKKO_PREFETCH": "many",
    }
    command = [sys.executable, "-W", "ignore", "-m", "chassis.run", SERVICE]

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 2
    for name in ("VIISIKKO_ORGANISATION", "VIISIKKO_AMQP_URI", "VIISIKKO_MONGO_URI", "VIISIKKO_PREFETCH"):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_store_that_hangs_makes_it_unready_until_it_answers(thing_place: Place, store: Any) -> None:
    with running(SERVICE, thing_place) as service:
        with frozen(store.pid):
            eventually(lambda: service.status("/health/ready") == 503, seconds=15, what="not ready")

        eventually(service.is_ready, what="ready")


def test_a_store_that_is_away_is_told_once_and_once_when_it_is_back(
    thing_place: Place, publisher: Publisher, store: Any
) -> None:
    with running(SERVICE, thing_place) as service:
        store.kill()
        try:
            publisher.send(event("thing.made", {"amount": 2}))
            with client(service) as http:
                # Each waits for the store, so that relay, timers, effects and the batch have all tried more than once.
                answers = [http.put("/v1/things/s-2", json={"amount": 1}).status_code for _ in range(3)]
            away = said(service, "store.away", "store.back")
        finally:
            store.start()
        eventually(lambda: counts(service) == {"s-1": 2}, seconds=30, what="the event that waited")

        assert (answers, away) == ([503] * 3, ["store.away"])
        # It is the measuring, once a second, that says so.
        eventually(lambda: said(service, "store.away", "store.back") == ["store.away", "store.back"], what="the word")


def test_a_clean_stop_warns_of_nothing(thing_place: Place) -> None:
    with running(SERVICE, thing_place) as service:
        service.stop()

    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert [line for line in lines if line["level"] not in {"debug", "info"}] == []
    assert lines[-1]["event"] == "service.stopped"
