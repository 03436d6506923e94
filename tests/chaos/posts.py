"""The events themselves: the bytes that go to the broker, and where those that nobody may take must end up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from chaos.chain import BROKEN, TOO_MUCH
from chaos.plan import Kind, Plan

from chassis import profile, strictjson
from chassis.decision import ALL, Classification
from chassis.incoming import Delivery
from chassis.parking import Parked
from chassis.profile import Envelope
from chassis.reasons import Reason

FIRST, SECOND, REFERRAL, NOTIFY = "kunta.first", "seamk.second", "seamk.referral", "seamk.notify"
SYSTEM = "register"
"""What the producers call themselves."""

EVENTS_AN_ACCOUNT = 50
EVENTS_A_LEVEL = 200
BOARDS = 20
CANCELS = 57
"""A cancellation calls off the referral that many events before it."""

SPECIMEN = "131052-308T"
"""The authorities' own specimen of a personal identity code; nobody has it."""


@dataclass(frozen=True, slots=True)
class Post:
    """One event as it is sent, or a command.

    Attributes:
        id: Its id; of a command, its idempotency key.
        key: Its routing key; of a command, its path.
        body: Its bytes.
        parks: Queue → reason, of one that must not be taken; empty for all others.
        headers: Its headers.
    """

    id: str
    key: str
    body: bytes
    parks: Mapping[str, Reason] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def places(self) -> dict[str, tuple[str, Reason]]:
        """Id in a parking lot → queue and reason, for each queue that took it."""
        return {_place(self, queue): (queue, reason) for queue, reason in self.parks.items()}


class Writer:
    """Writes the events of a plan; the same number gives the same bytes."""

    def __init__(self, plan: Plan, began: datetime) -> None:
        """Write with times from `began` on."""
        self._plan = plan
        self._began = began

    def post(self, number: int) -> Post:
        """One event."""
        kind = self._plan.kind(number)
        if kind is Kind.BAD:
            return self._bad(number)
        if kind is Kind.COMMAND:
            body = strictjson.dumps({"n": number, "amount": amount(number)})
            return Post(identifier(self._plan, number), f"/v1/accounts/{self.account(number)}/deposits", body)
        envelope = self._WRITE[kind](self, number)
        return Post(envelope.id, envelope.routing_key, profile.compose(envelope))

    def is_command(self, number: int) -> bool:
        """Whether it goes over HTTP and not over the broker."""
        return self._plan.kind(number) is Kind.COMMAND

    def account(self, number: int) -> str:
        """The account that a deposit goes to."""
        return f"a{self._plan.pick(number, 'account', max(1, self._plan.events // EVENTS_AN_ACCOUNT))}"

    def level(self, number: int) -> str:
        """The level that an event sets."""
        return f"l{self._plan.pick(number, 'level', max(1, self._plan.events // EVENTS_A_LEVEL))}"

    def _envelope(self, number: int, name: str, subject: str, data: Mapping[str, Any], **more: Any) -> Envelope:
        speaker = more.pop("speaker", "kunta")
        return Envelope(
            **{
                "id": identifier(self._plan, number),
                "source": f"urn:viisikko:{speaker}:{SYSTEM}",
                "organisation": speaker,
                "name": name,
                "version": 1,
                "subject": subject,
                "time": self._began + timedelta(milliseconds=number),
                "destination": "kunta",
                "classification": Classification.PSEUDONYMOUS,
                "data": {"n": number, **data},
                **more,
            }
        )

    def _deposit(self, number: int, **more: Any) -> Envelope:
        account = self.account(number)
        data = {"account": account, "amount": amount(number), "state": number % 10 == 1, "tell": number % 10 == 7}
        data |= more.pop("data", {})
        name = more.pop("name", "deposit.made")
        speaker = more.pop("speaker", "sedu" if number % 5 == 2 else "kunta")
        return self._envelope(number, name, f"{account}.{number}", data, speaker=speaker, **more)

    def _level(self, number: int) -> Envelope:
        return self._envelope(number, "level.set", self.level(number), {}, sequence=number)

    def _reminder(self, number: int) -> Envelope:
        seconds = 1 + self._plan.pick(number, "seconds", 5)
        return self._envelope(number, "reminder.asked", str(number), {"seconds": seconds})

    def _note(self, number: int) -> Envelope:
        return self._envelope(number, "note.sent", f"b{number % BOARDS}.{number}", {}, destination=ALL)

    def _referral(self, number: int, verb: str = "requested", **data: Any) -> Envelope:
        said = {"sender": "kunta", "receiver": "seamk", "offering": "seamk.1", "status": "requested", **data}
        sequence = 1 if verb == "requested" else 2
        subject = str(number if verb == "requested" else number - CANCELS)
        named = {"destination": "seamk", "sequence": sequence, "correlation": f"client-{subject}"}
        return self._envelope(number, f"referral.{verb}", subject, said, **named)

    def _cancel(self, number: int) -> Envelope:
        return self._referral(number, "cancelled", status="cancelled", reason="found-work")

    _WRITE: Mapping[Kind, Callable[[Writer, int], Envelope]] = {
        Kind.DEPOSIT: _deposit,
        Kind.LEVEL: _level,
        Kind.REMINDER: _reminder,
        Kind.NOTE: _note,
        Kind.REFERRAL: _referral,
        Kind.CANCEL: _cancel,
    }

    # ── what must not be taken ───────────────────────────────────────────────────────────────────────────────────────

    def _bad(self, number: int) -> Post:
        draw = Random(f"{self._plan.seed}/{number}")
        good, queues = draw.choice(
            [
                (self._deposit(number, speaker="kunta"), (FIRST,)),
                (self._note(number), (FIRST, SECOND)),
                (self._referral(number), (REFERRAL, NOTIFY)),
            ]
        )
        if self._plan.garbled(number):
            return _spoilt(good, queues, _garble(profile.compose(good), draw), Reason.NOT_AN_EVENT)
        if draw.random() < 0.5:
            return self._refused(number, draw)
        spoil, reason = draw.choice(_ENVELOPES)
        return _spoilt(good, queues, _changed(good, spoil), reason)

    def _refused(self, number: int, draw: Random) -> Post:
        """One whose envelope is right."""
        old = self._began - timedelta(days=400)
        personal = Classification.PERSONAL
        bad, reason = draw.choice(
            [
                (self._deposit(number, data={"amount": "many"}), Reason.SCHEMA),
                (self._deposit(number, data={"amount": TOO_MUCH}), Reason.RULE),
                (self._deposit(number, data={"amount": BROKEN}), Reason.ERROR),
                (self._deposit(number, data={"text": f"the client {SPECIMEN}"}), Reason.IDENTITY_CODE),
                (self._deposit(number, name="deposit.voided", speaker="sedu"), Reason.NOT_YOURS),
                (self._deposit(number, time=old), Reason.TOO_OLD),
                (replace(self._deposit(number), classification=personal, data="a.b.c.d.e"), Reason.SEALED),
            ]
        )
        return Post(bad.id, bad.routing_key, profile.compose(bad), {FIRST: reason})


