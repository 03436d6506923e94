"""Traces: where a message stands in a W3C trace context, and where that goes on.

Within an organisation one trace holds every hop: what is decided is a span below the message's own, and what follows
carries it. At the border the trace starts anew (contract.md): what arrives from others is only linked to, and what
leaves begins a trace that is named by the event's id, so that no two destinations can tell that a client is the same.
A timer fires days later and begins a trace too.

Ids are derived, not drawn: a message that comes again, at whatever replica, is the same span. Nothing here needs
OpenTelemetry; spans are sent by `chassis.spans` where it is installed and asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from chassis.incoming import Arrival, Due, Incoming, Order, Result, Trace

if TYPE_CHECKING:
    from chassis.home import Home
    from chassis.settings import Settings
    from chassis.spans import Spans

SAMPLED = 0x01
_KNOWN_FLAGS = 0x03
"""Sampled, and random (Trace Context level 2); what later versions add is not passed on."""

_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z", re.ASCII
)
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}\Z")
_MAX_MEMBERS = 32


def read(traceparent: str | None, tracestate: str | None = None) -> Trace | None:
    """A trace context as it was sent, or None where it is absent or broken.

    No command and no effect is refused for it; of an event, `chassis.profile` has the rule.

    A broken or overlong tracestate is dropped alone (Trace Context, 3.3 and 4.2).
    """
    match = _TRACEPARENT.match(traceparent or "")
    if not match or (match[1] == "00" and match[5]):
        return None
    state = tracestate if tracestate and _TRACESTATE.match(tracestate) else None
    if state and state.count(",") >= _MAX_MEMBERS:
        state = None
    return Trace(trace=match[2], span=match[3], flags=int(match[4], 16) & _KNOWN_FLAGS, state=state)


def of_headers(headers: Mapping[str, str]) -> Trace | None:
    """The trace context of an HTTP request."""
    named = {name.lower(): value for name, value in headers.items()}
    return read(named.get("traceparent"), named.get("tracestate"))


def of(home: Home, incoming: Incoming) -> Trace:
    """The span in which this service decides on what reached it."""
    parent = parent_of(home, incoming)
    match incoming:
        case Arrival():
            envelope, delivery = incoming.envelope, incoming.delivery
            replayed = delivery.replay.attempt if delivery.replay else ""
            turn = f"{delivery.attempts}/{replayed}" if delivery.attempts or replayed else ""
            return begin(home.source, f"{envelope.source}\0{envelope.id}", parent, turn)
        case Order():
            return begin(home.source, incoming.mark, parent)
        case Due():
            seed = f"timer\0{incoming.aggregate}\0{incoming.id}\0{incoming.name}\0{incoming.due.isoformat()}"
            return begin(home.source, seed, parent)
        case Result():
            return begin(home.source, f"result\0{incoming.effect}\0{incoming.failed}", parent)


def parent_of(home: Home, incoming: Incoming) -> Trace | None:
    """The span that it follows from, within this organisation; None where a trace begins."""
    match incoming:
        case Arrival(envelope=envelope):
            inside = envelope.organisation == home.organisation
            return read(envelope.traceparent, envelope.tracestate) if inside else None
        case Order() | Result():
            return incoming.trace
        case Due():
            return None


def foreign(home: Home, incoming: Incoming) -> Trace | None:
    """What another organisation's event is linked to: the trace that it came in, or None."""
    if not isinstance(incoming, Arrival) or incoming.envelope.organisation == home.organisation:
        return None
    return read(incoming.envelope.traceparent)


def spans(settings: Settings, service: str) -> Spans | None:
    """What sends the spans of a service, or None where no collector is set: then OpenTelemetry is not even imported."""
    if not settings.collector:
        return None
    from chassis.spans import Spans  # noqa: PLC0415 - an optional extra, and a tenth of a service's memory

    return Spans(settings.collector, organisation=settings.organisation, service=service)


def begin(source: str, seed: str, parent: Trace | None, turn: str = "") -> Trace:
    """A span: below its parent or, without one, the first of a trace.

    Args:
        source: Who does it, since several services take the same event.
        seed: What is done.
        parent: The span that it follows from; its flags and its state are kept.
        turn: Tells several tries of the same apart; the trace stays the same.
    """
    digest = hashlib.sha256(f"{source}\0{seed}".encode()).hexdigest()
    span = hashlib.sha256(f"{digest}\0{turn}".encode()).hexdigest()[:16] if turn else digest[32:48]
    if parent is not None:
        return Trace(trace=parent.trace, span=span, flags=parent.flags, state=parent.state)
    return Trace(trace=digest[:32], span=span, flags=SAMPLED)


def leaving(event: str, cause: Trace) -> Trace:
    """The trace that an event to another organisation begins: its own id says all that it tells.

    Args:
        event: The event's id, a UUID.
        cause: The span that decided it; it stays inside but for its sampled flag.
    """
    name = event.replace("-", "")
    return Trace(trace=name, span=name[16:], flags=cause.flags & SAMPLED)
