"""How long a machine runs: a moment in `make test`, its share of the time in `make fuzz`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

SECONDS = os.environ.get("VIISIKKO_FUZZ_SECONDS")
COUNT = os.environ.get("VIISIKKO_FUZZ_COUNT")
"""File that gets a byte for each run, so that `make fuzz` can tell how many there were."""


def seconds(otherwise: float) -> float:
    """Seconds that `make fuzz` gives; `otherwise` where it is not running."""
    return float(SECONDS) if SECONDS else otherwise


def examples(otherwise: int) -> int:
    """Examples at the most: time ends them in `make fuzz`."""
    return 100_000 if SECONDS else otherwise


def counted() -> None:
    """One more run."""
    if COUNT:
        with Path(COUNT).open("ab") as file:
            file.write(b".")


def run_machine(machine: type[RuleBasedStateMachine], *args: Any, few: int, steps: int) -> None:
    """Run a state machine: a few examples in `make test`, until the time is over in `make fuzz`."""
    ends = time.monotonic() + seconds(0)

    def made() -> RuleBasedStateMachine:
        counted()
        return machine(*args)

    chosen = settings(
        max_examples=few,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        # A finding on real parts takes minutes to be made small; the steps tell enough.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    while True:
        run_state_machine_as_test(made, settings=chosen)
        if time.monotonic() >= ends:
            return
