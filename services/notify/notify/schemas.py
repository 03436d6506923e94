"""What notify accepts: the few fields of other services' events that letters need, and the directory's HTTP bodies."""

from __future__ import annotations

from marshmallow import EXCLUDE, RAISE, Schema, fields, validate

from notify import domain
from notify.domain import LANGUAGES, Duty

STAFF_ID = validate.Regexp(domain.STAFF_ID, error="is not a staff id such as kunta-12")
TEXT = validate.Length(max=2000)


class Reader(Schema):
    """A tolerant reader: fields that it does not know are left alone."""

    class Meta:
        """Unknown fields belong to other readers."""

        unknown = EXCLUDE


class Responsible(Reader):
    """Staff ids on both sides of a referral."""

    sender = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)
    receiver = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)


class ReferralMoved(Reader):
    """Any ``referral.*`` event, as far as a letter tells of it; a guest's answer may name neither side."""

    sender = fields.String(load_default=None, allow_none=True)
    receiver = fields.String(load_default=None, allow_none=True)
    offering_names = fields.Dict(fields.String(), fields.String(), data_key="offeringNames", load_default=dict)
    responsible = fields.Nested(Responsible, load_default=dict)
    reason = fields.String(load_default=None, allow_none=True)


class ProfileProposed(Reader):
    """``profile.proposed``: how many skills there are to go through with the client."""

    coach = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)
    proposals = fields.List(fields.Dict(), load_default=list)


class PlanPublished(Reader):
    """``plan.published`` and ``plan.revised``: the goal and the size of the gap."""

    coach = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)
    goal = fields.Dict(load_default=dict, allow_none=True)
    strengths = fields.List(fields.Dict(), load_default=list)
    gaps = fields.List(fields.Dict(), load_default=list)


class Suggestion(Reader):
    """One suggested offering."""

    provider = fields.String(required=True)
    names = fields.Dict(fields.String(), fields.String(), load_default=dict)


class MatchSuggested(Reader):
    """``match.suggested``: the best offerings."""

    coach = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)
    suggestions = fields.List(fields.Nested(Suggestion), load_default=list)


class ClientDisclosed(Reader):
    """``client.disclosed``: only which referral it belongs to. The person is none of notify's business."""

    referral = fields.String(required=True)


class EventRefused(Reader):
    """``event.refused``: what a technical contact needs to find the fault."""

    event = fields.String(load_default="", allow_none=True)
    type = fields.String(load_default="", allow_none=True)
    reason = fields.String(required=True)
    error = fields.String(load_default="", allow_none=True, validate=TEXT)
    count = fields.Integer(load_default=1)


class PersonBody(Schema):
    """Body of ``PUT /v1/staff/{id}``."""

    class Meta:
        """A misspelt field is told, not dropped."""

        unknown = RAISE

    name = fields.String(required=True, validate=validate.Length(min=1, max=200))
    email = fields.Email(required=True, validate=validate.Length(max=254))
    language = fields.String(load_default="fi", validate=validate.OneOf(LANGUAGES))
    duties = fields.List(fields.Enum(Duty, by_value=True), load_default=list, validate=validate.Length(max=10))
    deputy = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)
    active = fields.Boolean(load_default=True)


class PersonView(Schema):
    """A member of staff over HTTP, for operators."""

    id = fields.String()
    name = fields.String()
    email = fields.String()
    language = fields.String()
    duties = fields.List(fields.Enum(Duty, by_value=True))
    deputy = fields.String()
    active = fields.Boolean()


class LetterView(Schema):
    """One letter of a notification."""

    to = fields.String()
    status = fields.String()


class NotificationView(Schema):
    """A notification over HTTP."""

    event = fields.String()
    template = fields.String()
    client = fields.String()
    referral = fields.String()
    letters = fields.List(fields.Nested(LetterView))


class NotificationShown(NotificationView):
    """A notification under its id."""

    id = fields.String(required=True)


class NotificationsQuery(Schema):
    """Query of ``GET /v1/notifications``."""

    class Meta:
        """A misspelt filter would mean everything."""

        unknown = RAISE

    client = fields.String(validate=validate.Length(min=1, max=200))
    referral = fields.String(validate=validate.Length(min=1, max=200))
