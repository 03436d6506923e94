"""Relay, timers and effects in their green threads: none of them ends before its service does."""

from __future__ import annotations

import eventlet
import pytest
from pymongo.errors import AutoReconnect

from chassis.duties import Wake
from chassis.testing_live import Workshop


@pytest.mark.parametrize("place", ["step", "wait"])
def test_a_time_limit_ends_no_duty(workshop: Workshop, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    duties, steps = workshop.floor.duties, []
    monkeypatch.setattr("chassis.duties.RETRY_SECONDS", 0.001)

    def step() -> float:
        steps.append(True)
        duties._running = len(steps) < 3
        if place == "step":
            raise eventlet.Timeout(None)
        # What an adapter forgets to cancel strikes while the thread waits.
        eventlet.Timeout(0.001)
        return 0.05

    duties._running = True
    eventlet.spawn(duties._loop, step, Wake()).wait()

    assert len(steps) == 3


def test_a_step_that_has_nothing_to_do_says_nothing_of_a_store_that_is_away(workshop: Workshop) -> None:
    floor = workshop.floor
    floor.store.gone(AutoReconnect())

    floor.duties._stepped(floor.duties._timers_step)
    idle = floor.store.away
    floor._measure()

    assert (idle, floor.store.away) == (True, False)
