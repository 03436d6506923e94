"""The network that runs in a folder, for commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.reach import Reach


def reach(folder: Path) -> Reach:
    """The network that runs in a folder.

    Raises:
        NotUp: None does, or it has ended by itself.
    """
    from console.folder import Folder
    from console.reach import NotUp, Reach

    kept = Folder(folder)
    if kept.state.exists() and not alive(kept.state):
        raise NotUp(f"the network in {folder} has ended without `viisikko down`: start it with `viisikko up`")
    return Reach.of(kept)


def alive(state: Path) -> bool:
    """Whether the process still runs that keeps the network of a ``network.json``."""
    return is_running(json.loads(state.read_text("utf-8"))["supervisor"])


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked for by its parent yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
