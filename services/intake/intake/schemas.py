"""What intake accepts: clients by HTTP, by sheet and from partners' systems, and the few fields of others' events."""

from __future__ import annotations

from datetime import date
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields, post_load, validate

from intake.domain import (
    LANGUAGES,
    MAX_ANSWERED,
    Answer,
    Basis,
    Client,
    Consent,
    Effect,
    Goal,
    Level,
    Mode,
    Proposal,
    Scope,
    Span,
    TimeOfDay,
    Wishes,
)

STAFF_ID = validate.Regexp(r"^[a-z]+-[a-z0-9-]{1,60}\Z", error="is not a staff id such as kunta-12")
MUNICIPALITY = validate.Regexp(r"^[0-9]{3}\Z", error="is not a municipality's code of three digits")
URI = validate.Regexp(r"^http://data\.europa\.eu/esco/[A-Za-z0-9./-]{1,100}\Z", error="is not an ESCO URI")
ORGANISATION = validate.Regexp(r"^[a-z]{1,40}\Z", error="is not an organisation's code")
FIELD = validate.Regexp(r"^[0-9]{2,4}\Z", error="is not an ISCED-F code of two to four digits")
LANGUAGE = validate.OneOf(LANGUAGES)
NAME = validate.Length(min=1, max=200)
LINE = validate.Length(max=300)
TEXT = validate.Length(max=8000)
FEW = validate.Length(max=20)
SKILLS = validate.Length(max=MAX_ANSWERED)


class Reader(Schema):
    """A tolerant reader: fields that it does not know are left alone."""

    class Meta:
        """Unknown fields belong to other readers."""

        unknown = EXCLUDE


class WishesRead(Reader):
    """Where, how and when to study."""

    places = fields.List(fields.String(validate=MUNICIPALITY), load_default=list, validate=FEW)
    modes = fields.List(fields.Enum(Mode, by_value=True), load_default=list, validate=FEW)
    times = fields.List(fields.Enum(TimeOfDay, by_value=True), load_default=list, validate=FEW)
    languages = fields.List(fields.String(validate=LANGUAGE), load_default=list, validate=FEW)
    # Rounded to cents, so that an amount such as 1E-9999 is written in a few characters again.
    max_price = fields.Decimal(
        places=2, data_key="maxPrice", load_default=None, allow_none=True, validate=validate.Range(min=0, max=1_000_000)
    )
    starts_by = fields.Date(data_key="startsBy", load_default=None, allow_none=True)
    employment_effect = fields.Enum(
        Effect, by_value=True, data_key="employmentEffect", load_default=None, allow_none=True
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Wishes:
        """As the domain has it."""
        values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in data.items()}
        return Wishes(**values)


class GoalRead(Reader):
    """What the client aims at."""

    occupation = fields.String(load_default=None, allow_none=True, validate=URI)
    field = fields.String(load_default=None, allow_none=True, validate=FIELD)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Goal:
        """As the domain has it."""
        return Goal(**data)


