"""Projections: one kind of aggregate, kept in memory for decisions to read.

Rebuilt from the store at start, fed by every commit of this replica, and following the store's changes, since another
replica may have applied the event.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import eventlet
from pymongo.errors import PyMongoError

from chassis import states
from chassis.amqp import RETRY_SECONDS, Weather
from chassis.logs import log

if TYPE_CHECKING:
    from chassis.home import Home

PAGE = 500
AWAIT_MILLISECONDS = 2000
"""How long the store may hold one question for changes open; an idle projection asks this rarely."""

_CHANGES = [{"$project": {"documentKey": 1, "operationType": 1, "fullDocument.version": 1}}]


class Index(Protocol):
    """An index of a service's own that a projection can keep."""

    def put(self, identifier: str, value: Any) -> None:
        """Keep a value, instead of the one that the id had."""

    def remove(self, identifier: str) -> None:
        """Forget an id; one that is not there is no error."""


class _Plain(dict[str, Any]):
    """The usual index: a mapping."""

    def put(self, identifier: str, value: Any) -> None:
        self[identifier] = value

    def remove(self, identifier: str) -> None:
        self.pop(identifier, None)


class projection:  # noqa: N801 - reads as a declaration in a service class
    """Declares a projection in a service class; on an instance it gives the running `Projection`."""

    def __init__(
        self, aggregate: str, project: Callable[[str, Any], Any], *, index: Callable[[], Index] = _Plain
    ) -> None:
        """Say what is kept.

        Args:
            aggregate: Kind of the aggregate.
            project: From id and state to what is kept; None forgets it.
            index: Makes the index that keeps it; by default a mapping.
        """
        self.aggregate = aggregate
        self.project = project
        self.index = index
        self.name = ""

    def __set_name__(self, _owner: type, name: str) -> None:
        """Learn the name in the class."""
        self.name = name

    def __get__(self, service: Any, _owner: type) -> Any:
        """The declaration on the class, the running projection on an instance."""
        return self if service is None else service.floor.projections[self.name]


class Projection:
    """One running projection."""

    def __init__(self, home: Home, declared: projection) -> None:
        """Start empty; `follow` fills it."""
        self.aggregate = declared.aggregate
        self.loaded = False
        self._home = home
        self._project = declared.project
        self._index = declared.index()
        self._versions: dict[str, int] = {}
        self._collection = home.database[declared.aggregate]

    def view(self) -> Any:
        """What decisions read: the index, as an immutable mapping where it is the usual one."""
        return MappingProxyType(self._index) if isinstance(self._index, _Plain) else self._index

    def feed(self, identifier: str, state: Any, version: int) -> None:
        """Take over a state, unless a newer one is known already."""
        if version <= self._versions.get(identifier, 0):
            return
        self._versions[identifier] = version
        value = self._project(identifier, state)
        if value is None:
            self._index.remove(identifier)
        else:
            self._index.put(identifier, value)

    def load(self) -> None:
        """Read all that is in the store.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        page: list[str] = []
        for document in self._collection.find({}, {"version": 1}):
            if document["version"] > self._versions.get(document["_id"], 0):
                page.append(document["_id"])
            if len(page) == PAGE:
                self._read(page)
                page = []
        self._read(page)
        self.loaded = True

    def follow(self) -> None:
        """Load, then follow the store's changes for ever; runs in a green thread."""
        weather = Weather("projection")
        while True:
            try:
                # Watched from before the load, so that nothing falls between the two.
                with self._collection.watch(_CHANGES, max_await_time_ms=AWAIT_MILLISECONDS) as changes:
                    self.load()
                    weather.back(aggregate=self.aggregate)
                    while changes.alive:
                        self._take(changes)
            except PyMongoError as error:
                weather.gone(error)
            except Exception as error:  # noqa: BLE001 - a green thread that dies would leave the view stale for ever
                log.error("projection.failed", aggregate=self.aggregate, error=error)
            eventlet.sleep(RETRY_SECONDS)

    def _take(self, changes: Any) -> None:
        changed: dict[str, int] = {}
        change = changes.try_next()
        while change is not None:
            identifier = change["documentKey"]["_id"]
            changed[identifier] = (change.get("fullDocument") or {}).get("version", 0)
            change = changes.try_next() if len(changed) < PAGE else None
        self._read([i for i, version in changed.items() if version > self._versions.get(i, 0)])

    def _read(self, identifiers: list[str]) -> None:
        if not identifiers:
            return
        aggregate = self._home.handlers.aggregates[self.aggregate]
        names = [f"{self.aggregate}/{identifier}" for identifier in identifiers]
        sealed = states.personal_fields(aggregate.state)
        ciphers = states.FieldKeys(self._home.keys["keys"]).find(names) if sealed else {}
        for document in self._collection.find({"_id": {"$in": identifiers}}):
            cipher = ciphers.get(f"{self.aggregate}/{document['_id']}")
            state = states.load(aggregate, document["state"], document["schema"], cipher)
            self.feed(document["_id"], state, document["version"])
        # Other green threads (health, heartbeats) get their turn while a large catalogue is read.
        eventlet.sleep(0)
