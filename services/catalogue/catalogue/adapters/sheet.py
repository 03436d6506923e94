"""Offerings in a spreadsheet: CSV as Excel saves it, or XLSX, by a template with Finnish and English headings.

The template is described in the service's README. Every bad row is reported with the number that the spreadsheet
shows, its heading and the rule; good rows are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from catalogue import places
from catalogue.adapters import drafts
from catalogue.adapters.drafts import Broken, Desk, Unreadable
from catalogue.adapters.plain import plain
from catalogue.adapters.records import Source, opened
from catalogue.adapters.tables import MAX_BYTES, Formula, Row, table
from catalogue.domain import Credits, Enrolment, Kind, Mode, Place, Time
from catalogue.imports import Item

HEADINGS: Mapping[str, str] = {
    "tunnus": "code", "code": "code",
    "nimi": "name.fi", "name": "name.fi",
    "kuvaus": "description.fi", "description": "description.fi",
    "laji": "kind", "kind": "kind",
    "kunta": "municipality", "municipality": "municipality",
    "paikka": "place", "place": "place",
    "toteutustapa": "modes", "mode": "modes",
    "ajankohta": "times", "time": "times",
    "kieli": "languages", "language": "languages",
    "alkaa": "starts", "starts": "starts",
    "päättyy": "ends", "ends": "ends",
    "ilmoittautuminen alkaa": "opens", "enrolment opens": "opens",
    "ilmoittautuminen päättyy": "closes", "enrolment closes": "closes",
    "jatkuva ilmoittautuminen": "continuous", "continuous enrolment": "continuous",
    "hinta": "price", "price": "price",
    "laajuus": "credits", "credits": "credits",
    "taidot": "skills.fi", "skills": "skills.fi",
    "edeltävät taidot": "requires", "required skills": "requires",
    "paikkoja": "capacity", "free places": "capacity",
    "linkki": "link", "link": "link",
    "peruttu": "cancelled", "cancelled": "cancelled",
}  # fmt: skip
"""Heading in lower case → column; names, descriptions and skills also with ``(sv)`` or ``(en)``."""

REQUIRED = {"code": "Tunnus/Code", "name": "Nimi/Name"}

CHOICES: Mapping[str, Mapping[str, Any]] = {
    "modes": {
        "lähi": Mode.ON_SITE, "lähiopetus": Mode.ON_SITE, "on-site": Mode.ON_SITE,
        "etä": Mode.ONLINE, "etäopetus": Mode.ONLINE, "verkko": Mode.ONLINE, "online": Mode.ONLINE,
        "monimuoto": Mode.BLENDED, "monimuoto-opetus": Mode.BLENDED, "blended": Mode.BLENDED,
    },
    "times": {
        "päivä": Time.DAY, "day": Time.DAY, "ilta": Time.EVENING, "evening": Time.EVENING,
        "viikonloppu": Time.WEEKEND, "weekend": Time.WEEKEND,
    },
    "languages": {
        "fi": "fi", "suomi": "fi", "finnish": "fi", "sv": "sv", "ruotsi": "sv", "swedish": "sv",
        "en": "en", "englanti": "en", "english": "en",
    },
    "kind": {kind.value: kind for kind in Kind} | {
        "kurssi": Kind.LIBERAL, "course": Kind.LIBERAL, "opintojakso": Kind.COURSE, "opintokokonaisuus": Kind.MODULE,
        "tutkinnon osa": Kind.AMM_UNIT, "tutkinto": Kind.AMM, "osaamismerkki": Kind.BADGE,
        "opistovuosi": Kind.LIBERAL_YEAR, "muu": Kind.OTHER, "other": Kind.OTHER,
    },
    "continuous": {"kyllä": True, "k": True, "yes": True, "x": True, "ei": False, "no": False, "": False},
    "cancelled": {"kyllä": True, "k": True, "yes": True, "x": True, "ei": False, "no": False, "": False},
}  # fmt: skip
"""Column → word in lower case → what it stands for."""

FREE = frozenset({"maksuton", "ilmainen", "free"})
UNITS = {"op": "op", "osp": "osp", "ects": "op", "h": "h", "t": "h", "tuntia": "h"}

_LANGUAGE = re.compile(r"(.+?)\s*\((fi|sv|en)\)\Z")
_FINNISH_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})\Z")
_AMOUNT = re.compile(r"(\d[\d\s\u00a0]*(?:[.,]\d{1,2})?)\s*(?:€|eur|euroa)?\Z")
_LOAD = re.compile(r"(\d{1,4}(?:[.,]\d{1,2})?)\s*([a-zäö]+)\Z")
_BETWEEN = re.compile(r"[,;|/\n]")
_BETWEEN_SKILLS = re.compile(r"[;|\n]")


def read(source: Source, desk: Desk) -> Iterator[Item]:
    """Read a table.

    Raises:
        Unreadable: It is no spreadsheet, encrypted, too big, empty, or without the needed headings.
    """
    if not isinstance(source, bytes):
        source = _bytes_of(source)
    rows = table(source)
    columns = _columns(next(rows, Row(1, ())).cells)
    for row in rows:
        cells = {columns[at]: cell for at, cell in enumerate(row.cells) if at in columns and cell not in (None, "")}
        if cells:
            yield desk.item(row.number, _code(cells), _builder(cells), _heading("code"))


def _bytes_of(source: Path | Sequence[Path]) -> bytes:
    parts = [source] if isinstance(source, Path) else source
    if len(parts) != 1:
        raise Unreadable("file: a table is one file", field="file")
    with opened(parts[0]) as stream:
        return stream.read(MAX_BYTES + 1)


def _columns(headings: Sequence[object]) -> dict[int, str]:
    found = {at: name for at, heading in enumerate(headings) if (name := _column(heading)) is not None}
    names = list(found.values())
    missing = [said for column, said in REQUIRED.items() if not any(n.partition(".")[0] == column for n in names)]
    if missing:
        expected = ", ".join(sorted({_heading(name) for name in HEADINGS.values()}))
        raise Unreadable(f"headings: {', '.join(missing)} missing; expected are {expected}", field="headings")
    twice = sorted({_heading(name) for name in names if names.count(name) > 1})
    if twice:
        raise Unreadable(f"headings: {', '.join(twice)} stands twice", field="headings")
    return found


def _column(heading: object) -> str | None:
    text = " ".join(str(heading or "").casefold().split())
    match = _LANGUAGE.match(text)
    if match is None:
        return HEADINGS.get(text)
    name, _, language = HEADINGS.get(match[1], "").partition(".")
    return f"{name}.{match[2]}" if language else None


def _heading(column: str) -> str:
    """A column's headings, Finnish and English."""
    name, _, language = column.partition(".")
    both = [heading for heading, found in HEADINGS.items() if found.partition(".")[0] == name]
    suffix = f" ({language})" if language not in ("", "fi") else ""
    return "/".join(heading.capitalize() for heading in both) + suffix


