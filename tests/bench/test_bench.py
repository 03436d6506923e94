"""Whether the harness counts right; what it measures is no matter of tests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymongo
import pytest

from bench import contenders, pipeline, plain, process, resources, results, stage, workload
from bench.contenders import Contender
from bench.results import Figure
from bench.service import Bench
from bench.stage import Stage, Stuck
from chassis import border, profile
from chassis.incoming import Arrival, Delivery
from chassis.testing_live import Place, Workshop, eventually
from console.nodes.broker import RabbitNode
from console.nodes.store import StoreNode


@pytest.fixture
def on(tmp_path: Path, broker: RabbitNode, store: StoreNode, vhost: str) -> Iterator[Stage]:
    uri = broker.uri(vhost=vhost)
    client = pymongo.MongoClient[dict[str, Any]](store.uri, tz_aware=True)
    connection = process.connect(uri)
    yield Stage(tmp_path, broker, store, uri, connection.channel(), client)
    client.drop_database(process.DATABASE)
    client.close()
    connection.close()


def test_a_third_of_the_events_make_a_referral_and_all_have_about_700_bytes() -> None:
    events = workload.events(300)

    made = [event for event in events if event.key == "referral.requested.seamk.kunta"]
    known = {event.subject for event in workload.known()}
    assert (len(events), len(made)) == (300, 100)
    assert {event.subject for event in events if event not in made} <= known
    assert all(650 < len(event.body) < 800 for event in events)
    assert len({event.id for event in events}) == 300


def test_the_bare_loop_writes_the_documents_that_the_chassis_writes(offline_place: Place) -> None:
    first, then = workload.requested("r-1"), workload.progressed("r-1", 2, "enrolled")
    workshop = Workshop(Bench, offline_place)
    database = workshop.floor.home.database

    try:
        workshop.floor.transaction.apply([_arrived(workshop, event) for event in (first, then)])
        ours = database["referral"].find_one({})
        sent = database["outbox"].find_one({})
    finally:
        workshop.close()

    assert ours is not None
    assert sent is not None
    bare = plain.document_after(plain.document_after(None, _read(first)), _read(then))
    assert _without_moments(ours) == _without_moments(bare)
    entry = sent["entries"][1]
    ours_said, bare_said = json.loads(entry["body"]), json.loads(plain.entry_of(_read(then), bare)["body"])
    own = {"id": "", "time": "", "traceparent": ""}
    assert {**ours_said, **own} == {**bare_said, **own}
    assert ours_said["traceparent"].split("-")[1] == ours_said["id"].replace("-", "")
    assert bare_said["traceparent"].split("-")[1] == bare_said["id"].replace("-", "")
    assert {**entry, "body": b""} == {**plain.entry_of(_read(then), bare), "body": b""}


def _arrived(workshop: Workshop, event: workload.Published) -> Arrival:
    delivery = Delivery(body=event.body, routing_key=event.key, queue=process.QUEUE, content_type=profile.CONTENT_TYPE)
    return border.arrive(workshop.floor.home, delivery)


def _read(event: workload.Published) -> dict[str, Any]:
    return workload.decoded(event.body)


def _without_moments(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "history": [{**entry, "at": ""} for entry in document["history"]]}


@pytest.mark.parametrize("contender", [contenders.ours, contenders.floor, contenders.nameko, contenders.faststream])
def test_every_contender_has_each_event_s_effect_and_answer_once(on: Stage, contender: Contender) -> None:
    events = workload.events(60)

    rate = pipeline.throughput(on, contender, contender.sizes[0], events)

    assert rate > 0
    assert on.depth(stage.SINK) == 60
    assert on.depth(process.QUEUE) == 0


def test_an_effect_that_is_missing_is_told(on: Stage) -> None:
    events = workload.events(9)
    twice = replace(contenders.ours, effects=lambda _stage: 10)
    on.empty(contenders.ours.seeds())

    with pytest.raises(Stuck, match="0 effects on 2000 referrals instead of 2003"):
        pipeline.check_effects(on, contenders.ours, events)
    with pytest.raises(Stuck, match="9 events, 3 of which make a referral, had 10 effects"):
        pipeline.check_effects(on, twice, events)


def test_both_relays_publish_the_whole_outbox(on: Stage) -> None:
    pages = pipeline.outbox(450)

    rates = [pipeline.relay_ours(on, pages), pipeline.relay_bare(on, pages, 2)]

    assert [len(page["entries"]) for page in pages] == [200, 200, 50]
    assert min(rates) > 0


def test_the_gate_holds_the_queue_until_it_is_opened(on: Stage) -> None:
    on.empty()
    came: list[Any] = []
    connection = process.connect(on.amqp)
    with on.gate() as gate:
        connection.channel().basic_consume(process.QUEUE, no_ack=True, callback=came.append)
        on.fill(workload.events(6), "application/json")
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.3)
        held = len(came)

        gate.open()

        eventually(lambda: connection.drain_events(timeout=5) or len(came) == 6, what="all six")
    connection.close()
    assert held == 0


def test_memory_and_processor_of_a_process_are_read() -> None:
    pid = os.getpid()
    memory, processor = resources.resident_mib(pid), resources.cpu_seconds(pid)

    ballast = bytearray(64 * 2**20)

    assert 60 < resources.resident_mib(pid) - memory < 100
    eventually(lambda: sum(range(10**6)) and resources.cpu_seconds(pid) > processor, what="time of the processor")
    assert len(ballast) == 64 * 2**20


def test_a_ratio_is_taken_round_by_round_and_kept_with_its_goal(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"

    results.keep({"pipeline_vs_floor": Figure.ratio([80, 90, 60], [100, 100, 100])}, path)
    results.keep({"restart_seconds": Figure.plain([3.0])}, path)

    kept = json.loads(path.read_text())
    assert kept["pipeline_vs_floor"] == {
        "median": 0.8, "min": 0.6, "max": 0.9, "goal": 0.8, "met": True, "ours": 80, "rival": 100,
    }  # fmt: skip
    assert path.with_suffix(".md").read_text().splitlines()[2:] == [
        "| `pipeline_vs_floor`: events/s against a bare loop | 0.8 | 0.6 … 0.9 | ≥ 0.8 | 80 | 100 |",
        "| `restart_seconds`: s from kill -9 to caught up | 3 | 3 … 3 | stated | 3 |  |",
    ]
    assert kept["restart_seconds"]["goal"] is None
    assert kept["restart_seconds"]["met"] is None
    assert kept["restart_seconds"]["rival"] is None


def test_a_goal_is_a_bound_from_below_or_from_above() -> None:
    assert [results.GOALS["pipeline_vs_nameko"].met(value) for value in (4.9, 5)] == [False, True]
    assert [results.GOALS["idle_cpu"].met(value) for value in (0.01, 0.011)] == [True, False]
    assert results.GOALS["restart_seconds"].met(99) is None
