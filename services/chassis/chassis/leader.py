"""One replica leads: it alone runs relay, timers and effects of its service.

The lease is a counter in the store that the leader moves on. Another replica takes over when it has seen the same
count for the lease's seconds of its own monotonic time, so that a stepped clock neither frees nor holds the lease.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from chassis import metrics
from chassis.logs import log

if TYPE_CHECKING:
    from pymongo.database import Database

LEASES = "leases"
RENEWALS = 4
"""How often a leader moves the counter on in the time of one lease."""


class Leader:
    """The lease of one service."""

    def __init__(self, database: Database[dict[str, Any]], lease_seconds: float) -> None:
        """Keep the lease in the service's own database.

        Args:
            database: Of the service.
            lease_seconds: After how long a counter that stands still is another's to take; the same in all replicas.
        """
        self._leases = database[LEASES]
        self._lease_seconds = lease_seconds
        self.renew_seconds = lease_seconds / RENEWALS
        self._me = uuid.uuid4().hex
        self._seen: tuple[str, int] | None = None
        self._since = 0.0
        self._renewed = 0.0
        self._beat = 0
        self._told = False

    @property
    def leads(self) -> bool:
        """Whether this replica leads; false as soon as the lease could be another's."""
        return time.monotonic() - self._renewed < self._lease_seconds and self._renewed > 0

    def tick(self) -> bool:
        """Renew or try to take the lease; whether this replica leads.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        now = time.monotonic()
        # Counted from before the call: the store may take long to answer.
        won = self._renew() if self._beat else self._take()
        self._renewed = now if won else 0.0
        # Compared with what was told last: a replica that was frozen has lost the lease without a word.
        if won != self._told:
            log.info("leader.took" if won else "leader.lost")
        self._told = won
        metrics.LEADER.set(int(won))
        return won

    def give_up(self) -> None:
        """Free the lease, so that the standby need not wait."""
        if self._beat:
            self._leases.delete_one({"_id": "leader", "holder": self._me})
        self._beat, self._renewed = 0, 0.0

    def _renew(self) -> bool:
        mine = {"_id": "leader", "holder": self._me, "beat": self._beat}
        moved = self._leases.update_one(mine, {"$set": {"beat": self._beat + 1}}).matched_count == 1
        self._beat = self._beat + 1 if moved else 0
        return moved

    def _take(self) -> bool:
        held = self._leases.find_one({"_id": "leader"})
        if held is None:
            return self._insert()
        seen = (held["holder"], held["beat"])
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        # A renewal whose answer was lost has moved the counter on all the same; the lease is still this replica's.
        if held["holder"] != self._me and time.monotonic() - self._since < self._lease_seconds:
            return False
        taken = {"$set": {"holder": self._me, "beat": 1}}
        won = self._leases.update_one({"_id": "leader", "holder": seen[0], "beat": seen[1]}, taken).matched_count == 1
        self._beat = int(won)
        return won

    def _insert(self) -> bool:
        try:
            self._leases.insert_one({"_id": "leader", "holder": self._me, "beat": 1})
        except DuplicateKeyError:
            return False
        self._beat = 1
        return True
