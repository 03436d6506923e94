"""How long one event takes at a quiet pace: from its publishing to the arrival of its answer.

It is compared with the sum of the bare operations that nobody can do without: the event through its queue, one look-up,
one transaction, the answer through its queue. Each is done alone, one after another, at the same pace.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import amqp

from bench import contenders, process
from bench.arrivals import arrivals
from bench.bare import store_batch
from bench.contenders import started
from bench.stage import SINK, Stage
from bench.workload import Published, decoded
from chassis import profile

PER_SECOND = 50
WARM_UP = 50
"""Events before those that count: connections and caches are made by the first ones."""

LONGEST_SECONDS = 30.0


def ours(stage: Stage, events: Sequence[Published]) -> list[float]:
    """Milliseconds of each event through our service."""
    stage.empty(contenders.ours.seeds())
    connection = process.connect(stage.amqp)
    channel = connection.channel()
    sent = {}
    with started(stage, contenders.ours, 0), arrivals(stage) as come:
        for event in _paced(events):
            sent[event.id] = time.perf_counter()
            _publish(channel, process.EXCHANGE, event.key, event.body)
        come.wait_for(sent.keys(), LONGEST_SECONDS)
        took = [(come.moments[event.id] - sent[event.id]) * 1000 for event in events[WARM_UP:]]
    connection.close()
    return took


def bare(stage: Stage, events: Sequence[Published]) -> list[float]:
    """Milliseconds of the bare operations of each event."""
    stage.empty(contenders.floor.seeds())
    connection = process.connect(stage.amqp)
    came: list[Any] = []
    channel = connection.channel()
    for queue in (process.QUEUE, SINK):
        channel.basic_consume(queue, callback=came.append)

    def through(key: str, body: bytes) -> None:
        came.clear()
        _publish(channel, process.EXCHANGE, key, body)
        while not came:
            connection.drain_events()

    with stage.client.start_session() as session:
        took = [_timed(through, stage.database, session, event) for event in _paced(events)]
    connection.close()
    return took[WARM_UP:]


def percentiles(milliseconds: Sequence[float]) -> tuple[float, float]:
    """The middle, and what 99 of 100 do not exceed."""
    parts = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return parts[49], parts[98]


def _timed(through: Callable[[str, bytes], None], database: Any, session: Any, event: Published) -> float:
    begun = time.perf_counter()
    through(event.key, event.body)
    _page, (entry,) = store_batch(database, session, [decoded(event.body)])
    through(entry["key"], entry["body"])
    return (time.perf_counter() - begun) * 1000


def _publish(channel: amqp.Channel, exchange: str, key: str, body: bytes) -> None:
    message = amqp.Message(body, content_type=profile.CONTENT_TYPE, delivery_mode=process.PERSISTENT)
    channel.basic_publish(message, exchange, key)


def _paced(events: Sequence[Published]) -> Iterator[Published]:
    begun = time.perf_counter()
    for number, event in enumerate(events):
        time.sleep(max(0.0, begun + number / PER_SECOND - time.perf_counter()))
        yield event
