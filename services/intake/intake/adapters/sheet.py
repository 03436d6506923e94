"""A coach's spreadsheet, CSV or XLSX: every good row becomes a client, and the sheet comes back with what became of it.

Rows are read one by one; a wrong cell is told with row, column and rule, never with its value. Excel's own CSV is
taken as it is: semicolons, a byte order mark, or Windows-1252.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils.exceptions import InvalidFileException

from intake.adapters.columns import BY_HEADING, COLUMNS, Column, Wrong, checked

if TYPE_CHECKING:
    from chassis.incoming import Outcome

MAX_BYTES = 5 * 2**20
MAX_UNPACKED = 50 * 2**20
MAX_ROWS = 5000
MAX_CELLS = 100

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv; charset=utf-8"
REFERENCE = "viite / referens / reference"
ERROR = "virhe / fel / error"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FORMULA = ("=", "@", "+", "-", "\t", "\r")


class NotASheet(ValueError):  # noqa: N818 - errors name the fact
    """The whole file cannot be taken; nothing of it is imported. The text is one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be imported.

    Attributes:
        number: Its number in the sheet; the headings are row 1.
        data: The client's JSON.
    """

    number: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A cell that breaks a rule."""

    row: int
    column: str
    rule: str
    message: str

    def json(self) -> dict[str, Any]:
        """As the report has it."""
        return {"row": self.row, "column": self.column, "rule": self.rule, "message": self.message}


