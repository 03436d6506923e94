"""The floor that one running service stands on: home, transaction, projections and duties, put together once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import eventlet
from eventlet.support import greenlets
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from chassis import crypto, network, secrets, tracing
from chassis.amqp import RETRY_SECONDS, Weather
from chassis.border import schema_of
from chassis.clock import Clock
from chassis.crypto import KeyRing, References
from chassis.decision import Invalid
from chassis.documents import Documents
from chassis.duties import Duties
from chassis.effects import Effects
from chassis.gauges import Gauges
from chassis.home import Home
from chassis.logs import log
from chassis.outbox import Outbox
from chassis.parked import ParkedEvents
from chassis.projection import Projection, projection
from chassis.sessions import Sessions
from chassis.timers import Timers
from chassis.tokens import Tokens
from chassis.transaction import Transaction

if TYPE_CHECKING:
    from chassis.service import Service
    from chassis.settings import Settings
    from chassis.subscriber import Subscriber
    from chassis.web import Request

READINGS = "reads"
MEASURE_SECONDS = 1.0
STALE_SECONDS = 5.0
"""Seconds without an answer of the store after which it is taken for gone."""

ANSWER_SECONDS = 30
"""How long an operation waits for its answer; then its connection is given up and the operation is tried anew."""

STORE_SECONDS = 5
"""How long a call waits for a store that is away before it says so."""

CLOSE_SECONDS = 2
"""How long a stop waits for the store once all is finished: to count what is left, and to let go of it."""


class Floor:
    """Everything that one service instance runs on."""

    def __init__(self, service: type[Service], settings: Settings, own_settings: Any) -> None:
        """Put it together; nothing is connected yet.

        Args:
            service: The service's class.
            settings: The chassis's settings.
            own_settings: Instance of the service's own settings, or None.

        Raises:
            ValueError: The network's file or the secrets' folder is wrong.
        """
        self.own_settings = own_settings
        self._service = service
        self._client: MongoClient[dict[str, Any]] = MongoClient(
            settings.mongo,
            tz_aware=True,
            serverSelectionTimeoutMS=STORE_SECONDS * 1000,
            connectTimeoutMS=STORE_SECONDS * 1000,
            socketTimeoutMS=ANSWER_SECONDS * 1000,
            appname=f"{settings.organisation}.{service.name}",
        )
        self.home = self._build_home(settings)
        self.tokens = Tokens(self.home.secrets.tokens)
        self.projections = {
            name: Projection(self.home, declared)
            for name, declared in vars(service).items()
            if isinstance(declared, projection)
        }
        self.documents = Documents(self.home)
        self.transaction = Transaction(self.home, self.documents, committed=self._committed)
        self.parked = ParkedEvents(self.home, self.transaction)
        self.queries = service.queries(self.home.database) if service.queries else None
        self._outbox = Outbox(self.home.database)
        self._gauges = Gauges(self.home)
        self._behind = False
        self._waiting = 0
        # One for the whole process, so that it is told once; only the measuring, which reads, says that it is back.
        self.store = Weather("store")
        self.store_ready = False
        self._opened = False
        self._seen = 0.0
        self._followers: list[eventlet.greenthread.GreenThread] = []
        self.subscriber: Subscriber | None = None
        self.duties = self._build_duties()

    def open(self) -> None:
        """Begin to follow the store, in green threads; whatever is not there or fails is waited for."""
        self._follow(self._open)

    def is_behind(self) -> bool:
        """Whether commands must wait: the outbox is longer than its limit, or what decisions read is not loaded."""
        return self._behind or not self.may_decide()

    def is_full(self) -> bool:
        """Whether the outbox is longer than its limit, so that nothing more is to be taken from the broker."""
        return self._behind

    def may_decide(self) -> bool:
        """Whether what decisions read is there; what is not complete would decide wrongly and for ever."""
        return self._opened and all(kept.loaded for kept in self.projections.values())

    def ready(self) -> dict[str, bool]:
        """What readiness depends on, each with whether it is there."""
        loaded = all(kept.loaded for kept in self.projections.values())
        # A store that hangs does not even fail.
        seen = time.monotonic() - self._seen < STALE_SECONDS
        failing = self.subscriber is not None and self.subscriber.failing.away
        parts = {"store": self.store_ready and seen, "projections": loaded, "decisions": not failing}
        parts["outbox"] = not self._behind
        return {**parts, **self.duties.ready()}

    def broker_ready(self) -> bool:
        """Whether events can come."""
        return self.subscriber is not None and self.subscriber.connected()

    def left(self) -> dict[str, int]:
        """What a stop leaves: messages to the next replica, and the outbox and effects in hand to the next leader."""
        messages = self.subscriber.left() if self.subscriber is not None else 0
        if not self.duties.leads:
            return {"messages": messages, "outbox": 0, "effects": 0}
        # A store that cannot be asked keeps its last answer.
        with eventlet.Timeout(CLOSE_SECONDS, exception=False), suppress(PyMongoError):
            self._waiting, _age = self._outbox.measure(self.home.clock.now())
        return {"messages": messages, "outbox": self._waiting, "effects": self.duties.in_hand}

    def show(self, view: type, state: Any) -> Mapping[str, Any]:
        """A state as its view shows it."""
        shown: Mapping[str, Any] = schema_of(view).dump(state)
        return shown

    def short_reference(self, client: str) -> str:
        """The short reference that people read, for a client id or reference."""
        return crypto.short_reference(client)

    def read_reference(self, text: str) -> str:
        """The short reference that somebody typed, as it is written.

        Raises:
            Invalid: It is none, or has a slip in it.
        """
        read = crypto.read_short_reference(text.strip())
        if read is None:
            rule = "must be the eight characters of a client's reference; one is wrong, look again"
            raise Invalid(f"reference: {rule}", field="reference")
        return read

    def log_reading(self, request: Request, why: str) -> None:
        """Remember that somebody reads personal data (domain.md, Privacy)."""
        self.home.database[READINGS].insert_one(
            {
                "at": request.at,
                "person": request.person,
                "organisation": request.organisation,
                "why": why,
                "route": request.route,
                "subject": request.path.get("id") or request.path.get("client"),
            }
        )

    def readings(self, subject: str) -> list[dict[str, Any]]:
        """Who has read what of a subject's personal data, oldest first."""
        found = self.home.database[READINGS].find({"subject": subject}, {"_id": 0}).sort("at", 1)
        return [{**reading, "at": reading["at"].isoformat()} for reading in found]

    def indexes(self) -> None:
        """Declare all indexes.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        self.transaction.indexes()
        self.home.database[READINGS].create_index([("subject", 1), ("at", 1)])
        if self.queries is not None:
            self.queries.indexes()

    def close(self) -> None:
        """Stop following the store, then close the connections to it: the other way round it would seem to be away."""
        for thread in self._followers:
            thread.kill()
        # Where the store does not answer, the process ends without its leave.
        with eventlet.Timeout(CLOSE_SECONDS, exception=False):
            self.duties.close()
            for thread in self._followers:
                _wait_for(thread)
            self._client.close()

    def _follow(self, step: Callable[[], None]) -> None:
        self._followers.append(eventlet.spawn(step))

    def _build_home(self, settings: Settings) -> Home:
        service = self._service
        kept = secrets.read(settings.secrets)
        database = f"{settings.organisation}_{service.name}"
        home = Home(
            organisation=settings.organisation,
            service=service.name,
            handlers=service.handlers,
            database=self._client[database],
            keys=self._client[f"{database}_keys"],
            sessions=Sessions(self._client[database]),
            network=network.read(settings.network).network,
            clock=Clock(settings.clock),
            settings=settings,
            keyring=KeyRing(kept.private_keys, settings.keys),
            references=References(kept.reference),
            secrets=kept,
            reads=lambda: service.on(self).reads(),
            spans=tracing.spans(settings, service.name),
        )
        lacking = home.keyring.lacks(signs=home.signs)
        if lacking:
            raise ValueError(f"{kept.private_keys} holds no {lacking}: {secrets.NEXT}")
        return home

    def _build_duties(self) -> Duties:
        service = self._service.on(self)
        adapters = {name: factory(service) for name, factory in self._service.effects.items()}
        effects = Effects(self.home, self.transaction, adapters)
        timers = Timers(self.home, self.transaction)
        return Duties(self.home, timers, effects, store=self.store, may_decide=self.may_decide)

    def _open(self) -> None:
        self._until_done(self.indexes)
        self._seen_store()
        for kept in self.projections.values():
            self._follow(kept.follow)
        self._until_done(self._service.on(self).opened)
        self._opened = True
        self.duties.start()
        while True:
            self._measure()
            eventlet.sleep(MEASURE_SECONDS)

    def _until_done(self, step: Callable[[], object]) -> None:
        """Try until it succeeds: a service that cannot begin says why and is not ready, but it stays."""
        while True:
            try:
                step()
            except PyMongoError as error:
                self.store.gone(error)
            except Exception as error:  # noqa: BLE001 - a service's own code
                log.error("open.failed", step=step.__name__, error=error)
            else:
                return
            eventlet.sleep(RETRY_SECONDS)

    def _measure(self) -> None:
        try:
            self._waiting, age = self._outbox.measure(self.home.clock.now())
            self._gauges.refresh()
        except PyMongoError as error:
            self.store_ready = False
            # What it has not counted keeps nobody waiting; the store that is away does.
            self._behind = False
            self.store.gone(error)
        except Exception as error:  # noqa: BLE001 - a green thread that dies would leave it unready for ever
            log.error("measure.failed", error=error)
        else:
            settings = self.home.settings
            self._behind = self._waiting > settings.outbox_limit or age > settings.outbox_seconds
            self._seen_store()

    def _seen_store(self) -> None:
        self.store_ready = True
        self._seen = time.monotonic()
        self.store.back()

    def _committed(self, changes: Sequence[tuple[str, str, Any, int]]) -> None:
        for kept in self.projections.values():
            self._feed(kept, changes)
        self.duties.committed()

    def _feed(self, kept: Projection, changes: Sequence[tuple[str, str, Any, int]]) -> None:
        try:
            for kind, identifier, state, version in changes:
                if kind == kept.aggregate:
                    kept.feed(identifier, state, version)
        except Exception as error:  # noqa: BLE001 - what is committed stays so; the projection itself follows the store
            log.error("projection.failed", aggregate=kept.aggregate, error=error)


def _wait_for(killed: eventlet.greenthread.GreenThread) -> None:
    with suppress(greenlets.GreenletExit):
        killed.wait()
