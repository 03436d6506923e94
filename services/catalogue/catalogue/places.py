"""Finnish municipalities: their regions and names, and what merged ones are called today.

The table is the project's own, written from the national code sets (municipalities, regions, postcodes of 2024). Its
``now`` names the municipality that a merged one belongs to.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Municipality:
    """One municipality of today.

    Attributes:
        code: Three digits.
        names: Language (fi, sv) → name.
        region: Two digits of its region (maakunta).
    """

    code: str
    names: Mapping[str, str]
    region: str


def municipality(code: str | None) -> Municipality | None:
    """The municipality of today that a code stands for, merged ones included; None for an unknown code."""
    return _table()[0].get(code) if code else None


def by_name(name: str) -> Municipality | None:
    """The municipality of a Finnish or Swedish name, whatever its capitals; None for an unknown name."""
    return _table()[1].get(name.strip().casefold())


def same_region(one: str | None, other: str | None) -> bool:
    """Whether two codes are known to lie in one region."""
    first, second = municipality(one), municipality(other)
    return first is not None and second is not None and first.region == second.region


def name_of(code: str, language: str) -> str:
    """A municipality's name in a language, else in Finnish, else the code."""
    found = municipality(code)
    return found.names.get(language) or found.names["fi"] if found else code


@cache
def _table() -> tuple[Mapping[str, Municipality], Mapping[str, Municipality]]:
    text = (resources.files("catalogue") / "data" / "municipalities.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    today = {row["code"]: _municipality(row) for row in rows if not row["now"]}
    codes = {row["code"]: today[row["now"] or row["code"]] for row in rows}
    # Today's names win over those of merged municipalities.
    rows.sort(key=lambda row: not row["now"])
    names = {row[language].casefold(): codes[row["code"]] for row in rows for language in ("fi", "sv")}
    return codes, names


def _municipality(row: Mapping[str, str]) -> Municipality:
    return Municipality(code=row["code"], names={"fi": row["fi"], "sv": row["sv"]}, region=row["region"])
