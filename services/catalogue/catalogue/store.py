"""Queries that only catalogue needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo.database import Database

PAGE = 500
"""Documents that the store sends at once."""

_FIELDS = {"state": 1, "schema": 1, "version": 1, "streams": 1, "history": {"$slice": -1}}


class Queries:
    """Reads of the catalogue's database."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        """Read from the service's own database."""
        self._offerings = database["offering"]

    def indexes(self) -> None:
        """Declare the indexes that the queries need."""
        self._offerings.create_index("state.offering.provider")

    def offerings(self, provider: str | None, *, withdrawn: bool) -> Iterator[Mapping[str, Any]]:
        """Documents of offerings in the order of their ids, while they are read.

        Args:
            provider: Code of the only provider wanted, or None for all.
            withdrawn: Whether withdrawn ones are wanted as well.
        """
        query: dict[str, Any] = {} if provider is None else {"state.offering.provider": provider}
        if not withdrawn:
            query["state.offering.withdrawn"] = False
        yield from self._offerings.find(query, _FIELDS).sort("_id", 1).batch_size(PAGE)


def heard(document: Mapping[str, Any]) -> tuple[int | None, datetime]:
    """The sequence and the time of the latest event about an offering, as its provider gave them.

    Of an own offering there was no event from outside: then its version and its latest change.
    """
    streams = sorted(document["streams"].values(), key=lambda stream: stream["t"])
    if streams:
        return streams[-1].get("n"), datetime.fromtimestamp(streams[-1]["t"] / 1_000_000, UTC)
    return document["version"], datetime.fromisoformat(document["history"][-1]["at"])
