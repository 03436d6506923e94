"""A whole network on one machine: broker, store, mail, and every service of every organisation as a process."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx

from chassis.decision import Network, Organisation
from console import definitions, interrupts
from console.folder import Folder
from console.nodes.broker import RabbitNode
from console.nodes.mail import MailSink
from console.nodes.ports import free_port
from console.nodes.processes import Nodes, NotReady, Process
from console.nodes.store import StoreNode

READY_SECONDS = 90
SENDER = "viisikko@localhost"


def reads() -> dict[str, tuple[str, ...]]:
    """Service → names of the events that its handlers read, of all installed services."""
    found = {entry.name: entry.load() for entry in entry_points(group="viisikko.services")}
    return {name: tuple(service.handlers.event_names()) for name, service in sorted(found.items())}


@dataclass(frozen=True, slots=True)
class Running:
    """One service process of one organisation.

    Attributes:
        organisation: Its code.
        service: The service's name.
        url: Where it listens.
        process: The process.
    """

    organisation: str
    service: str
    url: str
    process: Process

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).is_success
        except httpx.HTTPError:
            return False


class Region:
    """The network of a network.toml on this machine. Use it as a context: whatever happens, nothing is left running."""

    def __init__(self, network: Network, file: Path, folder: Folder, say: Callable[[str], None]) -> None:
        """Describe it; `start` starts it.

        Args:
            network: Who is in it.
            file: The file that says so, which the services read themselves.
            folder: Where everything of it is kept.
            say: Told about each step.
        """
        self.network = network
        self.folder = folder
        self._file = file.absolute()
        self._say = say
        self._nodes = Nodes()
        self._passwords: Mapping[str, str] = {}
        self.broker: RabbitNode
        self.store = StoreNode(folder.path / "store")
        self.mail = MailSink(folder.path / "mail")
        self.services: list[Running] = []

    def start(self) -> None:
        """Start everything and wait until all services are ready.

        Raises:
            NotReady: A part did not come up; the text names its log. What had started is stopped.
        """
        try:
            self._start()
        except BaseException:
            interrupts.clean_up_undisturbed()
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, the last started first; services together, since each drains on its own."""
        for running in self.services:
            running.process.ask_to_stop()
        self._nodes.stop()
        self.services = []
        self.folder.state.unlink(missing_ok=True)

    def url(self, organisation: str, service: str) -> str:
        """Where a service listens.

        Raises:
            LookupError: The organisation does not run it.
        """
        for running in self.services:
            if (running.organisation, running.service) == (organisation, service):
                return running.url
        raise LookupError(f"{organisation} runs no {service}")

    def amqp(self, organisation: str) -> str:
        """The broker's address for an organisation's user."""
        return self.broker.uri(organisation, self._passwords[organisation])

    def processes(self) -> dict[str, int]:
        """Name → process id of all that runs."""
        found = {f"{r.organisation}.{r.service}": r.process.pid for r in self.services}
        return {"broker": self.broker.pid, "store": self.store.pid, **found}

    def _start(self) -> None:
        self._passwords = self.folder.make(self.network)
        content = definitions.build(self.network, reads(), passwords=self._passwords)
        self.broker = RabbitNode(self.folder.path / "broker", definitions=content, statistics_seconds=1)
        self._say("broker, store and mail")
        for node in (self.store, self.mail, self.broker):
            self._nodes.add(node.stop)
            node.start()
        members = [organisation for organisation in self.network.organisations.values() if organisation.runs]
        self._say(f"services of {', '.join(o.code for o in members)}")
        for organisation in members:
            for service in organisation.runs:
                self._start_service(organisation, service)
        self._wait()
        self._write_state()

    def _start_service(self, organisation: Organisation, service: str) -> None:
        port = free_port()
        process = Process(
            f"{organisation.code}.{service}",
            [sys.executable, "-W", "ignore", "-m", "chassis.run", service],
            folder=self.folder.path / "logs",
            environment={**_inherited(), **self._environment(organisation.code, service, port)},
            stop_seconds=45,
        )
        self._nodes.add(process.stop)
        process.start()
        self.services.append(Running(organisation.code, service, f"http://127.0.0.1:{port}", process))

    def _environment(self, organisation: str, service: str, port: int) -> dict[str, str]:
        common = {
            "VIISIKKO_ORGANISATION": organisation,
            "VIISIKKO_AMQP_URI": self.amqp(organisation),
            "VIISIKKO_MONGO_URI": self.store.uri,
            "VIISIKKO_HTTP": f"127.0.0.1:{port}",
            "VIISIKKO_NETWORK": str(self._file),
            "VIISIKKO_SECRETS": str(self.folder.of(organisation).absolute()),
            "VIISIKKO_KEYS": str(self.folder.keys.absolute()),
            "VIISIKKO_CLOCK": str(self.folder.clock.absolute()),
        }
        mail = {"VIISIKKO_SMTP_URI": self.mail.uri, "VIISIKKO_MAIL_FROM": SENDER}
        return common | (mail if service == "notify" else {})

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = list(self.services)
        while waiting:
            for running in list(waiting):
                if not running.process.running:
                    raise NotReady(f"{running.process.name} ended at its start: read {running.process.log}")
                if running.ready():
                    waiting.remove(running)
            if waiting and time.monotonic() > deadline:
                names = ", ".join(running.process.name for running in waiting)
                raise NotReady(f"{names} did not become ready: read the logs in {self.folder.path / 'logs'}")
            time.sleep(0.1)

    def _write_state(self) -> None:
        state: dict[str, Any] = {
            "supervisor": os.getpid(),
            "management": self.broker.management,
            "processes": self.processes(),
            "services": {f"{r.organisation}.{r.service}": r.url for r in self.services},
            "amqp": {code: self.amqp(code) for code in self.network.organisations},
            "mail": str(self.mail.folder / "maildir"),
        }
        self.folder.state.touch(mode=0o600)
        self.folder.state.write_text(json.dumps(state, indent=1))


def _inherited() -> dict[str, str]:
    """This process's environment without settings that are somebody else's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VIISIKKO_")}
