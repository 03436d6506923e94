"""Mutations that keep an input's form: a value of its JSON, or a cell or attribute of its table, becomes another.

Bytes that are changed blindly rarely stay JSON, and would teach a fuzzer the reader's first line only.
"""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 1.5, 1e300, -0.0, 1e-300),
    *("", " ", "0", "-1", "1e400", "NaN", "0x10", "٣", "²", "１２", "ä", "a\u0308", "\u0000", "\u200b", "\ud7ff", "😀"),
    *("2027-02-30", "0000-01-01", "9999-12-31T23:59:60Z", "2026-11-24T10:00:00+24:00", "31.12.99999", "46000"),
    *(
        "<b",
        "<a " * 40,
        "<!--",
        "<![CDATA[",
        "&#1114112;",
        "&#xd800;",
        "<script>",
        "javascript:x",
        "http://[::1",
        "=1+1",
    ),
    *(
        "131052-308T",
        "a" * 300,
        "a;b|c,d\n",
        "'=1",
        "\ufeff",
        "1 234,5 €",
        "sep=",
        "urn:viisikko:sedu:x",
        "fi",
        "x" * 5000,
    ),
    *([], {}, [[]], [None], {"fi": None}, {"fi": {}}, {"": ""}, [{}] * 3, {"$ref": "#"}, {"koodiUri": []}),
)
ESCAPED = 0.1
"""Share of the inputs whose letters beyond ASCII are escaped."""

_WHOLE = 0.02
"""Share of the changes that exchange a JSON value as a whole."""

_SEPARATORS = re.compile(rb"([;,\t\r\n<>\"= ])")


def mutated(data: bytes, most: int, seed: int) -> bytes | None:
    """The input with a few values exchanged, or None where it has no form to keep."""
    chance = random.Random(seed)
    head, separator, body = data.rpartition(b"\n\n")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        found = _text(data, chance)
    else:
        for _ in range(chance.randint(1, 3)):
            value = _json(value, chance)
        text = json.dumps(value, ensure_ascii=chance.random() < ESCAPED)
        found = head + separator + text.encode("utf-8", "surrogatepass")
    return found if found and len(found) <= most else None


def _json(value: Any, chance: random.Random) -> Any:
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places or chance.random() < _WHOLE:
        return chance.choice(VALUES)
    container, key = chance.choice(places)
    what = chance.randrange(6)
    if what == 0:
        del container[key]
    elif what == 1:
        container[key] = copy.deepcopy(_at(chance.choice(places)))
    elif what == 2 and isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]))
    elif what == 3 and isinstance(container[key], str):
        container[key] = _spliced(container[key], chance)
    elif what == 4:
        container[key] = chance.choice(([container[key]], {"fi": container[key]}, str(container[key])))
    else:
        container[key] = chance.choice(VALUES)
    return value


def _places(value: Any) -> Any:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(entries):
        yield value, key
        yield from _places(inner)


def _at(place: tuple[Any, Any]) -> Any:
    return place[0][place[1]]


def _spliced(text: str, chance: random.Random) -> str:
    middle = chance.randint(0, len(text))
    return text[:middle] + str(chance.choice(VALUES)) + text[middle + chance.randint(0, 3) :]


def _text(data: bytes, chance: random.Random) -> bytes:
    parts = _SEPARATORS.split(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(parts))
        what = chance.randrange(4)
        if what == 0:
            parts[place] = parts[chance.randrange(len(parts))]
        elif what == 1:
            parts[place] *= chance.randint(0, 4)
        else:
            parts[place] = str(chance.choice(VALUES)).encode("utf-8", "replace")
    return b"".join(parts)
