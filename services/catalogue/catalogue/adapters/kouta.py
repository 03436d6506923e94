"""Opintopolku's Kouta and Konfo JSON (formats.md, Offerings in): each toteutus with its koulutus and hakukohteet.

Kouta gives codes as ``opetustapaKoodiUrit``, Konfo expands them to ``opetustapa: [{koodiUri, nimi}]``; both are read,
with and without a version (``opetuspaikkakk_1#1``). Any field may be missing, null, or in one language only. Only what
is ``julkaistu`` is offered. Codes are those of the national code sets (opetuspaikkakk, opetusaikakk,
oppilaitoksenopetuskieli, opintojenlaajuusyksikko, hakutapa).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from catalogue.adapters import drafts
from catalogue.adapters.drafts import Broken, Desk, Unreadable
from catalogue.adapters.records import Cut, Source, records
from catalogue.domain import LANGUAGES, Credits, Enrolment, Kind, Mode, Place, Time, today_at
from catalogue.imports import Item, Refusal

COLLECTIONS = {"koulutukset": "13", "toteutukset": "17", "hakukohteet": "20", "haut": "29"}
"""Collections of one object, and the number that tells each kind of record in an oid: 1.2.246.562.<number>.…"""

JOINED = frozenset({"13", "20", "29"})

KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind} | {
    "amm-osaamisala": Kind.AMM,
    "amm-ope-erkka-ja-opo": Kind.OTHER,
    "ope-pedag-opinnot": Kind.MODULE,
    "erikoislaakari": Kind.OTHER,
    "erikoistumiskoulutus": Kind.MODULE,
    "aikuisten-perusopetus": Kind.OTHER,
    "taiteen-perusopetus": Kind.OTHER,
    "lk": Kind.OTHER,
}
"""Kouta's koulutustyyppi → kind; those that the network has no kind for are ``muu``."""

MODES = {"1": Mode.ON_SITE, "2": Mode.ONLINE, "3": Mode.ONLINE, "4": Mode.BLENDED, "5": Mode.ONLINE}
TIMES = {"1": Time.DAY, "2": Time.EVENING, "3": Time.WEEKEND}
TONGUES = {"1": ("fi",), "2": ("sv",), "3": ("fi", "sv"), "4": ("en",), "5": ("se",)}
UNITS = {"2": "op", "6": "osp", "8": "viikkoa"}
CONTINUOUS = "3"
FIRST_MONTH = {"k": 1, "s": 8}

_DUMP = re.compile(r"(koulutus|toteutus|hakukohde|haku)-kouta-\d")


@dataclass(frozen=True, slots=True)
class Joined:
    """What the other records say of toteutukset, gathered before these are read.

    Attributes:
        courses: Oid of a koulutus → it.
        targets: Oid of a toteutus → its hakukohteet.
        rounds: Oid of a haku → it.
    """

    courses: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    targets: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    rounds: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def read(source: Source, desk: Desk) -> Iterator[Item]:
    """Read toteutukset, twice over the source: what they are joined with may stand after them.

    Raises:
        Unreadable: It is a folder without dumps, or no JSON at all.
    """
    places = _places(source)
    row = 0
    try:
        joined = _gather(places)
        for kind, record in _records(places):
            if kind not in JOINED:
                row += 1
                yield _item(row, kind, record, joined, desk)
    except Cut as cut:
        if not row:
            raise Unreadable("body: expected JSON of Kouta: an array, NDJSON, or {toteutukset: […]}") from None
        yield Refusal(row + 1, None, "cut", str(cut), cut=True)


def _places(source: Source) -> Source:
    if not (isinstance(source, Path) and source.is_dir()):
        return source
    dumps = sorted(path for path in source.iterdir() if _DUMP.match(path.name))
    if not dumps:
        raise Unreadable("folder: expected dumps named toteutus-kouta-…, koulutus-kouta-…", field="folder")
    return dumps


def _records(source: Source) -> Iterator[tuple[str | None, Any]]:
    for collection, record in records(source, tuple(COLLECTIONS)):
        inner = record.get("_source", record) if isinstance(record, dict) else record
        yield COLLECTIONS.get(collection) or _kind_of(inner), inner


def _kind_of(record: object) -> str | None:
    parts = str(record.get("oid") or "").split(".") if isinstance(record, dict) else []
    found = parts[4] if len(parts) > 4 and parts[:4] == ["1", "2", "246", "562"] else None  # noqa: PLR2004 - see COLLECTIONS
    return found if found in COLLECTIONS.values() else None


def _gather(source: Source) -> Joined:
    joined = Joined()
    # Where the source breaks off, the second reading meets the same place and says so.
    with suppress(Cut):
        for kind, record in _records(source):
            if kind in JOINED and isinstance(record, dict):
                _keep(kind, record, joined)
    return joined


def _keep(kind: str | None, record: Mapping[str, Any], joined: Joined) -> None:
    match kind:
        case "13":
            joined.courses[str(record.get("oid"))] = record
        case "20":
            joined.targets.setdefault(str(record.get("toteutusOid")), []).append(record)
        case _:
            joined.rounds[str(record.get("oid"))] = record


