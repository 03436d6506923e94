"""What referral publishes; this service owns these contracts."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from chassis.decision import Classification, Contract, published
from referral.domain import BusinessStatus, Capacity, Reason, Referral, Result, Status

SKILL = "http://data.europa.eu/esco/skill/d21bcba8-ecf5-4ac3-9a6c-25a5afa42ea2"
OCCUPATION = "http://data.europa.eu/esco/occupation/00030d09-2b3a-4efd-87cc-c4ea39d27c34"
EARLIER = "01938a2e-7c1b-7d3e-9b1f-6a5d4c3b2a10"

EXAMPLE: dict[str, Any] = {
    "sender": "kunta",
    "receiver": "seamk",
    "offering": "seamk.1.2.246.562.17.00000000000000000001",
    "offeringNames": {"fi": "Avoin polku sosionomiksi", "en": "Open path to social services"},
    "goal": {"occupation": OCCUPATION, "labels": {"fi": "sosiaaliohjaaja"}},
    "language": "fi",
    "confirmedSkills": [{"skill": SKILL, "labels": {"fi": "asiakaspalvelu"}, "level": 3}],
    "responsible": {"sender": "kunta-12", "receiver": None},
    "status": "requested",
    "businessStatus": None,
    "reason": None,
    "reasonText": None,
    "outcomes": [],
    "basedOn": [EARLIER],
    "note": None,
}


class Skill(Schema):
    """A skill that the client confirmed."""

    skill = fields.String(required=True, metadata={"description": "ESCO URI"})
    labels = fields.Dict(fields.String(), fields.String(), metadata={"description": "Language → label"})
    level = fields.Integer(metadata={"description": "1 to 5"})


class Goal(Schema):
    """What the client aims at."""

    occupation = fields.String(allow_none=True, metadata={"description": "ESCO URI"})
    labels = fields.Dict(fields.String(), fields.String())


class Outcome(Schema):
    """How one goal ended."""

    goal = fields.String(required=True)
    result = fields.Enum(Result, by_value=True, required=True)


class Responsible(Schema):
    """Staff ids; names and addresses are never on the bus."""

    sender = fields.String(allow_none=True)
    receiver = fields.String(allow_none=True)


class Next(Schema):
    """An offering to go on with."""

    offering = fields.String()
    provider = fields.String()
    names = fields.Dict(fields.String(), fields.String())


class ReferralState(Schema):
    """A referral's whole state, as the destination may see it."""

    sender = fields.String(required=True)
    receiver = fields.String(required=True)
    offering = fields.String(required=True)
    offering_names = fields.Dict(fields.String(), fields.String(), data_key="offeringNames")
    goal = fields.Nested(Goal)
    language = fields.String()
    confirmed_skills = fields.List(fields.Nested(Skill), data_key="confirmedSkills")
    responsible = fields.Nested(Responsible)
    status = fields.Enum(Status, by_value=True, required=True)
    business_status = fields.Enum(BusinessStatus, by_value=True, allow_none=True, data_key="businessStatus")
    reason = fields.Enum(Reason, by_value=True, allow_none=True)
    reason_text = fields.String(allow_none=True, data_key="reasonText")
    outcomes = fields.List(fields.Nested(Outcome))
    based_on = fields.List(fields.String(), data_key="basedOn")
    note = fields.String(allow_none=True)
    next = fields.Nested(
        Next, metadata={"description": "After it expired, to the own organisation: where the client can go on"}
    )


def state_of(referral: Referral, to: str) -> dict[str, Any]:
    """What a destination may see: a receiver hears of earlier referrals only those that it received itself."""
    own = to == referral.sender
    shown: dict[str, Any] = {
        "sender": referral.sender,
        "receiver": referral.receiver,
        "offering": referral.offering,
        "offering_names": referral.offering_names,
        "goal": referral.goal,
        "language": referral.language,
        "confirmed_skills": referral.confirmed_skills,
        "responsible": {"sender": referral.sender_staff, "receiver": referral.receiver_staff},
        "status": referral.status,
        "business_status": referral.business_status,
        "reason": referral.reason,
        "reason_text": referral.reason_text,
        "outcomes": referral.outcomes,
        "based_on": [earlier.id for earlier in referral.based_on if own or earlier.receiver == to],
        "note": referral.note,
    }
    return shown | ({"next": referral.next} if own and referral.next else {})


