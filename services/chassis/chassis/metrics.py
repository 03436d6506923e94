"""Every metric of the chassis: name, type, labels and meaning. All are per process, and Prometheus adds the instance.

A label's values are bounded: codes and names from the code's own registers, never anything from outside. Labels whose
values are known beforehand stand at 0 from the start, so that an alert sees the first increase.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from chassis import topology
from chassis.incoming import Settled
from chassis.reasons import Reason

# When a series began is a second series for each, and Prometheus finds a restart by itself.
disable_created_metrics()

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
MESSAGES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

STEPS = tuple(str(step) for step in range(1, topology.STEPS + 1))
"""Steps of the retry ladder."""

PAUSES = ("store", "failing", "outbox")
"""Why the subscriber takes nothing: the store is away, too much fails, the outbox is over its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One metric as its users meet it.

    Attributes:
        name: As Prometheus stores it, with the suffix ``_total`` of a counter.
        kind: counter, gauge or histogram.
        meaning: One phrase.
        labels: Label → what its values are.
    """

    name: str
    kind: str
    meaning: str
    labels: Mapping[str, str]


described: list[Described] = []
"""All of them, in the order of this file; the table for operators is generated from it."""

M = TypeVar("M", Counter, Gauge, Histogram)


def _metric(kind: type[M], name: str, meaning: str, labels: Mapping[str, str] | None = None, **more: Any) -> M:
    suffix = "_total" if kind is Counter else ""
    told = Described(name=name + suffix, kind=kind.__name__.lower(), meaning=meaning, labels=labels or {})
    described.append(told)
    return kind(name, meaning, list(told.labels), **more)


def _from_zero(metric: M, values: Iterable[str]) -> M:
    for value in values:
        metric.labels(str(value))
    return metric


# ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────────────

RECEIVED = _metric(
    Counter, "viisikko_received", "Messages taken from the broker", {"name": "event, or other where nothing reads it"}
)
SETTLED = _from_zero(
    _metric(Counter, "viisikko_settled", "Messages that ended", {"how": ", ".join(Settled)}),
    Settled,
)
PARKED = _from_zero(
    _metric(Counter, "viisikko_parked", "Messages put into the parking lot", {"reason": ", ".join(Reason)}),
    Reason,
)
PARKED_STANDING = _metric(Gauge, "viisikko_parked_standing", "Messages that stand in the parking lot")
RETRIES = _from_zero(
    _metric(
        Counter,
        "viisikko_retries",
        "Messages put aside for a later try",
        {"step": ", ".join(STEPS)},
    ),
    STEPS,
)
BATCH_MESSAGES = _metric(Histogram, "viisikko_batch_messages", "Messages in a batch", buckets=MESSAGES)
DECIDE_SECONDS = _metric(Histogram, "viisikko_decide_seconds", "Deciding one batch", buckets=SECONDS)
COMMIT_SECONDS = _metric(Histogram, "viisikko_commit_seconds", "Writing one batch", buckets=SECONDS)
CONFLICTS = _metric(Counter, "viisikko_conflicts", "Batches tried again because another writer was first")
CONSUMER_PAUSED = _from_zero(
    _metric(Gauge, "viisikko_consumer_paused", "1 while the subscriber waits", {"why": ", ".join(PAUSES)}), PAUSES
)

# ── what goes out ────────────────────────────────────────────────────────────────────────────────────────────────────

CONFIRM_SECONDS = _metric(
    Histogram, "viisikko_confirm_seconds", "Publishing outbox documents, until confirmed", buckets=SECONDS
)
PUBLISHED = _metric(Counter, "viisikko_published", "Events confirmed by the broker")
NOT_TAKEN = _metric(
    Counter, "viisikko_not_taken", "Publishes that the broker could not take (nack), and that are sent again"
)
OUTBOX_DOCUMENTS = _metric(Gauge, "viisikko_outbox_documents", "Outbox documents that wait for the relay")
OUTBOX_AGE_SECONDS = _metric(Gauge, "viisikko_outbox_age_seconds", "Age of the oldest outbox document")
BROKER_CONNECTED = _metric(Gauge, "viisikko_broker_connected", "1 while the subscriber is connected")
BROKER_BLOCKED = _metric(
    Gauge, "viisikko_broker_blocked", "1 while the broker blocks publishers (memory or disk alarm)"
)

# ── what a leader does besides ───────────────────────────────────────────────────────────────────────────────────────

LEADER = _metric(Gauge, "viisikko_leader", "1 where this replica runs relay, timers and effects")
TIMERS_FIRED = _metric(Counter, "viisikko_timers_fired", "Timers that fired")
TIMERS_LATE_SECONDS = _metric(
    Gauge, "viisikko_timers_late_seconds", "How long the longest overdue timer has been due, 0 where none is"
)
EFFECTS = _metric(
    Counter, "viisikko_effects", "Tries of effects", {"name": "the effect", "how": "done, retried, away, dead"}
)
EFFECTS_WAITING = _metric(Gauge, "viisikko_effects_waiting", "Effects that wait for their next try")
EFFECTS_DEAD = _metric(
    Gauge, "viisikko_effects_dead", "Effects that were given up or whose result was refused, and that wait for somebody"
)

# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

HTTP_SECONDS = _metric(
    Histogram,
    "viisikko_http_seconds",
    "Answering one HTTP request",
    {"method": "GET, POST, PUT", "status": "HTTP status"},
    buckets=SECONDS,
)
