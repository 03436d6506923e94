"""A programming error takes the ladder before it is parked, and a bad release stops the consumer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from listener import Listener
from process import metrics, said, settled

from chassis.testing_live import Place, Publisher, Workshop, event, eventually, running


def test_what_the_service_fails_at_waits_on_each_step_and_is_then_parked_with_its_key(
    thing_place: Place, publisher: Publisher, database: Any
) -> None:
    place = replace(thing_place, more={**thing_place.more, "VIISIKKO_RETRY_SECONDS": "0.2,0.4"})

    with running("thing:Things", place) as service:
        publisher.send(event("thing.made", {"amount": 13}, subject="guilty"))
        publisher.send(event("thing.made", {"amount": 2}, subject="innocent"))
        parked = eventually(database["parked"].find_one, what="the guilty one in the parking lot")
        counted = metrics(service)

    assert (parked["reason"], parked["key"]) == ("error", "thing.made.kunta.kunta")
    assert 'viisikko_retries_total{step="1"} 1.0' in counted
    assert 'viisikko_retries_total{step="2"} 1.0' in counted
    assert database["thing"].find_one({"_id": "innocent"})["state"]["count"] == 2


def test_attempts_that_a_partner_claims_do_not_shorten_the_ladder(
    thing_place: Place, publisher: Publisher, database: Any
) -> None:
    place = replace(thing_place, more={**thing_place.more, "VIISIKKO_RETRY_SECONDS": "0.2"})

    with running("thing:Things", place) as service:
        claimed = {"x-viisikko-attempts": 1}
        publisher.send(event("thing.made", {"amount": 13}, subject="guilty"), application_headers=claimed)
        eventually(database["parked"].find_one, what="the guilty one in the parking lot")
        counted = metrics(service)

    assert 'viisikko_retries_total{step="1"} 1.0' in counted


def test_a_release_that_fails_at_most_pauses_and_parks_nothing_more_until_it_may(
    thing_place: Place, publisher: Publisher, database: Any
) -> None:
    place = replace(thing_place, more={**thing_place.more, "VIISIKKO_FAILURE_WINDOW": "10"})
    with running("thing:Things", place) as service:
        publisher.send(*(event("thing.made", {"amount": 13}, subject=f"s-{n}") for n in range(60)))
        eventually(lambda: 'paused{why="failing"} 1.0' in metrics(service), what="the pause")
        ready = httpx.get(f"{service.url}/health/ready")
        parked = database["parked"].count_documents({})
        stopped = service.stop()

    with running("thing:Things", replace(place, more={**place.more, "VIISIKKO_FAILURE_SHARE": "1"})):
        eventually(lambda: database["parked"].count_documents({}) == 60, what="all of them parked")

    assert (ready.status_code, ready.json()["decisions"]) == (503, False)
    assert (parked <= 5, stopped) == (True, 0)


@pytest.fixture
def moody_place(thing_place: Place, tmp_path: Path) -> Place:
    """Where a service runs that fails at everything while a file is there."""
    quick = {"VIISIKKO_RETRY_SECONDS": "2,2,2,2", "VIISIKKO_PROBE_SECONDS": "0.3", "VIISIKKO_FAILURE_WINDOW": "10"}
    return replace(thing_place, more={**thing_place.more, **quick, "FLAKY": str(tmp_path / "bad-mood")})


def test_what_was_overtaken_while_it_waited_settles_as_superseded(
    moody_place: Place, publisher: Publisher, database: Any
) -> None:
    mood = Path(moody_place.more["FLAKY"])
    with running("flaky:Moody", moody_place) as service:
        mood.touch()
        publisher.send(event("thing.made", {"amount": 1}, subject="s", sequence=1))
        eventually(lambda: settled(service)["retried"], what="the one that waits")
        mood.unlink()
        publisher.send(event("thing.made", {"amount": 5}, subject="s", sequence=2))

        eventually(lambda: settled(service)["superseded"] == 1, what="the one that waited")

    found = database["thing"].find_one({"_id": "s"})
    assert (found["state"]["count"], found["history"][-1]["settled"]) == (5, "superseded")
    assert database["parked"].count_documents({}) == 0


def test_what_succeeds_after_its_wait_is_applied_once_and_comes_to_its_own_queue_only(
    moody_place: Place, publisher: Publisher, database: Any
) -> None:
    mood = Path(moody_place.more["FLAKY"])
    with running("flaky:Moody", moody_place) as service, Listener(moody_place.amqp, "thing.made.#") as listener:
        mood.touch()
        publisher.send(event("thing.made", {"amount": 4}, subject="s"))
        eventually(lambda: settled(service)["retried"], what="the one that waits")
        mood.unlink()

        eventually(lambda: settled(service)["applied"] == 1, what="the one that waited")

        assert database["thing"].find_one({"_id": "s"})["state"]["count"] == 4
        assert list(listener.times().values()) == [1]


def test_the_consumer_that_was_paused_by_a_bad_release_goes_on_by_itself_and_nothing_is_lost(
    moody_place: Place, publisher: Publisher, database: Any
) -> None:
    mood = Path(moody_place.more["FLAKY"])
    with running("flaky:Moody", moody_place) as service:
        mood.touch()
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"s-{n}") for n in range(60)))
        eventually(lambda: 'paused{why="failing"} 1.0' in metrics(service), what="the pause")
        assert service.status("/health/ready") == 503
        mood.unlink()

        eventually(lambda: settled(service)["applied"] == 60, what="all of them applied")

        assert 'paused{why="failing"} 0.0' in metrics(service)
        assert said(service, "decisions.away", "decisions.back") == ["decisions.away", "decisions.back"]
        assert database["thing"].count_documents({"state.count": 1}) == 60
        assert database["parked"].count_documents({}) == 0
        eventually(service.is_ready, what="ready again")


def test_nonsense_of_a_partner_pauses_nobody(moody_place: Place, publisher: Publisher, database: Any) -> None:
    with running("flaky:Moody", moody_place) as service:
        nonsense = (event("thing.made", {"amount": "x"}, source="urn:viisikko:seamk:x") for _ in range(30))
        publisher.send(*nonsense, event("thing.made", {"amount": 1}, subject="after"))

        eventually(lambda: database["thing"].find_one({"_id": "after"}), what="the good one behind them")

        assert database["parked"].count_documents({"reason": "schema"}) == 30
        assert 'paused{why="failing"} 0.0' in metrics(service)


def test_a_programming_error_has_three_tries_at_once(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[bool] = []

    def sometimes(*_arguments: Any, **_named: Any) -> list[Any]:
        tries.append(True)
        if len(tries) < 3:
            raise RuntimeError("a programming error that comes and goes")
        return []

    monkeypatch.setattr(workshop.floor.transaction._decider, "_entries", sometimes)

    (outcome,) = workshop.take(event("thing.made", {"amount": 2}))

    assert (outcome.settled, len(tries)) == ("applied", 3)
    assert workshop.state("thing", "s-1").count == 2
