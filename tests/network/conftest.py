"""The networks of these tests: a short one for `make test`, and the whole one for `make network`.

The short one has a hub, one own part and one guest; the whole one is that of whole.toml.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from parts import Box, Parts
from tally import Tally

WHOLE = Path(__file__).parent / "whole.toml"
SETTINGS = {
    # The ladder is to be over within an outage, and a dead service's lease soon after it.
    "VIISIKKO_RETRY_SECONDS": "1,1,1,1",
    "VIISIKKO_LEASE_SECONDS": "3",
    "VIISIKKO_HEARTBEAT_SECONDS": "3",
    "VIISIKKO_PROBE_SECONDS": "2",
}


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    made = Parts(tmp_path_factory.mktemp("network"))
    made.region.start()
    yield made
    made.end()


@pytest.fixture
def boxes(parts: Parts) -> Iterator[dict[str, Box]]:
    made = {code: Box(parts, code) for code in ("sedu", "epky")}
    yield made
    for box in made.values():
        box.close()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, tally: Tally) -> Iterator[Parts]:
    """The hub, three own parts and two guests; for `make network`, which makes the tally."""
    # A copy, since tests change who is in the network.
    file = Path(shutil.copy(WHOLE, tmp_path_factory.mktemp("file") / "network.toml"))
    made = Parts(tmp_path_factory.mktemp("whole"), file, SETTINGS)
    began = time.monotonic()
    made.region.start()
    services = len(made.region.services)
    tally.note(f"four brokers, four stores and {services} services ready in {time.monotonic() - began:.0f} s")
    yield made
    made.end()
