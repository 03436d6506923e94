"""The relay on a real broker: what one refuses is parked alone, and what it cannot take yet waits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import kombu
import pytest
from amqp.exceptions import NotFound
from thing import Things

from chassis import profile
from chassis.border import Entry
from chassis.outbox import Outbox
from chassis.relay import Relay
from chassis.testing_live import Place, Workshop, event
from chassis.topology import EVENTS
from console.nodes.broker import OPERATOR


@pytest.fixture
def workshop(place: Place) -> Iterator[Workshop]:
    made = Workshop(Things, replace(place, more={"VIISIKKO_HEARTBEAT_SECONDS": "2"}))
    yield made
    made.close()


@pytest.fixture
def relay(workshop: Workshop) -> Iterator[Relay]:
    made = Relay(workshop.floor.home)
    yield made
    made.close()


def counted(number: int, to: str) -> Entry:
    envelope = event("thing.counted", {"count": number}, to=to)
    body = profile.compose(envelope)
    return Entry(exchange=EVENTS, key=envelope.routing_key, body=body, aggregate="thing/a", version=number)


def put(workshop: Workshop, entries: Sequence[Entry]) -> None:
    database = workshop.floor.home.database
    with database.client.start_session() as session, session.start_transaction():
        Outbox(database).add(entries, datetime.now(UTC), session)


def may_speak_to_kunta_only(broker: Any, vhost: str) -> None:
    rights = {"exchange": EVENTS, "write": r"^[a-z]+\.[a-z]+\.kunta\.(kunta|all)$", "read": ".*"}
    with broker.client() as client:
        client.put(f"/api/topic-permissions/{vhost}/{OPERATOR}", json=rights).raise_for_status()


def channel_of(place: Place) -> Any:
    return kombu.Connection(place.amqp).channel()


def test_what_the_broker_refuses_is_parked_alone_and_told(
    workshop: Workshop, relay: Relay, place: Place, vhost: str, broker: Any
) -> None:
    may_speak_to_kunta_only(broker, vhost)
    channel = channel_of(place)
    channel.queue_declare("kunta.probe", durable=False, exclusive=True)
    channel.queue_bind("kunta.probe", EVENTS, "thing.counted.*.kunta")
    put(workshop, [counted(1, "kunta"), counted(2, "nobody"), counted(3, "kunta")])

    relay.run_once()

    (found,) = workshop.floor.home.database["parked"].find()
    assert (found["reason"], found["key"]) == ("unpublishable", "thing.counted.kunta.nobody")
    assert [(e["type"], e["data"]["event"]) for e in workshop.sent()] == [
        ("fi.viisikko.event.refused.v1", found["event"])
    ]
    assert channel.queue_declare("kunta.probe", passive=True).message_count >= 2


def test_a_writer_that_ends_the_sessions_of_others_leaves_the_own_relay_alone(
    workshop: Workshop, relay: Relay, vhost: str, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_speak_to_kunta_only(broker, vhost)
    put(workshop, [counted(1, "nobody")])
    park = relay._lot.park

    def meanwhile(*arguments: Any) -> list[Entry]:
        workshop.floor.home.sessions.end_others()
        return park(*arguments)

    monkeypatch.setattr(relay._lot, "park", meanwhile)

    assert relay.run_once() == 1
    assert workshop.floor.home.database["parked"].count_documents({}) == 1


def test_an_exchange_that_is_not_declared_yet_is_waited_for(workshop: Workshop, relay: Relay, place: Place) -> None:
    channel = channel_of(place)
    channel.exchange_delete(EVENTS)
    put(workshop, [counted(1, "kunta")])

    with pytest.raises(NotFound):
        relay.run_once()

    assert workshop.floor.home.database["parked"].count_documents({}) == 0
    assert len(workshop.sent()) == 1
    channel.exchange_declare(EVENTS, "topic", durable=True, auto_delete=False)
    assert (relay.run_once(), workshop.sent()) == (1, [])


def test_an_idle_relay_reads_what_the_broker_says(workshop: Workshop, relay: Relay) -> None:
    put(workshop, [counted(1, "kunta")])
    relay.run_once()
    publisher = relay._publisher

    end = time.monotonic() + 7
    while time.monotonic() < end:
        relay.idle()
        time.sleep(0.2)

    put(workshop, [counted(2, "kunta")])
    assert relay.run_once() == 1
    assert relay._publisher is publisher
