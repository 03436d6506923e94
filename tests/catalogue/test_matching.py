"""Which offerings are suggested, in which order, and why."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from catalogue_examples import SKILL, TODAY, WELDING, gap, index, offering, plan

from catalogue import events
from catalogue.domain import Enrolment, Kind, Mode, Offering, Place, Time
from catalogue.matching import MAX_SUGGESTIONS, match
from catalogue.plans import Answer, EmploymentEffect, Plan, Wishes

SAFETY = f"{SKILL}safety"
TOMORROW = TODAY + timedelta(days=1)
YESTERDAY = TODAY - timedelta(days=1)


def answer(wanted: Plan, **offerings: Offering) -> Answer:
    return match(wanted, index(**offerings), TODAY)


def order(found: Answer) -> list[str]:
    return [one.offering.partition(".")[2] for one in found.suggestions]


def codes(found: Answer, place: int = 0) -> list[str]:
    return [reason.code for reason in found.suggestions[place].reasons]


@pytest.mark.parametrize(
    "closed",
    [
        {"withdrawn": True},
        {"capacity": 0},
        {"fresh_until": YESTERDAY},
        {"enrolment": Enrolment(closes=YESTERDAY)},
        {"ends": YESTERDAY, "enrolment": Enrolment(continuous=True)},
        {"starts": YESTERDAY, "enrolment": Enrolment()},
    ],
)
def test_what_nobody_can_get_into_is_not_suggested(closed: dict[str, Any]) -> None:
    found = answer(plan(), a=offering(**closed))

    assert found.suggestions == ()
    assert found.uncovered == (WELDING,)


@pytest.mark.parametrize(
    "still_open",
    [
        {"capacity": 1},
        {"fresh_until": TODAY},
        {"enrolment": Enrolment(closes=TODAY)},
        {"enrolment": Enrolment(opens=TOMORROW, closes=TOMORROW)},
        {"starts": YESTERDAY, "enrolment": Enrolment(continuous=True)},
        {"starts": YESTERDAY, "ends": TODAY, "enrolment": Enrolment(closes=TOMORROW)},
        {"starts": TODAY, "enrolment": Enrolment()},
    ],
)
def test_what_somebody_can_still_get_into_is_suggested(still_open: dict[str, Any]) -> None:
    found = answer(plan(), a=offering(**still_open))

    assert order(found) == ["a"]
    assert found.uncovered == ()


def test_naming_the_skill_counts_more_than_speaking_of_it() -> None:
    found = answer(plan(), words=offering(skills=()), named=offering(names={"fi": "Tulityöt"}))

    assert order(found) == ["named", "words"]
    assert codes(found, 0)[0] == "covers"
    assert codes(found, 1)[0] == "speaks-of"


def test_words_meet_in_any_of_the_three_languages() -> None:
    found = answer(plan(), a=offering(names={"en": "Welding for beginners"}, skills=()))

    assert order(found) == ["a"]


def test_heavier_gaps_come_first() -> None:
    wanted = plan(gap(SAFETY, weight=0.3, labels={}), gap(WELDING, weight=1.0))

    found = answer(wanted, light=offering(skills=(SAFETY,), names={"fi": "x"}), heavy=offering())

    assert order(found) == ["heavy", "light"]
    assert found.suggestions[0].covers == (WELDING,)


def test_more_gaps_covered_come_first() -> None:
    wanted = plan(gap(WELDING), gap(SAFETY, labels={}))

    found = answer(wanted, one=offering(), both=offering(skills=(WELDING, SAFETY)))

    assert order(found) == ["both", "one"]


@pytest.mark.parametrize(
    ("wishes", "better", "worse", "good", "bad"),
    [
        ({}, {}, {"place": Place(municipality="145")}, "near", "in-region"),
        ({}, {"place": Place(municipality="145")}, {"place": Place(municipality="091")}, "in-region", "far"),
        ({"places": ("091",)}, {"place": Place(municipality="091")}, {}, "near", "far"),
        ({}, {"modes": (Mode.ONLINE,)}, {"place": Place(municipality="091")}, "online", "far"),
        ({"modes": (Mode.ON_SITE,)}, {"modes": (Mode.ON_SITE,)}, {"modes": (Mode.ONLINE,)}, "mode-fits", "other-mode"),
        ({"times": (Time.EVENING,)}, {"times": (Time.EVENING,)}, {"times": (Time.DAY,)}, "time-fits", "other-time"),
        ({"languages": ("sv",)}, {"languages": ("sv",)}, {"languages": ("fi",)}, "language-fits", "other-language"),
        ({}, {"languages": ("fi",)}, {"languages": ("en",)}, "near", "other-language"),
        ({"max_price": Decimal(100)}, {"price": Decimal(90)}, {"price": Decimal(110)}, "within-price", "over-price"),
        ({}, {"price": Decimal(0)}, {"price": Decimal(90)}, "free", "price"),
        (
            {"starts_by": date(2027, 2, 1)},
            {"starts": date(2027, 1, 11), "enrolment": Enrolment(closes=TOMORROW)},
            {"starts": date(2027, 3, 1), "enrolment": Enrolment(closes=TOMORROW)},
            "starts-in-time",
            "starts-late",
        ),
        (
            {"employment_effect": EmploymentEffect.IN_STUDY},
            {"kind": Kind.AMM},
            {"kind": Kind.LIBERAL},
            "qualification",
            None,
        ),
        ({"employment_effect": EmploymentEffect.EMPLOYED}, {"kind": Kind.LIBERAL}, {"kind": Kind.AMM}, "short", None),
        ({}, {}, {"requires": (SAFETY,)}, "near", "needs-first"),
        ({}, {}, {"enrolment": Enrolment()}, "enrolment-continuous", "ask-enrolment"),
    ],
)
def test_wishes_decide_between_offerings_that_cover_the_same(
    wishes: dict[str, Any], better: dict[str, Any], worse: dict[str, Any], good: str, bad: str | None
) -> None:
    found = answer(plan(wishes=Wishes(**wishes)), a_worse=offering(**worse), b_better=offering(**better))

    assert order(found) == ["b_better", "a_worse"]
    assert good in codes(found, 0)
    assert bad is None or bad in codes(found, 1)


def test_a_skill_that_is_confirmed_may_be_required() -> None:
    found = answer(plan(confirmed=(SAFETY,)), a=offering(requires=(SAFETY,)))

    assert "needs-first" not in codes(found)


def test_a_client_under_non_disclosure_gets_suggestions_without_a_place_to_compare() -> None:
    found = answer(plan(municipality=None), a=offering())

    assert not {"near", "in-region", "far"} & set(codes(found))


def test_a_merged_municipality_counts_as_the_one_of_today() -> None:
    found = answer(plan(municipality="544"), a=offering(place=Place(municipality="743")))

    assert "near" in codes(found)


def test_ten_suggestions_at_the_most_and_not_all_of_one_provider() -> None:
    many = {f"sedu{n:02}": offering() for n in range(30)}
    few = {f"opisto{n}": offering(provider="opisto", price=Decimal(50)) for n in range(5)}

    found = match(plan(), index(**many, **few), TODAY)

    providers = [one.provider for one in found.suggestions]
    assert len(providers) == MAX_SUGGESTIONS
    assert set(providers[:2]) == {"sedu", "opisto"}
    assert providers.count("opisto") >= 3


def test_what_is_far_behind_the_best_is_left_out() -> None:
    gaps = [gap(f"{SKILL}{n}", labels={}) for n in range(20)]
    skills = tuple(one.skill for one in gaps)

    found = answer(plan(*gaps), best=offering(skills=skills), poor=offering(skills=skills[:1], provider="opisto"))

    assert order(found) == ["best"]


def test_ties_end_the_same_whatever_the_order_of_arrival() -> None:
    names = ["d", "a", "c", "b"]

    one = answer(plan(), **{name: offering() for name in names})
    other = answer(plan(), **{name: offering() for name in reversed(names)})

    assert order(one) == order(other) == ["a", "b", "c", "d"]


def test_a_plan_without_gaps_gets_nothing() -> None:
    found = match(Plan(version=1, language="fi"), index(a=offering()), TODAY)

    assert found == Answer()


def test_what_no_open_offering_meets_is_named_the_heaviest_first() -> None:
    wanted = plan(gap(f"{SKILL}light", weight=0.3, labels={}), gap(), gap(f"{SKILL}heavy", labels={}))

    found = answer(wanted, a=offering())

    assert found.uncovered == (f"{SKILL}heavy", f"{SKILL}light")


def test_the_largest_answer_fits_into_the_largest_event() -> None:
    skills = [f"{SKILL}{n:066}" for n in range(200)]
    labels = dict.fromkeys(("fi", "sv", "en"), "ä" * 200)
    wanted = plan(*(gap(skill, labels=labels) for skill in skills))
    long = dict.fromkeys(("fi", "sv", "en"), "ö" * 300)
    place = Place(municipality="743", name="å" * 300)
    offerings = {
        f"{'o' * 150}{n}": offering(names=long, place=place, skills=tuple(skills[:60]), requires=tuple(skills[60:120]))
        for n in range(20)
    }

    found = match(wanted, index(**offerings), TODAY)

    said = {"plan_version": 1, "language": "fi", "suggestions": found.suggestions, "uncovered": found.uncovered}
    assert len(json.dumps(events.MatchSuggested().dump(said), ensure_ascii=False).encode()) < 62_000