def _code(cells: Mapping[str, object]) -> object:
    code = cells.get("code")
    # A spreadsheet keeps 1001 as a number, and shows it without its decimals.
    return int(code) if isinstance(code, float) and code.is_integer() else code


def _builder(cells: Mapping[str, object]) -> Callable[[], dict[str, Any] | None]:
    return lambda: _fields(cells)


def _fields(cells: Mapping[str, object]) -> dict[str, Any] | None:
    for column, cell in cells.items():
        if isinstance(cell, Formula):
            raise Broken(_heading(column), "formula", "holds a formula; put its value there")
    if _choice(cells, "cancelled"):
        return None
    said = {language: _skills(cells, language) for language in ("fi", "sv", "en")}
    return {
        "names": drafts.names(_texts(cells, "name"), _heading("name")),
        "description": drafts.texts(_texts(cells, "description"), drafts.DESCRIPTION_CHARACTERS),
        "kind": _choice(cells, "kind") or Kind.LIBERAL,
        "place": Place(
            municipality=_municipality(cells), name=plain(_text(cells, "place"))[: drafts.NAME_CHARACTERS] or None
        ),
        "modes": _choices(cells, "modes"),
        "times": _choices(cells, "times"),
        "languages": _choices(cells, "languages"),
        "starts": _day(cells, "starts"),
        "ends": _day(cells, "ends"),
        "enrolment": _enrolment(cells),
        "price": _price(cells),
        "credits": _credits(cells),
        "skills": drafts.skills(word for words in said.values() for word in words),
        "keywords": _keywords(said),
        "capacity": drafts.capacity(cells.get("capacity"), _heading("capacity")),
        "link": _link(cells),
        "requires": _requires(cells),
    }


