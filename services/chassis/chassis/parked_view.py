"""What of the parking lot may be seen: enough to find the fault, and nothing personal."""

from __future__ import annotations

from typing import Any

from chassis import profile
from chassis.decision import Classification
from chassis.parking import EFFECTS_QUEUE
from chassis.reasons import Unacceptable

_SHOWN = ("reason", "rule", "error", "event", "type", "publisher", "queue", "key", "bytes", "attempts")


def group(found: dict[str, Any]) -> dict[str, Any]:
    """A group of entries, as the store has put it together."""
    times = {name: found[name].isoformat() for name in ("first", "last")}
    return {**found["_id"], "count": found["count"], **times, "error": found["error"]}


def listed(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the parking lot without its event's content."""
    return {
        "id": entry["_id"],
        "status": entry["status"],
        **{name: entry[name] for name in _SHOWN},
        "replayable": entry["body"] is not None,
        "first": entry["first"].isoformat(),
        "last": entry["last"].isoformat(),
    }


def content(entry: dict[str, Any]) -> dict[str, Any]:
    """What may be seen of an event: nothing personal is ever opened, and what is no event may hold anything."""
    if entry["body"] is None:
        return _hidden("was not kept: a personal identity code stood in it, or it was too large")
    if entry["queue"] == EFFECTS_QUEUE:
        shown = {"effect": bytes(entry["body"]).decode()}
        return {**_hidden("may be personal, and is not opened here"), "attributes": shown}
    try:
        envelope = profile.admit(bytes(entry["body"]), entry["contentType"], entry["headers"], entry["key"])
    except Unacceptable:
        return _hidden("is no event of the network, and could hold anything")
    attributes = {
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "subject": envelope.subject,
        "time": envelope.time.isoformat(),
        "destination": envelope.destination,
        "dataclassification": str(envelope.classification),
        "sequence": envelope.sequence,
        "correlationid": envelope.correlation,
        "causationid": envelope.causation,
    }
    if envelope.classification is Classification.PERSONAL:
        return {**_hidden("is personal, and is not opened here"), "attributes": attributes}
    return {"attributes": attributes, "data": envelope.data, "hidden": None}


def _hidden(why: str) -> dict[str, Any]:
    return {"attributes": None, "data": None, "hidden": why}
