"""The relay: publishes the outbox with publisher confirms, and forgets an entry only when the broker has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from amqp import Message as AmqpMessage
from amqp.exceptions import ChannelError

from chassis import metrics
from chassis.amqp import Weather, connect
from chassis.incoming import Delivery, Replay
from chassis.logs import kind_of, log
from chassis.outbox import Outbox, Page
from chassis.parking import OUTBOX_QUEUE, Parked, ParkingLot, readable_id
from chassis.profile import ATTEMPTS_HEADER, CONTENT_TYPE, KEY_HEADER, REPLAY_HEADER, SIGNATURE_HEADER
from chassis.reasons import Reason
from chassis.sessions import Sessions
from chassis.topology import EVENTS

if TYPE_CHECKING:
    from chassis.border import Entry
    from chassis.home import Home

PAGES = 50
"""Outbox documents published together."""

CONFIRM_SECONDS = 30.0
BEAT_SECONDS = 1.0
"""How often a wait looks at its limits and at the connection's heartbeat."""

PERSISTENT = 2
REFUSALS = frozenset({403, 406})
"""Replies that mean this one message: no right to publish it, or it is not to be had. Everything else, such as an
exchange that is not declared yet (404), is a broker that is not ready."""


class NotConfirmed(OSError):  # noqa: N818 - errors name the fact
    """The broker did not confirm in time; the connection is given up and everything is sent again."""


class Blocked(OSError):  # noqa: N818 - errors name the fact
    """The broker blocks everybody who publishes until its memory or disk alarm is over; what was sent waits with it."""


class Relay:
    """Publishes one service's outbox."""

    def __init__(self, home: Home) -> None:
        """Work in the service's own database, over a connection of its own."""
        self._home = home
        self._outbox = Outbox(home.database)
        self._lot = ParkingLot(home)
        self._sessions = Sessions(home.database)
        self._publisher: _Publisher | None = None
        self.weather = Weather("broker")
        self.alarm = Weather("publishing")

    def run_once(self) -> int:
        """Publish what waits, up to `PAGES` documents; how many were sent.

        Raises:
            PyMongoError: The store cannot be reached.
            OSError: The broker cannot be reached; nothing is lost, and the next run sends again.
            AMQPError: The same.
        """
        pages = self._outbox.pages(PAGES)
        if not pages:
            return 0
        started = time.perf_counter()
        try:
            self._send([entry for page in pages for entry in page.entries])
            self._forget(pages)
        except ChannelError as error:
            self.close()
            if error.code not in REFUSALS:
                raise
            # One entry is refused and takes the channel with it: the rest is sent alone, to find it.
            self._one_at_a_time(pages)
        except Exception:
            self.close()
            raise
        metrics.CONFIRM_SECONDS.observe(time.perf_counter() - started)
        return len(pages)

    def idle(self) -> None:
        """Keep the connection alive while nothing waits."""
        if self._publisher is not None:
            try:
                self._publisher.beat()
            except Exception:
                self.close()
                raise

    def close(self) -> None:
        """Give the connection up."""
        if self._publisher is not None:
            self._publisher.close()
        self._publisher = None
        # Whether a new connection is blocked, the broker says when it is used.
        self._blocked(False)  # noqa: FBT003 - it is what it is named for

    def _blocked(self, is_blocked: bool) -> None:  # noqa: FBT001 - the library's callback
        metrics.BROKER_BLOCKED.set(int(is_blocked))
        if is_blocked:
            self.alarm.gone(Blocked("the broker takes no events: it is short of memory or disk"))
        else:
            self.alarm.back()

    def _send(self, entries: Sequence[Entry]) -> None:
        if self._publisher is None:
            self._publisher = _Publisher(self._home, self._blocked)
        self._publisher.publish(_in_order(entries))
        metrics.PUBLISHED.inc(len(entries))
        self.weather.back()

    def _forget(self, pages: Sequence[Page]) -> None:
        published = _published_again(entry for page in pages for entry in page.entries)
        if not published:
            self._outbox.remove(pages)
            return
        with self._sessions.transaction() as session:
            self._lot.settle(published, self._home.clock.now(), session)
            self._outbox.remove(pages, session)

    def _one_at_a_time(self, pages: Sequence[Page]) -> None:
        for page in pages:
            tried = [(entry, self._refusal(entry)) for entry in _in_order(page.entries)]
            refused = [self._parked(entry, error) for entry, error in tried if error is not None]
            published = _published_again(entry for entry, error in tried if error is None)
            now = self._home.clock.now()
            with self._sessions.transaction() as session:
                words = self._lot.park(refused, session)
                self._lot.settle(published, now, session)
                self._outbox.add(words, now, session)
                self._outbox.remove([page], session)

    def _refusal(self, entry: Entry) -> ChannelError | None:
        try:
            self._send([entry])
        except ChannelError as error:
            self.close()
            if error.code not in REFUSALS:
                raise
            log.error("relay.refused", key=entry.key, code=error.code)
            return error
        return None

    def _parked(self, entry: Entry, error: ChannelError) -> Parked:
        delivery = Delivery(
            body=entry.body,
            routing_key=entry.origin or entry.key,
            queue=OUTBOX_QUEUE,
            content_type=_content_type(entry),
            headers=_carried(self._home, entry),
            own=entry.exchange != EVENTS,
            replay=entry.again.replay if entry.again else None,
        )
        return Parked(
            delivery=delivery,
            reason=Reason.UNPUBLISHABLE,
            error=f"the broker refuses it with {error.code}: {kind_of(error)}",
            event=readable_id(delivery),
            at=self._home.clock.now(),
        )


