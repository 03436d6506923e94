"""Every metric of the chassis: name, type and meaning. All are per process, and Prometheus adds the instance."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

RECEIVED = Counter("viisikko_received", "Messages taken from the broker", ["name"])
SETTLED = Counter("viisikko_settled", "Messages by how they ended (reliability.md)", ["how"])
PARKED = Counter("viisikko_parked", "Messages put into the parking lot, by reason", ["reason"])
BATCH_MESSAGES = Histogram(
    "viisikko_batch_messages", "Messages in a batch", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
RETRIES = Counter("viisikko_retries", "Messages that this service failed at, by the ladder's step", ["step"])
DECIDE_SECONDS = Histogram("viisikko_decide_seconds", "Deciding one batch", buckets=SECONDS)
COMMIT_SECONDS = Histogram("viisikko_commit_seconds", "Writing one batch", buckets=SECONDS)
CONFLICTS = Counter("viisikko_conflicts", "Batches tried again because another writer was first")
CONFIRM_SECONDS = Histogram("viisikko_confirm_seconds", "Publishing one outbox page, until confirmed", buckets=SECONDS)
PUBLISHED = Counter("viisikko_published", "Events confirmed by the broker")
OUTBOX_ENTRIES = Gauge("viisikko_outbox_documents", "Outbox documents that wait for the relay")
OUTBOX_AGE_SECONDS = Gauge("viisikko_outbox_age_seconds", "Age of the oldest outbox document")
LEADER = Gauge("viisikko_leader", "1 where this replica runs relay, timers and effects")
TIMERS_FIRED = Counter("viisikko_timers_fired", "Timers that fired")
TIMERS_LATE_SECONDS = Gauge("viisikko_timers_late_seconds", "How late the last timer fired")
EFFECTS = Counter("viisikko_effects", "Effects by name and how they went", ["name", "how"])
CONSUMER_PAUSED = Gauge(
    "viisikko_consumer_paused",
    "1 while the subscriber waits, by what for",
    ["why"],
)
BROKER_CONNECTED = Gauge("viisikko_broker_connected", "1 while the subscriber is connected")
BROKER_BLOCKED = Gauge("viisikko_broker_blocked", "1 while the broker blocks publishers (memory or disk alarm)")
HTTP_SECONDS = Histogram("viisikko_http_seconds", "Answering one HTTP request", ["method", "status"], buckets=SECONDS)
