"""Relay, timers and effects in their green threads: none of them ends before its service does."""

from __future__ import annotations

import eventlet
import pytest

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
