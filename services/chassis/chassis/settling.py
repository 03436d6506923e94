"""What becomes of what reached a service (reliability.md, Settling a message), collected in the batch that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chassis import metrics, tracing
from chassis.batch import Batch, DeadEffect
from chassis.border import Entry, journey
from chassis.decision import Invalid, NotYours, Refused
from chassis.incoming import (
    Again,
    Arrival,
    Delivery,
    Due,
    Failed,
    Incoming,
    Order,
    Outcome,
    Replay,
    Result,
    Settled,
)
from chassis.logs import kind_of, log
from chassis.parking import EFFECTS_QUEUE, Parked, tell_parked
from chassis.profile import HEADERS, safe_headers
from chassis.reasons import Reason
from chassis.topology import own_exchange, queue, wait

if TYPE_CHECKING:
    from datetime import datetime

    from chassis.aggregates import Document
    from chassis.home import Home
    from chassis.messages import Taken

_NOT_ENDED = frozenset({Settled.PARKED, Settled.RETRIED})


def ended(incoming: Incoming, settled: Settled, batch: Batch) -> Outcome:
    """It ends without an aggregate."""
    return finished(incoming, Outcome(settled=settled), batch)


def over(taken: Taken, document: Document, batch: Batch, settled: Settled) -> Outcome:
    """Nothing more is to be decided on it."""
    # A timer that fired is done, whatever was decided; it would fire for ever.
    if isinstance(taken.origin, Due):
        document.drop_timer(taken.origin.name)
    return finished(taken.origin, document.outcome(settled), batch)


def finished(incoming: Incoming, outcome: Outcome, batch: Batch) -> Outcome:
    """It ends so."""
    # An effect's document goes away in the transaction that its result is applied in.
    if isinstance(incoming, Result) and not incoming.failed:
        batch.done_effects.append(incoming.effect)
    return outcome


def parked(incoming: Incoming, batch: Batch, reason: Reason, error: str, rule: str | None = None) -> Outcome:
    """It goes to the parking lot.

    Raises:
        TypeError: It did not come from the broker.
    """
    if not isinstance(incoming, Arrival):
        raise TypeError(f"only what came from the broker can be parked: {error}")
    event = incoming.envelope.id
    batch.parked.append(
        Parked(delivery=incoming.delivery, reason=reason, error=error, rule=rule, event=event, at=batch.at)
    )
    return Outcome(settled=Settled.PARKED)


def refused(incoming: Incoming, batch: Batch, refusal: Refused, document: Document | None = None) -> Outcome:
    """A rule refuses it: an event is parked, and whoever asked for anything else is told."""
    if isinstance(incoming, Arrival):
        return parked(incoming, batch, *_why(refusal))
    if isinstance(incoming, Due) and document is not None:
        log.warning("timer.refused", timer=incoming.name, id=incoming.id, rule=refusal.rule)
        document.drop_timer(incoming.name)
    state = document.state if document else None
    identifier = document.id if document else None
    return Outcome(settled=Settled.REFUSED, refusal=refusal, aggregate_id=identifier, state=state)


def _why(refusal: Refused) -> tuple[Reason, str, str | None]:
    if isinstance(refusal, NotYours):
        return Reason.NOT_YOURS, str(refusal), None
    if isinstance(refusal, Invalid):
        return Reason.SCHEMA, str(refusal), None
    return Reason.RULE, str(refusal), refusal.rule


def failed(home: Home, incoming: Incoming, batch: Batch, error: Exception | None) -> Outcome:
    """This service has a programming error: an event takes the ladder and is parked at its end, all else is refused.

    Args:
        home: The service.
        incoming: What it failed at.
        batch: What is to be written.
        error: What was raised last.
    """
    log.error("decision.failed", message=_name(incoming), **_ids(home, incoming), error=error)
    if isinstance(incoming, Arrival):
        if incoming.delivery.attempts < len(home.settings.retry_seconds):
            return _retried(home, incoming, batch)
        return parked(incoming, batch, Reason.ERROR, kind_of(error) if error else "")
    failure = Failed("The service failed at this; its operators can find it in the log.")
    failure.__cause__ = error
    return Outcome(settled=Settled.REFUSED, refusal=failure)


def _retried(home: Home, arrival: Arrival, batch: Batch) -> Outcome:
    """The next step of the ladder: the message waits there, and comes back to the one queue as it came."""
    delivery = arrival.delivery
    step = delivery.attempts + 1
    again = Again(
        content_type=delivery.content_type,
        headers={n: v for n, v in safe_headers(delivery.headers).items() if n not in HEADERS},
        replay=delivery.replay,
        attempts=step,
        wait_seconds=home.settings.retry_seconds[delivery.attempts],
    )
    entry = Entry(
        exchange=own_exchange(home.organisation),
        key=wait(queue(home.organisation, home.service), step),
        body=delivery.body,
        aggregate=f"retry/{arrival.envelope.id}",
        version=step,
        origin=delivery.routing_key,
        again=again,
    )
    batch.entries.append(entry)
    batch.retried.append(delivery)
    return Outcome(settled=Settled.RETRIED)


def failures(home: Home, incoming: Sequence[Incoming], batch: Batch) -> list[bool]:
    """Of each message from the broker, whether this service or its own organisation failed at it (see `KillSwitch`)."""
    failing = {id(parked.delivery) for parked in batch.parked if _is_own_failure(home, parked)}
    failing |= {id(delivery) for delivery in batch.retried}
    return [id(one.delivery) in failing for one in incoming if isinstance(one, Arrival)]


def _is_own_failure(home: Home, parked: Parked) -> bool:
    if parked.reason is Reason.SCHEMA:
        return parked.words[2:3] == [home.organisation]
    return parked.reason is Reason.ERROR


def ended_replays(incoming: Sequence[Incoming], outcomes: Sequence[Outcome]) -> list[tuple[Replay, str]]:
    """The attempts of operators that end with this batch, each with how."""
    # Those that are parked again end with that.
    return [
        (replay, str(outcome.settled))
        for one, outcome in zip(incoming, outcomes, strict=True)
        if (replay := _replay(one)) and outcome.settled not in _NOT_ENDED and not _is_dead(one, outcome)
    ]


def _replay(incoming: Incoming) -> Replay | None:
    if isinstance(incoming, Arrival):
        return incoming.delivery.replay
    return incoming.replay if isinstance(incoming, Result) else None


def _is_dead(incoming: Incoming, outcome: Outcome) -> bool:
    """Whether it is an effect that was given up, or done with a result that nobody can take."""
    return isinstance(incoming, Result) and (incoming.failed or outcome.settled is Settled.REFUSED)


def dead_effects(incoming: Sequence[Incoming], outcomes: Sequence[Outcome], at: datetime) -> list[DeadEffect]:
    """The effects that are over until an operator replays them."""
    return [
        DeadEffect(one.effect, _parked_effect(one, outcome, at), None if one.failed else one.data)
        for one, outcome in zip(incoming, outcomes, strict=True)
        if isinstance(one, Result) and _is_dead(one, outcome)
    ]


def _parked_effect(result: Result, outcome: Outcome, at: datetime) -> Parked:
    # What it was to do may be personal, so that its id alone stands in the lot.
    body = result.effect.encode()
    delivery = Delivery(body=body, routing_key=result.name, queue=EFFECTS_QUEUE, own=True, replay=result.replay)
    refused = outcome.refusal.rule if outcome.refusal else "refused"
    return Parked(delivery=delivery, reason=Reason.EFFECT, error=result.error or f"result: {refused}", at=at)


def _name(incoming: Incoming) -> str:
    return incoming.envelope.name if isinstance(incoming, Arrival) else incoming.name


def _ids(home: Home, incoming: Incoming) -> dict[str, str | None]:
    """What finds a message again: in the stores by its id, at other services by journey and trace."""
    trace = tracing.of(home, incoming).trace
    match incoming:
        case Arrival(envelope=envelope):
            return {"id": envelope.id, "correlation": envelope.correlation or journey(envelope.subject), "trace": trace}
        case Order():
            return {"id": incoming.path.get("id"), "trace": trace}
        case Due() | Result():
            return {"id": incoming.id, "correlation": journey(incoming.id), "trace": trace}


def count(outcomes: Sequence[Outcome], batch: Batch) -> None:
    """Tell the metrics what became of a batch that is written."""
    for outcome in outcomes:
        metrics.SETTLED.labels(str(outcome.settled)).inc()
    for parked in [*batch.parked, *(dead.parked for dead in batch.dead_effects)]:
        tell_parked(parked)
    for delivery in batch.retried:
        metrics.RETRIES.labels(str(delivery.attempts + 1)).inc()
