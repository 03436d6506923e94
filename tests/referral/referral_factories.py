"""Referrals, plans and views with defaults for all that a test does not care about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chassis.decision import Decision, Network, Organisation
from chassis.testing import decide
from referral.domain import (
    ENDS,
    Earlier,
    Goal,
    Journey,
    Made,
    Reads,
    Reason,
    Referral,
    Skill,
    Status,
    Suggestion,
)
from referral.handlers import on

OCCUPATION = "http://data.europa.eu/esco/occupation/1"
CLIENT = "c.abc"
ID = "r-1"
ACHIEVED = [{"goal": OCCUPATION, "result": "achieved"}]


def organisation(code: str, *addresses: str, **fields: Any) -> Organisation:
    return Organisation(code=code, names={"fi": code}, joins="member", addresses=addresses, **fields)


NETWORK = Network(
    organisations={
        "kunta": organisation("kunta", "seamk", "sedu", "ucs", assessor="kunta"),
        "seamk": organisation("seamk", "kunta"),
        "sedu": organisation("sedu", "kunta"),
        "ucs": organisation("ucs", "kunta"),
        "stranger": organisation("stranger"),
    }
)

JOURNEY = Journey(
    goal=Goal(occupation=OCCUPATION, labels={"fi": "sosiaaliohjaaja"}),
    language="sv",
    confirmed_skills=(Skill(skill="http://data.europa.eu/esco/skill/1", labels={"fi": "asiakaspalvelu"}, level=3),),
    coach="kunta-1",
    plan_version=2,
    suggestions=(
        Suggestion(offering="seamk.polku", provider="seamk", names={"fi": "Avoin polku"}),
        Suggestion(offering="sedu.lahi", provider="sedu", names={"fi": "Lähihoitaja"}),
    ),
)


def reads(**fields: Any) -> Reads:
    return Reads(**{"network": NETWORK, "journeys": {CLIENT: JOURNEY}} | fields)


def referral(status: Status = Status.REQUESTED, *, ended_by: str | None = None, **fields: Any) -> Referral:
    """A referral from kunta to seamk in any state."""
    ended = (ended_by or "seamk") if status in ENDS else None
    if status is Status.ENTERED_IN_ERROR:
        ended = "kunta"
    return Referral(
        **{
            "id": ID,
            "sender": "kunta",
            "receiver": "seamk",
            "client": CLIENT,
            "offering": "seamk.polku",
            "offering_names": {"fi": "Avoin polku"},
            "goal": JOURNEY.goal,
            "status": status,
            "ended_by": ended,
            "reason": Reason.HEALTH if status is Status.ON_HOLD else None,
        }
        | fields
    )


def made(**known: tuple[str, str]) -> dict[str, Made]:
    return {f"kunta/{name}": Made(client=client, receiver=receiver) for name, (client, receiver) in known.items()}


def earlier(receiver: str, identifier: str = "r-0") -> Earlier:
    return Earlier(id=identifier, receiver=receiver)


def command(name: str, state: Any = None, data: Any = None, *, own: str = "kunta", **fields: Any) -> Decision[Any]:
    """A command at one organisation about the usual referral."""
    given = {"path": {"sender": "kunta", "id": ID}, "person": f"{own}-1", "reads": reads()} | fields
    return decide(on, "command", name, state, data or {}, own=own, **given)


def heard(name: str, state: Any = None, data: Any = None, *, by: str, own: str, **fields: Any) -> Decision[Any]:
    """An event of one organisation that arrives at another."""
    given = {"subject": ID, "correlation": CLIENT, "reads": reads()} | fields
    return decide(on, "event", name, state, data or {}, organisation=by, own=own, **given)


def ended(state: Referral, status: Status, by: str) -> Referral:
    return replace(state, status=status, ended_by=by)
