"""What catalogue publishes: offerings to everybody, and what it suggests to its own organisation."""

from __future__ import annotations

from marshmallow import Schema, fields

from catalogue.domain import Kind, Mode, Time
from chassis.decision import Classification, Contract, published

EXAMPLE = {
    "provider": "sedu",
    "names": {"fi": "Hitsauksen perusteet", "en": "Basics of welding"},
    "description": {"fi": "MIG- ja MAG-hitsaus, työturvallisuus ja tulityökortti."},
    "kind": "amm-tutkinnon-osa",
    "place": {"municipality": "743", "name": "Törnäväntie 26"},
    "modes": ["on-site"],
    "times": ["evening"],
    "languages": ["fi"],
    "starts": "2027-02-01",
    "ends": "2027-05-28",
    "enrolment": {"opens": "2026-11-02", "closes": "2027-01-15", "continuous": False},
    "price": "0.00",
    "credits": {"amount": "25", "unit": "osp"},
    "skills": ["http://data.europa.eu/esco/skill/530cb489-d900-46ab-9350-4d50ccd49eea"],
    "keywords": {"fi": ["hitsaus", "tulityö"]},
    "capacity": 12,
    "link": "https://sedu.fi/hitsaus",
    "requires": [],
    "origin": {"system": "kouta", "id": "1.2.246.562.17.00000000001"},
    "freshUntil": "2027-02-22",
    "withdrawn": False,
}

ROUTE = "the provider's catalogue or other system → all"


class PlaceSaid(Schema):
    """Where an offering is."""

    municipality = fields.String(allow_none=True)
    name = fields.String(allow_none=True)


class EnrolmentSaid(Schema):
    """When one can enrol."""

    opens = fields.Date(allow_none=True)
    closes = fields.Date(allow_none=True)
    continuous = fields.Boolean()


class CreditsSaid(Schema):
    """How much it is."""

    amount = fields.Decimal(as_string=True, required=True)
    unit = fields.String(required=True)


class OriginSaid(Schema):
    """Which system it comes from, and its id there."""

    system = fields.String(required=True)
    id = fields.String(required=True)


class OfferingState(Schema):
    """One whole offering."""

    provider = fields.String(required=True)
    names = fields.Dict(fields.String(), fields.String(), required=True)
    description = fields.Dict(fields.String(), fields.String())
    kind = fields.Enum(Kind, by_value=True, required=True)
    place = fields.Nested(PlaceSaid)
    modes = fields.List(fields.Enum(Mode, by_value=True))
    times = fields.List(fields.Enum(Time, by_value=True))
    languages = fields.List(fields.String())
    starts = fields.Date(allow_none=True)
    ends = fields.Date(allow_none=True)
    enrolment = fields.Nested(EnrolmentSaid)
    price = fields.Decimal(as_string=True, allow_none=True)
    credits = fields.Nested(CreditsSaid, allow_none=True)
    skills = fields.List(fields.String())
    keywords = fields.Dict(fields.String(), fields.List(fields.String()))
    capacity = fields.Integer(allow_none=True)
    link = fields.String(allow_none=True)
    requires = fields.List(fields.String())
    origin = fields.Nested(OriginSaid, allow_none=True)
    fresh_until = fields.Date(data_key="freshUntil", allow_none=True)
    withdrawn = fields.Boolean()


@published(
    Contract(
        name="offering.published",
        classification=Classification.PUBLIC,
        says="One offering that is new to the network, or offered again: dated, placed, with what it teaches.",
        route=ROUTE,
        example=EXAMPLE,
    )
)
class OfferingPublished(OfferingState):
    """One offering that is new."""


@published(
    Contract(
        name="offering.changed",
        classification=Classification.PUBLIC,
        says="One offering as it now is: something in it changed, or it was seen again and stays fresh.",
        route=ROUTE,
        example=EXAMPLE,
    )
)
class OfferingChanged(OfferingState):
    """One offering that changed."""


@published(
    Contract(
        name="offering.withdrawn",
        classification=Classification.PUBLIC,
        says="One offering that is no longer offered. A guest may say its provider only.",
        route=ROUTE,
        example=EXAMPLE | {"withdrawn": True},
    )
)
class OfferingWithdrawn(OfferingState):
    """One offering that is no longer offered."""


class ReasonSaid(Schema):
    """Why: a code, and what the words need."""

    code = fields.String(required=True)
    parameters = fields.Dict()


class SuggestionSaid(Schema):
    """One suggested offering."""

    offering = fields.String(required=True)
    provider = fields.String(required=True)
    names = fields.Dict(fields.String(), fields.String())
    starts = fields.Date(allow_none=True)
    place = fields.Nested(PlaceSaid)
    score = fields.Float()
    covers = fields.List(fields.String())
    reasons = fields.List(fields.Nested(ReasonSaid))


@published(
    Contract(
        name="match.suggested",
        classification=Classification.PSEUDONYMOUS,
        says="Which open offerings fit a plan, the best first, a path through them, and what none of them meets.",
        route="catalogue → own organisation (referral, notify)",
        example={
            "planVersion": 1,
            "language": "fi",
            "suggestions": [
                {
                    "offering": "sedu.1.2.246.562.17.00000000001",
                    "provider": "sedu",
                    "names": EXAMPLE["names"],
                    "starts": "2027-02-01",
                    "place": {"municipality": "743", "name": "Törnäväntie 26"},
                    "score": 0.35,
                    "covers": EXAMPLE["skills"],
                    "reasons": [
                        {"code": "near", "parameters": {"municipality": "743", "names": {"fi": "Seinäjoki"}}},
                        {"code": "enrolment-until", "parameters": {"date": "2027-01-15"}},
                    ],
                }
            ],
            "path": ["sedu.1.2.246.562.17.00000000001"],
            "uncovered": [],
            "coach": "kunta-1",
        },
    )
)
class MatchSuggested(Schema):
    """What fits a plan."""

    plan_version = fields.Integer(data_key="planVersion", required=True)
    language = fields.String(required=True)
    suggestions = fields.List(fields.Nested(SuggestionSaid), required=True)
    path = fields.List(fields.String())
    uncovered = fields.List(fields.String())
    coach = fields.String(allow_none=True)


class OfferingShown(OfferingPublished):
    """One offering over HTTP."""

    id = fields.String(required=True)
