"""What somebody with the hub in their hands can see: its queues, its disk, and what events have in common."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import quote

from parts import Parts

SHARED = frozenset(
    {
        *("specversion", "source", "type", "time", "datacontenttype", "dataschema", "destination"),
        *("dataclassification", "sequence", "sender", "receiver", "offering", "language", "status"),
        *("occupation", "skill", "fi", "sv", "en"),
    }
)
"""Members of events that say nothing of who the client is: codes, staff ids, the vocabulary's addresses and words."""

MOST = 100_000
"""Messages that are read from one queue."""


def waiting(parts: Parts) -> bytes:
    """Every message that waits in a queue of the hub; they stay there."""
    look = {"count": MOST, "ackmode": "ack_requeue_true", "encoding": "base64"}
    services = {f"{running.organisation}.{running.service}" for running in parts.region.services}
    with parts.region.broker.client() as client:
        # A service's own queue, and one of a single connection, let nobody else look; what they hold is in the trace.
        queues = client.get("/api/queues/%2F").raise_for_status().json()
        names = {queue["name"] for queue in queues if not queue.get("exclusive")} - services
        paths = [f"/api/queues/%2F/{quote(name, safe='')}/get" for name in sorted(names)]
        return b"\n".join(
            _everything(message) for path in paths for message in client.post(path, json=look).raise_for_status().json()
        )


def on_disk(folder: Path) -> dict[str, bytes]:
    """Every file of a broker, its logs and message stores among them."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def opaque(value: Any, name: str = "") -> Iterator[str]:
    """Every text of an event that may stand for a client or a case; what all events share is left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from opaque(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from opaque(inner, name)
    elif isinstance(value, str) and name not in SHARED:
        yield value


def longest_common(one: str, other: str) -> int:
    """Length of the longest text that stands in both."""
    parts = ((start, end) for start, end in combinations(range(len(one) + 1), 2) if one[start:end] in other)
    return max((end - start for start, end in parts), default=0)


def _everything(message: dict[str, Any]) -> bytes:
    return base64.b64decode(message["payload"]) + repr(message["properties"]).encode()
