"""Words → concepts: an inverted index of names in one language.

A name (a label or an alternative word) is found where most of its weight stands close together in one sentence. Rare
words weigh more (inverse document frequency); a word counts in full by its stem, less by the root that it shares
with its derivatives, and less again as a part of a compound.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest

from assessment.languages import RULES, root, stem
from assessment.sentences import Token, tokens

WINDOW = 6
"""Words between the rarest word of a name and its other words, at the most."""

ENOUGH = 0.7
"""The part of a name's weight that must stand in the text."""

ONE_WORD = 0.9
"""A name of a single word is less sure than one whose words all stand together."""

SAME, DERIVED, PART = 1.0, 0.9, 0.75
"""How far a word counts that is the name's own, is derived from the same verb, or is part of a compound."""

WEAK = 0.2
HEAVIEST = 2
"""Words of a name under which it is filed: without one of its two weightiest it cannot reach `ENOUGH` anyway."""

ANCHORS = 6
SHORTEST_COMPOUND, SHORTEST_PART = 7, 3


@dataclass(frozen=True, slots=True)
class Hit:
    """A concept that a text names.

    Attributes:
        concept: Its number in the index.
        score: 0 to 1.
        positions: Positions of the words that led to it.
    """

    concept: int
    score: float
    positions: tuple[int, ...]


