"""Keeps a network running: ``python -m console.supervise NETWORK FOLDER``, started by `viisikko up`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import NoReturn

from chassis import network
from chassis.network import WrongNetwork
from console.folder import Folder
from console.nodes.processes import NotReady
from console.region import Region

_STOPS = (signal.SIGTERM, signal.SIGINT)


def interrupt_on_signals() -> None:
    """Let SIGTERM do what Ctrl-C does, so that one way of stopping cleans up.

    Ctrl-C is set as well: a shell starts its background jobs with that signal ignored.
    """

    def interrupt(_number: int, _frame: object) -> NoReturn:
        # A second signal must not interrupt the cleaning up.
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in _STOPS:
        signal.signal(number, interrupt)


def main() -> int:
    """Start the network, wait for SIGTERM, stop it; the exit code."""
    interrupt_on_signals()
    file, folder = Path(sys.argv[1]), Folder(Path(sys.argv[2]))
    try:
        region = Region(network.read(file).network, file, folder, lambda step: _say(f"starting: {step}"))
        region.start()
    except (NotReady, WrongNetwork) as error:
        _say(f"viisikko up: {error}")
        return 1
    _say("ready")
    try:
        signal.pause()
    except KeyboardInterrupt:
        region.stop()
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
