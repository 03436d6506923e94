"""The test kit's other half: a service on a real store, and as a real process on a real broker.

`Workshop` applies messages to a real store without a broker, in the test's own process; `Running` starts a service as
its users do. Both need the organisation's folder that `Place` makes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import amqp
import kombu

from chassis import profile, secrets, settings, strictjson
from chassis.border import arrive
from chassis.decision import Classification
from chassis.floor import Floor
from chassis.incoming import Arrival, Delivery, Order, Outcome
from chassis.outbox import Outbox
from chassis.ports import free_port
from chassis.profile import Envelope
from chassis.settings import Settings
from chassis.tokens import ROLES, Bearer, mint
from chassis.topology import EVENTS, queue

if TYPE_CHECKING:
    from chassis.service import Service

T = TypeVar("T")


def eventually(look: Callable[[], T], *, seconds: float = 20, what: str = "") -> T:
    """Look until the answer is true, and return it.

    Raises:
        AssertionError: It was not within the time; the text says what was last seen.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'it'} did not come within {seconds} s; last seen: {seen!r}")
        time.sleep(0.02)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one organisation's service runs in a test.

    Attributes:
        folder: A folder of its own.
        organisation: The organisation's code.
        network: The network's file.
        amqp: The broker.
        mongo: The store.
        more: Further variables of the environment.
    """

    folder: Path
    organisation: str
    network: Path
    amqp: str
    mongo: str
    more: Mapping[str, str] = field(default_factory=dict)

    def environment(self, port: int) -> dict[str, str]:
        """Variables of a service; secrets and keys are made where missing."""
        own = self.folder / self.organisation
        secrets.make(own, self.folder / "keys", self.organisation)
        return {
            "VIISIKKO_ORGANISATION": self.organisation,
            "VIISIKKO_AMQP_URI": self.amqp,
            "VIISIKKO_MONGO_URI": self.mongo,
            "VIISIKKO_HTTP": f"127.0.0.1:{port}",
            "VIISIKKO_NETWORK": str(self.network),
            "VIISIKKO_SECRETS": str(own),
            "VIISIKKO_KEYS": str(self.folder / "keys"),
            "VIISIKKO_CLOCK": str(self.folder / "clock"),
            # No test waits for the ladder unless it asks for it.
            "VIISIKKO_RETRY_SECONDS": "",
            **self.more,
        }

    def token(self, *roles: str, person: str = "kunta-1") -> str:
        """A new token; by default with every role."""
        bearer = Bearer(
            organisation=self.organisation,
            person=person,
            roles=frozenset(roles or ROLES),
            expires=datetime.now(UTC) + timedelta(hours=1),
        )
        own = self.folder / self.organisation
        own.mkdir(parents=True, exist_ok=True)
        return mint(own / "tokens.json", [bearer])[0]


def event(  # noqa: PLR0913 - each argument has a default but the first
    name: str,
    data: Any = None,
    *,
    source: str = "urn:viisikko:kunta:test",
    to: str = "kunta",
    subject: str = "s-1",
    identifier: str | None = None,
    sequence: int | None = None,
    time: datetime | None = None,
    correlation: str | None = None,
    classification: Classification = Classification.PSEUDONYMOUS,
    version: int = 1,
) -> Envelope:
    """An event with defaults for all that a test does not care about."""
    return Envelope(
        id=identifier or str(uuid.uuid4()),
        source=source,
        organisation=source.split(":")[2],
        name=name,
        version=version,
        subject=subject,
        time=time or datetime.now(UTC),
        destination=to,
        classification=classification,
        data={} if data is None else data,
        sequence=sequence,
        correlation=correlation,
    )


def delivery(envelope: Envelope, *, at: str = "kunta.test", own: bool = False) -> Delivery:
    """An event as the broker delivers it."""
    return Delivery(
        body=profile.compose(envelope),
        routing_key=envelope.routing_key,
        queue=at,
        content_type=profile.CONTENT_TYPE,
        own=own,
    )


class Publisher:
    """Publishes to the network's exchange as a partner would; each message is confirmed before the next."""

    def __init__(self, uri: str) -> None:
        """Connect.

        Args:
            uri: The broker, with a user who may publish.
        """
        self._connection = kombu.Connection(uri)
        self._channel: Any = self._connection.channel()
        self._channel.confirm_select()

    def send(self, *envelopes: Envelope, **properties: Any) -> None:
        """Publish events under their own keys, with AMQP properties where given."""
        for envelope in envelopes:
            self.raw(profile.compose(envelope), envelope.routing_key, **properties)

    def raw(self, body: bytes, key: str, **properties: Any) -> None:
        """Publish anything under any key."""
        message = amqp.Message(body, **{"content_type": profile.CONTENT_TYPE, **properties})
        self._channel.basic_publish_confirm(message, EVENTS, key)

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


