"""Projections on a real store: rebuilt at start, fed by commits, and following what another replica wrote."""

from __future__ import annotations

from typing import Any

from process import SERVICE, client, counts

from chassis.projection import Projection, projection
from chassis.testing_live import Place, Workshop, event, eventually, running

SMALL = projection("thing", lambda _id, thing: None if thing.count >= 100 else thing.count)


def make(workshop: Workshop, amount: int, subject: str = "s-1") -> None:
    workshop.take(event("thing.made", {"amount": amount}, subject=subject))


def running_on(workshop: Workshop) -> Projection:
    return Projection(workshop.floor.home, SMALL)


def view(kept: Projection) -> dict[str, Any]:
    return dict(kept.view())


def test_it_holds_what_the_store_holds_when_it_is_loaded(workshop: Workshop) -> None:
    for number in range(5):
        make(workshop, number, f"s-{number}")
    make(workshop, 100, "left-out")
    kept = running_on(workshop)
    before = kept.loaded

    kept.load()

    assert (before, kept.loaded, view(kept)) == (False, True, {f"s-{n}": n for n in range(5)})


def test_a_value_of_none_takes_away_and_an_older_version_changes_nothing(workshop: Workshop) -> None:
    make(workshop, 1)
    kept = running_on(workshop)
    kept.load()
    thing = workshop.state("thing", "s-1")

    kept.feed("s-1", thing, 1)
    again = view(kept)
    make(workshop, 150)
    kept.feed("s-1", workshop.state("thing", "s-1"), 2)
    gone = view(kept)
    kept.feed("s-1", thing, 1)

    assert (again, gone, view(kept)) == ({"s-1": 1}, {}, {})


def test_a_commit_of_the_own_replica_is_seen_at_once(workshop: Workshop) -> None:
    make(workshop, 3)

    assert dict(workshop.floor.projections["counts"].view()) == {"s-1": 3}


def test_it_follows_what_another_replica_writes(thing_place: Place) -> None:
    with running(SERVICE, thing_place) as one, running(SERVICE, thing_place) as other:
        with client(one) as http:
            http.put("/v1/things/s-1", json={"amount": 1})
        eventually(lambda: counts(other) == {"s-1": 1}, what="what the one wrote")
        with client(other) as http:
            http.put("/v1/things/s-1", json={"amount": 2})

        eventually(lambda: counts(one) == {"s-1": 2}, what="what the other wrote")
