"""Matches a plan's gaps to the open offerings of the whole network (domain.md, Matching).

An offering covers a gap fully where it names the skill, and by half at the most where its words only speak of it. The
score is the share of the weighted gap that it covers, times how well it fits the client's wishes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from catalogue.domain import LANGUAGES, Candidates, Offering
from catalogue.fit import fit
from catalogue.paths import Step, choose_path
from catalogue.plans import Answer, Gap, Plan, Reason, Suggestion

MAX_SUGGESTIONS = 10
MAX_COVERS = 20
"""Skills that a suggestion lists, so that ten of them stay far below the largest event."""

MAX_UNCOVERED = 100
MAX_SKILL_REASONS = 3

WORDS_STRENGTH = 0.5
"""How far words count for a skill that an offering does not name."""

AGAIN = 0.8
"""Each further suggestion of one provider counts this much less, so that there is something to choose between."""

PATH_CANDIDATES = 40
"""How many offerings of each provider a path is made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """An open offering that covers something.

    Attributes:
        id: Its id.
        offering: The offering.
        covers: Position of a gap → how far it is covered, above 0 to 1.
        fit: How well it fits the wishes.
        score: What it is ranked by.
        reasons: From `fit`.
    """

    id: str
    offering: Offering
    covers: Mapping[int, float]
    fit: float
    score: float
    reasons: tuple[Reason, ...]

    @property
    def rank(self) -> tuple[float, date, str]:
        """Sorts the best first: by score, then who begins first, then by id, so that ties end the same everywhere."""
        return -self.score, self.offering.starts or date.max, self.id


def match(plan: Plan, offerings: Candidates, today: date) -> Answer:
    """What the network's open offerings have for a plan."""
    covers = coverage(plan.gaps, offerings, today)
    scored = sorted((_score(i, offerings[i], c, plan, today) for i, c in covers.items()), key=lambda s: s.rank)
    by_provider = _grouped(scored)
    best = list(diverse(by_provider, MAX_SUGGESTIONS))
    steps = [_step(one) for group in by_provider.values() for one in group[:PATH_CANDIDATES]]
    return Answer(
        suggestions=tuple(_suggestion(one, plan.gaps) for one in best),
        path=choose_path(steps, plan, today),
        uncovered=_uncovered(plan.gaps, covers.values()),
    )


def coverage(gaps: Sequence[Gap], offerings: Candidates, today: date) -> dict[str, dict[int, float]]:
    """Which open offerings cover which gaps: id → position of the gap → how far."""
    covers: dict[str, dict[int, float]] = defaultdict(dict)
    for place, gap in enumerate(gaps):
        if gap.weight <= 0:
            continue
        for identifier, strength in _covering(gap, offerings, today):
            covers[identifier][place] = max(strength, covers[identifier].get(place, 0.0))
    return covers


def diverse(by_provider: Mapping[str, Sequence[Scored]], most: int) -> Iterator[Scored]:
    """The best of all providers: each further one of the same provider counts less.

    Args:
        by_provider: Code → its offerings, the best first.
        most: How many at the most.
    """
    taken = dict.fromkeys(by_provider, 0)
    for _ in range(most):
        heads = [
            (-group[taken[provider]].score * AGAIN ** taken[provider], group[taken[provider]].rank, provider)
            for provider, group in by_provider.items()
            if taken[provider] < len(group)
        ]
        if not heads:
            return
        provider = min(heads)[2]
        yield by_provider[provider][taken[provider]]
        taken[provider] += 1


def _covering(gap: Gap, offerings: Candidates, today: date) -> Iterator[tuple[str, float]]:
    for identifier in offerings.open_by_skill(gap.skill, today):
        yield identifier, 1.0
    for language in LANGUAGES:
        label = gap.labels.get(language)
        if label:
            for identifier, share in offerings.open_by_words(label, language, today):
                yield identifier, WORDS_STRENGTH * share


def _score(identifier: str, offering: Offering, covers: Mapping[int, float], plan: Plan, today: date) -> Scored:
    factor, reasons = fit(offering, plan, today)
    covered = sum(plan.gaps[place].weight * strength for place, strength in covers.items())
    score = round(covered / plan.weight * factor, 4)
    return Scored(id=identifier, offering=offering, covers=covers, fit=factor, score=score, reasons=reasons)


def _grouped(scored: Iterable[Scored]) -> dict[str, list[Scored]]:
    groups: dict[str, list[Scored]] = defaultdict(list)
    for one in scored:
        groups[one.offering.provider].append(one)
    return groups


def _step(one: Scored) -> Step:
    return Step(id=one.id, offering=one.offering, covers=one.covers, fit=one.fit)


def _suggestion(one: Scored, gaps: Sequence[Gap]) -> Suggestion:
    order = sorted(one.covers, key=lambda place: (-gaps[place].weight * one.covers[place], place))
    return Suggestion(
        offering=one.id,
        provider=one.offering.provider,
        names=one.offering.names,
        starts=one.offering.starts,
        place=one.offering.place,
        score=one.score,
        covers=tuple(gaps[place].skill for place in order[:MAX_COVERS]),
        reasons=(*_skill_reasons(order, one.covers, gaps), *one.reasons),
    )


def _skill_reasons(order: Sequence[int], covers: Mapping[int, float], gaps: Sequence[Gap]) -> Iterator[Reason]:
    for place in order[:MAX_SKILL_REASONS]:
        code = "covers" if covers[place] > WORDS_STRENGTH else "speaks-of"
        yield Reason(code=code, parameters={"skill": gaps[place].skill, "labels": dict(gaps[place].labels)})
    if len(order) > MAX_SKILL_REASONS:
        yield Reason(code="covers-more", parameters={"count": len(order) - MAX_SKILL_REASONS})


def _uncovered(gaps: Sequence[Gap], covers: Iterable[Mapping[int, float]]) -> tuple[str, ...]:
    met = {place for covered in covers for place in covered}
    left = [(-gap.weight, place) for place, gap in enumerate(gaps) if place not in met]
    return tuple(gaps[place].skill for _weight, place in sorted(left)[:MAX_UNCOVERED])
