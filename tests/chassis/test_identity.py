"""Personal identity codes are found as people write them, and little else is taken for one."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.identity import find_identity_code, holds_identity_code

CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
SIGNS = {1800: "+", 1900: "-YXWVU", 2000: "ABCDEF"}

days = st.dates(date(1850, 1, 1), date(2049, 12, 31))
numbers = st.integers(2, 999)


def code(day: date, number: int = 308, *, sign: int = 0, shift: int = 0) -> str:
    """A code as the agency makes it; `shift` makes its check character wrong."""
    signs = SIGNS[day.year // 100 * 100]
    digits = f"{day:%d%m%y}"
    check = CHECKS[(int(f"{digits}{number:03d}") + shift) % 31]
    return f"{digits}{signs[sign % len(signs)]}{number:03d}{check}"


@settings(deadline=None)
@given(days, numbers, st.integers(0, 5))
def test_every_code_of_every_century_is_found(day: date, number: int, sign: int) -> None:
    assert holds_identity_code(code(day, number, sign=sign))


@settings(deadline=None)
@given(days, numbers, st.integers(1, 30))
def test_a_wrong_check_character_is_no_code(day: date, number: int, shift: int) -> None:
    assert not holds_identity_code(code(day, number, shift=shift))


@pytest.mark.parametrize("dash", "-\u2010\u2011\u2013\u2212")
def test_every_dash_of_word_processors_counts(dash: str) -> None:
    assert holds_identity_code(f"Asiakas 131052{dash}308T")


@pytest.mark.parametrize(
    "text",
    [
        "131052-308T",
        "131052-308t",
        "131052 - 308T",
        "131052-308 T",
        "131052 - 308 T",
        "131052-308\u00a0T",
        "131052-\n308T",
        "Hetu:131052-308T.",
        "hetu131052-308T",
        "tunnusta131052-308T",
        "(131052-308T)",
        "_131052-308T_",
        "ensin 131052-308U, sitten 131052-308T",
    ],
)
def test_a_code_is_found_as_people_write_it(text: str) -> None:
    assert holds_identity_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "131052-308U",  # Another check character.
        "311152-3087",  # November has 30 days.
        "131052-001W",  # Numbers begin at 002.
        "1131052-308T",
        "131052-308Ta",
        "131052-308Tä",
        "131052-308 Tarja",
        "131052-308 Tä",
        "131052  -  308T",
        "131052/308T",
        "040 123 4567",
        "+358 40 1234567",
        "1234567-8",
        "FI21 1234 5600 0007 85",
        "13.10.1952 308 T",
        "2026-11-24T12:00:00Z",
        "1.2.246.562.17.00000000000000012345",
    ],
)
def test_what_only_looks_like_a_code_is_none(text: str) -> None:
    assert not holds_identity_code(text)


@settings(deadline=None)
@given(st.uuids())
def test_ids_of_hexadecimal_digits_hold_no_code(drawn: uuid.UUID) -> None:
    assert not holds_identity_code(str(drawn))


@pytest.mark.parametrize(
    ("year", "shape"), [(1952, "0a{}-9c1d-8f00-1234567890ab"), (2001, "0190c9d8-7f3a-7b1c-8f00-b{}")]
)
def test_a_code_within_an_id_of_hexadecimal_digits_is_a_part_of_that(year: int, shape: str) -> None:
    codes = (code(date(year, 10, 13), number).lower() for number in range(2, 900))
    hexadecimal = next(found for found in codes if not found.strip("0123456789abcdef-"))

    assert holds_identity_code(hexadecimal)
    assert uuid.UUID(shape.format(hexadecimal))
    assert not holds_identity_code(shape.format(hexadecimal))


@settings(deadline=None)
@given(st.text())
def test_any_text_is_looked_through(text: str) -> None:
    assert holds_identity_code(text) in {True, False}


CODE = "131052-308T"


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (CODE, "text"),
        ([CODE], "0"),
        ({"a": {"b": ["", f"on {CODE}"]}}, "a.b.1"),
        ({"a": ("", CODE)}, "a.1"),
        ({CODE: 1}, "object"),
        ({"a": {CODE: 1}}, "a"),
        ({"a": 131052, "b": [None, True, 1.5], "c": {}}, None),
        (None, None),
    ],
)
def test_it_is_said_where_a_code_stands_and_never_which(value: Any, where: str | None) -> None:
    assert find_identity_code(value) == where