class ConsentRead(Reader):
    """What is consented to."""

    scope = fields.List(fields.Enum(Scope, by_value=True), load_default=list, validate=FEW)
    basis = fields.Enum(Basis, by_value=True, load_default=Basis.CONSENT)
    given = fields.Date(load_default=None, allow_none=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Consent:
        """As the domain has it."""
        return Consent(scope=tuple(data["scope"]), basis=data["basis"], given=data["given"])


class ClientRead(Reader):
    """A client as a partner's system, a sheet's row or a form says it; loads case number and client."""

    case_number = fields.String(data_key="caseNumber", required=True, validate=validate.Length(min=1, max=100))
    given = fields.String(required=True, validate=NAME)
    family = fields.String(required=True, validate=NAME)
    email = fields.Email(load_default=None, allow_none=True, validate=validate.Length(max=254))
    phone = fields.String(load_default=None, allow_none=True, validate=LINE)
    address = fields.String(load_default=None, allow_none=True, validate=LINE)
    language = fields.String(required=True, validate=LANGUAGE)
    municipality = fields.String(required=True, validate=MUNICIPALITY)
    goal = fields.Nested(GoalRead, load_default=Goal)
    wishes = fields.Nested(WishesRead, load_default=Wishes)
    words = fields.String(load_default=None, allow_none=True, validate=TEXT)
    prior_learning = fields.String(data_key="priorLearning", load_default=None, allow_none=True, validate=TEXT)
    consent = fields.Nested(ConsentRead, load_default=Consent)
    non_disclosure = fields.Boolean(data_key="nonDisclosure", load_default=None, allow_none=True)
    coach = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Client:
        """As the domain has it."""
        return Client(**data)


class ClientBody(ClientRead):
    """The same over HTTP, where a misspelt field is told."""

    class Meta:
        """Unknown fields are errors."""

        unknown = RAISE


class LevelRead(Reader):
    """A skill with its level."""

    skill = fields.String(required=True, validate=URI)
    level = fields.Integer(load_default=3, validate=validate.Range(min=1, max=5))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Level:
        """As the domain has it."""
        return Level(**data)


class AnswerBody(Schema):
    """Body of ``POST /v1/clients/{id}/answers``."""

    class Meta:
        """Unknown fields are errors."""

        unknown = RAISE

    confirmed = fields.List(fields.Nested(LevelRead), load_default=list, validate=SKILLS)
    rejected = fields.List(fields.String(validate=URI), load_default=list, validate=SKILLS)
    added = fields.List(fields.Nested(LevelRead), load_default=list, validate=SKILLS)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Answer:
        """As the domain has it."""
        return Answer(**{name: tuple(values) for name, values in data.items()})


class ConsentBody(Schema):
    """Body of ``POST /v1/clients/{id}/consent``: the whole consent as it now stands."""

    class Meta:
        """Unknown fields are errors."""

        unknown = RAISE

    scope = fields.List(fields.Enum(Scope, by_value=True), required=True, validate=FEW)
    basis = fields.Enum(Basis, by_value=True, load_default=Basis.CONSENT)
    given = fields.Date(required=True, validate=validate.Range(min=date(2000, 1, 1)))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Consent:
        """As the domain has it."""
        return Consent(scope=tuple(data["scope"]), basis=data["basis"], given=data["given"])


class SpanRead(Reader):
    """Where in the words something was found."""

    offset = fields.Integer(required=True, validate=validate.Range(min=0, max=100_000))
    length = fields.Integer(required=True, validate=validate.Range(min=1, max=100_000))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Span:
        """As the domain has it."""
        return Span(**data)


class ProposalRead(Reader):
    """One proposed skill."""

    skill = fields.String(required=True, validate=URI)
    labels = fields.Dict(fields.String(validate=LANGUAGE), fields.String(validate=LINE), load_default=dict)
    score = fields.Float(load_default=0.0, validate=validate.Range(min=0, max=1))
    through = fields.String(load_default=None, allow_none=True, validate=URI)
    evidence = fields.List(fields.Nested(SpanRead), load_default=list, validate=validate.Length(max=100))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Proposal:
        """As the domain has it."""
        return Proposal(**{**data, "evidence": tuple(data["evidence"])})


class ProfileProposed(Reader):
    """``profile.proposed``: skills that the words may mean."""

    proposals = fields.List(fields.Nested(ProposalRead), load_default=list, validate=SKILLS)


class PlanPublished(Reader):
    """``plan.published`` and ``plan.revised``: that there is a plan, and its version."""

    plan_version = fields.Integer(data_key="planVersion", load_default=1, validate=validate.Range(min=1))


class ReferralAccepted(Reader):
    """``referral.accepted``: only the own organisation's copy counts; a guest's own word may name neither side."""

    sender = fields.String(load_default=None, allow_none=True, validate=ORGANISATION)
    receiver = fields.String(load_default=None, allow_none=True, validate=ORGANISATION)


class LevelShown(Schema):
    """A skill with its level."""

    skill = fields.String()
    level = fields.Integer()


class AnswerShown(Schema):
    """What the client said to the proposals."""

    confirmed = fields.List(fields.Nested(LevelShown))
    rejected = fields.List(fields.String())
    added = fields.List(fields.Nested(LevelShown))


class GoalShown(Schema):
    """What the client aims at."""

    occupation = fields.String()
    field = fields.String()


class ConsentShown(Schema):
    """What is consented to."""

    scope = fields.List(fields.Enum(Scope, by_value=True))
    basis = fields.Enum(Basis, by_value=True)
    given = fields.Date()


class WishesShown(Schema):
    """Where, how and when to study."""

    places = fields.List(fields.String())
    modes = fields.List(fields.Enum(Mode, by_value=True))
    times = fields.List(fields.Enum(TimeOfDay, by_value=True))
    languages = fields.List(fields.String())
    max_price = fields.Decimal(data_key="maxPrice", as_string=True)
    starts_by = fields.Date(data_key="startsBy")
    employment_effect = fields.Enum(Effect, by_value=True, data_key="employmentEffect")


class ClientSummary(Schema):
    """A client over HTTP without the person."""

    language = fields.String()
    stage = fields.String()
    goal = fields.Nested(GoalShown)
    coach = fields.String()
    keep_until = fields.Date(data_key="keepUntil")
    plan_version = fields.Integer(data_key="planVersion")
    answer = fields.Nested(AnswerShown)


class ClientView(ClientSummary):
    """A client over HTTP with the person, for their coach."""

    case_number = fields.String(data_key="caseNumber")
    given = fields.String()
    family = fields.String()
    email = fields.String()
    phone = fields.String()
    address = fields.String()
    municipality = fields.String()
    words = fields.String()
    prior_learning = fields.String(data_key="priorLearning")
    wishes = fields.Nested(WishesShown)
    consent = fields.Nested(ConsentShown)
    non_disclosure = fields.Boolean(data_key="nonDisclosure")
    disclosed = fields.List(fields.String())


class SummaryShown(ClientSummary):
    """A client without the person, under the id and the short reference."""

    id = fields.String(required=True)
    reference = fields.String(required=True)


class ClientShown(ClientView):
    """A client with the person, under the id and the short reference."""

    id = fields.String(required=True)
    reference = fields.String(required=True)


class ProposalShown(Schema):
    """A proposed skill, with the client's own words that led to it."""

    skill = fields.String(required=True)
    labels = fields.Dict(required=True)
    score = fields.Float()
    through = fields.String()
    words = fields.List(fields.String(), required=True)


class ReadingShown(Schema):
    """Who read the person's data, when and why."""

    at = fields.AwareDateTime(required=True)
    person = fields.String(required=True)
    organisation = fields.String(required=True)
    why = fields.String(required=True)
    route = fields.String(required=True)
    subject = fields.String(required=True)


class RefusedRow(Schema):
    """A cell that breaks a rule."""

    row = fields.Integer(required=True)
    column = fields.String(required=True)
    rule = fields.String(required=True)
    message = fields.String(required=True)


class ImportedRow(Schema):
    """A row that became a client."""

    row = fields.Integer(required=True)
    client = fields.String(required=True)
    reference = fields.String(required=True)
    outcome = fields.String(required=True)


class ImportShown(Schema):
    """What became of a sheet."""

    rows = fields.Integer(required=True)
    accepted = fields.Integer(required=True)
    refused = fields.List(fields.Nested(RefusedRow), required=True)
    clients = fields.List(fields.Nested(ImportedRow), required=True)


class Query(Schema):
    """A query: what is misspelt in it is told, not dropped."""

    class Meta:
        """Unknown names are errors."""

        unknown = RAISE


class TemplateQuery(Query):
    """Query of ``GET /v1/imports/template``."""

    language = fields.String(load_default="fi", validate=validate.OneOf(LANGUAGES))


class ClientsQuery(Query):
    """Query of ``GET /v1/clients``."""

    coach = fields.String(validate=validate.Length(min=1, max=64))
    reference = fields.String(
        validate=validate.Length(min=1, max=64), metadata={"description": "As a mail or the sheet shows it"}
    )
