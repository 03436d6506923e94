"""Spans to a collector over OTLP, where OpenTelemetry is installed (``viisikko-chassis[otel]``) and an address is set.

This module alone imports OpenTelemetry, and only once spans are asked for. Spans are made when a batch is committed,
from what is known by then, so that deciding itself costs nothing. They hold ids, names and codes, never data.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from chassis import strictjson, tracing
from chassis.incoming import Arrival, Due, Incoming, Order, Result, Settled
from chassis.logs import kind_of, log
from chassis.messages import reader
from chassis.topology import EVENTS

if TYPE_CHECKING:
    from chassis.border import Entry
    from chassis.home import Home
    from chassis.incoming import Outcome, Trace

PATH = "/v1/traces"
"""Where a collector takes traces below its address (OTLP/HTTP)."""

QUIET = frozenset({Settled.DUPLICATE, Settled.IGNORED})
"""Nothing was done; and what comes again is the span that it was."""

FAILED = frozenset({Settled.PARKED, Settled.REFUSED, Settled.RETRIED, Settled.CONFLICT})

_SCOPE = InstrumentationScope("chassis")


class Spans:
    """Sends the spans of one service, in a thread of its own; what the collector cannot take is dropped."""

    def __init__(self, address: str, *, organisation: str, service: str) -> None:
        """Begin to send.

        Args:
            address: The collector's, without the path for traces.
            organisation: The organisation's code.
            service: The service's name.
        """
        names = {"service.name": service, "service.namespace": organisation, "service.instance.id": uuid.uuid4().hex}
        self._resource = Resource.create(names)
        self._out = BatchSpanProcessor(OTLPSpanExporter(endpoint=address.rstrip("/") + PATH))

    def batch(
        self, home: Home, incoming: Sequence[Incoming], outcomes: Sequence[Outcome], sent: Sequence[Entry], since: int
    ) -> None:
        """Tell of a batch that is committed.

        Args:
            home: The service.
            incoming: What was decided on.
            outcomes: How each ended.
            sent: What follows from it.
            since: When it began, in nanoseconds of the epoch.
        """
        try:
            self._batch(home, incoming, outcomes, sent, since)
        except Exception as error:  # noqa: BLE001 - what is committed stays so, whether or not anybody hears of it
            log.error("spans.failed", error=error)

    @contextmanager
    def effect(self, name: str, identifier: str, trace: Trace, parent: Trace | None) -> Iterator[None]:
        """Tell of one try of an effect.

        Args:
            name: The effect.
            identifier: Its id.
            trace: The try's span.
            parent: The span that asked for it.
        """
        since, status = time.time_ns(), Status(StatusCode.OK)
        try:
            yield
        except BaseException as error:
            status = Status(StatusCode.ERROR, kind_of(error))
            raise
        finally:
            ids = {"viisikko.effect": identifier}
            self._end(f"effect {name}", trace, parent, since, kind=SpanKind.CLIENT, attributes=ids, status=status)

    def close(self) -> None:
        """Send what is left, and stop."""
        self._out.shutdown()

    def _batch(
        self, home: Home, incoming: Sequence[Incoming], outcomes: Sequence[Outcome], sent: Sequence[Entry], since: int
    ) -> None:
        causes: dict[tuple[str, int], Trace] = {}
        for one, outcome in zip(incoming, outcomes, strict=True):
            if outcome.settled in QUIET:
                continue
            trace = tracing.of(home, one)
            self._decided(home, one, outcome, trace, since)
            if outcome.aggregate_id is not None:
                causes[f"{_kind(home, one)}/{outcome.aggregate_id}", outcome.version] = trace
        for entry in sent:
            cause = causes.get((entry.aggregate, entry.version))
            if cause is not None and entry.exchange == EVENTS:
                self._left(home, entry, cause, since)

    def _decided(self, home: Home, one: Incoming, outcome: Outcome, trace: Trace, since: int) -> None:
        linked = tracing.foreign(home, one)
        name, kind = _names(one)
        attributes: dict[str, Any] = {"viisikko.settled": str(outcome.settled), **_ids(one)}
        if outcome.aggregate_id is not None:
            attributes["viisikko.aggregate"] = f"{_kind(home, one)}/{outcome.aggregate_id}"
        status = Status(StatusCode.ERROR if outcome.settled in FAILED else StatusCode.OK)
        links = [Link(_context(linked))] if linked else []
        parent = tracing.parent_of(home, one)
        self._end(name, trace, parent, since, kind=kind, attributes=attributes, status=status, links=links)

    def _left(self, home: Home, entry: Entry, cause: Trace, since: int) -> None:
        event = strictjson.loads(entry.body)
        if event["destination"] == home.organisation:
            return
        trace = tracing.leaving(event["id"], cause)
        attributes = {"messaging.system": "rabbitmq", "messaging.message.id": event["id"]}
        name = f"publish {_word(entry.key)}"
        links = [Link(_context(cause))]
        self._end(name, trace, None, since, kind=SpanKind.PRODUCER, attributes=attributes, links=links)

    def _end(self, name: str, trace: Trace, parent: Trace | None, since: int, **more: Any) -> None:
        span = ReadableSpan(
            name=name,
            context=_context(trace),
            parent=_context(parent) if parent else None,
            resource=self._resource,
            instrumentation_scope=_SCOPE,
            start_time=since,
            end_time=time.time_ns(),
            **more,
        )
        self._out.on_end(span)


def _context(trace: Trace) -> SpanContext:
    return SpanContext(
        trace_id=int(trace.trace, 16),
        span_id=int(trace.span, 16),
        is_remote=True,
        trace_flags=TraceFlags(trace.flags),
        trace_state=TraceState.from_header([trace.state]) if trace.state else TraceState(),
    )


def _word(key: str) -> str:
    return ".".join(key.split(".")[:2])


def _names(one: Incoming) -> tuple[str, SpanKind]:
    match one:
        case Arrival():
            return f"process {one.envelope.name}", SpanKind.CONSUMER
        case Order():
            return f"command {one.name}", SpanKind.SERVER
        case Due():
            return f"timer {one.name}", SpanKind.INTERNAL
        case Result():
            return f"result {one.name}", SpanKind.INTERNAL


def _ids(one: Incoming) -> dict[str, str]:
    if not isinstance(one, Arrival):
        return {}
    ids = {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": one.delivery.queue,
        "messaging.message.id": one.envelope.id,
    }
    if one.envelope.correlation:
        ids["viisikko.correlation"] = one.envelope.correlation
    return ids


def _kind(home: Home, one: Incoming) -> str:
    if isinstance(one, Due | Result):
        return one.aggregate
    handler = home.handlers.find("command", one.name) if isinstance(one, Order) else reader(home, one)
    return handler.aggregate.name if handler else ""
