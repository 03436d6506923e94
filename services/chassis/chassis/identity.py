"""Finds Finnish personal identity codes in texts, so that none is ever kept by mistake (domain.md, Privacy).

The code: ``DDMMYYCZZZQ`` (Digital and Population Data Services Agency). C tells the century, with the characters
that came in 2023; ZZZ is 002 to 899, or 900 to 999 in test data; Q checks the rest.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

_DASHES = "-\u2010\u2011\u2013\u2212"
"""The keyboard's hyphen, and what word processors make of it: hyphen, unbroken hyphen, en dash, minus."""

_CENTURIES = {"+": 1800} | dict.fromkeys(_DASHES + "YXWVU", 1900) | dict.fromkeys("ABCDEF", 2000)
_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
# Ids of hexadecimal digits hold such rows by chance: with letters before and within, or as the first groups of a UUID.
# A network would meet that every few months, and a good event would be parked.
_NO_ID_BEFORE = r"(?!(?<=[A-F])\d{6}[A-F])"
_NO_ID_AFTER = r"(?!-[0-9A-F]{4}-)"
# People put spaces around the middle character and before the last.
_CODE = re.compile(
    rf"(?<!\d){_NO_ID_BEFORE}(\d{{6}})\s?([{re.escape(_DASHES)}+YXWVUABCDEF])\s?(\d{{3}})\s?([0-9A-Y])(?![^\W_])"
    rf"{_NO_ID_AFTER}",
    re.IGNORECASE,
)


_LENGTH = 11


def is_identity_code(digits: str, century: str, number: str, check: str) -> bool:
    """Whether the four parts make a code: an existing day, an individual number, and the right check character."""
    day, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    try:
        date(_CENTURIES[century.upper()] + year, month, day)
    except ValueError:
        return False
    return int(number) > 1 and _CHECKS[int(digits + number) % 31] == check.upper()


def holds_identity_code(text: str) -> bool:
    """Whether a text holds an identity code; a look-alike with a wrong check character is none."""
    # Nearly no text holds even a look-alike, and most are too short for one.
    if len(text) < _LENGTH or not _CODE.search(text):
        return False
    return any(is_identity_code(*match.groups()) for match in _CODE.finditer(text))


def find_identity_code(value: Any, path: str = "") -> str | None:
    """Where in a JSON value an identity code stands: names and positions joined by dots, or None.

    The code itself is in no answer and no error.
    """
    if isinstance(value, str):
        return path or "text" if holds_identity_code(value) else None
    if isinstance(value, dict):
        # A code may stand in a name as well; its path is that of the object.
        if any(holds_identity_code(name) for name in value):
            return path or "object"
        children = ((f"{path}.{name}" if path else name, child) for name, child in value.items())
    elif isinstance(value, list | tuple):
        children = ((f"{path}.{place}" if path else str(place), child) for place, child in enumerate(value))
    else:
        return None
    return next((found for where, child in children if (found := find_identity_code(child, where))), None)
