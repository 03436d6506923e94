"""One batch, one transaction: load the aggregates, decide, and write all that follows, or nothing.

This is where the promise is kept (reliability.md): marks, states, outbox, effects and the parking lot are written
together, under the condition that no aggregate has changed since it was read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from eventlet import Timeout
from pymongo.errors import AutoReconnect

from chassis import metrics, settling
from chassis.batch import Batch, Conflict, Writer
from chassis.deciding import Decider
from chassis.incoming import Incoming, Outcome
from chassis.killswitch import Failing, KillSwitch
from chassis.logs import log
from chassis.messages import Taken

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

    from chassis.documents import Documents
    from chassis.home import Home
    from chassis.parking import Parked

CONFLICT_TRIES = 20
PATIENT_TRIES = 5
"""Conflicts in a row after which another replica is taken for dead, and its open transactions are ended."""

CONFLICT_WAIT_SECONDS = 0.002

Committed = Callable[[Sequence[tuple[str, str, Any, int]]], None]
T = TypeVar("T")


class StoreAway(Exception):  # noqa: N818 - errors name the fact
    """The store cannot be reached; nothing was settled, and the same batch may be applied again later."""


@dataclass(slots=True)
class Decided:
    """A batch that is decided and not yet written.

    Attributes:
        ready: What reached the service.
        batch: What is to be written.
        outcomes: What becomes of each, once it is written.
        failed: Of each message from the broker, whether this service failed at it.
        since: When deciding began, in nanoseconds since 1970.
        after: The batch whose aggregates it was decided on before they were written, or None.
        written: Whether it was written as it was decided.
    """

    ready: Sequence[Incoming | Taken]
    batch: Batch
    outcomes: list[Outcome]
    failed: list[bool]
    since: int
    after: Decided | None
    written: bool = False


class Transaction:
    """Applies what reaches one service."""

    def __init__(self, home: Home, documents: Documents, *, committed: Committed) -> None:
        """Work in the service's own database.

        Args:
            home: The service.
            documents: Its aggregates.
            committed: Called after each commit with kind, id, new state and version of what changed.
        """
        self._home = home
        self._committed = committed
        self._decider = Decider(home, documents)
        self._writer = Writer(home, documents.keys)
        self._switch = KillSwitch(home.settings)

    def indexes(self) -> None:
        """Declare the indexes that the chassis needs."""
        self._writer.indexes()

    def apply(self, incoming: Sequence[Incoming | Taken]) -> list[Outcome]:
        """Apply a batch: one transaction or, where that fails, one for each message.

        Args:
            incoming: What reached the service; `Taken` where that was made ready before.

        Returns:
            What became of each, in order. What this service fails at is tried again later, and at last parked as
            ``error``, where it came from the broker; it is refused with `Failed` otherwise.

        Raises:
            StoreAway: The store cannot be reached; nothing was settled.
            Failing: This service fails at too much of what comes from the broker; nothing was settled.
        """
        try:
            return self._patiently(lambda: self._write_batch(self._decide_batch(incoming)))
        except (StoreAway, Failing):
            raise
        except AutoReconnect as error:
            raise StoreAway from error
        # A time limit is no Exception: it would end the worker and leave whoever waits for it waiting for ever.
        except (Exception, Timeout) as error:  # noqa: BLE001 - the innocent must not go under with the guilty
            if len(incoming) == 1:
                return [self._alone(_origin(incoming[0]), error)]
            log.warning("batch.split", messages=len(incoming), error=error)
            return [outcome for one in incoming for outcome in self.apply([one])]

    def ahead(self, ready: Sequence[Incoming | Taken], after: Decided | None) -> Decided | None:
        """Decide a batch and write nothing, while the one before is being written.

        What decisions read may miss what that one writes, as it misses what an earlier message of the same batch does:
        where a batch ends, nobody can tell.

        Args:
            ready: What reached the service.
            after: The batch that is being written, whose aggregates stand in for the store's; or None.

        Returns:
            For `finish`; None where it could not be decided, which `apply` then meets again.
        """
        try:
            return self._decide_batch(ready, after)
        except (Exception, Timeout) as error:  # noqa: BLE001 - see above
            log.debug("batch.not-ahead", error=error)
            return None

    def finish(self, decided: Decided) -> list[Outcome]:
        """Write what `ahead` has decided; where that cannot be done as it was decided, apply it anew.

        Returns:
            See `apply`.

        Raises:
            StoreAway: See `apply`.
            Failing: See `apply`.
        """
        after, decided.after = decided.after, None
        if after is None or after.written:
            try:
                return self._write_batch(decided)
            except Failing:
                raise
            except Conflict:
                metrics.CONFLICTS.inc()
            except (Exception, Timeout) as error:  # noqa: BLE001 - met again below, and settled there
                log.debug("batch.anew", error=error)
        return self.apply(decided.ready)

    def park(self, parked: Sequence[Parked]) -> None:
        """Park what never became a message.

        Raises:
            StoreAway: The store cannot be reached.
        """
        self._commit(lambda: self._writer.commit(Batch(at=self._home.clock.now(), parked=list(parked))))

    def write(self, write: Callable[[ClientSession], T]) -> T:
        """Do what `write` does in one transaction of the chassis's own; where another writer was first, again.

        Raises:
            StoreAway: The store cannot be reached.
        """
        return self._commit(lambda: self._writer.within(write))

    def _commit(self, commit: Callable[[], T]) -> T:
        try:
            result = self._patiently(commit)
        except AutoReconnect as error:
            raise StoreAway from error
        self._committed([])
        return result

    def _patiently(self, attempt: Callable[[], T]) -> T:
        for count in range(CONFLICT_TRIES):
            try:
                return attempt()
            except Conflict:
                metrics.CONFLICTS.inc()
                if count == PATIENT_TRIES:
                    self._home.sessions.end_others()
                time.sleep(CONFLICT_WAIT_SECONDS * count)
        raise StoreAway(f"{CONFLICT_TRIES} writers in a row were first")

    def _decide_batch(self, ready: Sequence[Incoming | Taken], after: Decided | None = None) -> Decided:
        incoming = [_origin(one) for one in ready]
        batch = Batch(at=self._home.clock.now())
        since, started = time.time_ns(), time.perf_counter()
        outcomes = self._decider.decide(ready, batch, after.batch.documents if after else {})
        batch.dead_effects = settling.dead_effects(incoming, outcomes, batch.at)
        batch.replayed = settling.ended_replays(incoming, outcomes)
        self._writer.prepare(batch)
        metrics.DECIDE_SECONDS.observe(time.perf_counter() - started)
        failed = settling.failures(self._home, incoming, batch)
        return Decided(ready, batch, outcomes, failed, since, after)

    def _write_batch(self, decided: Decided) -> list[Outcome]:
        batch = decided.batch
        self._switch.check(decided.failed)
        self._writer.commit(batch)
        decided.written = True
        self._switch.note(decided.failed)
        self._committed([(d.kind, d.id, d.state, d.version) for d in batch.changed])
        self._tell_watchers([_origin(one) for one in decided.ready], decided.outcomes, batch, decided.since)
        return decided.outcomes

    def _alone(self, incoming: Incoming, error: Exception) -> Outcome:
        batch, since = Batch(at=self._home.clock.now()), time.time_ns()
        outcome = settling.failed(self._home, incoming, batch, error)
        batch.dead_effects = settling.dead_effects([incoming], [outcome], batch.at)
        failed = settling.failures(self._home, [incoming], batch)
        self._switch.check(failed)
        self._commit(lambda: self._writer.commit(batch))
        self._switch.note(failed)
        self._tell_watchers([incoming], [outcome], batch, since)
        return outcome

    def _tell_watchers(
        self, incoming: Sequence[Incoming], outcomes: Sequence[Outcome], batch: Batch, since: int
    ) -> None:
        settling.count(outcomes, batch)
        if self._home.spans is not None:
            self._home.spans.batch(self._home, incoming, outcomes, batch.entries, since)


def _origin(ready: Incoming | Taken) -> Incoming:
    return ready.origin if isinstance(ready, Taken) else ready
