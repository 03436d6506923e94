"""The parking lot: what could not be taken, kept as it came, with its reason; and the word to its publisher."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bson import ObjectId
from marshmallow import Schema, fields
from pymongo import DeleteOne, ReplaceOne, UpdateOne

from chassis import border, metrics, strictjson, tracing
from chassis.border import Cause, Entry
from chassis.decision import Classification, Contract, Publish, published
from chassis.identity import find_identity_code, holds_identity_code
from chassis.logs import log
from chassis.profile import is_sealed, safe_headers
from chassis.reasons import Reason

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

    from chassis.home import Home
    from chassis.incoming import Delivery, Replay

PARKED = "parked"
REFUSALS = "refusals"
AUDIT = "parked_audit"
OUTBOX_QUEUE = "outbox"
"""Stands for a queue in entries that the own relay has parked."""

EFFECTS_QUEUE = "effects"
"""Stands for a queue in entries that are effects; their body is the id of the effect's document, which stays."""

WORD_EVERY = timedelta(hours=1)
"""At most one ``event.refused`` in this time for a publisher, type and reason (contract.md)."""

MAX_ERROR = 500
MAX_ID = 200
MAX_BODY = 256 * 1024
"""Bytes of a body that are kept at the most: an event has 64 KiB, and the store's documents cannot hold everything."""

_INT64 = 2**63


