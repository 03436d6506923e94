"""Child processes that never outlive their parent, and that are ended in good order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

PR_SET_PDEATHSIG = 1
"""``prctl``'s option: the signal that the kernel sends when the parent dies (linux/prctl.h)."""

POLL_SECONDS = 0.05

_libc = ctypes.CDLL(None)


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
    """One child process in a session of its own, with its output in a log file.

    The kernel ends it when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG), so `start` must be called
    from a thread that lives as long as the process is to live; the main thread is one.
    """

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
        self._reaping = threading.RLock()

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
        return self._child is not None and not self._ended()

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None."""
        return None if self._child is None or not self._ended() else self._child.returncode

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
                preexec_fn=partial(_die_with, os.getpid()),  # noqa: PLW1509 - two system calls, no lock
            )

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready` says so.

        Raises:
            NotReady: The process ended, or the time is up.
        """
        try:
            if wait_until(lambda: not self.running or ready(), seconds=seconds) and self.running:
                return
        except BaseException:
            self.kill()
            raise
        what = f"was not ready within {seconds:.0f} s" if self.running else f"ended with {self.exit_code}"
        self.kill()
        raise NotReady(f"{self.name} {what}: read {self.log}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        with self._reaping:
            if self.running:
                os.kill(self.pid, number)

    def ask_to_stop(self) -> None:
        """Send SIGTERM and do not wait; `stop` waits."""
        self.signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL to the whole session when the time is up."""
        self.signal(signal.SIGTERM)
        if not wait_until(lambda: not self.running, seconds=self._stop_seconds):
            self.kill()

    def kill(self) -> None:
        """End it at once, and all that it started."""
        with self._reaping:
            if self.running:
                _kill_group(self.pid)
                wait_until(lambda: not self.running, seconds=self._stop_seconds)

    def _ended(self) -> bool:
        """Whether it ended; then what it had started is ended as well.

        The group is killed before the process is reaped: until then the kernel gives its id to nobody else.
        """
        child = self._child
        with self._reaping:
            if child is None or child.returncode is not None:
                return True
            if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return False
            _kill_group(child.pid)
            child.wait()
            return True


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


def _die_with(parent: int) -> None:
    """Run in the child before its program: let the kernel end it with `parent`, which may have died already."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
