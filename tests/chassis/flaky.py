"""The test service with a flaw that a test asks for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from thing import Thing, Things

from chassis.incoming import Delivery
from chassis.projection import projection
from chassis.subscriber import apply_deliveries, subscribe


class Flaky(Things):
    """Its worker fails at the first batch, before anything of it is settled."""

    counts = projection("thing", lambda _id, thing: thing.count)

    @subscribe()
    def take(self, deliveries: list[Delivery]) -> Exception | None:
        first = Path(os.environ["FLAKY"])
        if not first.exists():
            first.touch()
            raise RuntimeError("a programming error before the batch is applied")
        return apply_deliveries(self.floor.home, self.floor.transaction, deliveries)


def slowly(_id: str, thing: Thing) -> int:
    time.sleep(0.01)
    return thing.count


class Slow(Things):
    """Its projection takes long to load; each decision notes how much of it there was."""

    counts = projection("thing", slowly)

    def reads(self) -> Any:
        with Path(os.environ["FLAKY"]).open("a") as seen:
            seen.write(f"{len(self.counts.view())}\n")
