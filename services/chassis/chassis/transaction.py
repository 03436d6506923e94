"""One batch, one transaction: load the aggregates, decide, and write all that follows, or nothing.

This is where the promise is kept (reliability.md): marks, states, outbox, effects and the parking lot are written
together, under the condition that no aggregate has changed since it was read.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from eventlet import Timeout
from marshmallow import ValidationError
from pymongo.errors import AutoReconnect

from chassis import border, metrics, states, tracing
from chassis.aggregates import AS_STORED, Document, history_collection, taken_apart
from chassis.batch import Batch, Conflict, DeadEffect, Writer
from chassis.border import Entry, journey
from chassis.crypto import FieldCipher
from chassis.decision import Aggregate, Contract, Decision, Effect, Invalid, NotYours, Refused, stream_of
from chassis.incoming import Again, Arrival, Delivery, Due, Failed, Order, Outcome, Replay, Result, Settled
from chassis.killswitch import Failing, KillSwitch
from chassis.logs import kind_of, log
from chassis.messages import Ignored, Taken, take
from chassis.parking import EFFECTS_QUEUE, Parked, tell_parked
from chassis.profile import HEADERS, safe_headers
from chassis.reasons import Reason, Unacceptable
from chassis.topology import own_exchange, queue, wait

if TYPE_CHECKING:
    from datetime import datetime

    from pymongo.client_session import ClientSession

    from chassis.home import Home

TRIES = 3
"""Tries of a decision that raises a programming error, before the message takes the ladder."""

CONFLICT_TRIES = 20
PATIENT_TRIES = 5
"""Conflicts in a row after which another replica is taken for dead, and its open transactions are ended."""

CONFLICT_WAIT_SECONDS = 0.002

NOTHING: Decision[Any] = Decision()

_NOT_ENDED = frozenset({Settled.PARKED, Settled.RETRIED})

Incoming = Arrival | Order | Due | Result
Committed = Callable[[Sequence[tuple[str, str, Any, int]]], None]
T = TypeVar("T")


class StoreAway(Exception):  # noqa: N818 - errors name the fact
    """The store cannot be reached; nothing was settled, and the same batch may be applied again later."""


@dataclass(slots=True)
class Decided:
    """A batch that is decided and not yet written.

    Attributes:
        ready: What reached the service.
        batch: What is to be written.
        outcomes: What becomes of each, once it is written.
        failed: Of each message from the broker, whether this service failed at it.
        since: When deciding began, in nanoseconds since 1970.
        after: The batch whose aggregates it was decided on before they were written, or None.
        written: Whether it was written as it was decided.
    """

    ready: Sequence[Incoming | Taken]
    batch: Batch
    outcomes: list[Outcome]
    failed: list[bool]
    since: int
    after: Decided | None
    written: bool = False


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
        self._keys = states.FieldKeys(home.keys["keys"])
        self._writer = Writer(home, self._keys)
        self._switch = KillSwitch(home.settings)

    def indexes(self) -> None:
        """Declare the indexes that the chassis needs."""
        self._writer.indexes()

    def apply(self, incoming: Sequence[Incoming | Taken]) -> list[Outcome]:
        """Apply a batch: one transaction or, where that fails, one for each message.

        Args:
            incoming: What reached the service; `Taken` where that was made ready before.

        Returns:
            What became of each, in order. What this service fails at is tried again later, and at last parked as
            ``error``, where it came from the broker; it is refused with `Failed` otherwise.

        Raises:
            StoreAway: The store cannot be reached; nothing was settled.
            Failing: This service fails at too much of what comes from the broker; nothing was settled.
        """
        try:
            return self._patiently(lambda: self._write_batch(self._decide_batch(incoming)))
        except (StoreAway, Failing):
            raise
        except AutoReconnect as error:
            raise StoreAway from error
        # A time limit is no Exception: it would end the worker and leave whoever waits for it waiting for ever.
        except (Exception, Timeout) as error:  # noqa: BLE001 - the innocent must not go under with the guilty
            if len(incoming) == 1:
                return [self._alone(_origin(incoming[0]), error)]
            log.warning("batch.split", messages=len(incoming), error=error)
            return [outcome for one in incoming for outcome in self.apply([one])]

    def ahead(self, ready: Sequence[Incoming | Taken], after: Decided | None) -> Decided | None:
        """Decide a batch and write nothing, while the one before is being written.

        What decisions read may miss what that one writes, as it misses what an earlier message of the same batch does:
        where a batch ends, nobody can tell.

        Args:
            ready: What reached the service.
            after: The batch that is being written, whose aggregates stand in for the store's; or None.

        Returns:
            For `finish`; None where it could not be decided, which `apply` then meets again.
        """
        try:
            return self._decide_batch(ready, after)
        except (Exception, Timeout) as error:  # noqa: BLE001 - see above
            log.debug("batch.not-ahead", error=error)
            return None

    def finish(self, decided: Decided) -> list[Outcome]:
        """Write what `ahead` has decided; where that cannot be done as it was decided, apply it anew.

        Returns:
            See `apply`.

        Raises:
            StoreAway: See `apply`.
            Failing: See `apply`.
        """
        after, decided.after = decided.after, None
        if after is None or after.written:
            try:
                return self._write_batch(decided)
            except Failing:
                raise
            except Conflict:
                metrics.CONFLICTS.inc()
            except (Exception, Timeout) as error:  # noqa: BLE001 - met again below, and settled there
                log.debug("batch.anew", error=error)
        return self.apply(decided.ready)

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
        self._commit(lambda: self._writer.commit(Batch(at=self._home.clock.now(), parked=list(parked))))

    def write(self, write: Callable[[ClientSession], T]) -> T:
        """Do what `write` does in one transaction of the chassis's own; where another writer was first, again.

        Raises:
            StoreAway: The store cannot be reached.
        """
        return self._commit(lambda: self._writer.within(write))

    def _commit(self, commit: Callable[[], T]) -> T:
        try:
            result = self._patiently(commit)
        except AutoReconnect as error:
            raise StoreAway from error
        self._committed([])
        return result

    def _patiently(self, attempt: Callable[[], T]) -> T:
        for count in range(CONFLICT_TRIES):
            try:
                return attempt()
            except Conflict:
                metrics.CONFLICTS.inc()
                if count == PATIENT_TRIES:
                    self._writer.sessions.end_others()
                time.sleep(CONFLICT_WAIT_SECONDS * count)
        raise StoreAway(f"{CONFLICT_TRIES} writers in a row were first")

    def _decide_batch(self, ready: Sequence[Incoming | Taken], after: Decided | None = None) -> Decided:
        incoming = [_origin(one) for one in ready]
        batch = Batch(at=self._home.clock.now())
        since, started = time.time_ns(), time.perf_counter()
        outcomes = self._decide_all(ready, batch, after.batch.documents if after else {})
        batch.dead_effects = _dead_effects(incoming, outcomes, batch.at)
        batch.replayed = _ended_replays(incoming, outcomes)
        self._writer.prepare(batch)
        metrics.DECIDE_SECONDS.observe(time.perf_counter() - started)
        failed = _failures(self._home, incoming, batch)
        return Decided(ready, batch, outcomes, failed, since, after)

    def _write_batch(self, decided: Decided) -> list[Outcome]:
        batch = decided.batch
        self._switch.check(decided.failed)
        self._writer.commit(batch)
        decided.written = True
        self._switch.note(decided.failed)
        self._committed([(d.kind, d.id, d.state, d.version) for d in batch.changed])
        self._tell_watchers([_origin(one) for one in decided.ready], decided.outcomes, batch, decided.since)
        return decided.outcomes

    def _alone(self, incoming: Incoming, error: Exception) -> Outcome:
        batch, since = Batch(at=self._home.clock.now()), time.time_ns()
        outcome = _failed(self._home, incoming, batch, error)
        batch.dead_effects = _dead_effects([incoming], [outcome], batch.at)
        failed = _failures(self._home, [incoming], batch)
        self._switch.check(failed)
        self._commit(lambda: self._writer.commit(batch))
        self._switch.note(failed)
        self._tell_watchers([incoming], [outcome], batch, since)
        return outcome

    def _tell_watchers(
        self, incoming: Sequence[Incoming], outcomes: Sequence[Outcome], batch: Batch, since: int
    ) -> None:
        _count(outcomes, batch)
        if self._home.spans is not None:
            self._home.spans.batch(self._home, incoming, outcomes, batch.entries, since)

    def _decide_all(
        self, incoming: Sequence[Incoming | Taken], batch: Batch, known: Mapping[tuple[str, str], Document]
    ) -> list[Outcome]:
        taken = [one if isinstance(one, Taken) else self._take(one, batch) for one in incoming]
        wanted = {one.place: one.handler.aggregate for one in taken if isinstance(one, Taken)}
        batch.documents = {place: known[place].after_writing() for place in wanted if place in known}
        batch.documents |= self._load({place: kind for place, kind in wanted.items() if place not in known})
        reads = self._home.reads()
        return [self._settle(one, batch, reads) if isinstance(one, Taken) else one for one in taken]

    def _take(self, incoming: Incoming, batch: Batch) -> Taken | Outcome:
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
        except AutoReconnect:
            raise
        except Exception as error:  # noqa: BLE001 - a handler's key is code of a service's own
            return _failed(self._home, incoming, batch, error)

    def _load(self, wanted: dict[tuple[str, str], Aggregate]) -> dict[tuple[str, str], Document]:
        documents: dict[tuple[str, str], Document] = {}
        ids: dict[str, list[str]] = defaultdict(list)
        for kind, identifier in wanted:
            ids[kind].append(identifier)
        for kind, identifiers in ids.items():
            aggregate = self._home.handlers.aggregates[kind]
            ciphers = self._ciphers(aggregate, identifiers)
            # All in one answer: by default the first holds 101.
            collection = self._home.database.get_collection(kind, codec_options=AS_STORED)
            answer = collection.find({"_id": {"$in": identifiers}}, batch_size=len(identifiers) + 1)
            found = {d["_id"]: taken_apart(d) for d in answer}
            for identifier in identifiers:
                stored = found.get(identifier)
                documents[kind, identifier] = Document(
                    aggregate, identifier, stored, ciphers.get(f"{kind}/{identifier}")
                )
        return documents

    def _ciphers(self, aggregate: Aggregate, identifiers: Iterable[str]) -> dict[str, FieldCipher]:
        if not states.personal_fields(aggregate.state):
            return {}
        return self._keys.find([f"{aggregate.name}/{identifier}" for identifier in identifiers])

    def _settle(self, taken: Taken, batch: Batch, reads: Any) -> Outcome:
        document = batch.documents[taken.place]
        if isinstance(taken.origin, Due) and not document.awaits(taken.origin.name, taken.origin.due):
            return document.outcome(Settled.DUPLICATE)
        if document.has_seen(taken.mark):
            if not document.same_body(taken.mark, taken.body_hash):
                return document.outcome(Settled.CONFLICT)
            return _over(taken, document, batch, Settled.DUPLICATE)
        if taken.sequence and not taken.sequence.newer_than(document.stream(taken.sequence.stream)):
            document.note(taken, batch.at, settled=Settled.SUPERSEDED)
            return document.outcome(Settled.SUPERSEDED)
        return self._try(taken, document, batch, reads)

    def _try(self, taken: Taken, document: Document, batch: Batch, reads: Any) -> Outcome:
        failure: Exception | None = None
        for _attempt in range(TRIES):
            try:
                return self._decide(taken, document, batch, reads)
            except Refused as refusal:
                return _refused(taken.origin, batch, refusal, document)
            except AutoReconnect:
                raise
            except Exception as error:  # noqa: BLE001 - parked or refused below
                failure = error
        return _failed(self._home, taken.origin, batch, failure)

    def _decide(self, taken: Taken, document: Document, batch: Batch, reads: Any) -> Outcome:
        if not taken.handler.said_by(document.state, taken.message):
            raise NotYours(f"{taken.message.name}: {taken.message.organisation} may not say this")
        created = document.version == 0
        lost = self._lost(taken, document)
        message = replace(taken.message, lost=True) if lost else taken.message
        decision = taken.handler.decide(document.state, message, reads)
        if decision == NOTHING:
            if not created:
                document.advance(taken, batch.at)
            return _over(taken, document, batch, Settled.IGNORED)
        if lost:
            document.go_on_after(lost)
        entries = self._entries(taken, document, decision)
        effects = [_effect(taken, effect, batch.at) for effect in decision.effects]
        settled = Settled.SUPERSEDED if decision.superseded else Settled.APPLIED
        if decision.state is None and created:
            raise ValueError(f"{taken.message.name}: decides something without any state that remembers it")
        document.change(taken, decision, batch.at, settled=settled)
        batch.entries += entries
        batch.effects += effects
        outcome = document.outcome(settled, created=created)
        return _finished(taken.origin, outcome, batch)

    def _lost(self, taken: Taken, document: Document) -> int:
        """The sequence of an own event beyond the aggregate's version, which the store has lost therefore; else 0."""
        number = taken.sequence.number if taken.sequence else None
        own = taken.message.organisation == self._home.organisation and taken.message.source == self._home.source
        return number if own and number is not None and number > document.version else 0

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


