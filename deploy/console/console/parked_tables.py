"""Parking lots for people: tables and sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

SHORT_ID = 12
"""Characters of an id that tables show; they are enough to name it."""

_MINUTE = 16


def of_rows(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Groups, or entries where the rows have ids."""
    return _of_entries(rows) if "id" in rows[0] else _of_groups(rows)


def of_entry(entry: Mapping[str, Any]) -> Table:
    """One entry, a line for each thing that is known of it."""
    table = Table(show_header=False)
    for name, value in entry.items():
        if name == "audit":
            for line in value:
                table.add_row("audit", _audit(line))
        elif value is not None:
            table.add_row(name, _text(value))
    return table


def of_plan(what: str, planned: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    """What an action would do."""
    rows = [{"lot": one["lot"], **group} for one in planned for group in one["groups"]]
    if rows:
        yield _of_groups(rows)
    yield f"Would {what} {sum(one['matched'] for one in planned):,}; nothing is changed."
    for one in planned:
        yield from _left(one["lot"], one["replaying"], one["withoutBody"])


def of_done(what: str, done: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What an action did."""
    verb = {"replay": "sent again", "discard": "discarded"}[what]
    for one in done:
        if one["ids"]:
            yield f"{one['lot']}: {len(one['ids']):,} {verb}."
        yield from _left(one["lot"], one["replaying"], one["without_body"])
    if not any(one["ids"] for one in done):
        yield "Nothing was done: nothing that waits fits."
    elif what == "replay":
        yield "What fails again stands in `viisikko parked list` with one attempt more."


def _of_groups(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("parked at", "count", "status", "reason", "type", "publisher", "first", "last", "error")
    for row in rows:
        cells = (row["lot"], row["count"], row["status"], _reason(row), row["type"], row["publisher"])
        table.add_row(*(_text(cell) for cell in cells), _time(row["first"]), _time(row["last"]), _text(row["error"]))
    return table


def _of_entries(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("parked at", "id", "status", "reason", "type", "publisher", "attempts", "first", "last")
    for row in rows:
        cells = (row["lot"], row["id"][:SHORT_ID], row["status"], _reason(row), row["type"], row["publisher"])
        table.add_row(*(_text(cell) for cell in (*cells, row["attempts"])), _time(row["first"]), _time(row["last"]))
    return table


def _left(lot: str, replaying: int, without_body: int) -> Iterator[str]:
    if replaying:
        yield f"{lot}: {replaying:,} on their way already, left as they are."
    if without_body:
        yield f"{lot}: {without_body:,} cannot be replayed, since their body was not kept; they can be discarded."


def _audit(line: Mapping[str, Any]) -> str:
    how = line.get("how")
    by = f" by {line['person']}" if line["person"] else ""
    return escape(f"{_time(line['at'])} {line['what']}{by}{f': {how}' if how else ''}")


def _reason(row: Mapping[str, Any]) -> str:
    return f"{row['reason']}: {row['rule']}" if row["rule"] else str(row["reason"])


def _time(moment: str) -> str:
    return moment[:_MINUTE].replace("T", " ")


def _text(value: Any) -> str:
    # What came from outside must not be read as the terminal's markup or control.
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "" if value is None else escape("".join(c if c.isprintable() else "�" for c in text))
