"""The brokers and stores of a network on one machine: the hub's, and those of each own part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chassis.decision import Network
from console import definitions
from console.authority import Authority
from console.folder import Folder
from console.links import Links
from console.nodes.broker import RabbitNode
from console.nodes.processes import Nodes
from console.nodes.store import StoreNode

HOSTS = ("localhost", "127.0.0.1")
STATISTICS_SECONDS = 1
RECONNECT_SECONDS = 1
HUB_PLUGINS = ("rabbitmq_management", "rabbitmq_federation")
PART_PLUGINS = ("rabbitmq_management", "rabbitmq_federation_management", "rabbitmq_shovel_management")


Road = Callable[[str, int], int]
"""An own part's code and the hub's port → the port of this machine through which that part reaches it."""


def straight(_organisation: str, port: int) -> int:
    """A road with nothing between."""
    return port


@dataclass(frozen=True, slots=True)
class Site:
    """One broker and one store.

    Attributes:
        code: Whose they are; the hub's code for its own.
        broker: The broker.
        store: The store.
    """

    code: str
    broker: RabbitNode
    store: StoreNode

    def start(self, nodes: Nodes) -> None:
        """Start both; `nodes` stops them.

        Raises:
            NotReady: One did not come up; the text names its log.
        """
        for node in (self.store, self.broker):
            nodes.add(node.stop)
            node.start()

    def stop(self) -> None:
        """Stop both, the broker first."""
        self.broker.stop()
        self.store.stop()


class Sites:
    """All sites of a network: who is on which, and how each organisation reaches its own."""

    def __init__(
        self, network: Network, folder: Folder, reads: Mapping[str, Sequence[str]], road: Road = straight
    ) -> None:
        """Make what they need, and describe them; each is started by itself.

        Args:
            network: Who is in the network.
            folder: Where everything of it is kept.
            reads: Service → names of the events that its handlers read.
            road: How an own part gets to the hub's port.
        """
        self._folder = folder
        self._road = road
        self._reads = reads
        folder.make(network)
        self._authority = Authority(folder.authority)
        self.network = network
        self.hub = self._site(network.hub, folder.path, HUB_PLUGINS)
        self.parts = {code: self._part(code) for code, o in network.organisations.items() if o.joins == "own"}
        self._load()

    def all(self) -> Sequence[Site]:
        """Every site, the hub's first."""
        return (self.hub, *self.parts.values())

    def definitions(self, code: str) -> dict[str, Any]:
        """What a site's broker holds."""
        if code == self.network.hub:
            passwords = {organisation: self._password(organisation) for organisation in self.network.organisations}
            return definitions.build(self.network, self._reads, passwords=passwords)
        password = self._folder.local_password(code)
        return definitions.build_part(self.network, self._reads, code, password=password, links=self.links(code))

    def change(self, network: Network) -> None:
        """Let everything that is asked from now on go by another network; no broker is told yet.

        A part that is new is described and not started; one that is gone is no longer among the parts.
        """
        self.network = network
        self._folder.make(network)
        own = [code for code, o in network.organisations.items() if o.joins == "own"]
        self.parts = {code: self.parts.get(code) or self._part(code) for code in own}
        self._load()

    def _load(self) -> None:
        for site in self.all():
            site.broker.load(partial(self.definitions, site.code))

    def of(self, organisation: str) -> Site:
        """The site of an organisation: its own, or the hub's."""
        return self.parts.get(organisation, self.hub)

    def amqp(self, organisation: str) -> str:
        """The address of an organisation's broker, with its user there."""
        if organisation in self.parts:
            return self.parts[organisation].broker.uri(organisation, self._folder.local_password(organisation))
        return self.hub.broker.uri(organisation, self._password(organisation))

    def links(self, organisation: str) -> Links:
        """How an organisation reaches the hub from elsewhere."""
        host, port = self.hub.broker.tls_address()
        return Links(
            user=organisation,
            password=self._password(organisation),
            host=host,
            port=self._road(organisation, port),
            authority=str(self._authority.certificate.absolute()),
            reconnect_seconds=RECONNECT_SECONDS,
        )

    def _password(self, organisation: str) -> str:
        # Read each time, since a rotation changes it while the network runs.
        return str(self._folder.credentials(organisation)["password"])

    def _part(self, code: str) -> Site:
        return self._site(code, self._folder.path / "parts" / code, PART_PLUGINS)

    def _site(self, code: str, folder: Path, plugins: Sequence[str]) -> Site:
        broker = RabbitNode(
            folder / "broker",
            plugins=plugins,
            statistics_seconds=STATISTICS_SECONDS,
            tls=self._authority.server(code, HOSTS),
        )
        return Site(code, broker, StoreNode(folder / "store"))
