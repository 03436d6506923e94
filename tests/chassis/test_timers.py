"""Timers in a service: once across replicas and kills, in order after an outage, by the clock that is set."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from listener import Listener
from process import SERVICE, said, settled

from chassis.clock import set_offset
from chassis.testing_live import Place, Publisher, event, eventually, running
from chassis.timers import AT_ONCE

COUNTED = "thing.counted.kunta.kunta"
DAY = timedelta(days=1)


@pytest.fixture
def listener(thing_place: Place) -> Iterator[Listener]:
    with Listener(thing_place.amqp, COUNTED) as made:
        yield made


def move_clock(place: Place, by: timedelta) -> None:
    set_offset(place.folder / "clock", by)


def reminded(database: Any) -> dict[int, int]:
    """How many things were reminded how often."""
    return Counter(thing["state"]["reminded"] for thing in database["thing"].find())


def in_days(days: int, subject: str) -> Any:
    return event("thing.timed", {"amount": days}, subject=subject)


def test_each_fires_once_though_the_replica_that_fires_them_is_killed(
    thing_place: Place, publisher: Publisher, database: Any, listener: Listener
) -> None:
    place = replace(thing_place, more={**thing_place.more, "VIISIKKO_LEASE_SECONDS": "2"})
    count = 3 * AT_ONCE
    with running(SERVICE, place) as first, running(SERVICE, place) as second:
        eventually(lambda: said(first, "leader.took"), what="the first leads")
        publisher.send(*(in_days(1, f"t-{n}") for n in range(count)))
        eventually(lambda: database["thing"].count_documents({}) == count, what="all timers set")

        move_clock(place, 2 * DAY)
        eventually(lambda: reminded(database)[1] > 0, what="the first timers")
        os.kill(first.pid, signal.SIGKILL)

        eventually(lambda: reminded(database) == {1: count}, what="all timers")
        eventually(lambda: len(listener.times()) == count, what="what follows from each")
        assert settled(second)["duplicate"] == 0
    assert Counter(one["subject"] for one in {e["id"]: e for e in listener.events()}.values()) == Counter(
        f"t-{n}" for n in range(count)
    )


def test_after_an_outage_they_catch_up_in_the_order_in_which_they_were_due(
    thing_place: Place, publisher: Publisher, database: Any, listener: Listener
) -> None:
    days = list(range(1, AT_ONCE + 50))
    random.Random(7).shuffle(days)
    with running(SERVICE, thing_place):
        publisher.send(*(in_days(day, f"t-{day}") for day in days))
        eventually(lambda: database["thing"].count_documents({}) == len(days), what="all timers set")

    move_clock(thing_place, timedelta(days=len(days) + 1))
    with running(SERVICE, thing_place):
        eventually(lambda: reminded(database) == {1: len(days)}, what="all timers")
        eventually(lambda: len(listener.events()) >= len(days), what="what follows from each")

    assert [one["subject"] for one in listener.events()] == [f"t-{day}" for day in sorted(days)]


def test_they_go_by_the_clock_that_is_set_and_a_step_back_fires_none_again(
    thing_place: Place, publisher: Publisher, database: Any, listener: Listener
) -> None:
    with running(SERVICE, thing_place):
        publisher.send(in_days(1, "first"))
        eventually(lambda: reminded(database) == {0: 1}, what="the timer set")
        move_clock(thing_place, 2 * DAY)
        eventually(lambda: reminded(database) == {1: 1}, what="the first timer")

        move_clock(thing_place, -2 * DAY)
        publisher.send(in_days(1, "second"), event("thing.worked", {"amount": 1}, subject="worked"))
        # The effect shows that the duties go on by the clock that was stepped back.
        eventually(lambda: database["thing"].find_one({"_id": "worked", "state.done": 1}), what="the effect")
        before = reminded(database)
        move_clock(thing_place, timedelta())
        eventually(lambda: database["thing"].find_one({"_id": "second", "state.reminded": 1}), what="the second timer")

        assert before == {1: 1, 0: 2}
        assert reminded(database) == {1: 2, 0: 1}
        assert [one["subject"] for one in listener.events()] == ["first", "second"]
