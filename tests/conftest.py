"""Real parts for tests: one broker and one store a session, a vhost and a database a test. Nothing starts unasked."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pymongo
import pytest

from chassis import network
from chassis.testing_live import Place
from console import definitions
from console.nodes.broker import OPERATOR, RabbitNode
from console.nodes.store import StoreNode

ROOT = Path(__file__).parent.parent
NETWORK = ROOT / "deploy" / "network.toml"

# The command's tables are as wide as the terminal was when it was first imported, in whichever test that is.
os.environ["COLUMNS"] = "240"


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    """A private RabbitMQ node."""
    node = RabbitNode(tmp_path_factory.mktemp("broker"))
    node.start()
    yield node
    # Its data are thrown away, so it need not take the seconds of a stop in good order.
    node.kill()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreNode]:
    """A private store."""
    node = StoreNode(tmp_path_factory.mktemp("store"))
    node.start()
    yield node
    node.kill()


@contextmanager
def vhost_on(node: RabbitNode) -> Iterator[str]:
    """A virtual host with the exchanges and policies of deploy/network.toml; services declare their own queues."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    content = definitions.build(network.read(NETWORK).network, dict.fromkeys(network.SERVICES, ()), vhost=name)
    with node.client() as client:
        client.put(f"/api/vhosts/{name}").raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        client.put(f"/api/permissions/{name}/{OPERATOR}", json=everything).raise_for_status()
        parts = {key: content[key] for key in ("exchanges", "policies")}
        client.post(f"/api/definitions/{name}", json=parts).raise_for_status()
        yield name
        client.delete(f"/api/vhosts/{name}").raise_for_status()


@pytest.fixture(scope="session")
def new_vhost_on() -> Callable[[RabbitNode], AbstractContextManager[str]]:
    """Makes virtual hosts on any node; see `vhost_on`."""
    return vhost_on


@pytest.fixture(scope="session")
def new_vhost(broker: RabbitNode) -> Callable[[], AbstractContextManager[str]]:
    """Makes virtual hosts on the session's broker; see `vhost_on`."""
    return partial(vhost_on, broker)


@pytest.fixture
def vhost(new_vhost: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """A virtual host of this test alone."""
    with new_vhost() as name:
        yield name


@pytest.fixture
def place(tmp_path: Path, broker: RabbitNode, store: StoreNode, vhost: str) -> Iterator[Place]:
    """Where kunta's services run: broker, store and secrets of this test alone."""
    yield Place(folder=tmp_path, organisation="kunta", network=NETWORK, amqp=broker.uri(vhost=vhost), mongo=store.uri)
    drop(store)


@pytest.fixture
def offline_place(tmp_path: Path, store: StoreNode) -> Iterator[Place]:
    """The same without a broker, for tests that need a store only."""
    yield Place(
        folder=tmp_path, organisation="kunta", network=NETWORK, amqp="amqp://nobody@127.0.0.1:1", mongo=store.uri
    )
    drop(store)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("VIISIKKO_DATA", ROOT / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("needs the folder of real data: set VIISIKKO_DATA")
    return folder


def drop(store: StoreNode) -> None:
    """Drop the databases of a test, whichever of the network's organisations they belong to."""
    organisations = network.read(NETWORK).network.organisations
    with pymongo.MongoClient[dict[str, object]](store.uri) as client:
        for name in client.list_database_names():
            if name.partition("_")[0] in organisations:
                client.drop_database(name)
