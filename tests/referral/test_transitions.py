"""The table of domain.md, transition by transition and actor by actor, over HTTP and on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError
from referral_factories import ACHIEVED, OCCUPATION, command, heard, referral

from chassis.decision import NotYours
from chassis.testing import dumped, published_names
from referral.domain import (
    NotAllowed,
    OutcomeRequired,
    OutcomeUnclear,
    Reason,
    ReasonRequired,
    ReferralUnknown,
    Result,
    Status,
    StatusContradicted,
)
from referral.handlers import COMMANDS

# domain.md, Referral: state → where it may go. Who sets each state stands in SETS.
NEXT = {
    "requested": {"accepted", "rejected", "cancelled"},
    "accepted": {"in-progress", "on-hold", "cancelled", "completed", "failed"},
    "in-progress": {"on-hold", "cancelled", "completed", "failed"},
    "on-hold": {"in-progress", "cancelled", "completed", "failed"},
    "rejected": set(),
    "completed": set(),
    "failed": set(),
    "cancelled": set(),
    "entered-in-error": set(),
}
SETS = {
    "accepted": {"seamk"},
    "in-progress": {"seamk"},
    "on-hold": {"seamk"},
    "rejected": {"seamk"},
    "completed": {"seamk"},
    "failed": {"seamk"},
    "cancelled": {"kunta", "seamk"},
    "entered-in-error": {"kunta"},
}
LEADS_TO = {
    "accept": "accepted",
    "reject": "rejected",
    "start": "in-progress",
    "hold": "on-hold",
    "resume": "in-progress",
    "complete": "completed",
    "fail": "failed",
    "cancel": "cancelled",
    "correct": "entered-in-error",
}
SINCE = {"start": {"accepted"}, "resume": {"on-hold"}}
"""The two verbs that lead to the same state, told apart by where they start from."""

SAYS: dict[str, Any] = {"reason": "no-capacity", "outcomes": ACHIEVED}
CASES = [(order, status, by) for order in LEADS_TO for status in NEXT for by in ("kunta", "seamk", "stranger")]


def is_allowed(order: str, status: str) -> bool:
    to = LEADS_TO[order]
    if to == "entered-in-error":
        return status != to
    return to in NEXT[status] and status in SINCE.get(order, set(NEXT))


@pytest.mark.parametrize(("order", "status", "by"), CASES)
def test_a_command_moves_a_referral_only_as_the_table_says(order: str, status: str, by: str) -> None:
    state = referral(Status(status))

    if by not in SETS[LEADS_TO[order]]:
        with pytest.raises(NotYours):
            command(order, state, SAYS, own=by)
    elif not is_allowed(order, status):
        with pytest.raises(NotAllowed):
            command(order, state, SAYS, own=by)
    else:
        decision = command(order, state, SAYS, own=by)
        assert decision.state.status == LEADS_TO[order]
        assert (f"referral.{COMMANDS[order]}", "seamk" if by == "kunta" else "kunta") in published_names(decision)


@pytest.mark.parametrize(("order", "status", "by"), CASES)
def test_an_event_moves_a_referral_only_as_the_table_says(order: str, status: str, by: str) -> None:
    state = referral(Status(status), ended_by="kunta" if by == "kunta" else "seamk")
    own = "seamk" if by == "kunta" else "kunta"
    name = f"referral.{COMMANDS[order]}"

    if by not in SETS[LEADS_TO[order]]:
        with pytest.raises(NotYours):
            heard(name, state, SAYS, by=by, own=own)
    elif status == "entered-in-error":
        assert heard(name, state, SAYS, by=by, own=own).superseded
    elif not is_allowed(order, status):
        with pytest.raises(NotAllowed):
            heard(name, state, SAYS, by=by, own=own)
    else:
        decision = heard(name, state, SAYS, by=by, own=own)
        assert decision.state.status == LEADS_TO[order]
        assert published_names(decision) == ([(name, "kunta")] if own == "kunta" else [])


@pytest.mark.parametrize(("order", "status"), [("reject", "requested"), ("cancel", "accepted"),
                                               ("hold", "accepted"), ("fail", "in-progress")])  # fmt: skip
def test_a_reason_is_required_from_both_ways_in(order: str, status: str) -> None:
    state = referral(Status(status))

    for say in (
        lambda: command(order, state, own="seamk"),
        lambda: heard(f"referral.{COMMANDS[order]}", state, by="seamk", own="kunta"),
    ):
        with pytest.raises(ReasonRequired, match=r"reason: must be given .* no-capacity, not-eligible") as refusal:
            say()
        assert refusal.value.field == "reason"


def test_a_reason_is_one_of_the_closed_list() -> None:
    with pytest.raises(ValidationError) as refusal:
        command("reject", referral(), {"reason": "did not like them"}, own="seamk")

    assert set(refusal.value.normalized_messages()) == {"reason"}


def test_a_completion_says_how_each_goal_ended() -> None:
    state = referral(Status.IN_PROGRESS)

    for outcomes in ([], [{"goal": "http://data.europa.eu/esco/occupation/2", "result": "achieved"}]):
        with pytest.raises(OutcomeRequired, match=r"outcomes: must say how each goal"):
            command("complete", state, {"outcomes": outcomes}, own="seamk")
        with pytest.raises(OutcomeRequired):
            heard("referral.completed", state, {"outcomes": outcomes}, by="seamk", own="kunta")
    with pytest.raises(OutcomeUnclear):
        command("complete", state, {"outcomes": ACHIEVED * 2}, own="seamk")
    decision = command(
        "complete", state, {"outcomes": [{"goal": OCCUPATION, "result": "partially-achieved"}]}, own="seamk"
    )
    assert [outcome.result for outcome in decision.state.outcomes] == [Result.PARTIALLY_ACHIEVED]


def test_an_event_whose_status_is_not_its_verbs_is_refused() -> None:
    with pytest.raises(StatusContradicted):
        heard("referral.accepted", referral(), {"status": "completed"}, by="seamk", own="kunta")


def test_a_referral_that_is_not_known_here_cannot_be_moved() -> None:
    with pytest.raises(ReferralUnknown):
        command("accept", None, own="seamk")
    with pytest.raises(ReferralUnknown):
        heard("referral.accepted", None, by="seamk", own="kunta")


def test_a_guest_need_say_no_more_than_what_the_verb_does_not() -> None:
    accepted = heard("referral.accepted", referral(), by="seamk", own="kunta")
    rejected = heard("referral.rejected", referral(), {"reason": "no-capacity"}, by="seamk", own="kunta")

    assert accepted.state.status is Status.ACCEPTED
    assert (rejected.state.status, rejected.state.reason) == (Status.REJECTED, Reason.NO_CAPACITY)
    assert dumped(rejected, "referral.rejected", "kunta")["reason"] == "no-capacity"


def test_words_of_a_reason_go_to_the_other_party_and_stay_with_the_two() -> None:
    said = {"reason": "other", "reasonText": "Ryhmä täyttyi eilen."}

    decision = command("reject", referral(), said, own="seamk")

    assert published_names(decision) == [("referral.rejected", "kunta")]
    assert dumped(decision, "referral.rejected", "kunta")["reasonText"] == "Ryhmä täyttyi eilen."


def test_who_accepts_is_responsible_unless_somebody_else_is_named() -> None:
    by_default = command("accept", referral(), own="seamk", person="seamk-7")
    named = command("accept", referral(), {"responsible": "seamk-9"}, own="seamk", person="seamk-7")

    assert dumped(by_default, "referral.accepted", "kunta")["responsible"] == {"sender": None, "receiver": "seamk-7"}
    assert named.state.receiver_staff == "seamk-9"


def test_an_answer_ends_the_wait_for_it() -> None:
    decision = heard("referral.accepted", referral(), by="seamk", own="kunta")

    assert set(decision.clear) == {"remind", "escalate", "expire"}


def test_the_reason_stands_in_the_history() -> None:
    decision = command("reject", referral(), {"reason": "not-eligible"}, own="seamk")

    assert decision.reason == "not-eligible"
