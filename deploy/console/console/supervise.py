"""Keeps a network running: ``python -m console.supervise NETWORK FOLDER``, started by `viisikko up`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from chassis import network
from chassis.network import WrongNetwork
from console import interrupts
from console.folder import Folder
from console.nodes.processes import NotReady
from console.region import Region


def main() -> int:
    """Start the network, wait for SIGTERM, stop it; the exit code."""
    interrupts.listen()
    file, folder = Path(sys.argv[1]), Folder(Path(sys.argv[2]))
    try:
        region = Region(network.read(file).network, file, folder, lambda step: _say(f"starting: {step}"))
        region.start()
        _say("ready")
        signal.pause()
    except (NotReady, WrongNetwork) as error:
        _say(f"viisikko up: {error}")
        return 1
    except KeyboardInterrupt:
        interrupts.clean_up_undisturbed()
        region.stop()
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
