"""What assessment publishes: skills found in a client's words, and the plan that follows from the answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields

from assessment.domain import Case, Plan, Proposal, Skills, Step
from chassis.decision import Classification, Contract, published

SKILL = "http://data.europa.eu/esco/skill/261e740b-d32d-4356-94a8-3ea29128b70b"
CONFIRMED_BYTES, STRENGTHS_BYTES, GAPS_BYTES = 16 * 1024, 16 * 1024, 22 * 1024
"""Bytes of the lists of a plan, so that it stays well under the event's 64 KiB; how many are left out is told."""

_OCCUPATION = "http://data.europa.eu/esco/occupation/d38c2107-98f2-47b7-8bb4-f69750d51082"
_LABELS = {"fi": "huolehtia vanhuksista", "sv": "ta hand om äldre personer", "en": "tend to elderly people"}


class EvidenceSaid(Schema):
    """Where in the client's text, in code points."""

    offset = fields.Integer(required=True)
    length = fields.Integer(required=True)


class ProposalSaid(Schema):
    """A skill that the client may have."""

    skill = fields.String(required=True, metadata={"description": "ESCO URI"})
    labels = fields.Dict(fields.String(), fields.String(), required=True)
    score = fields.Float(required=True, metadata={"description": "0 to 1"})
    through = fields.String(allow_none=True, metadata={"description": "ESCO URI of the occupation that led to it"})
    evidence = fields.List(fields.Nested(EvidenceSaid), required=True)


@published(
    Contract(
        name="profile.proposed",
        classification=Classification.PSEUDONYMOUS,
        says="Skills found in the client's own words, each with the places in the text that led to it.",
        route="assessment → home",
        example={
            "home": "kunta",
            "language": "fi",
            "proposals": [
                {
                    "skill": SKILL,
                    "labels": _LABELS,
                    "score": 1.0,
                    "through": None,
                    "evidence": [{"offset": 5, "length": 19}],
                }
            ],
            "coach": "kunta-12",
        },
    )
)
class ProfileProposed(Schema):
    """What was found."""

    home = fields.String(required=True)
    language = fields.String(required=True)
    proposals = fields.List(fields.Nested(ProposalSaid), required=True)
    coach = fields.String(allow_none=True, metadata={"description": "Staff id"})


class GoalSaid(Schema):
    """What the plan leads to."""

    occupation = fields.String(allow_none=True, metadata={"description": "ESCO URI"})
    field = fields.String(allow_none=True)
    labels = fields.Dict(fields.String(), fields.String(), required=True)


class ConfirmedSaid(Schema):
    """A skill that the client confirmed."""

    skill = fields.String(required=True, metadata={"description": "ESCO URI"})
    labels = fields.Dict(fields.String(), fields.String(), required=True)
    level = fields.Integer(required=True, metadata={"description": "1 to 5"})


class StrengthSaid(ConfirmedSaid):
    """A confirmed skill and how it belongs to the goal."""

    relation = fields.String(required=True, metadata={"description": "essential, optional, transversal or other"})


class GapSaid(Schema):
    """A missing skill."""

    skill = fields.String(required=True, metadata={"description": "ESCO URI"})
    labels = fields.Dict(fields.String(), fields.String(), required=True)
    weight = fields.Float(required=True, metadata={"description": "0 to 1"})
    relation = fields.String(required=True, metadata={"description": "essential, optional or transversal"})


class WishesSaid(Schema):
    """What the client wishes for, as the home told it."""

    places = fields.List(fields.String(), metadata={"description": "Codes of municipalities"})
    modes = fields.List(fields.String())
    times = fields.List(fields.String())
    languages = fields.List(fields.String())
    max_price = fields.String(data_key="maxPrice", allow_none=True, metadata={"description": "In euro"})
    starts_by = fields.String(data_key="startsBy", allow_none=True, metadata={"description": "A date"})
    employment_effect = fields.String(data_key="employmentEffect", allow_none=True)


class StepSaid(Schema):
    """A step of the plan."""

    kind = fields.String(required=True, metadata={"description": "study, guidance, exam-coaching, language, …"})
    skill = fields.String(allow_none=True, metadata={"description": "ESCO URI"})
    responsible = fields.String(allow_none=True, metadata={"description": "Staff id"})
    due = fields.Date(allow_none=True)


class PlanSaid(Schema):
    """A plan as its home may see it: all of it, without the client's words."""

    home = fields.String(required=True)
    goal = fields.Nested(GoalSaid, required=True)
    confirmed = fields.List(fields.Nested(ConfirmedSaid), required=True)
    strengths = fields.List(fields.Nested(StrengthSaid), required=True)
    gaps = fields.List(fields.Nested(GapSaid), required=True)
    left_out = fields.Dict(
        fields.String(),
        fields.Integer(),
        data_key="leftOut",
        metadata={"description": "How many confirmed, strengths and gaps the event has no room for"},
    )
    language = fields.String(required=True)
    municipality = fields.String(allow_none=True, metadata={"description": "Code"})
    wishes = fields.Nested(WishesSaid, required=True)
    steps = fields.List(fields.Nested(StepSaid), required=True)
    review_date = fields.Date(data_key="reviewDate", required=True)
    plan_version = fields.Integer(data_key="planVersion", required=True)
    coach = fields.String(allow_none=True, metadata={"description": "Staff id"})


