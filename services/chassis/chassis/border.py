"""The border: what arrives is opened and turned into own ids; what leaves is sealed and loses them.

Everything that the contract says about references, causes, traces and sealing is done here and nowhere else, so that
no service's code can forget it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from chassis import crypto, profile, strictjson, tracing
from chassis.decision import ALL, Classification, Contract, Publish, Tell, stream_of
from chassis.incoming import Again, Arrival, Delivery, Trace
from chassis.profile import Envelope
from chassis.reasons import Reason, Unacceptable
from chassis.topology import EVENTS, own_exchange, queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from marshmallow import Schema

    from chassis.home import Home

WITHOUT_CORRELATION = frozenset({"capacity", "offering"})
"""Aggregates whose events never belong to a client's journey (contract.md, At the border)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message that waits for the relay.

    Attributes:
        exchange: Where it goes.
        key: Routing key.
        body: A whole event in structured mode; of what is sent again, the body as it came.
        aggregate: ``<kind>/<id>``: entries of one aggregate are sent in the order of `version`.
        version: The aggregate's version that it belongs to.
        origin: Routing key in four words, for what goes through the own exchange; empty otherwise.
        again: What a message takes along when it is sent again (ladder, replay); None for everything new.
    """

    exchange: str
    key: str
    body: bytes
    aggregate: str
    version: int
    origin: str = ""
    again: Again | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The message that an outgoing one follows from.

    Attributes:
        id: Its id.
        organisation: Who said it.
        at: When it was taken.
        correlation: The client's journey that it belongs to, as own id.
        trace: The span that decides on it.
        seed: What the ids of outgoing messages derive from: its id alone is unique within its source only.
    """

    id: str
    organisation: str
    at: datetime
    correlation: str | None
    trace: Trace
    seed: str


def arrive(home: Home, delivery: Delivery) -> Arrival:
    """Admit what the broker delivered.

    Raises:
        Unacceptable: It is no event of the network, or its data cannot be opened.
    """
    headers = profile.safe_headers(delivery.headers)
    speaker = home.network.organisations.get(profile.address(delivery.routing_key).source)
    if speaker is not None and speaker.signs:
        home.keyring.verify(delivery.body, delivery.content_type, headers, speaker.code)
    envelope = profile.admit(delivery.body, delivery.content_type, headers, delivery.routing_key)
    if envelope.destination not in (home.organisation, ALL):
        raise Unacceptable(Reason.FORGED, "is for another organisation", field="destination")
    other = envelope.organisation
    data = envelope.data
    if envelope.classification is Classification.PERSONAL:
        data = _opened(home, envelope)
    return Arrival(
        delivery=delivery,
        envelope=dataclasses.replace(
            envelope,
            subject=home.references.arrive(envelope.subject, other),
            correlation=envelope.correlation and home.references.arrive(envelope.correlation, other),
            data=data,
        ),
    )


def leave(  # noqa: PLR0913 - each tells something else
    home: Home, publish: Publish, cause: Cause, *, aggregate: str, version: int, position: int
) -> Entry:
    """Make one event ready for the relay.

    Args:
        home: The service.
        publish: What the decision publishes.
        cause: What it follows from.
        aggregate: ``<kind>/<id>`` of the deciding aggregate.
        version: Its version after the decision; the event's sequence.
        position: Position within the decision.

    Raises:
        Unacceptable: The event would be over 64 KiB.
        KeyError: There is no public key of the destination.
        ValueError: An own client id would leave to everybody.
    """
    contract = contract_of(publish.schema)
    subject = publish.subject if publish.subject is not None else aggregate.partition("/")[2]
    identifier = crypto.event_id(home.secrets.ids, cause.seed, position, cause.at)
    sequence = version if stream_of(contract.name) else None
    envelope = _envelope(home, contract, publish, cause, subject, identifier=identifier, sequence=sequence)
    return Entry(
        exchange=EVENTS,
        key=envelope.routing_key,
        body=profile.compose(_sealed(home, envelope)),
        aggregate=aggregate,
        version=version,
    )


