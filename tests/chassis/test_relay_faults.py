"""The relay and a broker that refuses, returns, does not confirm or goes away: nothing is lost, the rest goes on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import eventlet
import kombu
import pytest
from amqp import Message
from listener import Listener
from pymongo.errors import AutoReconnect
from thing import Things

from chassis import profile
from chassis.amqp import BROKER_ERRORS
from chassis.border import Entry
from chassis.duties import Duties
from chassis.outbox import Outbox
from chassis.publisher import NotConfirmed
from chassis.relay import PAGES, Relay
from chassis.testing_cable import Cable
from chassis.testing_live import Place, Workshop, event, eventually
from chassis.topology import EVENTS, PLAIN_ARGUMENTS, UNDELIVERABLE, UNROUTED, own_exchange
from console.nodes.broker import OPERATOR, RabbitNode

COUNTED = "thing.counted.*.*"


@pytest.fixture
def cable(place: Place) -> Iterator[Cable]:
    made = Cable.to(place.amqp)
    yield made
    made.close()


@pytest.fixture
def workshop(place: Place, cable: Cable) -> Iterator[Workshop]:
    made = Workshop(Things, replace(place, amqp=cable.through(place.amqp)))
    yield made
    made.close()


@pytest.fixture
def relay(workshop: Workshop) -> Iterator[Relay]:
    made = Relay(workshop.floor.home)
    yield made
    made.close()


@pytest.fixture
def listener(place: Place) -> Iterator[Listener]:
    with Listener(place.amqp, COUNTED) as made:
        yield made


@pytest.fixture
def channel(place: Place) -> Iterator[Any]:
    with kombu.Connection(place.amqp) as connection:
        yield connection.channel()


def counted(thing: str, version: int, to: str = "kunta") -> Entry:
    envelope = event("thing.counted", {"count": version}, to=to, subject=thing)
    body = profile.compose(envelope)
    return Entry(exchange=EVENTS, key=envelope.routing_key, body=body, aggregate=f"thing/{thing}", version=version)


def put(workshop: Workshop, *pages: Sequence[Entry]) -> None:
    """Each page is one document of the outbox."""
    database = workshop.floor.home.database
    for page in pages:
        with database.client.start_session() as session, session.start_transaction():
            Outbox(database).add(page, datetime.now(UTC), session)


def heard(listener: Listener) -> list[tuple[str, int]]:
    return [(one["subject"], one["data"]["count"]) for one in listener.events()]


def waiting(workshop: Workshop) -> list[tuple[str, int]]:
    return [(one["subject"], one["data"]["count"]) for one in workshop.sent()]


@pytest.fixture
def rejecting(channel: Any) -> Iterator[str]:
    """A queue that takes nothing more of what goes to seamk, so that the broker nacks it."""
    name = f"full.{uuid.uuid4().hex[:8]}"
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(name, durable=False, exclusive=True, auto_delete=False, arguments=arguments)
    channel.basic_publish(Message("the one that it takes"), "", name)
    channel.queue_bind(name, EVENTS, "thing.counted.*.seamk")
    return name


@pytest.mark.usefixtures("rejecting")
def test_what_the_broker_does_not_take_waits_and_the_rest_is_sent_once(
    workshop: Workshop, relay: Relay, listener: Listener
) -> None:
    put(workshop, [counted("a", 1), counted("b", 1, to="seamk"), counted("c", 1)], [counted("a", 2)])

    tries = [relay.run_once() for _ in range(3)]

    assert tries == [2, 0, 0]
    assert heard(listener) == [("a", 1), ("b", 1), ("c", 1), ("a", 2)]
    assert waiting(workshop) == [("b", 1)]
    assert workshop.floor.home.database["parked"].count_documents({}) == 0


def test_what_was_not_taken_is_sent_again_before_what_follows_it_of_the_same_aggregate(  # noqa: PLR0917 - fixtures
    workshop: Workshop, relay: Relay, listener: Listener, channel: Any, rejecting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.relay.HOLD_SECONDS", 0.2)
    put(workshop, [counted("b", 1, to="seamk")])
    relay.run_once()
    put(workshop, [counted("b", 2), counted("a", 1)])
    relay.run_once()
    meanwhile = heard(listener)[1:]

    channel.queue_delete(rejecting)
    eventually(lambda: relay.run_once() == 0 and waiting(workshop) == [], what="an empty outbox")

    assert meanwhile == [("a", 1)]
    assert heard(listener)[2:] == [("b", 1), ("b", 2)]


@pytest.mark.usefixtures("rejecting")
def test_any_number_that_is_not_taken_hides_nothing_behind_it(
    workshop: Workshop, relay: Relay, listener: Listener
) -> None:
    put(workshop, *([counted(f"b-{n}", 1, to="seamk")] for n in range(PAGES + 5)), [counted("a", 1)])

    for _ in range(3):
        relay.run_once()

    assert heard(listener)[-1] == ("a", 1)
    assert len(waiting(workshop)) == PAGES + 5


def test_what_is_not_confirmed_in_time_stays_and_is_sent_again(
    workshop: Workshop, relay: Relay, listener: Listener, cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(workshop, [counted("a", 1)])
    relay.run_once()
    put(workshop, [counted("a", 2), counted("a", 3)])
    monkeypatch.setattr("chassis.publisher.CONFIRM_SECONDS", 0.3)
    cable.hang_answers()

    with pytest.raises(NotConfirmed):
        relay.run_once()

    assert waiting(workshop) == [("a", 2), ("a", 3)]
    cable.mend()
    monkeypatch.undo()
    assert (relay.run_once(), waiting(workshop)) == (1, [])
    assert heard(listener) == [("a", 1), *[("a", 2), ("a", 3)] * 2]


def test_a_connection_that_is_cut_in_the_middle_loses_nothing_and_keeps_the_order(
    workshop: Workshop, relay: Relay, listener: Listener, cable: Cable
) -> None:
    versions = range(1, 41)
    put(workshop, *([counted(f"t-{n}", version) for n in range(10)] for version in versions))
    cable.hang_after(90_000)

    def cut() -> None:
        eventually(lambda: heard(listener), what="some of them")
        cable.jolt()

    with ThreadPoolExecutor() as pool:
        done = pool.submit(cut)
        with pytest.raises(BROKER_ERRORS):
            relay.run_once()
        done.result()

    arrived = len(heard(listener))
    while relay.run_once():
        pass
    first_heard = list(dict.fromkeys(heard(listener)))
    assert 0 < arrived < 400
    for n in range(10):
        assert [one for one in first_heard if one[0] == f"t-{n}"] == [(f"t-{n}", version) for version in versions]


def test_entries_go_by_their_aggregates_version_across_documents_also_around_one_that_is_refused(
    workshop: Workshop, relay: Relay, listener: Listener, broker: RabbitNode, vhost: str
) -> None:
    rights = {"exchange": EVENTS, "write": r"^[a-z]+\.[a-z]+\.kunta\.(kunta|all)$", "read": ".*"}
    with broker.client() as client:
        client.put(f"/api/topic-permissions/{vhost}/{OPERATOR}", json=rights).raise_for_status()
    put(
        workshop,
        [counted("a", 3), counted("b", 1)],
        [counted("a", 1), counted("c", 1, to="nobody")],
        [counted("b", 2), counted("a", 2)],
    )

    relay.run_once()

    first_heard = list(dict.fromkeys(heard(listener)))
    assert [one for one in first_heard if one[0] == "a"] == [("a", 1), ("a", 2), ("a", 3)]
    assert [one for one in first_heard if one[0] == "b"] == [("b", 1), ("b", 2)]
    (found,) = workshop.floor.home.database["parked"].find()
    assert (found["reason"], found["key"]) == ("unpublishable", "thing.counted.kunta.nobody")


def test_what_no_queue_takes_goes_to_the_alternate_exchange_and_blocks_nothing(
    workshop: Workshop, relay: Relay, channel: Any
) -> None:
    channel.queue_declare(UNDELIVERABLE, durable=True, auto_delete=False, arguments=dict(PLAIN_ARGUMENTS))
    channel.queue_bind(UNDELIVERABLE, UNROUTED, "*.*.kunta.seamk")
    put(workshop, [counted("a", 1, to="seamk"), counted("a", 2, to="all"), counted("b", 1)])

    relay.run_once()

    kept = eventually(lambda: channel.basic_get(UNDELIVERABLE, no_ack=True), what="what seamk should have got")
    assert kept.delivery_info["routing_key"] == "thing.counted.kunta.seamk"
    assert channel.basic_get(UNDELIVERABLE) is None
    assert waiting(workshop) == []


def test_what_no_queue_takes_on_the_own_exchange_is_parked_and_can_be_replayed(
    workshop: Workshop, relay: Relay, listener: Listener
) -> None:
    lost = replace(counted("a", 1), exchange=own_exchange("kunta"), key="kunta.gone", origin="thing.told.kunta.kunta")
    put(workshop, [counted("b", 1), lost, counted("b", 2)])

    relay.run_once()

    (found,) = workshop.floor.home.database["parked"].find()
    assert (found["reason"], found["key"], found["own"]) == ("unpublishable", "thing.told.kunta.kunta", True)
    assert heard(listener) == [("b", 1), ("b", 2)]
    # What is left is the word of it to its publisher.
    assert [one["type"] for one in workshop.sent()] == ["fi.viisikko.event.refused.v1"]


def test_a_crash_between_confirm_and_delete_repeats_and_never_loses(
    workshop: Workshop, relay: Relay, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(workshop, [counted("a", 1), counted("a", 2)])

    def crash(*_arguments: Any) -> None:
        raise AutoReconnect

    monkeypatch.setattr(Outbox, "remove", crash)
    with pytest.raises(AutoReconnect):
        relay.run_once()
    monkeypatch.undo()
    relay.run_once()

    assert list(listener.times().values()) == [2, 2]
    assert waiting(workshop) == []


def test_a_replica_that_has_lost_the_lease_sends_nothing_of_what_it_has_read(
    workshop: Workshop, listener: Listener
) -> None:
    put(workshop, [counted("a", 1)])
    overtaken = Relay(workshop.floor.home, leads=lambda: False)

    tried = overtaken.run_once()
    overtaken.close()

    assert (tried, heard(listener), waiting(workshop)) == (0, [], [("a", 1)])


@pytest.fixture
def duties(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Duties]:
    """Lease and relay in their green threads, which look by themselves once a minute only."""
    monkeypatch.setattr("chassis.duties.POLL_SECONDS", 60)
    made = workshop.floor.duties
    yield made
    made.drain()
    made.close()


def greenly(look: Callable[[], bool]) -> None:
    """Let the green threads run until it is so."""
    with eventlet.Timeout(20):
        while not look():
            eventlet.sleep(0.01)


def test_the_relay_is_woken_by_the_commit_and_does_not_wait_for_its_next_look(
    workshop: Workshop, listener: Listener, duties: Duties
) -> None:
    duties.start()
    greenly(lambda: duties.leads and bool(duties._relaying.wake._queue.getting()))

    workshop.take(event("thing.made", {"amount": 4}))

    greenly(lambda: heard(listener) == [("s-1", 4)])


def test_what_another_replica_commits_while_there_is_traffic_is_sent_without_a_wait(
    workshop: Workshop, listener: Listener, duties: Duties
) -> None:
    put(workshop, [counted("a", 1)])
    duties.start()
    greenly(lambda: heard(listener) == [("a", 1)])

    # As another replica would: nothing in this process knows of it.
    put(workshop, [counted("a", 2)])

    greenly(lambda: heard(listener) == [("a", 1), ("a", 2)])
