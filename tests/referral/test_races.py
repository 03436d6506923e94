"""Two sides move at once, and messages are late, twice or out of order: both end the same, and both people hear."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from referral_factories import ACHIEVED, CLIENT, ID, command, heard, reads, referral

from chassis.decision import Decision, NotYours, Refused, stream_of
from chassis.testing import decide, dumped, published_names
from referral.domain import ENDS, BusinessStatus, Reason, Referral, Status
from referral.handlers import on

SAYS: dict[str, Any] = {"reason": "other", "reasonText": None, "outcomes": ACHIEVED}


def test_a_cancellation_beats_an_acceptance() -> None:
    at_sender = heard("referral.accepted", referral(Status.CANCELLED, ended_by="kunta"), by="seamk", own="kunta")
    at_receiver = heard("referral.cancelled", referral(Status.ACCEPTED), SAYS, by="kunta", own="seamk")

    assert at_sender.superseded
    assert at_sender.state.status is at_receiver.state.status is Status.CANCELLED


@pytest.mark.parametrize(
    ("end", "before"),
    [("rejected", Status.REQUESTED), ("completed", Status.IN_PROGRESS), ("failed", Status.ACCEPTED),
     ("cancelled", Status.REQUESTED)],
)  # fmt: skip
def test_a_receivers_end_beats_the_senders(end: str, before: Status) -> None:
    theirs = SAYS | {"reason": "no-capacity"}
    at_sender = heard(
        f"referral.{end}", referral(Status.CANCELLED, ended_by="kunta", reason=Reason.FOUND_WORK), theirs,
        by="seamk", own="kunta",
    )  # fmt: skip
    moved = heard(f"referral.{end}", referral(before), theirs, by="seamk", own="kunta").state
    at_receiver = heard("referral.cancelled", moved, SAYS, by="kunta", own="seamk")

    assert not at_sender.superseded
    assert at_receiver.superseded
    assert at_sender.state.status is at_receiver.state.status is Status(end)
    assert at_sender.state.reason == at_receiver.state.reason != Reason.FOUND_WORK


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.ENTERED_IN_ERROR])
def test_entered_in_error_beats_everything(status: Status) -> None:
    at_receiver = heard("referral.corrected", referral(status), {"sender": "kunta"}, by="kunta", own="seamk")
    at_sender = heard("referral.completed", referral(Status.ENTERED_IN_ERROR), SAYS, by="seamk", own="kunta")

    assert at_receiver.state.status is Status.ENTERED_IN_ERROR
    assert at_sender.superseded
    assert at_sender.state.status is Status.ENTERED_IN_ERROR


def test_both_sides_people_hear_how_a_lost_race_stands() -> None:
    at_sender = heard("referral.accepted", referral(Status.CANCELLED, ended_by="kunta"), by="seamk", own="kunta")
    at_receiver = heard("referral.cancelled", referral(Status.REJECTED), SAYS, by="kunta", own="seamk")

    assert published_names(at_sender) == [("referral.cancelled", "kunta")]
    assert published_names(at_receiver) == [("referral.rejected", "seamk")]


def test_a_step_that_overtook_the_acceptance_is_told_at_home_as_the_acceptance() -> None:
    started = dumped(command("start", referral(Status.ACCEPTED), own="seamk"), "referral.started", "kunta")
    progressed = dumped(
        command("progress", referral(Status.ACCEPTED), {"businessStatus": "enrolled"}, own="seamk"),
        "referral.progressed", "kunta",
    )  # fmt: skip

    by_start = heard("referral.started", referral(), started, by="seamk", own="kunta")
    by_progress = heard("referral.progressed", referral(), progressed, by="seamk", own="kunta")

    assert by_start.state.status is Status.IN_PROGRESS
    assert by_progress.state.status is Status.ACCEPTED
    assert by_progress.state.business_status is BusinessStatus.ENROLLED
    assert published_names(by_start) == published_names(by_progress) == [("referral.accepted", "kunta")]


def test_an_end_that_overtook_its_request_makes_the_referral_ended() -> None:
    cancelled = dumped(command("cancel", referral(), {"reason": "found-work"}), "referral.cancelled", "seamk")

    decision = heard("referral.cancelled", None, cancelled, by="kunta", own="seamk")

    assert (decision.state.status, decision.state.ended_by) == (Status.CANCELLED, "kunta")
    assert decision.state.reason is Reason.FOUND_WORK


def test_a_receiver_that_waits_tells_a_step_without_having_answered() -> None:
    waits = heard("referral.progressed", referral(), {"businessStatus": "waitlisted"}, by="seamk", own="kunta")

    assert waits.state.status is Status.REQUESTED
    assert waits.clear == ()


# ── two sides and a bad line ─────────────────────────────────────────────────────────────────────────────────────────

ORDERS = {
    "kunta": ("cancel", "correct", "progress"),
    "seamk": ("accept", "reject", "start", "hold", "resume", "complete", "fail", "cancel", "progress"),
}


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One event on its way."""

    id: str
    name: str
    data: Any
    by: str
    to: str
    sequence: int


