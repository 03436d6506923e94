"""The comparison of ledger and stores: what was lost, applied twice, stuck, or not parked as it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaos.found import Found
from chaos.plan import Kind, Plan
from chaos.posts import CANCELS, Writer, amount, number_of

LETTER = ("referred", "notified", "mailed", "told of the mail")
PLACES: Mapping[Kind, Sequence[str]] = {
    Kind.DEPOSIT: ("deposited", "passed"),
    Kind.LEVEL: ("levelled",),
    Kind.REMINDER: ("asked", "rang", "rung"),
    Kind.COMMAND: ("deposited", "passed"),
    Kind.NOTE: ("pinned at first", "pinned at second"),
    Kind.REFERRAL: LETTER,
    Kind.CANCEL: LETTER,
    Kind.BAD: (),
}
"""Kind of an event → every place where its effect must be, once."""


@dataclass(frozen=True, slots=True)
class Offence:
    """One thing that is not as promised.

    Attributes:
        what: ``lost``, ``twice``, ``parked`` or ``stuck``.
        number: The event's number, or None where it is about none.
        text: What is wrong, in words.
    """

    what: str
    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run ended.

    Attributes:
        plan: What was played.
        bad: Distinct events that nobody may take.
        parked: How many of them stand in every parking lot where they must, once, with the right reason.
        offences: All that is not as promised, by the events' numbers.
    """

    plan: Plan
    bad: int
    parked: int
    offences: Sequence[Offence]

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return not self.offences and self.bad == self.parked

    @property
    def catches(self) -> bool:
        """Whether it shows a service that breaks the promise, and not one that does no work at all."""
        kinds = {offence.what for offence in self.offences}
        return not kinds.isdisjoint({"lost", "twice"}) and "stuck" not in kinds

    @property
    def line(self) -> str:
        """The run in one line."""
        faults, kinds = self.plan.told
        return (
            f"chaos seed {self.plan.seed}: {self.plan.events:,} events · faults {faults:,} of {kinds} kinds · "
            f"lost {self._count('lost'):,} · applied twice {self._count('twice'):,} · stuck {self._count('stuck'):,} · "
            f"bad {self.bad:,} → parked {self.parked:,}"
        )

    def _count(self, what: str) -> int:
        # An event that is lost in two places is one event.
        named = {o.number for o in self.offences if o.what == what and o.number is not None}
        return len(named) + sum(o.what == what and o.number is None for o in self.offences)


def compare(plan: Plan, writer: Writer, confirmed: Counter[int], found: Found, stuck: Sequence[str]) -> Verdict:
    """Compare what was confirmed with what was found.

    Args:
        plan: What was played.
        writer: Knows the events.
        confirmed: Number of an event → how often it was confirmed to a producer.
        found: What the stores hold.
        stuck: What was not finished in time, a line each.
    """
    offences = [Offence("stuck", None, text) for text in stuck]
    expected: dict[str, tuple[int, str, str]] = {}
    bad = 0
    for number in range(plan.events):
        if not confirmed[number]:
            offences.append(Offence("stuck", number, "was never confirmed to its producer"))
            continue
        if plan.kind(number) is Kind.BAD:
            bad += 1
            places = writer.post(number).places()
            expected |= {place: (number, queue, str(reason)) for place, (queue, reason) in places.items()}
            continue
        offences += _misapplied(plan, number, found)
    amiss = list(_misparked(expected, found))
    offences += [*amiss, *_misvalued(plan, writer, confirmed, found)]
    offences.sort(key=lambda offence: (offence.number is None, offence.number))
    spoilt = {number for number, _queue, _reason in expected.values()}
    return Verdict(plan, bad, bad - len(spoilt & {offence.number for offence in amiss}), offences)


def places_of(plan: Plan, number: int) -> Sequence[str]:
    """Every place where an event's effect must be, once."""
    kind = plan.kind(number)
    more = ("echoed",) if kind is Kind.DEPOSIT and number % 10 == 7 else ()
    return (*PLACES[kind], *more)


def _misapplied(plan: Plan, number: int, found: Found) -> Iterator[Offence]:
    for place in places_of(plan, number):
        times = found.applied[place][number]
        if times == 0:
            yield Offence("lost", number, f"is not {place}")
        elif times > 1:
            yield Offence("twice", number, f"is {place} {times} times")


def _misparked(expected: Mapping[str, tuple[int, str, str]], found: Found) -> Iterator[Offence]:
    for place, (number, queue, reason) in expected.items():
        there = found.parked.get(place)
        if there is None:
            yield Offence("parked", number, f"is not parked in {queue}, where {reason} is expected")
        elif there[:2] != (queue, reason):
            yield Offence("parked", number, f"is parked in {there[0]} as {there[1]}, not as {reason}")
    for place, (queue, reason, event) in found.parked.items():
        if place not in expected:
            yield Offence(
                "parked", number_of(event or ""), f"is parked in {queue} as {reason}, and nobody has spoilt it"
            )


def _misvalued(plan: Plan, writer: Writer, confirmed: Counter[int], found: Found) -> Iterator[Offence]:
    """What follows from several events together: the newest wins, and sums are right."""
    values: dict[str, object] = {}
    totals: Counter[str] = Counter()
    for number in range(plan.events):
        kind = plan.kind(number)
        if confirmed[number] and kind in {Kind.DEPOSIT, Kind.COMMAND}:
            totals[f"total {writer.account(number)}"] += amount(number)
        if confirmed[number] and kind is Kind.LEVEL:
            values[f"level {writer.level(number)}"] = number
        elif confirmed[number] and kind is Kind.REFERRAL:
            values[f"referral kunta/{number}"] = "requested"
        elif confirmed[number] and kind is Kind.CANCEL:
            values[f"referral kunta/{number - CANCELS}"] = "cancelled"
    said = {name.replace("said", "heard", 1): v for name, v in found.values.items() if name.startswith("last said")}
    for name, value in (values | totals | said).items():
        there = found.values.get(name)
        if there != value:
            more = isinstance(there, int) and name in totals and there > totals[name]
            yield Offence("twice" if more else "lost", None, f"{name} is {there!r}, and must be {value!r}")
