"""Every metric moves on a running service, when what it is named for happens."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import kombu
import pymongo
import pytest
from process import SERVICE, client, keyed
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from chassis import metrics
from chassis.testing_live import Place, Publisher, Running, event, eventually, running
from chassis.topology import EVENTS

CTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
SETTINGS = {
    # Long enough that the gauges are counted while another replica leads, or seems to.
    "VIISIKKO_LEASE_SECONDS": "24",
    "VIISIKKO_OUTBOX_LIMIT": "2",
    "VIISIKKO_BATCH_MESSAGES": "3",
    "VIISIKKO_RETRY_SECONDS": "0.05,0.05,0.05,0.05",
    "VIISIKKO_FAILURE_WINDOW": "12",
    "VIISIKKO_PROBE_SECONDS": "0.2",
}


class Watch:
    """The highest value that each series of a service has been seen at."""

    def __init__(self, service: Running) -> None:
        self.service = service
        self.highest: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        self.last: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}

    def look(self) -> None:
        for family in text_string_to_metric_families(httpx.get(f"{self.service.url}/metrics", timeout=20).text):
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                self.last[key] = sample.value
                self.highest[key] = max(self.highest.get(key, 0), sample.value)

    def moved(self, name: str, /, **labels: str) -> bool:
        found = (
            value
            for (series, has), value in self.highest.items()
            if series == name and labels.items() <= dict(has).items()
        )
        return any(found)

    def wait_until_sent(self) -> None:
        """Until the outbox is empty, and holds up nothing."""
        waiting = (
            ("viisikko_outbox_documents", frozenset[Any]()),
            (
                "viisikko_consumer_paused",
                frozenset({("why", "outbox")}),
            ),
        )

        def sent() -> bool:
            self.look()
            return not any(self.last[one] for one in waiting)

        eventually(sent, seconds=30, what="an empty outbox")

    def wait(self, name: str, /, *, meanwhile: Callable[[], None] = lambda: None, **labels: str) -> None:
        def seen() -> bool:
            meanwhile()
            self.look()
            return self.moved(name, **labels)

        eventually(seen, seconds=30, what=f"{name} {labels}")


@pytest.fixture
def leases(thing_place: Place) -> Iterator[Any]:
    with pymongo.MongoClient[dict[str, Any]](thing_place.mongo) as connected:
        yield connected["kunta_test"]["leases"]


@contextmanager
def alarm(broker: Any) -> Iterator[None]:
    """RabbitMQ's memory alarm."""

    def limit(size: str) -> None:
        command = [CTL, "-n", "viisikko@localhost", "set_vm_memory_high_watermark", "absolute", size]
        subprocess.run(command, env=broker._environment(), check=True, capture_output=True, timeout=60)

    limit("1MB")
    try:
        yield
    finally:
        limit("400MB")


def test_every_metric_moves_when_it_should(
    thing_place: Place, publisher: Publisher, leases: Any, broker: Any, store: Any
) -> None:
    leases.insert_one({"_id": "leader", "holder": "another", "beat": 1})
    place = replace(thing_place, more={**thing_place.more, **SETTINGS})
    with running(SERVICE, place) as service:
        watch = Watch(service)
        _waits_while_another_leads(watch, publisher)
        leases.delete_many({})
        _goes_on_as_leader(watch)
        _fails_and_parks(watch, publisher)
        _is_not_taken(watch, publisher)
        _meets_other_writers(watch, service)
        with alarm(broker):
            # The broker tells a connection that it is blocked when it publishes: this, or what still waits to be sent.
            watch.wait("viisikko_broker_blocked", meanwhile=lambda: _send(service, "POST", "/v1/things", 1))
        watch.wait_until_sent()
        _loses_its_store(watch, publisher, store)
        _meets_a_bad_release(watch, publisher)

        unmoved = [m.name for m in metrics.described if not watch.moved(_series(m))]

    assert unmoved == []
    for label, values in (("why", metrics.PAUSES), ("step", metrics.STEPS)):
        name = "viisikko_consumer_paused" if label == "why" else "viisikko_retries_total"
        assert [value for value in values if not watch.moved(name, **{label: value})] == []


def _series(metric: metrics.Described) -> str:
    return f"{metric.name}_sum" if metric.kind == "histogram" else metric.name