def _item(row: int, kind: str | None, record: Any, joined: Joined, desk: Desk) -> Item:
    if isinstance(record, Broken):
        return record.refusal(row)
    if kind is None or not isinstance(record, dict):
        return Refusal(row, "oid", "unknown-record", "is neither koulutus, toteutus, hakukohde nor haku")
    return desk.item(row, record.get("oid"), lambda: _fields(record, joined, today_at(desk.at)), "oid")


def _fields(toteutus: Mapping[str, Any], joined: Joined, today: date) -> dict[str, Any] | None:
    if toteutus.get("tila") != "julkaistu":
        return None
    course = joined.courses.get(str(toteutus.get("koulutusOid")), {})
    meta, course_meta = _map(toteutus, "metadata"), _map(course, "metadata")
    teaching = _map(meta, "opetus")
    targets = list(_targets(toteutus, joined))
    starts, ends = _dates(
        [_map(_map(t, "metadata"), "koulutuksenAlkamiskausi") or _map(t, "koulutuksenAlkamiskausi") for t in targets]
        + [_map(teaching, "koulutuksenAlkamiskausi")]
    )
    return {
        "names": drafts.names(_either(toteutus, course, "nimi"), "nimi"),
        "description": _description(meta, course_meta),
        "kind": _kind(toteutus, course),
        "place": _place(toteutus, targets),
        "modes": _coded(teaching, "opetustapa", MODES),
        "times": _coded(teaching, "opetusaika", TIMES),
        "languages": tuple(dict.fromkeys(chain(*_coded(teaching, "opetuskieli", TONGUES)))),
        "starts": starts,
        "ends": ends,
        "enrolment": _enrolment(meta, targets, today),
        "price": _price(teaching),
        "credits": _credits(course_meta),
        "keywords": _keywords(meta, course_meta),
        "capacity": _capacity(meta, targets),
        "link": _link(toteutus, meta, targets),
    }


def _targets(toteutus: Mapping[str, Any], joined: Joined) -> Iterator[dict[str, Any]]:
    """Its published hakukohteet, of their own or within hakutiedot, each with the days on which one can apply."""
    for target in joined.targets.get(str(toteutus.get("oid")), []):
        yield _with_days(target, joined.rounds.get(str(target.get("hakuOid")), {}))
    for found in _list(toteutus, "hakutiedot"):
        for target in _list(found, "hakukohteet"):
            yield _with_days(target, {**joined.rounds.get(str(found.get("hakuOid")), {}), **found})


def _with_days(target: Mapping[str, Any], haku: Mapping[str, Any]) -> dict[str, Any]:
    own = _list(target, "hakuajat")
    days = _list(haku, "hakuajat") if target.get("kaytetaanHaunAikataulua") or not own else own
    way = target.get("hakutapaKoodiUri") or haku.get("hakutapaKoodiUri") or haku.get("hakutapa")
    continuous = _number_of(_code(way)) == CONTINUOUS
    return {**target, "hakuajat": days, "continuous": continuous}


