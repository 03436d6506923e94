"""What of the parking lot may be seen: enough to find the fault, and nothing personal."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from chassis import profile
from chassis.decision import Classification
from chassis.parking import EFFECTS_QUEUE
from chassis.reasons import Unacceptable

_SHOWN = ("reason", "rule", "error", "event", "type", "publisher", "queue", "key", "bytes", "attempts")


class GroupShown(Schema):
    """What entries have in common, and how many there are."""

    status = fields.String(required=True)
    reason = fields.String(required=True)
    rule = fields.String()
    type = fields.String()
    publisher = fields.String()
    count = fields.Integer(required=True)
    first = fields.AwareDateTime(required=True)
    last = fields.AwareDateTime(required=True)
    error = fields.String()


class EntryShown(Schema):
    """An entry without its event's content."""

    id = fields.String(required=True)
    status = fields.String(required=True)
    reason = fields.String(required=True)
    rule = fields.String()
    error = fields.String()
    event = fields.String()
    type = fields.String()
    publisher = fields.String()
    queue = fields.String(required=True)
    key = fields.String(required=True)
    bytes = fields.Integer(required=True)
    attempts = fields.Integer(required=True)
    replayable = fields.Boolean(required=True)
    first = fields.AwareDateTime(required=True)
    last = fields.AwareDateTime(required=True)


class AuditShown(Schema):
    """What somebody did with an entry."""

    at = fields.AwareDateTime(required=True)
    person = fields.String()
    what = fields.String(required=True)
    how = fields.String()
    reason = fields.String()
    rule = fields.String()
    type = fields.String()
    publisher = fields.String()
    event = fields.String()


class WholeShown(Schema):
    """An entry with what may be seen of its event; of one that is gone, the lines of its audit."""

    id = fields.String(required=True)
    status = fields.String(required=True)
    reason = fields.String()
    rule = fields.String()
    error = fields.String()
    event = fields.String()
    type = fields.String()
    publisher = fields.String()
    queue = fields.String()
    key = fields.String()
    bytes = fields.Integer()
    attempts = fields.Integer()
    replayable = fields.Boolean()
    first = fields.AwareDateTime()
    last = fields.AwareDateTime()
    attributes = fields.Dict()
    data = fields.Raw()
    hidden = fields.String()
    audit = fields.List(fields.Nested(AuditShown), required=True)


class ActionShown(Schema):
    """What a replay or a discard did, or would do."""

    dry_run = fields.Boolean(data_key="dryRun", required=True)
    matched = fields.Integer(required=True)
    replaying = fields.Integer(required=True)
    without_body = fields.Integer(data_key="withoutBody", required=True)
    groups = fields.List(fields.Nested(GroupShown))
    ids = fields.List(fields.String())
    left = fields.Integer()
    retry_after_seconds = fields.Float(data_key="retryAfterSeconds")
    before = fields.AwareDateTime()


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
        return _hidden("was not kept: an identity code or personal data in clear stood in it, or it was too large")
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
