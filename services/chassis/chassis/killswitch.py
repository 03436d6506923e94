"""The kill switch: after a bad release the consumer pauses instead of filling the parking lot."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chassis.settings import Settings


class Failing(Exception):  # noqa: N818 - errors name the fact
    """Too many of the last messages failed here; nothing was settled, and the same batch may be applied later."""


class KillSwitch:
    """Looks back at the last messages of one service.

    A message counts as failed where the service has a programming error, or cannot read what its own organisation
    said, whose services are released together. What a partner sends never counts otherwise: nobody outside can make
    the consumer pause by sending nonsense.
    """

    def __init__(self, settings: Settings) -> None:
        """Look back at `failure_window` messages, and allow `failure_share` of them to fail."""
        self._last: deque[bool] = deque(maxlen=settings.failure_window)
        self._allowed = settings.failure_share * settings.failure_window

    def check(self, failed: Sequence[bool]) -> None:
        """Look at a batch that is decided and not yet written: of each message, whether it failed.

        Raises:
            Failing: With it, more failed than are allowed.
        """
        last = [*self._last, *failed][-(self._last.maxlen or 0) :]
        if any(failed) and sum(last) > self._allowed:
            raise Failing(f"{sum(last)} of the last {len(last)} messages failed")

    def note(self, failed: Sequence[bool]) -> None:
        """Remember a batch that is written."""
        self._last.extend(failed)
