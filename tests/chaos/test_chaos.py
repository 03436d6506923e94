"""A short run on real parts: services, broker and store are killed, and nothing is lost or applied twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos import plan
from chaos.game import Game


@pytest.mark.timeout(240)
def test_a_short_run_keeps_the_promise(tmp_path: Path) -> None:
    said: list[str] = []

    verdict = Game(plan.make(7, 1000), tmp_path, said.append).play()

    assert verdict.holds, "\n".join([verdict.line, *said])
