"""Connections to the broker: one way to open them, and one word when it is away and when it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqp.exceptions import AMQPError
from kombu import Connection
from kombu.exceptions import KombuError

from chassis import metrics
from chassis.logs import log

if TYPE_CHECKING:
    from chassis.home import Home

HEARTBEAT_SECONDS = 20
CONNECT_SECONDS = 10
RETRY_SECONDS = 1.0

BROKER_ERRORS = (AMQPError, KombuError, OSError)
"""What a broken connection raises."""


def connect(home: Home, part: str) -> Connection:
    """An open connection whose name in the broker's console tells which part of which service it is.

    Raises:
        OSError: The broker cannot be reached.
        AMQPError: It refuses the connection.
    """
    connection = Connection(
        home.settings.amqp,
        heartbeat=HEARTBEAT_SECONDS,
        connect_timeout=CONNECT_SECONDS,
        transport_options={
            "client_properties": {"connection_name": f"{home.organisation}.{home.service}.{part}"},
            "on_blocked": lambda _reason: metrics.BROKER_BLOCKED.set(1),
            "on_unblocked": lambda: metrics.BROKER_BLOCKED.set(0),
        },
    )
    connection.connect()
    return connection


class Weather:
    """Tells once when something goes away, and once when it is back."""

    def __init__(self, what: str) -> None:
        """Begin with nothing known."""
        self._what = what
        self._away = False

    @property
    def away(self) -> bool:
        """Whether it is away."""
        return self._away

    def gone(self, error: BaseException) -> None:
        """It is away."""
        if not self._away:
            log.warning(f"{self._what}.away", error=error)
        self._away = True

    def back(self, **fields: Any) -> None:
        """It is there."""
        if self._away:
            log.info(f"{self._what}.back", **fields)
        self._away = False
