"""Two small services whose aggregates hold exactly what was applied, and how often.

`First` takes what the producers send and passes it on; `Second` takes what follows, over outbox and broker. Every
event carries its number, and an aggregate counts each number, so that a look at the stores decides what was lost and
what was applied twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields

from chassis.decision import (
    Classification,
    Contract,
    Decision,
    Handlers,
    Message,
    Publish,
    Refused,
    Tell,
    anyone,
    own,
    published,
)
from chassis.service import Service
from chassis.web import command

NEXT = "seamk"
"""The organisation that `Second` belongs to."""

TOO_MUCH = 1000
"""An amount that a rule refuses."""

BROKEN = 13
"""An amount that the service's code fails at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How often each number was applied."""

    applied: Mapping[str, int] = field(default_factory=dict)

    def and_this(self, message: Message) -> dict[str, int]:
        """The counts after one more message."""
        number = str(message.data["n"])
        return {**self.applied, number: self.applied.get(number, 0) + 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Counted):
    """What was deposited, and the total that was last told to `Second`."""

    total: int = 0
    stated: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The newest value."""

    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """How often somebody asked to be reminded, and how often that happened."""

    asked: int = 0
    rang: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An account's total as it was last told."""

    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How often something was heard."""

    times: int = 0


class Reader(Schema):
    class Meta:
        unknown = EXCLUDE


class Numbered(Reader):
    n = fields.Integer(required=True)


class Deposit(Numbered):
    account = fields.String(required=True)
    amount = fields.Integer(required=True)
    state = fields.Boolean(required=True)
    tell = fields.Boolean(required=True)
    text = fields.String(load_default="")


class ByHand(Schema):
    class Meta:
        unknown = RAISE

    n = fields.Integer(required=True)
    amount = fields.Integer(required=True)


class AccountView(Schema):
    total = fields.Integer()


class Wish(Numbered):
    seconds = fields.Integer(required=True)


class Anything(Reader):
    """What is not read."""


def contract(name: str) -> Contract:
    return Contract(name=name, classification=Classification.PUBLIC, says="x", route="x", example={})


@published(contract("deposit.passed"))
class DepositPassed(Numbered):
    account = fields.String(required=True)


@published(contract("account.stated"))
class AccountStated(Reader):
    total = fields.Integer(required=True)


@published(contract("reminder.rung"))
class ReminderRung(Reader):
    """Its subject says which."""


class TooMuch(Refused):
    """The rule that a deposit stays below `TOO_MUCH`."""


def by_group(message: Message) -> str:
    """Subjects are ``<group>.<number>``: each is a stream of its own, so that none supersedes another."""
    return message.subject.partition(".")[0]


first = Handlers("first")
accounts = first.aggregate("account", Account, view=AccountView)
levels = first.aggregate("level", Level)
reminders = first.aggregate("reminder", Reminder)
echoes = first.aggregate("echo", Counted)
boards = first.aggregate("board", Counted)


@accounts.event("deposit.made", Deposit, said_by=anyone, key=lambda message: message.data["account"])
def deposit(account: Account | None, message: Message, _reads: Any) -> Decision[Account]:
    data = message.data
    if data["amount"] >= TOO_MUCH:
        raise TooMuch(f"amount: must be below {TOO_MUCH}", field="amount")
    if data["amount"] == BROKEN:
        raise RuntimeError("a programming error")
    account = _with(account, message)
    publish = [_passed(data["account"], data["n"])]
    if data["state"]:
        account = replace(account, stated=account.total)
        publish.append(Publish(AccountStated, to=NEXT, data={"total": account.total}))
    tell = [Tell("deposit.echoed", data["account"], {"n": data["n"]})] if data["tell"] else []
    return Decision(state=account, publish=publish, tell=tell)


@accounts.command("deposit-by-hand", ByHand, key=lambda message: message.path["id"])
def deposit_by_hand(account: Account | None, message: Message, _reads: Any) -> Decision[Account]:
    return Decision(state=_with(account, message), publish=[_passed(message.path["id"], message.data["n"])])


@accounts.event("deposit.voided", Deposit, said_by=own, key=lambda message: message.data["account"])
def void(account: Account | None, _message: Message, _reads: Any) -> Decision[Account]:
    return Decision(state=account or Account())


@echoes.told("deposit.echoed", Numbered)
def echo(counted: Counted | None, message: Message, _reads: Any) -> Decision[Counted]:
    return Decision(state=Counted(applied=(counted or Counted()).and_this(message)))


@levels.event("level.set", Numbered, said_by=anyone)
def set_level(_level: Level | None, message: Message, _reads: Any) -> Decision[Level]:
    return Decision(state=Level(value=message.data["n"]))


@reminders.event("reminder.asked", Wish, said_by=anyone)
def ask(reminder: Reminder | None, message: Message, _reads: Any) -> Decision[Reminder]:
    reminder = reminder or Reminder()
    due = message.at + timedelta(seconds=message.data["seconds"])
    return Decision(state=replace(reminder, asked=reminder.asked + 1), timers={"ring": due})


@reminders.timer("ring")
def ring(reminder: Reminder, _message: Message, _reads: Any) -> Decision[Reminder]:
    return Decision(state=replace(reminder, rang=reminder.rang + 1), publish=[Publish(ReminderRung, to=NEXT, data={})])


def pin(board: Counted | None, message: Message, _reads: Any) -> Decision[Counted]:
    return Decision(state=Counted(applied=(board or Counted()).and_this(message)))


boards.event("note.sent", Numbered, said_by=anyone, key=by_group)(pin)

second = Handlers("second")
receipts = second.aggregate("receipt", Counted)
statements = second.aggregate("statement", Statement)
rings = second.aggregate("ring", Times)
letters = second.aggregate("letter", Times)
second.aggregate("board", Counted).event("note.sent", Numbered, said_by=anyone, key=by_group)(pin)


@receipts.event("deposit.passed", DepositPassed, said_by=anyone, key=lambda message: message.data["account"])
def receive(receipt: Counted | None, message: Message, _reads: Any) -> Decision[Counted]:
    return Decision(state=Counted(applied=(receipt or Counted()).and_this(message)))


@statements.event("account.stated", AccountStated, said_by=anyone)
def state(_statement: Statement | None, message: Message, _reads: Any) -> Decision[Statement]:
    return Decision(state=Statement(total=message.data["total"]))


def hear(heard: Times | None, _message: Message, _reads: Any) -> Decision[Times]:
    return Decision(state=Times(times=(heard.times if heard else 0) + 1))


rings.event("reminder.rung", ReminderRung, said_by=anyone)(hear)
letters.event("notification.delivered", Anything, said_by=own)(hear)


def _with(account: Account | None, message: Message) -> Account:
    account = account or Account()
    return replace(account, applied=account.and_this(message), total=account.total + message.data["amount"])


def _passed(account: str, number: int) -> Publish:
    return Publish(DepositPassed, to=NEXT, data={"n": number, "account": account}, subject=f"{account}.{number}")


class First(Service):
    name = "first"
    handlers = first

    deposit_by_hand = command("POST", "/v1/accounts/{id}/deposits", name="deposit-by-hand", roles={"coach"})


class Second(Service):
    name = "second"
    handlers = second
