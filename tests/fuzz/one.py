"""Fuzz one target for a while, or replay one input: ``one.py TARGET [--seconds N] [--folder F] [--replay FILE]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mutate import mutated

MEGABYTES = 1024
"""Resident memory at the most; the targets need a quarter of it with everything that they import."""

HANG_SECONDS = 20
"""What libFuzzer takes for a hang; slower than `targets.PROCESSOR_SECONDS` is a finding before that."""


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path(".viisikko/fuzz"))
    parser.add_argument("--replay", type=Path)
    asked = parser.parse_args()
    if asked.replay:
        replay(asked.target, asked.replay)
    else:
        fuzz(asked.target, asked.seconds, asked.folder)


def replay(name: str, file: Path) -> None:
    """Take one input again; the finding leaves as it did."""
    from targets import target, timed  # noqa: PLC0415 - `fuzz` imports them instrumented

    timed(target(name), file.read_bytes())


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """Run libFuzzer on a target; its corpus is kept and grows from run to run."""
    import atheris  # noqa: PLC0415 - a replay needs none

    with atheris.instrument_imports(include=["chassis", "intake", "catalogue", "assessment", "joserfc"]):
        from targets import target, timed  # noqa: PLC0415 - instrumented while they are imported

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return (mutated(data, most, seed) if seed % 2 else None) or bytes(atheris.Mutate(data, most))

    chosen = target(name)
    corpus, seeds = folder / "corpus" / name, folder / "seeds" / name
    for made in (corpus, seeds):
        made.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(chosen.seeds()):
        (seeds / f"{number}").write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "max_len": chosen.most,
        "rss_limit_mb": MEGABYTES,
        "timeout": HANG_SECONDS,
        "artifact_prefix": f"{folder}/{name}.",
        "print_final_stats": 1,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    arguments = [sys.argv[0], *flags, str(corpus), str(seeds)]
    atheris.Setup(arguments, lambda data: timed(chosen, data), custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
