"""Who plays the day: staff and clients, from deploy/demo. All of them are made up."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from console.reach import Reach
from console.sheets import write_sheet

FOLDER = Path("deploy/demo")


def keep_staff(reach: Reach) -> int:
    """Put everybody into their organisation's directory; how many."""
    rows = list(_rows(FOLDER / "staff.csv"))
    for row in rows:
        notify = reach.api(row["organisation"], "notify", "operator")
        notify.put(
            f"/v1/staff/{row['id']}",
            {
                "name": row["name"],
                "email": row["email"],
                "language": row["language"],
                "duties": [duty for duty in row["duties"].split(",") if duty],
                "deputy": row["deputy"] or None,
            },
        )
    return len(rows)


def coach_sheet(target: Path) -> Path:
    """The coach's spreadsheet as XLSX."""
    with (FOLDER / "clients.csv").open(encoding="utf-8", newline="") as source:
        write_sheet(target, csv.reader(source, delimiter=";"))
    return target


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as source:
        yield from csv.DictReader(source, delimiter=";")
