"""Open Education API, versions 6 and 5 (formats.md, Offerings in): course offerings with their courses.

A source is what the API answers: pages ``{items: […], hasNextPage}`` of courses and of course offerings in any order
(one file each, an array of pages, or a page a line), or one object ``{courses: […], courseOfferings: […]}``. A page
that says that another follows, and is not followed by it, makes the import incomplete. Extensible enumerations are
read with and without their ``x-`` prefix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from catalogue import places
from catalogue.adapters import drafts
from catalogue.adapters.drafts import Broken, Desk, Unreadable
from catalogue.adapters.plain import plain
from catalogue.adapters.records import Source, opened
from catalogue.domain import Credits, Enrolment, Kind, Mode, Place, today_at
from catalogue.imports import Item, Refusal
from chassis import strictjson

MAX_BYTES = 50 * 2**20
"""One file at the most; an API's page holds 250 items."""

EXPECTED = "body: expected JSON of the Open Education API: pages {items: […]}, or {courses: […], courseOfferings: […]}"

MODES: Mapping[str, tuple[Mode, ...]] = {
    "presential": (Mode.ON_SITE,),
    "on campus": (Mode.ON_SITE,),
    "on_campus": (Mode.ON_SITE,),
    "situated": (Mode.ON_SITE,),
    "research_lab_based": (Mode.ON_SITE,),
    "work_based": (Mode.ON_SITE,),
    "online": (Mode.ONLINE,),
    "distance-learning": (Mode.ONLINE,),
    "coil": (Mode.ONLINE,),
    "blended": (Mode.BLENDED,),
    "hybrid": (Mode.ON_SITE, Mode.ONLINE),
    "joint_delivery": (),
    "project_based": (),
    "lecture": (Mode.ON_SITE,),
    "self-study": (Mode.ONLINE,),
}
"""modesOfDelivery of both versions → where one studies."""

UNITS = {"ects": "op", "sp": "op", "hour": "h", "sbu": "h", "contact_time": "h"}
TONGUES = {"fin": "fi", "swe": "sv", "eng": "en"}
ACTIVE = "active"
NOT_OFFERED = frozenset({"concept", "cancelled", "inactive"})


@dataclass(slots=True)
class Catalogue:
    """All that the pages hold.

    Attributes:
        courses: courseId → course.
        offerings: Course offerings, in order.
        complete: Whether every page that was announced came.
    """

    courses: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    offerings: list[Any] = field(default_factory=list)
    complete: bool = True


def read(source: Source, desk: Desk) -> Iterator[Item]:
    """Read course offerings.

    Raises:
        Unreadable: It is no JSON, too big, or holds neither pages nor collections.
    """
    found = Catalogue()
    for page in _pages(source):
        _take(page, found)
    row = 0
    for row, offering in enumerate(found.offerings, 1):
        yield _item(row, offering, found.courses, desk)
    if not found.complete:
        yield Refusal(row + 1, "hasNextPage", "page-missing", "says that a page follows, which is not here", cut=True)


def _pages(source: Source) -> Iterator[Any]:
    for place in [source] if not isinstance(source, Sequence) or isinstance(source, bytes) else source:
        with opened(place) as stream:
            body = stream.read(MAX_BYTES + 1).removeprefix(b"\xef\xbb\xbf")
        if len(body) > MAX_BYTES:
            raise Unreadable(f"body: a file has {MAX_BYTES // 2**20} MB at the most", field="body")
        yield from _documents(body)


def _documents(body: bytes) -> Iterator[Any]:
    try:
        found = strictjson.loads(body)
    except strictjson.NotStrict:
        found = [_document(line) for line in body.splitlines() if line.strip()]
    if found == []:
        raise Unreadable(EXPECTED, field="body")
    yield from found if isinstance(found, list) else [found]


def _document(line: bytes) -> Any:
    try:
        return strictjson.loads(line)
    except strictjson.NotStrict:
        raise Unreadable(EXPECTED, field="body") from None


