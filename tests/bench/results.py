"""What was measured: figures, goals, the table, and the file."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What one figure is to be.

    Attributes:
        says: What it is, for the table.
        least: It is at least this; None where it is bounded from above or only stated.
        most: It is at the most this.
    """

    says: str
    least: float | None = None
    most: float | None = None

    @property
    def bound(self) -> float | None:
        """The one number of it."""
        return self.most if self.least is None else self.least

    def met(self, value: float) -> bool | None:
        """Whether a figure meets it; None where nothing is asked."""
        if self.bound is None:
            return None
        return value >= self.bound if self.least is not None else value <= self.bound

    def __str__(self) -> str:
        if self.bound is None:
            return "stated"
        return f"{'≥' if self.least is not None else '≤'} {self.bound:g}"


GOALS: Mapping[str, Goal] = {
    "pipeline_vs_nameko": Goal(says="events/s against plain nameko", least=5),
    "pipeline_vs_faststream": Goal(says="events/s against FastStream", least=6),
    "pipeline_vs_floor": Goal(says="events/s against a bare loop", least=0.8),
    "relay_vs_floor": Goal(says="published/s against a bare loop", least=0.7),
    "latency_p50_vs_sum": Goal(says="ms, half of the events, against the sum of the bare operations", most=2),
    "latency_p99_vs_sum": Goal(says="ms, 99 of 100 events, against the same", most=3),
    "memory_growth": Goal(says="MiB after all events against after a tenth", most=1.10),
    "idle_cpu": Goal(says="share of a core of an idle service", most=0.01),
    "service_memory": Goal(says="MiB of an idle service", most=90),
    "restart_seconds": Goal(says="s from kill -9 to caught up"),
    "replay_per_second": Goal(says="parked events replayed/s"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        values: A value for each round: a ratio where there is a rival, the measured itself otherwise.
        ours: What was measured of ours in each round.
        rival: The same of whom it is compared with; empty where it is compared with nobody.
    """

    values: Sequence[float]
    ours: Sequence[float]
    rival: Sequence[float] = ()

    @classmethod
    def ratio(cls, ours: Sequence[float], rival: Sequence[float]) -> Figure:
        """Ours against the rival, round by round."""
        return cls([a / b for a, b in zip(ours, rival, strict=True)], ours, rival)

    @classmethod
    def plain(cls, values: Sequence[float]) -> Figure:
        """Something that is compared with a number only."""
        return cls(values, values)

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)


def as_json(figures: Mapping[str, Figure]) -> dict[str, dict[str, Any]]:
    """The figures as they are kept."""
    return {
        name: {
            "median": figure.median,
            "min": min(figure.values),
            "max": max(figure.values),
            "goal": GOALS[name].bound,
            "met": GOALS[name].met(figure.median),
            "ours": statistics.median(figure.ours),
            "rival": statistics.median(figure.rival) if figure.rival else None,
        }
        for name, figure in figures.items()
    }


def keep(figures: Mapping[str, Figure], path: Path) -> None:
    """Write the file, and beside it a table in Markdown; what this run has not measured stays as it stands there."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept |= as_json(figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(kept))


def markdown(kept: Mapping[str, Mapping[str, Any]]) -> str:
    """The kept figures as the README shows them; a goal that is missed says so."""
    lines = ["| | median | min … max | goal | ours | against |", "|---|--:|--:|--:|--:|--:|"]
    for name, goal in GOALS.items():
        if name in kept:
            one = kept[name]
            cells = [
                f"`{name}`: {goal.says}",
                number(one["median"]),
                f"{number(one['min'])} … {number(one['max'])}",
                f"{goal}{', missed' if one['met'] is False else ''}",
                number(one["ours"]),
                "" if one["rival"] is None else number(one["rival"]),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def table(figures: Mapping[str, Figure]) -> Table:
    """The figures as they are shown."""
    shown = Table("name", "median", "min … max", "goal", "", "ours", "against", "")
    for name, figure in figures.items():
        goal = GOALS[name]
        met = goal.met(figure.median)
        shown.add_row(
            name,
            number(figure.median),
            f"{number(min(figure.values))} … {number(max(figure.values))}",
            str(goal),
            {True: "met", False: "missed", None: ""}[met],
            number(statistics.median(figure.ours)),
            number(statistics.median(figure.rival)) if figure.rival else "",
            goal.says,
        )
    return shown


def number(value: float) -> str:
    """A figure with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
