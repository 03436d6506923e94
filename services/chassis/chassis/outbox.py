"""The outbox: what a batch sends out, in as few documents as fit, until the broker has confirmed each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bson import ObjectId

from chassis import metrics
from chassis.border import Entry

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

    def add(self, entries: Sequence[Entry], at: datetime, session: ClientSession) -> None:
        """Write what a batch sends out, within its transaction."""
        pages = [{"_id": ObjectId(), "at": at, "entries": page} for page in _pages(entries)]
        if pages:
            self._collection.insert_many(pages, session=session)

    def pages(self, limit: int) -> list[Page]:
        """The oldest documents."""
        found = self._collection.find().sort("_id", 1).limit(limit)
        return [
            Page(
                d["_id"], d["at"].replace(tzinfo=UTC), [Entry(**{**e, "body": bytes(e["body"])}) for e in d["entries"]]
            )
            for d in found
        ]

    def remove(self, pages: Sequence[Page], session: ClientSession | None = None) -> None:
        """Delete documents whose entries are all confirmed or parked."""
        self._collection.delete_many({"_id": {"$in": [page.id for page in pages]}}, session=session)

    def measure(self, now: datetime) -> int:
        """Count what waits, and note its age in the metrics."""
        waiting = self._collection.estimated_document_count()
        oldest = self._collection.find_one({}, {"at": 1}, sort=[("_id", 1)]) if waiting else None
        metrics.OUTBOX_ENTRIES.set(waiting)
        metrics.OUTBOX_AGE_SECONDS.set((now - oldest["at"].replace(tzinfo=UTC)).total_seconds() if oldest else 0)
        return int(waiting)


def _pages(entries: Sequence[Entry]) -> Iterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        if page and (size + len(entry.body) > PAGE_BYTES or len(page) >= PAGE_ENTRIES):
            yield page
            page, size = [], 0
        page.append(asdict(entry))
        size += len(entry.body) + 200
    if page:
        yield page
