"""All offerings in memory, found by skill and by word.

Kept as a projection: rebuilt from the store at start, and following its changes. An offering gets a new slot whenever
it is put, so that posting lists are arrays that only ever grow; they are rebuilt once most slots are dead.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain

from catalogue.domain import LANGUAGES, Offering
from catalogue.imports import Known
from catalogue.words import stems

DESCRIPTION_CHARACTERS = 1500
"""How much of a description is searched: its beginning says what is taught."""

PREFIX = 6
"""A stem of this length also finds compounds that begin with it: ``hitsaus`` finds ``hitsauskurssi``. Shorter ones
begin too many other words, and English writes its compounds apart."""

COMPOUNDING = ("fi", "sv")

NEEDED_SHARE = 3 / 4
"""How many of a text's stems an offering must hold to be found: all of three, three of four."""

SPARE_SLOTS = 1000
"""Dead slots that are not worth a rebuild."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One offering in the index.

    Attributes:
        id: Its id.
        offering: The offering without its long texts.
        known: What an import compares.
    """

    id: str
    offering: Offering
    known: Known


class OfferingIndex:
    """Offerings by id, by skill and by word."""

    def __init__(self) -> None:
        """Begin empty."""
        self._slots: list[Listed | None] = []
        self._slot_of: dict[str, int] = {}
        self._postings: dict[str, array[int]] = {}
        self._families: dict[str, list[str]] = defaultdict(list)
        self._day: date | None = None
        self._open_slots: set[int] = set()

    def put(self, identifier: str, offering: Offering) -> None:
        """Keep an offering, instead of the one that the id had."""
        self.remove(identifier)
        light = replace(offering, description={}, keywords={})
        self._append(Listed(identifier, light, Known.of(offering)), dict.fromkeys(_terms(offering)))

    def remove(self, identifier: str) -> None:
        """Forget an offering; one that is not there is no error."""
        slot = self._slot_of.pop(identifier, None)
        if slot is not None:
            self._slots[slot] = None
            self._open_slots.discard(slot)
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

    def open_by_skill(self, skill: str, today: date) -> list[str]:
        """Ids of open offerings that name a skill, oldest first."""
        return self._ids(self._open(today).intersection(self._postings.get(skill, ())))

    def open_by_words(self, text: str, language: str, today: date) -> list[tuple[str, float]]:
        """Ids of open offerings that hold three quarters or more of a text's words, each with the share it holds."""
        wanted = sorted((self._holding(stem, language) for stem in stems(text, language)), key=len)
        needed = math.ceil(len(wanted) * NEEDED_SHARE)
        if needed == len(wanted):
            found = self._open(today).intersection(*wanted) if wanted else set()
            return [(identifier, 1.0) for identifier in self._ids(found)]
        # Who holds enough of them holds one of the rarest, which make the fewest candidates.
        candidates = self._open(today).intersection(chain(*wanted[: len(wanted) - needed + 1]))
        counts = Counter(slot for postings in wanted for slot in candidates.intersection(postings))
        enough = (slot for slot, count in counts.items() if count >= needed)
        return [(self._id(slot), counts[slot] / len(wanted)) for slot in sorted(enough)]

    def _holding(self, stem: str, language: str) -> Collection[int]:
        """The slots of all offerings that hold a stem or, where it is long enough, a compound that begins with it."""
        term = f"{language}:{stem}"
        if language not in COMPOUNDING or len(stem) < PREFIX:
            return self._postings.get(term, ())
        family = self._families.get(term[: len(language) + 1 + PREFIX], ())
        lists = [self._postings[other] for other in family if other.startswith(term)]
        return lists[0] if len(lists) == 1 else set(chain(*lists))

    def _open(self, today: date) -> set[int]:
        """The slots of open offerings; found out once a day, and kept up from then on."""
        if self._day != today:
            self._day = today
            self._open_slots = {slot for slot, one in enumerate(self._slots) if one and one.offering.is_open(today)}
        return self._open_slots

    def _ids(self, slots: Iterable[int]) -> list[str]:
        return [self._id(slot) for slot in sorted(slots)]

    def _id(self, slot: int) -> str:
        listed = self._slots[slot]
        if listed is None:
            raise KeyError(slot)
        return listed.id

    def _append(self, listed: Listed, terms: Iterable[str]) -> None:
        slot = len(self._slots)
        self._slots.append(listed)
        self._slot_of[listed.id] = slot
        if self._day is not None and listed.offering.is_open(self._day):
            self._open_slots.add(slot)
        for term in terms:
            self._add(term, slot)

    def _add(self, term: str, slot: int) -> None:
        postings = self._postings.get(term)
        if postings is None:
            postings = self._postings[term] = array("I")
            language, _, stem = term.partition(":")
            if language in COMPOUNDING and len(stem) >= PREFIX:
                self._families[f"{language}:{stem[:PREFIX]}"].append(term)
        postings.append(slot)

    def _rebuild(self) -> None:
        """Let the living move together, and forget what only the dead had."""
        moved = {old: new for new, old in enumerate(slot for slot, one in enumerate(self._slots) if one is not None)}
        self._slots = [one for one in self._slots if one is not None]
        self._slot_of = {identifier: moved[slot] for identifier, slot in self._slot_of.items()}
        self._open_slots = {moved[slot] for slot in self._open_slots}
        old_postings, self._postings, self._families = self._postings, {}, defaultdict(list)
        for term, postings in old_postings.items():
            for slot in postings:
                if slot in moved:
                    self._add(term, moved[slot])


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
