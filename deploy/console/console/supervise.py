"""Keeps a network running: ``python -m console.supervise NETWORK FOLDER``, started by `viisikko up`.

SIGHUP makes it what network.toml says now; `viisikko apply` sends it, and reads the answer in the network's folder.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
from pathlib import Path

import httpx

from chassis import network
from chassis.network import WrongNetwork
from chassis.private import write_private
from console import interrupts
from console.change import NotChanged
from console.folder import Folder
from console.nodes.processes import NotReady
from console.reconcile import NotTaken
from console.region import Region


def main() -> int:
    """Start the network, wait for SIGTERM, stop it; the exit code."""
    interrupts.listen()
    signals = _signals()
    file, folder = Path(sys.argv[1]), Folder(Path(sys.argv[2]))
    try:
        region = Region(network.read(file).network, file, folder, lambda step: _say(f"starting: {step}"))
        region.start()
        _say("ready")
        _serve(signals, region, file, folder)
    except (NotReady, WrongNetwork) as error:
        _say(f"viisikko up: {error}")
        return 1
    except KeyboardInterrupt:
        interrupts.clean_up_undisturbed()
        region.stop()
    return 0


def _signals() -> socket.socket:
    """Gives a byte for each signal, so that none is missed between two looks."""
    came, wakes = socket.socketpair()
    wakes.setblocking(False)  # noqa: FBT003 - the standard library's own way
    # It stays open as long as the process, as the other end does.
    signal.set_wakeup_fd(wakes.detach())
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)
    return came


def _serve(signals: socket.socket, region: Region, file: Path, folder: Folder) -> None:
    """Apply network.toml at each SIGHUP, until an interrupt."""
    while True:
        if signals.recv(1)[0] == signal.SIGHUP:
            _apply(region, file, folder)


def _apply(region: Region, file: Path, folder: Folder) -> None:
    answer: dict[str, object] = {}
    try:
        answer["done"] = region.change(network.read(file).network)
    except (NotChanged, NotReady, NotTaken, WrongNetwork, httpx.HTTPError, OSError) as error:
        answer["failed"] = str(error)
        _say(f"viisikko apply: {error}")
    write_private(folder.applied, json.dumps(answer))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
