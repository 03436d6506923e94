"""Two replicas of one service: when the first is killed or frozen, the second goes on, and nothing happens twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from listener import Listener
from process import counts, frozen, parked, said

from chassis.profile import Envelope
from chassis.testing_live import Place, Publisher, Running, Workshop, event, eventually, running

NOTING = "flaky:Noting"
QUICK = {"VIISIKKO_HEARTBEAT_SECONDS": "2", "VIISIKKO_LEASE_SECONDS": "3"}
TAKE_OVER_SECONDS = 20
"""Two to three heartbeats and a lease, on a machine that has much else to do."""

COUNTED = "thing.counted.kunta.kunta"
THINGS = 20


@pytest.fixture
def quick_place(thing_place: Place, tmp_path: Path) -> Place:
    return replace(thing_place, more={**thing_place.more, **QUICK, "FLAKY": str(tmp_path / "done")})


@contextmanager
def replicas(place: Place) -> Iterator[tuple[Running, Running]]:
    """Two of them; the first takes the messages and leads."""
    with running(NOTING, place) as first:
        eventually(lambda: said(first, "leader.took"), what="the first leads")
        with running(NOTING, place) as second:
            yield first, second


def load(count: int, first: int = 1) -> list[Envelope]:
    return [
        event("thing.made", {"amount": 1}, subject=f"s-{n % THINGS}", sequence=n) for n in range(first, first + count)
    ]


def made(database: Any) -> int:
    return sum(thing["state"]["count"] for thing in database["thing"].find({"_id": {"$regex": "^s-"}}))


def done(place: Place) -> list[str]:
    """Keys of the effects that were done, each as often as it was."""
    file = Path(place.more["FLAKY"])
    return file.read_text().split() if file.exists() else []


def heard_of(listener: Listener) -> dict[str, list[int]]:
    """The counts that were published of each thing, in order, repetitions left out."""
    heard: dict[str, list[int]] = {}
    for one in {one["id"]: one for one in listener.events()}.values():
        heard.setdefault(one["subject"], []).append(one["data"]["count"])
    return heard


def test_where_the_first_is_killed_the_second_takes_messages_timers_and_effects_at_once(
    quick_place: Place, publisher: Publisher, database: Any
) -> None:
    with Listener(quick_place.amqp, COUNTED) as listener, replicas(quick_place) as (first, second):
        publisher.send(*load(400))
        eventually(lambda: made(database) > 0, what="the first batch")

        os.kill(first.pid, signal.SIGKILL)
        publisher.send(
            *load(200, first=401),
            *(event("thing.timed", {"amount": 0}, subject=f"t-{n}") for n in range(5)),
            *(event("thing.worked", {"amount": 1, "text": f"w-{n}"}, subject=f"w-{n}") for n in range(5)),
        )

        eventually(lambda: made(database) >= 600, seconds=TAKE_OVER_SECONDS, what="all 600 events")
        eventually(lambda: database["thing"].count_documents({"state.reminded": 1}) == 5, what="five timers")
        eventually(lambda: database["thing"].count_documents({"state.done": 1}) == 5, what="five effects")
        expected = {f"s-{n}": list(range(1, 31)) for n in range(THINGS)}
        eventually(
            lambda: {s: c for s, c in heard_of(listener).items() if s in expected} == expected,
            what="all that follows, of each thing in its order",
        )
        assert {s: c for s, c in counts(second).items() if s in expected} == dict.fromkeys(expected, 30)
        assert parked(second) == {}


def test_where_the_first_is_frozen_the_second_takes_over_and_the_first_does_nothing_twice_when_it_goes_on(
    quick_place: Place, publisher: Publisher, database: Any
) -> None:
    with Listener(quick_place.amqp, COUNTED) as listener, replicas(quick_place) as (first, second):
        publisher.send(
            *load(400), *(event("thing.worked", {"amount": 1, "text": f"w-{n}"}, subject=f"w-{n}") for n in range(60))
        )
        eventually(lambda: len(done(quick_place)) > 5, what="the first effects")

        with frozen(first.pid):
            publisher.send(
                *load(200, first=401), *(event("thing.timed", {"amount": 0}, subject=f"t-{n}") for n in range(5))
            )
            eventually(lambda: made(database) >= 600, seconds=TAKE_OVER_SECONDS, what="all 600 events")
            eventually(lambda: database["thing"].count_documents({"state.reminded": 1}) == 5, what="five timers")
            eventually(lambda: database["thing"].count_documents({"state.done": 1}) == 60, what="sixty effects")
            eventually(lambda: database["outbox"].count_documents({}) == 0, what="an empty outbox")
        before = listener.times()
        eventually(lambda: said(first, "leader.lost"), what="the first has seen that it does not lead")
        eventually(lambda: len(said(first, "subscriber.ready")) == 2, what="the first stands by again")

        assert listener.times() == before
        # Only the one that it had begun can have been done by both.
        assert len(done(quick_place)) <= 61
        assert heard_of(listener).items() >= {f"s-{n}": list(range(1, 31)) for n in range(THINGS)}.items()
        assert counts(second).items() >= {f"s-{n}": 30 for n in range(THINGS)}.items()
        assert database["thing"].count_documents({"state.reminded": {"$gt": 1}}) == 0
        assert parked(second) == parked(first) == {}


def test_an_effect_that_the_standby_did_meanwhile_is_not_done_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    effects = workshop.floor.duties._effects
    workshop.take(*(event("thing.worked", {"amount": 1}, subject=f"w-{n}") for n in range(3)))
    read_before = effects._due()
    assert effects.run_once() == 3

    monkeypatch.setattr(effects, "_due", lambda: read_before)

    assert effects.run_once() == 0
    assert {workshop.state("thing", f"w-{n}").done for n in range(3)} == {1}
