"""Relay, timers and effects in their green threads: none of them ends before its service does."""

from __future__ import annotations

from functools import partial

import eventlet
import pytest
from pymongo.errors import AutoReconnect

from chassis.duties import _Duty
from chassis.testing_live import Workshop


@pytest.mark.parametrize("place", ["step", "wait"])
def test_a_time_limit_ends_no_duty(workshop: Workshop, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    monkeypatch.setattr("chassis.duties.RETRY_SECONDS", 0.001)

    def step() -> float:
        steps.append(True)
        duty._running = len(steps) < 3
        if place == "step":
            raise eventlet.Timeout(None)
        # What an adapter forgets to cancel strikes while the thread waits.
        eventlet.Timeout(0.001)
        return 0.05

    duty = _Duty(partial(workshop.floor.duties._stepped, step))
    duty.start()
    assert duty._thread is not None
    duty._thread.wait()

    assert len(steps) == 3


def test_a_step_that_has_nothing_to_do_says_nothing_of_a_store_that_is_away(workshop: Workshop) -> None:
    floor = workshop.floor
    floor.store.gone(AutoReconnect())

    floor.duties._stepped(floor.duties._timers_step)
    idle = floor.store.away
    floor._measure()

    assert (idle, floor.store.away) == (True, False)
