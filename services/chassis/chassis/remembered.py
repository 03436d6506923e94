"""Events that another copy of a service has kept, taken as if they came from the broker now.

Their marks name subject and sequence, so that a copy may be read as often as one likes, and what the broker brings of
the same events settles as superseded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis import profile
from chassis.decision import ALL, Classification
from chassis.incoming import Arrival, Delivery
from chassis.profile import Envelope

if TYPE_CHECKING:
    from datetime import datetime


QUEUE = "copy"
"""Stands in the parking lot where others have the queue that they came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The latest event of a public stream, as another copy has kept it.

    Attributes:
        name: ``aggregate.verb``.
        source: The speaker's URN.
        subject: The aggregate's id.
        data: JSON.
        time: When the publisher says that it happened, with offset.
        sequence: Its place in its stream, or None (guests).
    """

    name: str
    source: str
    subject: str
    data: Any
    time: datetime
    sequence: int | None


def arrival(remembered: Remembered) -> Arrival:
    """The event as it would have arrived.

    Raises:
        Unacceptable: It breaks a rule of the network's envelope.
        NotACloudEvent: It breaks a rule of CloudEvents.
    """
    place = remembered.sequence if remembered.sequence is not None else remembered.time.isoformat()
    # A hash, since a subject may be as long as an id may.
    said = hashlib.sha256(f"{remembered.subject}\0{place}".encode()).hexdigest()
    envelope = Envelope(
        id=f"copy:{said}",
        source=remembered.source,
        organisation=(remembered.source.split(":") + [""] * 3)[2],
        name=remembered.name,
        version=1,
        subject=remembered.subject,
        time=remembered.time,
        destination=ALL,
        classification=Classification.PUBLIC,
        data=remembered.data,
        sequence=remembered.sequence,
    )
    body = profile.compose(envelope)
    delivery = Delivery(body=body, routing_key=envelope.routing_key, queue=QUEUE, content_type=profile.CONTENT_TYPE)
    return Arrival(delivery=delivery, envelope=profile.admit(body, profile.CONTENT_TYPE, {}, envelope.routing_key))
