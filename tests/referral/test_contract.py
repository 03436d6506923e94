"""What this service publishes can be read by this service on the other side, and holds no more than it may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from referral_factories import OCCUPATION, earlier, referral

from chassis.decision import Classification
from referral import events
from referral.domain import Outcome, Party, Reason, Result, Status, reachable
from referral.handlers import EVENTS, on

PUBLISHED = [*EVENTS.values(), events.CapacityAsked, events.CapacityAnswered]
READ = [schema for schema in PUBLISHED if on.find("event", schema.contract.name)]


@pytest.mark.parametrize("schema", READ, ids=lambda schema: schema.contract.name)
def test_each_recorded_example_loads_in_this_services_own_reader(schema: Any) -> None:
    handler = on.find("event", schema.contract.name)

    assert handler is not None
    assert handler.schema is not None
    assert handler.schema().load(json.loads(json.dumps(schema.contract.example)))


def test_all_but_the_letters_to_people_are_read_here() -> None:
    unread = {schema.contract.name for schema in PUBLISHED} - {schema.contract.name for schema in READ}

    assert unread == {"referral.reminded", "referral.escalated"}


@pytest.mark.parametrize("schema", PUBLISHED, ids=lambda schema: schema.contract.name)
def test_each_example_is_what_its_schema_dumps(schema: Any) -> None:
    known = {field.data_key or name for name, field in schema().fields.items()}

    assert set(schema.contract.example) <= known
    assert set(schema.contract.example) >= known - {"next"}


@pytest.mark.parametrize("schema", PUBLISHED, ids=lambda schema: schema.contract.name)
def test_only_questions_about_room_are_public(schema: Any) -> None:
    public = schema.contract.name.startswith("capacity.")

    assert (schema.contract.classification is Classification.PUBLIC) == public


@given(
    status=st.sampled_from(list(Status)),
    reason=st.none() | st.sampled_from(list(Reason)),
    text=st.none() | st.text(max_size=200),
    result=st.sampled_from(list(Result)),
    to=st.sampled_from(["kunta", "seamk"]),
)
def test_a_whole_state_comes_back_from_the_wire_as_it_went(
    status: Status, reason: Reason | None, text: str | None, result: Result, to: str
) -> None:
    sent = referral(
        status, reason=reason, reason_text=text, outcomes=(Outcome(goal=OCCUPATION, result=result),),
        based_on=(earlier("seamk"),), note=text,
    )  # fmt: skip
    handler = on.find("event", "referral.cancelled")
    assert handler is not None
    assert handler.schema is not None

    wire = json.loads(json.dumps(events.ReferralCancelled().dump(events.state_of(sent, to))))
    read = handler.schema().load(wire)

    for name in ("status", "reason", "reason_text", "offering", "offering_names", "goal", "note", "sender", "receiver"):
        assert read[name] == getattr(sent, name)
    assert tuple(read["outcomes"]) == sent.outcomes
    assert read["based_on"] == ["r-0"]
    assert sent.client not in str(wire)


@pytest.mark.parametrize(
    ("status", "party", "leads_to"),
    [
        ("requested", Party.SENDER, {"requested", "cancelled", "entered-in-error"}),
        ("accepted", Party.RECEIVER, {"accepted", "in-progress", "on-hold", "completed", "failed", "cancelled"}),
        ("rejected", Party.RECEIVER, {"rejected"}),
        ("completed", Party.SENDER, {"completed", "entered-in-error"}),
    ],
)
def test_how_far_one_side_can_go_alone(status: str, party: Party, leads_to: set[str]) -> None:
    assert reachable(Status(status), party) == leads_to