def _one_per_stream(decision: Decision[Any]) -> None:
    said: dict[tuple[str, str | None, str], list[Contract]] = defaultdict(list)
    for publish in decision.publish:
        contract = border.contract_of(publish.schema)
        said[stream_of(contract.name) or contract.name, publish.subject, publish.to].append(contract)
    for contracts in said.values():
        versions = [contract.version for contract in contracts]
        if len({contract.name for contract in contracts}) > 1 or len(set(versions)) != len(versions):
            raise ValueError("a decision publishes at most one event of a stream to one destination")
        # Whoever reads several versions applies the one that comes first.
        if versions != sorted(versions, reverse=True):
            raise ValueError(f"{contracts[0].name}: its newest version is published first")


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
        "traceparent": taken.cause.trace.parent,
        "tracestate": taken.cause.trace.state,
    }


def _ended(incoming: Incoming, settled: Settled, batch: Batch) -> Outcome:
    return _finished(incoming, Outcome(settled=settled), batch)


def _over(taken: Taken, document: Document, batch: Batch, settled: Settled) -> Outcome:
    # A timer that fired is done, whatever was decided; it would fire for ever.
    if isinstance(taken.origin, Due):
        document.drop_timer(taken.origin.name)
    return _finished(taken.origin, document.outcome(settled), batch)


