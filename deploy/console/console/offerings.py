"""Imports of offerings: a member's through its own catalogue; a guest's by speaking for it on the broker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalogue import adapters
from catalogue.adapters.drafts import Unreadable
from catalogue.events import OfferingChanged, OfferingPublished, OfferingWithdrawn
from catalogue.imports import Comparison, Known, Verb
from catalogue.schemas import OfferingRead
from chassis.decision import ALL, Classification
from console.reach import Reach

SCHEMAS = {Verb.PUBLISHED: OfferingPublished, Verb.CHANGED: OfferingChanged, Verb.WITHDRAWN: OfferingWithdrawn}
LOOKED_AT_BYTES = 64 * 1024
SUFFIXES = {".csv": "csv", ".xlsx": "csv", ".json": "kouta", ".ndjson": "kouta"}


class NotImported(RuntimeError):  # noqa: N818 - errors name the fact
    """The import as a whole was not taken."""


@dataclass(slots=True)
class Imported:
    """What an import did."""

    rows: int = 0
    published: int = 0
    changed: int = 0
    unchanged: int = 0
    withdrawn: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)


def form_of(path: Path, given: str | None) -> str:
    """The form of a file: as given, or by its name.

    Raises:
        NotImported: Its name tells none.
    """
    form = given or _looks_like(path) or SUFFIXES.get(path.suffix.lower())
    if form is None or form not in adapters.FORMS:
        raise NotImported(f"{path.name}: say its form with --form {' | '.join(adapters.FORMS)}")
    return form


def _looks_like(path: Path) -> str | None:
    """The form that a JSON file's beginning tells; Kouta and the Open Education API share a suffix."""
    if path.suffix.lower() != ".json":
        return None
    with path.open("rb") as source:
        beginning = source.read(LOOKED_AT_BYTES)
    return "ooapi" if b'"course' in beginning else None


def import_offerings(reach: Reach, organisation: str, paths: list[Path], form: str) -> Imported:
    """Import files as the offerings of an organisation; only what changed is published.

    Raises:
        NotImported: A file as a whole is not of that form.
        Refused: The organisation's catalogue answered with a problem.
    """
    if organisation in reach.runs("catalogue"):
        return _through_own(reach, organisation, paths, form)
    try:
        return _as_guest(reach, organisation, paths, form)
    except Unreadable as error:
        raise NotImported(f"{', '.join(path.name for path in paths)}: {error}") from None


def _through_own(reach: Reach, organisation: str, paths: list[Path], form: str) -> Imported:
    total = Imported()
    api = reach.api(organisation, "catalogue", "operator")
    for path in paths:
        answer = api.upload("/v1/imports", path.read_bytes(), content_type="application/octet-stream", form=form)
        report = answer.json()
        total.rows += report["rows"]
        total.published += report["published"]
        total.changed += report["changed"]
        total.unchanged += report["unchanged"]
        total.withdrawn += report["withdrawn"]
        total.refused += report["refused"]
    return total


def _as_guest(reach: Reach, organisation: str, paths: list[Path], form: str) -> Imported:
    at = datetime.now(UTC)
    copy = reach.api(reach.runs("catalogue")[0], "catalogue", "operator")
    comparison = Comparison(known=dict(_known(copy.lines("/v1/offerings", provider=organisation, withdrawn="true"))))
    source = paths[0] if len(paths) == 1 else paths
    told = Imported()
    with reach.partner(organisation) as partner:
        for change in comparison.changes(adapters.offerings(form, source, organisation, at)):
            schema = SCHEMAS[change.verb]
            data = schema().dump(change.offering) if change.offering else _gone(organisation)
            name = f"offering.{change.verb}"
            partner.publish(name, change.id, data, to=ALL, classification=Classification.PUBLIC)
            setattr(told, str(change.verb), getattr(told, str(change.verb)) + 1)
    told.rows = comparison.rows
    told.unchanged = comparison.kept - told.published - told.changed
    told.refused = [{"row": r.row, "field": r.field, "rule": r.rule, "message": r.message} for r in comparison.refused]
    return told


def _known(lines: Iterable[dict[str, Any]]) -> Iterable[tuple[str, Known]]:
    reader = OfferingRead()
    for line in lines:
        yield line["subject"], Known.of(reader.load(line["data"]))


def _gone(organisation: str) -> dict[str, Any]:
    return {"provider": organisation, "withdrawn": True}
