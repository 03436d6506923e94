"""What a service takes of the machine, how soon it is back after a kill, and how fast parked events are replayed."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import httpx

from bench import contenders, workload
from bench.arrivals import arrivals
from bench.contenders import OURS, started
from bench.stage import SINK, Stage, Stuck
from bench.workload import Published
from chassis import profile
from chassis.testing_live import Running, eventually, running

REAL = "referral"
SETTLE_SECONDS = 10.0
"""After the start, until a service is taken for idle."""

IDLE_SECONDS = 20.0
PAGE = 10_000
"""Events that are published at a time, so that the broker holds few."""

RESTARTED = 2000
KILLED_AFTER = 500
PARKED = 1000
UNLIMITED = {"VIISIKKO_REPLAYS_PER_SECOND": "10000"}
LONGEST_SECONDS = 120.0


def memory(stage: Stage, count: int, say: Callable[[str], None]) -> tuple[float, float]:
    """Resident MiB of our service after a tenth of the events, and after all of them."""
    stage.empty(contenders.ours.seeds())
    events, taken, sizes = workload.stream(count), 0, []
    with started(stage, contenders.ours, 0) as pid:
        for until in (count // 10, count):
            for page in _pages(islice(events, until - taken)):
                stage.fill(page, profile.CONTENT_TYPE)
                stage.wait_for(SINK, len(page))
                stage.channel.queue_purge(SINK)
                taken += len(page)
                say(f"memory: {resident_mib(pid):.1f} MiB after {taken:,} of {count:,} events")
            sizes.append(resident_mib(pid))
    return sizes[0], sizes[1]


def idle(stage: Stage, windows: int) -> tuple[list[float], list[float]]:
    """An idle referral service, the real one: share of a core and resident MiB, for each window."""
    stage.empty()
    shares, sizes = [], []
    with running(REAL, stage.place) as service:
        time.sleep(SETTLE_SECONDS)
        for _window in range(windows):
            before, begun = cpu_seconds(service.pid), time.perf_counter()
            time.sleep(IDLE_SECONDS)
            shares.append((cpu_seconds(service.pid) - before) / (time.perf_counter() - begun))
            sizes.append(resident_mib(service.pid))
    return shares, sizes


def restart(stage: Stage, seed: int) -> float:
    """Seconds from a kill -9 in the middle of a backlog until every event has its answer."""
    stage.empty(contenders.ours.seeds())
    events = workload.events(RESTARTED, seed)
    causes = {event.id for event in events}
    with running(OURS, stage.place) as service, arrivals(stage) as come:
        stage.fill(events, profile.CONTENT_TYPE)
        eventually(lambda: come.count(causes) >= KILLED_AFTER, what=f"{KILLED_AFTER} answers")
        killed = time.perf_counter()
        service.kill()
        service.start()
        return come.wait_for(causes, LONGEST_SECONDS) - killed


def replay(stage: Stage, seed: int) -> float:
    """Parked events a second, from the first request over HTTP until each has its answer."""
    stage.empty()
    first, later = _steps_of_unknown_referrals(seed)
    place = replace(stage.place, more={**stage.place.more, **UNLIMITED})
    token = place.token("operator")
    with running(OURS, place) as service, arrivals(stage) as come:
        stage.fill(later, profile.CONTENT_TYPE)
        parked = stage.database["parked"]
        eventually(lambda: parked.count_documents({}) == PARKED, seconds=LONGEST_SECONDS, what="all parked")
        stage.fill(first, profile.CONTENT_TYPE)
        come.wait_for({event.id for event in first}, LONGEST_SECONDS)
        begun = time.perf_counter()
        _replay_all(service, token)
        took = come.wait_for({event.id for event in later}, LONGEST_SECONDS) - begun
    return PARKED / took


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """What a process has had of the processor, user and system (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _steps_of_unknown_referrals(seed: int) -> tuple[list[Published], list[Published]]:
    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, f"replay/{seed}/{number}")) for number in range(PARKED)]
    return [workload.requested(one) for one in ids], [workload.progressed(one, 2, "enrolled") for one in ids]


def _replay_all(service: Running, token: str) -> None:
    begun = time.monotonic()
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        left = 1
        while left:
            answer = client.post("/v1/parked/replay", json={"all": True}, headers={"Idempotency-Key": uuid.uuid4().hex})
            left = answer.raise_for_status().json()["left"]
            if time.monotonic() - begun > LONGEST_SECONDS:
                raise Stuck(f"{left} parked events are left after {LONGEST_SECONDS:.0f} s")


def _pages(events: Iterator[Published]) -> Iterator[list[Published]]:
    while page := list(islice(events, PAGE)):
        yield page
