"""Events through the whole pipeline, and through the relay alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from bson import ObjectId

from bench import contenders, plain, profiling, workload
from bench.contenders import Contender, environment, started
from bench.stage import SINK, Stage, Stuck
from bench.workload import Published, decoded

RELAY_PAGES = (1, 5, 20, 50)
"""Outbox documents that the bare loop is tried with at a time."""

PAGE_EVENTS = 200
"""Entries in an outbox document that is there before: a full batch of the chassis's default."""


def throughput(
    stage: Stage,
    contender: Contender,
    size: int,
    events: Sequence[Published],
    profiler: profiling.Profiler = profiling.off,
) -> float:
    """Events a second from the moment that the queue is opened until the last one's answer is confirmed.

    Raises:
        Stuck: The contender has stopped, or the store does not hold what the events lead to.
    """
    stage.empty(contender.seeds())
    with stage.gate() as gate, started(stage, contender, size) as pid:
        stage.fill(events, contender.content_type)
        with profiler(pid):
            opened = gate.open()
            took = stage.wait_for(SINK, len(events)) - opened
        check_effects(stage, contender, events)
    return len(events) / took


def check_effects(stage: Stage, contender: Contender, events: Sequence[Published]) -> None:
    """Look whether every event has had its effect, and none twice.

    Raises:
        Stuck: It is not so.
    """
    made = sum(event.key.startswith("referral.requested.") for event in events)
    referrals = stage.database["referral"].count_documents({})
    effects = contender.effects(stage)
    if (referrals, effects) != (workload.KNOWN + made, len(events)):
        raise Stuck(
            f"{contender.name}: {len(events)} events, {made} of which make a referral, "
            f"had {effects} effects on {referrals} referrals instead of {workload.KNOWN + made}"
        )


def best_size(stage: Stage, contender: Contender, events: Sequence[Published], say: Callable[[str], None]) -> int:
    """The size at which a contender is fastest."""
    if len(contender.sizes) == 1:
        return contender.sizes[0]
    tried = {size: throughput(stage, contender, size, events) for size in contender.sizes}
    say(f"{contender.name}: " + ", ".join(f"{size} → {rate:,.0f}/s" for size, rate in tried.items()))
    return max(tried, key=lambda size: tried[size])


def relay_ours(stage: Stage, pages: Sequence[dict[str, Any]]) -> float:
    """Events a second that our relay publishes by itself."""
    return _relay(stage, pages, [sys.executable, "-W", "ignore", "-m", "bench.relay_alone"], stage.place.environment(1))


def relay_bare(stage: Stage, pages: Sequence[dict[str, Any]], size: int) -> float:
    """The same of the bare loop."""
    return _relay(stage, pages, [sys.executable, "-m", "bench.bare", "relay"], environment(stage, size))


def _relay(stage: Stage, pages: Sequence[dict[str, Any]], command: list[str], variables: dict[str, str]) -> float:
    events = sum(len(page["entries"]) for page in pages)
    stage.empty({"outbox": pages})
    ran = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    if ran.returncode != 0 or stage.depth(SINK) != events or stage.database["outbox"].count_documents({}):
        raise Stuck(f"{' '.join(command[1:])} published {stage.depth(SINK)} of {events}: {ran.stderr[-2000:]}")
    return events / float(ran.stdout)


@cache
def outbox(count: int) -> list[dict[str, Any]]:
    """So many answers as they wait in the outbox."""
    entries = []
    for event in workload.stream(count * 3):
        if len(entries) == count:
            break
        if event.key.startswith("referral.requested."):
            read = decoded(event.body)
            entries.append(plain.entry_of(read, plain.document_after(None, read)))
    at = plain.EPOCH
    return [
        {"_id": ObjectId(), "at": at, "entries": entries[start : start + PAGE_EVENTS]}
        for start in range(0, count, PAGE_EVENTS)
    ]


CONTENDERS = {
    "pipeline_vs_nameko": contenders.nameko,
    "pipeline_vs_faststream": contenders.faststream,
    "pipeline_vs_floor": contenders.floor,
}
