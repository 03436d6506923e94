"""A programming error takes the ladder before it is parked, and a bad release stops the consumer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pymongo
import pytest

from chassis.testing_live import Place, Publisher, event, eventually, running


@pytest.fixture
def publisher(thing_place: Place) -> Iterator[Publisher]:
    made = Publisher(thing_place.amqp)
    yield made
    made.close()


@pytest.fixture
def database(thing_place: Place) -> Iterator[Any]:
    with pymongo.MongoClient[dict[str, Any]](thing_place.mongo) as store:
        yield store["kunta_test"]


def test_what_the_service_fails_at_waits_on_each_step_and_is_then_parked_with_its_key(
    thing_place: Place, publisher: Publisher, database: Any
) -> None:
    place = replace(thing_place, more={**thing_place.more, "VIISIKKO_RETRY_SECONDS": "0.2,0.4"})

    with running("thing:Things", place) as service:
        publisher.send(event("thing.made", {"amount": 13}, subject="guilty"))
        publisher.send(event("thing.made", {"amount": 2}, subject="innocent"))
        parked = eventually(database["parked"].find_one, what="the guilty one in the parking lot")
        metrics = httpx.get(f"{service.url}/metrics").text

    assert (parked["reason"], parked["key"]) == ("error", "thing.made.kunta.kunta")
    assert 'viisikko_retries_total{step="1"} 1.0' in metrics
    assert 'viisikko_retries_total{step="2"} 1.0' in metrics
    assert database["thing"].find_one({"_id": "innocent"})["state"]["count"] == 2


def test_attempts_that_a_partner_claims_do_not_shorten_the_ladder(
    thing_place: Place, publisher: Publisher, database: Any
) -> None:
    place = replace(thing_place, more={**thing_place.more, "VIISIKKO_RETRY_SECONDS": "0.2"})

    with running("thing:Things", place) as service:
        claimed = {"x-viisikko-attempts": 1}
        publisher.send(event("thing.made", {"amount": 13}, subject="guilty"), application_headers=claimed)
        eventually(database["parked"].find_one, what="the guilty one in the parking lot")
        metrics = httpx.get(f"{service.url}/metrics").text

    assert 'viisikko_retries_total{step="1"} 1.0' in metrics


def test_a_release_that_fails_at_most_pauses_and_parks_nothing_more_until_it_may(
    thing_place: Place, publisher: Publisher, database: Any
) -> None:
    place = replace(thing_place, more={**thing_place.more, "VIISIKKO_FAILURE_WINDOW": "10"})
    with running("thing:Things", place) as service:
        publisher.send(*(event("thing.made", {"amount": 13}, subject=f"s-{n}") for n in range(60)))
        eventually(lambda: 'paused{why="failing"} 1.0' in httpx.get(f"{service.url}/metrics").text, what="the pause")
        ready = httpx.get(f"{service.url}/health/ready")
        parked = database["parked"].count_documents({})
        stopped = service.stop()

    with running("thing:Things", replace(place, more={**place.more, "VIISIKKO_FAILURE_SHARE": "1"})):
        eventually(lambda: database["parked"].count_documents({}) == 60, what="all of them parked")

    assert (ready.status_code, ready.json()["decisions"]) == (503, False)
    assert (parked <= 5, stopped) == (True, 0)
