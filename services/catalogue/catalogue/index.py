"""All offerings in memory, found by skill and by word.

Kept as a projection: rebuilt from the store at start, and following its changes. An offering gets a new slot whenever
it is put; the posting lists only ever grow at their end, so that they stay sorted, and are rebuilt once most slots
are dead.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

from catalogue.domain import LANGUAGES, Offering
from catalogue.imports import Known
from catalogue.words import stems

DESCRIPTION_CHARACTERS = 600
"""How much of a description is searched: its beginning says what is taught."""

PREFIX = 5
"""A stem of this length also finds compounds that begin with it: ``hitsaus`` finds ``hitsauskurssi``."""

NEEDED_SHARE = 2 / 3
"""How many of a text's stems an offering must hold to be found."""

SPARE_SLOTS = 1000
"""Dead slots that are not worth a rebuild."""


@dataclass(frozen=True)
class Listed:
    """One offering in the index.

    Attributes:
        id: Its id.
        offering: The offering without its long texts.
        known: What an import compares.
        terms: Skills, and stems under their language.
    """

    id: str
    offering: Offering
    known: Known
    terms: tuple[str, ...]


class OfferingIndex:
    """Offerings by id, by skill and by word."""

    def __init__(self) -> None:
        """Begin empty."""
        self._clear()

    def put(self, identifier: str, offering: Offering) -> None:
        """Keep an offering, instead of the one that the id had."""
        self.remove(identifier)
        light = replace(offering, description={}, keywords={})
        self._append(Listed(identifier, light, Known.of(offering), tuple(dict.fromkeys(_terms(offering)))))

    def remove(self, identifier: str) -> None:
        """Forget an offering; one that is not there is no error."""
        slot = self._slot_of.pop(identifier, None)
        if slot is not None:
            self._slots[slot] = None
            if len(self._slots) > 2 * len(self._slot_of) + SPARE_SLOTS:
                self._rebuild()

    def __len__(self) -> int:
        """How many offerings there are, withdrawn ones included."""
        return len(self._slot_of)

    def __contains__(self, identifier: str) -> bool:
        """Whether there is an offering under an id."""
        return identifier in self._slot_of

    def __getitem__(self, identifier: str) -> Offering:
        """The offering under an id, without its long texts."""
        listed = self._slots[self._slot_of[identifier]]
        if listed is None:
            raise KeyError(identifier)
        return listed.offering

    def known(self, provider: str) -> Mapping[str, Known]:
        """What is known of all offerings of one provider."""
        return {one.id: one.known for one in self._slots if one is not None and one.offering.provider == provider}

    def open_by_skill(self, skill: str, today: date) -> Iterator[str]:
        """Ids of open offerings that name a skill, oldest first."""
        return (listed.id for listed in self._open(self._postings.get(skill, ()), today))

    def open_by_words(self, text: str, language: str, today: date) -> Iterator[tuple[str, float]]:
        """Ids of open offerings that hold at least two thirds of a text's words, each with the share that they hold."""
        wanted = [Postings(self._lists(stem, language)) for stem in stems(text, language)]
        wanted.sort(key=lambda postings: postings.count)
        needed = math.ceil(len(wanted) * NEEDED_SHARE)
        # Who holds enough of them holds one of these; the rarest make the fewest candidates.
        first = wanted[: len(wanted) - needed + 1]
        candidates = sorted({slot for postings in first for slot in postings})
        for listed, slot in self._open_slots(candidates, today):
            held = sum(slot in postings for postings in wanted)
            if held >= needed:
                yield listed.id, held / len(wanted)

    def _open(self, slots: Iterable[int], today: date) -> Iterator[Listed]:
        return (listed for listed, _slot in self._open_slots(slots, today))

    def _open_slots(self, slots: Iterable[int], today: date) -> Iterator[tuple[Listed, int]]:
        for slot in slots:
            listed = self._slots[slot]
            if listed is not None and listed.offering.is_open(today):
                yield listed, slot

    def _lists(self, stem: str, language: str) -> Iterator[array[int]]:
        term = f"{language}:{stem}"
        if len(stem) < PREFIX:
            found = {term} if term in self._postings else set()
        else:
            family = self._families.get(term[: len(language) + 1 + PREFIX], ())
            found = {other for other in family if other.startswith(term)}
        return (self._postings[one] for one in sorted(found))

    def _append(self, listed: Listed) -> None:
        slot = len(self._slots)
        self._slots.append(listed)
        self._slot_of[listed.id] = slot
        for term in listed.terms:
            self._add(term, slot)

    def _add(self, term: str, slot: int) -> None:
        postings = self._postings.get(term)
        if postings is None:
            postings = self._postings[term] = array("I")
            language, _, stem = term.partition(":")
            if language in LANGUAGES and len(stem) >= PREFIX:
                self._families[f"{language}:{stem[:PREFIX]}"].append(term)
        postings.append(slot)

    def _rebuild(self) -> None:
        living = [listed for listed in self._slots if listed is not None]
        self._clear()
        for listed in living:
            self._append(listed)

    def _clear(self) -> None:
        self._slots: list[Listed | None] = []
        self._slot_of: dict[str, int] = {}
        self._postings: dict[str, array[int]] = {}
        self._families: dict[str, list[str]] = defaultdict(list)


class Postings:
    """The union of some sorted posting lists."""

    def __init__(self, lists: Iterable[array[int]]) -> None:
        """Keep the lists as they are."""
        self._lists = tuple(lists)

    @cached_property
    def count(self) -> int:
        """How long they are together."""
        return sum(map(len, self._lists))

    def __iter__(self) -> Iterator[int]:
        """All slots, some of them more than once."""
        return (slot for one in self._lists for slot in one)

    def __contains__(self, slot: int) -> bool:
        """Whether a slot is in any of the lists."""
        for one in self._lists:
            place = bisect_left(one, slot)
            if place < len(one) and one[place] == slot:
                return True
        return False


def _terms(offering: Offering) -> Iterator[str]:
    yield from offering.skills
    for language in LANGUAGES:
        texts = (
            offering.names.get(language, ""),
            *offering.keywords.get(language, ()),
            offering.description.get(language, "")[:DESCRIPTION_CHARACTERS],
        )
        for stem in stems(" ".join(texts), language):
            yield f"{language}:{stem}"
