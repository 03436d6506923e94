"""Logs: one JSON object a line on standard output, with a static event name and ids in fields.

How to log: ``log.info("batch.applied", messages=12)``. The name never changes and holds no values; values go to
fields; fields hold ids, codes and counts, never personal data and never an event's payload.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

import structlog

log: Any = structlog.get_logger()


def configure(level: str, **bound: str) -> None:
    """Write JSON to standard output.

    Args:
        level: Lowest level that is written: debug, info, warning, error.
        bound: Fields of every line, such as organisation and service.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]

    def bind(_logger: Any, _method: str, fields: Any) -> Any:
        # Here and not in context variables: each green thread has its own context, and begins with an empty one.
        return {**bound, **fields}

    structlog.configure(
        processors=[
            bind,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_trace,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    # Libraries log into the same stream; what they say is theirs, so only warnings pass.
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Library(bound))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # Whatever nameko has to say is told by the chassis.
    logging.getLogger("nameko").setLevel(logging.CRITICAL + 1)


class _Library(logging.Formatter):
    """A library's line: its texts and its traces would hold values, so only who speaks and how loud is told."""

    def __init__(self, bound: Mapping[str, str]) -> None:
        super().__init__()
        self._bound = dict(bound)

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        fields = {"event": "library", "logger": record.name, "level": record.levelname.lower()}
        return json.dumps({**self._bound, **fields} | ({"error": kind_of(error)} if error else {}))


def kind_of(error: BaseException) -> str:
    """An exception's class and the place that raised it: enough to find the fault, and no value."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else "unknown place"
    return f"{type(error).__name__} at {place}"


def _without_trace(_logger: Any, _method: str, fields: Any) -> Any:
    # A stack trace holds the values that were worked on, so an exception is told by kind and place.
    error = fields.pop("error", None)
    if isinstance(error, BaseException):
        fields["error"] = kind_of(error)
    elif error is not None:
        fields["error"] = error
    return fields
