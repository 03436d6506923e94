"""ESCO's files, read in streams into the records that `POST /v1/vocabulary` takes.

Two forms are read, alone or side by side in one folder:

- JSON of skills and of occupations, each with labels in three languages (``…skills….json``, ``…occupations….json``);
- the official CSV files, one for each language (``skills_fi.csv``, ``occupations_fi.csv``), with alternative labels.

Both go with ``occupationSkillRelations.csv`` and, where it is there, ``broaderRelationsSkillPillar.csv``, in the folder
itself or in ``relations/`` (formats.md, Skills).
"""

from __future__ import annotations

import csv
import json
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ijson

LANGUAGES = ("fi", "sv", "en")
PAGE_BYTES = 1024 * 1024
MOST_ALTERNATIVES = 40
CELL_BYTES = 4 * 1024 * 1024
"""Alternative labels and descriptions of one concept stand in one cell."""

_SKILL, _OCCUPATION = "http://data.europa.eu/esco/skill/", "http://data.europa.eu/esco/occupation/"

# The tops of ESCO's skill hierarchy that a plan treats in its own way: L, and S5 "working with computers".
_TOPS = {
    f"{_SKILL}e35a5936-091d-4e87-bafe-f264e55bd656": "language",
    f"{_SKILL}243eb885-07c7-4b77-ab9c-827551d83dc4": "digital",
}

# ESCO's own lists of skills; they say more than the hierarchy, whose branch T holds a fifth of all skills.
_COLLECTIONS = {
    "languageSkillsCollection": "language",
    "digCompSkillsCollection": "digital",
    "digitalSkillsCollection": "digital",
    "transversalSkillsCollection": "transversal",
}


class NotEsco(ValueError):  # noqa: N818 - errors name the fact
    """The folder does not hold ESCO; the text says which file is missing or which heading."""


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """A record that begins an upload, every skill and occupation, and the record that says that all have come.

    Args:
        folder: Where the files are.

    Raises:
        NotEsco: A file that is needed is absent, or is no such file.
    """
    source = f"ESCO, folder {folder.resolve().name}"
    yield {"kind": "begin", "source": source}
    domains = _domains(folder)
    skills = occupations = relations = 0
    for record in _concepts(folder, "skill"):
        skills += 1
        yield {**record, "domain": domains.get(record["uri"])}
    related = _related(folder)
    for record in _concepts(folder, "occupation"):
        essential, optional = related.pop(record["uri"], ((), ()))
        occupations += 1
        relations += len(essential) + len(optional)
        yield {**record, "essential": list(essential), "optional": list(optional)}
    if not skills or not occupations:
        raise NotEsco(f"{folder} holds {skills} skills and {occupations} occupations")
    yield {
        "kind": "complete",
        "counts": {"skills": skills, "occupations": occupations, "relations": relations},
        # Relations whose occupation is none of the files'.
        "dangling": sum(len(essential) + len(optional) for essential, optional in related.values()),
    }


def pages(items: Iterable[Mapping[str, Any]], *, most_bytes: int = PAGE_BYTES) -> Iterator[bytes]:
    """Records as NDJSON bodies for ``POST /v1/vocabulary``, each at most `most_bytes` long or a single record."""
    page: list[bytes] = []
    size = 0
    for item in items:
        line = json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if page and size + len(line) > most_bytes:
            yield b"".join(page)
            page, size = [], 0
        page.append(line)
        size += len(line)
    if page:
        yield b"".join(page)