def _finished(incoming: Incoming, outcome: Outcome, batch: Batch) -> Outcome:
    # An effect's document goes away in the transaction that its result is applied in.
    if isinstance(incoming, Result) and not incoming.failed:
        batch.done_effects.append(incoming.effect)
    return outcome


def _parked(incoming: Incoming, batch: Batch, reason: Reason, error: str, rule: str | None = None) -> Outcome:
    if not isinstance(incoming, Arrival):
        raise TypeError(f"only what came from the broker can be parked: {error}")
    event = incoming.envelope.id
    parked = Parked(delivery=incoming.delivery, reason=reason, error=error, rule=rule, event=event, at=batch.at)
    batch.parked.append(parked)
    return Outcome(settled=Settled.PARKED)


def _refused(incoming: Incoming, batch: Batch, refusal: Refused, document: Document | None = None) -> Outcome:
    if isinstance(incoming, Arrival):
        return _parked(incoming, batch, *_why(refusal))
    if isinstance(incoming, Due) and document is not None:
        log.warning("timer.refused", timer=incoming.name, id=incoming.id, rule=refusal.rule)
        document.drop_timer(incoming.name)
    state = document.state if document else None
    identifier = document.id if document else None
    return Outcome(settled=Settled.REFUSED, refusal=refusal, aggregate_id=identifier, state=state)


