"""Timers: what an aggregate wants to be reminded of, kept in its document and fired once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from chassis import metrics
from chassis.incoming import Due, Failed, Outcome
from chassis.logs import log

if TYPE_CHECKING:
    from chassis.home import Home
    from chassis.transaction import Transaction

AT_ONCE = 200
"""Timers fired in one batch."""

FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 3600

_Place = tuple[str, str, str]


class Timers:
    """The timers of one service's aggregates."""

    def __init__(self, home: Home, transaction: Transaction) -> None:
        """Fire them through the transaction, as messages like any other."""
        self._home = home
        self._transaction = transaction
        self._put_off: dict[_Place, tuple[int, datetime]] = {}

    def run_once(self) -> int:
        """Fire what is due, the longest overdue first; how many fired.

        One that this service fails at waits for its next try, and keeps none of the others from firing.

        Raises:
            StoreAway: The store cannot be reached.
            PyMongoError: The same.
        """
        due = sorted(self._due(), key=lambda timer: timer.due)[:AT_ONCE]
        if not due:
            return 0
        for timer, outcome in zip(due, self._transaction.apply(due), strict=True):
            self._settle(timer, outcome)
        metrics.TIMERS_FIRED.inc(len(due))
        return len(due)

    def _settle(self, timer: Due, outcome: Outcome) -> None:
        if outcome.aggregate_id is not None and not isinstance(outcome.refusal, Failed):
            self._put_off.pop(_place(timer), None)
            return
        # It still stands in its aggregate: a handler that fails, or none that reads it until the next release.
        tries = self._put_off.get(_place(timer), (0, timer.due))[0] + 1
        wait = min(FIRST_WAIT_SECONDS * 2 ** (tries - 1), LONGEST_WAIT_SECONDS)
        self._put_off[_place(timer)] = tries, self._home.clock.now() + timedelta(seconds=wait)
        log.error("timer.put-off", aggregate=timer.aggregate, timer=timer.name, id=timer.id, tries=tries)

    def _due(self) -> list[Due]:
        now = self._home.clock.now()
        found = []
        # Those that were put off stand first, and must not hide the others.
        limit = AT_ONCE + len(self._put_off)
        for kind in self._home.handlers.timed():
            cursor = self._home.database[kind].find({"due": {"$lte": now}}, {"timers": 1}).sort("due", 1).limit(limit)
            for document in cursor:
                moments = ((name, moment.replace(tzinfo=UTC)) for name, moment in document["timers"].items())
                found += [Due(aggregate=kind, id=document["_id"], name=n, due=at) for n, at in moments if at <= now]
        return [timer for timer in found if not self._waits(timer, now)]

    def _waits(self, timer: Due, now: datetime) -> bool:
        until = self._put_off.get(_place(timer), (0, now))[1]
        # No wait is longer: a time beyond it was set before the clock was stepped back.
        return now < until <= now + timedelta(seconds=LONGEST_WAIT_SECONDS)


def _place(timer: Due) -> _Place:
    return timer.aggregate, timer.id, timer.name
