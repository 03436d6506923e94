"""What assessment accepts: the few fields of intake's events that it reads, its HTTP bodies, and uploaded records."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields, post_load, validate

from assessment.domain import Confirmed, Domain, Goal, Step, StepKind, Wanted
from assessment.languages import LANGUAGES

MOST_SKILLS = 300
"""Skills in one answer, and of one client."""

MOST_CHARACTERS = 20_000
"""Code points of a client's words."""

MOST_SEARCHED = 500
"""Characters of a search: each may need 12 in an address, which has 8,192."""

MOST_RELATIONS = 1500
MOST_ALTERNATIVES = 100

LANGUAGE = validate.OneOf(LANGUAGES)
CODE = validate.Regexp(r"^[a-z]{1,40}\Z", error="is not an organisation's code")
STAFF_ID = validate.Regexp(r"^[a-z]+-[a-z0-9-]{1,60}\Z", error="is not a staff id such as kunta-12")
MUNICIPALITY = validate.Regexp(r"^[0-9]{3}\Z", error="is not a municipality's three digits")
URI = validate.Regexp(r"^http://data\.europa\.eu/esco/[A-Za-z0-9./-]{1,100}\Z", error="is not an ESCO identifier")
SHORT = validate.Length(min=1, max=100)
NAME = validate.Length(min=1, max=1000)
FEW = validate.Length(max=60)
MANY = validate.Length(max=MOST_SKILLS)


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


class GoalRead(Reader):
    """What the client wants."""

    occupation = fields.String(load_default=None, allow_none=True, validate=URI)
    field = fields.String(load_default=None, allow_none=True, validate=SHORT)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Goal:
        """As the domain has it."""
        return Goal(**data)


class WishesRead(Reader):
    """What the client wishes for; assessment passes it on with the plan."""

    places = fields.List(fields.String(validate=MUNICIPALITY), load_default=list, validate=FEW)
    modes = fields.List(fields.String(validate=SHORT), load_default=list, validate=FEW)
    times = fields.List(fields.String(validate=SHORT), load_default=list, validate=FEW)
    languages = fields.List(fields.String(validate=SHORT), load_default=list, validate=FEW)
    max_price = fields.String(data_key="maxPrice", load_default=None, allow_none=True, validate=SHORT)
    starts_by = fields.String(data_key="startsBy", load_default=None, allow_none=True, validate=SHORT)
    employment_effect = fields.String(data_key="employmentEffect", load_default=None, allow_none=True, validate=SHORT)


class ClientRegistered(Reader):
    """``client.registered`` and ``client.updated``: the client without the person."""

    home = fields.String(required=True, validate=CODE)
    language = fields.String(required=True, validate=LANGUAGE)
    municipality = fields.String(load_default=None, allow_none=True, validate=MUNICIPALITY)
    goal = fields.Nested(GoalRead, load_default=Goal)
    wishes = fields.Nested(WishesRead, load_default=dict)
    prior_learning = fields.List(
        fields.String(validate=NAME), data_key="priorLearning", load_default=list, allow_none=True, validate=MANY
    )
    coach = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)


class WordsGiven(Reader):
    """``words.given``: the client's own words."""

    language = fields.String(required=True, validate=LANGUAGE)
    text = fields.String(required=True, validate=validate.Length(max=MOST_CHARACTERS))
    coach = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)


class Level(Reader):
    """A skill and how well the client has it."""

    skill = fields.String(required=True, validate=URI)
    level = fields.Integer(required=True, strict=True, validate=validate.Range(min=1, max=5))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Confirmed:
        """As the domain has it."""
        return Confirmed(**data)


class ProfileAnswered(Reader):
    """``profile.answered``: what the client said to the proposals."""

    confirmed = fields.List(fields.Nested(Level), load_default=list, validate=MANY)
    rejected = fields.List(fields.String(validate=URI), load_default=list, validate=MANY)
    added = fields.List(fields.Nested(Level), load_default=list, validate=MANY)


class WantedBody(Body):
    """A transversal skill that the coach counts."""

    skill = fields.String(required=True, validate=URI)
    weight = fields.Float(load_default=1.0, validate=validate.Range(min=0, max=1))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Wanted:
        """As the domain has it."""
        return Wanted(**data)


