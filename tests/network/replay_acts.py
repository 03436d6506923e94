"""What was valid once and comes again, as it was or changed: the addressee keeps what it knows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from event_acts import HOME, WAIT_SECONDS, Forger, send
from forbidden import Entry, Outcome
from parts import Parts

from chassis.testing_live import eventually

NOW = "nyt"
"""The name of the offering that stays."""


@dataclass(frozen=True, slots=True)
class Replay:
    """An event that was valid once.

    Attributes:
        what: The act in words.
        event: What is sent.
        how: How the service must settle it.
    """

    what: str
    event: dict[str, Any]
    how: str


def replays(parts: Parts, forger: Forger, entry: Entry) -> list[Outcome]:
    """Say something valid, then old and changed forms of it: the addressee keeps what it has."""
    first = forger.offering({"names": {"fi": NOW}}, sequence="0000000007")
    _say(forger, entry, first)
    eventually(lambda: _name(parts, first) == NOW, seconds=WAIT_SECONDS, what="the offering at home")
    later = {"names": {"fi": "muuta"}}

    def changed(**more: Any) -> dict[str, Any]:
        return {**first, "data": first["data"] | later} | more

    old = {"id": str(uuid.uuid4()), "sequence": "0000000003"}
    withdrawn = {"type": "fi.viisikko.offering.withdrawn.v1", "id": str(uuid.uuid4()), "sequence": "0000000006"}
    tried = [
        Replay("the same event once more", first, "duplicate"),
        Replay("another event under an old id", changed(sequence="0000000009"), "duplicate"),
        Replay("an older sequence under a new id", changed(**old), "superseded"),
        Replay("the same sequence under a new id", changed(id=str(uuid.uuid4())), "superseded"),
        Replay("an old withdrawal", changed(**withdrawn), "superseded"),
    ]
    return [_replayed(parts, forger, entry, first, one) for one in tried]


def _replayed(parts: Parts, forger: Forger, entry: Entry, first: Mapping[str, Any], act: Replay) -> Outcome:
    before = _settled(parts, act.how)
    _say(forger, entry, act.event)
    eventually(lambda: _settled(parts, act.how) > before, seconds=WAIT_SECONDS, what=f"{act.what} settled")
    stays = _name(parts, first) == NOW
    return Outcome(forger.member.kind, f"say {act.what}", stays, f"settled as {act.how}; what is known stays")


def _say(forger: Forger, entry: Entry, event: Mapping[str, Any]) -> None:
    send(entry, [forger.forged("", event)])


def _name(parts: Parts, event: Mapping[str, Any]) -> str | None:
    api = parts.reach.api(HOME, "catalogue", "operator")
    found = [one for one in api.lines("/v1/offerings") if one["subject"] == event["subject"]]
    return found[0]["data"]["names"]["fi"] if found else None


def _settled(parts: Parts, how: str) -> float:
    text = httpx.get(f"{parts.region.url(HOME, 'catalogue')}/metrics", timeout=10).text
    line = f'viisikko_settled_total{{how="{how}"}} '
    return float(next(row for row in text.splitlines() if row.startswith(line)).removeprefix(line))
