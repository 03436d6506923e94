"""Child processes that never outlive their parent, and that are ended in good order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PR_SET_PDEATHSIG = 1
"""``prctl``'s option: the signal that the kernel sends when the parent dies (linux/prctl.h)."""

POLL_SECONDS = 0.05


class NotReady(RuntimeError):  # noqa: N818 - errors name the fact
    """A process ended or did not become ready in time; the text names its log and the next step."""


def wait_until(ready: Callable[[], bool], *, seconds: float) -> bool:
    """Poll until `ready` says so or the time is up; True where it did."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


class Process:
    """One child process in a session of its own, with its output in a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        stop_seconds: float = 20,
    ) -> None:
        """Describe the process; `start` starts it.

        Args:
            name: Also the name of its log, ``<folder>/<name>.log``.
            command: Program and arguments.
            folder: Where the log goes; made where missing.
            environment: The whole environment; by default this process's.
            stop_seconds: How long it may take to end by itself after SIGTERM.
        """
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._environment = dict(os.environ if environment is None else environment)
        self._stop_seconds = stop_seconds
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            NotReady: It is not running.
        """
        if self._child is None:
            raise NotReady(f"{self.name} is not running; start it first")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None."""
        return self._child.poll() if self._child else None

    def start(self) -> None:
        """Start it, so that the kernel ends it when this process dies in whatever way."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - commands are this project's own
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - runs one system call, takes no lock
            )

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready` says so.

        Raises:
            NotReady: The process ended, or the time is up.
        """
        if wait_until(lambda: not self.running or ready(), seconds=seconds) and self.running:
            return
        what = f"ended with {self.exit_code}" if not self.running else f"was not ready within {seconds:.0f} s"
        self.kill()
        raise NotReady(f"{self.name} {what}: read {self.log}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        if self.running:
            os.kill(self.pid, number)

    def ask_to_stop(self) -> None:
        """Send SIGTERM and do not wait; `stop` waits."""
        self.signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL to the whole session when the time is up."""
        if self._child is None:
            return
        self.signal(signal.SIGTERM)
        try:
            self._child.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        _kill_session(self._child.pid)

    def kill(self) -> None:
        """End it at once, and all that it started."""
        if self._child is None:
            return
        _kill_session(self._child.pid)
        self._child.wait()


class Nodes:
    """Things with ``start`` and ``stop`` that belong together: stopped in reverse order, whatever happens."""

    def __init__(self) -> None:
        """Start with none."""
        self._stops: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        """Nothing to do before the first start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, the last started first."""
        self.stop()

    def add(self, stop: Callable[[], None]) -> None:
        """Remember how something that is about to start is stopped."""
        self._stops.append(stop)

    def stop(self) -> None:
        """Stop everything, the last started first; one that fails to stop keeps none of the others running."""
        failures = []
        while self._stops:
            try:
                self._stops.pop()()
            except Exception as error:  # noqa: BLE001 - told below, after the others have been stopped
                failures.append(error)
        if failures:
            raise ExceptionGroup("some processes did not stop", failures)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_session(session: int) -> None:
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return
