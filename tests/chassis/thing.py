"""A small service to test the chassis with: things that are made, counted, reminded of and told about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import eventlet
from marshmallow import EXCLUDE, RAISE, Schema, fields, validate

from chassis.decision import (
    ALL,
    Classification,
    Contract,
    Decision,
    Effect,
    Handlers,
    Invalid,
    Message,
    Publish,
    Refused,
    Tell,
    Unknown,
    anyone,
    personal,
    published,
)
from chassis.effects import EffectCall, GiveUp
from chassis.projection import projection
from chassis.service import Service
from chassis.web import Request, Stream, command, get, post

UNLUCKY = 13
"""The amount at which there is a programming error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    owner: str
    count: int = 0
    note: str | None = personal(default=None)
    reminded: int = 0
    done: int = 0
    failed: int = 0
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    given: str = personal(default="")
    family: str | None = personal(default=None)


class ThingMade(Schema):
    class Meta:
        unknown = EXCLUDE

    amount = fields.Integer(required=True, validate=validate.Range(min=0, max=1000))
    text = fields.String(load_default=None, allow_none=True)


class Body(Schema):
    class Meta:
        unknown = RAISE

    amount = fields.Integer(required=True)
    note = fields.String(load_default=None)


class View(Schema):
    owner = fields.String()
    count = fields.Integer()
    reminded = fields.Integer()


def contract(name: str, classification: Classification = Classification.PSEUDONYMOUS) -> Contract:
    return Contract(name=name, classification=classification, says="x", route="x", example={"count": 1})


@published(contract("thing.counted"))
class ThingCounted(Schema):
    count = fields.Integer(required=True)


@published(contract("thing.whispered", Classification.PERSONAL))
class ThingWhispered(Schema):
    count = fields.Integer(required=True)


class TooMuch(Refused):
    """The rule that a thing's count stays below 1000."""


def guilty(message: Message) -> str:
    if message.data["amount"] == UNLUCKY:
        raise RuntimeError("a programming error in a key")
    return message.subject


on = Handlers("test")
things = on.aggregate("thing", Thing, view=View)
people = on.aggregate("person", Person)


@people.event("person.named", ThingMade, said_by=anyone, key=guilty)
def name(person: Person | None, message: Message, _reads: Any) -> Decision[Person]:
    return Decision(state=replace(person or Person(), given=message.data["text"] or ""))


@people.event("person.seen", ThingMade, said_by=anyone)
def see(person: Person | None, _message: Message, _reads: Any) -> Decision[Person]:
    return Decision(state=person or Person(given=None))  # type: ignore[arg-type] - nothing personal in it


