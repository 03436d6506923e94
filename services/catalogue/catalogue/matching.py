"""Matches a plan's gaps to the open offerings of the whole network (domain.md, Matching).

An offering covers a gap fully where it names the skill, and by half at the most where its words only speak of it. The
score is the share of the weighted gap that it covers, times how well it fits the client's wishes.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from catalogue.domain import LANGUAGES, Candidates, Offering
from catalogue.fit import MOST, fit
from catalogue.paths import Step, choose_path
from catalogue.plans import Answer, Gap, Plan, Reason, Suggestion

MAX_SUGGESTIONS = 10
MAX_COVERS = 10
MAX_UNCOVERED = 50
MAX_SKILL_REASONS = 3
MAX_TEXT = 80
"""Characters of a label or name in an answer. These four keep the largest answer within the largest event (64 KiB)."""

WORDS_STRENGTH = 0.5
"""How far words count for a skill that an offering does not name."""

LEAST_OF_BEST = 0.1
"""What scores less than this share of the best one is no suggestion worth reading."""

AGAIN = 0.8
"""Each further suggestion of one provider counts this much less, so that there is something to choose between."""

KEPT = 20
"""Offerings of each provider that suggestions and a path are made from."""


@dataclass(frozen=True, slots=True)
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
    by_provider = best_by_provider(plan, offerings, covers, today)
    best = list(diverse(by_provider, MAX_SUGGESTIONS))
    steps = [_step(one) for group in by_provider.values() for one in group]
    return Answer(
        suggestions=tuple(_suggestion(one, plan.gaps) for one in best),
        path=choose_path(steps, plan, today),
        uncovered=_uncovered(plan.gaps, covers.values()),
    )


def best_by_provider(
    plan: Plan, offerings: Candidates, covers: Mapping[str, Mapping[int, float]], today: date
) -> dict[str, list[Scored]]:
    """The best offerings of each provider, the best first.

    Wishes are weighed for as few as needed: once nothing that is left could come in, however well it fits.
    """
    total = plan.weight
    shares = {identifier: covered_weight(plan.gaps, c) / total for identifier, c in covers.items()}
    groups: dict[str, list[Scored]] = defaultdict(list)
    for identifier in sorted(shares, key=lambda one: (-shares[one], one)):
        offering, share = offerings[identifier], shares[identifier]
        group = groups[offering.provider]
        if len(group) < KEPT or share * MOST > group[-1].score:
            factor, reasons = fit(offering, plan, today)
            scored = Scored(identifier, offering, covers[identifier], factor, round(share * factor, 4), reasons)
            insort(group, scored, key=lambda one: one.rank)
            del group[KEPT:]
    return groups


def covered_weight(gaps: Sequence[Gap], covers: Mapping[int, float]) -> float:
    """How much of the weighted gap is covered."""
    return sum(gaps[place].weight * strength for place, strength in covers.items())


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
    least = LEAST_OF_BEST * max((group[0].score for group in by_provider.values()), default=0.0)
    taken = dict.fromkeys(by_provider, 0)
    for _ in range(most):
        heads = [
            (-group[taken[provider]].score * AGAIN ** taken[provider], group[taken[provider]].rank, provider)
            for provider, group in by_provider.items()
            if taken[provider] < len(group) and group[taken[provider]].score >= least
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


def _step(one: Scored) -> Step:
    return Step(id=one.id, offering=one.offering, covers=one.covers, fit=one.fit)


def _suggestion(one: Scored, gaps: Sequence[Gap]) -> Suggestion:
    order = sorted(one.covers, key=lambda place: (-gaps[place].weight * one.covers[place], place))
    return Suggestion(
        offering=one.id,
        provider=one.offering.provider,
        names=_short(one.offering.names),
        starts=one.offering.starts,
        place=replace(one.offering.place, name=(one.offering.place.name or "")[:MAX_TEXT] or None),
        score=one.score,
        covers=tuple(gaps[place].skill for place in order[:MAX_COVERS]),
        reasons=(*_skill_reasons(order, one.covers, gaps), *one.reasons),
    )


def _skill_reasons(order: Sequence[int], covers: Mapping[int, float], gaps: Sequence[Gap]) -> Iterator[Reason]:
    for place in order[:MAX_SKILL_REASONS]:
        code = "covers" if covers[place] > WORDS_STRENGTH else "speaks-of"
        yield Reason(code=code, parameters={"skill": gaps[place].skill, "labels": _short(gaps[place].labels)})
    if len(order) > MAX_SKILL_REASONS:
        yield Reason(code="covers-more", parameters={"count": len(order) - MAX_SKILL_REASONS})


def _short(texts: Mapping[str, str]) -> dict[str, str]:
    return {language: text[:MAX_TEXT] for language, text in texts.items()}


def _uncovered(gaps: Sequence[Gap], covers: Iterable[Mapping[int, float]]) -> tuple[str, ...]:
    met = {place for covered in covers for place in covered}
    left = [(-gap.weight, place) for place, gap in enumerate(gaps) if place not in met]
    return tuple(gaps[place].skill for _weight, place in sorted(left)[:MAX_UNCOVERED])
