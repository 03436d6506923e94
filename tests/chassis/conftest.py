"""The small test service, on a store or as a process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymongo
import pytest

from chassis.testing_live import Place, Publisher, Workshop

sys.path.insert(0, str(Path(__file__).parent))

from thing import Things

HERE = str(Path(__file__).parent)


@pytest.fixture
def workshop(offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Things, offline_place)
    yield made
    made.close()


@pytest.fixture
def thing_place(place: Place) -> Place:
    """Where the test service runs as a process."""
    return replace(place, more={"PYTHONPATH": HERE, "VIISIKKO_LOG_LEVEL": "debug"})


@pytest.fixture
def publisher(thing_place: Place) -> Iterator[Publisher]:
    made = Publisher(thing_place.amqp)
    yield made
    made.close()


@pytest.fixture
def database(thing_place: Place) -> Iterator[Any]:
    with pymongo.MongoClient[dict[str, Any]](thing_place.mongo) as store:
        yield store["kunta_test"]
