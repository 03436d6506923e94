"""The whole story of one event: what became of it at every hop, from the ledger, the stores and the logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from chaos.found import Found, Stores, Trace
from chaos.ledger import Ledger
from chaos.plan import Kind, Plan
from chaos.posts import SYSTEM, Writer, identifier
from chaos.stage import SERVICES
from chaos.verdict import Offence, places_of

from chassis import crypto, secrets

MOST_LINES = 20
"""Lines of one log that are told at the most."""

FAULTS = "faults.log"
SYSTEMS = (SYSTEM, *(service for services in SERVICES.values() for service in services))
"""The last words of all sources in a run."""

AROUND = timedelta(seconds=10)
"""Faults so long before and after an event belong to its story."""

POSITIONS = 2
"""Messages of one kind that follow from one decision at the most."""


class Story:
    """Tells what happened to an event and to all that follows from it."""

    def __init__(self, plan: Plan, writer: Writer, ledger: Ledger, stores: Stores, folder: Path) -> None:
        """Tell from the ledger, the stores, and what stands in the run's folder."""
        self._plan = plan
        self._writer = writer
        self._ledger = ledger
        self._stores = stores
        self._folder = folder

    def tell(self, offence: Offence, found: Found) -> Iterator[str]:
        """The story of an offence's event, line by line; of one without an event, only what is wrong."""
        yield f"{offence.what}: {offence.text}"
        if offence.number is None:
            return
        number = offence.number
        event, post = identifier(self._plan, number), self._writer.post(number)
        yield f"event {event}, a {self._plan.kind(number)}, published under {post.key}"
        for place in places_of(self._plan, number):
            yield f"  {place}: {found.applied[place][number]} times"
        if self._plan.kind(number) is Kind.BAD:
            yield from (f"  must be parked in {queue} as {reason}" for queue, reason in post.parks.items())
        confirmed = self._ledger.lines_of(number)
        yield from (f"  {line}" for line in confirmed)
        yield from (f"  {line}" for line in self._faults(confirmed))
        yield from (f"  {line}" for line in self._hops(event))
        yield from (f"  {line}" for line in self._logged(event))
        yield f"all faults, with their times: {self._folder / FAULTS}"

    def _hops(self, event: str) -> Iterator[str]:
        """Where the event and all that follows from it stand, hop by hop; times are those of the services' clock."""
        waiting, known = [event], {event}
        while waiting:
            identifier_ = waiting.pop(0)
            for trace in self._stores.traces(identifier_):
                yield trace.text
                following = [one for one in self._following(trace) if one not in known]
                waiting += following
                known |= set(following)

    def _following(self, trace: Trace) -> Iterator[str]:
        secret = secrets.read(self._folder / trace.organisation).ids
        seeds = [trace.event, *(f"urn:viisikko:{trace.by}:{system}\0{trace.event}" for system in SYSTEMS)]
        for position in range(POSITIONS):
            for seed in seeds:
                yield crypto.event_id(secret, seed, position, trace.at)
                yield crypto.event_id(secret, f"tell\0{seed}", position, trace.at)

    def _faults(self, confirmed: Sequence[str]) -> Iterator[str]:
        """The faults around the time of its confirm; these times are the machine's."""
        log = self._folder / FAULTS
        if not confirmed or not log.exists():
            return
        moments = [datetime.fromisoformat(line.partition(" ")[0]) for line in (confirmed[0], confirmed[-1])]
        for line in log.read_text("utf-8").splitlines():
            at = datetime.fromisoformat(line.partition(" ")[0])
            if moments[0] - AROUND <= at <= moments[1] + AROUND:
                yield line

    def _logged(self, event: str) -> Iterator[str]:
        for log in sorted((self._folder / "logs").glob("*.log")):
            with log.open(encoding="utf-8", errors="replace") as lines:
                told = [line.rstrip() for line in lines if f'"{event}"' in line]
            yield from (f"{log.stem}: {line}" for line in told[:MOST_LINES])
