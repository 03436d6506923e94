"""A coach's spreadsheet: every good row becomes a client, and the sheet comes back with what became of it.

Rows are read one by one; a wrong cell is told with row, column and rule, never with its value.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intake.adapters.columns import BY_HEADING, BY_NAME, COLUMNS, Column, Wrong, checked
from intake.adapters.files import NotASheet, is_formula, is_xlsx, read_rows, write_csv, write_xlsx

if TYPE_CHECKING:
    from chassis.incoming import Outcome

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv; charset=utf-8"
REFERENCE = "viite / referens / reference"
ERROR = "virhe / fel / error"

_NOTHING = frozenset({"", "-", "–"})
"""What people write into a cell that is to stay empty."""


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
    """A cell that breaks a rule.

    Attributes:
        row: The row's number.
        column: The heading as the sheet has it.
        rule: The rule's name.
        message: The rule in a sentence, without the value.
    """

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
        is_xlsx: Whether it came as XLSX, and goes back so.
        columns: Place → column, of the headings that are known.
        cells: Every other row's cells, as texts.
        rows: The rows that can be imported.
        refusals: What is wrong with the others.
    """

    headings: Sequence[str]
    is_xlsx: bool
    columns: Mapping[int, Column]
    cells: list[Sequence[str]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def content_type(self) -> str:
        """The media type that it goes back with."""
        return XLSX if self.is_xlsx else CSV

    def heading(self, name: str) -> str:
        """The heading of a column in this sheet; of one that it lacks, the template's."""
        places = (place for place, column in self.columns.items() if column.name == name)
        place = next(places, None)
        if place is not None:
            return self.headings[place]
        return BY_NAME[name].headings[0] if name in BY_NAME else name


def read(body: bytes) -> Sheet:
    """Read a whole sheet.

    Raises:
        NotASheet: It is none, is encrypted, empty or too large, or has other headings than the template.
    """
    lines = read_rows(body)
    headings = next(lines, [])
    sheet = Sheet(headings, is_xlsx(body), _columns(headings))
    seen: set[str] = set()
    for number, cells in enumerate(lines, start=2):
        sheet.cells.append(cells)
        if any(cells):
            _read_row(sheet, number, cells, seen)
    if not any(sheet.cells):
        raise NotASheet("The sheet is empty: there is no row below its headings.")
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
        refusal = outcome.refusal
        if outcome.errors is not None:
            name, message = _first(outcome.errors)
            self._refuse(row, name, "wrong-value", message)
        elif refusal is not None:
            self._refuse(row, refusal.field or "caseNumber", refusal.rule, str(refusal))
        else:
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
        return {
            "rows": sum(1 for cells in self._sheet.cells if any(cells)),
            "accepted": len(self._clients),
            "refused": [refusal.json() for refusal in sorted(self._refusals, key=lambda refusal: refusal.row)],
            "clients": self._clients,
        }

    def sheet(self) -> bytes:
        """The sheet as it came, with a column for the reference and one for the error."""
        references = {client["row"]: str(client["reference"]) for client in self._clients}
        errors: dict[int, list[str]] = {}
        for refusal in self._refusals:
            errors.setdefault(refusal.row, []).append(f"{refusal.column}: {refusal.message}")
        kept = [place for place, heading in enumerate(self._sheet.headings) if heading not in (REFERENCE, ERROR)]
        rows = [[*(self._sheet.headings[place] for place in kept), REFERENCE, ERROR]]
        for number, cells in enumerate(self._sheet.cells, start=2):
            own = [cells[place] if place < len(cells) else "" for place in kept]
            rows.append([*own, references.get(number, ""), "; ".join(errors.get(number, ()))])
        return write_xlsx(rows) if self._sheet.is_xlsx else write_csv(rows)

    def _refuse(self, row: Row, name: str, rule: str, message: str) -> None:
        self._refusals.append(Refusal(row.number, self._sheet.heading(name), rule, message))


def _columns(headings: Sequence[str]) -> dict[int, Column]:
    named = {place: heading.casefold() for place, heading in enumerate(headings) if heading}
    found = {place: BY_HEADING[heading] for place, heading in named.items() if heading in BY_HEADING}
    names = [column.name for column in found.values()]
    if any(column.required and column.name not in names for column in COLUMNS):
        needed = ", ".join(column.headings[0] for column in COLUMNS if column.required)
        raise NotASheet(f"The first row must hold at least the headings {needed} (or their Swedish or English names).")
    # A heading with a slip in it would lose its whole column, an order of non-disclosure for instance.
    unknown = set(named) - set(found) - {place for place, text in enumerate(headings) if text in (REFERENCE, ERROR)}
    if unknown or len(set(names)) != len(names):
        known = ", ".join(column.headings[0] for column in COLUMNS)
        place = min(unknown) if unknown else next(p for p, column in found.items() if names.count(column.name) > 1)
        raise NotASheet(f"Column {place + 1} has a heading that is not known or stands twice; known are: {known}.")
    return found


def _read_row(sheet: Sheet, number: int, cells: Sequence[str], seen: set[str]) -> None:
    before = len(sheet.refusals)
    data: dict[str, Any] = {}
    for place, column in sheet.columns.items():
        try:
            _read_cell(data, column, cells[place] if place < len(cells) else "")
        except Wrong as wrong:
            sheet.refusals.append(Refusal(number, sheet.headings[place], wrong.rule, str(wrong)))
    case = _case(data.get("caseNumber", ""))
    if case and case in seen:
        text = "stands in an earlier row of this sheet"
        sheet.refusals.append(Refusal(number, sheet.heading("caseNumber"), "twice", text))
    seen.add(case)
    if len(sheet.refusals) == before:
        sheet.rows.append(Row(number, data))


def _read_cell(data: dict[str, Any], column: Column, text: str) -> None:
    if text in _NOTHING:
        if column.required:
            raise Wrong("missing", "must be filled")
        return
    if is_formula(text):
        raise Wrong("formula", "is a formula; write the text itself")
    value = column.read(checked(text, column.longest))
    *outer, last = column.name.split(".")
    for name in outer:
        data = data.setdefault(name, {})
    data[last] = value


def _case(number: str) -> str:
    """A case number as a client's id is made of it, so that one client is not taken for two."""
    return " ".join(unicodedata.normalize("NFKC", number).casefold().split())


def _first(errors: Any, path: tuple[str, ...] = ()) -> tuple[str, str]:
    """Name of the column and rule of the first of marshmallow's errors."""
    if isinstance(errors, dict):
        name, inner = next(iter(errors.items()))
        return _first(inner, (*path, str(name)) if isinstance(name, str) and name != "_schema" else path)
    return ".".join(path), str(errors[0]) if isinstance(errors, list) else str(errors)
