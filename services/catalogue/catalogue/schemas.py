"""What catalogue accepts: offerings of all providers, plans of its own home, and its HTTP bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load, validate

from catalogue.domain import (
    LANGUAGES,
    Credits,
    Enrolment,
    Flaw,
    Kind,
    Mode,
    Offering,
    Origin,
    Place,
    Time,
    flaws,
    markup,
)
from catalogue.plans import EmploymentEffect, Gap, Plan, Wishes

CODE = validate.Regexp(r"^[a-z]{1,40}\Z", error="is not an organisation's code")
MUNICIPALITY = validate.Regexp(r"^[0-9]{3}\Z", error="is not a municipality's three digits")
STAFF_ID = validate.Regexp(r"^[a-z]+-[a-z0-9-]{1,60}\Z", error="is not a staff id such as kunta-12")
TONGUE = validate.Regexp(r"^[a-z]{2,3}\Z", error="is not a language's code of two or three letters")
LINK = validate.Regexp(
    r"^https?://[\w.\-]{1,200}(:\d{1,5})?([/?#][^\s<>\"]{0,300})?\Z",
    error="is not an address that begins with https://",
)
LANGUAGE = validate.OneOf(LANGUAGES)
ID = validate.Length(min=1, max=200)
URI = validate.Length(min=1, max=100)
NAME = validate.Length(min=1, max=300)
LABEL = validate.Length(min=1, max=200)
TEXT = validate.Length(max=4000)
WORD = validate.Length(min=1, max=100)
SKILLS = validate.Length(max=60)
FEW = validate.Length(max=50)
MANY = validate.Length(max=500)

MAX_PRICE = 100_000
MAX_CREDITS = 1000
MAX_PLACES = 100_000


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


def _texts(limit: validate.Validator) -> fields.Dict:
    return fields.Dict(fields.String(validate=LANGUAGE), fields.String(validate=limit), load_default=dict)


class PlaceRead(Reader):
    """Where an offering is."""

    municipality = fields.String(load_default=None, allow_none=True, validate=MUNICIPALITY)
    name = fields.String(load_default=None, allow_none=True, validate=NAME)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Place:
        """As the domain has it."""
        return Place(**data)


class EnrolmentRead(Reader):
    """When one can enrol."""

    opens = fields.Date(load_default=None, allow_none=True)
    closes = fields.Date(load_default=None, allow_none=True)
    continuous = fields.Boolean(load_default=False)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Enrolment:
        """As the domain has it."""
        return Enrolment(**data)


class CreditsRead(Reader):
    """How much it is."""

    amount = fields.Decimal(required=True, validate=validate.Range(min=0, max=MAX_CREDITS))
    unit = fields.String(required=True, validate=WORD)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Credits:
        """As the domain has it."""
        return Credits(**data)


class OriginRead(Reader):
    """Which system it comes from."""

    system = fields.String(required=True, validate=WORD)
    id = fields.String(required=True, validate=ID)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Origin:
        """As the domain has it."""
        return Origin(**data)


class OfferingFields(Reader):
    """The fields of an offering; ``freshUntil`` may be missing, then it counts from when it was heard."""

    provider = fields.String(required=True, validate=CODE)
    names = _texts(NAME)
    description = _texts(TEXT)
    kind = fields.Enum(Kind, by_value=True, load_default=Kind.OTHER)
    place = fields.Nested(PlaceRead, load_default=Place)
    modes = fields.List(fields.Enum(Mode, by_value=True), load_default=list, validate=FEW)
    times = fields.List(fields.Enum(Time, by_value=True), load_default=list, validate=FEW)
    languages = fields.List(fields.String(validate=TONGUE), load_default=list, validate=FEW)
    starts = fields.Date(load_default=None, allow_none=True)
    ends = fields.Date(load_default=None, allow_none=True)
    enrolment = fields.Nested(EnrolmentRead, load_default=Enrolment)
    price = fields.Decimal(places=2, load_default=None, allow_none=True, validate=validate.Range(min=0, max=MAX_PRICE))
    credits = fields.Nested(CreditsRead, load_default=None, allow_none=True)
    skills = fields.List(fields.String(validate=URI), load_default=list, validate=SKILLS)
    keywords = fields.Dict(
        fields.String(validate=LANGUAGE), fields.List(fields.String(validate=WORD), validate=FEW), load_default=dict
    )
    capacity = fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=validate.Range(min=0, max=MAX_PLACES)
    )
    link = fields.String(load_default=None, allow_none=True, validate=LINK)
    requires = fields.List(fields.String(validate=URI), load_default=list, validate=SKILLS)
    origin = fields.Nested(OriginRead, load_default=None, allow_none=True)
    fresh_until = fields.Date(data_key="freshUntil", load_default=None, allow_none=True)
    withdrawn = fields.Boolean(load_default=False)


class OfferingRead(OfferingFields):
    """``offering.published`` and ``offering.changed``, and the body of an import's command."""

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Offering:
        """As the domain has it.

        Raises:
            ValidationError: It breaks a rule between its fields.
        """
        return _without(flaws, offering_of(data))


class OfferingWithdrawn(OfferingFields):
    """``offering.withdrawn``: the provider is enough."""

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Offering:
        """As the domain has it.

        Raises:
            ValidationError: One of its texts holds HTML.
        """
        return _without(markup, offering_of(data | {"withdrawn": True}))


def offering_of(data: Mapping[str, Any]) -> Offering:
    """An offering from loaded fields."""
    many = {name: tuple(data[name]) for name in ("modes", "times", "languages", "skills", "requires")}
    keywords = {language: tuple(found) for language, found in data["keywords"].items()}
    return Offering(**{**data, **many, "keywords": keywords})


