"""The one clock of the chassis: the system's, moved by what a file says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """Tells the time, in UTC. Every timer, history and mark goes by it."""

    def __init__(self, offset: Path | None = None) -> None:
        """Follow the system's clock.

        Args:
            offset: A file that holds seconds to add, as a number; read again whenever it changes. Setting it moves
                the clock of every service that names it, while they run.
        """
        self._file = offset
        self._changed = 0
        self._offset = timedelta()

    def now(self) -> datetime:
        """The time, with offset."""
        if self._file:
            self._refresh(self._file)
        return datetime.now(UTC) + self._offset

    def _refresh(self, file: Path) -> None:
        try:
            changed = file.stat().st_mtime_ns
            if changed != self._changed:
                self._offset = timedelta(seconds=float(file.read_text().strip() or 0))
                self._changed = changed
        except FileNotFoundError:
            self._offset = timedelta()


def set_offset(file: Path, offset: timedelta) -> None:
    """Move every clock that follows a file."""
    pending = file.with_suffix(".new")
    pending.write_text(str(offset.total_seconds()))
    # A reader sees the old number or the new one, never half of it.
    pending.replace(file)