def _text(cells: Mapping[str, object], column: str) -> str:
    found = cells.get(column)
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    return str(found).strip() if found is not None else ""


def _texts(cells: Mapping[str, object], column: str) -> dict[str, str]:
    return {language: _text(cells, f"{column}.{language}") for language in ("fi", "sv", "en")}


def _choice(cells: Mapping[str, object], column: str) -> Any:
    word = _text(cells, column).casefold()
    if not word:
        return None
    if word not in CHOICES[column]:
        known = ", ".join(choice for choice in CHOICES[column] if choice)
        raise Broken(_heading(column), f"{column}-unknown", f"must be one of {known}")
    return CHOICES[column][word]


def _choices(cells: Mapping[str, object], column: str) -> tuple[Any, ...]:
    words = [word.strip() for word in _BETWEEN.split(_text(cells, column)) if word.strip()]
    return tuple(dict.fromkeys(_choice({column: word}, column) for word in words))


def _day(cells: Mapping[str, object], column: str) -> date | None:
    found = cells.get(column)
    if isinstance(found, datetime):
        return found.date()
    if isinstance(found, date):
        return found
    text = _text(cells, column)
    match = _FINNISH_DAY.match(text)
    try:
        return (
            date(int(match[3]), int(match[2]), int(match[1])) if match else date.fromisoformat(text) if text else None
        )
    except ValueError:
        raise Broken(_heading(column), "date-form", "must be a date such as 15.1.2027 or 2027-01-15") from None


def _enrolment(cells: Mapping[str, object]) -> Enrolment:
    return Enrolment(
        opens=_day(cells, "opens"), closes=_day(cells, "closes"), continuous=bool(_choice(cells, "continuous"))
    )


def _municipality(cells: Mapping[str, object]) -> str | None:
    text = _text(cells, "municipality")
    if not text:
        return None
    found = places.by_name(text)
    return found.code if found else drafts.municipality(text.zfill(3), _heading("municipality"))


def _price(cells: Mapping[str, object]) -> Decimal | None:
    found = cells.get("price")
    if isinstance(found, int | float):
        return drafts.price(found, _heading("price"))
    text = _text(cells, "price").casefold()
    if text in FREE:
        return Decimal("0.00")
    match = _AMOUNT.match(text)
    amount = re.sub(r"\s", "", match[1]).replace(",", ".") if match else text
    return drafts.price(amount, _heading("price"))


def _credits(cells: Mapping[str, object]) -> Credits | None:
    text = _text(cells, "credits").casefold()
    if not text:
        return None
    match = _LOAD.match(text)
    if match is None or match[2] not in UNITS:
        raise Broken(
            _heading("credits"), "credits-form", f"must be a number and one of {', '.join(UNITS)}, such as 5 op"
        )
    amount = drafts.load(match[1].replace(",", "."), _heading("credits"))
    return Credits(amount=amount, unit=UNITS[match[2]]) if amount is not None else None


def _skills(cells: Mapping[str, object], language: str) -> list[str]:
    return _parts(cells, f"skills.{language}")


def _parts(cells: Mapping[str, object], column: str) -> list[str]:
    found = [part.strip() for part in _BETWEEN_SKILLS.split(_text(cells, column)) if part.strip()]
    for part in found:
        if "://" in part and not drafts.is_skill(part):
            raise Broken(_heading(column), "skill-form", "an address must be that of an ESCO skill")
    return found


def _keywords(said: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    made = {code: drafts.words(word for word in words if not drafts.is_skill(word)) for code, words in said.items()}
    return {language: words for language, words in made.items() if words}


def _requires(cells: Mapping[str, object]) -> tuple[str, ...]:
    found = _parts(cells, "requires")
    if not all(drafts.is_skill(one) for one in found):
        raise Broken(_heading("requires"), "skill-form", "must be addresses of ESCO skills")
    return drafts.skills(found)


def _link(cells: Mapping[str, object]) -> str | None:
    text = _text(cells, "link")
    found = drafts.link(text if "://" in text else f"https://{text}") if text else None
    if text and found is None:
        raise Broken(_heading("link"), "link-form", "must be a web address")
    return found
