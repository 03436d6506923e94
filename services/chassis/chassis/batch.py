"""What one transaction writes, and the writing of it: all of it, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure

from chassis import metrics
from chassis.aggregates import Document, history_collection
from chassis.border import Entry
from chassis.incoming import Delivery, Replay
from chassis.outbox import Outbox
from chassis.parking import Parked, ParkingLot
from chassis.states import FieldKeys

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

    from chassis.home import Home

EFFECTS = "effects"
_Operation = InsertOne[dict[str, Any]] | ReplaceOne[dict[str, Any]]
T = TypeVar("T")

_DUPLICATE = 11000
_TOO_LARGE = 257
# The store's codes for a transaction that another writer or an ended session has taken away: write conflict, no such
# session, transaction too old, no such transaction, transaction over its time, interrupted.
_TAKEN_AWAY = frozenset({112, 206, 225, 251, 290, 11601})


class Conflict(Exception):  # noqa: N818 - errors name the fact
    """Another writer was first, or ended the transaction; the same batch may be decided anew at once."""


@dataclass(frozen=True, slots=True)
class DeadEffect:
    """An effect that is over until an operator replays it.

    Attributes:
        id: Id of its document.
        parked: Its place in the parking lot.
        done: Where it was done and its result was refused, the result; None where it was given up.
    """

    id: str
    parked: Parked
    done: Mapping[str, Any] | None


@dataclass(slots=True)
class Batch:
    """All that one transaction is to write."""

    at: datetime
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    done_effects: list[str] = field(default_factory=list)
    dead_effects: list[DeadEffect] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    retried: list[Delivery] = field(default_factory=list)
    replayed: list[tuple[Replay, str]] = field(default_factory=list)
    writes: dict[str, list[_Operation]] = field(default_factory=dict)
    moved: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def changed(self) -> list[Document]:
        """The aggregates that are to be written."""
        return [document for document in self.documents.values() if document.changed]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        effects = self.done_effects or self.dead_effects
        return not (self.changed or self.parked or self.replayed or effects or self.entries)


class Writer:
    """Writes the batches of one service."""

    def __init__(self, home: Home, keys: FieldKeys) -> None:
        """Write into the service's own database, and keys into theirs."""
        self._home = home
        self._keys = keys
        self._lot = ParkingLot(home)
        self._outbox = Outbox(home.database)

    def indexes(self) -> None:
        """Declare the indexes of what is written."""
        for name in self._home.handlers.timed():
            # Only where there are timers: it makes each write a third dearer.
            self._home.database[name].create_index("due", sparse=True)
        for name in self._home.handlers.aggregates:
            self._home.database[history_collection(name)].create_index([("aggregate", 1), ("version", 1)])
        self._home.database[EFFECTS].create_index("due", sparse=True)
        self._lot.indexes()

    def prepare(self, batch: Batch) -> None:
        """Make the documents of a decided batch, which may be done while another one is being written.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        self._encrypt(batch)
        oldest = batch.at - timedelta(days=self._home.settings.replay_days)
        for document in batch.changed:
            stored, overflow = document.stored(oldest)
            batch.writes.setdefault(document.kind, []).append(_operation(document, stored))
            if overflow:
                batch.moved.setdefault(history_collection(document.kind), []).extend(overflow)

    def commit(self, batch: Batch) -> None:
        """Write all of a prepared batch, under the condition that no aggregate has changed since it was read.

        Raises:
            Conflict: Another writer was first.
            PyMongoError: The store cannot be reached, or cannot take something in the batch.
        """
        if batch.empty:
            return
        started = time.perf_counter()
        self.within(lambda session: self._write(batch, session))
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - started)

    def within(self, write: Callable[[ClientSession], T]) -> T:
        """Do what `write` does in one transaction.

        Raises:
            Conflict: Another writer was first.
            PyMongoError: The store cannot be reached, or cannot take something.
        """
        written = False
        try:
            with self._home.sessions.transaction() as session:
                result = write(session)
                written = True
        except OperationFailure as error:
            # What was written can only fail for reasons of the store's own, whatever it calls them.
            if _is_conflict(error) or (written and error.code != _TOO_LARGE):
                raise Conflict from error
            raise
        return result

    def _encrypt(self, batch: Batch) -> None:
        without = {f"{d.kind}/{d.id}": d for d in batch.changed if d.needs_cipher}
        for name, cipher in self._keys.make(list(without)).items():
            without[name].cipher = cipher

    def _write(self, batch: Batch, session: ClientSession) -> None:
        database = self._home.database
        self._write_documents(batch, session)
        if batch.effects:
            # One that is asked for again while it waits, or was given up, is the same one.
            asked = [UpdateOne({"_id": e["_id"]}, {"$setOnInsert": e}, upsert=True) for e in batch.effects]
            database[EFFECTS].bulk_write(asked, session=session)
        if batch.done_effects:
            database[EFFECTS].bulk_write([DeleteOne({"_id": e}) for e in batch.done_effects], session=session)
        words = self._lot.park([*batch.parked, *self._bury(batch.dead_effects, session)], session)
        self._lot.settle(batch.replayed, batch.at, session)
        self._outbox.add([*batch.entries, *words], batch.at, session)

    def _bury(self, dead: Sequence[DeadEffect], session: ClientSession) -> list[Parked]:
        """Keep dead effects under their keys, without a due time; those that another replica has ended stay ended."""
        effects = self._home.database[EFFECTS]
        buried = []
        for one in dead:
            changes: dict[str, Any] = {"dead": True, "error": one.parked.error}
            changes |= {} if one.done is None else {"done": dict(one.done)}
            alive = {"_id": one.id, "dead": {"$ne": True}}
            update = {"$set": changes, "$unset": {"due": "", "replay": ""}}
            if effects.update_one(alive, update, session=session).matched_count:
                buried.append(one.parked)
        return buried

    def _write_documents(self, batch: Batch, session: ClientSession) -> None:
        for kind, operations in batch.writes.items():
            result = self._home.database[kind].bulk_write(operations, ordered=False, session=session)
            if result.matched_count + result.inserted_count != len(operations):
                raise Conflict
        for collection, entries in batch.moved.items():
            self._home.database[collection].insert_many(entries, session=session)


def _operation(document: Document, stored: dict[str, Any]) -> _Operation:
    if not document.loaded_version:
        return InsertOne(stored)
    return ReplaceOne({"_id": document.id, "version": document.loaded_version}, stored)


def _is_conflict(error: OperationFailure) -> bool:
    if error.has_error_label("TransientTransactionError"):
        return True
    return not _TAKEN_AWAY.union({_DUPLICATE}).isdisjoint(_codes(error))


def _codes(error: OperationFailure) -> Sequence[Any]:
    if isinstance(error, BulkWriteError):
        return [one.get("code") for one in error.details.get("writeErrors", [])]
    return [error.code]