class _Publisher:
    """A connection with a channel in confirm mode."""

    def __init__(self, home: Home, blocked: Callable[[bool], None]) -> None:
        self._home = home
        self._is_blocked = False
        self._tell_blocked = blocked
        self._connection = connect(home, "relay", blocked=self._blocked)
        self._channel: Any = self._connection.channel()
        self._waiting: set[int] = set()
        self._tag = 0
        self._refused = False
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._confirmed)
        self._channel.events["basic_nack"].add(self._not_taken)

    def publish(self, entries: Iterable[Entry]) -> None:
        self._waiting.clear()
        self._refused = False
        for entry in entries:
            self._channel.basic_publish(_message(self._home, entry), entry.exchange, entry.key)
            # The broker counts publishes of a channel in confirm mode from 1 on.
            self._tag += 1
            self._waiting.add(self._tag)
        self._wait()

    def beat(self) -> None:
        # What the broker says meanwhile must be read: its own heartbeats, and that it blocks or closes.
        with suppress(TimeoutError):
            while True:
                self._connection.drain_events(timeout=0)
        self._connection.heartbeat_check()

    def close(self) -> None:
        try:
            self._connection.close()
        except Exception as error:  # noqa: BLE001 - it is being given up because it is broken
            log.debug("relay.close", error=error)

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
        if self._refused:
            raise NotConfirmed("the broker did not take a publish (nack)")

    def _drain(self, seconds: float) -> None:
        try:
            self._connection.drain_events(timeout=min(seconds, BEAT_SECONDS))
        except TimeoutError:
            self._connection.heartbeat_check()

    def _blocked(self, is_blocked: bool) -> None:  # noqa: FBT001 - the library's callback
        self._is_blocked = is_blocked
        self._tell_blocked(is_blocked)

    def _confirmed(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - the library's signature
        if multiple:
            self._waiting = {waiting for waiting in self._waiting if waiting > tag}
        else:
            self._waiting.discard(tag)

    def _not_taken(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - the library's signature
        self._refused = True
        self._confirmed(tag, multiple)


def _message(home: Home, entry: Entry) -> AmqpMessage:
    properties: dict[str, Any] = {"delivery_mode": PERSISTENT, "application_headers": _headers(home, entry)}
    if entry.again and entry.again.wait_seconds:
        properties["expiration"] = str(int(entry.again.wait_seconds * 1000))
    return AmqpMessage(entry.body, content_type=_content_type(entry), **properties)


def _content_type(entry: Entry) -> str | None:
    return entry.again.content_type if entry.again else CONTENT_TYPE


def _carried(home: Home, entry: Entry) -> dict[str, Any]:
    """What goes with an entry wherever it goes: as it came, where it came from somebody; else the own signature."""
    if entry.again:
        return dict(entry.again.headers)
    return {SIGNATURE_HEADER: home.keyring.sign(entry.body)} if home.signs else {}


def _headers(home: Home, entry: Entry) -> dict[str, Any]:
    headers = _carried(home, entry)
    if entry.origin:
        headers[KEY_HEADER] = entry.origin
    if entry.again and entry.exchange != EVENTS:
        headers[ATTEMPTS_HEADER] = entry.again.attempts
        if entry.again.replay:
            headers[REPLAY_HEADER] = entry.again.replay.header
    return headers


def _published_again(entries: Iterable[Entry]) -> list[tuple[Replay, str]]:
    """Replays that end with the broker's confirm: own events that it had refused, and nobody here takes."""
    return [(e.again.replay, "published") for e in entries if e.again and e.again.replay and e.exchange == EVENTS]


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries of one aggregate by its version, wherever their documents stand; others where they are."""
    listed = list(entries)
    by_aggregate: dict[str, list[Entry]] = {}
    for entry in listed:
        by_aggregate.setdefault(entry.aggregate, []).append(entry)
    turns = {a: iter(sorted(group, key=lambda e: e.version)) for a, group in by_aggregate.items()}
    return [next(turns[entry.aggregate]) for entry in listed]
