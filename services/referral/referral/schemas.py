"""What referral accepts: the few fields of others' events that it reads, and its HTTP bodies."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields, post_load, validate

from referral.domain import (
    BusinessStatus,
    Capacity,
    Contact,
    Goal,
    Outcome,
    Reason,
    Result,
    Said,
    Skill,
    Status,
    Suggestion,
)

CODE = validate.Regexp(r"^[a-z]+\Z", error="is not an organisation's code")
STAFF_ID = validate.Regexp(r"^[a-z]+-[a-z0-9-]{1,60}\Z", error="is not a staff id such as kunta-12")
ID = validate.Length(min=1, max=200)
URI = validate.Length(min=1, max=300)
TEXT = validate.Length(max=2000)
LANGUAGE = validate.OneOf(("fi", "sv", "en"))
MANY = validate.Length(max=500)
FEW = validate.Length(max=50)


class Reader(Schema):
    """A tolerant reader: fields that it does not know are left alone."""

    class Meta:
        """Unknown fields belong to other readers."""

        unknown = EXCLUDE


class Body(Schema):
    """An HTTP body: a misspelt field is told, not dropped."""

    class Meta:
        """Unknown fields are errors."""

        unknown = RAISE


def _labels(name: str | None = None) -> fields.Dict:
    return fields.Dict(fields.String(validate=LANGUAGE), fields.String(validate=TEXT), data_key=name, load_default=dict)


class SkillRead(Reader):
    """A confirmed skill."""

    skill = fields.String(required=True, validate=URI)
    labels = _labels()
    level = fields.Integer(load_default=1, validate=validate.Range(min=1, max=5))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Skill:
        """As the domain has it."""
        return Skill(**data)


class GoalRead(Reader):
    """A goal."""

    occupation = fields.String(load_default=None, allow_none=True, validate=URI)
    labels = _labels()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Goal:
        """As the domain has it."""
        return Goal(**data)


class OutcomeRead(Reader):
    """How one goal ended."""

    goal = fields.String(required=True, validate=URI)
    result = fields.Enum(Result, by_value=True, required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Outcome:
        """As the domain has it."""
        return Outcome(**data)


class ResponsibleRead(Reader):
    """Staff ids of both sides."""

    sender = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)
    receiver = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)


class ReferralSaid(Reader):
    """Any ``referral.*`` event. A guest may say as little as a reason; this service's own say the whole state."""

    sender = fields.String(load_default=None, validate=CODE)
    receiver = fields.String(load_default=None, validate=CODE)
    offering = fields.String(load_default=None, validate=ID)
    offering_names = _labels("offeringNames")
    goal = fields.Nested(GoalRead, load_default=Goal)
    language = fields.String(load_default="fi", validate=LANGUAGE)
    confirmed_skills = fields.List(
        fields.Nested(SkillRead), data_key="confirmedSkills", load_default=list, validate=MANY
    )
    responsible = fields.Nested(ResponsibleRead, load_default=lambda: {"sender": None, "receiver": None})
    status = fields.Enum(Status, by_value=True, load_default=None, allow_none=True)
    business_status = fields.Enum(
        BusinessStatus, by_value=True, data_key="businessStatus", load_default=None, allow_none=True
    )
    reason = fields.Enum(Reason, by_value=True, load_default=None, allow_none=True)
    reason_text = fields.String(data_key="reasonText", load_default=None, allow_none=True, validate=TEXT)
    outcomes = fields.List(fields.Nested(OutcomeRead), load_default=list, validate=FEW)
    based_on = fields.List(fields.String(validate=ID), data_key="basedOn", load_default=list, validate=FEW)
    note = fields.String(load_default=None, allow_none=True, validate=TEXT)


class ReferralRequested(ReferralSaid):
    """``referral.requested``: it makes the referral, so that it must say who and what."""

    sender = fields.String(required=True, validate=CODE)
    receiver = fields.String(required=True, validate=CODE)
    offering = fields.String(required=True, validate=ID)


