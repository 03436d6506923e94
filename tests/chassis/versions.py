"""Two services that share an event: one says it in two versions, the other reads both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from marshmallow import EXCLUDE, Schema, fields

from chassis.decision import Classification, Contract, Decision, Handlers, Message, Older, Publish, anyone, published
from chassis.service import Service


class Told(Schema):
    class Meta:
        unknown = EXCLUDE

    name = fields.String(required=True)


class GivenName(Schema):
    """Version 2: what a name is, is said in parts."""

    class Meta:
        unknown = EXCLUDE

    given = fields.String(required=True)
    family = fields.String(required=True)


def contract(version: int) -> Contract:
    return Contract(
        name="name.given",
        version=version,
        classification=Classification.PSEUDONYMOUS,
        says="x",
        route="x",
        example={"given": "Aino", "family": "Aalto"},
    )


@published(contract(1))
class NameGivenOld(Schema):
    name = fields.Function(lambda said: f"{said['given']} {said['family']}")


@published(contract(2))
class NameGiven(GivenName):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    given: str = ""
    family: str = ""
    times: int = 0


speaks = Handlers("speaker")
spoken = speaks.aggregate("spoken", Name)


@spoken.event("name.told", Told, said_by=anyone)
def say(name: Name | None, message: Message, _reads: Any) -> Decision[Name]:
    given, _, family = message.data["name"].partition(" ")
    said = {"given": given, "family": family}
    versions = (NameGivenOld, NameGiven) if family == "Backwards" else (NameGiven, NameGivenOld)
    return Decision(state=name or Name(), publish=[Publish(schema, to="kunta", data=said) for schema in versions])


def in_parts(old: dict[str, str]) -> dict[str, str]:
    """What version 1 said, as version 2 says it."""
    given, _, family = old["name"].partition(" ")
    return {"given": given, "family": family}


reads = Handlers("reader")
known = reads.aggregate("known", Name)


@known.event("name.given", GivenName, said_by=anyone, version=2, older={1: Older(Told, in_parts)})
def know(name: Name | None, message: Message, _reads: Any) -> Decision[Name]:
    return Decision(state=replace(name or Name(), **message.data, times=(name.times if name else 0) + 1))


class Speaker(Service):
    name = "speaker"
    handlers = speaks


class Reader(Service):
    name = "reader"
    handlers = reads
