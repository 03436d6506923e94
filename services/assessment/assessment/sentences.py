"""A client's text: its words and clauses, what of it is denied, and where in it something stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from assessment.languages import RULES, WORD, normal

_SENTENCE = re.compile(r"[.!?;:\n\r•]")
_COMMA = re.compile(r"[,()/–—]|\s-\s")


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a text.

    Attributes:
        offset: Where it begins, in code points.
        length: Its length.
        word: As `normal` gives it.
        sentence: Number of its sentence.
        clause: Number of its clause: what stands between commas.
    """

    offset: int
    length: int
    word: str
    sentence: int
    clause: int


def tokens(text: str) -> list[Token]:
    """The words of a text."""
    found: list[Token] = []
    end = sentence = clause = 0
    for match in WORD.finditer(text):
        between = text[end : match.start()]
        if _SENTENCE.search(between):
            sentence += 1
            clause += 1
        elif _COMMA.search(between):
            clause += 1
        found.append(Token(match.start(), match.end() - match.start(), normal(match.group()), sentence, clause))
        end = match.end()
    return found


def denied(words: Sequence[Token], language: str) -> set[int]:
    """Positions of the words that the client says not to have or not to know.

    A denial holds for its part of the clause (before it as well: "jag svetsar inte") and goes on, past joining words
    and through lists, until a new statement begins.
    """
    no: set[int] = set()
    for part, goes_on in _parts(words, language):
        if _is_denied(words, part, language) or (goes_on and part[0] - 1 in no):
            no.update(part)
        else:
            no.update(_after_without(words, part, language))
    return no


def _parts(words: Sequence[Token], language: str) -> Iterator[tuple[list[int], bool]]:
    """Parts of clauses, each with whether a denial before it holds on."""
    rules = RULES[language]
    part: list[int] = []
    goes_on = False
    for position, token in enumerate(words):
        before = words[position - 1] if position else None
        new_clause = before is not None and token.clause != before.clause
        if part and (new_clause or token.word in rules.but | rules.joins):
            yield part, goes_on
            part = []
            goes_on = token.word not in rules.but and not _affirms(words, position, language)
            if new_clause:
                goes_on = (
                    goes_on and token.sentence == words[position - 1].sentence and _lists(words, position, language)
                )
        part.append(position)
    if part:
        yield part, goes_on


def _affirms(words: Sequence[Token], position: int, language: str) -> bool:
    rules = RULES[language]
    ahead = words[position : position + 3]
    return any(token.word in rules.affirms for token in ahead if token.sentence == words[position].sentence)


def _lists(words: Sequence[Token], position: int, language: str) -> bool:
    """Whether what begins here is an item of a list that ends with "or": ruotsia, englantia tai saksaa."""
    rules = RULES[language]
    sentence = words[position].sentence
    for here in words[position:]:
        if here.sentence != sentence or here.word in rules.affirms or here.word in rules.but:
            return False
        if here.word in rules.either:
            return True
    return False


def _is_denied(words: Sequence[Token], part: Sequence[int], language: str) -> bool:
    rules = RULES[language]
    for position in part:
        if words[position].word in rules.no:
            # "Not only" says yes.
            following = [words[ahead].word for ahead in range(position + 1, min(position + 4, len(words)))]
            if not rules.only.intersection(following):
                return True
    return False


def _after_without(words: Sequence[Token], part: Sequence[int], language: str) -> Iterable[int]:
    rules = RULES[language]
    for position in part:
        following = words[position + 1].word if position + 1 < len(words) else ""
        if words[position].word in rules.without and following not in rules.also:
            return range(position, part[-1] + 1)
    return ()


def spans(words: Sequence[Token], positions: Sequence[int]) -> list[tuple[int, int]]:
    """Offset and length of what stands at some positions; neighbours are one span."""
    found: list[tuple[int, int]] = []
    runs: list[list[int]] = [[positions[0]]] if positions else []
    for before, position in pairwise(positions):
        if position == before + 1 and words[position].clause == words[before].clause:
            runs[-1].append(position)
        else:
            runs.append([position])
    for run in runs:
        first, last = words[run[0]], words[run[-1]]
        found.append((first.offset, last.offset + last.length - first.offset))
    return found