def _why(refusal: Refused) -> tuple[Reason, str, str | None]:
    if isinstance(refusal, NotYours):
        return Reason.NOT_YOURS, str(refusal), None
    if isinstance(refusal, Invalid):
        return Reason.SCHEMA, str(refusal), None
    return Reason.RULE, str(refusal), refusal.rule


def _failed(home: Home, incoming: Incoming, batch: Batch, error: Exception | None) -> Outcome:
    log.error("decision.failed", message=_name(incoming), **_ids(home, incoming), error=error)
    if isinstance(incoming, Arrival):
        if incoming.delivery.attempts < len(home.settings.retry_seconds):
            return _retried(home, incoming, batch)
        return _parked(incoming, batch, Reason.ERROR, kind_of(error) if error else "")
    failure = Failed("The service failed at this; its operators can find it in the log.")
    failure.__cause__ = error
    return Outcome(settled=Settled.REFUSED, refusal=failure)


def _retried(home: Home, arrival: Arrival, batch: Batch) -> Outcome:
    """The next step of the ladder: the message waits there, and comes back to the one queue as it came."""
    delivery = arrival.delivery
    step = delivery.attempts + 1
    again = Again(
        content_type=delivery.content_type,
        headers={n: v for n, v in safe_headers(delivery.headers).items() if n not in HEADERS},
        replay=delivery.replay,
        attempts=step,
        wait_seconds=home.settings.retry_seconds[delivery.attempts],
    )
    entry = Entry(
        exchange=own_exchange(home.organisation),
        key=wait(queue(home.organisation, home.service), step),
        body=delivery.body,
        aggregate=f"retry/{arrival.envelope.id}",
        version=step,
        origin=delivery.routing_key,
        again=again,
    )
    batch.entries.append(entry)
    batch.retried.append(delivery)
    return Outcome(settled=Settled.RETRIED)