@dataclass(slots=True)
class Sheet:
    """What was read.

    Attributes:
        headings: The first row.
        cells: Every other row's cells, as texts.
        rows: The rows that can be imported.
        refusals: What is wrong with the others.
        is_xlsx: Whether it came as XLSX, and goes back so.
    """

    headings: Sequence[str]
    is_xlsx: bool
    cells: list[Sequence[str]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def content_type(self) -> str:
        """The media type that it goes back with."""
        return XLSX if self.is_xlsx else CSV


def read(body: bytes) -> Sheet:
    """Read a whole sheet.

    Raises:
        NotASheet: It is none, is encrypted, empty or too large, or lacks headings.
    """
    if len(body) > MAX_BYTES:
        raise NotASheet(f"The file is larger than {MAX_BYTES // 2**20} MB: split it and import the parts.")
    if not body.strip():
        raise NotASheet(f"The file is empty: its first row must hold the headings {_expected()}.")
    if body.startswith(_OLE):
        raise NotASheet("The file is encrypted or in the old XLS form: save it as XLSX without a password.")
    is_xlsx = body.startswith(b"PK")
    lines = _xlsx(body) if is_xlsx else _csv(body)
    headings = [heading.strip() for heading in next(lines, [])]
    columns = _columns(headings)
    sheet = Sheet(headings, is_xlsx)
    seen: set[str] = set()
    for number, cells in enumerate(lines, start=2):
        if number > MAX_ROWS + 1:
            raise NotASheet(f"The sheet has more than {MAX_ROWS} rows: split it and import the parts.")
        sheet.cells.append(cells)
        if any(cell.strip() for cell in cells):
            _read_row(sheet, number, cells, columns, seen)
    return sheet


class Report:
    """What became of a sheet's rows."""

    def __init__(self, sheet: Sheet) -> None:
        """Begin with what the sheet itself was refused."""
        self._sheet = sheet
        self._clients: list[dict[str, Any]] = []
        self._refusals = list(sheet.refusals)

    def add(self, row: Row, outcome: Outcome, *, short: str | None) -> None:
        """A row's command was applied, or refused after all."""
        if outcome.errors is not None or outcome.refusal is not None or outcome.aggregate_id is None:
            column = _first(outcome.errors) or (outcome.refusal.field if outcome.refusal else None) or "row"
            message = str(outcome.refusal) if outcome.refusal else "breaks the rule of its field"
            self._refusals.append(Refusal(row.number, column, "refused", message))
            return
        changed = "changed" if str(outcome.settled) == "applied" else "unchanged"
        self._clients.append(
            {
                "row": row.number,
                "client": outcome.aggregate_id,
                "reference": short,
                "outcome": "created" if outcome.created else changed,
            }
        )

    def json(self) -> dict[str, Any]:
        """The report as JSON."""
        refusals = sorted(self._refusals, key=lambda refusal: refusal.row)
        return {
            "rows": sum(1 for cells in self._sheet.cells if any(cell.strip() for cell in cells)),
            "accepted": len(self._clients),
            "refused": [refusal.json() for refusal in refusals],
            "clients": self._clients,
        }

    def sheet(self) -> bytes:
        """The sheet as it came, with a column for the reference and one for the error."""
        references = {client["row"]: str(client["reference"]) for client in self._clients}
        errors: dict[int, list[str]] = {}
        for refusal in self._refusals:
            errors.setdefault(refusal.row, []).append(f"{refusal.column}: {refusal.message}")
        kept = [place for place, h in enumerate(self._sheet.headings) if h not in (REFERENCE, ERROR)]
        rows = [[*(self._sheet.headings[place] for place in kept), REFERENCE, ERROR]]
        for number, cells in enumerate(self._sheet.cells, start=2):
            own = [cells[place] if place < len(cells) else "" for place in kept]
            rows.append([*own, references.get(number, ""), "; ".join(errors.get(number, ()))])
        return _write_xlsx(rows) if self._sheet.is_xlsx else _write_csv(rows)


def _read_row(
    sheet: Sheet, number: int, cells: Sequence[str], columns: Mapping[int, Column], seen: set[str]
) -> None:
    before = len(sheet.refusals)
    data: dict[str, Any] = {}
    for place, column in columns.items():
        text = cells[place].strip() if place < len(cells) else ""
        try:
            _read_cell(data, column, text)
        except Wrong as wrong:
            sheet.refusals.append(Refusal(number, sheet.headings[place], wrong.rule, str(wrong)))
    case = str(data.get("caseNumber", "")).casefold()
    if case and case in seen:
        heading = next(sheet.headings[place] for place, column in columns.items() if column.name == "caseNumber")
        text = "stands in an earlier row of this sheet"
        sheet.refusals.append(Refusal(number, heading, "twice", text))
    seen.add(case)
    if len(sheet.refusals) == before:
        sheet.rows.append(Row(number, data))


def _read_cell(data: dict[str, Any], column: Column, text: str) -> None:
    if not text:
        if column.required:
            raise Wrong("missing", "must be filled")
        return
    if text.startswith(("=", "@")) or (text[0] in "+-" and not _is_phone(text)):
        raise Wrong("formula", "is a formula; write the text itself")
    value = column.read(checked(text))
    *outer, last = column.name.split(".")
    for name in outer:
        data = data.setdefault(name, {})
    data[last] = value


def _columns(headings: Sequence[str]) -> dict[int, Column]:
    found = {place: BY_HEADING[h.casefold()] for place, h in enumerate(headings) if h.casefold() in BY_HEADING}
    names = [column.name for column in found.values()]
    missing = [column.headings[0] for column in COLUMNS if column.required and column.name not in names]
    if missing or len(set(names)) != len(names):
        raise NotASheet(f"The first row must hold the headings {_expected()}, each once (Swedish and English are known too).")
    return found


def _expected() -> str:
    return ", ".join(column.headings[0] for column in COLUMNS if column.required)


def _csv(body: bytes) -> Iterator[list[str]]:
    if b"\0" in body:
        raise NotASheet("The file is no spreadsheet: save it as CSV or XLSX.")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What Excel saves in this region when it does not save UTF-8.
        text = body.decode("cp1252", "replace")
    first = text.partition("\n")[0]
    delimiter = max(";,\t", key=first.count)
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            yield cells[:MAX_CELLS]
    except csv.Error:
        raise NotASheet("The file is no spreadsheet: save it as CSV or XLSX.") from None


def _xlsx(body: bytes) -> Iterator[list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            names = set(archive.namelist())
        if unpacked > MAX_UNPACKED:
            raise NotASheet(f"The file unpacks to more than {MAX_UNPACKED // 2**20} MB: split it and import the parts.")
        if "[Content_Types].xml" not in names:
            raise NotASheet("The file is no spreadsheet: save it as CSV or XLSX.")
        book = load_workbook(io.BytesIO(body), read_only=True)
        rows = book.worksheets[0].iter_rows(max_col=MAX_CELLS)
        for row in rows:
            yield [_cell(cell.value) for cell in row]
    except (zipfile.BadZipFile, InvalidFileException, KeyError, IndexError, ValueError, OSError, SyntaxError) as error:
        if isinstance(error, NotASheet):
            raise
        raise NotASheet("The file is no spreadsheet that can be read: save it anew as XLSX or CSV.") from None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _write_xlsx(rows: Iterable[Sequence[str]]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        cells = []
        for text in row:
            cell = WriteOnlyCell(sheet, text)
            # A text that begins like a formula stays a text.
            cell.data_type = "s"
            cells.append(cell)
        sheet.append(cells)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _write_csv(rows: Iterable[Sequence[str]]) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target, delimiter=";", lineterminator="\r\n")
    writer.writerows([[f"'{text}" if text.startswith(_FORMULA) and not _is_phone(text) else text for text in row] for row in rows])
    return target.getvalue().encode("utf-8-sig")


def _is_phone(text: str) -> bool:
    return text[0] in "+-" and text[1:].replace(" ", "").replace("-", "").isdigit()


def _first(errors: Mapping[str, Any] | None) -> str | None:
    return next(iter(errors), None) if errors else None