def _waits_while_another_leads(watch: Watch, publisher: Publisher) -> None:
    publisher.send(event("thing.timed", {"amount": 0}, subject="timed"))
    publisher.send(event("thing.worked", {"amount": 1}, subject="worked"))
    publisher.send(event("thing.worked", {"amount": 7}, subject="given-up"))
    watch.wait("viisikko_effects_waiting")
    # It looks at its outbox once a second, and pauses only where there is something to take.
    watch.wait(
        "viisikko_consumer_paused", why="outbox", meanwhile=lambda: publisher.send(event("thing.made", {"amount": 1}))
    )
    for name in ("outbox_documents", "outbox_age_seconds", "timers_late_seconds"):
        watch.wait(f"viisikko_{name}")
    assert not watch.moved("viisikko_leader")


def _goes_on_as_leader(watch: Watch) -> None:
    watch.wait("viisikko_leader")
    for name in ("published_total", "timers_fired_total", "effects_dead"):
        watch.wait(f"viisikko_{name}")
    for how in ("done", "dead"):
        watch.wait("viisikko_effects_total", name="work", how=how)
    watch.wait("viisikko_parked_total", reason="effect")


def _fails_and_parks(watch: Watch, publisher: Publisher) -> None:
    publisher.send(event("thing.made", {"amount": 1000}, subject="too-much"))
    publisher.send(event("thing.made", {"amount": 13}, subject="guilty"))
    for reason in ("rule", "error"):
        watch.wait("viisikko_parked_total", reason=reason)
    watch.wait("viisikko_parked_standing")


def _is_not_taken(watch: Watch, publisher: Publisher) -> None:
    with kombu.Connection(watch.service.place.amqp) as connection:
        channel: Any = connection.channel()
        full = {"x-max-length": 1, "x-overflow": "reject-publish"}
        channel.queue_declare("full", durable=True, auto_delete=False, arguments=full)
        channel.queue_bind("full", EVENTS, "thing.counted.#")
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"full-{n}") for n in range(5)))
        watch.wait("viisikko_not_taken_total")
        channel.queue_delete("full")


def _meets_other_writers(watch: Watch, service: Running) -> None:
    def all_at_once() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda amount: _order(service, "PUT", "/v1/things/same", amount), range(100, 120)))

    watch.wait("viisikko_conflicts_total", meanwhile=all_at_once)


def _order(service: Running, method: str, path: str, amount: int) -> None:
    """One command; as long as the outbox is over its limit it is sent again."""
    headers = keyed()
    eventually(lambda: _send(service, method, path, amount, headers), what=f"{method} {path}")


def _send(service: Running, method: str, path: str, amount: int, headers: dict[str, str] | None = None) -> bool:
    """Whether a command is taken; where the outbox is over its limit, the answer is 503."""
    with client(service) as http:
        status = http.request(method, path, json={"amount": amount}, headers=headers or keyed()).status_code
    assert status in {200, 201, 503}
    return status != 503


def _loses_its_store(watch: Watch, publisher: Publisher, store: Any) -> None:
    store.stop()
    try:
        publisher.send(event("thing.made", {"amount": 1}))
        watch.wait("viisikko_consumer_paused", why="store")
    finally:
        store.start()


def _meets_a_bad_release(watch: Watch, publisher: Publisher) -> None:
    publisher.send(*(event("thing.made", {"amount": 13}, subject=f"bad-{n}") for n in range(20)))
    watch.wait("viisikko_consumer_paused", why="failing")


def test_labels_that_are_known_beforehand_stand_at_zero_from_the_start() -> None:
    told = generate_latest().decode()

    for why in metrics.PAUSES:
        assert f'viisikko_consumer_paused{{why="{why}"}}' in told
    for reason in metrics.Reason:
        assert f'viisikko_parked_total{{reason="{reason}"}}' in told


def test_every_metric_has_a_name_of_its_own_and_a_unit_where_it_has_one() -> None:
    names = [metric.name for metric in metrics.described]

    assert len(set(names)) == len(names)
    assert [name for name in names if not name.startswith("viisikko_")] == []
    for metric in metrics.described:
        assert metric.name.endswith("_total") == (metric.kind == "counter")


def test_metrics_are_declared_in_their_own_file_only() -> None:
    services = Path(metrics.__file__).parents[2]

    elsewhere = [
        path.name
        for path in services.rglob("*.py")
        if path != Path(metrics.__file__) and "Counter(" in (text := path.read_text()) and "prometheus_client" in text
    ]

    assert elsewhere == []
