"""The one clock of the chassis: the system's, moved by what a file says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from chassis.logs import log

MOST = timedelta(days=36_500)
"""How far a clock may be moved; beyond it lie times that neither calendars nor the store can hold."""


class Clock:
    """Tells the time, in UTC. Every timer, history and mark goes by it."""

    def __init__(self, offset: Path | None = None) -> None:
        """Follow the system's clock.

        Args:
            offset: A file that holds seconds to add, as a number; read again whenever it changes. Setting it moves
                the clock of every service that names it, while they run.
        """
        self._file = offset
        self._seen: tuple[int, int] | None = None
        self._offset = timedelta()

    def now(self) -> datetime:
        """The time, with offset. A file that holds no usable number leaves the clock as it was."""
        if self._file:
            self._refresh(self._file)
        return datetime.now(UTC) + self._offset

    def _refresh(self, file: Path) -> None:
        try:
            found = file.stat()
            # Both, since a file that is written in place may change twice within one tick of its time.
            seen = found.st_mtime_ns, found.st_size
            if seen == self._seen:
                return
            self._seen = seen
            self._offset = _parse(file.read_text("utf-8"))
        except FileNotFoundError:
            self._seen, self._offset = None, timedelta()
        except (OSError, ValueError, OverflowError) as error:
            log.error("clock.broken", file=file.name, error=error, offset_seconds=self._offset.total_seconds())


def set_offset(file: Path, offset: timedelta) -> None:
    """Move every clock that follows a file."""
    pending = file.with_suffix(".new")
    pending.write_text(str(offset.total_seconds()))
    # A reader sees the old number or the new one, never half of it.
    pending.replace(file)


def _parse(text: str) -> timedelta:
    offset = timedelta(seconds=float(text))
    if abs(offset) > MOST:
        raise ValueError(f"must be seconds within {MOST.days} days")
    return offset
