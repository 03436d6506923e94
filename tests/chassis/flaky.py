"""The test service with a flaw that a test asks for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import eventlet
from nameko.extensions import DependencyProvider
from thing import Thing, Things

from chassis.admission import Portion, settle
from chassis.effects import EffectCall
from chassis.projection import projection
from chassis.subscriber import subscribe


class Flaky(Things):
    """Its worker fails at the first batch, before anything of it is settled."""

    counts = projection("thing", lambda _id, thing: thing.count)

    @subscribe()
    def take(self, portion: Portion) -> Exception | None:
        first = Path(os.environ["FLAKY"])
        if not first.exists():
            first.touch()
            raise RuntimeError("a programming error before the batch is applied")
        return settle(self.floor.transaction, portion)


def slowly(_id: str, thing: Thing) -> int:
    time.sleep(0.01)
    return thing.count


class Slow(Things):
    """Its projection takes long to load; each decision notes how much of it there was."""

    counts = projection("thing", slowly)

    def reads(self) -> Any:
        with Path(os.environ["FLAKY"]).open("a") as seen:
            seen.write(f"{len(self.counts.view())}\n")


def note(_service: Any) -> Any:
    def do(call: EffectCall) -> None:
        with Path(os.environ["FLAKY"]).open("a") as done:
            done.write(f"{call.key}\n")
        time.sleep(0.02)

    return do


class Noting(Things):
    """Its effect takes a little while and leaves a line with its key for each time that it is done."""

    effects = {"work": note}
    counts = projection("thing", lambda _id, thing: thing.count)


class Moody(Things):
    """It fails at every message while a file is there, by a time limit where the file says so."""

    counts = projection("thing", lambda _id, thing: thing.count)

    def reads(self) -> None:
        mood = Path(os.environ["FLAKY"])
        if mood.exists():
            raise eventlet.Timeout(None) if mood.read_text() == "timeout" else RuntimeError("a programming error")


class Fragile(DependencyProvider):
    """A fault outside the handler, once: before it runs, or when its result is told."""

    def worker_setup(self, worker_ctx: Any) -> None:
        self._break("before", worker_ctx)

    def worker_result(self, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> None:  # noqa: ARG002 - nameko's
        self._break("after", worker_ctx)

    def _break(self, moment: str, worker_ctx: Any) -> None:
        is_batch = worker_ctx.entrypoint.method_name == "take"
        broken = Path(os.environ["FLAKY"])
        if is_batch and moment == os.environ["FLAKY_WHEN"] and not broken.exists():
            broken.touch()
            raise eventlet.Timeout(None) if "FLAKY_TIMEOUT" in os.environ else RuntimeError("a programming error")


class Fragiles(Things):
    """It stands on something that breaks."""

    counts = projection("thing", lambda _id, thing: thing.count)
    fragile = Fragile()


class Sleepy(Things):
    """Its decisions take longer than the second after which nameko closes the connection of what it stops."""

    counts = projection("thing", lambda _id, thing: thing.count)

    def reads(self) -> None:
        Path(os.environ["FLAKY"]).touch()
        time.sleep(3)
