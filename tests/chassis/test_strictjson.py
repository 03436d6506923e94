"""JSON is read strictly, and what is written is UTF-8 that any member can read."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis import strictjson
from chassis.strictjson import MAX_DEPTH, NotStrict

whole_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | whole_texts,
    lambda inner: st.lists(inner) | st.dictionaries(whole_texts, inner),
    max_leaves=20,
)


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + closing * depth


@settings(deadline=None)
@given(values)
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    assert strictjson.loads(strictjson.dumps(value)) == value


@settings(deadline=None)
@given(values)
def test_escapes_and_spaces_of_others_make_no_difference(value: Any) -> None:
    assert strictjson.loads(json.dumps(value, indent=1).encode()) == value


@settings(deadline=None)
@given(st.binary())
def test_random_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value = strictjson.loads(body)
    except NotStrict:
        return

    assert value == json.loads(body)


@settings(deadline=None)
@given(st.text(st.sampled_from('[]{}",:0123456789-+.eE \\utrnbfalsNIy\ud800')))
def test_random_pieces_of_json_are_read_or_refused(text: str) -> None:
    try:
        value = strictjson.loads(text.encode("utf-8", "surrogatepass"))
    except NotStrict:
        return

    assert strictjson.loads(strictjson.dumps(value)) == value


@pytest.mark.parametrize("body", [b'{"a":1,"a":1}', b'[{"b":{"a":1,"\\u0061":2}}]'])
def test_a_name_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(NotStrict, match="twice"):
        strictjson.loads(body)


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b'{"a":-Infinity}', b"1e400", b"-1e999999999"])
def test_a_number_that_is_not_finite_is_refused(body: bytes) -> None:
    with pytest.raises(NotStrict):
        strictjson.loads(body)


@pytest.mark.parametrize("digits", ["9223372036854775808", "-9223372036854775809", "1" * 60_000])
def test_an_integer_beyond_64_bits_is_refused(digits: str) -> None:
    with pytest.raises(NotStrict, match="an integer is beyond 64 bits"):
        strictjson.loads(digits.encode())


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_the_last_integers_of_64_bits_are_read(number: int) -> None:
    assert strictjson.loads(str(number).encode()) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.1000000000000000055511151231257827021181583404541015625", 0.1),
        ("3." + "3" * 60_000, 10 / 3),
        ("1" * 50 + ".5", float("1" * 50)),
        ("1e-999999", 0.0),
    ],
)
def test_a_long_fraction_is_rounded(text: str, number: float) -> None:
    assert math.isclose(strictjson.loads(text.encode()), number)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":[', b"]}")])
def test_depth_is_limited(opening: bytes, closing: bytes) -> None:
    levels = opening.count(b"[") + opening.count(b"{")
    deepest = MAX_DEPTH // levels

    assert strictjson.loads(nested(deepest, opening, closing))
    for depth in (deepest + 1, 30_000):
        with pytest.raises(NotStrict):
            strictjson.loads(nested(depth, opening, closing))


def test_brackets_in_texts_are_no_depth() -> None:
    assert strictjson.loads(json.dumps(["[{" * 100]).encode()) == ["[{" * 100]


@pytest.mark.parametrize("body", [b'"\\ud800"', b'{"\\udfff":1}', b'["\\ud83d","\\ude00"]', b"\xed\xa0\x80", b"\xff"])
def test_half_a_character_is_refused(body: bytes) -> None:
    with pytest.raises(NotStrict):
        strictjson.loads(body)


def test_a_character_in_two_escaped_halves_is_whole() -> None:
    assert strictjson.loads(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("body", [b"", b" ", b"\xef\xbb\xbf1", b"1 2", b"[1,]", b"{'a':1}", b'"\t"', b"01", b"1."])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(NotStrict, match="not JSON"):
        strictjson.loads(body)


def test_no_error_repeats_what_was_sent() -> None:
    for body in (b'{"secret":1,"secret":2}', b'["secret" secret]', b'"secret\\ud800"'):
        with pytest.raises(NotStrict) as refused:
            strictjson.loads(body)

        assert "secret" not in str(refused.value)


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [math.nan, [math.inf], "\ud800", {"\udfff": 1}, deep(100_000)], ids=range(5))
def test_what_nobody_could_read_is_not_written(value: Any) -> None:
    with pytest.raises(NotStrict):
        strictjson.dumps(value)


def test_what_holds_itself_is_not_written() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(NotStrict):
        strictjson.dumps(value)


def test_what_is_no_value_of_json_is_an_error_of_the_caller() -> None:
    with pytest.raises(TypeError):
        strictjson.dumps({1, 2})
