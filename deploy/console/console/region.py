"""A whole network on one machine: the hub and the own parts, mail, and every service of every organisation."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from chassis.decision import Network, Organisation
from chassis.ports import free_port
from chassis.private import write_private
from console import change, interrupts
from console.folder import Folder
from console.nodes.broker import OPERATOR, RabbitNode
from console.nodes.mail import MailSink
from console.nodes.processes import Nodes, NotReady, Process
from console.sites import Road, Site, Sites, straight

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

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).is_success
        except httpx.HTTPError:
            return False


class Region:
    """The network of a network.toml on this machine. Use it as a context: whatever happens, nothing is left running."""

    def __init__(  # noqa: PLR0913 - what is not needed has a default, and is given by name
        self,
        network: Network,
        file: Path,
        folder: Folder,
        say: Callable[[str], None],
        *,
        road: Road = straight,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Describe it; `start` starts it.

        Args:
            network: Who is in it.
            file: The file that says so, which the services read themselves.
            folder: Where everything of it is kept.
            say: Told about each step.
            road: How an own part gets to the hub's port.
            settings: Further variables of every service.
        """
        self.network = network
        self.folder = folder
        self._file = file.absolute()
        self._say = say
        self._settings = settings
        self._nodes = Nodes()
        self.sites = Sites(network, folder, reads(), road)
        self.mail = MailSink(folder.path / "mail")
        self.services: list[Running] = []

    @property
    def broker(self) -> RabbitNode:
        """The hub's broker."""
        return self.sites.hub.broker

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

    def change(self, network: Network) -> list[str]:
        """Make the running network another one; what was done.

        The file must say so already, since each service reads it when it is started again.

        Raises:
            NotChanged: A service's data would stay behind; nothing was done.
            NotReady: A new part did not come up.
            NotTaken: A broker refuses its definitions.
        """
        change.check(self.network, network)
        before, is_new = self.sites.parts, network != self.network
        self.network = network
        self._end_services()
        self.sites.change(network)
        gone = [site for code, site in before.items() if code not in self.sites.parts]
        done = [f"{site.code}: leaves, {self._last_events(site)}" for site in gone]
        done += change.brokers(self.sites, before, gone, lambda site: site.start(self._nodes))
        if is_new:
            self._restart_services()
        for site in gone:
            site.stop()
        self._write_state()
        return done

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
        """The address of an organisation's own broker, or else of the hub's, with its user there."""
        return self.sites.amqp(organisation)

    def processes(self) -> dict[str, int]:
        """Name → process id of all that runs."""
        found = {f"{r.organisation}.{r.service}": r.process.pid for r in self.services}
        hub = self.sites.hub
        parts = {
            f"{site.code}.{name}": node.pid
            for site in self.sites.parts.values()
            for name, node in (("broker", site.broker), ("store", site.store))
        }
        return {"broker": hub.broker.pid, "store": hub.store.pid, **parts, **found}

    def _start(self) -> None:
        self._say("mail, and the hub's broker and store")
        self._nodes.add(self.mail.stop)
        self.mail.start()
        for site in self.sites.all():
            if site is not self.sites.hub:
                self._say(f"broker and store of {site.code}")
            site.start(self._nodes)
        members = self._members()
        self._say(f"services of {', '.join(o.code for o in members)}")
        for organisation in members:
            for service in organisation.runs:
                self._start_service(organisation, service, free_port())
        self._wait(self.services)
        self._write_state()

    def _members(self) -> list[Organisation]:
        """Who runs services, the hub first: others' catalogues begin with its copy."""
        running = [organisation for organisation in self.network.organisations.values() if organisation.runs]
        return sorted(running, key=lambda organisation: organisation.code != self.network.hub)

    def _last_events(self, site: Site) -> str:
        reached = change.drained(self.sites.hub, site)
        return f"and its last events are{'' if reached else ' not'} at the hub"

    def _end_services(self) -> None:
        """End the services that nobody runs any more."""
        wanted = {(o.code, service) for o in self.network.organisations.values() for service in o.runs}
        for one in [one for one in self.services if (one.organisation, one.service) not in wanted]:
            one.process.stop()
            self.services.remove(one)

    def _restart_services(self) -> None:
        """Start each service again, one after the other, so that it reads the file; and those that are new."""
        running = {(one.organisation, one.service): one for one in self.services}
        for organisation in self._members():
            for service in organisation.runs:
                known = running.get((organisation.code, service))
                if known:
                    known.process.stop()
                    self.services.remove(known)
                self._start_service(organisation, service, known.port if known else free_port())
                self._wait(self.services[-1:])

    def _start_service(self, organisation: Organisation, service: str, port: int) -> None:
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
            "VIISIKKO_AMQP_URI_FILE": str(self._amqp_file(organisation)),
            "VIISIKKO_MONGO_URI": self.sites.of(organisation).store.uri,
            "VIISIKKO_HTTP": f"127.0.0.1:{port}",
            "VIISIKKO_NETWORK": str(self._file),
            "VIISIKKO_SECRETS": str(self.folder.of(organisation).absolute()),
            "VIISIKKO_KEYS": str(self.folder.keys.absolute()),
            "VIISIKKO_CLOCK": str(self.folder.clock.absolute()),
        }
        mail = {"VIISIKKO_SMTP_URI": self.mail.uri, "VIISIKKO_MAIL_FROM": SENDER}
        return common | (mail if service == "notify" else {}) | dict(self._settings)

    def _facts(self, organisation: str) -> dict[str, str]:
        """What `viisikko doctor` must know about an organisation, as its variables."""
        site = self.sites.of(organisation)
        facts = {
            "VIISIKKO_ORGANISATION": organisation,
            "VIISIKKO_NETWORK": str(self._file),
            "VIISIKKO_HUB_URI": self.sites.links(organisation).address,
            "VIISIKKO_TLS_CA": self.sites.links(organisation).authority,
        }
        if self.network.organisations[organisation].runs:
            facts |= {"VIISIKKO_MONGO_URI": site.store.uri, "VIISIKKO_SMTP_URI": self.mail.uri}
        if organisation in self.sites.parts:
            facts["VIISIKKO_MANAGEMENT_URI"] = site.broker.operator_uri
        return facts

    def _amqp_file(self, organisation: str) -> Path:
        file = self.folder.of(organisation).absolute() / "amqp-uri"
        write_private(file, self.amqp(organisation))
        return file

    def _wait(self, services: Sequence[Running]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = list(services)
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
            "processes": self.processes(),
            "services": {f"{r.organisation}.{r.service}": r.url for r in self.services},
            "brokers": {site.code: _operator(site.broker) for site in self.sites.all()},
            "links": {code: self.sites.links(code).without_password() for code in self.sites.parts},
            "amqp": {code: self.amqp(code) for code in self.network.organisations},
            "hub": self.broker.tls_address(),
            "mail": str(self.mail.folder / "maildir"),
            "doctor": {code: self._facts(code) for code in self.network.organisations},
        }
        write_private(self.folder.state, json.dumps(state, indent=1))


def _operator(broker: RabbitNode) -> dict[str, str]:
    return {"url": broker.management, "user": OPERATOR, "password": broker.password}


def _inherited() -> dict[str, str]:
    """This process's environment without settings that are somebody else's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VIISIKKO_")}