def _contract(verb: str, says: str, route: str, **example: Any) -> Contract:
    return Contract(
        name=f"referral.{verb}",
        classification=Classification.PSEUDONYMOUS,
        says=says,
        route=route,
        example={**EXAMPLE, **example},
    )


TO_RECEIVER = "sender → receiver, and to the sender's own organisation"
TO_SENDER = "receiver → sender; what the sender has applied it says to its own organisation"
EITHER = "sender → receiver or receiver → sender"
ENDED = {"status": "completed", "outcomes": [{"goal": OCCUPATION, "result": "achieved"}]}


@published(_contract("requested", "The sender asks the receiver to take a client on.", TO_RECEIVER))
class ReferralRequested(ReferralState):
    """The sender asks."""


@published(_contract("accepted", "The receiver takes the client on.", TO_SENDER, status="accepted"))
class ReferralAccepted(ReferralState):
    """The receiver takes the client on."""


@published(
    _contract("rejected", "The receiver cannot; reason says why.", TO_SENDER, status="rejected", reason="no-capacity")
)
class ReferralRejected(ReferralState):
    """The receiver cannot take the client on."""


@published(_contract("started", "The client has started.", TO_SENDER, status="in-progress", businessStatus="started"))
class ReferralStarted(ReferralState):
    """The client has started."""


@published(_contract("held", "The receiver pauses; reason says why.", TO_SENDER, status="on-hold", reason="health"))
class ReferralHeld(ReferralState):
    """The receiver pauses."""


@published(_contract("resumed", "The receiver goes on after a pause.", TO_SENDER, status="in-progress"))
class ReferralResumed(ReferralState):
    """The receiver goes on."""


@published(_contract("completed", "It has reached its end; outcomes say how each goal ended.", TO_SENDER, **ENDED))
class ReferralCompleted(ReferralState):
    """It has reached its end."""


@published(_contract("failed", "It ended early; reason says why.", TO_SENDER, status="failed", reason="no-show"))
class ReferralFailed(ReferralState):
    """It ended early."""


@published(
    _contract("cancelled", "One side calls it off; reason says why.", EITHER, status="cancelled", reason="found-work")
)
class ReferralCancelled(ReferralState):
    """One side calls it off."""


@published(_contract("corrected", "It was entered in error.", TO_RECEIVER, status="entered-in-error"))
class ReferralCorrected(ReferralState):
    """It was entered in error."""


@published(
    _contract("progressed", "A step of the client's journey.", TO_SENDER, status="accepted", businessStatus="enrolled")
)
class ReferralProgressed(ReferralState):
    """A step of the client's journey."""


@published(_contract("reminded", "Nobody has answered yet; the receiver is reminded.", TO_RECEIVER))
class ReferralReminded(ReferralState):
    """Nobody has answered yet."""


@published(_contract("escalated", "Still nobody has answered; the receiver's deputy hears of it.", TO_RECEIVER))
class ReferralEscalated(ReferralState):
    """Still nobody has answered."""


@published(
    Contract(
        name="capacity.asked",
        classification=Classification.PUBLIC,
        says="Is there room on this offering? Holds no client data at all.",
        route="referral → referral or a partner's system",
        example={"offering": EXAMPLE["offering"], "starts": "2027-01-11"},
    )
)
class CapacityAsked(Schema):
    """Is there room?"""

    offering = fields.String(required=True)
    starts = fields.Date(allow_none=True)


@published(
    Contract(
        name="capacity.answered",
        classification=Classification.PUBLIC,
        says="Whether there is room, with the date that belongs to the answer.",
        route="the one who was asked → the asker",
        example={"offering": EXAMPLE["offering"], "answer": "waitlist", "date": "2027-03-01"},
    )
)
class CapacityAnswered(Schema):
    """Whether there is room."""

    offering = fields.String(required=True)
    answer = fields.Enum(Capacity, by_value=True, required=True)
    date = fields.Date(allow_none=True)
