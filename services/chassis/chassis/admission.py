"""Admission: what the broker delivered becomes a message for its handler, or something for the parking lot.

All of it depends on nothing that is stored, so that it is done while the store works on the batch before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from chassis import border
from chassis.incoming import Arrival, Delivery
from chassis.killswitch import Failing
from chassis.logs import kind_of, log
from chassis.messages import Taken, take
from chassis.parking import Parked, readable_id, tell_parked
from chassis.reasons import Reason, Unacceptable
from chassis.topology import dead, queue
from chassis.transaction import Decided, StoreAway

if TYPE_CHECKING:
    from chassis.home import Home
    from chassis.transaction import Transaction

Admitted = Taken | Arrival | Parked


def admit(home: Home, delivery: Delivery) -> Admitted:
    """Look at one message; whatever it is, it raises nothing.

    Returns:
        `Taken` where it is ready for its handler; an `Arrival` where it is not, which the transaction settles.
    """
    if delivery.queue == dead(queue(home.organisation, home.service)):
        return _parked(home, delivery, Unacceptable(Reason.CRASHED, "came back from the broker too often"))
    try:
        arrival = border.arrive(home, delivery)
    except Unacceptable as error:
        return _parked(home, delivery, error)
    except Exception as error:  # noqa: BLE001 - one that cannot even be looked at must not hold up the others
        log.error("arrival.failed", error=error)
        return _parked(home, delivery, Unacceptable(Reason.ERROR, kind_of(error)))
    try:
        return take(home, arrival, home.clock.now())
    except Exception:  # noqa: BLE001 - the transaction meets it again, and settles it as reliability.md says
        return arrival


@dataclass(slots=True)
class Portion:
    """What the broker delivered and one worker settles.

    Attributes:
        admitted: Its messages, in their order.
        decided: What is to be written of them, where that was decided before; None otherwise.
        tried: Whether a worker has begun to settle it.
    """

    admitted: Sequence[Admitted]
    decided: Decided | None = None
    tried: bool = False

    @property
    def ready(self) -> list[Taken | Arrival]:
        """Those that are to be applied."""
        return [one for one in self.admitted if not isinstance(one, Parked)]

    @property
    def parked(self) -> list[Parked]:
        """Those that never became a message."""
        return [one for one in self.admitted if isinstance(one, Parked)]


def ahead(transaction: Transaction, admitted: Sequence[Admitted], before: Portion | None) -> Portion:
    """Decide on what was admitted while the portion before it is being written."""
    portion = Portion(admitted)
    ready = portion.ready
    # Without that portion's own decisions it is not known on what to decide.
    if ready and (before is None or before.decided is not None or not before.ready):
        portion.decided = transaction.ahead(ready, before.decided if before else None)
    return portion


def settle(transaction: Transaction, portion: Portion) -> StoreAway | PyMongoError | Failing | None:
    """Apply a portion, and park what is not to be applied.

    Returns:
        None where all of it is settled; the error where the store cannot be reached, or this service fails at too
        much, and the same batch is to be applied again later.
    """
    try:
        _settle(transaction, portion)
    except (StoreAway, PyMongoError, Failing) as error:
        return error
    return None


def _settle(transaction: Transaction, portion: Portion) -> None:
    ready, parked = portion.ready, portion.parked
    if ready:
        started = time.perf_counter()
        _apply(transaction, portion, ready)
        log.debug("batch.applied", messages=len(ready), seconds=round(time.perf_counter() - started, 4))
    if parked:
        # Last: where the store goes away in between, what is applied is known by its marks and what is parked is not.
        transaction.park(parked)
        for one in parked:
            tell_parked(one)


def _apply(transaction: Transaction, portion: Portion, ready: Sequence[Taken | Arrival]) -> None:
    again, portion.tried = portion.tried, True
    # Whoever has to try again decides anew.
    if portion.decided is None or again:
        transaction.apply(ready)
    else:
        transaction.finish(portion.decided)


def _parked(home: Home, delivery: Delivery, error: Unacceptable) -> Parked:
    if error.reason is Reason.CRASHED:
        delivery = replace(delivery, routing_key=_original_key(delivery))
    return Parked(
        delivery=delivery, reason=error.reason, error=str(error), event=readable_id(delivery), at=home.clock.now()
    )


def _original_key(delivery: Delivery) -> str:
    """The routing key that a dead letter had before, as the broker notes it in ``x-death``."""
    deaths = delivery.headers.get("x-death")
    last = deaths[0] if isinstance(deaths, list) and deaths else {}
    keys = last.get("routing-keys") if isinstance(last, Mapping) else None
    key = keys[0] if isinstance(keys, list) and keys else None
    # What died on its way through the own exchange has its four words in a header, which the subscriber has read.
    return key if isinstance(key, str) and key != delivery.queue.removesuffix(".dead") else delivery.routing_key
