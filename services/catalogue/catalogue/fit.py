"""How well an offering fits what a client wishes for (domain.md, Matching), with a reason for each wish.

Each rule gives a factor and at most one reason. What speaks against an offering lowers it and is said; nothing but a
closed door hides it, since a wish may be weighed anew when there is something to choose from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from math import prod
from typing import TypeAlias

from catalogue import places
from catalogue.domain import Enrolment, Mode, Offering
from catalogue.plans import EmploymentEffect, Plan, Reason

Judged: TypeAlias = tuple[float, Reason | None]

NEUTRAL: Judged = (1.0, None)

MOST = 1.1 * 1.05 * 1.05
"""The best that an offering can fit: near, free, and of the wished kind."""

AGAINST = frozenset(
    {"far", "other-mode", "other-time", "other-language", "over-price", "starts-late", "needs-first", "ask-enrolment"}
)
"""Codes of the reasons that speak against an offering."""


def fit(offering: Offering, plan: Plan, today: date) -> tuple[float, tuple[Reason, ...]]:
    """How well an offering fits: a factor of up to `MOST`, and the reasons, those against it last."""
    judged = [rule(offering, plan, today) for rule in RULES]
    reasons = [reason for _factor, reason in judged if reason is not None]
    reasons.sort(key=lambda reason: reason.code in AGAINST)
    return prod(factor for factor, _reason in judged), tuple(reasons)


def _place(offering: Offering, plan: Plan, _today: date) -> Judged:
    if Mode.ONLINE in offering.modes:
        return 1.0, Reason(code="online")
    at = places.municipality(offering.place.municipality)
    if at is None or not plan.places:
        return 0.9, None
    parameters = {"municipality": at.code, "names": dict(at.names)}
    if any(places.municipality(wished) == at for wished in plan.places):
        return 1.1, Reason(code="near", parameters=parameters)
    if any(places.same_region(wished, at.code) for wished in plan.places):
        return 0.85, Reason(code="in-region", parameters=parameters)
    return 0.3, Reason(code="far", parameters=parameters)


def _mode(offering: Offering, plan: Plan, _today: date) -> Judged:
    return _wished(plan.wishes.modes, offering.modes, "mode", 0.7)


def _time(offering: Offering, plan: Plan, _today: date) -> Judged:
    return _wished(plan.wishes.times, offering.times, "time", 0.8)


def _language(offering: Offering, plan: Plan, _today: date) -> Judged:
    factor, reason = _wished(plan.wishes.languages or (plan.language,), offering.languages, "language", 0.4)
    # That studies are in the client's own language goes without saying, unless somebody asked.
    said = reason is not None and (plan.wishes.languages or reason.code == "other-language")
    return factor, reason if said else None


def _wished(wishes: Sequence[str], has: Sequence[str], what: str, factor: float) -> Judged:
    if not wishes or not has:
        return NEUTRAL
    both = [str(one) for one in has if one in wishes]
    if both:
        return 1.0, Reason(code=f"{what}-fits", parameters={"values": both})
    return factor, Reason(code=f"other-{what}", parameters={"values": [str(one) for one in has]})


def _price(offering: Offering, plan: Plan, _today: date) -> Judged:
    price, most = offering.price, plan.wishes.max_price
    if price is None:
        return NEUTRAL
    if price == 0:
        return 1.05, Reason(code="free")
    parameters = {"price": str(price)}
    if most is not None and price > most:
        return 0.5, Reason(code="over-price", parameters=parameters)
    return 1.0, Reason(code="price" if most is None else "within-price", parameters=parameters)


def _start(offering: Offering, plan: Plan, today: date) -> Judged:
    starts, latest = offering.starts, plan.wishes.starts_by
    if starts is None or starts < today:
        return 1.0, Reason(code="flexible-start") if offering.enrolment.continuous else None
    parameters = {"date": starts.isoformat()}
    if latest is None:
        return 1.0, Reason(code="starts", parameters=parameters)
    if starts <= latest or offering.enrolment.continuous:
        return 1.0, Reason(code="starts-in-time", parameters=parameters)
    return 0.6, Reason(code="starts-late", parameters=parameters)


def _enrolment(offering: Offering, _plan: Plan, today: date) -> Judged:
    reason = _enrolment_reason(offering.enrolment, today)
    return (1.0 if reason.code != "ask-enrolment" else 0.95), reason


def _enrolment_reason(enrolment: Enrolment, today: date) -> Reason:
    if enrolment.opens is not None and enrolment.opens > today:
        return Reason(code="enrolment-from", parameters={"date": enrolment.opens.isoformat()})
    if enrolment.continuous:
        return Reason(code="enrolment-continuous")
    if enrolment.closes is not None:
        return Reason(code="enrolment-until", parameters={"date": enrolment.closes.isoformat()})
    return Reason(code="ask-enrolment")


def _kind(offering: Offering, plan: Plan, _today: date) -> Judged:
    effect = plan.wishes.employment_effect
    if effect is None:
        return NEUTRAL
    if effect is EmploymentEffect.IN_STUDY:
        return (1.05, Reason(code="qualification")) if offering.kind.is_degree else NEUTRAL
    return (0.85, None) if offering.kind.is_degree else (1.0, Reason(code="short"))


def _requirements(offering: Offering, plan: Plan, _today: date) -> Judged:
    missing = list(missing_requirements(offering, plan.confirmed))
    if not missing:
        return NEUTRAL
    labels = [dict(gap.labels) for gap in plan.gaps if gap.skill in missing and gap.labels]
    # One of them is enough for a sentence; who wants all looks at the offering.
    return 0.6, Reason(code="needs-first", parameters={"labels": labels[:1]})


def missing_requirements(offering: Offering, have: Sequence[str]) -> Iterator[str]:
    """The skills that an offering requires beyond those that one has."""
    return (skill for skill in offering.requires if skill not in have)


RULES: Sequence[Callable[[Offering, Plan, date], Judged]] = (
    _place,
    _mode,
    _time,
    _language,
    _price,
    _start,
    _enrolment,
    _kind,
    _requirements,
)