def amount(number: int) -> int:
    """What a good deposit puts into its account."""
    return 1 + number % 9


def identifier(plan: Plan, number: int) -> str:
    """An event's id."""
    return f"n{number}.s{plan.seed}"


def number_of(identifier: str) -> int | None:
    """The number in an event's id; None of one that no producer has made."""
    text = identifier.partition(".")[0].removeprefix("n")
    return int(text) if identifier.startswith("n") and text.isdigit() else None


def _spoilt(good: Envelope, queues: tuple[str, ...], body: bytes, reason: Reason) -> Post:
    return Post(good.id, good.routing_key, body, dict.fromkeys(queues, reason))


def _changed(good: Envelope, change: Mapping[str, Any]) -> bytes:
    members = {**strictjson.loads(profile.compose(good)), **change}
    return strictjson.dumps({name: value for name, value in members.items() if value is not None})


_ENVELOPES = (
    ({"specversion": None}, Reason.NOT_AN_EVENT),
    ({"source": "urn:elsewhere:kunta"}, Reason.PROFILE),
    ({"dataclassification": "secret"}, Reason.PROFILE),
    ({"type": "fi.viisikko.deposit.voided.v1"}, Reason.WRONG_KEY),
    ({"source": "urn:viisikko:opisto:register"}, Reason.FORGED),
)
"""What is wrong with an envelope, and the reason with which it is parked."""


def _garble(body: bytes, draw: Random) -> bytes:
    """Bytes lost on their way: the first half and more is left, so that the event's id still stands in it.

    Nothing that is put there instead may close what was cut open, or an event would be made of it.
    """
    cut = draw.randrange(len(body) // 2, len(body) - 1)
    return body[:cut] + draw.choice((b"", b"\xff\x00", b'"]]'))


def _place(post: Post, queue: str) -> str:
    delivery = Delivery(body=post.body, routing_key=post.key, queue=queue, content_type=profile.CONTENT_TYPE)
    return Parked(delivery=delivery, reason=post.parks[queue], error="", at=datetime.min).id  # noqa: DTZ901 - not used