def _open_targets(targets: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [target for target in targets if target.get("tila", "julkaistu") == "julkaistu"]


def _description(meta: Mapping[str, Any], course_meta: Mapping[str, Any]) -> dict[str, str]:
    parts = [
        drafts.texts(_either(meta, course_meta, name), drafts.DESCRIPTION_CHARACTERS)
        for name in ("kuvaus", "osaamistavoitteet")
    ]
    both = {code: "\n".join(part[code] for part in parts if code in part) for code in LANGUAGES}
    return drafts.texts(both, drafts.DESCRIPTION_CHARACTERS)


def _kind(toteutus: Mapping[str, Any], course: Mapping[str, Any]) -> Kind:
    found = (
        toteutus.get("koulutustyyppi")
        or _map(toteutus, "metadata").get("tyyppi")
        or course.get("koulutustyyppi")
        or _map(course, "metadata").get("tyyppi")
    )
    kind = KINDS.get(str(found or Kind.OTHER))
    if kind is None:
        raise Broken("koulutustyyppi", "kind-unknown", f"must be one of {', '.join(sorted(KINDS))}")
    return kind


def _place(toteutus: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> Place:
    found = [_map(target, "jarjestyspaikka") for target in _open_targets(targets)] + _list(toteutus, "tarjoajat")
    at = next((place for place in found if place), {})
    code = _number_of(_code(at.get("paikkakunta") or at.get("paikkakuntaKoodiUri")))
    name = next(iter(drafts.texts(at.get("nimi"), drafts.NAME_CHARACTERS).values()), None)
    return Place(municipality=drafts.municipality(code, "tarjoajat.paikkakunta"), name=name)


def _enrolment(meta: Mapping[str, Any], targets: Sequence[Mapping[str, Any]], today: date) -> Enrolment:
    chosen = _open_targets(targets)
    windows = [_window(days) for target in chosen for days in target["hakuajat"]]
    own = _map(meta, "hakuaika")
    windows += [_window(own)] if own else []
    opens, closes = min(windows, key=lambda window: _nearness(window, today), default=(None, None))
    continuous = closes is None and (opens is not None or any(target["continuous"] for target in chosen))
    return Enrolment(opens=opens, closes=closes, continuous=continuous)


def _window(days: Mapping[str, Any]) -> tuple[date | None, date | None]:
    return drafts.day(days.get("alkaa"), "hakuajat.alkaa"), drafts.day(days.get("paattyy"), "hakuajat.paattyy")


def _nearness(window: tuple[date | None, date | None], today: date) -> tuple[int, int]:
    """Sorts windows: open ones first (the last to close), then the next to open, then the latest that is past."""
    opens, closes = window[0] or date.min, window[1] or date.max
    if closes < today:
        return 2, -closes.toordinal()
    return (0, -closes.toordinal()) if opens <= today else (1, opens.toordinal())


def _dates(seasons: Sequence[Mapping[str, Any]]) -> tuple[date | None, date | None]:
    for season in seasons:
        starts = drafts.day(season.get("koulutuksenAlkamispaivamaara"), "koulutuksenAlkamispaivamaara")
        if starts:
            return starts, drafts.day(season.get("koulutuksenPaattymispaivamaara"), "koulutuksenPaattymispaivamaara")
        half = _number_of(_code(season.get("koulutuksenAlkamiskausi") or season.get("koulutuksenAlkamiskausiKoodiUri")))
        year = str(season.get("koulutuksenAlkamisvuosi") or "")
        if half in FIRST_MONTH and re.fullmatch(r"20\d\d", year):
            return date(int(year), FIRST_MONTH[half], 1), None
    return None, None


def _price(teaching: Mapping[str, Any]) -> Decimal | None:
    if teaching.get("maksullisuustyyppi") == "maksuton":
        return Decimal("0.00")
    return drafts.price(teaching.get("maksunMaara"), "maksunMaara")


def _credits(course_meta: Mapping[str, Any]) -> Credits | None:
    found = [course_meta.get(name) for name in ("opintojenLaajuusNumero", "opintojenLaajuusNumeroMin")]
    code = _number_of(_code(course_meta.get("opintojenLaajuus")))
    amount = next((one for one in (*found, code) if one is not None), None)
    unit = UNITS.get(
        _number_of(
            _code(course_meta.get("opintojenLaajuusyksikko") or course_meta.get("opintojenLaajuusyksikkoKoodiUri"))
        )
        or ""
    )
    load = drafts.load(amount, "opintojenLaajuus") if unit else None
    return Credits(amount=load, unit=unit) if load is not None and unit else None


def _keywords(meta: Mapping[str, Any], course_meta: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found = [*_values(meta, "asiasanat"), *_values(meta, "ammattinimikkeet"), *_values(course_meta, "luokittelutermit")]
    said = [word if isinstance(word, dict) else {"kieli": "fi", "arvo": word} for word in found]
    by_language = {code: drafts.words(w.get("arvo") for w in said if w.get("kieli") == code) for code in LANGUAGES}
    return {code: words for code, words in by_language.items() if words}


def _capacity(meta: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> int | None:
    found = [
        _map(target, "metadata").get("aloituspaikat") or target.get("aloituspaikat")
        for target in _open_targets(targets)
    ] + [meta.get("aloituspaikat")]
    numbers = (one.get("lukumaara") if isinstance(one, dict) else one for one in found)
    return drafts.capacity(next((number for number in numbers if number is not None), None), "aloituspaikat")


def _link(toteutus: Mapping[str, Any], meta: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> str | None:
    found = [meta.get("hakulomakeLinkki"), *(target.get("hakulomakeLinkki") for target in _open_targets(targets))]
    candidates = [one.get(code) for one in found if isinstance(one, dict) for code in LANGUAGES]
    return drafts.link(*candidates, f"https://opintopolku.fi/konfo/fi/toteutus/{toteutus['oid']}")


def _coded(record: Mapping[str, Any], name: str, table: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a list of codes stands for, expanded or not; codes that the table does not have say nothing here."""
    found = _values(record, name) or _values(record, f"{name}KoodiUrit")
    codes = (_number_of(_code(one)) for one in found)
    return tuple(dict.fromkeys(table[code] for code in codes if code in table))


def _code(found: object) -> str:
    return str((found.get("koodiUri") if isinstance(found, dict) else found) or "")


def _number_of(code: str) -> str:
    """The last part of a code without its version: ``1`` of ``opetuspaikkakk_1#1``, also where it is ``_01``."""
    last = code.partition("#")[0].rpartition("_")[2]
    return last if len(last) > 2 else last.lstrip("0") or last  # noqa: PLR2004 - municipalities have three digits


def _either(first: Mapping[str, Any], second: Mapping[str, Any], name: str) -> object:
    return first.get(name) or second.get(name)


def _map(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(record: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [one for one in _values(record, name) if isinstance(one, Mapping)]


def _values(record: Mapping[str, Any], name: str) -> list[Any]:
    found = record.get(name)
    return found if isinstance(found, list) else []
