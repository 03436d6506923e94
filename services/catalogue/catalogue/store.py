"""Queries that only catalogue needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo.database import Database

PAGE = 500
"""Documents that the store sends at once."""

_BEGINNING = "beginning"
_FIELDS = {"state": 1, "schema": 1, "version": 1, "streams": 1, "history": {"$slice": -1}}


class Queries:
    """Reads of the catalogue's database."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        """Read from the service's own database."""
        self._offerings = database["offering"]
        self._copies = database["copies"]

    def indexes(self) -> None:
        """Declare the indexes that the queries need."""
        self._offerings.create_index("state.offering.provider")

    def offerings(
        self, provider: str | None = None, *, withdrawn: bool, after: str | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """Documents of offerings in the order of their ids, while they are read.

        Args:
            provider: Code of the only provider wanted, or None for all.
            withdrawn: Whether withdrawn ones are wanted as well.
            after: Id after which they begin, or None for all.
        """
        query: dict[str, Any] = {} if provider is None else {"state.offering.provider": provider}
        if not withdrawn:
            query["state.offering.withdrawn"] = False
        if after is not None:
            query["_id"] = {"$gt": after}
        yield from self._offerings.find(query, _FIELDS).sort("_id", 1).batch_size(PAGE)

    def some(self, ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Documents of the offerings with these ids, as far as there are any."""
        yield from self._offerings.find({"_id": {"$in": list(ids)}}, _FIELDS)

    def beginning(self) -> Mapping[str, Any]:
        """How far another copy was read, and when this one was last known to follow events."""
        return self._copies.find_one({"_id": _BEGINNING}) or {}

    def note_beginning(self, **fields: Any) -> None:
        """Remember some of that: ``after`` (an id, or None where all is read) and ``alive`` (a time with offset)."""
        self._copies.update_one({"_id": _BEGINNING}, {"$set": fields}, upsert=True)


def heard(document: Mapping[str, Any], own: str) -> tuple[int | None, datetime]:
    """The sequence and the time of the latest event about an offering, as its provider gave them.

    Args:
        document: An offering's.
        own: The URN that this catalogue speaks under. What it says itself has the version and the time of the change
            that said it; an echo of it that came back later counts for nothing.
    """
    streams = sorted(document["streams"].values(), key=lambda stream: stream["t"])
    if streams and document["state"]["source"] != own:
        return streams[-1].get("n"), datetime.fromtimestamp(streams[-1]["t"] / 1_000_000, UTC)
    said = document["history"][-1]
    return said["version"], datetime.fromisoformat(said["at"])