class Index:
    """Names of concepts in one language, in flat arrays: some 40 bytes a word."""

    def __init__(self, language: str) -> None:
        """Start empty; `add` names, then `close`."""
        self.language = language
        self._rules = RULES[language]
        self._keys: dict[str, int] = {}
        self._weights = array("f")
        self._surfaces: set[str] = set()
        self._names: list[tuple[int, tuple[str, ...]]] = []
        self._concepts = array("I")
        self._starts = array("I")
        self._words = array("I")
        self._roots = array("i")
        self._heads = array("i")
        self._files: dict[int, array[int]] = {}

    def add(self, concept: int, name: str) -> None:
        """Add a name of a concept; what stands in parentheses only explains it."""
        bare = re.sub(r"\([^)]*\)", " ", name) if "(" in name else name
        words = tuple(dict.fromkeys(token.word for token in tokens(bare) if self._says(token.word)))
        if words:
            self._names.append((concept, words))
            self._surfaces.update(words)

    def close(self) -> Iterator[None]:
        """Build the index, pausing after every thousand names; nothing may be added afterwards."""
        counts = Counter(stem(word, self.language) for _concept, words in self._names for word in set(words))
        yield None
        total = len(self._names) + 1
        for key, count in counts.items():
            self._keys[key] = len(self._weights)
            weak = WEAK if key in self._rules.weak else 1.0
            self._weights.append(weak * math.log(1 + total / count))
        files: dict[int, array[int]] = defaultdict(lambda: array("I"))
        for number, (concept, words) in enumerate(self._names):
            self._file(number, concept, words, files)
            if number % 1000 == 0:
                yield None
        self._starts.append(len(self._words))
        self._files = dict(files)
        self._names = []

    def hits(self, words: Sequence[Token], without: set[int], enough: float = ENOUGH) -> list[Hit]:
        """The concepts that a text names, each once, in the order of their numbers.

        Args:
            words: Words of the text.
            without: Positions that count as not being there.
            enough: The part of a name's weight that must be there.
        """
        places = self._places(words, without)
        names = sorted({name for key in places for name in self._files.get(key, ())})
        best: dict[int, Hit] = {}
        for name in names:
            hit = self._look(name, places, words, enough)
            if hit and (hit.concept not in best or hit.score > best[hit.concept].score):
                best[hit.concept] = hit
        return [best[concept] for concept in sorted(best)]

    def _says(self, word: str) -> bool:
        return word not in self._rules.stop and (len(word) > 1 or not word.isalpha()) and not word.isdigit()

    def _file(self, number: int, concept: int, words: tuple[str, ...], files: dict[int, array[int]]) -> None:
        self._concepts.append(concept)
        self._starts.append(len(self._words))
        rows = []
        for word in words:
            key = self._keys[stem(word, self.language)]
            shared = root(word, self.language)
            halves = self._halves(word)
            head = self._key(halves[0]) if halves and halves[1] in self._rules.weak else -1
            row = (key, self._key(f"~{shared}") if shared else -1, head)
            rows.append(row)
            for values, value in zip((self._words, self._roots, self._heads), row, strict=True):
                values.append(value)
        for row in nlargest(HEAVIEST, rows, key=lambda row: self._weights[row[0]]):
            for key in row:
                if key >= 0:
                    files[key].append(number)

    def _key(self, text: str) -> int:
        found = self._keys.get(text)
        if found is None:
            found = self._keys[text] = len(self._weights)
            self._weights.append(0.0)
        return found

    def _halves(self, word: str) -> tuple[str, str] | None:
        """The stems of a compound's two parts, where the vocabulary knows the first by itself."""
        if len(word) < SHORTEST_COMPOUND or (self.language == "en" and "-" not in word):
            return None
        for cut in range(len(word) - SHORTEST_PART + 1, SHORTEST_PART, -1):
            first, second = word[:cut].rstrip("-"), word[cut:].lstrip("-")
            for head in (first, first.removesuffix("s"), first.removesuffix("n")):
                if head != word and len(head) > SHORTEST_PART and head in self._surfaces and second:
                    return stem(head, self.language), stem(second, self.language)
        return None

    def _places(self, words: Sequence[Token], without: set[int]) -> dict[int, list[tuple[int, float]]]:
        """Key → where in the text it stands, and how far it counts there."""
        places: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for position, token in enumerate(words):
            if position in without or not self._says(token.word):
                continue
            for text, counts in self._forms(token.word):
                key = self._keys.get(text)
                if key is not None:
                    places[key].append((position, counts))
        return places

    def _forms(self, word: str) -> Iterator[tuple[str, float]]:
        yield stem(word, self.language), SAME
        shared = root(word, self.language)
        if shared:
            yield f"~{shared}", DERIVED
        halves = self._halves(word)
        if halves:
            first, second = halves
            # kassatyö says kassa, but lastenvaate does not say lapsi.
            yield first, DERIVED if second in self._rules.weak else PART
            yield second, PART

    def _look(
        self, name: int, places: dict[int, list[tuple[int, float]]], words: Sequence[Token], enough: float
    ) -> Hit | None:
        rows = range(self._starts[name], self._starts[name + 1])
        weights = [self._weights[self._words[row]] for row in rows]
        total = sum(weights)
        least = PART if len(weights) > 1 else DERIVED
        found = [self._options(row, places, least) for row in rows]
        if sum(weight for weight, options in zip(weights, found, strict=True) if options) < enough * total:
            return None
        heaviest = max((i for i, options in enumerate(found) if options), key=lambda i: weights[i])
        best = (0.0, ())  # type: tuple[float, tuple[int, ...]]
        for anchor, _counts in found[heaviest][:ANCHORS]:
            said, positions = 0.0, set()
            for weight, options in zip(weights, found, strict=True):
                near = [(c, -abs(p - anchor), p) for p, c in options if _near(words, p, anchor)]
                if near:
                    counts, _distance, position = max(near)
                    said += weight * counts
                    positions.add(position)
            if said > best[0]:
                best = (said, tuple(sorted(positions)))
        score = best[0] / total * (ONE_WORD if len(weights) == 1 else 1.0)
        return Hit(self._concepts[name], round(score, 3), best[1]) if score >= enough * ONE_WORD else None

    def _options(self, row: int, places: dict[int, list[tuple[int, float]]], least: float) -> list[tuple[int, float]]:
        options: dict[int, float] = {}
        for key, most in ((self._words[row], SAME), (self._roots[row], DERIVED), (self._heads[row], DERIVED)):
            for position, counts in places.get(key, ()):
                if counts >= least:
                    options[position] = max(options.get(position, 0.0), min(counts, most))
        return sorted(options.items())


def _near(words: Sequence[Token], one: int, other: int) -> bool:
    return abs(one - other) <= WINDOW and words[one].sentence == words[other].sentence
