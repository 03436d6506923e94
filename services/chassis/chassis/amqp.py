"""Connections to the broker: one way to open them, and one word when it is away and when it is back."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from amqp.exceptions import AMQPError
from amqp.method_framing import frame_handler
from amqp.serialization import decode_properties_basic
from kombu import Connection
from kombu.exceptions import KombuError

from chassis.logs import log
from chassis.settings import broker_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chassis.home import Home
    from chassis.settings import Settings

CONNECT_SECONDS = 10
CLOSE_SECONDS = 2
"""How long a close waits for the broker's word; one that hangs would never give it."""

RETRY_SECONDS = 1.0

UNREADABLE = "application/x-unreadable-properties"
"""Content type that a message gets whose own properties cannot be read; no event has it, so that it is parked."""

_CONTENT_HEADER = 2
_FIXED_BYTES = 12
_CONTENT_TYPE_ONLY = 0x8000

BROKER_ERRORS = (AMQPError, KombuError, OSError)
"""What a broken connection raises."""


def connect(home: Home, part: str, *, blocked: Callable[[bool], None] = lambda _is: None) -> Connection:
    """An open connection whose name in the broker's console tells which part of which service it is.

    Args:
        home: The service.
        part: The part.
        blocked: Called when the broker blocks who publishes (memory or disk alarm), and when no longer.

    Raises:
        OSError: The broker cannot be reached.
        AMQPError: It refuses the connection.
    """
    uri = address(home.settings)
    connection = Connection(
        uri,
        heartbeat=home.settings.heartbeat_seconds,
        connect_timeout=CONNECT_SECONDS,
        ssl=tls(uri, home.settings.tls_authority),
        transport_options={
            "client_properties": {"connection_name": f"{home.organisation}.{home.service}.{part}"},
            "frame_handler": lenient_frames,
            "on_blocked": lambda _reason: blocked(True),  # noqa: FBT003 - it is what it is named for
            "on_unblocked": lambda: blocked(False),  # noqa: FBT003 - the same
        },
    )
    connection.connect()
    return connection


def address(settings: Settings) -> str:
    """The broker's address as its file has it now, since a password may be changed while the service runs.

    Where it was given without a file, or the file is broken, it is what it was at the start.
    """
    if settings.amqp_file is None:
        return settings.amqp
    try:
        return broker_uri(settings.amqp_file.read_text("utf-8").strip())
    except (OSError, ValueError) as error:
        log.error("broker.address", file=settings.amqp_file.name, error=error)
        return settings.amqp


def tls(uri: str, authority: Path | None) -> dict[str, Any] | bool:
    """How a connection to a broker is encrypted: with ``amqps`` and the broker's certificate verified, else not at all.

    Args:
        uri: The broker's address.
        authority: PEM file of the authorities that are trusted; by default the system's.
    """
    parts = urlsplit(uri)
    if parts.scheme != "amqps":
        return False
    return {
        "ca_certs": None if authority is None else str(authority),
        "cert_reqs": ssl.CERT_REQUIRED,
        # The name is checked against the certificate only where it is given.
        "server_hostname": parts.hostname,
    }


def hang_up(connection: Connection) -> None:
    """End a connection, in good order where the broker answers in time."""
    try:
        if connection.connected:
            connection.connection.transport.sock.settimeout(CLOSE_SECONDS)
        connection.close()
    except Exception as error:  # noqa: BLE001 - it is being given up, often because it is broken
        log.debug("broker.close", error=error)


def lenient_frames(connection: Any, callback: Callable[..., Any]) -> Callable[[Any], Any]:
    """The library's reader of frames, but a message whose properties it cannot read does not end the connection.

    A header's timestamp beyond the calendar or a content type that is not UTF-8 would raise before the message is
    known; the broker would send it again on the next connection, for ever.
    """
    on_frame = frame_handler(connection, callback)

    def read(frame: Any) -> Any:
        kind, channel, content = frame
        try:
            return on_frame(frame)
        except Exception:
            # Only a header raises before its message is known, so that the library can be given it anew.
            if kind != _CONTENT_HEADER or _is_readable(content):
                raise
        return on_frame((kind, channel, bytes(content[:_FIXED_BYTES]) + _unreadable()))

    return read


def _is_readable(content: Any) -> bool:
    try:
        decode_properties_basic(content, _FIXED_BYTES)
    except Exception:  # noqa: BLE001 - whatever the library raises, another would read it no better
        return False
    return True


def _unreadable() -> bytes:
    text = UNREADABLE.encode()
    return _CONTENT_TYPE_ONLY.to_bytes(2, "big") + bytes([len(text)]) + text


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
