"""The floor: what it opens with is tried until it succeeds, and what hangs or fails shows in its readiness."""

from __future__ import annotations

from dataclasses import replace

import eventlet
import pytest
from thing import Things

from chassis import floor as floors
from chassis.testing_live import Place, Workshop, event


def test_what_fails_at_the_start_is_tried_again(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "RETRY_SECONDS", 0)
    tries = []

    def step() -> None:
        tries.append(True)
        if len(tries) < 3:
            raise RuntimeError("a service's own code")

    workshop.floor._until_done(step)

    assert len(tries) == 3


def test_commands_wait_until_what_decisions_read_is_loaded(workshop: Workshop) -> None:
    floor = workshop.floor
    floor._opened = True
    before = floor.is_behind()

    floor.projections["counts"].load()

    assert (before, floor.is_behind()) == (True, False)


@pytest.mark.parametrize(
    ("setting", "value", "full"),
    [("OUTBOX_LIMIT", "1", True), ("OUTBOX_LIMIT", "2", False), ("OUTBOX_SECONDS", "60", True)],
)
def test_an_outbox_that_is_long_or_old_is_full(offline_place: Place, setting: str, value: str, *, full: bool) -> None:
    made = Workshop(Things, replace(offline_place, more={f"VIISIKKO_{setting}": value}))
    for amount in range(2):
        made.take(event("thing.made", {"amount": amount}))
    (offline_place.folder / "clock").write_text("61")

    made.floor._measure()

    assert made.floor.is_full() is full
    made.close()


def test_a_measurement_that_fails_ends_nothing(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_now: object) -> int:
        raise RuntimeError("a programming error")

    monkeypatch.setattr(workshop.floor._outbox, "measure", fail)

    workshop.floor._measure()

    assert workshop.floor.ready()["store"] is False


def test_a_store_that_has_not_answered_for_long_is_not_ready(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.floor._measure()
    before = workshop.floor.ready()["store"]

    monkeypatch.setattr(floors, "STALE_SECONDS", -1)

    assert (before, workshop.floor.ready()["store"]) == (True, False)


def test_a_projection_that_fails_undoes_nothing_that_is_committed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_id: str, _thing: object) -> int:
        raise RuntimeError("a programming error")

    monkeypatch.setattr(workshop.floor.projections["counts"], "_project", fail)

    outcome = workshop.order("make", {"amount": 3})

    assert (outcome.settled, outcome.created) == ("applied", True)


def test_what_follows_the_store_has_let_go_of_it_before_it_is_closed(workshop: Workshop) -> None:
    floor, last_words = workshop.floor, []

    def follow() -> None:
        try:
            eventlet.sleep(60)
        finally:
            eventlet.sleep(0.01)
            last_words.append(floor.home.database.command("ping")["ok"])

    floor._follow(follow)
    eventlet.sleep(0)
    floor.close()

    assert last_words == [1.0]
