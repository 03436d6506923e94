"""A trace of everything that a broker publishes and delivers: RabbitMQ's firehose (rabbitmq.com/docs/firehose)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import kombu

from console.nodes.broker import RabbitNode

TRACE = "amq.rabbitmq.trace"
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, as it was published or delivered.

    Attributes:
        key: ``publish.<exchange>`` or ``deliver.<queue>``.
        body: Its bytes.
        about: Its headers, properties and routing keys, in words.
    """

    key: str
    body: bytes
    about: str

    @property
    def event(self) -> dict[str, Any]:
        """Its members; none where it is no event."""
        with suppress(ValueError):
            members = json.loads(self.body)
            return members if isinstance(members, dict) else {}
        return {}


class Tape:
    """Listens from entering its context until it leaves."""

    def __init__(self, broker: RabbitNode) -> None:
        self._broker = broker
        self._connection = kombu.Connection(broker.uri())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="tape", daemon=True)
        self.heard: list[Heard] = []

    def __enter__(self) -> Self:
        channel: Any = self._connection.channel()
        channel.auto_decode = False
        queue = channel.queue_declare("", exclusive=True).queue
        channel.queue_bind(queue, TRACE, "#")
        channel.basic_consume(queue, no_ack=True, callback=self._keep)
        self._thread.start()
        self._trace(on=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._trace(on=False)
        self._over.set()
        self._thread.join()
        self._connection.close()

    @property
    def runs(self) -> bool:
        """Whether it listens."""
        return self._thread.is_alive()

    def events(self, name: str, to: str) -> Iterator[dict[str, Any]]:
        """Every event of a name to one destination that was published."""
        for one in self.heard:
            members = one.event
            named = str(members.get("type", "")).startswith(f"fi.viisikko.{name}.")
            if one.key.startswith("publish.") and named and members["destination"] == to:
                yield members

    def _trace(self, *, on: bool) -> None:
        with self._broker.client() as client:
            client.put("/api/vhosts/%2F", json={"tracing": on}).raise_for_status()

    def _listen(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                self._connection.drain_events(timeout=POLL_SECONDS)

    def _keep(self, message: Any) -> None:
        body = message.body.encode() if isinstance(message.body, str) else bytes(message.body)
        self.heard.append(Heard(message.delivery_info["routing_key"], body, repr(message.headers)))
