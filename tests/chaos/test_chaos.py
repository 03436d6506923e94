"""Short runs on real parts: the promise is kept under faults, and a service that breaks it is caught."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos import plan
from chaos.game import Game
from chaos.plan import Blow
from chaos.verdict import Verdict

SEED = 7


def play(made: plan.Plan, folder: Path, mutant: str = "") -> tuple[Verdict, str]:
    """How a run ended, and all that was said of it."""
    said: list[str] = []
    verdict = Game(made, folder, said.append, mutant=mutant).play()
    return verdict, "\n".join([*said, verdict.line])


@pytest.mark.timeout(400)
def test_a_short_run_keeps_the_promise(tmp_path: Path) -> None:
    verdict, said = play(plan.make(SEED, 1000), tmp_path)

    assert verdict.holds, said


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("mutant", "blows", "what"),
    [("ack-first", [Blow.OUTAGE], "lost"), ("no-marks", [], "twice"), ("forget-first", [Blow.BROKER], "lost")],
)
def test_a_service_that_breaks_the_promise_is_caught(tmp_path: Path, mutant: str, blows: list[Blow], what: str) -> None:
    verdict, said = play(plan.make(SEED, 500, blows=blows), tmp_path, mutant)

    assert verdict.catches, said
    assert what in {offence.what for offence in verdict.offences}, said
