"""The vocabulary that comes with the project: the region's occupations, their main skills, and clients' words for them.

Identifiers, names and relations are ESCO's; the words of clients are the project's own. They serve beside an uploaded
vocabulary as well, since ESCO's names are seldom what people say.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from assessment.languages import LANGUAGES

SOURCE = "the project's own selection from ESCO 1.1.1"


def records() -> Iterator[Mapping[str, Any]]:
    """Skills and occupations as vocabulary.build takes them."""
    for row in _rows("skills.csv"):
        yield {"kind": "skill", "uri": row["uri"], "labels": _labels(row), "domain": row["domain"] or None}
    related: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows("relations.csv"):
        related[row["occupation"]][row["relation"]].append(row["skill"])
    for row in _rows("occupations.csv"):
        found = related[row["uri"]]
        yield {
            "kind": "occupation",
            "uri": row["uri"],
            "labels": _labels(row),
            "group": row["group"],
            "essential": found["essential"],
            "optional": found["optional"],
        }


def words() -> Mapping[str, Mapping[str, list[str]]]:
    """Clients' words: identifier → language → words."""
    found = {
        row["uri"]: {language: row[f"{language}Words"].split(";") for language in LANGUAGES if row[f"{language}Words"]}
        for name in ("skills.csv", "occupations.csv")
        for row in _rows(name)
    }
    return {uri: by_language for uri, by_language in found.items() if by_language}


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files("assessment").joinpath("data", name).read_text("utf-8")
    yield from csv.DictReader(text.splitlines())


def _labels(row: Mapping[str, str]) -> dict[str, str]:
    return {language: row[language] for language in LANGUAGES if row[language]}
