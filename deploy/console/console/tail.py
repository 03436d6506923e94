"""Follows the events that an organisation may read, without taking any of them from anybody."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import kombu
from chassis import profile, topology
from chassis.reasons import Unacceptable

READ_SECONDS = 0.5


def follow(amqp: str, organisation: str, seconds: float | None) -> Iterator[str]:
    """One line an event: time, who, what, to whom, about what.

    Args:
        amqp: The broker's address with the organisation's user.
        organisation: Whose events.
        seconds: How long; None for ever.
    """
    lines: list[str] = []

    def take(message: Any) -> None:
        body = message.body.encode() if isinstance(message.body, str) else bytes(message.body)
        lines.append(_line(body, message.properties.get("content_type"), message.delivery_info["routing_key"]))

    with kombu.Connection(amqp) as connection:
        channel: Any = connection.channel()
        channel.auto_decode = False
        # A queue of its own that goes away with this connection; nobody's messages are taken.
        name = f"{organisation}.tail-{uuid.uuid4().hex[:8]}"
        channel.queue_declare(name, durable=False, exclusive=True, auto_delete=True)
        for key in (f"*.*.*.{organisation}", f"*.*.*.{topology.ALL}", f"*.*.{organisation}.*"):
            channel.queue_bind(name, topology.EVENTS, key)
        channel.basic_consume(name, callback=take, no_ack=True)
        deadline = time.monotonic() + seconds if seconds else None
        while deadline is None or time.monotonic() < deadline:
            try:
                connection.drain_events(timeout=READ_SECONDS)
            except TimeoutError:
                connection.heartbeat_check()
            yield from lines
            lines.clear()


def _line(body: bytes, content_type: str | None, key: str) -> str:
    try:
        envelope = profile.admit(body, content_type, {}, key)
    except Unacceptable as error:
        return f"{'':8}  {key}  [red]{error.reason}[/]"
    at = envelope.time.astimezone().strftime("%H:%M:%S")
    return f"{at}  {envelope.name:22} {envelope.organisation} → {envelope.destination}  {envelope.subject[:40]}"
