"""The outbox: what a batch sends out, in as few documents as fit, until the broker has confirmed each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bson import ObjectId

from chassis import metrics
from chassis.border import Entry
from chassis.incoming import Again, Replay

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

OUTBOX = "outbox"
PAGE_BYTES = 4 * 2**20
"""A document's bytes at the most; MongoDB's own limit is 16 MiB."""

PAGE_ENTRIES = 2000


@dataclass(frozen=True, slots=True)
class Page:
    """One document of the outbox.

    Attributes:
        id: Its id.
        at: When it was written.
        entries: What it sends out.
    """

    id: ObjectId
    at: datetime
    entries: Sequence[Entry]


class Outbox:
    """The outbox of one service."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        """Keep it in the service's own database."""
        self._collection = database[OUTBOX]
        self._oldest: tuple[ObjectId, datetime] | None = None

    def add(self, entries: Sequence[Entry], at: datetime, session: ClientSession) -> None:
        """Write what a batch sends out, within its transaction."""
        pages = [{"_id": ObjectId(), "at": at, "entries": page} for page in _pages(entries)]
        if pages:
            self._collection.insert_many(pages, session=session)

    def pages(self, limit: int, *, without: Collection[ObjectId] = ()) -> list[Page]:
        """The oldest documents, but for some."""
        query = {"_id": {"$nin": list(without)}} if without else {}
        found = self._collection.find(query).sort("_id", 1).limit(limit)
        return [Page(d["_id"], d["at"].replace(tzinfo=UTC), [_entry(e) for e in d["entries"]]) for d in found]

    def remove(self, pages: Sequence[Page], session: ClientSession | None = None) -> None:
        """Delete documents whose entries are all confirmed or parked."""
        self._collection.delete_many({"_id": {"$in": [page.id for page in pages]}}, session=session)

    def keep(self, left: Mapping[ObjectId, Sequence[Entry]], session: ClientSession) -> None:
        """Take all entries but those that are left out of some documents."""
        for identifier, entries in left.items():
            kept = {"$set": {"entries": [_stored(entry) for entry in entries]}}
            self._collection.update_one({"_id": identifier}, kept, session=session)

    def measure(self, now: datetime) -> tuple[int, float]:
        """Count what waits, and tell and note in the metrics how many documents they are, and the oldest's seconds."""
        waiting = int(self._collection.estimated_document_count())
        self._oldest = self._find_oldest() if waiting else None
        age = (now - self._oldest[1]).total_seconds() if self._oldest else 0.0
        metrics.OUTBOX_DOCUMENTS.set(waiting)
        metrics.OUTBOX_AGE_SECONDS.set(age)
        return waiting, age

    def _find_oldest(self) -> tuple[ObjectId, datetime] | None:
        # The embedded store reads the whole outbox to find its first, and one known by its id at once. Where many wait,
        # the first is the same for long.
        if self._oldest and self._collection.find_one({"_id": self._oldest[0]}, {"_id": 1}):
            return self._oldest
        found = self._collection.find_one({}, {"at": 1}, sort=[("_id", 1)])
        return (found["_id"], found["at"].replace(tzinfo=UTC)) if found else None


def _pages(entries: Sequence[Entry]) -> Iterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        needs = _bytes(entry)
        if page and (size + needs > PAGE_BYTES or len(page) >= PAGE_ENTRIES):
            yield page
            page, size = [], 0
        page.append(_stored(entry))
        size += needs
    if page:
        yield page


def _bytes(entry: Entry) -> int:
    headers = entry.again.headers if entry.again else {}
    return len(entry.body) + 200 + sum(len(name) + len(str(value)) for name, value in headers.items())


def _stored(entry: Entry) -> dict[str, Any]:
    stored: dict[str, Any] = {
        "exchange": entry.exchange,
        "key": entry.key,
        "body": entry.body,
        "aggregate": entry.aggregate,
        "version": entry.version,
        "origin": entry.origin,
    }
    if entry.again is not None:
        # Only what is sent again has it: a field that is always empty would cost every event.
        again = entry.again
        stored["again"] = {
            "contentType": again.content_type,
            "headers": dict(again.headers),
            "replay": again.replay and {"id": again.replay.id, "attempt": again.replay.attempt},
            "attempts": again.attempts,
            "waitSeconds": again.wait_seconds,
        }
    return stored


def _entry(stored: dict[str, Any]) -> Entry:
    found = stored.get("again")
    again = found and Again(
        content_type=found["contentType"],
        headers=found["headers"],
        replay=found["replay"] and Replay(**found["replay"]),
        attempts=found.get("attempts", 0),
        wait_seconds=found.get("waitSeconds", 0),
    )
    return Entry(**{**stored, "body": bytes(stored["body"]), "again": again})
