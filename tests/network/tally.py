"""What the whole run has counted, and its one line."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

LEAST_ACTS = 40
"""Forbidden acts that must have been tried, at the least."""


@dataclass(slots=True)
class Tally:
    """Filled by the tests; what nobody has counted keeps the run from being good."""

    refused: int | None = None
    acts: int | None = None
    lost: int | None = None
    twice: int | None = None
    stuck: int | None = None
    in_clear: int | None = None
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """A line for people, printed before the last one."""
        self.notes.append(text)

    def forbidden(self, refused: int, acts: int) -> None:
        """How many of the forbidden acts were refused."""
        self.refused, self.acts = (self.refused or 0) + refused, (self.acts or 0) + acts

    def ledger(self, lost: int, twice: int, stuck: int) -> None:
        """What a comparison of ledger and stores has found."""
        self.lost, self.twice = (self.lost or 0) + lost, (self.twice or 0) + twice
        self.stuck = (self.stuck or 0) + stuck

    def personal(self, in_clear: int) -> None:
        """In how many places personal data stood in clear."""
        self.in_clear = (self.in_clear or 0) + in_clear

    @property
    def holds(self) -> bool:
        """Whether everything was counted, and is as it must be."""
        refused = self.acts is not None and self.acts >= LEAST_ACTS and self.refused == self.acts
        return refused and (self.lost, self.twice, self.stuck, self.in_clear) == (0, 0, 0, 0)

    @property
    def line(self) -> str:
        """All of it in one line; a question mark where nobody has counted."""
        acts, refused, lost, twice, stuck, in_clear = (
            "?" if count is None else f"{count:,}"
            for count in (self.acts, self.refused, self.lost, self.twice, self.stuck, self.in_clear)
        )
        return (
            f"forbidden acts refused {refused} of {acts} · lost {lost} · applied twice {twice} · stuck {stuck} · "
            f"personal data in clear {in_clear}"
        )


class Counting:
    """The plugin that gives the tally to the tests."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    @pytest.fixture(scope="session")
    def tally(self) -> Tally:
        return self._tally
