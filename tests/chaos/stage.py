"""All the real parts of a run: a broker, a store, a mail server, and the services as processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from chaos import mutants
from chaos.chain import First, Second
from chaos.queues import Queues

from chassis import network
from chassis.ports import free_port
from chassis.service import Service
from chassis.testing_live import Place
from console import definitions
from console.nodes.broker import RabbitNode
from console.nodes.mail import MailSink
from console.nodes.processes import Nodes, Process, wait_until
from console.nodes.store import StoreNode
from notify.service import Notify
from referral.service import Referrals

NETWORK = Path(__file__).parents[2] / "deploy" / "network.toml"
TESTS = Path(__file__).parents[1]
READY_SECONDS = 60
ANSWER_SECONDS = 1.0
"""A frozen service is not waited for."""

STAFF = "seamk-1"

SERVICES: Mapping[str, Mapping[str, type[Service]]] = {
    "kunta": {"first": First},
    "seamk": {"second": Second, "referral": Referrals, "notify": Notify},
}
"""Organisation → what it runs."""

QUEUES = tuple(f"{code}.{service}" for code, services in SERVICES.items() for service in services)
"""How the names of all queues begin that somebody is to empty."""

REPLICAS = {"first": 2}

SETTINGS = {
    # A frozen service is to be given up, and a wait to be over, within the time of a run.
    "VIISIKKO_HEARTBEAT_SECONDS": "3",
    "VIISIKKO_LEASE_SECONDS": "3",
    "VIISIKKO_RETRY_SECONDS": "1,1,1,1",
    "VIISIKKO_PROBE_SECONDS": "2",
}


@dataclass(frozen=True, slots=True)
class Replica:
    """One service process."""

    name: str
    url: str
    process: Process
    client: httpx.Client

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return self.process.running and self.client.get(f"{self.url}/health/ready").is_success
        except httpx.HTTPError:
            return False


class Stage:
    """The parts. Start it from the thread that lives longest: the kernel ends the processes with it."""

    def __init__(self, folder: Path, *, mutant: str = "") -> None:
        """Describe the parts; `start` starts them."""
        self.folder = folder
        self._mutant = mutant
        self._nodes = Nodes()
        self._passwords = {code: f"pw-{code}" for code in SERVICES}
        self.store = StoreNode(folder / "store")
        self.mail = MailSink(folder / "mail")
        content = self._definitions()
        self.broker = RabbitNode(folder / "broker", definitions=content, statistics_seconds=0.5)
        self.queues = Queues(self.broker, [q["name"] for q in content["queues"] if q["name"].startswith(QUEUES)])
        # One for all looks: to make one takes longer than to ask.
        self._client = httpx.Client(timeout=ANSWER_SECONDS)
        self.replicas: list[Replica] = []
        self._places: dict[str, Place] = {}

    @property
    def clock(self) -> Path:
        """What moves the clock of all services."""
        return self.folder / "clock"

    @property
    def logs(self) -> Path:
        """Where the services' logs are."""
        return self.folder / "logs"

    def start(self) -> None:
        """Start everything and wait until all services are ready.

        Raises:
            NotReady: A part did not come up; the text names its log.
        """
        self._nodes.add(self.broker.kill)
        self._nodes.add(self.store.kill)
        self._nodes.add(self.mail.stop)
        self.store.start()
        self.mail.start()
        # Services wait for their broker, which is the slowest to come.
        for code, services in SERVICES.items():
            self._places[code] = self._place(code)
            for service in services:
                for number in range(1, REPLICAS.get(service, 1) + 1):
                    self._start_replica(code, service, number)
        self.broker.start()
        self.wait_ready()
        self._hire()

    def stop(self) -> None:
        """End everything at once; nothing is needed any more."""
        for replica in self.replicas:
            replica.process.kill()
        self._nodes.stop()
        self._client.close()
        self.queues.close()

    def wait_ready(self) -> None:
        """Wait until all services are ready.

        Raises:
            AssertionError: One is not in time.
        """
        wait_until(lambda: all(replica.ready() for replica in self.replicas), seconds=READY_SECONDS)
        late = [replica.name for replica in self.replicas if not replica.ready()]
        if late:
            raise AssertionError(f"not ready within {READY_SECONDS} s: {', '.join(late)}; read {self.logs}")

    def works(self) -> bool:
        """Whether the services that count are all ready."""
        return all(replica.ready() for replica in self.of("first", "second"))

    def of(self, *services: str) -> list[Replica]:
        """The replicas of some services."""
        return [replica for replica in self.replicas if replica.name.split("-")[0] in services]

    def token(self, organisation: str, role: str) -> str:
        """A new token."""
        return self._places[organisation].token(role)

    def _definitions(self) -> dict[str, Any]:
        found = network.read(NETWORK).network
        runs = {code: tuple(services) for code, services in SERVICES.items()}
        organisations = {c: replace(o, runs=runs.get(c, ())) for c, o in found.organisations.items()}
        reads = {name: s.handlers.event_names() for services in SERVICES.values() for name, s in services.items()}
        return definitions.build(replace(found, organisations=organisations), reads, passwords=self._passwords)

    def _place(self, code: str) -> Place:
        mail = {"VIISIKKO_SMTP_URI": self.mail.uri, "VIISIKKO_MAIL_FROM": "viisikko@localhost"}
        return Place(
            folder=self.folder,
            organisation=code,
            network=NETWORK,
            amqp=self.broker.uri(code, self._passwords[code]),
            mongo=self.store.uri,
            more={**SETTINGS, **mail, "PYTHONPATH": str(TESTS), mutants.VARIABLE: self._mutant},
        )

    def _start_replica(self, code: str, service: str, number: int) -> None:
        port = free_port()
        kind = SERVICES[code][service]
        installed = not kind.__module__.startswith("chaos")
        module = "chaos.mutants" if self._mutant else "chassis.run"
        name = service if installed else f"{kind.__module__}:{kind.__name__}"
        environment = {n: v for n, v in os.environ.items() if not n.startswith("VIISIKKO_")}
        process = Process(
            f"{service}-{number}",
            [sys.executable, "-W", "ignore", "-m", module, name],
            folder=self.logs,
            environment={**environment, **self._places[code].environment(port)},
        )
        process.start()
        self.replicas.append(Replica(f"{service}-{number}", f"http://127.0.0.1:{port}", process, self._client))

    def _hire(self) -> None:
        """Put the one person into the directory who gets the letters."""
        notify = self.of("notify")[0]
        person = {"name": "Aino", "email": "aino@example.org", "duties": ["referrals", "technical"]}
        headers = {"Authorization": f"Bearer {self.token('seamk', 'operator')}", "Idempotency-Key": str(time.time_ns())}
        self._client.put(
            f"{notify.url}/v1/staff/{STAFF}", json=person, headers=headers, timeout=READY_SECONDS
        ).raise_for_status()
