"""The vocabulary in memory: skills and occupations with an index of their names, in three languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assessment.domain import Domain, Evidence, Occupation, Proposal, Skill
from assessment.languages import LANGUAGES, normal
from assessment.sentences import Token, denied, spans, tokens
from assessment.words import Hit, Index

MOST_PROPOSALS = 25
"""Proposals of one text: what a client can go through at one meeting."""

SURE_OCCUPATION = 0.85
"""How much of an occupation's name must stand in the text before its skills are proposed."""

THROUGH = 0.5
"""What an occupation says of a skill, beside the client's own word for it."""

MOST_OCCUPATIONS, MOST_THROUGH = 3, 6
MOST_EVIDENCE = 5
MOST_FOUND = 20
PAUSE = 500

EQUAL, BEGINS, CONTAINS = 1.0, 0.9, 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a vocabulary holds.

    Attributes:
        skills: Skills.
        occupations: Occupations.
        relations: Relations from an occupation to a skill that there is.
        dangling: Relations that lack their skill or occupation; they are left out.
        source: Where it comes from.
        generation: Name of the upload, or an empty string for the project's own.
    """

    skills: int
    occupations: int
    relations: int
    dangling: int
    source: str
    generation: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One result of a search."""

    uri: str
    labels: Mapping[str, str]
    score: float


class Vocabulary:
    """Skills and occupations. It is not changed once it is built, so that decisions may read it."""

    def __init__(
        self,
        skills: Mapping[str, Skill],
        occupations: Mapping[str, Occupation],
        indexes: Mapping[str, tuple[Index, Index]],
        counts: Counts,
        everyday: frozenset[str],
    ) -> None:
        """Keep what `build` made; `everyday` are the skills that clients have words for."""
        self.counts = counts
        self._everyday = everyday
        self._skills = skills
        self._occupations = occupations
        self._indexes = indexes
        self._skill_list = tuple(skills.values())
        self._occupation_list = tuple(occupations.values())
        self._uses = Counter(uri for one in occupations.values() for uri in one.essential)

    def skill(self, uri: str) -> Skill | None:
        """The skill, or None."""
        return self._skills.get(uri)

    def occupation(self, uri: str) -> Occupation | None:
        """The occupation, or None."""
        return self._occupations.get(uri)

    def uses(self, uri: str) -> int:
        """How many occupations cannot do without the skill."""
        return self._uses[uri]

    def propose(self, text: str, language: str) -> tuple[Proposal, ...]:
        """Skills that a client names in own words, best first, at most `MOST_PROPOSALS`.

        Args:
            text: The client's words; proposals point into them.
            language: fi, sv or en.
        """
        words = tokens(text)
        no = denied(words, language)
        skills, occupations = self._indexes[language]
        found: dict[str, Proposal] = {}
        for hit in skills.hits(words, no):
            uri = self._skill_list[hit.concept].uri
            found[uri] = Proposal(skill=uri, score=round(hit.score, 2), evidence=_evidence(words, hit))
        for proposal in self._through(words, occupations.hits(words, no, SURE_OCCUPATION)):
            found.setdefault(proposal.skill, proposal)
        return tuple(sorted(found.values(), key=lambda one: (-one.score, one.skill))[:MOST_PROPOSALS])

    def find_skills(self, text: str, language: str) -> list[Found]:
        """Skills whose names hold the text or most of its words, best first."""
        return _find(text, language, self._skill_list, self._indexes[language][0])

    def find_occupations(self, text: str, language: str) -> list[Found]:
        """Occupations whose names hold the text or most of its words, best first."""
        return _find(text, language, self._occupation_list, self._indexes[language][1])

    def _through(self, words: Sequence[Token], hits: Iterable[Hit]) -> Iterator[Proposal]:
        best = sorted(hits, key=lambda hit: (-hit.score, self._occupation_list[hit.concept].uri))
        for hit in best[:MOST_OCCUPATIONS]:
            occupation = self._occupation_list[hit.concept]
            # What clients have words for comes first; then what few occupations need, since it says most of this one.
            typical = sorted(occupation.essential, key=lambda uri: (uri not in self._everyday, self._uses[uri], uri))
            for uri in typical[:MOST_THROUGH]:
                yield Proposal(
                    skill=uri,
                    score=round(hit.score * THROUGH, 2),
                    through=occupation.uri,
                    evidence=_evidence(words, hit),
                )


