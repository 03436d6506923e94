"""Each row of reliability.md's table "Settling a message", on a real broker and store; the name begins with the row.

One process serves all of them, so that each has subjects of its own and compares with what was there before. That all
was acknowledged shows at the end: a clean stop leaves nothing in the queues. The row of programming errors stands in
test_ladder.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import kombu
import pymongo
import pytest
from listener import Listener
from process import SERVICE, frozen, metrics, parked, settled

from chassis import profile
from chassis.profile import KEY_HEADER, Envelope
from chassis.testing_live import Place, Publisher, Running, event, eventually, running
from chassis.topology import own_exchange, service_queues

SEAMK = "urn:viisikko:seamk:test"
CODE = "131052-308T"


@pytest.fixture(scope="module")
def service(shared_place: Place) -> Iterator[Running]:
    quick = {"VIISIKKO_RETRY_SECONDS": "0.2", "VIISIKKO_FAILURE_WINDOW": "1000"}
    with running(SERVICE, replace(shared_place, more={**shared_place.more, **quick})) as process:
        yield process
        assert process.stop() == 0
        assert waiting(shared_place) == dict.fromkeys(service_queues("kunta", "test"), 0)


def waiting(place: Place) -> dict[str, int]:
    """How many messages stand in each queue of the service; after a stop, what was not acknowledged is among them."""
    with kombu.Connection(place.amqp) as connection:
        channel: Any = connection.channel()
        return {q: channel.queue_declare(q, passive=True).message_count for q in service_queues("kunta", "test")}


@pytest.fixture
def publisher(service: Running) -> Iterator[Publisher]:
    made = Publisher(service.place.amqp)
    yield made
    made.close()


@pytest.fixture
def listener(service: Running) -> Iterator[Listener]:
    with Listener(service.place.amqp, "thing.counted.#", "event.refused.#") as made:
        yield made


@pytest.fixture
def database(service: Running) -> Iterator[Any]:
    with pymongo.MongoClient[dict[str, Any]](service.place.mongo) as store:
        yield store["kunta_test"]


@pytest.fixture
def subject() -> str:
    """A subject that no other test has."""
    return f"s-{uuid.uuid4().hex[:8]}"


def document(database: Any, subject: str) -> dict[str, Any]:
    found: dict[str, Any] = eventually(lambda: database["thing"].find_one({"_id": subject}), what=subject)
    return found


def refused(listener: Listener, envelope: Envelope) -> dict[str, Any]:
    """The word that its publisher gets of an event."""
    about = envelope.id
    words = (one for one in listener.events() if one["type"] == "fi.viisikko.event.refused.v1")
    return next((one for one in words if one["data"]["event"] == about), {})


def test_decided_and_committed_is_applied_and_what_follows_is_published(
    service: Running, publisher: Publisher, listener: Listener, database: Any, subject: str
) -> None:
    before = settled(service)

    publisher.send(event("thing.made", {"amount": 3}, subject=subject))

    eventually(lambda: settled(service) - before == {"applied": 1}, what="applied")
    assert document(database, subject)["state"]["count"] == 3
    eventually(lambda: [e["data"] for e in listener.events() if e["subject"] == subject] == [{"count": 3}])


def test_seen_before_is_a_duplicate_and_changes_nothing(
    service: Running, publisher: Publisher, listener: Listener, database: Any, subject: str
) -> None:
    once = event("thing.made", {"amount": 3}, subject=subject)
    before = settled(service)

    publisher.send(once, once)
    eventually(lambda: settled(service) - before == {"applied": 1, "duplicate": 1}, what="one of each")
    publisher.send(once, event("thing.made", {"amount": 1}, subject=subject))

    eventually(lambda: settled(service) - before == {"applied": 2, "duplicate": 2}, what="two of each")
    assert document(database, subject)["state"]["count"] == 4
    eventually(lambda: [e["data"]["count"] for e in listener.events() if e["subject"] == subject] == [3, 4])


def test_older_than_what_is_known_goes_to_the_history_only_as_superseded(
    service: Running, publisher: Publisher, database: Any, subject: str
) -> None:
    older = event("thing.made", {"amount": 10}, subject=subject, sequence=1)
    before = settled(service)

    publisher.send(event("thing.made", {"amount": 3}, subject=subject, sequence=2), older, older)

    eventually(lambda: settled(service) - before == {"applied": 1, "superseded": 1, "duplicate": 1}, what="one of each")
    found = document(database, subject)
    assert found["state"]["count"] == 3
    assert [(entry["event"], entry.get("settled")) for entry in found["history"]][1:] == [(older.id, "superseded")]


def test_lost_a_race_goes_to_the_history_only_as_superseded(
    service: Running, publisher: Publisher, database: Any, subject: str
) -> None:
    before = settled(service)

    publisher.send(event("thing.raced", {"amount": 3}, subject=subject))

    eventually(lambda: settled(service) - before == {"superseded": 1}, what="superseded")
    (entry,) = document(database, subject)["history"]
    assert (entry["settled"], entry["reason"]) == ("superseded", "another was first")


def test_a_version_that_is_not_read_is_ignored(
    service: Running, publisher: Publisher, database: Any, subject: str
) -> None:
    lot, before = parked(service), settled(service)

    publisher.send(event("thing.made", {"amount": 3}, subject=subject, version=2))

    eventually(lambda: settled(service) - before == {"ignored": 1}, what="ignored")
    assert database["thing"].find_one({"_id": subject}) is None
    assert parked(service) == lot


BAD = {
    "schema": event("thing.made", {"amount": "x"}, source=SEAMK),
    "not-yours": event("thing.owned", {"amount": 1}, source=SEAMK, subject="owned"),
    "profile": event("thing.made", {"amount": 1}, source=SEAMK, subject="with a space"),
    "too-old": event("thing.made", {"amount": 1}, source=SEAMK, time=datetime.now(UTC) - timedelta(days=100)),
    "rule": event("thing.made", {"amount": 1000}, source=SEAMK),
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_or_refused_by_a_rule_is_parked_with_its_reason_and_its_publisher_told(
    service: Running, publisher: Publisher, listener: Listener, database: Any, reason: str
) -> None:
    bad, lot = BAD[reason], parked(service)
    publisher.send(event("thing.owned", {"amount": 1}, subject="owned"))

    publisher.send(bad)

    word = eventually(lambda: refused(listener, bad), what="event.refused")
    assert parked(service) - lot == {reason: 1}
    found = database["parked"].find_one({"event": bad.id})
    rule = "too-much" if reason == "rule" else None
    assert (found["rule"], found["key"]) == (rule, bad.routing_key)
    assert (word["destination"], word["data"]["reason"], word["data"]["count"]) == ("seamk", rule or reason, 1)


def test_not_a_cloudevent_is_parked_and_its_publisher_told(
    service: Running, publisher: Publisher, listener: Listener
) -> None:
    lot = parked(service)

    publisher.raw(b"no event", "thing.made.seamk.kunta")

    def words() -> list[dict[str, Any]]:
        return [e["data"] for e in listener.events() if e["type"].startswith("fi.viisikko.event.refused")]

    eventually(lambda: [(w["event"], w["reason"]) for w in words()] == [(None, "not-an-event")], what="event.refused")
    assert parked(service) - lot == {"not-an-event": 1}


def test_forged_is_parked_and_the_one_told_is_who_published_it(
    service: Running, publisher: Publisher, listener: Listener
) -> None:
    lot, forged = parked(service), event("thing.made", {"amount": 1}, source="urn:viisikko:epky:test")

    publisher.raw(profile.compose(forged), "thing.made.seamk.kunta")

    word = eventually(lambda: refused(listener, forged), what="event.refused")
    assert (word["destination"], word["data"]["reason"]) == ("seamk", "forged")
    assert parked(service) - lot == {"forged": 1}


def test_with_an_identity_code_in_it_is_parked_without_data(
    service: Running, publisher: Publisher, listener: Listener, database: Any
) -> None:
    coded = event("thing.made", {"amount": 1, "text": f"hetu {CODE}"}, source=SEAMK)

    publisher.send(coded)

    word = eventually(lambda: refused(listener, coded), what="event.refused")
    found = database["parked"].find_one({"event": coded.id})
    assert (found["reason"], found["body"]) == ("identity-code", None)
    assert CODE not in repr(found) + repr(word) + service.log.read_text()


def test_the_store_is_away_pauses_the_consumer_and_parks_nothing_until_it_is_back(
    service: Running, publisher: Publisher, database: Any, store: Any, subject: str
) -> None:
    lot, before = parked(service), settled(service)
    paused = 'viisikko_consumer_paused{why="store"} 1.0'

    store.kill()
    try:
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"{subject}-{n}") for n in range(20)))
        eventually(lambda: paused in metrics(service), seconds=40, what="the pause")
        meanwhile = settled(service)
    finally:
        store.start()

    eventually(lambda: settled(service) - before == {"applied": 20}, seconds=40, what="all that waited")
    assert meanwhile == before
    assert paused not in metrics(service)
    assert parked(service) == lot
    assert database["thing"].count_documents({"_id": {"$regex": f"^{subject}-"}, "state.count": 1}) == 20


def test_the_batch_failed_and_only_the_guilty_event_is_parked(
    service: Running, publisher: Publisher, database: Any, subject: str
) -> None:
    lot = parked(service)
    # The store refuses this name of a field, and with it all that is written in the same transaction.
    guilty = event("thing.worded", {"amount": 1, "text": "$a\0b"}, subject=f"{subject}-guilty")

    with frozen(service.pid):
        # So that all of them come in one batch.
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"{subject}-{n}") for n in range(10)))
        publisher.send(guilty)
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"{subject}-{n}") for n in range(10, 20)))

    eventually(lambda: parked(service) - lot == {"error": 1}, what="the guilty event in the parking lot")
    things = database["thing"].find({"_id": {"$regex": f"^{subject}-"}})
    assert {thing["_id"]: thing["state"]["count"] for thing in things} == {f"{subject}-{n}": 1 for n in range(20)}
    assert database["parked"].find_one({"reason": "error"})["event"] == guilty.id


def test_came_back_too_often_is_parked_as_crashed_with_its_own_key(
    service: Running, listener: Listener, database: Any, subject: str
) -> None:
    crashed = event("thing.made", {"amount": 1}, subject=subject, source=SEAMK)
    with kombu.Connection(service.place.amqp) as connection:
        channel: Any = connection.channel()
        message = kombu.transport.pyamqp.amqp.Message(
            profile.compose(crashed),
            content_type=profile.CONTENT_TYPE,
            application_headers={KEY_HEADER: crashed.routing_key},
        )

        channel.basic_publish(message, own_exchange("kunta"), "kunta.test.dead")

        word = eventually(lambda: refused(listener, crashed), what="event.refused")
    found = database["parked"].find_one({"event": crashed.id})
    assert (found["reason"], found["key"], word["destination"]) == ("crashed", crashed.routing_key, "seamk")
