"""Plans as matching reads them, and what it answers: suggestions with reasons, and a path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from catalogue.domain import Mode, Place, Time
from chassis.decision import NotYours, Unknown


class PlanUnknown(Unknown):
    """There is no plan of this client here, so that nothing can be matched."""


class NotTheAssessor(NotYours):
    """A plan is said by the organisation that assesses for the client's home."""


class EmploymentEffect(StrEnum):
    """What the client wants the studies to lead to, as far as it bears on them."""

    EMPLOYED = "employed"
    PART_TIME = "part-time"
    SELF_EMPLOYED = "self-employed"
    IN_STUDY = "in-study"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the client wishes for; an empty list means that all the same to them.

    Attributes:
        places: Codes of municipalities.
        modes: On site, online or both.
        times: Day, evening or weekend.
        languages: Languages of teaching.
        max_price: Euro, for everything together.
        starts_by: The latest day to begin.
        employment_effect: What it is to lead to.
    """

    places: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = ()
    times: tuple[Time, ...] = ()
    languages: tuple[str, ...] = ()
    max_price: Decimal | None = None
    starts_by: date | None = None
    employment_effect: EmploymentEffect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A skill that the goal needs and the client has not confirmed.

    Attributes:
        skill: URI of the ESCO skill.
        labels: Language → label.
        weight: 1 for an essential skill, 0.3 for an optional one, otherwise as the coach set it.
    """

    skill: str
    labels: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A client's plan, as far as matching reads it.

    Attributes:
        version: The plan's version.
        language: The client's language.
        municipality: Where the client lives; None under an order of non-disclosure.
        gaps: What is missing.
        confirmed: URIs of the skills that the client has confirmed.
        wishes: What the client wishes for.
        coach: Staff id.
    """

    version: int
    language: str
    municipality: str | None = None
    gaps: tuple[Gap, ...] = ()
    confirmed: tuple[str, ...] = ()
    wishes: Wishes = Wishes()
    coach: str | None = None

    @property
    def weight(self) -> float:
        """How much is missing in all."""
        return sum(gap.weight for gap in self.gaps)

    @property
    def places(self) -> tuple[str, ...]:
        """Where the client wants to study: the wished places or, without any, where they live."""
        home = (self.municipality,) if self.municipality else ()
        return self.wishes.places or home


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is suggested, or what speaks against it: a code, and what the words need."""

    code: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One suggested offering.

    Attributes:
        offering: Its id.
        provider: Who offers it.
        names: Language → name.
        starts: First day.
        place: Where.
        score: 0 to about 1.5: the share of the weighted gap that it covers, times how well it fits.
        covers: URIs of the skills that it covers, the heaviest first.
        reasons: Why.
    """

    offering: str
    provider: str
    names: Mapping[str, str]
    starts: date | None
    place: Place
    score: float
    covers: tuple[str, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What matching says of a plan.

    Attributes:
        suggestions: The best first, ten at the most.
        path: Ids of offerings in the order of time, which together cover the most.
        uncovered: URIs of missing skills that no open offering meets, the heaviest first.
    """

    suggestions: tuple[Suggestion, ...] = ()
    path: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """State of the aggregate: a plan, and the latest answer to it."""

    plan: Plan
    answer: Answer = Answer()
