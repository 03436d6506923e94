"""A path: offerings in the order of time that together cover the most of a gap (domain.md, Matching).

Greedy: the step that adds the most is taken, until nothing adds enough or a limit is reached. A greedy choice covers
at least 63 % of what the best one could, since what a further step adds only ever shrinks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from catalogue.domain import Offering
from catalogue.fit import missing_requirements
from catalogue.plans import Plan

MAX_STEPS = 4
LEAST_GAIN = 0.1
"""Weighted gap that a further step must add; an essential skill weighs 1."""

LOAD = 2
"""How much one can study at once: two courses, or one whole qualification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An offering that a path may hold.

    Attributes:
        id: Its id.
        offering: The offering.
        covers: Position of a gap → how far it is covered.
        fit: How well it fits the client's wishes.
    """

    id: str
    offering: Offering
    covers: Mapping[int, float]
    fit: float

    @property
    def load(self) -> int:
        """How much of the client's time it takes while it lasts; nothing where it can be done at any time."""
        if self.offering.ends is None:
            return 0
        return LOAD if self.offering.kind.is_degree else 1


@dataclass(frozen=True, slots=True)
class Placed:
    """A step with the days that it lasts."""

    begins: date
    ends: date
    step: Step


def choose_path(steps: Sequence[Step], plan: Plan, today: date) -> tuple[str, ...]:
    """Ids of the chosen offerings, in the order of time."""
    path: list[Placed] = []
    covered: dict[int, float] = {}
    while len(path) < MAX_STEPS:
        placed = _best(steps, path, covered, plan, today)
        if placed is None:
            break
        path.append(placed)
        for place, strength in placed.step.covers.items():
            covered[place] = max(strength, covered.get(place, 0.0))
    return tuple(one.step.id for one in sorted(path, key=lambda one: (one.begins, one.ends, one.step.id)))


def _best(
    steps: Sequence[Step], path: Sequence[Placed], covered: Mapping[int, float], plan: Plan, today: date
) -> Placed | None:
    gains = [(_gain(step, covered, plan), step) for step in steps]
    worth = [(-gain * step.fit, step.id, step) for gain, step in gains if gain >= LEAST_GAIN]
    for _worth, _id, step in sorted(worth, key=lambda one: one[:2]):
        placed = _place(step, path, plan, today)
        if placed is not None:
            return placed
    return None


def _gain(step: Step, covered: Mapping[int, float], plan: Plan) -> float:
    return sum(
        plan.gaps[place].weight * max(0.0, strength - covered.get(place, 0.0))
        for place, strength in step.covers.items()
    )


def _place(step: Step, path: Sequence[Placed], plan: Plan, today: date) -> Placed | None:
    if any(placed.step.id == step.id for placed in path) or not _affordable(step, path, plan):
        return None
    ready = _ready(step, path, plan, today)
    if ready is None:
        return None
    placed = _dated(step, ready, today)
    return placed if placed and _load_at(placed, path) + step.load <= LOAD else None


def _affordable(step: Step, path: Sequence[Placed], plan: Plan) -> bool:
    most = plan.wishes.max_price
    prices = [one.offering.price or Decimal(0) for one in (step, *(placed.step for placed in path))]
    return most is None or sum(prices) <= most


def _ready(step: Step, path: Sequence[Placed], plan: Plan, today: date) -> date | None:
    """The first day by which all that the step requires is learnt; None where nothing in the path teaches it."""
    ready = today
    for skill in missing_requirements(step.offering, plan.confirmed):
        taught = [placed.ends for placed in path if skill in placed.step.offering.skills]
        if not taught:
            return None
        ready = max(ready, min(taught) + timedelta(days=1))
    return ready


def _dated(step: Step, ready: date, today: date) -> Placed | None:
    starts, ends = step.offering.starts, step.offering.ends
    if starts is not None and starts >= today and not step.offering.enrolment.continuous:
        return Placed(starts, ends or starts, step) if starts >= ready else None
    begins = max(ready, starts or ready)
    return Placed(begins, max(begins, ends or begins), step)


def _load_at(new: Placed, path: Sequence[Placed]) -> int:
    # Whoever is under way on the first day of an overlap counts; overlaps of intervals begin where one of them begins.
    begins = [new.begins, *(one.begins for one in path if new.begins <= one.begins <= new.ends)]
    return max(sum(one.step.load for one in path if one.begins <= day <= one.ends) for day in begins)
