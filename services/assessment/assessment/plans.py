"""How a plan follows from a case: strengths, gaps with their weight, and steps (domain.md, Assessment and plan)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from assessment.domain import (
    Case,
    Confirmed,
    Domain,
    Gap,
    Occupation,
    Plan,
    Relation,
    Skills,
    Step,
    StepKind,
    Strength,
)

ESSENTIAL_WEIGHT, OPTIONAL_WEIGHT = 1.0, 0.3
"""What a missing skill weighs (domain.md, Assessment and plan)."""

STUDY_STEPS = 5
"""Gaps that become a step of their own: more at once would discourage."""

EXAM_GROUP = "2"
"""ISCO-08 major group 2, professionals: their degrees are entered by an examination."""

LOCAL_LANGUAGES = ("fi", "sv")
"""Languages that work and studies in the region are in."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A skill of the goal."""

    weight: float
    relation: Relation


def plan(case: Case, skills: Skills, today: date, review_days: int) -> Plan:
    """The plan that follows from what the client has confirmed.

    Without an occupation as goal, or with one that the vocabulary does not know, there are no gaps, and the first step
    is guidance towards a goal.

    Args:
        case: The case.
        skills: The vocabulary.
        today: Day on which it is made.
        review_days: Days until it is looked at again, where the coach chose no day.
    """
    occupation = skills.occupation(case.goal.occupation) if case.goal.occupation else None
    members = _members(case, occupation)
    gaps = _gaps(case, members, skills)
    review = case.review if case.review and case.review > today else today + timedelta(days=review_days)
    return Plan(
        version=case.plan.version + 1 if case.plan else 1,
        made=today,
        goal=case.goal,
        confirmed=tuple(sorted(case.confirmed, key=_best_known)),
        strengths=_strengths(case, members, skills),
        gaps=gaps,
        steps=(*_steps(case, occupation, gaps, skills, review), *case.extra_steps),
        review=review,
    )


def _members(case: Case, occupation: Occupation | None) -> dict[str, _Member]:
    """Skills of the goal with their weight; what the coach set goes before what ESCO says."""
    members: dict[str, _Member] = {}
    if occupation is not None:
        members |= {skill: _Member(OPTIONAL_WEIGHT, Relation.OPTIONAL) for skill in occupation.optional}
        members |= {skill: _Member(ESSENTIAL_WEIGHT, Relation.ESSENTIAL) for skill in occupation.essential}
    return members | {one.skill: _Member(one.weight, Relation.TRANSVERSAL) for one in case.transversal}


def _gaps(case: Case, members: dict[str, _Member], skills: Skills) -> tuple[Gap, ...]:
    held = {one.skill for one in case.confirmed}
    missing = (Gap(skill=s, weight=m.weight, relation=m.relation) for s, m in members.items() if s not in held)
    # Of two that weigh the same, the one that more occupations need helps further.
    return tuple(sorted(missing, key=lambda gap: (-gap.weight, -skills.uses(gap.skill), gap.skill)))


def _strengths(case: Case, members: dict[str, _Member], skills: Skills) -> tuple[Strength, ...]:
    strengths = (
        Strength(skill=one.skill, level=one.level, relation=_relation(one.skill, members, skills))
        for one in case.confirmed
    )
    order = list(Relation)
    return tuple(sorted(strengths, key=lambda one: (order.index(one.relation), -one.level, one.skill)))


def _relation(uri: str, members: dict[str, _Member], skills: Skills) -> Relation:
    if uri in members:
        return members[uri].relation
    skill = skills.skill(uri)
    return Relation.TRANSVERSAL if skill and skill.domain is Domain.TRANSVERSAL else Relation.OTHER


def _best_known(one: Confirmed) -> tuple[int, str]:
    return -one.level, one.skill


def _steps(
    case: Case, occupation: Occupation | None, gaps: Iterable[Gap], skills: Skills, review: date
) -> Iterator[Step]:
    if occupation is None:
        yield Step(kind=StepKind.GUIDANCE, responsible=case.coach, due=review)
    if case.language not in LOCAL_LANGUAGES:
        yield Step(kind=StepKind.LANGUAGE, responsible=case.coach, due=review)
    essential = [gap for gap in gaps if gap.relation is not Relation.OPTIONAL]
    for gap in essential[:STUDY_STEPS]:
        yield Step(kind=_kind(gap.skill, skills), skill=gap.skill, responsible=case.coach, due=review)
    if occupation is not None and occupation.group.startswith(EXAM_GROUP):
        yield Step(kind=StepKind.EXAM_COACHING, responsible=case.coach, due=review)


def _kind(uri: str, skills: Skills) -> StepKind:
    skill = skills.skill(uri)
    kinds = {Domain.LANGUAGE: StepKind.LANGUAGE, Domain.DIGITAL: StepKind.DIGITAL_SKILLS}
    return kinds.get(skill.domain, StepKind.STUDY) if skill and skill.domain else StepKind.STUDY
