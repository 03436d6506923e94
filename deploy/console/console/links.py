"""How the broker of an own part reaches the hub's: a federation that pulls, and a shovel that pushes.

Both are outbound connections with TLS to the one port that a school opens, as the organisation's two users on the hub,
whose rights pin what the one may read and in whose name the other may write (architecture.md, How organisations join).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from chassis import topology

HUB = "hub"
"""Name of both links on the own part's broker."""

TLS_PORT = 5671
PREFETCH = 500
RECONNECT_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What the two links need.

    Attributes:
        user: The organisation's user on the hub.
        password: Its password there.
        host: The hub's host, as its certificate names it.
        port: Its port for AMQP with TLS.
        authority: PEM file of the authority that signed the hub's certificate, as the broker of the own part sees it.
        reconnect_seconds: How long a link that is down waits before it tries again.
    """

    user: str
    password: str
    host: str
    port: int = TLS_PORT
    authority: str
    reconnect_seconds: int = RECONNECT_SECONDS

    @property
    def address(self) -> str:
        """The hub's address with the organisation's user."""
        return amqps(self.user, self.password, self.host, self.port)

    @property
    def uri(self) -> str:
        """The hub's address for the shovel, with everything that is checked about it."""
        return self._checked(self.user)

    @property
    def reading_uri(self) -> str:
        """The same for the federation, with the user that only reads."""
        return self._checked(topology.reader(self.user))

    def _checked(self, user: str) -> str:
        # https://www.rabbitmq.com/docs/uri-query-parameters
        options = {
            "cacertfile": self.authority,
            "verify": "verify_peer",
            "server_name_indication": self.host,
            "heartbeat": 20,
            "connection_timeout": 10_000,
        }
        return f"{amqps(user, self.password, self.host, self.port)}?{urlencode(options)}"

    def without_password(self) -> dict[str, Any]:
        """All that it needs but user and password."""
        return {name: value for name, value in asdict(self).items() if name not in {"user", "password"}}

    def parameters(self) -> list[dict[str, Any]]:
        """RabbitMQ's runtime parameters: the upstream and the shovel."""
        return [
            {"component": component, "vhost": "/", "name": HUB, "value": value}
            for component, value in (("federation-upstream", self._upstream()), ("shovel", self._shovel()))
        ]

    def _upstream(self) -> dict[str, Any]:
        return {
            "uri": self.reading_uri,
            "exchange": topology.EVENTS,
            # Acknowledged to the hub when the own broker has it on its disk.
            "ack-mode": "on-confirm",
            "prefetch-count": PREFETCH,
            "reconnect-delay": self.reconnect_seconds,
            "max-hops": 1,
            # A link that is changed or restarted leaves the hub's queue alone, with all that waits in it.
            "resource-cleanup-mode": "never",
            "trust-user-id": False,
            **topology.upstream_limits(),
        }

    def _shovel(self) -> dict[str, Any]:
        return {
            "src-protocol": "amqp091",
            # The own broker itself, without a connection over the network.
            "src-uri": "amqp://",
            "src-queue": topology.OUTBOUND,
            # A broker that starts for the first time starts the shovel before it has its queues; the shovel then
            # declares this one itself.
            "src-queue-args": dict(topology.PLAIN_ARGUMENTS),
            "src-prefetch-count": PREFETCH,
            "src-delete-after": "never",
            "dest-protocol": "amqp091",
            "dest-uri": self.uri,
            "dest-exchange": topology.EVENTS,
            "dest-add-forward-headers": False,
            # Acknowledged to the own queue when the hub has confirmed it.
            "ack-mode": "on-confirm",
            "reconnect-delay": self.reconnect_seconds,
        }


def runs(link: Mapping[str, Any]) -> bool:
    """Whether a federation link, as the management API lists it, is running."""
    return bool(link["status"] == "running")


def amqps(user: str, password: str, host: str, port: int = TLS_PORT) -> str:
    """A user's address of a broker with TLS."""
    return f"amqps://{quote(user, safe='')}:{quote(password, safe='')}@{host}:{port}/%2F"


def as_reader(uri: str) -> str:
    """A user's address of a broker, with the user of the same organisation that only reads."""
    parts = urlsplit(uri)
    user, password = parts.netloc.split(":", 1)
    return urlunsplit(parts._replace(netloc=f"{topology.reader(user)}:{password}"))
