"""The day as people see it: live lines, and a table at the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from console.tail import follow

COUNTED = "offering."
"""Events that come by the hundred are counted in the picture, not listed."""


class Show:
    """Prints the day; a silent one prints nothing."""

    def __init__(self, *, silent: bool) -> None:
        """Print to standard output, unless silent."""
        self._console = Console(quiet=silent, highlight=False)

    def chapter(self, text: str) -> None:
        """A new part of the day begins."""
        self._console.print(f"\n[bold cyan]{text}[/]")

    def step(self, text: str) -> None:
        """Something was done."""
        self._console.print(f"  {text}")

    def event(self, line: str) -> None:
        """An event has passed."""
        self._console.print(f"  [dim]{line}[/]")

    def journeys(self, journeys: Sequence[Mapping[str, Any]]) -> None:
        """Every client's journey."""
        table = Table("client", "language", "goal", "skills", "gaps", "suggested", "referrals", "mails")
        for journey in journeys:
            table.add_row(
                journey["reference"],
                journey["language"],
                journey["goal"],
                str(len(journey["skills"])),
                str(len(journey["gaps"])),
                str(len(journey["suggestions"])),
                "\n".join(_referral(referral) for referral in journey["referrals"]),
                str(len(journey["mails"])),
            )
        self._console.print(table)

    def last(self, text: str) -> None:
        """The last words."""
        self._console.print(text, soft_wrap=True)


class Witness:
    """Sees every event that passes the hub, shows it, and counts."""

    def __init__(self, amqp: str, show: Show) -> None:
        """Watch with the hub's own user.

        Args:
            amqp: The broker's address.
            show: Where events are shown.
        """
        self.count: Counter[str] = Counter()
        self._show = show
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(amqp,), daemon=True)

    @property
    def total(self) -> int:
        """Events seen."""
        return self.count.total()

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _watch(self, amqp: str) -> None:
        for seen in follow(amqp, keys=["#"], until=self._stop.is_set):
            self.count[seen.name] += 1
            if not seen.name.startswith(COUNTED):
                self._show.event(seen.line)


def _referral(referral: Mapping[str, Any]) -> str:
    reason = f" ({referral['reason']})" if referral["reason"] else ""
    colour = "red" if referral["status"] == "rejected" else "green"
    return f"{referral['to']} [{colour}]{referral['status']}[/]{reason}"
