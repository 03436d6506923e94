"""The test kit's cable: an address that leads to another, and what a test cuts, holds and mends."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CHUNK = 4096


class Cable:
    """Carries connections from a port of 127.0.0.1 to a port of some host.

    Attributes:
        port: The port here.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        """Listen on a free port, and lead to this one."""
        self._target = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._whole = True
        self._left: int | None = None
        self._out, self._back = threading.Event(), threading.Event()
        self.mend()
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def to(cls, uri: str) -> Self:
        """One that leads where an address leads."""
        parts = urlsplit(uri)
        return cls(parts.port or 0, parts.hostname or "")

    def through(self, uri: str) -> str:
        """The same address, by way of the cable."""
        parts = urlsplit(uri)
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        with self._lock:
            self._whole = False
            ends, self._ends = self._ends, set()
        for end in ends:
            _close(end)
        # Only now: what was held would otherwise pass before the end.
        self._carry_on()

    def hang_after(self, size: int) -> None:
        """Let so many bytes more pass on their way out, and then nothing."""
        self._left = size

    def hang(self) -> None:
        """Carry nothing, and tell neither end."""
        self._out.clear()
        self._back.clear()

    def hang_answers(self) -> None:
        """Let nothing come back any more."""
        self._back.clear()

    def mend(self) -> None:
        """Carry what was held, and let connections through again."""
        with self._lock:
            self._whole = True
        self._carry_on()

    def jolt(self) -> None:
        """End every connection; new ones come through at once."""
        self.cut()
        self.mend()

    def close(self) -> None:
        """Take the cable away."""
        self.cut()
        with suppress(OSError):
            # Closing alone does not wake who waits for the next connection.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _carry_on(self) -> None:
        self._left = None
        self._out.set()
        self._back.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _address = self._listener.accept()
                self._join(near)

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        with self._lock:
            whole = self._whole
            self._ends |= {near, far} if whole else set()
        if not whole:
            _close(near)
            _close(far)
            return
        for carry in (self._carry_out, self._carry_back):
            threading.Thread(target=carry, args=(near, far), daemon=True).start()

    def _carry_out(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while content := near.recv(CHUNK):
                self._out.wait()
                passing = self._count(len(content))
                far.sendall(content[:passing])
                self._out.wait()
                far.sendall(content[passing:])
        self._end(near, far)

    def _carry_back(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while content := far.recv(CHUNK):
                self._back.wait()
                near.sendall(content)
        self._end(near, far)

    def _count(self, size: int) -> int:
        """How many of so many bytes may pass; where that is the last of them, nothing more does."""
        if self._left is None:
            return size
        passing = min(size, self._left)
        self._left -= passing
        if not self._left:
            self._out.clear()
        return passing

    def _end(self, near: socket.socket, far: socket.socket) -> None:
        for end in (near, far):
            _close(end)
        with self._lock:
            self._ends -= {near, far}


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
