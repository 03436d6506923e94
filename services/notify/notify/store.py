"""Queries that only notify needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo.database import Database

MAX_LISTED = 1000
"""How many notifications one answer lists at the most."""


class Queries:
    """Reads of the notify database."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        """Read from the service's own database."""
        self._notifications = database["notification"]

    def indexes(self) -> None:
        """Declare the indexes that the queries need."""
        self._notifications.create_index("state.client")
        self._notifications.create_index("state.referral")

    def notifications(self, filters: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """States of the notifications of a client or referral, oldest first.

        Args:
            filters: ``client`` and ``referral``, each optional; ids as this organisation knows them.
        """
        query = {f"state.{name}": value for name, value in filters.items()}
        for document in self._notifications.find(query, {"state": 1}).sort("_id", 1).limit(MAX_LISTED):
            yield {"id": document["_id"], **document["state"]}
