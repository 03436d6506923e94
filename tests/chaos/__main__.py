"""``python -m chaos EVENTS SEED [MUTANT]``: one run; with a mutant, or with ``all`` of them, whether it is caught."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from chaos import plan
from chaos.game import Game
from chaos.mutants import MUTANTS
from chaos.verdict import Verdict

WRONG = 2


def play(events: int, seed: int, mutant: str = "") -> Verdict:
    """One run in a folder of its own; it stays where the promise was broken."""
    folder = Path(tempfile.mkdtemp(prefix="viisikko-chaos-"))
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} {text}\n")
        sys.stderr.flush()

    try:
        verdict = Game(plan.make(seed, events), folder, say, mutant=mutant).play()
    except BaseException:
        say(f"it ended too early; everything of it is in {folder}")
        raise
    if verdict.holds:
        shutil.rmtree(folder)
    else:
        say(f"everything of it is in {folder}")
    return verdict


def main(arguments: Sequence[str]) -> int:
    """Play what the arguments ask for; 0 where the promise was kept or, with ``all``, each mutant was caught."""
    try:
        events, seed = int(arguments[0]), int(arguments[1])
        plan.make(seed, events)
        mutants = _mutants(*arguments[2:])
    except ValueError as error:
        sys.stderr.write(f"chaos: {error}\n")
        return WRONG
    if mutants is None:
        verdict = play(events, seed)
        sys.stdout.write(f"{verdict.line}\n")
        return int(not verdict.holds)
    missed = []
    for mutant in mutants:
        verdict = play(events, seed, mutant)
        sys.stdout.write(f"{mutant} {'caught' if verdict.catches else 'missed'}: {verdict.line}\n")
        missed += [mutant] * (not verdict.catches)
    return int(bool(missed))


def _mutants(wanted: str = "") -> Sequence[str] | None:
    if wanted not in {"", "all", *MUTANTS}:
        raise ValueError(f"MUTANT must be all or one of {', '.join(MUTANTS)}")
    return (tuple(MUTANTS) if wanted == "all" else (wanted,)) if wanted else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
