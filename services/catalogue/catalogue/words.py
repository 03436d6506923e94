"""Words of texts in Finnish, Swedish and English, cut to stems, so that inflected forms meet.

Stems are Snowball's. Finnish consonant gradation of the commonest ending is evened out (``hitsaus``, ``hitsauksen``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import snowballstemmer

ALGORITHMS = {"fi": "finnish", "sv": "swedish", "en": "english"}

CACHED_WORDS = 100_000
"""Stemming a word costs some 20 microseconds; texts repeat their words."""

MAX_WORD = 60
"""Longer strings of letters are no words."""

_WORD = re.compile(r"[^\W_]+(?:[+#]+(?!\w))?")

_COMMON = {
    "fi": (
        "ja tai sekä että on ovat ei se ne kun jos kuin myös mukaan kanssa varten eri muu muut oma omat uusi perusteet "
        "perus alku alkeet osa kurssi koulutus opinnot opintojakso taito taidot osaaminen käyttää käyttö noudattaa "
        "suorittaa tehdä varmistaa huolehtia soveltaa ylläpitää hallita toteuttaa edistää tukea antaa olla voida "
        "liittyvä liittyvät tapa"
    ),
    "sv": (
        "och eller samt att är en ett i på av för med till om den det de som från vid kurs utbildning studier grunder "
        "kunskap färdigheter använda utföra göra säkerställa tillämpa upprätthålla hantera främja stödja ge vara kunna "
        "olika egen ny"
    ),
    "en": (
        "and or as well the a an is are in on of for with to by from at that course training studies basics skills "
        "knowledge use using perform do ensure apply maintain manage handle promote support give be can different own "
        "new"
    ),
}
"""Words that tell nothing of what is taught: little words, and the verbs that skills' labels begin with."""


def stems(text: str, language: str) -> list[str]:
    """The stems of a text's telling words, each once, in order; those of common words are left out."""
    common = _common(language)
    found = (stem(word, language) for word in _words(text))
    return list(dict.fromkeys(one for one in found if one not in common))


@lru_cache(maxsize=CACHED_WORDS)
def stem(word: str, language: str) -> str:
    """A lower-case word's stem."""
    found: str = _stemmer(language).stemWord(word)
    return f"{found[:-2]}s" if language == "fi" and len(found) > 5 and found.endswith("ks") else found  # noqa: PLR2004


def _words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text.casefold()):
        word = match.group()
        if 1 < len(word) <= MAX_WORD and not word.isdigit():
            yield word


@cache
def _common(language: str) -> frozenset[str]:
    return frozenset(stem(word, language) for word in _COMMON[language].split())


@cache
def _stemmer(language: str) -> Any:
    return snowballstemmer.stemmer(ALGORITHMS[language])
