"""One batch, decided: what each message changes and sends out, and what becomes of it. Nothing is written here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError
from pymongo.errors import AutoReconnect

from chassis import border, settling
from chassis.decision import Contract, Decision, Effect, NotYours, Refused, stream_of
from chassis.incoming import Due, Incoming, Outcome, Settled
from chassis.messages import Ignored, Taken, take
from chassis.reasons import Unacceptable

if TYPE_CHECKING:
    from datetime import datetime

    from chassis.aggregates import Document
    from chassis.batch import Batch
    from chassis.border import Entry
    from chassis.documents import Documents
    from chassis.home import Home

TRIES = 3
"""Tries of a decision that raises a programming error, before the message takes the ladder."""

NOTHING: Decision[Any] = Decision()


class Decider:
    """Decides what reaches one service."""

    def __init__(self, home: Home, documents: Documents) -> None:
        """Decide by the service's handlers, on its aggregates."""
        self._home = home
        self._documents = documents

    def decide(
        self, ready: Sequence[Incoming | Taken], batch: Batch, known: Mapping[tuple[str, str], Document]
    ) -> list[Outcome]:
        """Decide a batch, in order, and collect in `batch` all that is to be written.

        Args:
            ready: What reached the service; `Taken` where that was made ready before.
            batch: What is to be written; still empty.
            known: Aggregates of the batch that is being written, by kind and id, which stand in for the store's.

        Returns:
            What becomes of each, once the batch is written.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        taken = [one if isinstance(one, Taken) else self._take(one, batch) for one in ready]
        places = dict.fromkeys(one.place for one in taken if isinstance(one, Taken))
        batch.documents = {place: known[place].after_writing() for place in places if place in known}
        batch.documents |= self._documents.find(place for place in places if place not in known)
        reads = self._home.reads()
        return [self._settle(one, batch, reads) if isinstance(one, Taken) else one for one in taken]

    def _take(self, incoming: Incoming, batch: Batch) -> Taken | Outcome:
        try:
            return take(self._home, incoming, batch.at)
        except Ignored:
            return settling.ended(incoming, Settled.IGNORED, batch)
        except ValidationError as error:
            return Outcome(settled=Settled.REFUSED, errors=error.normalized_messages())
        except Unacceptable as error:
            return settling.parked(incoming, batch, error.reason, str(error))
        except Refused as refusal:
            return settling.refused(incoming, batch, refusal)
        except AutoReconnect:
            raise
        except Exception as error:  # noqa: BLE001 - a handler's key is code of a service's own
            return settling.failed(self._home, incoming, batch, error)

    def _settle(self, taken: Taken, batch: Batch, reads: Any) -> Outcome:
        document = batch.documents[taken.place]
        if isinstance(taken.origin, Due) and not document.awaits(taken.origin.name, taken.origin.due):
            return document.outcome(Settled.DUPLICATE)
        if document.has_seen(taken.mark):
            if not document.same_body(taken.mark, taken.body_hash):
                return document.outcome(Settled.CONFLICT)
            return settling.over(taken, document, batch, Settled.DUPLICATE)
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
                return settling.refused(taken.origin, batch, refusal, document)
            except AutoReconnect:
                raise
            except Exception as error:  # noqa: BLE001 - parked or refused below
                failure = error
        return settling.failed(self._home, taken.origin, batch, failure)

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
            return settling.over(taken, document, batch, Settled.IGNORED)
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
        return settling.finished(taken.origin, outcome, batch)

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
