"""A path across schools: in the order of time, within money and time, prerequisites first."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from catalogue_examples import SKILL, TODAY, gap, index, offering, plan

from catalogue.domain import Enrolment, Kind, Offering
from catalogue.matching import match
from catalogue.plans import Plan, Wishes

A, B, C = (f"{SKILL}{letter}" for letter in "abc")
SPRING = {"starts": date(2027, 1, 11), "ends": date(2027, 3, 31), "enrolment": Enrolment(closes=date(2027, 1, 4))}
SUMMER = {"starts": date(2027, 5, 3), "ends": date(2027, 7, 31), "enrolment": Enrolment(closes=date(2027, 4, 1))}


def path(wanted: Plan, **offerings: Offering) -> list[str]:
    return [identifier.partition(".")[2] for identifier in match(wanted, index(**offerings), TODAY).path]


def wanted(*skills: str, **fields: Any) -> Plan:
    return plan(*(gap(skill, labels={}) for skill in skills), **fields)


def test_offerings_of_several_schools_follow_each_other_in_time() -> None:
    found = path(
        wanted(A, B),
        later=offering(skills=(A,), **SUMMER),
        sooner=offering(skills=(B,), provider="opisto", **SPRING),
    )

    assert found == ["sooner", "later"]


def test_what_adds_nothing_is_left_out() -> None:
    found = path(wanted(A), one=offering(skills=(A,)), same=offering(skills=(A,)))

    assert found == ["one"]


def test_the_whole_path_stays_within_the_money() -> None:
    wishes = Wishes(max_price=Decimal(100))

    found = path(
        wanted(A, B, wishes=wishes),
        a=offering(skills=(A,), price=Decimal(60)),
        b=offering(skills=(B,), price=Decimal(60)),
    )

    assert len(found) == 1


def test_a_prerequisite_comes_before_what_requires_it() -> None:
    found = path(
        wanted(A, B),
        first=offering(skills=(A,), **SPRING),
        second=offering(skills=(B,), requires=(A,), **SUMMER),
    )

    assert found == ["first", "second"]


def test_what_would_begin_before_its_prerequisite_ends_is_left_out() -> None:
    found = path(
        wanted(A, B),
        first=offering(skills=(A,), **SUMMER),
        second=offering(skills=(B,), requires=(A,), **SPRING),
    )

    assert found == ["first"]


def test_a_flexible_start_waits_for_its_prerequisite() -> None:
    found = path(
        wanted(A, B),
        any_time=offering(skills=(B,), requires=(A,)),
        first=offering(skills=(A,), **SPRING),
    )

    assert found == ["first", "any_time"]


def test_not_more_is_studied_at_once_than_one_can() -> None:
    found = path(
        wanted(A, B),
        degree=offering(skills=(A,), kind=Kind.AMM, **SPRING),
        course=offering(skills=(B,), kind=Kind.LIBERAL, **SPRING),
    )

    assert len(found) == 1


def test_two_courses_may_run_side_by_side_but_not_three() -> None:
    same_time = {name: offering(skills=(skill,), **SPRING) for name, skill in zip("abc", (A, B, C), strict=True)}

    assert len(path(wanted(A, B, C), **same_time)) == 2


def test_what_can_be_done_at_any_time_stands_in_nobodys_way() -> None:
    any_time = {name: offering(skills=(skill,)) for name, skill in zip("abc", (A, B, C), strict=True)}

    assert path(wanted(A, B, C), **any_time) == ["a", "b", "c"]
