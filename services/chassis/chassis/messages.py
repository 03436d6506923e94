"""From what reached the service to a `Message` for its handler: whose it is, what it says, which aggregate it names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError

from chassis import remembered, tracing
from chassis.border import Cause, journey, schema_of
from chassis.decision import Classification, Handler, Message, stream_of
from chassis.identity import find_identity_code
from chassis.ids import DerivedIds
from chassis.incoming import Arrival, Due, Incoming, Order, Result
from chassis.reasons import Reason, Unacceptable

if TYPE_CHECKING:
    from chassis.home import Home
    from chassis.profile import Envelope

MARK_BYTES = 12
"""Bytes of a mark's hash (architecture.md): 2^48 marks in one aggregate before two are likely to meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Where an event stands in its stream.

    Attributes:
        stream: Hash of source, subject and stream.
        number: The publisher's sequence; None from guests.
        micros: The publisher's time, which orders what has no sequence.
    """

    stream: str
    number: int | None
    micros: int

    def newer_than(self, known: Mapping[str, int] | None) -> bool:
        """Whether it is to be applied: a larger sequence or, without one, no older time (contract.md, ``sequence``)."""
        if known is None:
            return True
        if self.number is not None and "n" in known:
            return self.number > known["n"]
        return self.micros >= known["t"]

    def stored(self) -> dict[str, int]:
        """What is remembered of it."""
        return {"t": self.micros} if self.number is None else {"t": self.micros, "n": self.number}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message that is ready for its handler.

    Attributes:
        handler: The handler.
        message: The message.
        id: Id of the aggregate that it names.
        mark: What `seen` remembers it by.
        body_hash: Of a command's body; empty otherwise.
        sequence: Its place in its stream, or None.
        cause: What outgoing messages follow from.
        origin: What reached the service.
    """

    handler: Handler
    message: Message
    id: str
    mark: str
    cause: Cause
    origin: Incoming
    body_hash: str = ""
    sequence: Sequence | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Kind and id of the aggregate."""
        return self.handler.aggregate.name, self.id


class Ignored(Exception):  # noqa: N818 - says what follows, and is no error
    """No handler reads this message; it is acknowledged and counted."""


def take(home: Home, incoming: Incoming, at: datetime) -> Taken:
    """Find the handler, load the data, and name the aggregate.

    Raises:
        Ignored: Nothing here reads it.
        Unacceptable: An event breaks a rule.
        ValidationError: marshmallow's: a command's body breaks its schema.
        Refused: A handler's key refuses what it would name.
        LookupError: Nothing here takes that command.
    """
    match incoming:
        case Arrival():
            return _event(home, incoming, at)
        case Order():
            return _order(home, incoming, at)
        case Due():
            return _due(home, incoming, at)
        case Result():
            return _result(home, incoming, at)


def reader(home: Home, arrival: Arrival) -> Handler | None:
    """The handler that reads an event or a tell, or None."""
    envelope = arrival.envelope
    kind = "told" if arrival.delivery.own and envelope.organisation == home.organisation else "event"
    handler = home.handlers.find(kind, envelope.name, version=envelope.version)
    if handler is None and kind == "told":
        # What comes back through the own exchange may also be an event that waited there for its next try.
        return home.handlers.find("event", envelope.name, version=envelope.version)
    return handler


def mark(source: str, identifier: str) -> str:
    """What `seen` remembers a message by: the first 12 bytes of SHA-256(source, NUL, id), in hex."""
    return hashlib.sha256(f"{source}\0{identifier}".encode()).digest()[:MARK_BYTES].hex()


def _event(home: Home, arrival: Arrival, at: datetime) -> Taken:
    envelope = arrival.envelope
    handler = reader(home, arrival)
    if handler is None:
        raise Ignored
    if handler.sealed and envelope.classification is not Classification.PERSONAL:
        raise Unacceptable(
            Reason.SEALED, "is personal, and must come sealed (a JWE for this organisation)", field="data"
        )
    where = _identity_code(arrival)
    if where is not None:
        raise Unacceptable(Reason.IDENTITY_CODE, "holds a personal identity code", field=where)
    _fresh(home, arrival, at)
    message = Message(
        id=envelope.id,
        name=envelope.name,
        at=at,
        own=home.organisation,
        ids=DerivedIds(home.secrets.ids, f"{envelope.source}\0{envelope.id}", at),
        subject=envelope.subject,
        data=_loaded(handler, envelope),
        organisation=envelope.organisation,
        source=envelope.source,
        correlation=envelope.correlation or journey(envelope.subject),
    )
    return Taken(
        handler=handler,
        message=message,
        id=handler.key(message),
        mark=mark(envelope.source, envelope.id),
        cause=Cause(
            id=envelope.id,
            organisation=envelope.organisation,
            at=at,
            correlation=message.correlation,
            trace=tracing.of(home, arrival),
            seed=f"{envelope.source}\0{envelope.id}",
        ),
        origin=arrival,
        sequence=_sequence(arrival, handler),
    )


def _identity_code(arrival: Arrival) -> str | None:
    envelope = arrival.envelope
    attributes = {"id": envelope.id, "subject": envelope.subject, "correlationid": envelope.correlation}
    return find_identity_code(attributes) or find_identity_code(envelope.data)


def _fresh(home: Home, arrival: Arrival, at: datetime) -> None:
    envelope = arrival.envelope
    # What another copy has kept is the latest of its stream, and is compared by its time.
    if arrival.delivery.queue == remembered.QUEUE:
        return
    if envelope.sequence is None and at - envelope.time > timedelta(days=home.settings.replay_days):
        rule = f"is older than {home.settings.replay_days} days, and has no sequence that would tell a repetition"
        raise Unacceptable(Reason.TOO_OLD, rule, field="time")


def _loaded(handler: Handler, envelope: Envelope) -> Any:
    try:
        return handler.load(envelope.data, envelope.version, _load)
    except ValidationError as error:
        field, rule = first_error(error.normalized_messages())
        raise Unacceptable(Reason.SCHEMA, rule, field=field) from None


def _load(schema: type, data: Any) -> Any:
    return schema_of(schema).load(data if data is not None else {})


def first_error(messages: Any, path: str = "data") -> tuple[str, str]:
    """The first of marshmallow's messages: dotted field and rule. Its texts hold rules, not the values sent."""
    if isinstance(messages, dict):
        name, inner = next(iter(messages.items()))
        return first_error(inner, path if name == "_schema" else f"{path}.{name}")
    if isinstance(messages, list) and messages:
        return first_error(messages[0], path)
    return path, str(messages)


