"""A client's case at the assessing organisation: skills, what the client confirmed, and the plan that follows.

The words themselves are kept encrypted; everything else is pseudonymous: references, ESCO identifiers, codes
(domain.md, Privacy).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Protocol

from chassis.decision import Invalid, NotYours, Unknown, personal

ATTRIBUTION = "This service uses the ESCO classification of the European Commission."
"""The line that reuse of ESCO asks for (formats.md, Skills)."""

KEEP_DAYS = 730
"""A case is kept for two years after the last word on it, as long as a plan is followed at home."""

VERSIONS_KEPT = 20
"""Earlier versions of a plan that stay with the case; older ones remain in the history as events."""


class Relation(StrEnum):
    """How a skill belongs to the goal."""

    ESSENTIAL = "essential"
    OPTIONAL = "optional"
    TRANSVERSAL = "transversal"
    OTHER = "other"


class StepKind(StrEnum):
    """What a step of a plan is (domain.md, Assessment and plan)."""

    STUDY = "study"
    GUIDANCE = "guidance"
    EXAM_COACHING = "exam-coaching"
    LANGUAGE = "language"
    DIGITAL_SKILLS = "digital-skills"


class Domain(StrEnum):
    """A family of skills that a plan treats in its own way."""

    TRANSVERSAL = "transversal"
    LANGUAGE = "language"
    DIGITAL = "digital"


class UnknownSkill(Invalid):
    """A skill is none of the vocabulary's."""


class NoCase(Unknown):
    """Nothing is known of this client here."""


class NoPlan(Unknown):
    """The client has not answered yet, so that there is no plan."""


class NotTheirAssessor(NotYours):
    """Another organisation assesses for this home, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One skill of the vocabulary.

    Attributes:
        uri: ESCO's identifier.
        labels: Language → name.
        domain: Its family, or None.
    """

    uri: str
    labels: Mapping[str, str]
    domain: Domain | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupation:
    """One occupation of the vocabulary.

    Attributes:
        uri: ESCO's identifier.
        labels: Language → name.
        group: ISCO-08 group, or an empty string.
        essential: Skills that it cannot do without.
        optional: Skills that help in it.
    """

    uri: str
    labels: Mapping[str, str]
    group: str = ""
    essential: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


class Skills(Protocol):
    """What the rules ask of a vocabulary."""

    def skill(self, uri: str) -> Skill | None:
        """The skill, or None."""

    def occupation(self, uri: str) -> Occupation | None:
        """The occupation, or None."""

    def uses(self, uri: str) -> int:
        """How many occupations need the skill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where in the client's text a proposal comes from, in code points."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A skill that the client may have.

    Attributes:
        skill: Its identifier.
        score: 0 to 1; how much of a name of the skill stands in the text.
        through: The occupation that led to it, or None.
        evidence: The words that led to it; empty for prior learning.
    """

    skill: str
    score: float
    through: str | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A skill that the client has, and how well: 1 to 5."""

    skill: str
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A transversal skill that the coach counts as part of the goal, with its weight from 0 to 1."""

    skill: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the client wants: an occupation, at least a field, or neither yet."""

    occupation: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A skill of the goal that is not confirmed."""

    skill: str
    weight: float
    relation: Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """A confirmed skill and how it belongs to the goal."""

    skill: str
    level: int
    relation: Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a plan."""

    kind: StepKind
    skill: str | None = None
    responsible: str | None = None
    due: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One version of a client's plan.

    Attributes:
        version: 1, 2, …
        made: Day on which it was made.
        goal: The goal that it leads to.
        confirmed: All skills that the client confirmed, best known first.
        strengths: The same with how they belong to the goal.
        gaps: What is missing, the weightiest first.
        steps: What is to be done.
        review: Day on which it is looked at again.
    """

    version: int
    made: date
    goal: Goal
    confirmed: tuple[Confirmed, ...]
    strengths: tuple[Strength, ...]
    gaps: tuple[Gap, ...]
    steps: tuple[Step, ...]
    review: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the assessing organisation knows of one client of one home.

    Attributes:
        home: Organisation that the client belongs to.
        client: The client's reference there, as it is known here.
        registered: Whether the home has told who the client is; words and answers may come before.
        language: fi, sv or en.
        coach: Staff id at the home.
        municipality: Code, or None.
        goal: What the client wants.
        wishes: As the home told them.
        prior_learning: ESCO identifiers and other codes of earlier learning.
        keep_until: Day after which the case is not to be kept.
        words: The client's own words; encrypted at rest.
        words_language: Their language.
        proposals: Skills found, best first.
        confirmed: Skills that the client has.
        rejected: Skills that the client said not to have.
        answered: Whether the client has answered at all.
        transversal: Transversal skills that the coach counts.
        extra_steps: Steps that the coach added.
        review: Day of the next review that the coach chose, or None.
        plan: The newest version.
        earlier: Earlier versions, oldest first.
    """

    home: str
    client: str
    registered: bool = False
    language: str = "fi"
    coach: str | None = None
    municipality: str | None = None
    goal: Goal = field(default_factory=Goal)
    wishes: Mapping[str, object] = field(default_factory=dict)
    prior_learning: tuple[str, ...] = ()
    keep_until: date | None = None
    words: str | None = personal(default=None)
    words_language: str | None = None
    proposals: tuple[Proposal, ...] = ()
    confirmed: tuple[Confirmed, ...] = ()
    rejected: tuple[str, ...] = ()
    answered: bool = False
    transversal: tuple[Wanted, ...] = ()
    extra_steps: tuple[Step, ...] = ()
    review: date | None = None
    plan: Plan | None = None
    earlier: tuple[Plan, ...] = ()

    def with_proposals(self, proposals: Iterable[Proposal]) -> Case:
        """The case with what was found, without what the client has answered to already."""
        answered = {one.skill for one in self.confirmed} | set(self.rejected)
        return replace(self, proposals=tuple(one for one in proposals if one.skill not in answered))

    def with_answers(self, has: Iterable[Confirmed], has_not: Iterable[str]) -> Case:
        """The case after the client's answer; a later word on a skill replaces the earlier one."""
        held = {one.skill: one for one in self.confirmed}
        denied = dict.fromkeys((*self.rejected, *has_not))
        for one in has:
            held[one.skill] = one
        for skill in has_not:
            held.pop(skill, None)
        return replace(
            self,
            answered=True,
            confirmed=tuple(held.values()),
            rejected=tuple(skill for skill in denied if skill not in held),
        )

    def with_plan(self, plan: Plan) -> Case:
        """The case with a new version of the plan; the version before it is kept."""
        earlier = (*self.earlier, self.plan) if self.plan else self.earlier
        return replace(self, plan=plan, earlier=earlier[-VERSIONS_KEPT:])


def known(skills: Skills, uri: str, *, field: str) -> str:
    """The skill's identifier.

    Raises:
        UnknownSkill: The vocabulary does not have it.
    """
    if skills.skill(uri) is None:
        text = f"{field}: {uri} is no skill of the vocabulary in use; look it up with GET /v1/skills"
        raise UnknownSkill(text, field=field)
    return uri
