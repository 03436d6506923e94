"""What a run plays: its events, the order in which they are sent, and its faults; all of it from a seed and a size.

Nothing here reads a clock. Faults stand at positions in the stream of events, so that a seed plays the same faults on a
fast and on a slow machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from random import Random

EVENTS_A_FAULT = 250
"""Events for each fault of a process, and for each stretch of messages that is disturbed."""

LEAST_FAULTS = 4
LEAST_EVENTS = 500
"""A smaller run has no room for the faults that every run must have."""

STRETCH = 40
"""Events that are sent twice, shuffled or held up in one stretch."""

GARBLED = 5
"""Events that are garbled in one stretch."""

LONGEST_DELAY = 400
"""Events that go before one that is held up, or before its repetition, at the most. More than a batch holds."""

BAD_SHARE = 0.015
MAIL_EVERY = 25
CANCEL_EVERY = 100


class Kind(StrEnum):
    """What an event asks for."""

    DEPOSIT = "deposit"
    LEVEL = "level"
    REMINDER = "reminder"
    NOTE = "note"
    COMMAND = "command"
    REFERRAL = "referral"
    CANCEL = "cancel"
    BAD = "bad"


class Disturbance(StrEnum):
    """A fault in the stream of messages."""

    DUPLICATE = "duplicate"
    REORDER = "reorder"
    DELAY = "delay"
    GARBLE = "garble"


class Blow(StrEnum):
    """A fault of what the network runs on."""

    SERVICE = "service"
    OUTAGE = "outage"
    BROKER = "broker"
    STORE = "store"
    CONNECTIONS = "connections"
    FREEZE = "freeze"
    STALL = "stall"
    CLOCK = "clock"
    MAIL = "mail"


ALWAYS = (Blow.OUTAGE, Blow.BROKER, Blow.SERVICE)
"""Every run has these: each of them alone shows one way to break the promise."""

OFTEN = {
    Blow.SERVICE: 4,
    Blow.OUTAGE: 1,
    Blow.BROKER: 1,
    Blow.STORE: 2,
    Blow.CONNECTIONS: 3,
    Blow.FREEZE: 2,
    Blow.STALL: 2,
    Blow.CLOCK: 3,
    Blow.MAIL: 2,
}
"""How often each comes in one round of faults."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a process.

    Attributes:
        position: Events sent before it.
        blow: What happens.
        choice: Drawn from 0 to 1: whom it hits, or how far it goes.
    """

    position: int
    blow: Blow
    choice: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring events that are disturbed."""

    start: int
    end: int
    disturbance: Disturbance


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        seed: What everything is drawn from.
        events: How many distinct events there are, numbered from 0.
        faults: By position.
        stretches: By position, without overlap.
    """

    seed: int
    events: int
    faults: Sequence[Fault]
    stretches: Sequence[Stretch]

    def kind(self, number: int) -> Kind:
        """What an event asks for."""
        if number % MAIL_EVERY == 3:
            return Kind.REFERRAL
        if number % CANCEL_EVERY == 60:
            return Kind.CANCEL
        if self._disturbed(number) is Disturbance.GARBLE:
            return Kind.BAD
        drawn = self.share(number, "kind")
        steps = (
            (BAD_SHARE, Kind.BAD),
            (BAD_SHARE + 0.08, Kind.LEVEL),
            (BAD_SHARE + 0.16, Kind.REMINDER),
            (BAD_SHARE + 0.19, Kind.NOTE),
            (BAD_SHARE + 0.21, Kind.COMMAND),
        )
        return next((kind for below, kind in steps if drawn < below), Kind.DEPOSIT)

    def garbled(self, number: int) -> bool:
        """Whether the event's bytes are damaged on their way."""
        return self.kind(number) is Kind.BAD and self._disturbed(number) is Disturbance.GARBLE

    def share(self, number: int, what: str) -> float:
        """One number from 0 to 1 that belongs to an event. A `Random` for each would take a run's time."""
        digest = blake2b(f"{self.seed}/{number}/{what}".encode(), digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48

    def pick(self, number: int, what: str, below: int) -> int:
        """One whole number from 0 that belongs to an event."""
        return int(self.share(number, what) * below)

    def order(self) -> Iterator[int]:
        """The events' numbers as they are sent; those that are sent twice come twice."""
        late: list[tuple[int, int]] = []
        for number in self._shuffled():
            yield from _due(late, number)
            disturbance = self._disturbed(number)
            if disturbance in {Disturbance.DELAY, Disturbance.DUPLICATE}:
                delay = 1 + self.pick(number, "delay", LONGEST_DELAY)
                heapq.heappush(late, (number + delay, number))
            if disturbance is not Disturbance.DELAY:
                yield number
        yield from _due(late, self.events + LONGEST_DELAY)

    @property
    def told(self) -> tuple[int, int]:
        """How many faults there are, and of how many kinds."""
        kinds = {str(f.blow) for f in self.faults} | {str(s.disturbance) for s in self.stretches}
        return len(self.faults) + len(self.stretches), len(kinds)

    def _shuffled(self) -> Iterator[int]:
        number = 0
        for stretch in self.stretches:
            yield from range(number, stretch.start)
            inside = list(range(stretch.start, stretch.end))
            if stretch.disturbance is Disturbance.REORDER:
                Random(f"{self.seed}/{stretch.start}").shuffle(inside)
            yield from inside
            number = stretch.end
        yield from range(number, self.events)

    def _disturbed(self, number: int) -> Disturbance | None:
        # Each stretch lies within a field of its own, so that its place tells which it is.
        index = min(number * len(self.stretches) // self.events, len(self.stretches) - 1)
        stretch = self.stretches[index]
        return stretch.disturbance if stretch.start <= number < stretch.end else None


def make(seed: int, events: int, *, blows: Sequence[Blow] | None = None) -> Plan:
    """Draw a plan.

    Args:
        seed: What to draw from.
        events: How many events there are.
        blows: The faults of processes, in their order; by default they are drawn.

    Raises:
        ValueError: There are too few events.
    """
    if events < LEAST_EVENTS:
        raise ValueError(f"EVENTS must be at least {LEAST_EVENTS}: a smaller run has no room for its faults")
    random = Random(seed)
    count = max(LEAST_FAULTS, events // EVENTS_A_FAULT)
    blows = _blows(random, count) if blows is None else blows
    step = events / (len(blows) + 1)
    faults = [
        Fault(round(step * (place + 1 + random.uniform(-0.3, 0.3))), blow, random.random())
        for place, blow in enumerate(blows)
    ]
    return Plan(seed, events, faults, _stretches(random, events, count))


def _blows(random: Random, count: int) -> list[Blow]:
    drawn: list[Blow] = list(ALWAYS)
    one_round = [blow for blow, times in OFTEN.items() for _ in range(times)]
    while len(drawn) < count:
        random.shuffle(one_round)
        drawn += one_round
    drawn = drawn[:count]
    random.shuffle(drawn)
    return drawn


def _stretches(random: Random, events: int, count: int) -> list[Stretch]:
    kinds: list[Disturbance] = []
    while len(kinds) < count:
        following = list(Disturbance)
        random.shuffle(following)
        kinds += following
    made = []
    for place, kind in enumerate(kinds[:count]):
        first, last = -(-events * place // count), -(-events * (place + 1) // count)
        length = min(GARBLED if kind is Disturbance.GARBLE else STRETCH, last - first)
        start = random.randrange(first, last - length + 1)
        made.append(Stretch(start, start + length, kind))
    return made


def _due(late: list[tuple[int, int]], position: int) -> Iterator[int]:
    while late and late[0][0] <= position:
        yield heapq.heappop(late)[1]
