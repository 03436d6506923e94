"""One run: load and faults from a plan, then everything put right, then quiet, then the comparison."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path

from chaos.faults import Faults
from chaos.found import Stores
from chaos.ledger import Ledger
from chaos.plan import Blow, Plan
from chaos.posts import Writer
from chaos.producers import Clerk, Producer, Stream
from chaos.stage import Stage
from chaos.story import FAULTS, Story
from chaos.verdict import Verdict, compare

PRODUCERS = 3
LOOK_SECONDS = 0.1
MEASURE_SECONDS = 0.5
PROGRESS_SECONDS = 5.0
RUN_UP = 50
"""Events that go after a fault's position, before it strikes."""

AT_WORK = frozenset({Blow.OUTAGE, Blow.BROKER})
"""Faults that must meet services at work; all others may come while something is still away."""

EVENTS_A_LOOK = 60
"""Events that go between two looks at the most: a burst would be over before any fault could strike it."""

MOST_WAITING = 1000
"""Messages in the queues beyond which the producers wait: faults are to hit work, and memory is to stay bounded."""

QUIET_SECONDS = 3.0
"""How long nothing may be left anywhere: longer than a message is between two queues, or in a service's hands."""

SETTLE_SECONDS = 150.0
EVENTS_A_SECOND = 100
"""A slow machine's pace, by which longer runs get more time."""


class Game:
    """One run on a stage of its own."""

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None], *, mutant: str = "") -> None:
        """Prepare; `play` plays.

        Args:
            plan: What to play.
            folder: Where everything of it is kept.
            say: Hears how far it is.
            mutant: Name of the mutant that the services are, or empty.
        """
        self._plan = plan
        self._folder = folder
        self._say = say
        self._stage = Stage(folder, mutant=mutant)
        self._ledger = Ledger(folder / "ledger.jsonl")
        self._stream = Stream(plan)
        self._writer = Writer(plan, datetime.now(UTC))
        self._faults = Faults(self._stage, self._tell)
        self._deadline = time.monotonic() + SETTLE_SECONDS + plan.events / EVENTS_A_SECOND * 3
        self._measured = self._said = 0.0
        self._held = False

    def play(self) -> Verdict:
        """Play, compare, and tell the story of the first event that is not as promised."""
        began = time.monotonic()
        try:
            self._stage.start()
            self._say(f"everything runs after {time.monotonic() - began:.0f} s")
            began = time.monotonic()
            self._load()
            self._say(f"all is sent after {time.monotonic() - began:.0f} s; waiting for quiet")
            self._faults.put_right(all_of_them=True)
            verdict = self._judge()
            self._say(f"judged after {time.monotonic() - began:.0f} s")
        finally:
            self._stream.end()
            self._stage.stop()
            self._ledger.close()
        return verdict

    def _load(self) -> None:
        urls = [replica.url for replica in self._stage.of("first")]
        clerk = Clerk(urls, partial(self._stage.token, "kunta", "coach"), self._ledger)
        uri = self._stage.broker.uri
        producers = [
            Producer(f"producer-{n}", uri, self._stream, self._writer, self._ledger, clerk) for n in range(PRODUCERS)
        ]
        for thread in (clerk, *producers):
            thread.start()
        for fault, following in zip_longest(self._plan.faults, self._plan.faults[1:]):
            limit = following.position if following else 2 * self._plan.events
            self._until(partial(self._has_reached, fault.position), limit=fault.position)
            if fault.blow in AT_WORK:
                self._until(self._stage.works, limit=fault.position)
            # What follows may go before the fault is over, so that it strikes in the middle of the stream.
            self._until(partial(self._has_reached, min(fault.position + RUN_UP, limit)), limit=limit)
            self._stream.until(limit, held=self._held)
            self._faults.carry_out(fault)
        self._until(lambda: not any(p.is_alive() for p in producers), limit=2 * self._plan.events)
        clerk.end()
        self._until(lambda: not clerk.is_alive(), limit=2 * self._plan.events)

    def _has_reached(self, position: int) -> bool:
        return self._stream.ended or self._stream.position >= position

    def _until(self, reached: Callable[[], bool], *, limit: int) -> None:
        while not reached() and time.monotonic() < self._deadline:
            self._look()
            self._stream.until(min(limit, self._stream.position + EVENTS_A_LOOK), held=self._held)
            time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        """See to what is due, count what waits, and say how far it is."""
        self._faults.put_right()
        self._faults.revive()
        now = time.monotonic()
        if now - self._measured >= MEASURE_SECONDS:
            self._measured = now
            waiting = sum(self._stage.queues.ready().values())
            self._held = waiting > MOST_WAITING
            if now - self._said >= PROGRESS_SECONDS:
                self._said = now
                self._say(f"{self._stream.position:,} sent, {waiting:,} waiting")

    def _judge(self) -> Verdict:
        stores = Stores(self._stage)
        try:
            left = self._quiet(stores)
            found = stores.read()
            stuck = [f"{count} in {what}" for what, count in left.items()]
            verdict = compare(self._plan, self._writer, self._ledger.times(), found, stuck)
            for offence in verdict.offences[:1]:
                self._say(verdict.line)
                story = Story(self._plan, self._writer, self._ledger, stores, self._folder)
                for line in story.tell(offence, found):
                    self._say(line)
        finally:
            stores.close()
        return verdict

    def _quiet(self, stores: Stores) -> dict[str, int]:
        """Wait until nothing is left to do; what is left when the time is up."""
        since = time.monotonic()
        while True:
            self._faults.revive()
            counts = {**self._stage.queues.ready(), **self._stage.queues.taken(), **stores.busy()}
            left = {what: count for what, count in counts.items() if count}
            now = time.monotonic()
            if left:
                since = now
            if now - since > QUIET_SECONDS or now > self._deadline:
                return left
            if left and now - self._said >= PROGRESS_SECONDS:
                self._said = now
                self._say(f"left to do: {', '.join(f'{count} in {what}' for what, count in left.items())}")
            time.sleep(LOOK_SECONDS)

    def _tell(self, line: str) -> None:
        with (self._folder / FAULTS).open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        self._say(line.partition(" ")[2])
