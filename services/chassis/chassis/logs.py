"""Logs: one JSON object a line on standard output, with a static event name and ids in fields.

How to log: ``log.info("batch.applied", messages=12)``. The name never changes and holds no values; values go to
fields; fields hold ids, codes and counts, never personal data and never an event's payload.
"""

from __future__ import annotations

import logging
import sys
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
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_trace,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**bound)
    # Libraries log into the same stream; what they say is theirs, so only warnings pass.
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format='{"event":"library","logger":"%(name)s"}')


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
