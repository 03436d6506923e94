"""Follows the events that a user may read, without taking any of them from anybody."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import kombu

from chassis import profile, topology
from chassis.decision import ALL
from chassis.reasons import Unacceptable

READ_SECONDS = 0.3
SUBJECT = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """One event that has passed.

    Attributes:
        name: ``aggregate.verb``.
        line: Time, who, what, to whom, about what; never the payload.
    """

    name: str
    line: str


def keys_of(organisation: str) -> list[str]:
    """Routing keys of all that an organisation may read."""
    return [f"*.*.*.{organisation}", f"*.*.*.{ALL}", f"*.*.{organisation}.*"]


def follow(amqp: str, *, keys: Sequence[str], until: Callable[[], bool], owner: str = "verkko") -> Iterator[Seen]:
    """The events as they pass.

    Args:
        amqp: The broker's address with a user.
        keys: Routing keys to bind to.
        until: Asked now and then whether to stop.
        owner: First part of the queue's name: the organisation whose user it is.
    """
    seen: list[Seen] = []

    def take(message: Any) -> None:
        body = message.body.encode() if isinstance(message.body, str) else bytes(message.body)
        seen.append(_seen(body, message.properties.get("content_type"), message.delivery_info["routing_key"]))

    with kombu.Connection(amqp) as connection:
        channel: Any = connection.channel()
        channel.auto_decode = False
        # A queue of its own that goes away with this connection; nobody's messages are taken.
        name = f"{owner}.reader.tail-{uuid.uuid4().hex[:8]}"
        channel.queue_declare(name, durable=False, exclusive=True, auto_delete=True)
        for key in keys:
            channel.queue_bind(name, topology.EVENTS, key)
        channel.basic_consume(name, callback=take, no_ack=True)
        while not until():
            try:
                connection.drain_events(timeout=READ_SECONDS)
            except TimeoutError:
                connection.heartbeat_check()
            yield from seen
            seen.clear()


def _seen(body: bytes, content_type: str | None, key: str) -> Seen:
    name = ".".join(key.split(".")[:2])
    try:
        envelope = profile.admit(body, content_type, {}, key)
    except Unacceptable as error:
        return Seen(name, f"{'':8}  {key}  [red]{error.reason}[/]")
    at = envelope.time.astimezone().strftime("%H:%M:%S")
    route = f"{envelope.organisation} → {envelope.destination}"
    return Seen(name, f"{at}  {envelope.name:22} {route:20} {_short(envelope.subject)}")


def _short(subject: str) -> str:
    """Enough of an id to follow it with the eye."""
    return subject if len(subject) <= SUBJECT else f"{subject[: SUBJECT - 1]}…"
