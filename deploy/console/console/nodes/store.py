"""SecantusDB as a process of its own: the embedded store, over MongoDB's wire protocol."""

from __future__ import annotations

import sys
from pathlib import Path

from chassis.ports import free_port, listens
from console.nodes.processes import NotReady, Process

START_SECONDS = 30


class StoreNode:
    """One store. Data and port stay the same across restarts.

    Start it from a thread that lives as long as the store is to live (see `Process`).
    """

    def __init__(self, folder: Path) -> None:
        """Describe the store.

        Args:
            folder: Everything of it is kept there; made where missing.
        """
        self.folder = folder.absolute()
        self._port = free_port()
        self._process: Process | None = None

    @property
    def uri(self) -> str:
        """Address for pymongo.

        ``retryWrites=false``: the store searches its whole register of retryable writes at every write, and after
        10,000 of them a single write took 8 ms instead of 0.6.
        """
        return f"mongodb://127.0.0.1:{self._port}/?retryWrites=false&directConnection=true"

    @property
    def pid(self) -> int:
        """Process id.

        Raises:
            NotReady: It is not running.
        """
        return self._running().pid

    def start(self) -> None:
        """Start the store and wait until it serves.

        Raises:
            NotReady: It did not come up; the text names its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # An empty configuration file keeps the store from reading one of the user's.
        configuration = self.folder / "secantusd.toml"
        configuration.touch()
        self._process = Process(
            "store",
            [
                str(Path(sys.executable).with_name("secantusd-py")),
                *("--config", str(configuration)),
                *("--host", "127.0.0.1", "--port", str(self._port)),
                *("--storage-path", str(self.folder / "data")),
                # A transaction's documents stay in the cache until it commits. With 256M the commit of about 11.7 MiB
                # of small documents waits for room for ever, and every other write and read with it, until the store
                # is killed; with 512M 20 MiB are committed in 0.4 s and 24 MiB are not. The cache takes this memory
                # only when it is used.
                *("--cache-size", "512M", "--log-level", "WARNING"),
                # Without it a killed server lost up to 94 acknowledged commits.
                "--sync-on-commit",
            ],
            folder=self.folder,
        )
        self._process.start()
        self._process.wait_ready(self._serves, seconds=START_SECONDS)

    def stop(self) -> None:
        """Stop the store in good order."""
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        """End the store at once (-9); its data stays."""
        self._running().kill()

    def restart(self) -> None:
        """Stop and start with the same data and port."""
        self.stop()
        self.start()

    def _running(self) -> Process:
        if self._process is None:
            raise NotReady("the store is not running; start it first")
        return self._process

    def _serves(self) -> bool:
        return listens(self._port)
