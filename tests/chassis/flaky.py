"""The test service with a flaw that a test asks for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from thing import Thing, Things

from chassis.admission import Admitted, settle
from chassis.effects import EffectCall
from chassis.projection import projection
from chassis.subscriber import subscribe


class Flaky(Things):
    """Its worker fails at the first batch, before anything of it is settled."""

    counts = projection("thing", lambda _id, thing: thing.count)

    @subscribe()
    def take(self, admitted: list[Admitted]) -> Exception | None:
        first = Path(os.environ["FLAKY"])
        if not first.exists():
            first.touch()
            raise RuntimeError("a programming error before the batch is applied")
        return settle(self.floor.transaction, admitted)


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
    """It fails at every message while a file is there."""

    counts = projection("thing", lambda _id, thing: thing.count)

    def reads(self) -> None:
        if Path(os.environ["FLAKY"]).exists():
            raise RuntimeError("a programming error in a release")
