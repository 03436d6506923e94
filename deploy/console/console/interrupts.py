"""Ctrl-C and SIGTERM: one way of stopping, that is neither lost nor met twice."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

STOPS = (signal.SIGTERM, signal.SIGINT)
AGAIN_SECONDS = 0.3


def listen() -> None:
    """Let SIGTERM and Ctrl-C raise KeyboardInterrupt, again and again until cleaning up begins.

    Once is not enough: Python drops an exception that strikes in a callback of its own, such as those around a fork.
    Ctrl-C is set as well, since a shell starts its background jobs with that signal ignored.
    """
    sys.unraisablehook = _quiet
    for number in (*STOPS, signal.SIGALRM):
        signal.signal(number, _interrupt)


def clean_up_undisturbed() -> None:
    """From now on nothing interrupts: whoever cleans up calls this first."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    raise KeyboardInterrupt


def _quiet(dropped: sys.UnraisableHookArgs) -> None:
    # The interrupt that was dropped comes again; nobody needs to read of it.
    if dropped.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(dropped)
