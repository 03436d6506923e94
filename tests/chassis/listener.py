"""Hears what is published on the network's exchange, each message as often as it was published."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any, Self

import kombu

from chassis import strictjson
from chassis.topology import EVENTS


class Listener:
    """A queue of its own, bound to some keys from its beginning on."""

    def __init__(self, uri: str, *keys: str) -> None:
        self._connection = kombu.Connection(uri)
        self._channel: Any = self._connection.channel()
        self._channel.auto_decode = False
        self._queue = f"listener.{uuid.uuid4().hex[:8]}"
        self._channel.queue_declare(self._queue, durable=False, exclusive=True)
        for key in keys:
            self._channel.queue_bind(self._queue, EVENTS, key)
        self._heard: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def events(self) -> list[dict[str, Any]]:
        """All that was heard so far, as JSON, in order."""
        while (message := self._channel.basic_get(self._queue, no_ack=True)) is not None:
            self._heard.append(strictjson.loads(bytes(message.body)))
        return self._heard

    def times(self) -> Counter[str]:
        """How often each event was heard, by id."""
        return Counter(event["id"] for event in self.events())
