"""Queries that only intake needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo.database import Database


class Queries:
    """Reads of the intake database."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        """Read from the service's own database."""
        self._clients = database["client"]

    def indexes(self) -> None:
        """Declare the indexes that the queries need."""
        self._clients.create_index("state.coach")
        self._clients.create_index("state.keep_until")

    def ids(self, coach: str | None) -> Iterator[str]:
        """Ids of all clients, or of a coach's, in a stable order."""
        query = {"state.coach": coach} if coach else {}
        for document in self._clients.find(query, {"_id": 1}).sort("_id", 1):
            yield document["_id"]
