"""The fuzz targets and machines, and the chassis's small test service, for the tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.testing_live import Place, Workshop

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "chassis")]

from thing import Things  # noqa: E402 - found by the line above


@pytest.fixture
def workshop(offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Things, offline_place)
    yield made
    made.close()
