"""Spreadsheet files, CSV and XLSX: from bytes to rows of texts, and back, within limits and without formulas.

Excel's own CSV is taken as it is: commas, semicolons or tabs; a byte order mark, Windows-1252, or "Unicode text".
What a hostile file can do is bounded before and while it is read: bytes, unpacked bytes, rows, cells, characters.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

MAX_BYTES = 5 * 2**20
MAX_UNPACKED = 50 * 2**20
"""Bytes of a zip archive's parts together, and characters of all cells together."""

MAX_ROWS = 5000
MAX_CELLS = 100
MAX_CELL = 32_767
"""Characters of a cell: Excel's own limit."""

BLANK_ROWS = 1000
"""Blank rows in a row after which nothing more is looked for: formats may reach down to row 1,048,576."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_FORMULA = ("=", "@", "+", "-", "\t", "\r")
_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"})
# What XML forbids and no text needs; XLSX cannot even hold it.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_PHONE = re.compile(r"[+-][\d\s()./-]*\d[\d\s()./-]*")
_UNREADABLE = "The file is no spreadsheet that can be read: save it anew as XLSX or CSV."


class NotASheet(ValueError):  # noqa: N818 - errors name the fact
    """The whole file cannot be taken; nothing of it is imported. The text is one sentence with the next step."""


def is_xlsx(body: bytes) -> bool:
    """Whether the bytes are a zip archive, as every XLSX is."""
    return body.startswith(_ZIP)


def read_rows(body: bytes) -> Iterator[list[str]]:
    """The rows of the first sheet as texts, from the first to the last that is not blank; blank ones are empty.

    Raises:
        NotASheet: The file is empty, too large, encrypted, or no spreadsheet.
    """
    if len(body) > MAX_BYTES:
        raise NotASheet(f"The file is larger than {MAX_BYTES // 2**20} MB: split it and import the parts.")
    if body.startswith(_OLE):
        raise NotASheet("The file is encrypted or in the old XLS form: save it as XLSX without a password.")
    return _bounded(_xlsx(body) if is_xlsx(body) else _csv(body))


def is_formula(text: str) -> bool:
    """Whether a spreadsheet program would take a cell's text for a formula, or made it as a formula's error.

    Telephone numbers are none (``+358 40 …``), nor is a list's dash before a word (``- siivous``).
    """
    if text in _ERRORS or text.startswith(("=", "@")):
        return True
    return text[:1] in ("+", "-") and not _PHONE.fullmatch(text) and not re.match(r"[-+]\s+[^\W\d]", text)


def write_xlsx(rows: Iterable[Sequence[str]]) -> bytes:
    """An XLSX file of texts; one that begins like a formula stays a text."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        sheet.append([_text_cell(sheet, text) for text in row])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def write_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """A CSV file that Excel opens as it is; an apostrophe keeps it from taking a text for a formula."""
    target = io.StringIO()
    # All is quoted, so that no comma within a cell can be taken for what separates the cells.
    writer = csv.writer(target, delimiter=";", lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerows([_guarded(text) for text in row] for row in rows)
    return target.getvalue().encode("utf-8-sig")


def _bounded(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    blank = filled = characters = 0
    for number, row in enumerate(rows, start=1):
        cells = [_clean(text, number) for text in row]
        # A workbook's rows are filled up to the greatest width; what is blank at their end is no cell.
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            blank += 1
            if blank > BLANK_ROWS:
                return
            continue
        filled += 1
        characters += sum(map(len, cells))
        if filled > MAX_ROWS + 1:
            raise NotASheet(f"The sheet has more than {MAX_ROWS} rows: split it and import the parts.")
        if characters > MAX_UNPACKED:
            raise _unpacked()
        yield from ([] for _ in range(blank))
        blank = 0
        yield cells


def _clean(text: str, row: int) -> str:
    if not text:
        return text
    if len(text) > MAX_CELL:
        raise NotASheet(f"Row {row} has a cell of more than {MAX_CELL} characters: shorten it and import again.")
    text = _CONTROL.sub("", text).strip()
    # The apostrophe with which a text that looks like a formula was kept a text.
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _csv(body: bytes) -> Iterator[list[str]]:
    text = _decoded(body)
    delimiter = max(";,\t", key=partial(_cells, text))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            yield cells[:MAX_CELLS]
    except csv.Error:
        raise NotASheet(
            f"Line {reader.line_num} is no CSV: a quotation mark is open or a cell is too long; save the file anew."
        ) from None


def _cells(text: str, delimiter: str) -> int:
    """How many cells a table begins with where this separates them; 0 where it cannot be read so."""
    try:
        return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), ()))
    except csv.Error:
        return 0


def _decoded(body: bytes) -> str:
    try:
        if body.startswith(_UTF16):
            return body.decode("utf-16")
        if b"\0" in body:
            raise NotASheet(_UNREADABLE)
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What Excel saves in this region when it does not save UTF-8.
        return body.decode("cp1252", "replace")


def _xlsx(body: bytes) -> Iterator[list[str]]:
    try:
        _look_into(body)
        book = load_workbook(io.BytesIO(body), read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        # Some programs write a wrong size into the sheet, which would cut rows off.
        sheet.reset_dimensions()
        for row in sheet.iter_rows(max_col=MAX_CELLS, values_only=True):
            yield [_text(value) for value in row]
    except NotASheet:
        raise
    except Exception:  # noqa: BLE001 - a broken archive makes openpyxl raise nearly anything
        raise NotASheet(_UNREADABLE) from None


def _look_into(body: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        entries = archive.infolist()
    # The archive's directory is binding: zipfile unpacks no part beyond the size that it is said to have there.
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise _unpacked()
    if "[Content_Types].xml" not in {entry.filename for entry in entries}:
        raise NotASheet(_UNREADABLE)


def _unpacked() -> NotASheet:
    return NotASheet(f"The file unpacks to more than {MAX_UNPACKED // 2**20} MB: split it and import the parts.")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, ArrayFormula | DataTableFormula):
        return "="
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _text_cell(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    return cell


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) and not _PHONE.fullmatch(text) else text
