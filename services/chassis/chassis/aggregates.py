"""One aggregate, one document: its state and all that the chassis keeps beside it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from chassis import states
from chassis.incoming import Outcome, Settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chassis.crypto import FieldCipher
    from chassis.decision import Aggregate, Decision
    from chassis.messages import Taken

HISTORY_KEPT = 20
"""Entries of the history in the document; older ones move to a collection of their own."""

HISTORY_SLACK = 20
"""How far the history may grow beyond, so that it is not moved at every message."""

AS_STORED: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument, tz_aware=True)
"""How documents are read; `taken_apart` decodes what decisions need."""

_DECODED: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
_EPOCH = date(1970, 1, 1)


def history_collection(aggregate: str) -> str:
    """Name of the collection for what no longer fits a document's history."""
    return f"{aggregate}_history"


def taken_apart(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A document of which all is decoded but the entries of its history, which are only written again.

    They take four times the memory when they are decoded, and most of the time that a document takes.
    """
    return {n: bson.decode(v.raw, _DECODED) if isinstance(v, RawBSONDocument) else v for n, v in raw.items()}


def _aware(stored: datetime) -> datetime:
    # The store keeps UTC without saying so.
    return stored if stored.tzinfo else stored.replace(tzinfo=UTC)


class Document:
    """One aggregate within a batch.

    Attributes:
        kind: Kind of the aggregate.
        id: Its id.
        state: Its state; None where there is no aggregate yet.
        version: Its version; 0 where there is no aggregate yet.
        loaded_version: Its version in the store.
        changed: Whether it is to be written.
        cipher: Of its key, or None where it has none yet.
    """

    __slots__ = (
        "_aggregate", "_history", "_seen", "_streams", "_timers", "changed", "cipher", "id", "kind", "loaded_version",
        "state", "version",
    )  # fmt: skip

    def __init__(
        self, aggregate: Aggregate, identifier: str, stored: Mapping[str, Any] | None, cipher: FieldCipher | None
    ) -> None:
        """Take the stored document apart; None where there is none."""
        found = stored or {"version": 0, "schema": aggregate.schema}
        self._aggregate = aggregate
        self.kind = aggregate.name
        self.id = identifier
        self.cipher = cipher
        self.version = self.loaded_version = int(found["version"])
        self.state = states.load(aggregate, found["state"], found["schema"], cipher) if stored else None
        self._history: list[Mapping[str, Any]] = list(found.get("history", []))
        self._timers: dict[str, datetime] = {n: _aware(d) for n, d in found.get("timers", {}).items()}
        self._seen: dict[str, Any] = dict(found.get("seen", {}))
        self._streams: dict[str, Any] = dict(found.get("streams", {}))
        self.changed = False

    def after_writing(self) -> Document:
        """A copy as it is loaded again once this one is written, to decide on while that is still being done."""
        copy = Document(self._aggregate, self.id, None, self.cipher)
        copy.state = self.state
        copy.version = copy.loaded_version = self.version
        copy._history, copy._timers = list(self._history), dict(self._timers)
        copy._seen, copy._streams = dict(self._seen), dict(self._streams)
        return copy

    @property
    def needs_cipher(self) -> bool:
        """Whether there is something personal in it and no key yet."""
        return self.cipher is None and states.holds_personal(self.state)

    def has_seen(self, mark: str) -> bool:
        """Whether a message was taken in before."""
        return mark in self._seen

    def same_body(self, mark: str, body_hash: str) -> bool:
        """Whether a command that was seen had the same body."""
        seen = self._seen[mark]
        return not body_hash or (isinstance(seen, list) and seen[1] == body_hash)

    def awaits(self, timer: str, due: datetime) -> bool:
        """Whether a timer still waits for that moment."""
        return self._timers.get(timer) == due

    def stream(self, stream: str) -> Mapping[str, int] | None:
        """What is known of a stream."""
        return self._streams.get(stream)

    def note(self, taken: Taken, at: datetime, *, settled: Settled, reason: str | None = None) -> None:
        """Remember a message: mark and history."""
        self._mark(taken, at)
        message = taken.message
        entry = {
            "at": at.isoformat(),
            "name": message.name,
            "by": message.organisation,
            "person": message.person,
            "event": message.id,
            "version": self.version,
            "reason": reason,
            "settled": None if settled is Settled.APPLIED else str(settled),
        }
        self._history.append({name: value for name, value in entry.items() if value is not None})

    def change(self, taken: Taken, decision: Decision[Any], at: datetime, *, settled: Settled) -> None:
        """Apply a decision.

        Raises:
            ValueError: A timer has no offset.
        """
        if any(due.tzinfo is None for due in decision.timers.values()):
            raise ValueError(f"{taken.message.name}: a timer is due at a moment with offset")
        self.note(taken, at, settled=settled, reason=decision.reason)
        if decision.state is not None:
            self.state = decision.state
        # A timer that fired is done, unless the decision sets it again.
        if taken.handler.kind == "timer":
            self._timers.pop(taken.message.name, None)
        for name in decision.clear:
            self._timers.pop(name, None)
        # The store keeps milliseconds; a timer that it cannot keep exactly would never be met again.
        self._timers.update(
            {n: d.replace(microsecond=d.microsecond // 1000 * 1000) for n, d in decision.timers.items()}
        )
        if taken.sequence:
            self._streams[taken.sequence.stream] = taken.sequence.stored()

    def advance(self, taken: Taken, at: datetime) -> None:
        """Remember an event that decides nothing here, so that an older one of its stream does not follow it.

        What has no stream is not remembered: deciding it again is as harmless.
        """
        if taken.sequence and self._streams.get(taken.sequence.stream) != taken.sequence.stored():
            self._mark(taken, at)
            self._streams[taken.sequence.stream] = taken.sequence.stored()

    def go_on_after(self, sequence: int) -> None:
        """Give the message that is applied next the version that an own event once had.

        Whatever is said of the aggregate later would otherwise be older than what others know of it.
        """
        self.version = max(self.version, sequence - 1)

    def drop_timer(self, name: str) -> None:
        """Forget a timer that fired."""
        self.version += 1
        self.changed = True
        self._timers.pop(name, None)

    def stored(self, oldest: datetime) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The document to write, and the entries of its history that move out of it.

        Args:
            oldest: Marks from before this day are forgotten.
        """
        overflow: list[dict[str, Any]] = []
        if len(self._history) > HISTORY_KEPT + HISTORY_SLACK:
            old, self._history = self._history[:-HISTORY_KEPT], self._history[-HISTORY_KEPT:]
            overflow = [
                {"_id": f"{self.id}/{e['version']}", "aggregate": self.id, "version": e["version"], "entry": e}
                for e in old
            ]
        document: dict[str, Any] = {
            "_id": self.id,
            "schema": self._aggregate.schema,
            "version": self.version,
            "state": states.dump(self.state, self.cipher),
            "history": self._history,
            "timers": self._timers,
            "seen": self._pruned((oldest.date() - _EPOCH).days),
            "streams": self._streams,
        }
        if self._timers:
            document["due"] = min(self._timers.values())
        return document, overflow

    def outcome(self, settled: Settled, *, created: bool = False) -> Outcome:
        """How a message ended, with the aggregate as it now stands."""
        return Outcome(settled=settled, aggregate_id=self.id, state=self.state, version=self.version, created=created)

    def _mark(self, taken: Taken, at: datetime) -> None:
        self.version += 1
        self.changed = True
        day = (at.date() - _EPOCH).days
        self._seen[taken.mark] = [day, taken.body_hash] if taken.body_hash else day

    def _pruned(self, oldest: int) -> dict[str, Any]:
        return {m: day for m, day in self._seen.items() if (day[0] if isinstance(day, list) else day) >= oldest}
