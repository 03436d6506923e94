"""The Open Education API, versions 6 and 5: pages, states, and enumerations that anyone may extend."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from catalogue_examples import AT, WELDING
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogue.adapters import offerings
from catalogue.adapters.drafts import Unreadable
from catalogue.adapters.records import Source
from catalogue.domain import Credits, Enrolment, Kind, Mode, Place
from catalogue.events import OfferingPublished
from catalogue.imports import Comparison, Draft, Gone, Item, Refusal
from catalogue.schemas import OfferingRead

COURSE: dict[str, Any] = {
    "courseId": "c1",
    "primaryCode": {"codeType": "x-course", "code": "AI1"},
    "name": [{"language": "fi-FI", "value": "Tekoälyn perusteet"}, {"language": "en", "value": "Basics of AI"}],
    "description": [{"language": "fin", "value": "<p>Opit käyttämään tekoälyä.</p>"}],
    "studyLoad": [{"studyLoadUnit": "x-week", "value": 9}, {"studyLoadUnit": "ects", "value": 5.0}],
    "modesOfDelivery": ["online"],
    "teachingLanguages": ["fin", "en-GB"],
    "level": "bachelor",
    "addresses": [{"addressType": "postal", "city": "Helsinki"}, {"addressType": "x-teaching", "city": "SEINÄJOKI"}],
    "learningOutcomes": [
        {
            "primaryCode": {"codeType": "x-esco", "code": WELDING},
            "name": [{"language": "sv", "value": "svetsning"}],
        }
    ],
}


def offering(**fields: Any) -> dict[str, Any]:
    return {
        "courseOfferingId": "o1",
        "courseId": "c1",
        "name": [],
        "state": "active",
        "startDateTime": "2027-01-10T23:30:00Z",
        "endDateTime": "2027-05-28T12:00:00+03:00",
        "maxNumberStudents": 30,
        "enrolledNumberStudents": 28,
        "enrolmentPeriods": [
            {"startDateTime": "2026-01-01T00:00:00+02:00", "endDateTime": "2026-02-01T00:00:00+02:00"},
            {"startDateTime": "2026-11-01T00:00:00+02:00", "endDateTime": "2027-01-04T16:00:00+02:00"},
        ],
        "priceInformation": [
            {"costType": "x-exam", "amount": "10.00", "currency": "EUR"},
            {"costType": "total_costs", "amount": "75.00", "currency": "EUR"},
        ],
        "link": "https://ucs.example/ai",
    } | fields


def page(*found: Any, more: bool = False, number: int = 1) -> dict[str, Any]:
    return {"pageSize": 250, "pageNumber": number, "hasPreviousPage": number > 1, "hasNextPage": more, "items": found}


def items(*pages: Any) -> list[Item]:
    return read(json.dumps(pages if len(pages) > 1 else pages[0]).encode())


def read(source: Source) -> list[Item]:
    return list(offerings("ooapi", source, "ucs", AT))


def one(**fields: Any) -> Any:
    (item,) = items({"courses": [COURSE], "courseOfferings": [offering(**fields)]})
    assert isinstance(item, Draft), item
    return item.offering


def test_an_offering_is_joined_with_its_course() -> None:
    found = one()

    assert found.names == {"fi": "Tekoälyn perusteet", "en": "Basics of AI"}
    assert found.description == {"fi": "Opit käyttämään tekoälyä."}
    assert found.kind is Kind.COURSE
    assert found.place == Place(municipality="743")
    assert (found.modes, found.languages) == ((Mode.ONLINE,), ("fi", "en"))
    assert (found.starts, found.ends) == (date(2027, 1, 11), date(2027, 5, 28))
    assert found.enrolment == Enrolment(opens=date(2026, 11, 1), closes=date(2027, 1, 4))
    assert found.price == Decimal("75.00")
    assert found.credits == Credits(amount=Decimal(5), unit="op")
    assert found.skills == (WELDING,)
    assert found.keywords == {"sv": ("svetsning",)}
    assert found.capacity == 2
    assert found.link == "https://ucs.example/ai"
    assert OfferingRead().load(OfferingPublished().dump(found)) == found


@pytest.mark.parametrize(
    "pages",
    [
        [page(COURSE), page(offering())],
        [page(offering()), page(COURSE)],
        [page(COURSE, more=True), page(offering(), number=2)],
        [page(offering(course=COURSE))],
    ],
)
def test_pages_come_in_any_order(pages: list[Any]) -> None:
    (item,) = items(*pages)

    assert isinstance(item, Draft)
    assert item.offering == one()


def test_pages_may_be_files_or_lines(tmp_path: Path) -> None:
    paths = [tmp_path / "courses.json", tmp_path / "offerings.json"]
    for path, found in zip(paths, (page(COURSE), page(offering())), strict=True):
        path.write_text(json.dumps(found), encoding="utf-8")
    lines = b"\n".join(path.read_bytes() for path in paths)

    assert read(paths) == read(lines) == items(page(COURSE), page(offering()))


def test_a_page_that_is_missing_keeps_the_rest_from_being_withdrawn() -> None:
    found = items(page(COURSE, offering(), more=True))

    comparison = Comparison(known={})
    list(comparison.changes(found))
    assert isinstance(found[0], Draft)
    assert [(r.rule, r.cut) for r in comparison.refused] == [("page-missing", True)]


@pytest.mark.parametrize("state", ["concept", "cancelled", "inactive", "x-postponed", "x-cancelled"])
def test_what_is_not_active_is_gone(state: str) -> None:
    assert items(page(offering(state=state))) == [Gone(1, "ucs.o1")]


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"state": "x-active"}, {}),
        ({"state": None}, {}),
        ({"modesOfDelivery": ["x-online"]}, {}),
        ({"modesOfDelivery": ["x-moonlight", "online"]}, {}),
    ],
)
def test_extended_enumerations_are_read_as_far_as_they_are_known(fields: dict[str, Any], same: dict[str, Any]) -> None:
    assert one(**fields) == one(**same)


def test_a_flexible_entry_and_an_open_end_make_enrolment_continuous() -> None:
    flexible = one(enrolmentPeriods=[], flexibleEntryPeriodEndDateTime="2027-12-31")
    endless = one(enrolmentPeriods=[{"startDateTime": "2026-11-01T00:00:00+02:00"}])

    assert flexible.enrolment.continuous
    assert endless.enrolment == Enrolment(opens=date(2026, 11, 1), continuous=True)


def test_version_5_is_read_as_well() -> None:
    course = {name: value for name, value in COURSE.items() if name not in ("studyLoad", "modesOfDelivery")}
    course |= {"studyLoad": {"value": 5, "studyLoadUnit": "ects"}, "modeOfDelivery": ["online"]}
    course |= {"teachingLanguage": "fin", "teachingLanguages": None}
    old = {
        "offeringId": "o1",
        "course": "c1",
        "name": COURSE["name"],
        "startDate": "2027-01-11",
        "endDate": "2027-05-28",
        "enrollStartDate": "2026-11-01",
        "enrollEndDate": "2027-01-04",
        "modeOfDelivery": ["distance-learning"],
    }

    (item,) = items(page(course, old))

    assert isinstance(item, Draft)
    assert item.offering.enrolment == one().enrolment
    assert (item.offering.starts, item.offering.ends) == (date(2027, 1, 11), date(2027, 5, 28))
    assert (item.offering.modes, item.offering.languages) == ((Mode.ONLINE,), ("fi",))


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"courseOfferingId": None}, "code-required"),
        ({"state": "sleeping"}, "state-unknown"),
        ({"modesOfDelivery": ["telepathy"]}, "mode-unknown"),
        ({"startDateTime": "soon"}, "date-form"),
        ({"endDateTime": "2026-12-31T00:00:00Z"}, "end-before-start"),
        ({"maxNumberStudents": -1}, "capacity-form"),
        ({"priceInformation": [{"costType": "total_costs", "amount": "1,5"}]}, "price-form"),
        ({"course": {"courseId": "c1"}, "name": [{"language": "de", "value": "KI"}]}, "name-required"),
    ],
)
def test_a_broken_offering_is_refused_and_the_others_are_kept(fields: dict[str, Any], rule: str) -> None:
    found = items(page(COURSE, offering(**fields), offering(courseOfferingId="o2")))

    assert isinstance(found[0], Refusal)
    assert found[0].rule == rule
    assert isinstance(found[1], Draft)


@pytest.mark.parametrize("body", [b"", b"hello", b"3", b'{"a": 1}', b'[{"items": 3}]', b'{"items": [}'])
def test_what_is_no_page_gets_one_sentence(body: bytes) -> None:
    with pytest.raises(Unreadable, match="Open Education API"):
        read(body)


values = (
    st.none()
    | st.text(max_size=4)
    | st.integers(-(2**40), 2**40)
    | st.lists(st.dictionaries(st.just("language"), st.text()))
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*offering(), *COURSE]), values))
def test_whatever_the_fields_hold_an_offering_is_a_draft_or_is_refused(fields: dict[str, Any]) -> None:
    for item in items(page(COURSE, {**offering(**fields), "courseOfferingId": "o1"})):
        assert isinstance(item, Draft | Gone | Refusal)
