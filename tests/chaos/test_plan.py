"""What is played: the same for the same seed, and with all that a run needs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from chaos import plan
from chaos.plan import ALWAYS, Disturbance, Kind
from chaos.posts import Writer

SEEDS = range(8)
BEGAN = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_plays_the_same_events_in_the_same_order_and_the_same_faults(seed: int) -> None:
    one, other = plan.make(seed, 1000), plan.make(seed, 1000)

    assert one == other
    assert list(one.order()) == list(other.order())
    assert [Writer(one, BEGAN).post(n) for n in range(1000)] == [Writer(other, BEGAN).post(n) for n in range(1000)]


def test_another_seed_plays_another_run() -> None:
    one, other = plan.make(1, 1000), plan.make(2, 1000)

    assert one.faults != other.faults
    assert list(one.order()) != list(other.order())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_event_is_sent_and_only_those_of_a_stretch_of_duplicates_are_sent_twice(seed: int) -> None:
    made = plan.make(seed, 1000)

    sent = Counter(made.order())

    assert set(sent) == set(range(1000))
    doubled = [s for s in made.stretches if s.disturbance is Disturbance.DUPLICATE]
    assert {n for n, times in sent.items() if times == 2} == {n for s in doubled for n in range(s.start, s.end)}
    assert max(sent.values()) == 2


@pytest.mark.parametrize("events", [500, 1000, 10_000])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_run_has_the_faults_that_show_each_way_to_break_the_promise(seed: int, events: int) -> None:
    made = plan.make(seed, events)

    assert set(ALWAYS) <= {fault.blow for fault in made.faults}
    assert {stretch.disturbance for stretch in made.stretches} == set(Disturbance)
    assert [fault.position for fault in made.faults] == sorted(fault.position for fault in made.faults)
    assert 0 < made.faults[0].position < made.faults[-1].position < events


@pytest.mark.parametrize("seed", SEEDS)
def test_stretches_lie_apart_and_each_event_knows_its_own(seed: int) -> None:
    made = plan.make(seed, 10_000)

    for stretch, following in zip(made.stretches, made.stretches[1:], strict=False):
        assert stretch.end <= following.start
    for stretch in made.stretches:
        assert {made._disturbed(n) for n in range(stretch.start, stretch.end)} == {stretch.disturbance}


@pytest.mark.parametrize("seed", [7, 8])
def test_there_are_bad_events_of_many_reasons_and_each_has_a_place_of_its_own(seed: int) -> None:
    made = plan.make(seed, 10_000)
    writer = Writer(made, BEGAN)
    bad = [n for n in range(made.events) if made.kind(n) is Kind.BAD]

    places = [writer.post(n).places() for n in bad]

    assert len({place for found in places for place in found}) == sum(len(found) for found in places)
    assert len({reason for found in places for _queue, reason in found.values()}) >= 10


def test_a_run_that_is_too_small_for_its_faults_is_refused() -> None:
    with pytest.raises(ValueError, match="EVENTS must be at least 500"):
        plan.make(7, 100)
