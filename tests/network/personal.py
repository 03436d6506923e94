"""Looks for personal data in clear: what only the addressee may read of a client, however it is written."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Iterator
from pathlib import Path

CLIENTS = Path(__file__).parents[2] / "deploy" / "demo" / "clients.csv"
ALIGNMENTS = 3
"""Base64 of a text depends on how many bytes stand before it, modulo three."""

LEAST_BASE64 = 10
"""Characters of base64 below which a text would be found in any longer one by chance."""


def of_clients() -> list[str]:
    """What tells who a client of the day is: names, mail address, telephone number, own words.

    A name that stands alone in its field is looked for with the quotes of JSON: without them it is also a word that any
    description of studies may have.
    """
    found = []
    with CLIENTS.open(encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source, delimiter=";"):
            given, family = row["etunimi"], row["sukunimi"]
            sentences = [part.strip() for part in row["omin sanoin"].split(".") if part.strip()]
            names = [f"{given} {family}", f"{family} {given}", f'"{given}"', f'"{family}"']
            found += [*names, *filter(None, (row["sähköposti"], row["puhelin"])), *sentences]
    return found


def in_clear(content: bytes, texts: list[str]) -> list[str]:
    """Those of the texts that stand in some bytes."""
    return [text for text in texts if any(written in content for written in _written(text))]


def _written(text: str) -> Iterator[bytes]:
    yield text.encode()
    yield json.dumps(text)[1:-1].encode() if text.strip('"') == text else text.encode()
    yield text.encode("latin-1", "replace")
    yield text.encode("utf-16-le")
    for before in range(ALIGNMENTS):
        # Without the characters at both ends, which hold bits of what stands beside the text.
        first = -(-before * 4 // 3)
        inner = base64.b64encode(b"\0" * before + text.encode())[first:-4]
        if len(inner) >= LEAST_BASE64:
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")
