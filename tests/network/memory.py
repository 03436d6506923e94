"""How much memory processes take, their share of what they share with others included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def pss_mebibytes(pids: Iterable[int]) -> float:
    """Proportional set size of processes and of all that they have started, in MiB (proc(5), smaps_rollup)."""
    return sum(map(_pss, set(_with_children(pids)))) / 1024


def _with_children(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        yield pid
        with suppress(FileNotFoundError):
            for task in (PROC / str(pid) / "task").iterdir():
                yield from _with_children(int(child) for child in (task / "children").read_text().split())


def _pss(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", (PROC / str(pid) / "smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
