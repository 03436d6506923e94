"""Referral events of about 0.7 KB: a third of them make a referral, the rest change one of 2,000."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chassis import profile
from chassis.decision import Classification
from chassis.profile import Envelope

OWN = "kunta"
OTHER = "seamk"
SOURCE = f"urn:viisikko:{OTHER}:referral"
KNOWN = 2000
"""Referrals that are there before, and that two thirds of the events change."""

STEPS = ("applying", "waitlisted", "enrolled", "started")
OCCUPATION = "http://data.europa.eu/esco/occupation/00030d09-2b3a-4efd-87cc-c4ea39d27c34"


@dataclass(frozen=True, slots=True)
class Published:
    """One event as it is published.

    Attributes:
        id: The event's id.
        subject: The referral.
        body: CloudEvent in structured mode.
        key: Routing key.
    """

    id: str
    subject: str
    body: bytes
    key: str


def known() -> list[Published]:
    """The events that make the referrals that are there before."""
    return [requested(_known_id(number)) for number in range(KNOWN)]


def events(count: int, seed: int = 7) -> list[Published]:
    """The events of one measurement, the same for every seed but for their ids."""
    return list(stream(count, seed))


def stream(count: int, seed: int = 7) -> Iterator[Published]:
    """The same, one after another, for what is too many to hold."""
    dice = random.Random(seed)
    sequences: dict[int, int] = {}
    for number in range(count):
        if number % 3 == 0:
            yield requested(str(uuid.UUID(int=dice.getrandbits(128), version=4)))
        else:
            which = dice.randrange(KNOWN)
            sequences[which] = sequences.get(which, 1) + 1
            yield progressed(_known_id(which), sequences[which], dice.choice(STEPS))


def decoded(body: bytes) -> dict[str, Any]:
    """An event as a program reads it that checks nothing."""
    event: dict[str, Any] = json.loads(body)
    return event


def requested(referral: str) -> Published:
    """The event that makes a referral."""
    return _event("requested", referral, 1, None)


def progressed(referral: str, sequence: int, step: str) -> Published:
    """An event that changes one."""
    return _event("progressed", referral, sequence, step)


def _known_id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"bench/{number}"))


def _event(verb: str, referral: str, sequence: int, step: str | None) -> Published:
    envelope = Envelope(
        id=str(uuid.uuid4()),
        source=SOURCE,
        organisation=OTHER,
        name=f"referral.{verb}",
        version=1,
        subject=referral,
        time=datetime.now(UTC),
        destination=OWN,
        classification=Classification.PSEUDONYMOUS,
        data=_data(verb, step),
        sequence=sequence,
        correlation="r." + referral.replace("-", "").translate(str.maketrans("0189", "abcd")),
    )
    return Published(envelope.id, referral, profile.compose(envelope), envelope.routing_key)


def _data(verb: str, step: str | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "sender": OTHER,
        "receiver": OWN,
        "offering": "kunta.1.2.246.562.17.00000000000000000001",
        "goal": {"occupation": OCCUPATION, "labels": {"fi": "sosiaaliohjaaja"}},
        "responsible": {"sender": "seamk-12", "receiver": None},
        "status": "requested" if verb == "requested" else "accepted",
    }
    return said if step is None else said | {"businessStatus": step}
