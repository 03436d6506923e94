"""What reaches a service, before it is a `Message`, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from chassis.decision import Refused

if TYPE_CHECKING:
    from datetime import datetime

    from chassis.profile import Envelope


class Failed(Refused):
    """This service has a programming error; nothing was applied, and what was asked for may be asked again later.

    The exception itself is its ``__cause__``; over HTTP it is a 500.
    """


class KeyReused(Refused):
    """An idempotency key came with another body before."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("This Idempotency-Key came with another body before: send a new key with a new request.")


class Settled(StrEnum):
    """How a message ended (reliability.md, Settling a message)."""

    APPLIED = "applied"
    RETRIED = "retried"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    IGNORED = "ignored"
    PARKED = "parked"
    REFUSED = "refused"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A span's place in a W3C trace context.

    Attributes:
        trace: The trace, 32 hex digits.
        span: The span in it, 16 hex digits.
        flags: Bit 0 says that it is recorded.
        state: What tracing systems hang on (``tracestate``), or None.
    """

    trace: str
    span: str
    flags: int
    state: str | None = None

    @property
    def parent(self) -> str:
        """The ``traceparent`` of whatever follows from it."""
        return f"00-{self.trace}-{self.span}-{self.flags:02x}"


@dataclass(frozen=True, slots=True)
class Replay:
    """One attempt to take a parked message after all.

    Attributes:
        id: The message's id in the parking lot.
        attempt: What nobody outside can guess; only the entry's latest attempt speaks for it.
    """

    id: str
    attempt: str

    @classmethod
    def read(cls, header: object) -> Replay | None:
        """The attempt that a header names, or None."""
        identifier, _, attempt = header.partition("/") if isinstance(header, str) else ("", "", "")
        return cls(identifier, attempt) if identifier and attempt else None

    @property
    def header(self) -> str:
        """How it travels with the message, through the own exchange only."""
        return f"{self.id}/{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What a message takes along when it is sent again: it goes out as it came in.

    Attributes:
        content_type: The AMQP property that it came with, or None.
        headers: Binary mode's headers that it came with.
        replay: The attempt of an operator that it belongs to, or None.
        attempts: How often it was tried before; parked messages begin anew.
        wait_seconds: How long it waits in the ladder's queue; 0 where it goes somewhere else.
    """

    content_type: str | None
    headers: Mapping[str, Any]
    replay: Replay | None = None
    attempts: int = 0
    wait_seconds: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as the broker delivered it, kept whole for the parking lot.

    Attributes:
        body: The bytes as received.
        content_type: The AMQP property, or None.
        headers: Headers as received; only whitelisted ones are ever read.
        routing_key: The four words; for messages through the organisation's own exchange, from its header.
        queue: The queue that it came from.
        own: True where it came through the organisation's own exchange (a tell, a retry).
        attempts: How often it was tried before.
        replay: The attempt of an operator that it belongs to, or None.
    """

    body: bytes
    routing_key: str
    queue: str
    content_type: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)
    own: bool = False
    attempts: int = 0
    replay: Replay | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A delivery that was admitted: its envelope turned back to own ids and its data opened."""

    delivery: Delivery
    envelope: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An HTTP command.

    Attributes:
        name: The command's handler.
        data: JSON, loaded by the handler's schema.
        mark: Hash of organisation, person, route and idempotency key; the message's id.
        body_hash: Keyed hash of the body: the same mark with another body is a conflict (409).
        path: Named parts of the route.
        person: Staff id behind the token.
        roles: The token's roles.
        trace: The span of the caller, or None.
    """

    name: str
    data: Any
    mark: str
    body_hash: str
    path: Mapping[str, str] = field(default_factory=dict)
    person: str | None = None
    roles: frozenset[str] = frozenset()
    trace: Trace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A timer of an aggregate that is due; its message id hashes aggregate, name and due time."""

    aggregate: str
    id: str
    name: str
    due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an effect went; its message id derives from the effect's id and outcome.

    Attributes:
        aggregate: Kind of the aggregate that asked for it.
        id: Its id.
        name: The effect's name.
        effect: Id of the effect's document, which goes away with the result unless the effect is dead.
        data: The effect's own data, and what the adapter returned or, where it was given up, ``error``.
        failed: True where it was given up.
        trace: The span of the effect's last try, or None.
        error: Why, where it was given up; without any value.
        replay: The attempt of an operator that it belongs to, or None.
    """

    aggregate: str
    id: str
    name: str
    effect: str
    data: Mapping[str, Any]
    failed: bool = False
    trace: Trace | None = None
    error: str = ""
    replay: Replay | None = None


Incoming = Arrival | Order | Due | Result
"""Whatever a transaction applies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one incoming thing.

    Attributes:
        settled: How it ended.
        aggregate_id: The aggregate that it named; None where that far it did not come.
        state: The aggregate as it now stands; None where there is none.
        version: The aggregate's version as it now stands.
        created: True where this message created the aggregate.
        refusal: Why it was refused; None otherwise.
        errors: marshmallow's messages by field, where the data broke its schema.
    """

    settled: Settled
    aggregate_id: str | None = None
    state: Any = None
    version: int = 0
    created: bool = False
    refusal: Refused | None = None
    errors: Mapping[str, Any] | None = None
