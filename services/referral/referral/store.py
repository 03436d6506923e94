"""Queries that only referral needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo.database import Database

MAX_LISTED = 1000
"""How many referrals one answer lists at the most."""


class Queries:
    """Reads of the referral database."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        """Read from the service's own database."""
        self._referrals = database["referral"]

    def indexes(self) -> None:
        """Declare the indexes that the queries need."""
        self._referrals.create_index("state.client")
        self._referrals.create_index("state.status")

    def keys(self, filters: Mapping[str, str]) -> Iterator[str]:
        """Keys (``<sender>/<id>``) of referrals, in the order in which they were made.

        Args:
            filters: ``client``, ``status``, each optional; ids as this organisation knows them.
        """
        query = {f"state.{name}": value for name, value in filters.items()}
        found = self._referrals.find(query, {"history": {"$slice": 1}}).limit(MAX_LISTED)
        for document in sorted(found, key=lambda d: (d["history"][0]["at"], d["_id"])):
            yield document["_id"]