EXAMPLE: Mapping[str, Any] = {
    "home": "kunta",
    "goal": {
        "occupation": _OCCUPATION,
        "field": None,
        "labels": {"fi": "lähihoitaja", "sv": "undersköterska", "en": "healthcare assistant"},
    },
    "confirmed": [{"skill": SKILL, "labels": _LABELS, "level": 4}],
    "strengths": [{"skill": SKILL, "labels": _LABELS, "level": 4, "relation": "other"}],
    "gaps": [
        {
            "skill": "http://data.europa.eu/esco/skill/24f980ba-b44f-4739-b563-205104c3190d",
            "labels": {"fi": "tarjota potilaille tukea perustoiminnoissa"},
            "weight": 1.0,
            "relation": "essential",
        }
    ],
    "leftOut": {},
    "language": "fi",
    "municipality": "743",
    "wishes": {"places": ["743"], "modes": ["blended"], "times": ["evening"], "languages": ["fi"]},
    "steps": [{"kind": "study", "skill": None, "responsible": "kunta-12", "due": "2027-02-22"}],
    "reviewDate": "2027-02-22",
    "planVersion": 1,
    "coach": "kunta-12",
}


@published(
    Contract(
        name="plan.published",
        classification=Classification.PSEUDONYMOUS,
        says="The client's first plan: goal, confirmed skills, strengths, weighted gaps, steps and review date.",
        route="assessment → home (catalogue, referral, notify)",
        example=EXAMPLE,
    )
)
class PlanPublished(PlanSaid):
    """The first plan."""


@published(
    Contract(
        name="plan.revised",
        classification=Classification.PSEUDONYMOUS,
        says="A new version of the client's plan, whole.",
        route="assessment → home (catalogue, referral, notify)",
        example={**EXAMPLE, "planVersion": 2},
    )
)
class PlanRevised(PlanSaid):
    """A new version."""


def proposed(case: Case, skills: Skills) -> dict[str, Any]:
    """What `ProfileProposed` dumps."""
    return {
        "home": case.home,
        "language": case.words_language or case.language,
        "proposals": [_proposal(one, skills) for one in case.proposals],
        "coach": case.coach,
    }


def told(case: Case, plan: Plan, skills: Skills) -> dict[str, Any]:
    """What `PlanPublished` and `PlanRevised` dump; lists that grow too long are cut at their end, and the cut is told.

    Args:
        case: Whose plan it is.
        plan: The version.
        skills: The vocabulary, for labels.
    """
    rows: dict[str, tuple[list[dict[str, Any]], int]] = {
        "confirmed": ([{"skill": c.skill, "level": c.level} for c in plan.confirmed], CONFIRMED_BYTES),
        "strengths": (
            [{"skill": s.skill, "level": s.level, "relation": s.relation.value} for s in plan.strengths],
            STRENGTHS_BYTES,
        ),
        "gaps": (
            [{"skill": g.skill, "weight": g.weight, "relation": g.relation.value} for g in plan.gaps],
            GAPS_BYTES,
        ),
    }
    fitting = {name: _fitting(_labelled(found, skills), limit) for name, (found, limit) in rows.items()}
    cut = {name: len(found) - len(fitting[name]) for name, (found, _limit) in rows.items()}
    return {
        "home": case.home,
        "goal": {
            "occupation": plan.goal.occupation,
            "field": plan.goal.field,
            "labels": occupation_labels(plan.goal.occupation, skills),
        },
        **fitting,
        "left_out": {name: count for name, count in cut.items() if count},
        "language": case.language,
        "municipality": case.municipality,
        "wishes": case.wishes,
        "steps": [_step(step) for step in plan.steps],
        "review_date": plan.review,
        "plan_version": plan.version,
        "coach": case.coach,
    }


def labels(uri: str, skills: Skills) -> dict[str, str]:
    """A skill's labels; none where the vocabulary no longer has it."""
    skill = skills.skill(uri)
    return dict(skill.labels) if skill else {}


def occupation_labels(uri: str | None, skills: Skills) -> dict[str, str]:
    """An occupation's labels; none where the vocabulary does not have it."""
    occupation = skills.occupation(uri) if uri else None
    return dict(occupation.labels) if occupation else {}


def _proposal(one: Proposal, skills: Skills) -> dict[str, Any]:
    return {
        "skill": one.skill,
        "labels": labels(one.skill, skills),
        "score": one.score,
        "through": one.through,
        "evidence": [{"offset": e.offset, "length": e.length} for e in one.evidence],
    }


def _step(step: Step) -> dict[str, Any]:
    return {"kind": step.kind.value, "skill": step.skill, "responsible": step.responsible, "due": step.due}


def _labelled(rows: Iterable[Mapping[str, Any]], skills: Skills) -> list[dict[str, Any]]:
    return [{**row, "labels": labels(row["skill"], skills)} for row in rows]


def _fitting(rows: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """As many rows from the beginning as fit in so many bytes of JSON."""
    used = 0
    for number, row in enumerate(rows):
        used += len(json.dumps(row, ensure_ascii=False).encode())
        if used > limit:
            return list(rows[:number])
    return list(rows)


class PlanShown(PlanSaid):
    """A plan over HTTP."""

    made = fields.AwareDateTime(required=True)
    versions = fields.List(fields.Integer(), required=True)


class ProfileShown(ProfileProposed):
    """What was found, and what the client said to it."""

    answered = fields.Boolean(required=True)
    confirmed = fields.List(fields.Dict(), required=True)
    rejected = fields.List(fields.String(), required=True)