def _concepts(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    extra = {language: _csv_file(folder, kind, language) for language in LANGUAGES}
    alternatives = _alternatives({language: path for language, path in extra.items() if path})
    prefix = _SKILL if kind == "skill" else _OCCUPATION
    found = sorted(folder.glob(f"*{kind}s*.json"))
    source = _from_json(found[0]) if found else _from_csv(folder, extra, kind)
    for uri, labels, group in source:
        if uri.startswith(prefix) and labels:
            record = {"kind": kind, "uri": uri, "labels": labels, "alternatives": alternatives.get(uri, {})}
            yield record if kind == "skill" else {**record, "group": group}


def _from_json(path: Path) -> Iterator[tuple[str, dict[str, str], str]]:
    with path.open("rb") as file:
        try:
            for item in ijson.items(file, "item"):
                group = str(item.get("notation") or "").partition(".")[0]
                yield item["uri"], _clean(item.get("prefLabel") or {}), group
        except (ijson.JSONError, KeyError, AttributeError, UnicodeDecodeError) as error:
            raise NotEsco(f"{path.name} is no JSON list of concepts with uri and prefLabel") from error


def _from_csv(folder: Path, files: Mapping[str, Path | None], kind: str) -> Iterator[tuple[str, dict[str, str], str]]:
    labels: dict[str, dict[str, str]] = defaultdict(dict)
    groups: dict[str, str] = {}
    for language, path in files.items():
        for row in _rows(path, "conceptUri", "preferredLabel") if path else ():
            labels[row["conceptUri"]][language] = row["preferredLabel"]
            groups[row["conceptUri"]] = row.get("iscoGroup") or ""
    if not labels:
        raise NotEsco(f"{folder} has neither a JSON of {kind}s nor {kind}s_fi.csv, {kind}s_sv.csv, {kind}s_en.csv")
    for uri, found in labels.items():
        yield uri, _clean(found), groups[uri]


def _alternatives(files: Mapping[str, Path]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for language, path in files.items():
        for row in _rows(path, "conceptUri", "preferredLabel"):
            # The official files separate them by line or by " | ".
            cells = (row.get("altLabels") or "").replace(" | ", "\n").split("\n")
            names = [name.strip() for name in cells if name.strip() and name.strip() != row["preferredLabel"]]
            if names:
                found[row["conceptUri"]][language] = names[:MOST_ALTERNATIVES]
    return found


def _related(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    path = _relation_file(folder, "occupationSkillRelations.csv")
    if path is None:
        raise NotEsco(f"{folder} has no occupationSkillRelations.csv, nor has its folder relations/")
    related: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    known: dict[str, str] = {}
    for row in _rows(path, "occupationUri", "relationType", "skillUri"):
        skill = known.setdefault(row["skillUri"], row["skillUri"])
        related[row["occupationUri"]][row["relationType"] != "essential"].append(skill)
    return related


def _domains(folder: Path) -> dict[str, str]:
    """Skills of ESCO's own lists, and those that stand, at any depth, under one of the tops that matter."""
    path = _relation_file(folder, "broaderRelationsSkillPillar.csv")
    numbers: dict[str, int] = {}
    broader: dict[int, array[int]] = defaultdict(lambda: array("I"))
    for row in _rows(path, "conceptUri", "broaderUri") if path else ():
        above, below = (numbers.setdefault(row[name], len(numbers)) for name in ("broaderUri", "conceptUri"))
        broader[above].append(below)
    domains: dict[int, str] = {}
    for top, domain in _TOPS.items():
        waiting = [numbers[top]] if top in numbers else []
        while waiting:
            here = waiting.pop()
            if here not in domains:
                domains[here] = domain
                waiting.extend(broader.get(here, ()))
    found = {uri: domains[number] for uri, number in numbers.items() if number in domains}
    for name, domain in _COLLECTIONS.items():
        for path in sorted(folder.glob(f"{name}_*.csv"))[:1]:
            found |= {row["conceptUri"]: domain for row in _rows(path, "conceptUri")}
    return found


def _csv_file(folder: Path, kind: str, language: str) -> Path | None:
    path = folder / f"{kind}s_{language}.csv"
    return path if path.is_file() else None


def _relation_file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / "relations" / name) if path.is_file()), None)


def _rows(path: Path, *needed: str) -> Iterator[dict[str, str]]:
    csv.field_size_limit(CELL_BYTES)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise NotEsco(f"{path.name} has no column {', '.join(missing)}")
        yield from reader


def _clean(labels: Mapping[str, str]) -> dict[str, str]:
    return {language: labels[language].strip() for language in LANGUAGES if (labels.get(language) or "").strip()}