@things.event("thing.read", ThingMade, said_by=anyone)
def read(_thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    if message.data["amount"] == 99:
        raise Invalid("amount: must not be 99", field="amount")
    return Decision()


@things.event("thing.worded", ThingMade, said_by=anyone)
def word(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    thing = thing or Thing(owner=message.organisation)
    return Decision(state=replace(thing, words={message.data["text"]: "a name that the store may not take"}))


@things.event("thing.dated", ThingMade, said_by=anyone)
def ask_with_a_date(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(
        state=thing or Thing(owner="kunta"), effects=[Effect("work", message.id, {"amount": message.at.date()})]
    )


@things.event("thing.hurried", ThingMade, said_by=anyone)
def hurry(thing: Thing | None, _message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(state=thing or Thing(owner="kunta"), timers={"remind": datetime(2030, 1, 1)})  # noqa: DTZ001 - the fault


@things.event("thing.made", ThingMade, said_by=anyone)
def count(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    thing = thing or Thing(owner=message.organisation)
    if message.data["amount"] == UNLUCKY:
        raise RuntimeError("a programming error")
    thing = replace(thing, count=thing.count + message.data["amount"])
    if thing.count >= 1000:
        raise TooMuch("count: must stay below 1000", field="count")
    return Decision(state=thing, publish=[Publish(ThingCounted, to="kunta", data={"count": thing.count})])


@things.event(
    "thing.owned", ThingMade, said_by=lambda thing, message: thing is None or thing.owner == message.organisation
)
def own(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(state=thing or Thing(owner=message.organisation))


@things.event("thing.raced", ThingMade, said_by=anyone)
def lose(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(state=thing or Thing(owner=message.organisation), superseded=True, reason="another was first")


@things.event("thing.abroad", ThingMade, said_by=anyone)
def abroad(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(
        state=thing or Thing(owner=message.organisation),
        publish=[
            Publish(ThingCounted, to="seamk", data={"count": 1}),
            Publish(ThingWhispered, to="seamk", data={"count": 7}),
        ],
    )


@things.event("thing.shouted", ThingMade, said_by=anyone)
def shout(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(
        state=thing or Thing(owner=message.organisation),
        publish=[Publish(ThingCounted, to=ALL, data={"count": 1})],
    )


@things.event("thing.told", ThingMade, said_by=anyone)
def tell(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(
        state=thing or Thing(owner=message.organisation),
        tell=[Tell("thing.heard", "other", {"amount": message.data["amount"]}, personal=True)],
    )


@things.told("thing.heard", ThingMade)
def hear(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(state=replace(thing or Thing(owner="kunta"), count=message.data["amount"]))


@things.event("thing.timed", ThingMade, said_by=anyone)
def set_timer(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    due = message.at + timedelta(days=message.data["amount"])
    return Decision(state=thing or Thing(owner=message.organisation), timers={message.data["text"] or "remind": due})


@things.timer("remind")
def remind(thing: Thing, _message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(
        state=replace(thing, reminded=thing.reminded + 1),
        publish=[Publish(ThingCounted, to="kunta", data={"count": thing.count})],
    )


@things.timer("quiet")
def say_nothing(_thing: Thing, _message: Message, _reads: Any) -> Decision[Thing]:
    return Decision()


@things.timer("angry")
def refuse(_thing: Thing, _message: Message, _reads: Any) -> Decision[Thing]:
    raise TooMuch("count: a timer that refuses")


@things.timer("broken")
def fail(_thing: Thing, _message: Message, _reads: Any) -> Decision[Thing]:
    raise RuntimeError("a programming error")


@things.event("thing.worked", ThingMade, said_by=anyone)
def work(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    return Decision(
        state=thing or Thing(owner=message.organisation),
        effects=[Effect("work", message.data["text"] or message.id, {"amount": message.data["amount"]})],
    )


@things.result("work")
def worked(thing: Thing, message: Message, _reads: Any) -> Decision[Thing]:
    if message.failed:
        return Decision(state=replace(thing, failed=thing.failed + 1))
    if message.data["amount"] == 5 and not MENDED:
        raise TooMuch("amount: a result that is refused")
    if message.data["amount"] == 6:
        raise RuntimeError("a programming error")
    return Decision(state=replace(thing, done=thing.done + message.data["amount"]))


@things.command("make", Body, key=lambda message: message.path.get("id") or message.ids.new())
def make(thing: Thing | None, message: Message, _reads: Any) -> Decision[Thing]:
    if message.data["amount"] == 99:
        raise Invalid("amount: must not be 99", field="amount")
    if message.data["amount"] == 98:
        raise TooMuch("amount: is too much")
    if message.data["amount"] == UNLUCKY:
        raise RuntimeError("secret value in a programming error")
    thing = thing or Thing(owner="kunta")
    return Decision(
        state=replace(thing, count=message.data["amount"], note=message.data["note"]),
        publish=[Publish(ThingCounted, to="kunta", data={"count": message.data["amount"]})],
    )


@things.command("need", None)
def need(thing: Thing | None, _message: Message, _reads: Any) -> Decision[Thing]:
    if thing is None:
        raise Unknown("id: there is no such thing")
    return Decision(state=thing)


CALLS: list[EffectCall] = []
AWAY: list[bool] = []
MENDED: list[bool] = []


def worker(_service: Any) -> Any:
    def do(call: EffectCall) -> dict[str, Any] | None:
        CALLS.append(call)
        if AWAY:
            raise ConnectionRefusedError("nobody is there")
        if call.data["amount"] == 7 and not MENDED:
            raise GiveUp("amount: nobody can do seven")
        if call.data["amount"] == 8 and call.attempt < 3:
            raise RuntimeError("not now")
        if call.data["amount"] == 9:
            # Raised by itself: one with seconds would strike whatever runs in this thread when they are over.
            raise eventlet.Timeout(None)
        if call.data["amount"] == 3:
            eventlet.sleep(3600)
        return None if call.data["amount"] == 4 else {"did": call.attempt}

    return do


class Things(Service):
    name = "test"
    handlers = on
    effects = {"work": worker}
    counts = projection("thing", lambda _id, thing: thing.count)

    make = command("POST", "/v1/things", name="make", roles={"coach"})
    make_at = command("PUT", "/v1/things/{id}", name="make", roles={"coach"})
    need = command("POST", "/v1/things/{id}/need", name="need", roles={"coach"})

    @get("/v1/things")
    def list_things(self, _request: Request) -> Stream:
        return Stream({"id": name, "count": value} for name, value in sorted(self.counts.view().items()))

    @get("/v1/things/{id}", roles={"coach"}, personal=True)
    def show(self, request: Request) -> dict[str, Any]:
        thing = self.state("thing", request.path["id"])
        if thing is None:
            raise Unknown("id: there is no such thing")
        return {"note": thing.note, "count": thing.count}

    @post("/v1/uploads", roles={"operator"}, limit=1000)
    def upload(self, request: Request) -> dict[str, Any]:
        return {"bytes": len(request.body)}