class ReferralProgressed(ReferralSaid):
    """``referral.progressed``: a step of the journey."""

    business_status = fields.Enum(BusinessStatus, by_value=True, data_key="businessStatus", required=True)


class PlanPublished(Reader):
    """``plan.published`` and ``plan.revised``: what a referral says of the client."""

    goal = fields.Nested(GoalRead, load_default=Goal, allow_none=True)
    language = fields.String(load_default="fi", validate=LANGUAGE)
    confirmed = fields.List(fields.Nested(SkillRead), load_default=list, validate=MANY)
    plan_version = fields.Integer(data_key="planVersion", load_default=1)
    coach = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)


class SuggestionRead(Reader):
    """One suggested offering."""

    offering = fields.String(required=True, validate=ID)
    provider = fields.String(required=True, validate=CODE)
    names = _labels()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Suggestion:
        """As the domain has it."""
        return Suggestion(**data)


class MatchSuggested(Reader):
    """``match.suggested``: where the client can be referred to."""

    suggestions = fields.List(fields.Nested(SuggestionRead), load_default=list, validate=FEW)


class ClientDisclosed(Reader):
    """``client.disclosed``: the person behind an accepted referral."""

    sender = fields.String(required=True, validate=CODE)
    referral = fields.String(required=True, validate=ID)
    given = fields.String(required=True, validate=TEXT)
    family = fields.String(required=True, validate=TEXT)
    email = fields.String(load_default=None, allow_none=True, validate=TEXT)
    phone = fields.String(load_default=None, allow_none=True, validate=TEXT)
    language = fields.String(load_default="fi", validate=LANGUAGE)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The contact beside what it belongs to."""
        place = {"sender": data.pop("sender"), "referral": data.pop("referral")}
        return {**place, "contact": Contact(**data)}


class CapacityAsked(Reader):
    """``capacity.asked``: is there room?"""

    offering = fields.String(required=True, validate=ID)
    starts = fields.Date(load_default=None, allow_none=True)


class CapacityAnswered(Reader):
    """``capacity.answered``: whether there is."""

    answer = fields.Enum(Capacity, by_value=True, required=True)
    date = fields.Date(load_default=None, allow_none=True)


class RequestBody(Body):
    """Body of ``POST /v1/referrals``."""

    client = fields.String(required=True, validate=ID)
    offering = fields.String(required=True, validate=ID)
    offering_names = _labels("offeringNames")
    receiver = fields.String(required=True, validate=CODE)
    responsible = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)
    note = fields.String(load_default=None, allow_none=True, validate=TEXT)
    based_on = fields.List(fields.String(validate=ID), data_key="basedOn", load_default=list, validate=FEW)


class MoveBody(Body):
    """Body of a transition: what it must say depends on where it leads."""

    reason = fields.Enum(Reason, by_value=True, load_default=None, allow_none=True)
    reason_text = fields.String(data_key="reasonText", load_default=None, allow_none=True, validate=TEXT)
    outcomes = fields.List(fields.Nested(OutcomeRead), load_default=list, validate=FEW)
    business_status = fields.Enum(
        BusinessStatus, by_value=True, data_key="businessStatus", load_default=None, allow_none=True
    )
    responsible = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Said:
        """As the domain has it."""
        return Said(
            reason=data["reason"],
            reason_text=data["reason_text"],
            outcomes=tuple(data["outcomes"]),
            business_status=data["business_status"],
            staff=data["responsible"],
        )


class ProgressBody(Body):
    """Body of ``…/progress``."""

    business_status = fields.Enum(BusinessStatus, by_value=True, data_key="businessStatus", required=True)


class RerouteBody(Body):
    """Body of ``…/reroute``: where to; by default the best suggestion of an organisation that was not tried."""

    receiver = fields.String(load_default=None, allow_none=True, validate=CODE)
    offering = fields.String(load_default=None, allow_none=True, validate=ID)
    offering_names = _labels("offeringNames")
    responsible = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)


class EarlierTold(Reader):
    """An earlier referral of the same path."""

    id = fields.String(required=True)
    receiver = fields.String(required=True)


class ReroutedTold(Reader):
    """What a re-routed referral tells of the one that takes its place."""

    client = fields.String(required=True)
    offering = fields.String(required=True)
    receiver = fields.String(required=True)
    offering_names = fields.Dict(load_default=dict)
    responsible = fields.String(load_default=None, allow_none=True)
    note = fields.String(load_default=None, allow_none=True)
    based_on = fields.List(fields.Nested(EarlierTold), load_default=list)


class Filters(Body):
    """Query of ``GET /v1/referrals``."""

    client = fields.String(validate=ID)
    status = fields.Enum(Status, by_value=True)


class QuestionBody(Body):
    """Body of ``POST /v1/capacity``."""

    offering = fields.String(required=True, validate=ID)
    receiver = fields.String(required=True, validate=CODE)
    starts = fields.Date(load_default=None, allow_none=True)


class AnswerBody(Body):
    """Body of ``POST /v1/capacity/{asker}/{id}/answer``."""

    answer = fields.Enum(Capacity, by_value=True, required=True)
    date = fields.Date(load_default=None, allow_none=True)


class SkillShown(Schema):
    """A confirmed skill."""

    skill = fields.String()
    labels = fields.Dict()
    level = fields.Integer()


class GoalShown(Schema):
    """A goal."""

    occupation = fields.String()
    labels = fields.Dict()


class OutcomeShown(Schema):
    """How one goal ended."""

    goal = fields.String()
    result = fields.Enum(Result, by_value=True)


class SuggestionShown(Schema):
    """One suggested offering."""

    offering = fields.String()
    provider = fields.String()
    names = fields.Dict()


class EarlierShown(Schema):
    """An earlier referral of the same path."""

    id = fields.String()
    receiver = fields.String()


class ReferralView(Schema):
    """A referral over HTTP; the person is at ``…/contact``."""

    id = fields.String()
    sender = fields.String()
    receiver = fields.String()
    client = fields.String()
    offering = fields.String()
    offering_names = fields.Dict(data_key="offeringNames")
    goal = fields.Nested(GoalShown)
    language = fields.String()
    confirmed_skills = fields.List(fields.Nested(SkillShown), data_key="confirmedSkills")
    sender_staff = fields.String(data_key="senderStaff")
    receiver_staff = fields.String(data_key="receiverStaff")
    status = fields.Enum(Status, by_value=True)
    business_status = fields.Enum(BusinessStatus, by_value=True, data_key="businessStatus")
    reason = fields.Enum(Reason, by_value=True)
    reason_text = fields.String(data_key="reasonText")
    outcomes = fields.List(fields.Nested(OutcomeShown))
    based_on = fields.List(fields.Nested(EarlierShown), data_key="basedOn")
    note = fields.String()
    rerouted_to = fields.String(data_key="reroutedTo")
    next = fields.Nested(SuggestionShown)


class ContactView(Schema):
    """The person behind an accepted referral."""

    given = fields.String()
    family = fields.String()
    email = fields.String()
    phone = fields.String()
    language = fields.String()


class JourneyView(Schema):
    """What a home's referrals of one client choose from."""

    goal = fields.Nested(GoalShown)
    language = fields.String()
    plan_version = fields.Integer(data_key="planVersion")
    suggestions = fields.List(fields.Nested(SuggestionShown))


class QuestionView(Schema):
    """A question about capacity."""

    asker = fields.String()
    receiver = fields.String()
    offering = fields.String()
    starts = fields.Date()
    answer = fields.Enum(Capacity, by_value=True)
    date = fields.Date()


class ReferralShown(ReferralView):
    """A referral with its history."""

    history = fields.List(fields.Dict(), required=True)


class JourneyShown(JourneyView):
    """A client's journey with all referrals."""

    referrals = fields.List(fields.Nested(ReferralView), required=True)
