"""What the broker has confirmed to the producers: one line for each batch of confirms, on the disk before the next."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Ledger:
    """A file of JSON lines; producers write it, the comparison reads it."""

    def __init__(self, file: Path) -> None:
        """Open the file; it stays open until `close`."""
        self.file = file
        self._lines = file.open("a", encoding="utf-8")
        self._writing = threading.Lock()

    def confirmed(self, producer: str, numbers: Sequence[int]) -> None:
        """Write down what was confirmed; on return it is on the disk."""
        line = json.dumps({"at": datetime.now(UTC).isoformat(), "producer": producer, "confirmed": list(numbers)})
        with self._writing:
            self._lines.write(line + "\n")
            self._lines.flush()
            os.fsync(self._lines.fileno())

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    def times(self) -> Counter[int]:
        """How often each event was confirmed."""
        counted: Counter[int] = Counter()
        for line in self._read():
            counted.update(line["confirmed"])
        return counted

    def lines_of(self, number: int) -> list[str]:
        """Who had one event confirmed, and when."""
        lines = [line for line in self._read() if number in line["confirmed"]]
        return [f"{line['at']} confirmed to {line['producer']}" for line in lines]

    def _read(self) -> Any:
        with self.file.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