@published(
    Contract(
        name="event.refused",
        classification=Classification.PUBLIC,
        says="An event of yours could not be taken and was parked; count tells how often since the last word of it.",
        route="whoever parked it → the publisher's organisation",
        example={
            "event": "01938a2e-7c1b-7d3e-9b1f-6a5d4c3b2a10",
            "type": "referral.accepted",
            "reason": "schema",
            "error": "reason: not one of the list",
            "count": 1,
        },
    )
)
class EventRefused(Schema):
    """What was refused and why; never the payload."""

    event = fields.String(required=True, allow_none=True, metadata={"description": "Its id, where it could be read"})
    type = fields.String(required=True, metadata={"description": "Its name, as in the routing key"})
    reason = fields.String(required=True, metadata={"description": "Reason code"})
    error = fields.String(required=True, metadata={"description": "The first error: field and rule, no value"})
    count = fields.Integer(required=True, metadata={"description": "How many since the last word, this one included"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """One message for the parking lot.

    Attributes:
        delivery: The message as it came.
        reason: Why.
        error: Field and rule, without any value.
        rule: Name of the domain's rule, where one refused it.
        event: The event's id, where it could be read.
        at: When.
    """

    delivery: Delivery
    reason: Reason
    error: str
    at: datetime
    rule: str | None = None
    event: str | None = None

    @property
    def id(self) -> str:
        """Hash of queue, routing key and body: a redelivery is parked once, and a forgery takes nobody's place."""
        digest = hashlib.sha256()
        key = self.delivery.routing_key.encode("utf-8", "surrogateescape")
        for part in (self.delivery.queue.encode(), key, self.delivery.body):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    @property
    def words(self) -> list[str]:
        """The routing key's words, as far as there are any."""
        return self.key.split(".")

    @property
    def key(self) -> str:
        """The routing key, unless somebody wrote an identity code into it."""
        return _clean_text(self.delivery.routing_key)

    @property
    def withheld(self) -> bool:
        """Whether an identity code stands in it: it must not be kept anywhere, the parking lot included."""
        return self.reason is Reason.IDENTITY_CODE or _holds_identity_code(self.delivery.body)


class Status(StrEnum):
    """Where an entry of the parking lot stands."""

    PARKED = "parked"
    """It waits for somebody's decision."""
    REPLAYING = "replaying"
    """It is on its way to be taken after all."""


class ParkingLot:
    """The parking lot of one service."""

    def __init__(self, home: Home) -> None:
        """Park in the service's own database."""
        self._home = home
        self._personal = frozenset(handler.name for handler in home.handlers.all() if handler.sealed)

    def indexes(self) -> None:
        """Declare what the queries need."""
        self._home.database[PARKED].create_index([("reason", 1), ("last", 1)])
        self._home.database[PARKED].create_index([("first", 1), ("order", 1)])
        self._home.database[AUDIT].create_index([("id", 1), ("at", 1)])
        self._home.database[AUDIT].create_index("request", sparse=True)

    def park(self, parked: Sequence[Parked], session: ClientSession) -> list[Entry]:
        """Write messages into the lot, within a transaction; a replay that failed goes back into its own place.

        Returns:
            The words to their publishers, for the outbox of the same transaction.
        """
        if not parked:
            return []
        lot = self._home.database[PARKED]
        named = {p.id for p in parked} | {p.delivery.replay.id for p in parked if p.delivery.replay}
        found = lot.find({"_id": {"$in": sorted(named)}}, {"attempt": 1}, session=session)
        known = {entry["_id"]: entry.get("attempt") for entry in found}
        places = [(p, *_place(p, known)) for p in parked]
        fresh = {place: p for p, place, _replay in places if place not in known}
        again = [UpdateOne({"_id": place}, _again(p, replay)) for p, place, replay in places if place in known]
        if fresh:
            lot.insert_many([_document(p, withheld=self._withheld(p)) for p in fresh.values()], session=session)
        if again:
            lot.bulk_write(again, session=session)
        ended = [_ended(replay, p.at, "parked-again", str(p.reason)) for p, _place, replay in places if replay]
        self.note(ended, session)
        return self._words(list(fresh.values()), session)

    def settle(self, ended: Sequence[tuple[Replay, str]], at: datetime, session: ClientSession) -> None:
        """Remove entries whose replay is settled, within the transaction that settles it.

        Args:
            ended: Replays, each with how it ended.
            at: When.
            session: The transaction's session.
        """
        if not ended:
            return
        # Where a second copy of the message comes later, or an operator has sent it again, the entry is not this one's.
        removals = [DeleteOne({"_id": replay.id, "attempt": replay.attempt}) for replay, _how in ended]
        self._home.database[PARKED].bulk_write(removals, session=session)
        self.note([_ended(replay, at, "settled", how) for replay, how in ended], session)

    def note(self, lines: Sequence[dict[str, Any]], session: ClientSession) -> None:
        """Write lines into the audit: who or what did what to which entry, and when."""
        if lines:
            self._home.database[AUDIT].insert_many(lines, session=session)

    def _withheld(self, parked: Parked) -> bool:
        """Whether its content must be kept nowhere: it holds an identity code, or personal data that came unsealed."""
        if parked.withheld:
            return True
        personal = parked.reason is Reason.SEALED or _name(parked) in self._personal
        return personal and not is_sealed(parked.delivery.body, parked.delivery.content_type)

    def _words(self, parked: Sequence[Parked], session: ClientSession) -> list[Entry]:
        groups: dict[str, list[Parked]] = {}
        for one in parked:
            publisher = self._publisher(one)
            if publisher is not None:
                groups.setdefault(f"{publisher}|{_name(one)}|{one.reason}", []).append(one)
        refusals = self._home.database[REFUSALS]
        told = {r["_id"]: r for r in refusals.find({"_id": {"$in": list(groups)}}, session=session)}
        entries, writes = [], []
        for group, members in groups.items():
            before = told.get(group, {"count": 0, "told": None})
            count = before["count"] + len(members)
            due = before["told"] is None or members[-1].at - before["told"] >= WORD_EVERY
            if due:
                entries.append(self._word(members[0], count))
            document = {"_id": group, "count": 0 if due else count, "told": members[-1].at if due else before["told"]}
            writes.append(ReplaceOne({"_id": group}, document, upsert=True))
        if writes:
            refusals.bulk_write(writes, session=session)
        return entries

    def _publisher(self, parked: Parked) -> str | None:
        words = parked.words
        if len(words) != 4 or _name(parked) == "event.refused":  # noqa: PLR2004 - a routing key's four words
            return None
        return words[2] if words[2] in self._home.network.destinations(self._home.organisation) else None

    def _word(self, parked: Parked, count: int) -> Entry:
        data = {
            "event": parked.event and _clean_text(parked.event),
            "type": _name(parked),
            "reason": parked.rule or str(parked.reason),
            "error": parked.error[:MAX_ERROR],
            "count": count,
        }
        cause = Cause(
            id=parked.id,
            organisation=self._home.organisation,
            at=parked.at,
            correlation=None,
            trace=tracing.begin(self._home.source, parked.id, None),
            seed=parked.id,
        )
        publish = Publish(EventRefused, to=parked.words[2], data=data, subject=parked.id)
        return border.leave(self._home, publish, cause, aggregate=f"{PARKED}/{parked.id}", version=1, position=0)


def tell_parked(parked: Parked) -> None:
    """Count and log a message that is in the lot now; the log names it by the lot's id, since its own is unchecked."""
    metrics.PARKED.labels(str(parked.reason)).inc()
    log.warning(
        "message.parked", id=parked.id, reason=str(parked.reason), rule=parked.rule, queue=parked.delivery.queue
    )


def readable_id(delivery: Delivery) -> str | None:
    """The id that an event was given, as far as it can be read in something that could not be taken."""
    try:
        members = strictjson.loads(delivery.body)
    except strictjson.NotStrict:
        return None
    found = members.get("id") if isinstance(members, dict) else None
    return found if isinstance(found, str) and len(found) <= MAX_ID and not holds_identity_code(found) else None


def _place(parked: Parked, known: Mapping[str, str | None]) -> tuple[str, Replay | None]:
    # Only the latest attempt speaks for an entry: what a partner writes into headers can never name it.
    replay = parked.delivery.replay
    if replay is not None and known.get(replay.id) == replay.attempt:
        return replay.id, replay
    return parked.id, None


def _again(parked: Parked, replay: Replay | None) -> dict[str, Any]:
    changed: dict[str, Any] = {"last": parked.at}
    if replay is not None:
        changed |= {"status": str(Status.PARKED), "reason": str(parked.reason), "rule": parked.rule}
        changed["error"] = parked.error[:MAX_ERROR]
    return {"$inc": {"attempts": 1}, "$set": changed}


def _ended(replay: Replay, at: datetime, what: str, how: str) -> dict[str, Any]:
    return {"at": at, "person": None, "what": what, "how": how, "id": replay.id, "attempt": replay.attempt}


def _document(parked: Parked, *, withheld: bool) -> dict[str, Any]:
    words = parked.words
    body = parked.delivery.body
    return {
        "_id": parked.id,
        "status": str(Status.PARKED),
        "reason": str(parked.reason),
        "rule": parked.rule,
        "error": parked.error[:MAX_ERROR],
        "event": parked.event and _clean_text(parked.event),
        "type": _name(parked),
        "publisher": words[2] if len(words) > 2 else None,  # noqa: PLR2004 - the third word of a routing key
        "queue": parked.delivery.queue,
        "key": parked.key,
        "own": parked.delivery.own,
        "body": None if withheld or len(body) > MAX_BODY else body,
        "bytes": len(body),
        "contentType": parked.delivery.content_type and _clean_text(parked.delivery.content_type),
        "headers": {} if withheld else _plain(parked),
        "attempts": 1,
        "first": parked.at,
        # Those of one batch share their time, and are to be replayed in the order in which they came.
        "order": ObjectId(),
        "last": parked.at,
    }


def _plain(parked: Parked) -> dict[str, Any]:
    headers = safe_headers(parked.delivery.headers)
    return {
        _clean_text(name): _clean_text(value) if isinstance(value, str) else value
        for name, value in headers.items()
        if _can_be_kept(name, value)
    }


def _can_be_kept(name: str, value: object) -> bool:
    if isinstance(value, bytes):
        return not _holds_identity_code(value)
    return "\0" not in name and (isinstance(value, str) or (isinstance(value, int) and -_INT64 <= value < _INT64))


def _clean_text(text: str) -> str:
    """A text that the store can take and that holds no identity code; it came from outside unchecked."""
    return "" if holds_identity_code(text) else text.encode("utf-8", "replace").decode()


def _holds_identity_code(body: bytes) -> bool:
    if holds_identity_code(body.decode("utf-8", "replace")):
        return True
    try:
        return find_identity_code(strictjson.loads(body)) is not None
    except strictjson.NotStrict:
        return False


def _name(parked: Parked) -> str:
    return ".".join(parked.words[:2])