def _sequence(arrival: Arrival, handler: Handler) -> Sequence | None:
    envelope = arrival.envelope
    stream = stream_of(envelope.name)
    # An event that waited in the own exchange for its next try may have been overtaken; a tell has no stream.
    if stream is None or handler.kind == "told":
        return None
    text = f"{envelope.source}\0{envelope.subject}\0{stream}"
    return Sequence(
        stream=hashlib.sha256(text.encode()).digest()[:MARK_BYTES].hex(),
        number=envelope.sequence,
        micros=int(envelope.time.timestamp() * 1_000_000),
    )


def _order(home: Home, order: Order, at: datetime) -> Taken:
    handler = home.handlers.find("command", order.name)
    if handler is None:
        raise LookupError(f"{home.service} has no handler for the command {order.name}")
    data = order.data if handler.schema is None else schema_of(handler.schema).load(order.data or {})
    message = Message(
        id=order.mark,
        name=order.name,
        at=at,
        own=home.organisation,
        # A repetition of the command tomorrow must derive the same ids, so its moment is no part of them.
        ids=DerivedIds(home.secrets.ids, order.mark, None),
        subject=order.path.get("id", ""),
        data=data,
        organisation=home.organisation,
        source=home.source,
        person=order.person,
        roles=order.roles,
        path=order.path,
    )
    return Taken(
        handler=handler,
        message=message,
        id=handler.key(message),
        mark=mark("order", order.mark),
        cause=Cause(
            id=order.mark,
            organisation=home.organisation,
            at=at,
            correlation=None,
            trace=tracing.of(home, order),
            seed=order.mark,
        ),
        origin=order,
        body_hash=order.body_hash[: 2 * MARK_BYTES],
    )


def _due(home: Home, due: Due, at: datetime) -> Taken:
    identifier = mark("timer", f"{due.aggregate}\0{due.id}\0{due.name}\0{due.due.isoformat()}")
    return _internal(home, "timer", due, identifier, at)


def _result(home: Home, result: Result, at: datetime) -> Taken:
    identifier = mark("result", f"{result.effect}\0{result.failed}")
    return _internal(home, "result", result, identifier, at)


def _internal(home: Home, kind: str, origin: Due | Result, identifier: str, at: datetime) -> Taken:
    handler = home.handlers.find(kind, origin.name, aggregate=origin.aggregate)
    if handler is None:
        raise Ignored
    message = Message(
        id=identifier,
        name=origin.name,
        at=at,
        own=home.organisation,
        ids=DerivedIds(home.secrets.ids, identifier, at),
        subject=origin.id,
        data=origin.data if isinstance(origin, Result) else None,
        organisation=home.organisation,
        source=home.source,
        failed=isinstance(origin, Result) and origin.failed,
    )
    return Taken(
        handler=handler,
        message=message,
        id=origin.id,
        mark=identifier,
        cause=Cause(
            id=identifier,
            organisation=home.organisation,
            at=at,
            correlation=None,
            trace=tracing.of(home, origin),
            seed=identifier,
        ),
        origin=origin,
    )
