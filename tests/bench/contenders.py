"""Who is measured: our service, the bare loop, and the two rivals, each as a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench import plain, process, workload
from bench.stage import ROOT, Stage
from chassis import profile
from chassis.testing_live import running
from console.nodes.processes import Process

OURS = "bench.service:Bench"
START_SECONDS = 40

Seeds = Mapping[str, Sequence[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One program that is measured.

    Attributes:
        name: What the progress calls it.
        module: The module that is run; empty for our service.
        arguments: What it is run with.
        sizes: What it is tried with before the rounds; the best is measured.
        content_type: What the events that it takes are called: frameworks decode by it.
        seeds: Collection → documents that are there before.
        effects: How many events have had their effect, besides those that made what was there before.
    """

    name: str
    module: str = ""
    arguments: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (0,)
    content_type: str = profile.CONTENT_TYPE
    seeds: Callable[[], Seeds]
    effects: Callable[[Stage], int]


def as_the_chassis_has_them() -> Seeds:
    """The referrals that are there before, in the chassis's layout."""
    return {"referral": plain.documents_of(workload.known())}


def as_a_plain_program_has_them() -> Seeds:
    """The same, with nothing but state and version."""
    documents = plain.documents_of(workload.known())
    return {
        "referral": [{"_id": d["_id"], "state": d["state"], "version": 1} for d in documents],
    }


def versions(stage: Stage) -> int:
    """Effects, as the versions of the documents tell them: each event moves one on by one."""
    documents = stage.database["referral"].find({}, {"version": 1})
    return sum(document["version"] for document in documents) - workload.KNOWN


def marks(stage: Stage) -> int:
    """Effects, as the marks tell them.

    The versions of a plain program cannot: two of its workers that change one referral at once lose one of the changes.
    """
    return int(stage.database["marks"].count_documents({}))


ours = Contender(name="ours", seeds=as_the_chassis_has_them, effects=versions)
floor = Contender(
    name="bare loop",
    module="bench.bare",
    arguments=("consume",),
    sizes=(50, 100, 200, 400, 800),
    seeds=as_the_chassis_has_them,
    effects=versions,
)
nameko = Contender(
    name="nameko",
    module="bench.rival_nameko",
    sizes=(1, 10, 50),
    content_type="application/json",
    seeds=as_a_plain_program_has_them,
    effects=marks,
)
faststream = Contender(
    name="FastStream",
    module="bench.rival_faststream",
    sizes=(1, 10, 100),
    content_type="application/json",
    seeds=as_a_plain_program_has_them,
    effects=marks,
)


def environment(stage: Stage, size: int) -> dict[str, str]:
    """Where a process that is no service finds broker and store."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "tests"),
        "BENCH_AMQP": stage.amqp,
        "BENCH_MONGO": stage.store.uri,
        "BENCH_SIZE": str(size),
    }


@contextmanager
def started(stage: Stage, contender: Contender, size: int) -> Iterator[int]:
    """Run a contender until the end; its process id, once it awaits messages."""
    if not contender.module:
        with running(OURS, stage.place) as service:
            yield service.pid
        return
    command = [sys.executable, "-W", "ignore", "-m", contender.module, *contender.arguments]
    child = Process(contender.name, command, folder=stage.folder, environment=environment(stage, size))
    child.log.unlink(missing_ok=True)
    child.start()
    try:
        ready = f"{process.READY}\n"
        child.wait_ready(lambda: ready in child.log.read_text(), seconds=START_SECONDS)
        yield child.pid
    finally:
        child.kill()
