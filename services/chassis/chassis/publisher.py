"""Publishes to the broker with confirms, and knows of each message what the broker answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from amqp import Message as AmqpMessage

from chassis.amqp import connect, hang_up
from chassis.logs import log
from chassis.profile import ATTEMPTS_HEADER, CONTENT_TYPE, KEY_HEADER, REPLAY_HEADER, SIGNATURE_HEADER
from chassis.topology import EVENTS

if TYPE_CHECKING:
    from chassis.border import Entry
    from chassis.home import Home

CONFIRM_SECONDS = 30.0
BEAT_SECONDS = 1.0
"""How often a wait looks at its limits and at the connection's heartbeat."""

PERSISTENT = 2


class NotConfirmed(OSError):  # noqa: N818 - errors name the fact
    """The broker did not confirm in time; the connection is given up and everything is sent again."""


@dataclass(slots=True)
class Answers:
    """What the broker answered to entries, which are told apart by identity, since two may be equal.

    Attributes:
        confirmed: Those that it has.
        refused: Those that it will never take, each with why.
        not_taken: How many it could not take just now (nack).
    """

    confirmed: dict[int, Entry] = field(default_factory=dict)
    refused: dict[int, tuple[Entry, str]] = field(default_factory=dict)
    not_taken: int = 0

    def confirm(self, entry: Entry) -> None:
        """It has it, unless it has returned it before."""
        if id(entry) not in self.refused:
            self.confirmed[id(entry)] = entry

    def refuse(self, entry: Entry, why: str) -> None:
        """It will never take it."""
        log.error("relay.refused", key=entry.key, why=why)
        self.refused[id(entry)] = entry, why

    def is_ended(self, entry: Entry) -> bool:
        """Whether it need not be sent again."""
        return id(entry) in self.confirmed or id(entry) in self.refused


class Publisher:
    """A connection with a channel in confirm mode."""

    def __init__(self, home: Home, blocked: Callable[[bool], None]) -> None:
        """Connect.

        Args:
            home: The service.
            blocked: Called when the broker blocks who publishes (memory or disk alarm), and when no longer.

        Raises:
            OSError: The broker cannot be reached.
            AMQPError: It refuses the connection.
        """
        self._home = home
        self._is_blocked = False
        self._tell_blocked = blocked
        self._connection = connect(home, "relay", blocked=self._blocked)
        self._channel: Any = self._connection.channel()
        self._waiting: dict[int, Entry] = {}
        self._answers = Answers()
        self._tag = 0
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._confirmed)
        self._channel.events["basic_nack"].add(self._not_taken)
        self._channel.events["basic_return"].add(self._returned)

    def publish(self, entries: Iterable[Entry], answers: Answers) -> None:
        """Publish entries in their order, and wait for the answer to each.

        Args:
            entries: What is to be sent.
            answers: Filled as the broker answers; where this raises, with what it had answered before.

        Raises:
            NotConfirmed: It did not answer in time.
            OSError: The connection is lost.
            AMQPError: The broker closes channel or connection.
        """
        self._waiting.clear()
        self._answers = answers
        for entry in entries:
            # The broker counts publishes of a channel in confirm mode from 1 on.
            self._tag += 1
            self._waiting[self._tag] = entry
            # What no queue takes goes to an alternate exchange, which the organisation's own has none of.
            must_arrive = entry.exchange != EVENTS
            message = _message(self._home, entry, self._tag)
            self._channel.basic_publish(message, entry.exchange, entry.key, mandatory=must_arrive)
        self._wait()

    def beat(self) -> None:
        """Read what the broker says meanwhile: its own heartbeats, and that it blocks or closes."""
        with suppress(TimeoutError):
            while True:
                self._connection.drain_events(timeout=0)
        self._connection.heartbeat_check()

    def close(self) -> None:
        """Disconnect."""
        hang_up(self._connection)

    def _wait(self) -> None:
        deadline = time.monotonic() + CONFIRM_SECONDS
        while self._waiting:
            left = deadline - time.monotonic()
            if self._is_blocked:
                # What was sent waits with the broker, and a new connection would be blocked as well.
                deadline, left = time.monotonic() + CONFIRM_SECONDS, CONFIRM_SECONDS
            if left <= 0:
                raise NotConfirmed(f"{len(self._waiting)} publishes were not confirmed in {CONFIRM_SECONDS:.0f} s")
            self._drain(left)

    def _drain(self, seconds: float) -> None:
        try:
            self._connection.drain_events(timeout=min(seconds, BEAT_SECONDS))
        except TimeoutError:
            self._connection.heartbeat_check()

    def _blocked(self, is_blocked: bool) -> None:  # noqa: FBT001 - the library's callback
        self._is_blocked = is_blocked
        self._tell_blocked(is_blocked)

    def _confirmed(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - the library's signature
        for entry in self._answered(tag, multiple=multiple):
            self._answers.confirm(entry)

    def _not_taken(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - the library's signature
        self._answers.not_taken += len(self._answered(tag, multiple=multiple))

    def _returned(self, _error: Exception, _exchange: str, _key: str, message: Any) -> None:
        # The broker returns a message before it confirms it.
        self._answers.refuse(self._waiting[int(message.properties["message_id"])], "the broker has no queue for it")

    def _answered(self, tag: int, *, multiple: bool) -> list[Entry]:
        tags = list(takewhile(lambda waiting: waiting <= tag, self._waiting)) if multiple else [tag]
        return [self._waiting.pop(answered) for answered in tags if answered in self._waiting]


def content_type(entry: Entry) -> str | None:
    """The AMQP property that an entry goes out with."""
    return entry.again.content_type if entry.again else CONTENT_TYPE


def carried(home: Home, entry: Entry) -> dict[str, Any]:
    """What goes with an entry wherever it goes: as it came, where it came from somebody; else the own signature."""
    if entry.again:
        return dict(entry.again.headers)
    return {SIGNATURE_HEADER: home.keyring.sign(entry.body)} if home.signs else {}


def _message(home: Home, entry: Entry, tag: int) -> AmqpMessage:
    properties: dict[str, Any] = {"delivery_mode": PERSISTENT, "application_headers": _headers(home, entry)}
    if entry.exchange != EVENTS:
        properties["message_id"] = str(tag)
    if entry.again and entry.again.wait_seconds:
        properties["expiration"] = str(int(entry.again.wait_seconds * 1000))
    return AmqpMessage(entry.body, content_type=content_type(entry), **properties)


def _headers(home: Home, entry: Entry) -> dict[str, Any]:
    headers = carried(home, entry)
    if entry.origin:
        headers[KEY_HEADER] = entry.origin
    if entry.again and entry.exchange != EVENTS:
        headers[ATTEMPTS_HEADER] = entry.again.attempts
        if entry.again.replay:
            headers[REPLAY_HEADER] = entry.again.replay.header
    return headers