def _take(page: Any, found: Catalogue) -> None:
    collections = [page.get(name) for name in ("items", "courses", "courseOfferings")] if isinstance(page, dict) else []
    if not any(isinstance(collection, list) for collection in collections):
        raise Unreadable(EXPECTED, field="body")
    # Pages of one list follow each other, so that the last one seen says whether anything is missing.
    if "hasNextPage" in page:
        found.complete = not page["hasNextPage"]
    for item in (item for collection in collections if isinstance(collection, list) for item in collection):
        is_offering = isinstance(item, dict) and ("courseOfferingId" in item or "offeringId" in item)
        if is_offering or not isinstance(item, dict) or "courseId" not in item:
            found.offerings.append(item)
        else:
            found.courses[str(item["courseId"])] = item


def _item(row: int, offering: Any, courses: Mapping[str, Mapping[str, Any]], desk: Desk) -> Item:
    if not isinstance(offering, dict):
        return Refusal(row, None, "json", "must be an object")
    course = _course(offering, courses)
    code = offering.get("courseOfferingId") or offering.get("offeringId")
    return desk.item(row, code, lambda: _fields(offering, course, today_at(desk.at)), "courseOfferingId")


def _course(offering: Mapping[str, Any], courses: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    own = offering.get("course")
    if isinstance(own, dict):
        return own
    return courses.get(str(offering.get("courseId") or own), {})


def _fields(offering: Mapping[str, Any], course: Mapping[str, Any], today: date) -> dict[str, Any] | None:
    if not _is_active(offering):
        return None
    starts = drafts.day(offering.get("startDateTime") or offering.get("startDate"), "startDateTime")
    enrolment = _enrolment(offering, today)
    return {
        "names": drafts.names(_texts(offering, course, "name"), "name"),
        "description": drafts.texts(_texts(offering, course, "description"), drafts.DESCRIPTION_CHARACTERS),
        "kind": _kind(course),
        "place": _place(offering, course),
        "modes": _modes(offering, course),
        "languages": _languages(offering, course),
        "starts": starts,
        "ends": drafts.day(offering.get("endDateTime") or offering.get("endDate"), "endDateTime"),
        "enrolment": enrolment,
        "price": _price(offering),
        "credits": _credits(course),
        "skills": drafts.skills(_outcome_codes(course)),
        "keywords": _keywords(course),
        "capacity": _capacity(offering),
        "link": drafts.link(
            offering.get("link"), *(p.get("enrolmentUrl") for p in _maps(offering, "enrolmentPeriods"))
        ),
    }


def _is_active(offering: Mapping[str, Any]) -> bool:
    state = _plain_value(offering.get("state") or ACTIVE)
    if state not in {ACTIVE, *NOT_OFFERED} and not str(offering["state"]).startswith("x-"):
        raise Broken("state", "state-unknown", "must be active, inactive, concept, cancelled, or begin with x-")
    return state == ACTIVE


def _plain_value(value: object) -> str:
    return str(value).casefold().removeprefix("x-")


def _texts(offering: Mapping[str, Any], course: Mapping[str, Any], name: str) -> dict[str, str]:
    found = _typed(offering.get(name))
    return found or _typed(course.get(name))


def _typed(strings: object) -> dict[str, str]:
    """``[{language: fi-FI, value}]`` by language; of several in one language the first."""
    found: dict[str, str] = {}
    for one in strings if isinstance(strings, list) else ():
        if isinstance(one, dict) and isinstance(one.get("value"), str):
            found.setdefault(_tongue(one.get("language")), one["value"])
    return found


def _tongue(tag: object) -> str:
    primary = str(tag or "").casefold().partition("-")[0]
    return TONGUES.get(primary, primary)


def _kind(course: Mapping[str, Any]) -> Kind:
    level = _plain_value(course.get("level") or "")
    return Kind.AMM_UNIT if level.startswith("secondary_vocational") else Kind.COURSE


def _place(offering: Mapping[str, Any], course: Mapping[str, Any]) -> Place:
    addresses = _maps(offering, "addresses") or _maps(course, "addresses")
    order = {"teaching": 0, "visit": 1}
    addresses.sort(key=lambda address: order.get(_plain_value(address.get("addressType")), 2))
    for address in addresses:
        city = address.get("city")
        found = places.by_name(city) if isinstance(city, str) else None
        if found is not None:
            street = " ".join(str(address.get(part) or "") for part in ("street", "streetNumber")).strip()
            name = plain(street)[: drafts.NAME_CHARACTERS] or None
            return Place(municipality=found.code, name=name)
    return Place()


def _modes(offering: Mapping[str, Any], course: Mapping[str, Any]) -> tuple[Mode, ...]:
    found = _listed(offering, "modesOfDelivery", "modeOfDelivery") or _listed(
        course, "modesOfDelivery", "modeOfDelivery"
    )
    made: list[Mode] = []
    for value in found:
        known = MODES.get(_plain_value(value))
        if known is None and not str(value).startswith("x-"):
            raise Broken(
                "modesOfDelivery", "mode-unknown", "must be a mode of the Open Education API, or begin with x-"
            )
        made += known or ()
    return tuple(dict.fromkeys(made))


def _languages(offering: Mapping[str, Any], course: Mapping[str, Any]) -> tuple[str, ...]:
    found = _listed(offering, "teachingLanguages", "teachingLanguage") or _listed(
        course, "teachingLanguages", "teachingLanguage"
    )
    tongues = (_tongue(one) for one in found)
    return tuple(dict.fromkeys(one for one in tongues if one.isalpha() and one.isascii() and len(one) in (2, 3)))


def _enrolment(offering: Mapping[str, Any], today: date) -> Enrolment:
    periods = [
        (drafts.day(p.get("startDateTime"), "enrolmentPeriods"), drafts.day(p.get("endDateTime"), "enrolmentPeriods"))
        for p in _maps(offering, "enrolmentPeriods")
    ]
    old = (
        drafts.day(offering.get("enrollStartDate"), "enrollStartDate"),
        drafts.day(offering.get("enrollEndDate"), "enrollEndDate"),
    )
    periods += [old] if any(old) else []
    flexible = any(offering.get(name) for name in ("flexibleEntryPeriodEndDateTime", "flexibleEntryPeriodEnd"))
    left = [period for period in periods if (period[1] or date.max) >= today]
    opens, closes = min(left or periods, key=lambda p: p[0] or date.min, default=(None, None))
    return Enrolment(opens=opens, closes=closes, continuous=closes is None and (opens is not None or flexible))


def _price(offering: Mapping[str, Any]) -> Decimal | None:
    costs = [cost for cost in _maps(offering, "priceInformation") if str(cost.get("currency") or "EUR") == "EUR"]
    costs.sort(key=lambda cost: _plain_value(cost.get("costType")) != "total_costs")
    return drafts.price(costs[0].get("amount"), "priceInformation") if costs else None


def _credits(course: Mapping[str, Any]) -> Credits | None:
    found = course.get("studyLoad")
    for one in [found] if isinstance(found, dict) else _maps(course, "studyLoad"):
        unit = UNITS.get(_plain_value(one.get("studyLoadUnit")))
        amount = drafts.load(one.get("value"), "studyLoad")
        if unit and amount is not None:
            return Credits(amount=amount, unit=unit)
    return None


def _outcome_codes(course: Mapping[str, Any]) -> Iterator[str]:
    for outcome in _maps(course, "learningOutcomes"):
        for code in (outcome.get("primaryCode"), *_maps(outcome, "otherCodes")):
            if isinstance(code, dict):
                yield str(code.get("code"))


def _keywords(course: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for outcome in _maps(course, "learningOutcomes"):
        for language, name in drafts.texts(_typed(outcome.get("name")), drafts.WORD_CHARACTERS).items():
            found.setdefault(language, []).append(name)
    return {language: drafts.words(said) for language, said in found.items()}


def _capacity(offering: Mapping[str, Any]) -> int | None:
    most = drafts.capacity(offering.get("maxNumberStudents"), "maxNumberStudents")
    enrolled = drafts.capacity(offering.get("enrolledNumberStudents"), "enrolledNumberStudents")
    return None if most is None else max(0, most - (enrolled or 0))


def _listed(record: Mapping[str, Any], *names: str) -> list[Any]:
    for name in names:
        found = record.get(name)
        if found:
            return found if isinstance(found, list) else [found]
    return []


def _maps(record: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = record.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
