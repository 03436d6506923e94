"""Offerings, plans and messages with defaults for all that a test does not care about."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from catalogue.domain import Enrolment, Kind, Offering, Origin, Place, Reads
from catalogue.events import OfferingPublished
from catalogue.index import OfferingIndex
from catalogue.plans import Gap, Plan
from chassis.decision import Network, Organisation

AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
TODAY = date(2026, 11, 24)
SKILL = "http://data.europa.eu/esco/skill/"
WELDING = f"{SKILL}530cb489-d900-46ab-9350-4d50ccd49eea"
NETWORK = Network(
    organisations={
        code: Organisation(code=code, names={"fi": code}, joins="member", assessor="kunta" if code == "kunta" else None)
        for code in ("kunta", "seamk", "sedu", "opisto")
    }
)


def offering(**fields: Any) -> Offering:
    given = {
        "provider": "sedu",
        "names": {"fi": "Hitsauksen perusteet"},
        "kind": Kind.AMM_UNIT,
        "fresh_until": date(2027, 2, 22),
        "enrolment": Enrolment(continuous=True),
        "place": Place(municipality="743"),
        "skills": (WELDING,),
        "origin": Origin(system="sheet", id="1"),
    }
    return Offering(**given | fields)


def wire(made: Offering) -> dict[str, Any]:
    dumped: dict[str, Any] = OfferingPublished().dump(made)
    return dumped


def index(**offerings: Offering) -> OfferingIndex:
    made = OfferingIndex()
    for name, one in offerings.items():
        made.put(f"{one.provider}.{name}", one)
    return made


def gap(skill: str = WELDING, **fields: Any) -> Gap:
    return Gap(**{"skill": skill, "labels": {"fi": "hitsaus", "en": "welding"}} | fields)


def plan(*gaps: Gap, **fields: Any) -> Plan:
    given: dict[str, Any] = {"version": 1, "language": "fi", "municipality": "743", "coach": "kunta-1"}
    return Plan(**given | {"gaps": gaps or (gap(),)} | fields)


def reads(found: OfferingIndex | None = None) -> Reads:
    return Reads(network=NETWORK, offerings=found if found is not None else OfferingIndex())
