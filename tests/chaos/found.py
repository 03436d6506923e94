"""What a run has left in the stores, in the queues and with the mail server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pymongo
from chaos.posts import number_of
from chaos.stage import SERVICES, Stage

from chassis.aggregates import history_collection
from chassis.batch import EFFECTS
from chassis.outbox import OUTBOX
from chassis.parking import PARKED

WITHIN = frozenset({"ring", "mail"})
"""Names of the timers and effects of a run."""

Database = pymongo.database.Database[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """What is compared with the ledger.

    Attributes:
        applied: Place → number of an event → how often its effect is there.
        parked: Id in a parking lot → queue, reason and the event's id, where it could be read.
        values: What follows from several events together: its name → its value.
    """

    applied: Mapping[str, Counter[int]] = field(default_factory=dict)
    parked: Mapping[str, tuple[str, str, str | None]] = field(default_factory=dict)
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trace:
    """One event at one place.

    Attributes:
        event: Its id.
        by: Who said it.
        organisation: Whose service took it.
        at: When, by the service's clock.
        text: All of it in words.
    """

    event: str
    by: str
    organisation: str
    at: datetime
    text: str


class Stores:
    """Reads the services' databases."""

    def __init__(self, stage: Stage) -> None:
        """Read what the stage's services have written; `close` closes the connection."""
        self._stage = stage
        self._client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(stage.store.uri, tz_aware=True)
        self.databases = {f"{c}.{s}": self._client[f"{c}_{s}"] for c, services in SERVICES.items() for s in services}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def busy(self) -> dict[str, int]:
        """What the services still have to do: outboxes, effects and timers that are due, each with how many."""
        found = {}
        for name, database in self.databases.items():
            found[f"{name} outbox"] = database[OUTBOX].estimated_document_count()
            found[f"{name} effects"] = database[EFFECTS].count_documents({"dead": {"$ne": True}})
        return found | {
            "kunta.first timers": self.databases["kunta.first"]["reminder"].count_documents({"due": {"$gt": _EPOCH}})
        }

    def read(self) -> Found:
        """Everything that is compared."""
        first, second = self.databases["kunta.first"], self.databases["seamk.second"]
        referral, notify = self.databases["seamk.referral"], self.databases["seamk.notify"]
        applied = {
            "deposited": _counted(first["account"]),
            "echoed": _counted(first["echo"]),
            "pinned at first": _counted(first["board"]),
            "pinned at second": _counted(second["board"]),
            "passed": _counted(second["receipt"]),
            "levelled": _in_history(first, "level"),
            "asked": _times(first["reminder"], "asked"),
            "rang": _times(first["reminder"], "rang"),
            "rung": _times(second["ring"], "times"),
            "referred": _in_history(referral, "referral"),
            "notified": _in_history(notify, "notification"),
            "mailed": self._mailed(),
            "told of the mail": _times(second["letter"], "times"),
        }
        return Found(applied, dict(self._parked()), dict(_values(first, second, referral)))

    def traces(self, event: str) -> Iterator[Trace]:
        """Where one event stands in histories, outboxes and parking lots."""
        for name, database in self.databases.items():
            for collection in sorted(database.list_collection_names()):
                for document in database[collection].find({"history.event": event}, {"history": 1}):
                    yield from _traces(name, f"{collection}/{document['_id']}", document["history"], event)
            organisation, now = name.partition(".")[0], datetime.now(UTC)
            for page in database[OUTBOX].find({"entries.body": {"$exists": True}}):
                if any(f'"{event}"'.encode() in bytes(entry["body"]) for entry in page["entries"]):
                    yield Trace(event, organisation, organisation, now, f"{event} still in the outbox of {name}")
            for entry in database[PARKED].find({"event": event}):
                text = f"{entry['last']} {event} parked in {entry['queue']} as {entry['reason']}: {entry['error']}"
                yield Trace(event, organisation, organisation, now, text)

    def _parked(self) -> Iterator[tuple[str, tuple[str, str, str | None]]]:
        for database in self.databases.values():
            for entry in database[PARKED].find({}, {"queue": 1, "reason": 1, "event": 1}):
                yield entry["_id"], (entry["queue"], entry["reason"], entry["event"])

    def _mailed(self) -> Counter[int]:
        # A mail that is sent again has the same Message-ID, by which the receiving mail system knows it: once is told.
        ids = {mail["Message-ID"].strip("<>") for mail in self._stage.mail.mails()}
        return _of_ids(ids)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _traces(service: str, place: str, history: Sequence[Mapping[str, Any]], event: str) -> Iterator[Trace]:
    # Timers and results have ids of their own; they stand in the one document of what they belong to.
    inner = {entry["event"] for entry in history if entry["name"] in WITHIN}
    for entry in history:
        if entry["event"] in {event, *inner}:
            said = ", ".join(f"{name} {value}" for name, value in entry.items() if name not in {"at", "event"})
            text = f"{entry['at']} {entry['event']} at {service} {place}: {said}"
            organisation = service.partition(".")[0]
            yield Trace(entry["event"], entry["by"], organisation, datetime.fromisoformat(entry["at"]), text)


def _counted(collection: Any) -> Counter[int]:
    found: Counter[int] = Counter()
    for document in collection.find({}, {"state.applied": 1}):
        found.update({int(number): times for number, times in document["state"]["applied"].items()})
    return found


def _times(collection: Any, field_name: str) -> Counter[int]:
    found: Counter[int] = Counter()
    for document in collection.find({}, {f"state.{field_name}": 1}):
        identifier = document["_id"]
        number = int(identifier) if identifier.isdigit() else number_of(identifier)
        if number is not None:
            found[number] += document["state"][field_name]
    return found


def _in_history(database: Database, aggregate: str) -> Counter[int]:
    """How often each event stands in the histories of a kind of aggregate, whether applied or superseded."""
    kept = (entry for d in database[aggregate].find({}, {"history": 1}) for entry in d["history"])
    moved = (d["entry"] for d in database[history_collection(aggregate)].find({}, {"entry": 1}))
    events = [entry["event"] for entries in (kept, moved) for entry in entries]
    return _of_ids(events)


def _of_ids(identifiers: Any) -> Counter[int]:
    numbers = (number_of(identifier) for identifier in identifiers)
    return Counter(number for number in numbers if number is not None)


def _values(first: Database, second: Database, referral: Database) -> Iterator[tuple[str, object]]:
    for document in first["level"].find({}, {"state.value": 1}):
        yield f"level {document['_id']}", document["state"]["value"]
    for document in first["account"].find({}, {"state": 1}):
        yield f"total {document['_id']}", document["state"]["total"]
        if document["state"]["stated"] is not None:
            yield f"last said of {document['_id']}", document["state"]["stated"]
    for document in second["statement"].find({}, {"state": 1}):
        yield f"last heard of {document['_id']}", document["state"]["total"]
    for document in referral["referral"].find({}, {"state.status": 1}):
        yield f"referral {document['_id']}", document["state"]["status"]
