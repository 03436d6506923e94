"""Free ports of 127.0.0.1."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

FIRST, LAST = 28_000, 32_767
"""Where ports are looked for: below the kernel's range for outgoing connections (32768 to 60999 unless it is set
otherwise), so that no connection takes the port of a node that is just being restarted, and above the ports on which
databases and brokers usually listen."""

TRIES = 1_000

_given: set[int] = set()
_random = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, and that no process of this user has been given while it runs.

    Between the choice and the moment when something listens there, which takes a broker seconds, another network that
    starts may look for ports as well.

    Raises:
        OSError: None was found.
    """
    for _ in range(TRIES):
        port = _random.randint(FIRST, LAST)
        if port not in _given and _is_free(port) and _is_reserved_for_us(port):
            _given.add(port)
            return port
    raise OSError(f"no free port between {FIRST} and {LAST} was found in {TRIES} tries: stop some that listen there")


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _is_reserved_for_us(port: int) -> bool:
    # A lock on the byte at the port's number; the system frees it when the process ends, however it ends.
    reservations = _reservations()
    try:
        fcntl.lockf(reservations, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):
        return False
    return True


@cache
def _reservations() -> int:
    # Open for as long as the process runs: closing it would free all that it has locked.
    path = Path(tempfile.gettempdir()) / f"viisikko-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
