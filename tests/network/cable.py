"""A cable between an own part and the hub: what a test cuts and mends."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from console.nodes.ports import free_port

CHUNK = 64 * 1024


class Cable:
    """Carries connections of one port of 127.0.0.1 to another, until it is cut."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._whole = True
        self._carries = threading.Event()
        self._carries.set()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        with self._lock:
            self._whole = False
            ends, self._ends = self._ends, set()
        self._carries.set()
        for end in ends:
            _close(end)

    def mend(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._whole = True
        self._carries.set()

    def hang(self) -> None:
        """Carry nothing, and tell neither end."""
        self._carries.clear()

    def jolt(self) -> None:
        """End every connection; new ones come through at once."""
        self.cut()
        self.mend()

    def close(self) -> None:
        """Take the cable away."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                whole = self._whole
                self._ends |= {near, far} if whole else set()
            if not whole:
                _close(near)
                _close(far)
                continue
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(CHUNK):
                self._carries.wait()
                sink.sendall(content)
        for end in (source, sink):
            _close(end)
        with self._lock:
            self._ends -= {source, sink}


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
