"""Timers: what an aggregate wants to be reminded of, kept in its document and fired once."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from chassis import metrics
from chassis.incoming import Due

if TYPE_CHECKING:
    from chassis.home import Home
    from chassis.transaction import Transaction

AT_ONCE = 200
"""Timers fired in one batch."""


class Timers:
    """The timers of one service's aggregates."""

    def __init__(self, home: Home, transaction: Transaction) -> None:
        """Fire them through the transaction, as messages like any other."""
        self._home = home
        self._transaction = transaction

    def run_once(self) -> int:
        """Fire what is due, the longest overdue first; how many fired.

        Raises:
            StoreAway: The store cannot be reached.
            PyMongoError: The same.
        """
        due = sorted(self._due(), key=lambda timer: timer.due)[:AT_ONCE]
        if not due:
            return 0
        self._transaction.apply(due)
        metrics.TIMERS_FIRED.inc(len(due))
        metrics.TIMERS_LATE_SECONDS.set((self._home.clock.now() - due[0].due).total_seconds())
        return len(due)

    def _due(self) -> list[Due]:
        now = self._home.clock.now()
        found = []
        for kind in self._home.handlers.aggregates:
            cursor = self._home.database[kind].find({"due": {"$lte": now}}, {"timers": 1}).sort("due", 1).limit(AT_ONCE)
            for document in cursor:
                moments = ((name, moment.replace(tzinfo=UTC)) for name, moment in document["timers"].items())
                found += [Due(aggregate=kind, id=document["_id"], name=n, due=at) for n, at in moments if at <= now]
        return found
