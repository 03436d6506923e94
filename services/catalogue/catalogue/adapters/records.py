"""JSON from other systems, record by record: arrays and objects of arrays in streams, NDJSON by lines."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

import ijson

from catalogue.adapters.drafts import Broken, Unreadable
from chassis import strictjson

Source: TypeAlias = bytes | Path | Sequence[Path]

LINE_BYTES = 4 * 2**20
"""A line of NDJSON at the most; a longer first line is one big object, read in a stream."""


class Cut(Exception):  # noqa: N818 - errors name the fact
    """The rest of a source cannot be read; what came before it was good."""


def records(source: Source, collections: Sequence[str]) -> Iterator[tuple[str, object]]:
    """All records of a source, with the collection that each stands in; empty for those that stand alone.

    A line of NDJSON that cannot be read is given as `Broken`, and the rest goes on.

    Args:
        source: Bytes, a file or several: an array, NDJSON, or one object ``{collection: [record, …], …}``.
        collections: Names of the collections that such an object may have.

    Raises:
        Cut: JSON breaks off or is none.
        Unreadable: A file cannot be opened.
    """
    for place in [source] if isinstance(source, bytes | Path) else source:
        with opened(place) as stream:
            yield from _records(stream, collections)


@contextmanager
def opened(place: bytes | Path) -> Iterator[BinaryIO]:
    """A source as a stream.

    Raises:
        Unreadable: The file cannot be opened.
    """
    try:
        stream = io.BytesIO(place) if isinstance(place, bytes) else place.open("rb")
    except OSError as error:
        raise Unreadable(f"file: cannot be opened ({type(error).__name__})", field="file") from None
    with stream:
        yield stream


def _records(stream: BinaryIO, collections: Sequence[str]) -> Iterator[tuple[str, object]]:
    first = stream.read(3)
    if not first.startswith(b"\xef\xbb\xbf"):
        stream.seek(0)
    start = stream.tell()
    line = _first_line(stream)
    stream.seek(start)
    if line.startswith(b"["):
        yield from (("", record) for record in _items(stream, "item"))
    elif _stands_alone(line, collections):
        yield from _lines(stream)
    else:
        for collection in collections:
            stream.seek(start)
            yield from ((collection, record) for record in _items(stream, f"{collection}.item"))


def _first_line(stream: BinaryIO) -> bytes:
    while line := stream.readline(LINE_BYTES):
        if line.strip():
            return line.strip()
    return b""


def _stands_alone(line: bytes, collections: Sequence[str]) -> bool:
    try:
        found = strictjson.loads(line)
    except strictjson.NotStrict:
        return False
    return isinstance(found, dict) and ("oid" in found or "_source" in found or not set(found) & set(collections))


def _items(stream: BinaryIO, prefix: str) -> Iterator[object]:
    try:
        yield from ijson.items(stream, prefix)
    except (ijson.JSONError, ValueError, ArithmeticError, RecursionError):
        # Arithmetic fails at a number whose exponent is beyond what Decimal can hold.
        raise Cut("is no JSON, or breaks off") from None


def _lines(stream: BinaryIO) -> Iterator[tuple[str, object]]:
    while line := stream.readline(LINE_BYTES):
        if not line.strip():
            continue
        try:
            yield "", strictjson.loads(line)
        except strictjson.NotStrict as error:
            yield "", Broken(None, "json", f"the line is {error}")