def _failures(home: Home, incoming: Sequence[Incoming], batch: Batch) -> list[bool]:
    """Of each message from the broker, whether this service or its own organisation failed at it (see `KillSwitch`)."""
    failed = {id(parked.delivery) for parked in batch.parked if _is_own_failure(home, parked)}
    failed |= {id(delivery) for delivery in batch.retried}
    return [id(one.delivery) in failed for one in incoming if isinstance(one, Arrival)]


def _is_own_failure(home: Home, parked: Parked) -> bool:
    if parked.reason is Reason.SCHEMA:
        return parked.words[2:3] == [home.organisation]
    return parked.reason is Reason.ERROR


def _ended_replays(incoming: Sequence[Incoming], outcomes: Sequence[Outcome]) -> list[tuple[Replay, str]]:
    # Those that are parked again end with that.
    return [
        (replay, str(outcome.settled))
        for one, outcome in zip(incoming, outcomes, strict=True)
        if (replay := _replay(one)) and outcome.settled not in _NOT_ENDED and not _is_dead(one, outcome)
    ]


def _replay(incoming: Incoming) -> Replay | None:
    if isinstance(incoming, Arrival):
        return incoming.delivery.replay
    return incoming.replay if isinstance(incoming, Result) else None


def _is_dead(incoming: Incoming, outcome: Outcome) -> bool:
    """Whether it is an effect that was given up, or done with a result that nobody can take."""
    return isinstance(incoming, Result) and (incoming.failed or outcome.settled is Settled.REFUSED)


def _dead_effects(incoming: Sequence[Incoming], outcomes: Sequence[Outcome], at: datetime) -> list[DeadEffect]:
    return [
        DeadEffect(one.effect, _parked_effect(one, outcome, at), None if one.failed else one.data)
        for one, outcome in zip(incoming, outcomes, strict=True)
        if isinstance(one, Result) and _is_dead(one, outcome)
    ]


def _parked_effect(result: Result, outcome: Outcome, at: datetime) -> Parked:
    # What it was to do may be personal, so that its id alone stands in the lot.
    body = result.effect.encode()
    delivery = Delivery(body=body, routing_key=result.name, queue=EFFECTS_QUEUE, own=True, replay=result.replay)
    refused = outcome.refusal.rule if outcome.refusal else "refused"
    return Parked(delivery=delivery, reason=Reason.EFFECT, error=result.error or f"result: {refused}", at=at)


def _origin(ready: Incoming | Taken) -> Incoming:
    return ready.origin if isinstance(ready, Taken) else ready


def _name(incoming: Incoming) -> str:
    return incoming.envelope.name if isinstance(incoming, Arrival) else incoming.name


def _ids(home: Home, incoming: Incoming) -> dict[str, str | None]:
    """What finds a message again: in the stores by its id, at other services by journey and trace."""
    trace = tracing.of(home, incoming).trace
    match incoming:
        case Arrival(envelope=envelope):
            return {"id": envelope.id, "correlation": envelope.correlation or journey(envelope.subject), "trace": trace}
        case Order():
            return {"id": incoming.path.get("id"), "trace": trace}
        case Due() | Result():
            return {"id": incoming.id, "correlation": journey(incoming.id), "trace": trace}


def _count(outcomes: Sequence[Outcome], batch: Batch) -> None:
    for outcome in outcomes:
        metrics.SETTLED.labels(str(outcome.settled)).inc()
    for parked in [*batch.parked, *(dead.parked for dead in batch.dead_effects)]:
        tell_parked(parked)
    for delivery in batch.retried:
        metrics.RETRIES.labels(str(delivery.attempts + 1)).inc()
