"""Our relay by itself, as it runs in a service: publishes the outbox, and says the seconds that it took."""

from __future__ import annotations

from chassis import run  # Makes the sockets green, as in every service.

import sys  # isort: skip
import time

from bench.service import Bench
from chassis.relay import Relay


def main() -> None:
    """Publish all that waits."""
    relay = Relay(run.build(Bench).home)
    started = time.perf_counter()
    while relay.run_once():
        pass
    sys.stdout.write(f"{time.perf_counter() - started}\n")
    relay.close()


if __name__ == "__main__":
    main()