def build(
    records: Iterable[Mapping[str, Any]],
    *,
    words: Mapping[str, Mapping[str, Sequence[str]]],
    source: str,
    generation: str = "",
    dangling: int = 0,
) -> Iterator[Vocabulary | None]:
    """Build a vocabulary step by step: yields None where the caller may pause, and the vocabulary last.

    Args:
        records: Skills and occupations as schemas.Record describes them, in any order.
        words: For an identifier, further words of clients by language.
        source: Where the records come from.
        generation: Name of the upload.
        dangling: Relations that were left out before.
    """
    skills: dict[str, Skill] = {}
    occupations: dict[str, Occupation] = {}
    indexes = {language: (Index(language), Index(language)) for language in LANGUAGES}
    for number, record in enumerate(records):
        kind = 0 if record["kind"] == "skill" else 1
        kept: dict[str, Any] = occupations if kind else skills
        if record["uri"] not in kept:
            for language in LANGUAGES:
                for name in _names(record, language, words.get(record["uri"], {})):
                    indexes[language][kind].add(len(kept), name)
            kept[record["uri"]] = _occupation(record) if kind else _skill(record)
        if number % PAUSE == 0:
            yield None
    for pair in indexes.values():
        for index in pair:
            yield from index.close()
    relations, missing = _resolve(skills, occupations)
    counts = Counts(
        skills=len(skills),
        occupations=len(occupations),
        relations=relations,
        dangling=dangling + missing,
        source=source,
        generation=generation,
    )
    yield Vocabulary(skills, occupations, indexes, counts, frozenset(words))


def built(steps: Iterable[Vocabulary | None]) -> Vocabulary:
    """The vocabulary that `build` makes, without pauses.

    Raises:
        ValueError: It makes none.
    """
    last = None
    for step in steps:
        last = step or last
    if last is None:
        raise ValueError("the steps of a build end with the vocabulary")
    return last


def _names(record: Mapping[str, Any], language: str, words: Mapping[str, Sequence[str]]) -> Iterator[str]:
    label = record["labels"].get(language)
    if label:
        yield label
    yield from record.get("alternatives", {}).get(language, ())
    yield from words.get(language, ())


def _skill(record: Mapping[str, Any]) -> Skill:
    domain = record.get("domain")
    return Skill(uri=record["uri"], labels=record["labels"], domain=Domain(domain) if domain else None)


def _occupation(record: Mapping[str, Any]) -> Occupation:
    essential = tuple(dict.fromkeys(record.get("essential", ())))
    optional = dict.fromkeys(record.get("optional", ()))
    return Occupation(
        uri=record["uri"],
        labels=record["labels"],
        group=record.get("group") or "",
        essential=essential,
        optional=tuple(uri for uri in optional if uri not in essential),
    )


def _resolve(skills: Mapping[str, Skill], occupations: dict[str, Occupation]) -> tuple[int, int]:
    """Leave out relations to no skill, in place; how many stay and how many go."""
    stay = total = 0
    for uri, one in occupations.items():
        # The identifiers of the skills are used, so that each text is in memory once.
        essential = tuple(skills[skill].uri for skill in one.essential if skill in skills)
        optional = tuple(skills[skill].uri for skill in one.optional if skill in skills)
        occupations[uri] = Occupation(
            uri=uri, labels=one.labels, group=one.group, essential=essential, optional=optional
        )
        stay += len(essential) + len(optional)
        total += len(one.essential) + len(one.optional)
    return stay, total - stay


def _evidence(words: Sequence[Token], hit: Hit) -> tuple[Evidence, ...]:
    places = spans(words, hit.positions)[:MOST_EVIDENCE]
    return tuple(Evidence(offset=offset, length=length) for offset, length in places)


def _find(text: str, language: str, concepts: Sequence[Skill | Occupation], index: Index) -> list[Found]:
    wanted = normal(text.strip())
    if not wanted:
        return []
    scores: dict[int, float] = {hit.concept: hit.score for hit in index.hits(tokens(text), set())}
    for number, concept in enumerate(concepts):
        scores[number] = max(scores.get(number, 0.0), _likeness(wanted, normal(concept.labels.get(language, ""))))
    best = sorted(
        (-score, len(concepts[n].labels.get(language, "")), concepts[n].uri, n) for n, score in scores.items() if score
    )
    return [Found(uri, concepts[n].labels, -score) for score, _length, uri, n in best[:MOST_FOUND]]


def _likeness(wanted: str, label: str) -> float:
    if wanted not in label:
        return 0.0
    if wanted == label:
        return EQUAL
    return BEGINS if label.startswith(wanted) else CONTAINS
