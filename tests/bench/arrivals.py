"""What has come to the sink, and when: each answer by the event that it follows from."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from bench import process
from bench.stage import SINK, Stage, Stuck

READ_SECONDS = 0.2


class Arrivals:
    """Reads the sink in a thread of its own; the first arrival of each answer counts."""

    def __init__(self, uri: str) -> None:
        self.moments: dict[str, float] = {}
        self._uri = uri
        self._running = True
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait_for(self, causes: AbstractSet[str], seconds: float) -> float:
        """Wait until every one of these events has an answer; the moment of the last, on the performance counter.

        Raises:
            Stuck: They have not come in that time.
        """
        with self._came:
            if not self._came.wait_for(lambda: causes <= self.moments.keys(), timeout=seconds):
                missing = len(causes - self.moments.keys())
                raise Stuck(f"{missing} of {len(causes)} answers have not come in {seconds:.0f} s")
        return max(self.moments[cause] for cause in causes)

    def count(self, causes: AbstractSet[str]) -> int:
        """How many of these events have an answer."""
        with self._came:
            return len(causes & self.moments.keys())

    def stop(self) -> None:
        """Read no more."""
        self._running = False
        self._thread.join()

    def _read(self) -> None:
        connection = process.connect(self._uri)
        connection.channel().basic_consume(SINK, no_ack=True, callback=self._take)
        while self._running:
            try:
                connection.drain_events(timeout=READ_SECONDS)
            except TimeoutError:
                continue
        connection.close()

    def _take(self, message: Any) -> None:
        now = time.perf_counter()
        with self._came:
            self.moments.setdefault(json.loads(message.body)["causationid"], now)
            self._came.notify_all()


@contextmanager
def arrivals(stage: Stage) -> Iterator[Arrivals]:
    """Read the sink until the end."""
    reading = Arrivals(stage.amqp)
    try:
        yield reading
    finally:
        reading.stop()