class Workshop:
    """One service on a real store, without a broker: what it publishes stays in the outbox to be looked at."""

    def __init__(self, service: type[Service], place: Place) -> None:
        """Build the floor; the place's environment is read as a process would."""
        kinds = {"chassis": Settings} | ({"own": service.settings} if service.settings else {})
        read = settings.read(kinds, place.environment(1))
        self.floor = Floor(service, read["chassis"], read.get("own"))
        self.floor.indexes()
        self.service = service.on(self.floor)
        self._queue = queue(place.organisation, service.name)

    def close(self) -> None:
        """Close the connection to the store."""
        self.floor.close()

    def take(self, *events: Envelope) -> list[Outcome]:
        """Apply events in one batch."""
        arrivals: Sequence[Arrival] = [arrive(self.floor.home, delivery(one, at=self._queue)) for one in events]
        return self.floor.transaction.apply(arrivals)

    def order(self, name: str, data: Any = None, *, mark: str | None = None, **fields: Any) -> Outcome:
        """Apply one command."""
        one = Order(name=name, data=data or {}, mark=mark or uuid.uuid4().hex, body_hash=_hash(data), **fields)
        return self.floor.transaction.apply([one])[0]

    def sent(self) -> list[dict[str, Any]]:
        """All events that wait in the outbox, as JSON, in order."""
        pages = Outbox(self.floor.home.database).pages(1000)
        return [strictjson.loads(entry.body) for page in pages for entry in page.entries]

    def state(self, aggregate: str, identifier: str) -> Any:
        """One aggregate's state, or None."""
        return self.service.state(aggregate, identifier)


@contextmanager
def running(service: str, place: Place, *, wait_seconds: float = 40) -> Iterator[Running]:
    """A service as a process of its own, ended at the end."""
    process = Running(service, place, free_port())
    process.start()
    try:
        process.wait_ready(wait_seconds)
        yield process
    finally:
        process.stop()


class Running:
    """One service process."""

    def __init__(self, service: str, place: Place, port: int) -> None:
        """Describe it; `start` starts it.

        Args:
            service: Its name, or ``module:Class`` of a service that is not installed.
            place: Where it runs.
            port: Where it listens.
        """
        self.url = f"http://127.0.0.1:{port}"
        self.place = place
        self.log = place.folder / f"{service.replace(':', '-')}.{port}.log"
        self._service = service
        self._environment = {**os.environ, **place.environment(port)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id."""
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None where it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process; `wait_ready` waits for it."""
        command = [sys.executable, "-W", "ignore", "-m", "chassis.run", self._service]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)  # noqa: S603

    def wait_ready(self, seconds: float = 40) -> None:
        """Wait until the service is ready.

        Raises:
            AssertionError: It ended, or was not ready in time; the text is the end of its log.
        """
        try:
            eventually(self.is_ready, seconds=seconds, what=f"{self._service} ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-3000:]}") from None

    def is_ready(self) -> bool:
        """Whether it says that it is ready."""
        return self.status("/health/ready") == 200  # noqa: PLR2004 - HTTP's OK

    def status(self, path: str) -> int | None:
        """HTTP status of a GET without a token; None where nobody answers."""
        import httpx  # noqa: PLC0415 - services themselves need no HTTP client

        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"{self._service} has ended")
        try:
            return httpx.get(self.url + path, timeout=5).status_code
        except httpx.HTTPError:
            return None

    def kill(self) -> None:
        """End it at once (-9)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """End it in good order; the exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(50)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _hash(data: Any) -> str:
    return hashlib.sha256(strictjson.dumps(data or {})).hexdigest()
