"""The comparison of ledger and stores, on stores made by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from chaos import plan
from chaos.found import Found
from chaos.plan import Kind
from chaos.posts import CANCELS, Writer, amount, identifier
from chaos.verdict import Verdict, compare, places_of

PLAN = plan.make(7, 500)
WRITER = Writer(PLAN, datetime(2026, 11, 24, tzinfo=UTC))
CONFIRMED = Counter(range(PLAN.events))


def of_kind(kind: Kind) -> list[int]:
    return [n for n in range(PLAN.events) if PLAN.kind(n) is kind]


def as_promised() -> Found:
    """Stores in which everything is as it should be."""
    applied: dict[str, Counter[int]] = defaultdict(Counter)
    values: dict[str, Any] = {}
    for number in range(PLAN.events):
        for place in places_of(PLAN, number):
            applied[place][number] = 1
    for number in (*of_kind(Kind.DEPOSIT), *of_kind(Kind.COMMAND)):
        total = f"total {WRITER.account(number)}"
        values[total] = values.get(total, 0) + amount(number)
    values |= {f"level {WRITER.level(n)}": n for n in of_kind(Kind.LEVEL)}
    values |= {f"referral kunta/{n}": "requested" for n in of_kind(Kind.REFERRAL)}
    values |= {f"referral kunta/{n - CANCELS}": "cancelled" for n in of_kind(Kind.CANCEL)}
    values |= {"last said of a1": 5, "last heard of a1": 5}
    parked = {
        place: (queue, str(reason), identifier(PLAN, number))
        for number in of_kind(Kind.BAD)
        for place, (queue, reason) in WRITER.post(number).places().items()
    }
    return Found(applied, parked, values)


def judge(found: Found, *, confirmed: Counter[int] = CONFIRMED, stuck: tuple[str, ...] = ()) -> Verdict:
    return compare(PLAN, WRITER, confirmed, found, stuck)


def test_stores_as_promised_keep_the_promise_and_say_so_in_one_line() -> None:
    verdict = judge(as_promised())

    bad = len(of_kind(Kind.BAD))
    assert verdict.holds
    assert verdict.line == (
        "chaos seed 7: 500 events · faults 8 of 8 kinds · "
        f"lost 0 · applied twice 0 · stuck 0 · bad {bad} → parked {bad}"
    )


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.BAD])
def test_an_effect_that_is_nowhere_is_lost_whichever_hop_lost_it(kind: Kind) -> None:
    number = of_kind(kind)[0]
    for place in places_of(PLAN, number):
        found = as_promised()
        del found.applied[place][number]

        verdict = judge(found)

        assert not verdict.holds
        assert [(o.what, o.number, o.text) for o in verdict.offences] == [("lost", number, f"is not {place}")]
        assert "lost 1 · applied twice 0" in verdict.line


def test_an_event_lost_at_two_hops_is_one_lost_event() -> None:
    number = of_kind(Kind.DEPOSIT)[0]
    found = as_promised()
    for place in ("deposited", "passed"):
        del found.applied[place][number]

    assert "lost 1 ·" in judge(found).line


def test_an_effect_that_is_there_twice_is_applied_twice() -> None:
    number = of_kind(Kind.REMINDER)[0]
    found = as_promised()
    found.applied["rang"][number] = 2

    verdict = judge(found)

    assert not verdict.holds
    assert verdict.catches
    assert "lost 0 · applied twice 1 · stuck 0" in verdict.line


def test_what_was_not_finished_and_what_was_never_confirmed_is_stuck() -> None:
    never = Counter(CONFIRMED)
    del never[of_kind(Kind.NOTE)[0]]

    verdict = judge(as_promised(), confirmed=never, stuck=("3 in kunta.first",))

    assert not verdict.holds
    assert not verdict.catches
    assert "stuck 2" in verdict.line


def test_a_bad_event_that_one_of_its_queues_has_not_parked_is_missed() -> None:
    two = next(n for n in of_kind(Kind.BAD) if len(WRITER.post(n).places()) == 2)
    found = as_promised()
    parked = dict(found.parked)
    del parked[next(iter(WRITER.post(two).places()))]

    verdict = judge(replace(found, parked=parked))

    bad = len(of_kind(Kind.BAD))
    assert not verdict.holds
    assert verdict.line.endswith(f"bad {bad} → parked {bad - 1}")


def test_a_bad_event_parked_with_another_reason_is_missed() -> None:
    found = as_promised()
    place, (queue, _reason, event) = next(iter(found.parked.items()))

    verdict = judge(replace(found, parked={**found.parked, place: (queue, "crashed", event)}))

    bad = len(of_kind(Kind.BAD))
    assert not verdict.holds
    assert verdict.line.endswith(f"bad {bad} → parked {bad - 1}")


def test_a_good_event_that_was_parked_breaks_the_promise_and_is_named() -> None:
    number = of_kind(Kind.DEPOSIT)[0]
    found = as_promised()
    parked = {**found.parked, "elsewhere": ("kunta.first", "schema", identifier(PLAN, number))}

    verdict = judge(replace(found, parked=parked))

    assert not verdict.holds
    assert [(o.what, o.number) for o in verdict.offences] == [("parked", number)]


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        (f"level {WRITER.level(of_kind(Kind.LEVEL)[0])}", -1, "lost"),
        (f"total {WRITER.account(of_kind(Kind.DEPOSIT)[0])}", 0, "lost"),
        (f"total {WRITER.account(of_kind(Kind.DEPOSIT)[0])}", 10**6, "twice"),
        ("last heard of a1", 4, "lost"),
        (f"referral kunta/{of_kind(Kind.CANCEL)[0] - CANCELS}", "requested", "lost"),
    ],
)
def test_a_value_that_is_not_what_was_said_last_breaks_the_promise(name: str, value: object, what: str) -> None:
    found = as_promised()

    verdict = judge(replace(found, values={**found.values, name: value}))

    assert [offence.what for offence in verdict.offences] == [what]
    assert name in verdict.offences[0].text
