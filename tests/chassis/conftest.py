"""The small test service, on a store or as a process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymongo
import pytest

from chassis.testing_live import Place, Publisher, Workshop

sys.path.insert(0, str(Path(__file__).parent))

from thing import Things

HERE = str(Path(__file__).parent)
NETWORK = Path(__file__).parents[2] / "deploy" / "network.toml"
MORE = {"PYTHONPATH": HERE, "VIISIKKO_LOG_LEVEL": "debug"}


@pytest.fixture
def workshop(offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Things, offline_place)
    yield made
    made.close()


@pytest.fixture
def thing_place(place: Place) -> Place:
    """Where the test service runs as a process."""
    return replace(place, more=MORE)


@pytest.fixture(scope="module")
def shared_place(
    tmp_path_factory: pytest.TempPathFactory,
    broker: Any,
    store: Any,
    new_vhost: Callable[[], AbstractContextManager[str]],
) -> Iterator[Place]:
    """Where one process of the test service runs for a whole module."""
    folder = tmp_path_factory.mktemp("service")
    with new_vhost() as vhost:
        amqp = broker.uri(vhost=vhost)
        yield Place(folder=folder, organisation="kunta", network=NETWORK, amqp=amqp, mongo=store.uri, more=MORE)
    with pymongo.MongoClient[dict[str, Any]](store.uri) as client:
        for name in ("kunta_test", "kunta_test_keys"):
            client.drop_database(name)


@pytest.fixture
def publisher(thing_place: Place) -> Iterator[Publisher]:
    made = Publisher(thing_place.amqp)
    yield made
    made.close()


@pytest.fixture
def database(thing_place: Place) -> Iterator[Any]:
    with pymongo.MongoClient[dict[str, Any]](thing_place.mongo) as store:
        yield store["kunta_test"]