@dataclass(kw_only=True)
class Side:
    """What the chassis keeps of one organisation's referral: state, version, marks and the stream's last sequence."""

    own: str
    other: str
    state: Referral | None = None
    version: int = 0
    heard_up_to: int = 0
    seen: set[str] = field(default_factory=set)
    copies: list[tuple[str, str]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def apply(self, decision: Decision[Any]) -> list[Letter]:
        self.version += 1
        self.state = decision.state if decision.state is not None else self.state
        self.copies += [(name, str(self.state and self.state.status)) for name, to in published_names(decision)
                        if to == self.own]  # fmt: skip
        return [
            Letter(
                id=f"{self.own}-{self.version}",
                name=name,
                data=dumped(decision, name, to),
                by=self.own,
                to=to,
                sequence=self.version,
            )
            for name, to in published_names(decision)
            if to == self.other
        ]

    def order(self, name: str, data: Any) -> list[Letter]:
        return self.apply(command(name, self.state, data, own=self.own))

    def take(self, letter: Letter) -> None:
        assert stream_of(letter.name) == "referral"
        if letter.id in self.seen:
            return
        if letter.sequence <= self.heard_up_to:
            self.seen.add(letter.id)
            self.version += 1
            return
        decision = decide(
            on, "event", letter.name, self.state, letter.data, organisation=letter.by, own=self.own,
            subject=ID, correlation=CLIENT, reads=reads(),
        )  # fmt: skip
        self.seen.add(letter.id)
        self.heard_up_to = letter.sequence
        assert self.apply(decision) == [], "what is heard is never answered on the wire, so that nothing echoes"


class TwoSides(RuleBasedStateMachine):
    """Sender and receiver move whenever they may; the line delivers in any order, and as often as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = {"kunta": Side(own="kunta", other="seamk"), "seamk": Side(own="seamk", other="kunta")}
        sender = self.sides["kunta"]
        self.line = [replace(one, data=one.data) for one in sender.apply(_requested())]
        self.settled: list[Letter] = []

    @rule(by=st.sampled_from(sorted(ORDERS)), pick=st.integers(0, 8), reason=st.sampled_from(list(Reason)))
    def move(self, by: str, pick: int, reason: Reason) -> None:
        side = self.sides[by]
        if side.state is None:
            return
        name = ORDERS[by][pick % len(ORDERS[by])]
        step = "applying" if by == "kunta" else "enrolled"
        says = {"businessStatus": step} if name == "progress" else {"reason": str(reason), "outcomes": ACHIEVED}
        try:
            self.line += side.order(name, says)
        except NotYours:
            raise
        except Refused:
            return

    @rule(pick=st.integers(0, 1000), again=st.booleans())
    def deliver(self, pick: int, again: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        if not self.line:
            return
        letter = self.line[pick % len(self.line)]
        if not again:
            self.line.remove(letter)
            self.settled.append(letter)
        self.sides[letter.to].take(letter)

    @rule(pick=st.integers(0, 1000))
    def deliver_an_old_one_again(self, pick: int) -> None:
        if self.settled:
            letter = self.settled[pick % len(self.settled)]
            self.sides[letter.to].take(letter)

    @invariant()
    def an_end_is_left_only_for_one_that_beats_it(self) -> None:
        for side in self.sides.values():
            assert side.state is None or (side.state.status in ENDS) == (side.state.ended_by is not None)

    def teardown(self) -> None:
        """Deliver what is left, in the worst order; then both sides stand the same."""
        for letter in reversed(self.line):
            self.sides[letter.to].take(letter)
        sender, receiver = self.sides["kunta"].state, self.sides["seamk"].state
        assert sender is not None
        assert receiver is not None
        assert _stands(sender) == _stands(receiver)
        self._coach_heard_how_it_stands(sender)

    def _coach_heard_how_it_stands(self, sender: Referral) -> None:
        copies = self.sides["kunta"].copies
        assert copies[-1][1] == sender.status
        accepted = {Status.ACCEPTED, Status.IN_PROGRESS, Status.ON_HOLD}
        if sender.status in accepted:
            assert "referral.accepted" in [name for name, _ in copies], "intake waits for this word to disclose"


def _requested() -> Decision[Any]:
    body = {"client": CLIENT, "offering": "seamk.polku", "receiver": "seamk"}
    return command("request", None, body)


def _stands(side: Referral) -> tuple[object, ...]:
    return (side.status, side.ended_by, side.reason, side.outcomes)


def test_two_sides_end_the_same_whatever_the_line_does() -> None:
    run_state_machine_as_test(TwoSides, settings=settings(max_examples=400, stateful_step_count=25, deadline=None))
