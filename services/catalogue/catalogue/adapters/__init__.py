"""Offerings in the forms that schools have: Kouta and Konfo JSON, the Open Education API, and spreadsheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import TypeAlias

from catalogue.adapters import kouta, ooapi, sheet
from catalogue.adapters.drafts import Desk, Unreadable
from catalogue.adapters.records import Source
from catalogue.imports import Item

Reader: TypeAlias = Callable[[Source, Desk], Iterator[Item]]

FORMS: Mapping[str, Reader] = {"kouta": kouta.read, "ooapi": ooapi.read, "csv": sheet.read}
"""Name of a form → its reader; ``csv`` reads XLSX as well."""


def offerings(form: str, source: Source, provider: str, at: datetime) -> Iterator[Item]:
    """Read one import, row by row: drafts, what is gone, and refusals.

    Args:
        form: ``kouta``, ``ooapi`` or ``csv``.
        source: The bytes, a file, a folder (``kouta``: its dumps), or several files.
        provider: Code of the organisation whose offerings they are.
        at: When they are read, with offset; offerings are fresh for a while from then on.

    Raises:
        Unreadable: The source as a whole is not of this form or holds no row; nothing of it was taken.
        KeyError: There is no such form.
    """
    system = "sheet" if form == "csv" else form
    items = FORMS[form](source, Desk(provider=provider, system=system, at=at))
    first = next(items, None)
    if first is None:
        raise Unreadable("body: holds no offering at all; nothing was imported", field="body")
    return chain([first], items)
