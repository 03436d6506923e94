"""Pages of an uploaded vocabulary: NDJSON, each line checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from marshmallow import ValidationError

from assessment.schemas import RECORDS
from chassis import strictjson
from chassis.decision import Invalid


class WrongRecord(Invalid):
    """A line of an upload is no record; the text names the line, the field and the rule."""


def read(body: bytes) -> Iterator[dict[str, Any]]:
    """The records of one page.

    Args:
        body: UTF-8, one JSON object a line; empty lines are skipped.

    Raises:
        WrongRecord: A line is no such object; nothing of the page should then be kept.
    """
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            yield _record(line, number)


def _record(line: bytes, number: int) -> dict[str, Any]:
    try:
        value = strictjson.loads(line)
    except strictjson.NotStrict as error:
        raise WrongRecord(f"line {number}: is {error}", field=f"line {number}") from None
    schema = (
        RECORDS.get(value.get("kind", "")) if isinstance(value, dict) and isinstance(value.get("kind"), str) else None
    )
    if schema is None:
        text = f"line {number}: kind must be one of {', '.join(RECORDS)}"
        raise WrongRecord(text, field=f"line {number}")
    try:
        record: dict[str, Any] = schema.load(value)
    except ValidationError as error:
        name, rule = next(iter(error.normalized_messages().items()))
        raise WrongRecord(f"line {number}: {name}: {rule}", field=f"line {number}.{name}") from None
    return record
