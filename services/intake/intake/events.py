"""What intake publishes, and the contract of what partners' systems publish to it; this service owns them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from chassis.decision import Classification, Contract, published
from intake.domain import Client
from intake.schemas import ClientRead

SKILL = "http://data.europa.eu/esco/skill/d21bcba8-ecf5-4ac3-9a6c-25a5afa42ea2"
OCCUPATION = "http://data.europa.eu/esco/occupation/00030d09-2b3a-4efd-87cc-c4ea39d27c34"
WISHES: dict[str, Any] = {
    "places": ["743", "145"],
    "modes": ["on-site", "blended"],
    "times": ["evening"],
    "languages": ["fi"],
    "maxPrice": "200",
    "startsBy": "2027-08-31",
    "employmentEffect": "employed",
}
REGISTERED: dict[str, Any] = {
    "home": "kunta",
    "language": "fi",
    "municipality": "743",
    "goal": {"occupation": OCCUPATION, "field": None},
    "wishes": WISHES,
    "consent": {"scope": ["assessment", "referral", "disclosure"], "basis": "consent", "given": "2026-11-24"},
    "coach": "kunta-12",
}


class Wishes(Schema):
    """Where, how and when the client wants to study."""

    places = fields.List(fields.String(), metadata={"description": "Codes of municipalities"})
    modes = fields.List(fields.String())
    times = fields.List(fields.String())
    languages = fields.List(fields.String())
    max_price = fields.Decimal(
        data_key="maxPrice", allow_none=True, as_string=True, metadata={"description": "In euro"}
    )
    starts_by = fields.Date(data_key="startsBy", allow_none=True)
    employment_effect = fields.String(data_key="employmentEffect", allow_none=True)


class Goal(Schema):
    """What the client aims at."""

    occupation = fields.String(allow_none=True, metadata={"description": "ESCO URI"})
    field = fields.String(allow_none=True, metadata={"description": "ISCED-F code"})


class Consent(Schema):
    """What the client consents to."""

    scope = fields.List(fields.String())
    basis = fields.String()
    given = fields.Date(allow_none=True)


class ClientState(Schema):
    """A client without the person: no name, no free text."""

    home = fields.String(required=True)
    language = fields.String(required=True)
    municipality = fields.String(
        required=True, allow_none=True, metadata={"description": "Code; null under an order of non-disclosure"}
    )
    goal = fields.Nested(Goal, required=True)
    wishes = fields.Nested(Wishes, required=True)
    consent = fields.Nested(Consent, required=True)
    coach = fields.String(allow_none=True, metadata={"description": "Staff id"})


def state_of(client: Client, home: str) -> dict[str, Any]:
    """What may be known of a client outside."""
    return {
        "home": home,
        "language": client.language,
        "municipality": client.open_municipality,
        "goal": client.goal,
        "wishes": client.wishes,
        "consent": client.consent,
        "coach": client.coach,
    }


TO_ASSESSOR = "intake → own organisation, and the organisation that assesses"


@published(
    Contract(
        name="client.registered",
        classification=Classification.PSEUDONYMOUS,
        says="A client is known at home; no name and no free text.",
        route=TO_ASSESSOR,
        example=REGISTERED,
    )
)
class ClientRegistered(ClientState):
    """A client is known."""


@published(
    Contract(
        name="client.updated",
        classification=Classification.PSEUDONYMOUS,
        says="What is known of a client has changed; the whole of it is said again.",
        route=TO_ASSESSOR,
        example=REGISTERED,
    )
)
class ClientUpdated(ClientState):
    """What is known has changed."""


@published(
    Contract(
        name="words.given",
        classification=Classification.PERSONAL,
        says="The client's own words; proposals point into the text by offset and length.",
        route="intake → the organisation that assesses",
        example={"language": "fi", "text": "Olen hoitanut vanhuksia ja osaan hitsata.", "coach": "kunta-12"},
    )
)
class WordsGiven(Schema):
    """The client's own words."""

    language = fields.String(required=True)
    text = fields.String(required=True)
    coach = fields.String(allow_none=True)


class Level(Schema):
    """A skill with its level."""

    skill = fields.String(required=True, metadata={"description": "ESCO URI"})
    level = fields.Integer(required=True, metadata={"description": "1 to 5"})


@published(
    Contract(
        name="profile.answered",
        classification=Classification.PSEUDONYMOUS,
        says="What the client confirmed, rejected and added; only confirmed and added skills count.",
        route="home → assessment",
        example={"confirmed": [{"skill": SKILL, "level": 4}], "rejected": [], "added": []},
    )
)
class ProfileAnswered(Schema):
    """What the client said to the proposals."""

    confirmed = fields.List(fields.Nested(Level), required=True)
    rejected = fields.List(fields.String(), required=True)
    added = fields.List(fields.Nested(Level), required=True)


@published(
    Contract(
        name="client.disclosed",
        classification=Classification.PERSONAL,
        says="Name and contact, after acceptance and within consent; sealed for the organisation that accepted.",
        route="intake → referral of the organisation that accepted",
        example={
            "sender": "kunta",
            "referral": "01938a2e-7c1b-7d3e-8b1f-000000000001",
            "given": "Aino",
            "family": "Esimerkki",
            "email": "aino@example.fi",
            "phone": "+358 40 000 0000",
            "language": "fi",
        },
    )
)
class ClientDisclosed(Schema):
    """Name and contact."""

    sender = fields.String(required=True)
    referral = fields.String(required=True)
    given = fields.String(required=True)
    family = fields.String(required=True)
    email = fields.String(allow_none=True)
    phone = fields.String(allow_none=True)
    language = fields.String(required=True)


@published(
    Contract(
        name="client.referred",
        classification=Classification.PERSONAL,
        says="A coach's own system hands a client over; a second one with the same case number updates the first.",
        route="partner system → intake",
        example={
            "caseNumber": "A-2026-17",
            "given": "Aino",
            "family": "Esimerkki",
            "email": "aino@example.fi",
            "language": "fi",
            "municipality": "743",
            "goal": {"occupation": OCCUPATION},
            "wishes": WISHES,
            "words": "Olen hoitanut vanhuksia ja osaan hitsata.",
            "consent": {"scope": ["assessment", "referral", "disclosure"], "basis": "consent", "given": "2026-11-24"},
            "nonDisclosure": False,
            "coach": "kunta-12",
        },
    )
)
class ClientReferred(ClientRead):
    """A client as a partner's system says it."""
