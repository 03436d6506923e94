"""Free ports of 127.0.0.1."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 28_000, 32_767
"""Where ports are looked for: below the kernel's range for outgoing connections (32768 to 60999 unless it is set
otherwise), so that no connection takes the port of a node that is just being restarted, and above the ports on which
databases and brokers usually listen."""

TRIES = 1_000

_given: set[int] = set()
_random = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on and that this process has not given before.

    Chosen at random, so that two networks that start at once do not reach for the same one.

    Raises:
        OSError: None was found.
    """
    for _ in range(TRIES):
        port = _random.randint(FIRST, LAST)
        if port not in _given and _is_free(port):
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


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
