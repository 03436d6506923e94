"""JSON from outside, read strictly: no duplicate names, no infinities, no bombs, no lone surrogates.

Python's own reader accepts all of these; the network's other members do not, and would read something else.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 32
"""How deep arrays and objects may nest; the network's own events need 5."""

MAX_INTEGER = 2**63
"""Integers are 64 bits wide in the store and in most members' languages."""

MAX_DIGITS = 40
"""Longer integers are refused before they are computed, which takes Python the square of their length."""


_LONG = re.compile(rb"[:,\[]-?\d{19}")
"""Where an integer beyond 64 bits may stand; in a string such a row of digits has a quote before it."""

_HALF = "a string holds half a character (a lone surrogate)"


class NotStrict(ValueError):  # noqa: N818 - errors name the fact
    """The text is not strict JSON; the message says which rule it breaks, and no value."""


def loads(body: bytes, *, depth: int = MAX_DEPTH) -> Any:
    """Read one JSON value.

    Args:
        body: UTF-8, of a size that the caller has bounded.
        depth: How deep it may nest.

    Raises:
        NotStrict: It is not UTF-8 or not JSON, a name stands twice in an object, a number is not finite or beyond 64
            bits, a string holds half a character, or it nests deeper than `depth`.
    """
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise NotStrict("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotStrict(f"not JSON: {error.msg.lower()} at character {error.pos}") from None
    except RecursionError:
        raise NotStrict(_too_deep(depth)) from None
    # Both walks are needed by almost no body, so that the usual one is only counted through.
    if body.count(b"{") + body.count(b"[") > depth:
        _bounded(value, depth, depth)
    if b"\\u" in body:
        _whole(value)
    return value


def dumps(value: Any) -> bytes:
    """Compact UTF-8 that `loads` can read.

    Raises:
        NotStrict: A number is not finite or beyond 64 bits, a string holds half a character, or it nests deeper than
            `MAX_DEPTH`.
        TypeError: A value is none of JSON's.
    """
    try:
        body = _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError:
        raise NotStrict(_HALF) from None
    except ValueError:
        raise NotStrict("a number is not finite, or a value holds itself") from None
    except RecursionError:
        raise NotStrict(_too_deep(MAX_DEPTH)) from None
    # Reading it back is the surest check, and hardly any body gives reason to.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH or _LONG.search(body):
        loads(body)
    return body


def _too_deep(depth: int) -> str:
    return f"nests deeper than {depth}"


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrict("a name stands twice in an object")
    return members


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS or not -MAX_INTEGER <= (value := int(digits)) < MAX_INTEGER:
        raise NotStrict("an integer is beyond 64 bits")
    return value


def _number(digits: str) -> float:
    # A long fraction costs no more than its length, and the caller has bounded that.
    value = float(digits)
    if math.isinf(value):
        raise NotStrict("a number is beyond what can be kept")
    return value


def _constant(_name: str) -> NoReturn:
    raise NotStrict("NaN and Infinity are not JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer, parse_float=_number, parse_constant=_constant)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _bounded(value: Any, left: int, depth: int) -> None:
    if isinstance(value, dict | list) and not left:
        raise NotStrict(_too_deep(depth))
    for child in _children(value):
        _bounded(child, left - 1, depth)


def _whole(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotStrict(_HALF) from None