def _without(rules: Callable[[Offering], Iterable[Flaw]], offering: Offering) -> Offering:
    wrong = {flaw.field: [flaw.message] for flaw in rules(offering)}
    if wrong:
        raise ValidationError(wrong)
    return offering


class WithdrawBody(Body):
    """An import's command to withdraw one of the own offerings."""

    offering = fields.String(required=True, validate=ID)


class GapRead(Reader):
    """A missing skill."""

    skill = fields.String(required=True, validate=URI)
    labels = _texts(LABEL)
    weight = fields.Float(load_default=1.0, validate=validate.Range(min=0, max=10))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Gap:
        """As the domain has it."""
        return Gap(**data)


class WishesRead(Reader):
    """What the client wishes for."""

    places = fields.List(fields.String(validate=MUNICIPALITY), load_default=list, validate=FEW)
    modes = fields.List(fields.Enum(Mode, by_value=True), load_default=list, validate=FEW)
    times = fields.List(fields.Enum(Time, by_value=True), load_default=list, validate=FEW)
    languages = fields.List(fields.String(validate=LANGUAGE), load_default=list, validate=FEW)
    max_price = fields.Decimal(
        data_key="maxPrice", load_default=None, allow_none=True, validate=validate.Range(min=0, max=MAX_PRICE)
    )
    starts_by = fields.Date(data_key="startsBy", load_default=None, allow_none=True)
    employment_effect = fields.Enum(
        EmploymentEffect, by_value=True, data_key="employmentEffect", load_default=None, allow_none=True
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Wishes:
        """As the domain has it."""
        many = {name: tuple(data[name]) for name in ("places", "modes", "times", "languages")}
        return Wishes(**{**data, **many})


class ConfirmedRead(Reader):
    """A confirmed skill."""

    skill = fields.String(required=True, validate=URI)


class PlanPublished(Reader):
    """``plan.published`` and ``plan.revised``: what is missing, what is wished for, and where."""

    home = fields.String(required=True, validate=CODE)
    confirmed = fields.List(fields.Nested(ConfirmedRead), load_default=list, validate=MANY)
    gaps = fields.List(fields.Nested(GapRead), load_default=list, validate=MANY)
    language = fields.String(load_default="fi", validate=LANGUAGE)
    municipality = fields.String(load_default=None, allow_none=True, validate=MUNICIPALITY)
    wishes = fields.Nested(WishesRead, load_default=Wishes, allow_none=True)
    version = fields.Integer(data_key="planVersion", load_default=1)
    coach = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The home, and the plan as the domain has it."""
        home = data.pop("home")
        gaps = tuple(data.pop("gaps"))
        confirmed = tuple(one["skill"] for one in data.pop("confirmed"))
        wishes = data.pop("wishes") or Wishes()
        return {"home": home, "plan": Plan(gaps=gaps, confirmed=confirmed, wishes=wishes, **data)}


class ReasonShown(Schema):
    """Why: a code, and what the words need."""

    code = fields.String()
    parameters = fields.Dict()


class PlaceShown(Schema):
    """Where."""

    municipality = fields.String()
    name = fields.String()


class SuggestionShown(Schema):
    """One suggested offering."""

    offering = fields.String()
    provider = fields.String()
    names = fields.Dict()
    starts = fields.Date()
    place = fields.Nested(PlaceShown)
    score = fields.Float()
    covers = fields.List(fields.String())
    reasons = fields.List(fields.Nested(ReasonShown))


class MatchView(Schema):
    """What fits a plan, over HTTP."""

    plan_version = fields.Integer(attribute="plan.version", data_key="planVersion")
    suggestions = fields.List(fields.Nested(SuggestionShown), attribute="answer.suggestions")
    path = fields.List(fields.String(), attribute="answer.path")
    uncovered = fields.List(fields.String(), attribute="answer.uncovered")


class MatchShown(MatchView):
    """What fits a plan, with the reasons in words."""

    client = fields.String(required=True)
    language = fields.String(required=True)


class OfferingLine(Schema):
    """One offering as another copy of the catalogue reads it, under its source and sequence."""

    class Meta:
        """A newer copy may say more."""

        unknown = EXCLUDE

    source = fields.String(required=True)
    subject = fields.String(required=True)
    sequence = fields.Integer(load_default=None, allow_none=True)
    time = fields.AwareDateTime(required=True)
    data = fields.Dict(required=True)


class RefusedRow(Schema):
    """A row that was not taken."""

    row = fields.Integer(required=True)
    field = fields.String()
    rule = fields.String(required=True)
    message = fields.String(required=True)


class ImportShown(Schema):
    """What an import came to."""

    rows = fields.Integer(required=True)
    published = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    withdrawn = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    withheld = fields.Integer(required=True)
    refused = fields.List(fields.Nested(RefusedRow), required=True)


class ImportQuery(Body):
    """Query of ``POST /v1/imports``."""

    form = fields.String(required=True, validate=validate.OneOf(("kouta", "ooapi", "csv")))


class OfferingsQuery(Body):
    """Query of ``GET /v1/offerings``."""

    provider = fields.String(validate=CODE)
    withdrawn = fields.Boolean(load_default=False, truthy={"true"}, falsy={"false"})
    after = fields.String(validate=validate.Length(1, 200), metadata={"description": "Only ids that follow this one"})


class MatchQuery(Body):
    """Query of ``GET /v1/matches/{client}``."""

    language = fields.String(validate=LANGUAGE)
