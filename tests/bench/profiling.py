"""Where our service's time goes: py-spy watches one round of the pipeline."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

HERTZ = 200
LONGEST_SECONDS = 600

Profiler = Callable[[int], AbstractContextManager[None]]


def off(_pid: int) -> AbstractContextManager[None]:
    """Watch nothing."""
    return nullcontext()


def profiler(folder: Path) -> Profiler:
    """Watch a process, and write ``profile.txt`` in folder: a line a stack, with how often it was seen."""

    @contextmanager
    def watch(pid: int) -> Iterator[None]:
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            str(Path(sys.executable).with_name("py-spy")),
            *("record", "--pid", str(pid), "--format", "raw", "--output", str(folder / "profile.txt")),
            *("--rate", str(HERTZ), "--duration", str(LONGEST_SECONDS)),
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as spy:
            try:
                yield
            finally:
                # It writes what it has seen when it is interrupted.
                spy.send_signal(signal.SIGINT)

    return watch
