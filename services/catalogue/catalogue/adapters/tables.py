"""Tables as people save them: CSV of any common kind, and XLSX, within limits that no bomb gets past."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import openpyxl

from catalogue.adapters.drafts import Unreadable

MAX_BYTES = 5 * 2**20
MAX_UNPACKED_BYTES = 50 * 2**20
MAX_ROWS = 20_000
MAX_COLUMNS = 200
MAX_CELL = 10_000

DELIMITERS = ";,\t|"

EXPECTED = "body: expected a table as CSV (UTF-8 or Windows-1252) or XLSX"


class Formula(str):
    """A cell that holds a formula instead of a value."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row with the number that a spreadsheet shows."""

    number: int
    cells: Sequence[object]


def table(body: bytes) -> Iterator[Row]:
    """The rows of a table, headings first; empty rows are left out.

    Raises:
        Unreadable: It is no table, encrypted, too big or too long.
    """
    if len(body) > MAX_BYTES:
        raise Unreadable(f"body: a table has {MAX_BYTES // 2**20} MB at the most", field="body")
    if body.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("body: is encrypted or in the old XLS form; save it as XLSX or CSV", field="body")
    cells = _xlsx(body) if body.startswith(b"PK") else _csv(body)
    for number, row in enumerate(cells, 1):
        if number > MAX_ROWS:
            raise Unreadable(f"body: a table has {MAX_ROWS} rows at the most", field="body")
        if any(cell not in (None, "") for cell in row):
            yield Row(number, [_formula(cell) for cell in row[:MAX_COLUMNS]])


def _formula(cell: object) -> object:
    text = cell.strip()[:MAX_CELL] if isinstance(cell, str) else cell
    return Formula(text) if isinstance(text, str) and text.startswith("=") else text


def _csv(body: bytes) -> Iterator[Sequence[object]]:
    text = _text(body)
    if "\0" in text:
        raise Unreadable(EXPECTED, field="body")
    begun, named = text.lstrip("\r\n"), ""
    if begun.startswith("sep="):
        # Excel's own hint, a line that a spreadsheet does not show; one that names nothing usable is left aside.
        hint, _, text = begun.partition("\n")
        begun, named = text, hint[4:5]
    delimiter = named if named and named in DELIMITERS else max(DELIMITERS, key=partial(_cells, begun))
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error:
        raise Unreadable(EXPECTED, field="body") from None


def _cells(text: str, delimiter: str) -> int:
    """How many cells a table begins with where this separates them; 0 where it cannot be read so."""
    try:
        return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), ()))
    except csv.Error:
        return 0


def _text(body: bytes) -> str:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Excel's "CSV (separated by semicolons)" in Finland.
        return body.decode("cp1252", errors="replace")


def _xlsx(body: bytes) -> Iterator[Sequence[object]]:
    if _unpacked(body) > MAX_UNPACKED_BYTES:
        raise Unreadable(f"body: unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB", field="body")
    try:
        yield from _sheet(body)
    except Exception:  # noqa: BLE001 - openpyxl raises whatever a broken part of the archive makes it stumble over
        raise Unreadable(EXPECTED, field="body") from None


def _unpacked(body: bytes) -> int:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return sum(part.file_size for part in archive.infolist())
    except zipfile.BadZipFile:
        raise Unreadable(EXPECTED, field="body") from None


def _sheet(body: bytes) -> Iterator[Sequence[Any]]:
    book = openpyxl.load_workbook(io.BytesIO(body), read_only=True, data_only=False)
    try:
        yield from book.worksheets[0].iter_rows(values_only=True, max_col=MAX_COLUMNS, max_row=MAX_ROWS + 1)
    finally:
        book.close()
