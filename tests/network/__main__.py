"""``python -m network``: the whole network as it stands in whole.toml, its tests in order, and one line at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from network.tally import Counting, Tally

HERE = Path(__file__).parent
CHAPTERS = ("day", "partner", "forbidden", "outages", "changes")
"""Files ``whole_<chapter>.py``, in their order: the first starts the network that all of them use."""

LIMIT_SECONDS = 900


def main(only: Sequence[str]) -> int:
    """Run all chapters, or those that are named; 0 where all is as promised."""
    tally = Tally()
    files = [str(HERE / f"whole_{chapter}.py") for chapter in only or CHAPTERS]
    # What a run leaves behind is kept only where something is wrong with it.
    options = ["-v", f"--timeout={LIMIT_SECONDS}", "-o", "tmp_path_retention_policy=failed"]
    ended = pytest.main([*files, *options], plugins=[Counting(tally)])
    for line in (*tally.notes, tally.line):
        sys.stdout.write(f"{line}\n")
    return int(ended != pytest.ExitCode.OK or not tally.holds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