def tell(  # noqa: PLR0913 - the same
    home: Home, told: Tell, cause: Cause, *, aggregate: str, version: int, position: int
) -> Entry:
    """Make a message to the own service ready for the relay: through the own exchange into its one queue."""
    personal = Classification.PERSONAL if told.personal else Classification.PSEUDONYMOUS
    envelope = Envelope(
        id=crypto.event_id(home.secrets.ids, f"tell\0{cause.seed}", position, cause.at),
        source=home.source,
        organisation=home.organisation,
        name=told.name,
        version=1,
        subject=told.subject,
        time=cause.at,
        destination=home.organisation,
        classification=personal,
        data=told.data,
        correlation=cause.correlation,
        causation=cause.id,
        traceparent=cause.trace.parent,
        tracestate=cause.trace.state,
    )
    return Entry(
        exchange=own_exchange(home.organisation),
        key=queue(home.organisation, home.service),
        body=profile.compose(_sealed(home, envelope)),
        aggregate=aggregate,
        version=version,
        origin=envelope.routing_key,
    )


def contract_of(schema: type) -> Contract:
    """The contract that a schema class in events.py is marked with.

    Raises:
        TypeError: It is marked with none.
    """
    contract = getattr(schema, "contract", None)
    if not isinstance(contract, Contract):
        raise TypeError(f"{schema.__name__} is not marked with @published")
    return contract


@cache
def schema_of(schema: type) -> Schema:
    """One instance of a marshmallow schema class; making one copies all its fields, and using one is safe."""
    return cast("Callable[[], Schema]", schema)()


def journey(subject: str) -> str | None:
    """The client whose journey a subject names, or None: a client's own events need not say it twice."""
    return subject if subject.startswith((crypto.OWN, crypto.PAIR)) else None


def _envelope(  # noqa: PLR0913 - each tells something else
    home: Home,
    contract: Contract,
    publish: Publish,
    cause: Cause,
    subject: str,
    *,
    identifier: str,
    sequence: int | None,
) -> Envelope:
    to, own = publish.to, home.organisation
    inside = to == own
    correlation = publish.correlation or cause.correlation or journey(subject)
    if contract.name.partition(".")[0] in WITHOUT_CORRELATION:
        correlation = None
    if to == ALL and (subject.startswith(crypto.OWN) or correlation is not None):
        raise ValueError(f"{contract.name}: what is about a client never goes to all")
    if not inside:
        subject = home.references.leave(subject, to)
        correlation = correlation and home.references.leave(correlation, to)
    # A trace is kept within an organisation; at the border it starts anew.
    trace = cause.trace if inside else tracing.leaving(identifier, cause.trace)
    return Envelope(
        id=identifier,
        source=home.source,
        organisation=own,
        name=contract.name,
        version=contract.version,
        subject=subject,
        time=cause.at,
        destination=to,
        classification=contract.classification,
        data=schema_of(publish.schema).dump(publish.data),
        sequence=sequence,
        correlation=correlation,
        causation=cause.id if inside or cause.organisation == to else None,
        traceparent=trace.parent,
        tracestate=trace.state,
    )


def _sealed(home: Home, envelope: Envelope) -> Envelope:
    if envelope.classification is not Classification.PERSONAL:
        return envelope
    sealed = home.keyring.seal(
        strictjson.dumps(envelope.data),
        envelope.destination,
        event_id=envelope.id,
        source=envelope.source,
        subject=envelope.subject,
    )
    return dataclasses.replace(envelope, data=sealed)


def _opened(home: Home, envelope: Envelope) -> Any:
    plain = home.keyring.open(envelope.data, event_id=envelope.id, source=envelope.source, subject=envelope.subject)
    try:
        return strictjson.loads(plain)
    except strictjson.NotStrict as error:
        raise Unacceptable(Reason.SCHEMA, str(error), field="data") from None
