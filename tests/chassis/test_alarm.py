"""RabbitMQ's memory alarm on a node of its own: it is seen and shown, commands get 503 in time, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from listener import Listener
from process import SERVICE, client, keyed, metrics, said

from chassis.testing_live import Place, Running, eventually, running
from console.nodes.broker import RabbitNode

HERE = str(Path(__file__).parent)
CTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
SHORT, PLENTY = "0.0001", "0.9"
"""Shares of the machine's memory above which the broker takes nothing more from publishers."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RabbitNode]:
    """A broker that nobody else needs."""
    made = RabbitNode(tmp_path / "node")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def alarm_place(
    offline_place: Place, node: RabbitNode, new_vhost_on: Callable[[RabbitNode], AbstractContextManager[str]]
) -> Iterator[Place]:
    with new_vhost_on(node) as vhost:
        more = {"PYTHONPATH": HERE, "VIISIKKO_OUTBOX_SECONDS": "4"}
        yield replace(offline_place, amqp=node.uri(vhost=vhost), more=more)


def allow_memory(node: RabbitNode, share: str) -> None:
    command = [CTL, "set_vm_memory_high_watermark", share]
    subprocess.run(command, env=node._environment(), check=True, capture_output=True, timeout=60)


def is_blocked(process: Running) -> bool:
    return "viisikko_broker_blocked 1.0" in metrics(process)


class Clerk:
    """Gives commands over HTTP, and counts those that were taken."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.taken = 0

    def make(self) -> httpx.Response:
        answer = self.http.post("/v1/things", json={"amount": 1}, headers=keyed())
        self.taken += answer.status_code == 201
        return answer


def test_a_broker_that_is_short_of_memory_is_seen_and_survived_and_each_event_is_sent_once(
    alarm_place: Place, node: RabbitNode
) -> None:
    with (
        Listener(alarm_place.amqp, "thing.counted.kunta.kunta") as listener,
        running(SERVICE, alarm_place) as service,
        client(service) as http,
    ):
        clerk = Clerk(http)
        before = [clerk.make().status_code for _n in range(20)]
        eventually(lambda: len(listener.times()) == 20, what="what was said before")

        allow_memory(node, SHORT)
        during = [clerk.make().status_code for _n in range(20)]
        eventually(lambda: is_blocked(service), what="the blocked connection")
        ready = http.get("/health/ready")
        refused = eventually(lambda: (answer := clerk.make()).status_code == 503 and answer, what="the full outbox")
        read = http.get("/v1/things")
        heard = len(listener.times())

        allow_memory(node, PLENTY)
        eventually(service.is_ready, what="ready")
        after = clerk.make().status_code
        times = eventually(lambda: len(listener.times()) >= clerk.taken and listener.times(), what="all events")
        stopped = service.stop()

    assert (before, during, after) == ([201] * 20, [201] * 20, 201)
    assert (ready.status_code, ready.json()["broker"], ready.json()["publishing"]) == (503, True, False)
    assert (refused.headers["Retry-After"], refused.json()["type"]) == ("5", "urn:viisikko:problem:away")
    assert (read.status_code, heard) == (200, 20)
    assert (len(times), set(times.values()), stopped) == (clerk.taken, {1}, 0)
    assert said(service, "publishing.away", "publishing.back") == ["publishing.away", "publishing.back"]


def test_a_stop_during_the_alarm_says_what_it_leaves_and_the_next_start_sends_it(
    alarm_place: Place, node: RabbitNode
) -> None:
    place = replace(alarm_place, more={**alarm_place.more, "VIISIKKO_DRAIN_SECONDS": "1"})
    with Listener(place.amqp, "thing.counted.kunta.kunta") as listener:
        allow_memory(node, SHORT)
        with running(SERVICE, place) as service, client(service) as http:
            clerk = Clerk(http)
            clerk.make()
            eventually(lambda: is_blocked(service), what="the blocked connection")
            stopped = service.stop()
        allow_memory(node, PLENTY)
        with running(SERVICE, place):
            # What was sent into the alarm was not confirmed, so that it may come twice, and its id tells so.
            times = eventually(listener.times, what="the event")

    assert (clerk.taken, stopped, len(times)) == (1, 0, 1)
    assert said(service, "service.left") == ["service.left"]