class StepBody(Body):
    """A step that the coach adds."""

    kind = fields.Enum(StepKind, by_value=True, required=True)
    skill = fields.String(load_default=None, allow_none=True, validate=URI)
    responsible = fields.String(load_default=None, allow_none=True, validate=STAFF_ID)
    due = fields.Date(load_default=None, allow_none=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Step:
        """As the domain has it."""
        return Step(**data)


class RevisionBody(Body):
    """Body of ``POST /v1/plans/{client}``; what is not named stays as it is."""

    home = fields.String(load_default=None, allow_none=True, validate=CODE)
    transversal = fields.List(fields.Nested(WantedBody), validate=FEW)
    steps = fields.List(fields.Nested(StepBody), validate=FEW)
    review_date = fields.Date(data_key="reviewDate", allow_none=True)


class CountsRead(Reader):
    """How many records an upload has."""

    skills = fields.Integer(required=True, strict=True, validate=validate.Range(min=1))
    occupations = fields.Integer(required=True, strict=True, validate=validate.Range(min=0))
    relations = fields.Integer(load_default=0, strict=True, validate=validate.Range(min=0))


def _by_language(inner: fields.Field[Any], **kwargs: Any) -> fields.Dict:
    return fields.Dict(fields.String(validate=LANGUAGE), inner, **kwargs)


class Record(Body):
    """One line of an upload: ``begin``, a ``skill``, an ``occupation``, or ``complete``."""

    kind = fields.String(required=True, validate=validate.OneOf(("begin", "skill", "occupation", "complete")))


class BeginRecord(Record):
    """The first line of an upload."""

    source = fields.String(required=True, validate=SHORT)


class CompleteRecord(Record):
    """The last line of an upload."""

    counts = fields.Nested(CountsRead, required=True)
    dangling = fields.Integer(load_default=0, strict=True, validate=validate.Range(min=0))


class SkillRecord(Record):
    """A skill."""

    uri = fields.String(required=True, validate=URI)
    labels = _by_language(fields.String(validate=NAME), required=True, validate=validate.Length(min=1))
    alternatives = _by_language(
        fields.List(fields.String(validate=NAME), validate=validate.Length(max=MOST_ALTERNATIVES)), load_default=dict
    )
    domain = fields.String(load_default=None, allow_none=True, validate=validate.OneOf([one.value for one in Domain]))


class OccupationRecord(Record):
    """An occupation with its skills."""

    uri = fields.String(required=True, validate=URI)
    labels = _by_language(fields.String(validate=NAME), required=True, validate=validate.Length(min=1))
    alternatives = _by_language(
        fields.List(fields.String(validate=NAME), validate=validate.Length(max=MOST_ALTERNATIVES)), load_default=dict
    )
    group = fields.String(load_default="", validate=validate.Length(max=10))
    essential = fields.List(
        fields.String(validate=URI), load_default=list, validate=validate.Length(max=MOST_RELATIONS)
    )
    optional = fields.List(fields.String(validate=URI), load_default=list, validate=validate.Length(max=MOST_RELATIONS))


RECORDS = {
    "begin": BeginRecord(),
    "skill": SkillRecord(),
    "occupation": OccupationRecord(),
    "complete": CompleteRecord(),
}


class PlanQuery(Body):
    """Query of ``GET /v1/plans/{client}``."""

    home = fields.String(validate=CODE)
    version = fields.Integer(validate=validate.Range(min=1))


class ProfileQuery(Body):
    """Query of ``GET /v1/profiles/{client}``."""

    home = fields.String(validate=CODE)


class SearchQuery(Body):
    """Query of the searches in the vocabulary."""

    text = fields.String(load_default="", validate=validate.Length(max=MOST_SEARCHED))
    language = fields.String(load_default="fi", validate=LANGUAGE)


class LabelsShown(Schema):
    """What is found in the vocabulary."""

    labels = fields.Dict(fields.String(), fields.String(), required=True)
    score = fields.Float(required=True)


class SkillFound(LabelsShown):
    """A skill that is found."""

    skill = fields.String(required=True)


class OccupationFound(LabelsShown):
    """An occupation that is found."""

    occupation = fields.String(required=True)


class VocabularyShown(Schema):
    """How much a vocabulary holds, and where it comes from."""

    skills = fields.Integer(required=True)
    occupations = fields.Integer(required=True)
    relations = fields.Integer(required=True)
    dangling = fields.Integer(required=True)
    source = fields.String(required=True)
    generation = fields.String(required=True)
    attribution = fields.String(required=True)


class UploadShown(Schema):
    """How far an upload has come; with its last page, what the vocabulary then holds."""

    complete = fields.Boolean(required=True)
    received = fields.Integer()
