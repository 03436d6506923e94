"""Who tries what is forbidden, and what came of it: each act is carried out for real, and its answer noted."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import kombu
from amqp.exceptions import AMQPError
from parts import Parts
from rich.console import Console
from rich.table import Table

from chassis.amqp import tls
from chassis.topology import INCOMING, OUTBOUND, UNDELIVERABLE, UNROUTED, mailbox, queue, upstream
from console.links import amqps, as_reader

ACCESS_REFUSED = 403
"""AMQP's answer to who may not; anything else, such as that a name is not found, refuses nothing."""


class Denied(Exception):  # noqa: N818 - errors name the fact
    """The management API refuses; the text is its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One kind of member, and what it must not get at.

    Attributes:
        kind: What kind of member.
        code: Its organisation.
        amqp: Its broker's address with its user that speaks.
        authority: PEM file of the authority that is trusted, where the address is of ``amqps``.
        management: The management API of that broker.
        other: An organisation in whose name it must not speak.
        stranger: Whom it may not address.
        queues: Queues there that are not its own; the first has a consumer or holds events.
        exchange: An exchange there that is not its own.
        at_hub: Whether it speaks at the hub itself.
    """

    kind: str
    code: str
    amqp: str
    authority: Path | None = None
    management: str
    other: str
    stranger: str
    queues: tuple[str, ...]
    exchange: str
    at_hub: bool = True

    @property
    def password(self) -> str:
        """Its password, which both its users have."""
        return unquote(urlsplit(self.amqp).password or "")


class Entry:
    """A member's open connections, and its way into the management API."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self._speaking = self.connection(member.amqp)
        self._reading = self.connection(as_reader(member.amqp))

    def speaks(self) -> Any:
        """A new channel of the user that speaks."""
        return self._speaking.channel()

    def reads(self) -> Any:
        """A new channel of the user that reads."""
        return self._reading.channel()

    def connection(self, uri: str) -> kombu.Connection:
        """A connection with whatever user an address names."""
        opened = kombu.Connection(uri, ssl=tls(uri, self.member.authority), transport_options={"confirm_publish": True})
        opened.connect()
        return opened

    def asks(self, method: str, path: str, content: Any = None) -> None:
        """Ask the management API.

        Raises:
            Denied: It refuses.
        """
        mine = (self.member.code, self.member.password)
        answer = httpx.request(method, f"{self.member.management}{path}", json=content, auth=mine, timeout=10)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise Denied(f"HTTP {answer.status_code} {answer.json().get('reason', '')}")

    def close(self) -> None:
        """Close both connections."""
        self._speaking.close()
        self._reading.close()


@dataclass(frozen=True, slots=True)
class Act:
    """Something forbidden.

    Attributes:
        what: The act in words.
        do: Does it; whatever it returns, it has succeeded.
        code: The one answer of AMQP that refuses it.
    """

    what: str
    do: Callable[[Entry], object]
    code: int = ACCESS_REFUSED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one act.

    Attributes:
        kind: The kind of member that tried.
        what: The act in words.
        refused: Whether it was refused.
        answer: What the broker or the service answered.
    """

    kind: str
    what: str
    refused: bool
    answer: str


def attempt(entry: Entry, acts: Iterable[Act]) -> Iterator[Outcome]:
    """Carry out one act after the other."""
    for act in acts:
        refused, answer = _answer(entry, act)
        yield Outcome(entry.member.kind, act.what, refused, answer)


def _answer(entry: Entry, act: Act) -> tuple[bool, str]:
    try:
        act.do(entry)
    except AMQPError as error:
        return error.reply_code == act.code, f"{error.reply_code} {error.reply_text}"
    except Denied as denied:
        return True, str(denied)
    return False, "nothing refused it"


@contextmanager
def entered(member: Member) -> Iterator[Entry]:
    """A member's connections, closed at the end."""
    entry = Entry(member)
    try:
        yield entry
    finally:
        entry.close()


def members(parts: Parts, *, guest: str, part: str, other: str, hosted: str | None = None) -> list[Member]:
    """Each kind of member of a network that runs.

    Args:
        parts: The network.
        guest: Who is a guest.
        part: Who runs its own part, and is tried both at the hub and at home.
        other: In whose name they speak, and whom guest and own part may not address.
        hosted: A member on the hub, where there is one.
    """
    region, hub = parts.region, parts.region.network.hub
    links = region.sites.links(part)
    own = region.sites.parts[part].broker
    runs = region.network.organisations[hub].runs
    at_hub = [UNDELIVERABLE, *(queue(hub, service) for service in runs)]
    boxes = [mailbox(o.code) for o in region.network.organisations.values() if o.joins == "guest"]
    streams = [upstream(code) for code in region.sites.parts]

    def not_of(code: str) -> tuple[str, ...]:
        names = [*boxes, *streams, *at_hub]
        return tuple(name for name in names if not name.startswith(f"{code}.") and name != upstream(code))

    def there(kind: str, code: str, amqp: str, authority: Path | None = None, stranger: str = other) -> Member:
        return Member(
            kind=kind, code=code, amqp=amqp, authority=authority, management=region.broker.management, other=other,
            stranger=stranger, queues=not_of(code), exchange=f"{hub}.own" if code != hub and runs else UNROUTED,
        )  # fmt: skip

    address = amqps(part, links.password, links.host, region.broker.tls_address()[1])
    found = [
        there("guest", guest, region.amqp(guest)),
        there("own part, at the hub", part, address, Path(links.authority)),
        Member(
            kind="own part, at home", code=part, amqp=region.amqp(part), management=own.management, other=other,
            stranger=other, queues=(OUTBOUND, UNDELIVERABLE), exchange=INCOMING, at_hub=False,
        ),
    ]  # fmt: skip
    if hosted:
        found.insert(1, there("member on the hub", hosted, region.amqp(hosted), stranger="nobody"))
    return found


def table(outcomes: Iterable[Outcome]) -> str:
    """All acts, each with the answers, and which kinds of members got them."""
    acts: dict[str, dict[str, list[str]]] = {}
    for one in outcomes:
        acts.setdefault(one.what, {}).setdefault(_short(one), []).append(one.kind)
    kinds = {kind for answers in acts.values() for by in answers.values() for kind in by}
    drawn = Table("forbidden act", "answer", "tried as", title="What each kind of member must not do")
    for what, answers in acts.items():
        for answer, by in answers.items():
            drawn.add_row(what, answer, "all kinds" if set(by) == kinds else ", ".join(by))
    text = io.StringIO()
    Console(width=160, file=text).print(drawn)
    return text.getvalue()


def _short(outcome: Outcome) -> str:
    # RabbitMQ's texts name the queue or key, the vhost and the user, of which only the first is told by the act.
    text = re.sub(r"'[^']*'", "…", outcome.answer.partition(" in vhost")[0])
    return text if outcome.refused else f"NOT REFUSED: {text}"
