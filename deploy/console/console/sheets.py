"""Writes small spreadsheets, CSV or XLSX by the file's name."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from openpyxl import Workbook


def write_sheet(file: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write rows of texts; CSV as Excel reads it here, with semicolons and a byte order mark."""
    if file.suffix.lower() == ".csv":
        with file.open("w", encoding="utf-8-sig", newline="") as target:
            csv.writer(target, delimiter=";").writerows(rows)
        return
    book = Workbook(write_only=True)
    sheet = book.create_sheet("asiakkaat")
    for row in rows:
        sheet.append(list(row))
    book.save(file)
