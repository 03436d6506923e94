"""One batch, one transaction: load the aggregates, decide, and write all that follows, or nothing.

This is where the promise is kept (reliability.md): marks, states, outbox, effects and the parking lot are written
together, under the condition that no aggregate has changed since it was read.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError
from pymongo import DeleteOne, InsertOne, ReplaceOne
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)

from chassis import border, metrics, states
from chassis.aggregates import Document, history_collection
from chassis.border import Entry
from chassis.crypto import FieldCipher
from chassis.decision import Aggregate, Decision, Effect, NotYours, Refused, stream_of
from chassis.incoming import Arrival, Due, Order, Outcome, Result, Settled
from chassis.logs import kind_of, log
from chassis.messages import Ignored, Taken, take
from chassis.outbox import Outbox
from chassis.parking import Parked, ParkingLot
from chassis.reasons import Reason, Unacceptable
from chassis.sessions import Sessions

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

    from chassis.home import Home

EFFECTS = "effects"
TRIES = 3
"""Tries of a decision that raises a programming error, before the message is parked."""

CONFLICT_TRIES = 20
PATIENT_TRIES = 5
"""Conflicts in a row after which another replica is taken for dead, and its open transactions are ended."""

CONFLICT_WAIT_SECONDS = 0.002

NOTHING: Decision[Any] = Decision()

Incoming = Arrival | Order | Due | Result
Committed = Callable[[Sequence[tuple[str, str, Any, int]]], None]


class StoreAway(Exception):  # noqa: N818 - errors name the fact
    """The store cannot be reached; nothing was settled, and the same batch may be applied again later."""


class _Conflict(Exception):  # noqa: N818 - errors name the fact
    """Another writer changed one of the aggregates first."""


@dataclass(slots=True)
class _Batch:
    """All that one transaction is to write."""

    at: datetime
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    done_effects: list[str] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)

    @property
    def changed(self) -> list[Document]:
        return [document for document in self.documents.values() if document.changed]

    @property
    def empty(self) -> bool:
        return not (self.changed or self.parked or self.done_effects)


class Transaction:
    """Applies what reaches one service."""

    def __init__(self, home: Home, *, committed: Committed = lambda _changes: None) -> None:
        """Work in the service's own database.

        Args:
            home: The service.
            committed: Called after each commit with kind, id, new state and version of what changed.
        """
        self._home = home
        self._committed = committed
        self._lot = ParkingLot(home)
        self._outbox = Outbox(home.database)
        self._sessions = Sessions(home.database)
        self._keys = states.FieldKeys(home.keys["keys"])

    def indexes(self) -> None:
        """Declare the indexes that the chassis needs."""
        for name in self._home.handlers.aggregates:
            self._home.database[name].create_index("due", sparse=True)
            self._home.database[history_collection(name)].create_index([("aggregate", 1), ("version", 1)])
        self._home.database[EFFECTS].create_index("due", sparse=True)
        self._lot.indexes()

    def apply(self, incoming: Sequence[Incoming]) -> list[Outcome]:
        """Apply a batch: one transaction or, where that fails, one for each message.

        Returns:
            What became of each, in order.

        Raises:
            StoreAway: The store cannot be reached; nothing was settled.
        """
        try:
            return self._together(incoming)
        except (AutoReconnect, StoreAway) as error:
            raise StoreAway from error
        except PyMongoError as error:
            if len(incoming) == 1:
                return [self._park_alone(incoming[0], error)]
            log.warning("batch.split", messages=len(incoming), error=error)
            return [outcome for one in incoming for outcome in self.apply([one])]

    def load(self, aggregate: str, identifier: str) -> tuple[Any, int] | None:
        """State and version of one aggregate, or None."""
        kind = self._home.handlers.aggregates[aggregate]
        found = self._load({(aggregate, identifier): kind})[(aggregate, identifier)]
        return (found.state, found.version) if found.version else None

    def history(self, aggregate: str, identifier: str) -> list[dict[str, Any]]:
        """What happened to one aggregate, oldest first, with what was moved out of its document."""
        database = self._home.database
        older = database[history_collection(aggregate)].find({"aggregate": identifier}).sort("version", 1)
        document = database[aggregate].find_one({"_id": identifier}, {"history": 1}) or {"history": []}
        return [*(entry["entry"] for entry in older), *document["history"]]

    def park(self, parked: Sequence[Parked]) -> None:
        """Park what never became a message.

        Raises:
            StoreAway: The store cannot be reached.
        """
        try:
            self._commit(_Batch(at=self._home.clock.now(), parked=list(parked)))
        except PyMongoError as error:
            raise StoreAway from error
        self._committed([])

    def _together(self, incoming: Sequence[Incoming]) -> list[Outcome]:
        for attempt in range(CONFLICT_TRIES):
            batch = _Batch(at=self._home.clock.now())
            started = time.perf_counter()
            outcomes = self._decide_all(incoming, batch)
            metrics.DECIDE_SECONDS.observe(time.perf_counter() - started)
            try:
                self._commit(batch)
            except _Conflict:
                metrics.CONFLICTS.inc()
                if attempt == PATIENT_TRIES:
                    self._sessions.end_others()
                time.sleep(CONFLICT_WAIT_SECONDS * attempt)
                continue
            self._committed([(d.kind, d.id, d.state, d.version) for d in batch.changed])
            _count(outcomes, batch)
            return outcomes
        raise StoreAway(f"{CONFLICT_TRIES} writers in a row were first")

    def _decide_all(self, incoming: Sequence[Incoming], batch: _Batch) -> list[Outcome]:
        taken = [self._take(one, batch) for one in incoming]
        wanted = {one.place: one.handler.aggregate for one in taken if isinstance(one, Taken)}
        batch.documents = self._load(wanted)
        reads = self._home.reads()
        return [self._settle(one, batch, reads) if isinstance(one, Taken) else one for one in taken]

    def _take(self, incoming: Incoming, batch: _Batch) -> Taken | Outcome:
        try:
            return take(self._home, incoming, batch.at)
        except Ignored:
            return _ended(incoming, Settled.IGNORED, batch)
        except ValidationError as error:
            return Outcome(settled=Settled.REFUSED, errors=error.normalized_messages())
        except Unacceptable as error:
            return _parked(incoming, batch, error.reason, str(error))
        except Refused as refusal:
            return _refused(incoming, batch, refusal)

    def _load(self, wanted: dict[tuple[str, str], Aggregate]) -> dict[tuple[str, str], Document]:
        documents: dict[tuple[str, str], Document] = {}
        ids: dict[str, list[str]] = defaultdict(list)
        for kind, identifier in wanted:
            ids[kind].append(identifier)
        for kind, identifiers in ids.items():
            aggregate = self._home.handlers.aggregates[kind]
            ciphers = self._ciphers(aggregate, identifiers)
            found = {d["_id"]: d for d in self._home.database[kind].find({"_id": {"$in": identifiers}})}
            for identifier in identifiers:
                stored = found.get(identifier)
                documents[kind, identifier] = Document(aggregate, identifier, stored, ciphers.get(f"{kind}/{identifier}"))
        return documents

    def _ciphers(self, aggregate: Aggregate, identifiers: Iterable[str]) -> dict[str, FieldCipher]:
        if not states.personal_fields(aggregate.state):
            return {}
        return self._keys.find([f"{aggregate.name}/{identifier}" for identifier in identifiers])

    def _settle(self, taken: Taken, batch: _Batch, reads: Any) -> Outcome:
        document = batch.documents[taken.place]
        if document.has_seen(taken.mark):
            if not document.same_body(taken.mark, taken.body_hash):
                return document.outcome(Settled.CONFLICT)
            return _again(taken, document, batch)
        if isinstance(taken.origin, Due) and not document.awaits(taken.origin.name, taken.origin.due):
            return document.outcome(Settled.DUPLICATE)
        if taken.sequence and not taken.sequence.newer_than(document.stream(taken.sequence.stream)):
            document.note(taken, batch.at, settled=Settled.SUPERSEDED)
            return document.outcome(Settled.SUPERSEDED)
        return self._try(taken, document, batch, reads)

    def _try(self, taken: Taken, document: Document, batch: _Batch, reads: Any) -> Outcome:
        for attempt in range(1, TRIES + 1):
            try:
                return self._decide(taken, document, batch, reads)
            except Refused as refusal:
                return _refused(taken.origin, batch, refusal, document)
            except AutoReconnect:
                raise
            except Exception as error:
                if attempt < TRIES:
                    continue
                log.error("decision.failed", message=taken.message.name, id=taken.message.id, error=error)
                if not isinstance(taken.origin, Arrival):
                    raise
                return _parked(taken.origin, batch, Reason.ERROR, kind_of(error))
        raise AssertionError("unreachable")

    def _decide(self, taken: Taken, document: Document, batch: _Batch, reads: Any) -> Outcome:
        if not taken.handler.said_by(document.state, taken.message):
            raise NotYours(f"{taken.message.name}: {taken.message.organisation} may not say this")
        created = document.version == 0
        decision = taken.handler.decide(document.state, taken.message, reads)
        entries = self._entries(taken, document, decision)
        effects = [_effect(taken, effect, batch.at) for effect in decision.effects]
        settled = Settled.SUPERSEDED if decision.superseded else Settled.APPLIED
        if decision == NOTHING:
            # A message that changes nothing is not remembered either: deciding it again is as harmless.
            return _finished(taken.origin, document.outcome(Settled.IGNORED), batch)
        if decision.state is None and created:
            raise ValueError(f"{taken.message.name}: decides something without any state that remembers it")
        document.change(taken, decision, batch.at, settled=settled)
        batch.entries += entries
        batch.effects += effects
        outcome = document.outcome(settled, created=created)
        return _finished(taken.origin, outcome, batch)

    def _entries(self, taken: Taken, document: Document, decision: Decision[Any]) -> list[Entry]:
        _one_per_stream(decision)
        place = f"{document.kind}/{document.id}"
        version = document.version + 1
        published = [
            border.leave(self._home, publish, taken.cause, aggregate=place, version=version, position=position)
            for position, publish in enumerate(decision.publish)
        ]
        told = [
            border.tell(self._home, tell, taken.cause, aggregate=place, version=version, position=position)
            for position, tell in enumerate(decision.tell)
        ]
        return published + told

    def _commit(self, batch: _Batch) -> None:
        if batch.empty:
            return
        self._encrypt(batch)
        started = time.perf_counter()
        try:
            with self._sessions.transaction() as session:
                self._write(batch, session)
        except (DuplicateKeyError, BulkWriteError) as error:
            if isinstance(error, DuplicateKeyError) or _is_duplicate(error):
                raise _Conflict from error
            raise
        except OperationFailure as error:
            if error.has_error_label("TransientTransactionError"):
                raise _Conflict from error
            raise
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - started)

    def _encrypt(self, batch: _Batch) -> None:
        for document in batch.changed:
            if document.needs_cipher:
                document.cipher = self._keys.make(f"{document.kind}/{document.id}")

    def _write(self, batch: _Batch, session: ClientSession) -> None:
        database = self._home.database
        writes: dict[str, list[Any]] = defaultdict(list)
        moved: dict[str, list[Any]] = defaultdict(list)
        oldest = batch.at - timedelta(days=self._home.settings.replay_days)
        for document in batch.changed:
            stored, overflow = document.stored(oldest)
            moved[history_collection(document.kind)] += overflow
            if document.loaded_version:
                condition = {"_id": document.id, "version": document.loaded_version}
                writes[document.kind].append(ReplaceOne(condition, stored))
            else:
                writes[document.kind].append(InsertOne(stored))
        for kind, operations in writes.items():
            result = database[kind].bulk_write(operations, ordered=False, session=session)
            if result.matched_count + result.inserted_count != len(operations):
                raise _Conflict
        for collection, entries in moved.items():
            if entries:
                database[collection].insert_many(entries, session=session)
        if batch.effects:
            database[EFFECTS].insert_many(batch.effects, session=session)
        if batch.done_effects:
            database[EFFECTS].bulk_write([DeleteOne({"_id": e}) for e in batch.done_effects], session=session)
        words = self._lot.park(batch.parked, session)
        self._outbox.add([*batch.entries, *words], batch.at, session)

    def _park_alone(self, incoming: Incoming, error: PyMongoError) -> Outcome:
        if not isinstance(incoming, Arrival):
            raise error
        batch = _Batch(at=self._home.clock.now())
        outcome = _parked(incoming, batch, Reason.ERROR, kind_of(error))
        self.park(batch.parked)
        _count([outcome], batch)
        return outcome


def _is_duplicate(error: BulkWriteError) -> bool:
    return any(e.get("code") == 11000 for e in error.details.get("writeErrors", []))  # noqa: PLR2004 - MongoDB's code


def _one_per_stream(decision: Decision[Any]) -> None:
    names = [(border.contract_of(p.schema).name, p.subject, p.to) for p in decision.publish]
    streams = [(stream_of(name) or name, subject, to) for name, subject, to in names]
    if len(set(streams)) != len(streams):
        raise ValueError("a decision publishes at most one event of a stream to one destination")


def _effect(taken: Taken, effect: Effect, at: datetime) -> dict[str, Any]:
    return {
        "_id": f"{taken.place[0]}/{taken.id}/{effect.name}/{effect.key}",
        "aggregate": taken.place[0],
        "id": taken.id,
        "name": effect.name,
        "key": effect.key,
        "data": dict(effect.data),
        "attempt": 0,
        "due": at,
    }


def _ended(incoming: Incoming, settled: Settled, batch: _Batch) -> Outcome:
    return _finished(incoming, Outcome(settled=settled), batch)


def _again(taken: Taken, document: Document, batch: _Batch) -> Outcome:
    return _finished(taken.origin, document.outcome(Settled.DUPLICATE), batch)


def _finished(incoming: Incoming, outcome: Outcome, batch: _Batch) -> Outcome:
    # An effect's document goes away in the transaction that its result is applied in.
    if isinstance(incoming, Result) and not incoming.failed:
        batch.done_effects.append(incoming.effect)
    return outcome


def _parked(incoming: Incoming, batch: _Batch, reason: Reason, error: str, rule: str | None = None) -> Outcome:
    if not isinstance(incoming, Arrival):
        raise TypeError(f"only what came from the broker can be parked: {error}")
    event = incoming.envelope.id
    parked = Parked(delivery=incoming.delivery, reason=reason, error=error, rule=rule, event=event, at=batch.at)
    batch.parked.append(parked)
    return Outcome(settled=Settled.PARKED)


def _refused(incoming: Incoming, batch: _Batch, refusal: Refused, document: Document | None = None) -> Outcome:
    if not isinstance(incoming, Arrival):
        state = document.state if document else None
        identifier = document.id if document else None
        return Outcome(settled=Settled.REFUSED, refusal=refusal, aggregate_id=identifier, state=state)
    if isinstance(refusal, NotYours):
        return _parked(incoming, batch, Reason.NOT_YOURS, str(refusal))
    return _parked(incoming, batch, Reason.RULE, str(refusal), refusal.rule)


def _count(outcomes: Sequence[Outcome], batch: _Batch) -> None:
    for outcome in outcomes:
        metrics.SETTLED.labels(str(outcome.settled)).inc()
    for parked in batch.parked:
        metrics.PARKED.labels(str(parked.reason)).inc()
