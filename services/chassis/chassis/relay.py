"""The relay: publishes the outbox with publisher confirms, and forgets an entry only when the broker has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from amqp.exceptions import ChannelError

from chassis import metrics
from chassis.amqp import Weather
from chassis.incoming import Delivery, Replay
from chassis.logs import kind_of, log
from chassis.outbox import Outbox, Page
from chassis.parking import OUTBOX_QUEUE, Parked, ParkingLot, readable_id, tell_parked
from chassis.publisher import Answers, Publisher, carried, content_type
from chassis.reasons import Reason
from chassis.topology import EVENTS

if TYPE_CHECKING:
    from bson import ObjectId

    from chassis.border import Entry
    from chassis.home import Home

PAGES = 50
"""Outbox documents published together."""

HOLD_SECONDS = 5.0
"""How long an entry that the broker could not take just now waits, and what follows it of the same aggregate."""

REFUSALS = frozenset({403, 406})
"""Replies that mean this one message: no right to publish it, or it is not to be had. Everything else, such as an
exchange that is not declared yet (404), is a broker that is not ready."""


class Blocked(OSError):  # noqa: N818 - errors name the fact
    """The broker blocks everybody who publishes until its memory or disk alarm is over; what was sent waits with it."""


class Overtaken(Exception):  # noqa: N818 - errors name the fact
    """Another replica leads by now, and sends what waits: this one was frozen, or its store was slow."""


class Relay:
    """Publishes one service's outbox."""

    def __init__(self, home: Home, *, leads: Callable[[], bool] = lambda: True) -> None:
        """Work in the service's own database, over a connection of its own.

        Args:
            home: The service.
            leads: Whether this replica leads; asked each time before something is sent.
        """
        self._home = home
        self._leads = leads
        self._outbox = Outbox(home.database)
        self._lot = ParkingLot(home)
        self._publisher: Publisher | None = None
        self._held = _Held()
        self.weather = Weather("broker")
        self.alarm = Weather("publishing")

    def run_once(self) -> int:
        """Publish what waits, up to `PAGES` documents; how many were worked on.

        Raises:
            PyMongoError: The store cannot be reached.
            OSError: The broker cannot be reached; nothing is lost, and the next run sends again.
            AMQPError: The same.
        """
        self._held.release()
        pages = self._outbox.pages(PAGES, without=self._held.pages)
        if not pages:
            return 0
        entries = _in_order(e for page in pages for e in page.entries if e.aggregate not in self._held.aggregates)
        started = time.perf_counter()
        answers = Answers()
        try:
            if entries:
                self._publish(entries, answers)
        except Overtaken:
            return 0
        except Exception:
            # What such a connection still says would be taken for an answer to what is sent next.
            self.close()
            raise
        self._settle(pages, answers)
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

    def _publish(self, entries: Sequence[Entry], answers: Answers) -> None:
        try:
            self._send(entries, answers)
        except ChannelError as error:
            self._refused(error)
            # One entry is refused and takes the channel with it: the rest is sent alone, to find it.
            self._one_at_a_time([e for e in entries if not answers.is_ended(e)], answers)

    def _send(self, entries: Sequence[Entry], answers: Answers) -> None:
        if self._publisher is None:
            self._publisher = Publisher(self._home, self._blocked)
        if not self._leads():
            raise Overtaken
        self._publisher.publish(entries, answers)
        self.weather.back()

    def _refused(self, error: ChannelError) -> None:
        self.close()
        if error.code not in REFUSALS:
            raise error

    def _one_at_a_time(self, entries: Sequence[Entry], answers: Answers) -> None:
        for entry in entries:
            try:
                self._send([entry], answers)
            except ChannelError as error:
                self._refused(error)
                answers.refuse(entry, f"the broker refuses it with {error.code}: {kind_of(error)}")

    def _settle(self, pages: Sequence[Page], answers: Answers) -> None:
        left = {page.id: rest for page in pages if (rest := [e for e in page.entries if not answers.is_ended(e)])}
        done = [page for page in pages if page.id not in left]
        parked = [self._parked(entry, why) for entry, why in answers.refused.values()]
        published = _published_again(answers.confirmed.values())
        metrics.PUBLISHED.inc(len(answers.confirmed))
        if answers.not_taken:
            metrics.NOT_TAKEN.inc(answers.not_taken)
            log.warning("relay.not-taken", messages=answers.not_taken)
        self._held.hold(left)
        # A page of which nothing has ended stands in the store as it is.
        shrunk = {p.id: left[p.id] for p in pages if p.id in left and len(left[p.id]) < len(p.entries)}
        if not (shrunk or parked or published):
            self._outbox.remove(done)
            return
        now = self._home.clock.now()
        with self._home.sessions.transaction() as session:
            words = self._lot.park(parked, session)
            self._lot.settle(published, now, session)
            self._outbox.add(words, now, session)
            self._outbox.remove(done, session)
            self._outbox.keep(shrunk, session)
        for one in parked:
            tell_parked(one)

    def _parked(self, entry: Entry, why: str) -> Parked:
        delivery = Delivery(
            body=entry.body,
            routing_key=entry.origin or entry.key,
            queue=OUTBOX_QUEUE,
            content_type=content_type(entry),
            headers=carried(self._home, entry),
            own=entry.exchange != EVENTS,
            replay=entry.again.replay if entry.again else None,
        )
        return Parked(
            delivery=delivery,
            reason=Reason.UNPUBLISHABLE,
            error=why,
            event=readable_id(delivery),
            at=self._home.clock.now(),
        )


class _Held:
    """What the broker could not take just now, so that the rest is not kept waiting by it, nor overtakes it."""

    def __init__(self) -> None:
        self.pages: set[ObjectId] = set()
        self.aggregates: set[str] = set()
        self._until = 0.0

    def hold(self, left: dict[ObjectId, list[Entry]]) -> None:
        if left and not self.pages:
            self._until = time.monotonic() + HOLD_SECONDS
        self.pages.update(left)
        self.aggregates.update(entry.aggregate for rest in left.values() for entry in rest)

    def release(self) -> None:
        if self.pages and time.monotonic() >= self._until:
            self.pages.clear()
            self.aggregates.clear()


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
