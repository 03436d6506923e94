"""``make bench``: everything on this machine in one run, ours and whom it is compared with in turns."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from bench import contenders, latency, pipeline, profiling, resources, results, workload
from bench.results import Figure
from bench.stage import ROOT, Stage, stage

FILE = ROOT / ".viisikko" / "bench.json"
TRIED = 2
"""The sizes are tried with half of the events."""

LATENCIES = ("latency_p50_vs_sum", "latency_p99_vs_sum")
LATENCY_EVENTS = 500
WRONG = 2


class Run:
    """One run: what it measures, how often and with how many events."""

    def __init__(self, stage: Stage, console: Console, settings: Mapping[str, str]) -> None:
        self.stage = stage
        self.rounds = int(settings.get("ROUNDS") or 5)
        self.count = int(settings.get("EVENTS") or 6000)
        self.memory_events = int(settings.get("MEMORY") or 300_000)
        self._console = console
        self._profile = bool(settings.get("PROFILE"))

    def say(self, text: str) -> None:
        """Show how far it is."""
        self._console.print(f"  {text}", highlight=False)

    def pipelines(self, names: Sequence[str]) -> dict[str, Figure]:
        """Ours and those of the rivals that are asked for, in turns."""
        rivals = {name: pipeline.CONTENDERS[name] for name in names if name in pipeline.CONTENDERS}
        if not rivals:
            return {}
        few = workload.events(max(self.count // TRIED, 1))
        sizes = {name: pipeline.best_size(self.stage, rival, few, self.say) for name, rival in rivals.items()}
        rates: dict[str, list[float]] = {name: [] for name in ("ours", *rivals)}
        for turn in range(self.rounds):
            events = workload.events(self.count, seed=turn)
            profiler = profiling.profiler(ROOT / ".viisikko") if self._profile and turn == 0 else profiling.off
            rates["ours"].append(pipeline.throughput(self.stage, contenders.ours, 0, events, profiler))
            for name, rival in rivals.items():
                rates[name].append(pipeline.throughput(self.stage, rival, sizes[name], events))
            told = {"ours": contenders.ours, **rivals}
            self.say(self._turn(turn, {told[name].name: measured[-1] for name, measured in rates.items()}))
        return {name: Figure.ratio(rates["ours"], rates[name]) for name in rivals}

    def relays(self, names: Sequence[str]) -> dict[str, Figure]:
        """Our relay and a bare one, in turns."""
        if "relay_vs_floor" not in names:
            return {}
        pages = pipeline.outbox(3 * self.count)
        tried = {size: pipeline.relay_bare(self.stage, pages, size) for size in pipeline.RELAY_PAGES}
        best = max(tried, key=lambda size: tried[size])
        ours, bare = [], []
        for turn in range(self.rounds):
            ours.append(pipeline.relay_ours(self.stage, pages))
            bare.append(pipeline.relay_bare(self.stage, pages, best))
            self.say(self._turn(turn, {"our relay": ours[-1], f"bare, {best} pages": bare[-1]}))
        return {"relay_vs_floor": Figure.ratio(ours, bare)}

    def latencies(self, names: Sequence[str]) -> dict[str, Figure]:
        """One event at a time, and the bare operations, in turns."""
        if not set(LATENCIES) & set(names):
            return {}
        ours, bare = [], []
        for turn in range(self.rounds):
            events = workload.events(latency.WARM_UP + LATENCY_EVENTS, seed=turn)
            ours.append(latency.percentiles(latency.ours(self.stage, events)))
            bare.append(latency.percentiles(latency.bare(self.stage, events)))
            shown = {"ours": ours[-1], "bare": bare[-1]}
            told = " · ".join(f"{name} {half:.1f} and {most:.1f} ms" for name, (half, most) in shown.items())
            self.say(f"round {turn + 1} of {self.rounds}, load {os.getloadavg()[0]:.1f}, half and 99 of 100: {told}")
        columns = zip(LATENCIES, zip(*ours, strict=True), zip(*bare, strict=True), strict=True)
        return {name: Figure.ratio(a, b) for name, a, b in columns if name in names}

    def resources(self, names: Sequence[str]) -> dict[str, Figure]:
        """What a service takes, and how soon it is back."""
        figures = {}
        if "idle_cpu" in names or "service_memory" in names:
            shares, sizes = resources.idle(self.stage, self.rounds)
            figures |= {"idle_cpu": Figure.plain(shares), "service_memory": Figure.plain(sizes)}
            self.say(f"idle: {max(shares):.2%} of a core, {max(sizes):.0f} MiB at the most")
        if "restart_seconds" in names:
            figures["restart_seconds"] = self._each("back after", "s", resources.restart)
        if "replay_per_second" in names:
            figures["replay_per_second"] = self._each("replayed", "/s", resources.replay)
        if "memory_growth" in names:
            before, after = resources.memory(self.stage, self.memory_events, self.say)
            figures["memory_growth"] = Figure.ratio([after], [before])
        return {name: figure for name, figure in figures.items() if name in names}

    def _each(self, what: str, unit: str, measure: Callable[[Stage, int], float]) -> Figure:
        values = []
        for turn in range(self.rounds):
            values.append(measure(self.stage, turn))
            self.say(f"round {turn + 1} of {self.rounds}: {what} {results.number(values[-1])} {unit}")
        return Figure.plain(values)

    def _turn(self, turn: int, rates: Mapping[str, float]) -> str:
        load = os.getloadavg()[0]
        shown = " · ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items())
        return f"round {turn + 1} of {self.rounds}, load {load:.1f}: {shown}"


def main() -> int:
    """Measure, show and keep; 0 where all was measured, whether or not the goals are met."""
    console = Console(width=150)
    names = [name for name in (os.environ.get("ONLY") or "").split(",") if name] or list(results.GOALS)
    unknown = set(names) - set(results.GOALS)
    if unknown:
        console.print(f"ONLY: there is no {', '.join(sorted(unknown))}; choose from {', '.join(results.GOALS)}")
        return WRONG
    folder = Path(tempfile.mkdtemp(prefix="viisikko-bench-"))
    try:
        figures = _measure(folder, console, names)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(results.table(figures))
    results.keep(figures, FILE)
    console.print(f"kept in {FILE.relative_to(ROOT)}, and as a table for the README beside it")
    return 0


def _measure(folder: Path, console: Console, names: Sequence[str]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    with stage(folder) as on:
        run = Run(on, console, os.environ)
        parts: Sequence[Callable[[Sequence[str]], dict[str, Figure]]] = (
            run.pipelines,
            run.relays,
            run.latencies,
            run.resources,
        )
        for part in parts:
            figures |= part(names)
    return figures


if __name__ == "__main__":
    sys.exit(main())
