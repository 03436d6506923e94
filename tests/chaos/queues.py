"""What waits in the services' queues."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import httpx
import kombu

from chassis.amqp import BROKER_ERRORS
from console.nodes.broker import RabbitNode

UNKNOWN = {"a broker that does not say": 1}


class Queues:
    """Counts messages; a broker that cannot be asked counts as one that holds something."""

    def __init__(self, broker: RabbitNode, names: Sequence[str]) -> None:
        """Ask a broker about some queues; nothing is connected before the first question."""
        self._broker = broker
        self._names = names
        # One for all questions: to make one takes longer than to ask.
        self._client = broker.client()
        self._connection: kombu.Connection | None = None

    def ready(self) -> dict[str, int]:
        """Queue → messages that wait for a consumer, as of now."""
        try:
            if self._connection is None:
                self._connection = kombu.Connection(self._broker.uri(), connect_timeout=1)
            channel = self._connection.default_channel
            return {name: channel.queue_declare(name, passive=True).message_count for name in self._names}
        except BROKER_ERRORS:
            self._disconnect()
            return UNKNOWN

    def taken(self) -> dict[str, int]:
        """Queue → messages that a consumer has not acknowledged, as of some seconds ago.

        The broker tells this in its statistics only.
        """
        asked = {"columns": "name,messages_unacknowledged"}
        try:
            answer = self._client.get("/api/queues", params=asked).raise_for_status().json()
        except httpx.HTTPError:
            return UNKNOWN
        told = {queue["name"]: queue.get("messages_unacknowledged", 1) for queue in answer}
        return {f"{name}, not acknowledged": told.get(name, 1) for name in self._names}

    def close_connections(self) -> int:
        """Close every connection to the broker; how many there were."""
        names = [c["name"] for c in self._client.get("/api/connections").raise_for_status().json()]
        for name in names:
            self._client.delete(f"/api/connections/{name}", headers={"X-Reason": "chaos"})
        return len(names)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()
        self._disconnect()

    def _disconnect(self) -> None:
        # It may be given up because it is broken.
        with suppress(Exception):
            if self._connection is not None:
                self._connection.close()
        self._connection = None
