"""What stands still in a service's store, counted from time to time for Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chassis import metrics
from chassis.batch import EFFECTS
from chassis.parking import PARKED

if TYPE_CHECKING:
    from datetime import datetime

    from chassis.home import Home

COUNT_SECONDS = 5.0
"""How often they are counted: Prometheus asks every 15 s, and some of it reads whole collections."""


class Gauges:
    """The gauges of one service that only its store knows."""

    def __init__(self, home: Home) -> None:
        """Count in the service's own database."""
        self._home = home
        self._next = 0.0

    def refresh(self) -> None:
        """Count anew, when it is time.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + COUNT_SECONDS
        database = self._home.database
        metrics.PARKED_STANDING.set(database[PARKED].estimated_document_count())
        dead = database[EFFECTS].count_documents({"dead": True})
        metrics.EFFECTS_DEAD.set(dead)
        metrics.EFFECTS_WAITING.set(database[EFFECTS].estimated_document_count() - dead)
        metrics.TIMERS_LATE_SECONDS.set(self._late(self._home.clock.now()))

    def _late(self, now: datetime) -> float:
        first = [
            self._home.database[kind].find_one({"due": {"$lte": now}}, {"due": 1}, sort=[("due", 1)])
            for kind in self._home.handlers.timed()
        ]
        return max(((now - found["due"]).total_seconds() for found in first if found), default=0.0)
