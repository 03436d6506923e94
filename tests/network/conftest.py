"""One short network for all tests of this folder: a hub, one own part, one guest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from parts import Box, Parts


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
