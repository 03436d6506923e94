"""Stands between a service and its broker, and holds back or cuts what passes."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CHUNK = 4096


class Proxy:
    """One address that leads to another."""

    def __init__(self, host: str, port: int) -> None:
        """Listen on a free port of this machine."""
        self._target = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._answers = threading.Event()
        self._answers.set()
        self._left: int | None = None
        self._refuses = False
        self.uri = ""
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def to(cls, uri: str) -> Self:
        """One that leads to an address; its own stands in `uri`."""
        parts = urlsplit(uri)
        made = cls(parts.hostname or "", parts.port or 0)
        user = parts.netloc.rpartition("@")[0]
        made.uri = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{made._listener.getsockname()[1]}"))
        return made

    def hold_answers(self) -> None:
        """Let nothing come back any more."""
        self._answers.clear()

    def let_answers_pass(self) -> None:
        """Let come back what was held, and all that follows."""
        self._answers.set()

    def refuse(self) -> None:
        """Be as an address where nobody answers."""
        self._refuses = True
        self.cut()

    def accept(self) -> None:
        """Lead on again."""
        self._refuses = False

    def cut(self) -> None:
        """End all connections; new ones may be made."""
        self._left = None
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut_after(self, size: int) -> None:
        """End all connections when so many bytes more have passed on their way out."""
        self._left = size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.close()
        self._answers.set()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                inner, _address = self._listener.accept()
                if self._refuses:
                    inner.close()
                    continue
                outer = socket.create_connection(self._target)
                self._sockets += [inner, outer]
                threading.Thread(target=self._pump_out, args=(inner, outer), daemon=True).start()
                threading.Thread(target=self._pump_back, args=(outer, inner), daemon=True).start()

    def _pump_out(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if self._left is not None:
                    data, self._left = data[: self._left], self._left - len(data)
                target.sendall(data)
                if self._left is not None and self._left <= 0:
                    self.cut()
        _end(target)

    def _pump_back(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self._answers.wait()
                target.sendall(data)
        _end(target)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
