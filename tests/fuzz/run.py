"""``make fuzz MINUTES=10``: every part for its share of the time; exit 1 where one found something.

What is found is kept under .viisikko/fuzz, and the last lines say how to play it again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from targets import TARGETS

HERE = Path(__file__).parent
FOLDER = Path(".viisikko/fuzz")
SHARES = {"atheris": 0.5, "settling": 0.15, "relay": 0.1, "http": 0.25}
"""Shares of the time. The targets of atheris divide theirs evenly."""

MACHINES = {"settling": "test_settling.py", "relay": "test_relay.py", "http": "test_http.py"}


@dataclass(frozen=True)
class Result:
    """What a part did.

    Attributes:
        part: Its name.
        done: Executions of a target, or examples of a machine.
        replay: The command that plays what it found again; None where it found nothing.
    """

    part: str
    done: int
    replay: str | None


def main() -> None:
    """Run all parts, one after another; each gets one process, since the machine may have few cores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    seconds = parser.parse_args().minutes * 60
    FOLDER.mkdir(parents=True, exist_ok=True)
    started, results = time.monotonic(), []
    for result in _parts(seconds):
        results.append(result)
        verdict = f"FOUND: {result.replay}" if result.replay else "nothing found"
        _say(f"{time.monotonic() - started:5.0f} s  {result.part:<16} {result.done:>9,} runs  {verdict}")
    found = [result.replay for result in results if result.replay]
    _say(f"fuzz: {sum(result.done for result in results):,} runs of {len(results)} parts · {len(found)} findings")
    sys.exit(1 if found else 0)


def _parts(seconds: float) -> Iterator[Result]:
    for target in TARGETS:
        yield _atheris(target.name, max(2, round(seconds * SHARES["atheris"] / len(TARGETS))))
    for name, file in MACHINES.items():
        yield _machine(name, HERE / file, seconds * SHARES[name])


def _atheris(name: str, seconds: int) -> Result:
    command = [sys.executable, "-W", "ignore", str(HERE / "one.py"), name, "--seconds", str(seconds)]
    done = subprocess.run([*command, "--folder", str(FOLDER)], capture_output=True, check=False)
    text = done.stderr.decode("utf-8", "replace")
    runs = int(_last(r"stat::number_of_executed_units: (\d+)", text) or 0)
    if done.returncode == 0:
        return Result(name, runs, None)
    log = FOLDER / f"{name}.log"
    log.write_text(text, "utf-8")
    saved = _last(r"Test unit written to (\S+)", text)
    replay = f"{sys.executable} tests/fuzz/one.py {name} --replay {saved}" if saved else f"less {log}"
    return Result(name, runs, replay)


def _machine(name: str, file: Path, seconds: float) -> Result:
    """One seed of hypothesis, for so long."""
    seed, count, log = int(time.time()), FOLDER / f"{name}.count", FOLDER / f"{name}.log"
    count.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", str(file), f"--hypothesis-seed={seed}"]
    given = {"VIISIKKO_FUZZ_SECONDS": f"{seconds:.0f}", "VIISIKKO_FUZZ_COUNT": str(count.absolute())}
    with log.open("wb") as output:
        code = subprocess.run(command, env={**os.environ, **given}, stdout=output, check=False).returncode
    replay = f"VIISIKKO_FUZZ_SECONDS={seconds:.0f} {' '.join(command)}  # what it said: {log}"
    return Result(name, count.stat().st_size if count.exists() else 0, replay if code else None)


def _last(pattern: str, text: str) -> str | None:
    found = re.findall(pattern, text)
    return str(found[-1]) if found else None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
