"""How a copy of the catalogue begins: it reads another copy first, then follows events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol

PAGE = 200
"""Offerings that are compared, and applied in one transaction."""

Known = Mapping[str, tuple[str, int | None, datetime]]
"""Id → source, sequence and time of its latest event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One offering of a copy.

    Attributes:
        source: URN of who said it last.
        subject: The offering's id.
        sequence: Place in its stream, or None (guests).
        time: When it was said, with offset.
        data: The offering as JSON.
        good: Whether its provider said it and its data is an offering's.
    """

    source: str
    subject: str
    sequence: int | None
    time: datetime
    data: Mapping[str, Any]
    good: bool = True

    @property
    def name(self) -> str:
        """The event that says the same."""
        return "offering.withdrawn" if self.data.get("withdrawn") else "offering.published"


class Copy(Protocol):
    """Another copy of the catalogue."""

    def lines(self, after: str | None) -> Iterator[Line]:
        """Its offerings in the order of their ids, from the first that follows `after`.

        Raises:
            OSError: It does not answer, broke off, or answers something else.
        """


class Notes(Protocol):
    """What is remembered of a beginning."""

    def beginning(self) -> Mapping[str, object]:
        """How far the copy was read, and when this one was last known to follow events."""

    def note_beginning(self, **fields: object) -> None:
        """Remember some of that."""


@dataclass(slots=True)
class Report:
    """What a reading has brought.

    Attributes:
        read: Lines read.
        taken: Those that were news here.
        refused: Those that broke a rule.
    """

    read: int = 0
    taken: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The other copy, and what this one does with it.

    Attributes:
        copy: The other copy.
        notes: Remembers how far it was read.
        known: What this copy knows of some ids.
        take: Applies lines, in one transaction.
        longest: How long this copy may be away without missing an event for sure.
    """

    copy: Copy
    notes: Notes
    known: Callable[[Sequence[str]], Known]
    take: Callable[[Sequence[Line]], None]
    longest: timedelta

    def is_due(self, now: datetime) -> bool:
        """Whether this copy is new, restored or was long away, or a reading was broken off."""
        noted = self.notes.beginning()
        alive = noted.get("alive")
        return noted.get("after", "") is not None or not isinstance(alive, datetime) or now - alive > self.longest

    def read(self, now: datetime) -> Report:
        """Read the other copy, from where an earlier reading broke off.

        Raises:
            OSError: It does not answer, broke off, or answers something else; what was read stays.
        """
        report = Report()
        after = self._after(now)
        lines = iter(self.copy.lines(after))
        while page := list(islice(lines, PAGE)):
            news = self._news(page)
            if news:
                self.take(news)
            report.read += len(page)
            report.taken += len(news)
            report.refused += sum(not line.good for line in page)
            self.notes.note_beginning(after=page[-1].subject, alive=now)
        self.notes.note_beginning(after=None, alive=now)
        return report

    def _after(self, now: datetime) -> str | None:
        # One that was whole, or broke off long ago, begins anew.
        noted = self.notes.beginning()
        after, alive = noted.get("after"), noted.get("alive")
        recent = isinstance(alive, datetime) and now - alive <= self.longest
        return after if recent and isinstance(after, str) else None

    def _news(self, page: Iterable[Line]) -> list[Line]:
        good = [line for line in page if line.good]
        known = self.known([line.subject for line in good])
        return [line for line in good if not _is_known(line, known)]


def _is_known(line: Line, known: Known) -> bool:
    source, sequence, time = known.get(line.subject, (None, None, None))
    if source != line.source or time is None:
        return False
    if line.sequence is None or sequence is None:
        return line.time <= time
    return line.sequence <= sequence
