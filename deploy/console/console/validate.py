"""Checks an event against the contract, as the consumers will."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from chassis import profile, strictjson
from chassis.decision import Classification
from chassis.identity import find_identity_code
from chassis.reasons import Unacceptable
from console.contract import promised


def problems(body: bytes) -> list[str]:
    """Every rule that an event breaks; an empty list where it is valid.

    The data of a personal event is checked as it is before sealing.
    """
    try:
        event = strictjson.loads(body)
    except strictjson.NotStrict as error:
        return [f"the file is {error}"]
    if not isinstance(event, dict):
        return ["an event is a JSON object"]
    return [*_envelope(event), *_data(event)]


def _envelope(event: dict[str, Any]) -> list[str]:
    # The routing key is what the publisher would use, so only what contradicts itself can be wrong in it.
    name = str(event.get("type", "")).removeprefix("fi.viisikko.").rpartition(".")[0]
    organisation = (str(event.get("source", "")).split(":") + [""] * 3)[2]
    key = f"{name}.{organisation}.{event.get('destination', '')}"
    plain = {**event, "dataclassification": str(Classification.PSEUDONYMOUS)}
    shown = plain if event.get("dataclassification") == str(Classification.PERSONAL) else event
    try:
        profile.admit(strictjson.dumps(shown), profile.CONTENT_TYPE, {}, key)
    except Unacceptable as error:
        return [str(error)]
    return []


def _data(event: dict[str, Any]) -> list[str]:
    found = {one.type: one for one in promised()}.get(str(event.get("type")))
    if found is None:
        return ["type: is none of the contract's; deploy/contract/README.md lists them"]
    where = find_identity_code(event.get("data"))
    if where is not None:
        return [f"{where}: holds a personal identity code, which is never kept"]
    try:
        found.schema().load(event.get("data") or {}, unknown="exclude")
    except ValidationError as error:
        return [f"data.{field}: {rule}" for field, rule in sorted(error.normalized_messages().items())]
    return []
