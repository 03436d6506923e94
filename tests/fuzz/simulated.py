"""A broker that does on purpose what a real one does seldom: it refuses, loses, and confirms what nobody hears of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from amqp.exceptions import AccessRefused, NotFound


@dataclass
class Broker:
    """What was taken, and what happens next.

    Attributes:
        forbidden: Keys that the user may not publish under.
        taken: Bodies that it has, in the order in which it took them.
        nacked: Bodies that it did not take and said so.
        fault: What happens to the publish that comes after `after` others; None for nothing.
        after: See `fault`.
    """

    forbidden: frozenset[str]
    taken: list[bytes] = field(default_factory=list)
    nacked: list[bytes] = field(default_factory=list)
    fault: str | None = None
    after: int = 0

    def connect(self, _home: Any, _part: str, **_callbacks: Any) -> Connection:
        """In the place of `chassis.amqp.connect`."""
        if self._strikes("away"):
            raise ConnectionRefusedError("nobody is there")
        return Connection(self)

    def next_fault(self, kinds: frozenset[str]) -> str | None:
        """The fault of this publish, where its turn has come and it is of these kinds."""
        if self.fault not in kinds:
            return None
        if self.after:
            self.after -= 1
            return None
        found, self.fault = self.fault, None
        return found

    def _strikes(self, kind: str) -> bool:
        return self.next_fault(frozenset({kind})) is not None


PUBLISHING = frozenset({"lost", "unconfirmed", "nacked", "missing"})


class Connection:
    """A connection with one channel; what the broker says is heard when the relay listens."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._says: deque[Callable[[], None]] = deque()
        self._channel = Channel(broker, self._says)

    def channel(self) -> Channel:
        """The channel."""
        return self._channel

    def drain_events(self, timeout: float) -> None:
        """Hear one thing."""
        del timeout
        if not self._says:
            raise AssertionError("the relay waits for what never comes")
        self._says.popleft()()

    def heartbeat_check(self) -> None:
        """It lives."""

    def close(self) -> None:
        """Whatever was said is not heard any more."""
        self._says.clear()


class Channel:
    """A channel in confirm mode."""

    def __init__(self, broker: Broker, says: deque[Callable[[], None]]) -> None:
        self.events: dict[str, set[Callable[[int, bool], None]]] = {
            "basic_ack": set(),
            "basic_nack": set(),
            "basic_return": set(),
        }
        self._broker = broker
        self._says = says
        self._tag = 0
        self._closed = False

    def confirm_select(self) -> None:
        """It confirms each publish."""

    def basic_publish(self, message: Any, exchange: str, routing_key: str, *, mandatory: bool) -> None:
        """Take it, or not."""
        del exchange, mandatory
        self._tag += 1
        if self._closed:
            # What comes after a channel's end is read by nobody.
            return
        body = bytes(message.body)
        fault = self._broker.next_fault(PUBLISHING)
        if fault == "lost":
            raise ConnectionResetError("lost before it was taken")
        if fault == "missing" or routing_key in self._broker.forbidden:
            self._end(NotFound("no exchange") if fault == "missing" else AccessRefused("not yours"))
        elif fault == "nacked":
            self._broker.nacked.append(body)
            self._tell("basic_nack", self._tag)
        else:
            self._broker.taken.append(body)
            if fault == "unconfirmed":
                self._end(ConnectionResetError("lost before it was confirmed"))
            else:
                self._tell("basic_ack", self._tag)

    def _tell(self, what: str, tag: int) -> None:
        def tell() -> None:
            for callback in self.events[what]:
                callback(tag, False)  # noqa: FBT003 - as the library calls it

        self._says.append(tell)

    def _end(self, error: Exception) -> None:
        def end() -> None:
            raise error

        self._closed = True
        self._says.append(end)
