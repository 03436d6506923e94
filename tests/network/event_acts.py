"""What the services must refuse: events that the broker lets pass, since their key is the sender's own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from forbidden import Entry, Member, Outcome
from parts import Parts, example

from chassis import strictjson
from chassis.crypto import KeyRing
from chassis.profile import ATTEMPTS_HEADER, CONTENT_TYPE, KEY_HEADER, REPLAY_HEADER, SIGNATURE_HEADER
from chassis.testing_live import eventually
from chassis.topology import EVENTS
from console import parked

HOME = "kunta"
"""To whom everybody may speak, and whose services refuse."""

HUB = "verkko"
PERSON = {"sender": HOME, "referral": "r-1", "given": "Aino", "family": "Esimerkki", "language": "fi"}
IDENTITY_CODE = "131052-308T"
"""The example of the Finnish Digital Agency; it is nobody's."""

REPLAY_DAYS = 90
TOO_LONG = "x" * 70_000
WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """One event that must not be taken.

    Attributes:
        what: The act in words.
        id: The event's id.
        key: A routing key that the broker lets pass.
        body: The raw body.
        reasons: With which reasons it may be parked.
        headers: AMQP headers.
        content_type: The AMQP property.
    """

    what: str
    id: str
    key: str
    body: bytes
    reasons: frozenset[str]
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = CONTENT_TYPE


class Forger:
    """Writes events of one member, right but for what is changed."""

    def __init__(self, parts: Parts, member: Member) -> None:
        folder = parts.region.folder
        self.member = member
        self.signs = parts.region.network.organisations[member.code].signs
        self.ring = KeyRing(folder.of(member.code) / "keys.json", folder.keys)
        self.anothers_ring = KeyRing(folder.of(member.other) / "keys.json", folder.keys)

    def event(self, name: str, data: Any = None, **changes: Any) -> dict[str, Any]:
        """An event; attributes that are changed to None are left out."""
        known = example(name)
        event = known | {
            "id": str(uuid.uuid4()),
            "source": f"urn:viisikko:{self.member.code}:register",
            "time": datetime.now(UTC).isoformat(),
            "destination": HOME,
            "data": known["data"] if data is None else data,
        }
        return {key: value for key, value in (event | changes).items() if value is not None}

    def offering(self, data: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """An offering of its own."""
        known = self.event("offering.published")["data"]
        own = known | {"provider": self.member.code} | dict(data or {})
        own_id = {"subject": f"{self.member.code}.{uuid.uuid4().hex}"}
        return self.event("offering.published", own, **(own_id | changes))

    def forged(self, what: str, event: Mapping[str, Any], *reasons: str, **more: Any) -> Forgery:
        """The event as it goes out, signed, under the key that its type and its destination ask for."""
        name = ".".join(event["type"].split(".")[2:4])
        key = more.pop("key", f"{name}.{self.member.code}.{HOME}")
        body = encoded(event)
        signed = {SIGNATURE_HEADER: self.ring.sign(body)} | more.pop("headers", {})
        headers = {name: value for name, value in signed.items() if value is not None}
        allowed = frozenset(reasons)
        return Forgery(what=what, id=event["id"], key=key, body=body, reasons=allowed, headers=headers, **more)


def encoded(event: Mapping[str, Any]) -> bytes:
    """An event's body."""
    return json.dumps(event).encode()


def event_acts(forger: Forger) -> Iterator[Forgery]:
    """All of them, as one member would try them."""
    yield from _in_anothers_name(forger)
    yield from _not_theirs_to_say(forger)
    yield from _broken(forger)
    yield from _sealed(forger)
    yield from _with_headers(forger)
    if forger.signs:
        yield from _signed(forger)


def _in_anothers_name(f: Forger) -> Iterator[Forgery]:
    m = f.member
    theirs = f"urn:viisikko:{m.other}:register"
    yield f.forged("an event whose source is another's", f.offering(source=theirs), "forged")
    yield f.forged("an event whose source is the addressee's", f.offering(source=f"urn:viisikko:{HOME}:x"), "forged")
    yield f.forged("an event whose source is the hub's", f.offering(source=_hub(m)), "forged")
    yield f.forged("an event for another than its key says", f.offering(destination=m.other), "forged")
    yield f.forged("an event of another type than its key", f.offering(type="fi.viisikko.plan.made.v1"), "wrong-key",
                   key=f"offering.published.{m.code}.{HOME}")  # fmt: skip


def _not_theirs_to_say(f: Forger) -> Iterator[Forgery]:
    m = f.member
    about = f.event("offering.withdrawn", subject=f"{m.other}.42")
    yield f.forged("an offering of another", f.offering({"provider": m.other}, subject=f"{m.other}.42"), "not-yours")
    yield f.forged("the withdrawal of another's offering", about | {"data": about["data"] | {"provider": m.other}},
                   "not-yours")  # fmt: skip
    asked = f.event("referral.requested")
    asked["data"] |= {"sender": m.other, "receiver": HOME}
    yield f.forged("a referral in another's name", asked, "not-yours")
    asked = f.event("referral.requested")
    asked["data"] |= {"sender": m.code, "receiver": m.other}
    yield f.forged("a referral to another than it is sent to", asked, "not-yours")
    for verb in ("accepted", "started", "completed"):
        answer = f.event(f"referral.{verb}", {"sender": HOME, "receiver": m.other})
        yield f.forged(f"referral.{verb} for a referral that was never asked of it", answer, "rule", "not-yours")
    for name in ("plan.published", "plan.revised", "profile.proposed"):
        yield f.forged(f"{name}, though it assesses nobody", f.event(name), "rule", "not-yours")
    for name in ("client.registered", "profile.answered"):
        yield f.forged(f"{name} for another's client", f.event(name), "rule", "not-yours")
    yield f.forged("suggestions for another's client", f.event("match.suggested"), "not-yours")
    yield f.forged("an answer to a question never asked", f.event("capacity.answered"), "rule", "not-yours")


def _broken(f: Forger) -> Iterator[Forgery]:
    old = (datetime.now(UTC) - timedelta(days=REPLAY_DAYS + 1)).isoformat()
    yield f.forged("an event over 64 KiB", f.offering({"description": {"fi": TOO_LONG}}), "too-large")
    yield f.forged("what is no CloudEvent", f.offering(specversion=None), "not-an-event")
    yield f.forged("an event as plain text", f.offering(), "not-an-event", "forged", content_type="text/plain")
    yield f.forged("an event that names no destination", f.offering(destination=None), "profile")
    yield f.forged("an event without a classification", f.offering(dataclassification=None), "profile")
    yield f.forged("an event that breaks its schema", f.offering({"kind": "none"}), "schema")
    yield f.forged("a personal identity code", f.offering({"names": {"fi": IDENTITY_CODE}}), "identity-code")
    yield f.forged("an event from before the replay window", f.offering(sequence=None, time=old), "too-old")


def _sealed(f: Forger) -> Iterator[Forgery]:
    other = f.member.other

    def disclosed(to: str = HOME, **bound: str) -> dict[str, Any]:
        event = f.event("client.disclosed")
        about = {"event_id": event["id"], "source": event["source"], "subject": event["subject"]} | bound
        return event | {"data": f.ring.seal(strictjson.dumps(PERSON), to, **about)}

    whole = disclosed()
    rest, tag = whole["data"].rsplit(".", 1)
    changed = whole | {"data": f"{rest}.{'B' if tag[0] == 'A' else 'A'}{tag[1:]}"}
    yield f.forged("a person sealed for another", disclosed(other), "sealed")
    yield f.forged("a person sealed for another event", disclosed(event_id=str(uuid.uuid4())), "sealed")
    yield f.forged("a person sealed about another subject", disclosed(subject="r.another"), "sealed")
    yield f.forged("a person sealed in another's name", disclosed(source=f"urn:viisikko:{other}:intake"), "sealed")
    yield f.forged("a seal that was changed", changed, "sealed")
    yield f.forged("a person in clear, called personal", f.event("client.disclosed", PERSON), "sealed")
    clear = f.event("client.disclosed", PERSON, dataclassification="pseudonymous", datacontenttype="application/json")
    yield f.forged("a person in clear, called pseudonymous", clear, "sealed")


def _with_headers(f: Forger) -> Iterator[Forgery]:
    m = f.member
    theirs = f"urn:viisikko:{m.other}:register"
    key = f"offering.published.{m.other}.{HOME}"
    open_key = f"doctor.asked.{m.code}.{HOME}"
    accepted = f.event("referral.accepted", source=theirs)
    asked = f.event("referral.requested", destination=m.other)
    asked["data"] |= {"sender": m.code, "receiver": m.other}
    tricks: dict[str, dict[str, Any]] = {
        "the key of a retry": {KEY_HEADER: key},
        "the tries of a retry": {ATTEMPTS_HEADER: 10**6, KEY_HEADER: key},
        "the attempt of an operator": {REPLAY_HEADER: f"{uuid.uuid4().hex}/{uuid.uuid4().hex}"},
        "a header of the framework": {"call_id_stack": 5, "nameko.call_id_stack": 5},
        "the notes of a dead letter": {
            "x-death": [{"queue": "x", "routing-keys": [key]}],
            "x-first-death-exchange": "",
        },
    }
    for what, headers in tricks.items():
        yield f.forged(f"another's event with {what}", f.offering(source=theirs), "forged", headers=headers)
    copied = {"CC": [f"referral.accepted.{m.other}.{HOME}"]}
    yield f.forged("another's event by CC", accepted, "forged", "wrong-key", key=open_key, headers=copied)
    copied = {"CC": [f"referral.requested.{m.code}.{m.other}"]}
    yield f.forged("an event to another by CC", asked, "forged", "wrong-key", key=open_key, headers=copied)
    if m.at_hub:
        # The first broker takes this header away, so that only the hub's own services can get such an event.
        copied = {"BCC": [f"offering.published.{m.other}.all"]}
        hidden = f.offering(source=theirs, destination="all")
        yield f.forged("another's event by BCC", hidden, "forged", key=f"doctor.asked.{m.code}.{HUB}", headers=copied)
    event = f.offering()
    yield f.forged("an event in binary mode with another's source", event, "forged", content_type="application/json",
                   headers=_attributes(event) | {"ce-source": theirs})  # fmt: skip


def _signed(f: Forger) -> Iterator[Forgery]:
    theirs, other = f.offering(), f.offering()
    tried: dict[str, tuple[dict[str, Any], str | None]] = {
        "unsigned": (f.offering(), None),
        "signed with another's key": (theirs, f.anothers_ring.sign(encoded(theirs))),
        "with the signature of another event": (f.offering(), f.ring.sign(encoded(other))),
        "with alg none": (f.offering(), "eyJhbGciOiJub25lIn0.."),
        "with an empty signature": (f.offering(), ""),
    }
    for what, (event, signature) in tried.items():
        yield f.forged(f"an event {what}", event, "forged", headers={SIGNATURE_HEADER: signature})
    yield f.forged("an event in binary mode, with a signature", other, "forged", content_type="application/json",
                   headers=_attributes(other))  # fmt: skip


def _attributes(event: Mapping[str, Any]) -> dict[str, str]:
    """An event's attributes as headers of binary mode."""
    return {f"ce-{name}": str(value) for name, value in event.items() if name not in {"data", "datacontenttype"}}


def _hub(member: Member) -> str:
    return f"urn:viisikko:{HUB if member.code != HUB else 'sedu'}:catalogue"


def send(entry: Entry, forgeries: Sequence[Forgery]) -> None:
    """Publish them; the broker takes them all."""
    channel = entry.speaks()
    for one in forgeries:
        message = channel.prepare_message(one.body, content_type=one.content_type, headers=dict(one.headers))
        channel.basic_publish_confirm(message, EVENTS, one.key)


def outcomes(parts: Parts, member: Member, forgeries: Sequence[Forgery]) -> list[Outcome]:
    """What became of each, once all of them are parked or the time is over."""
    ids = {one.id for one in forgeries}
    known: dict[str, list[dict[str, Any]]] = {}

    def all_parked() -> bool:
        known.clear()
        for entry in parked.entries(parked.lots(parts.reach, None, None), {}):
            known.setdefault(entry["event"], []).append(entry)
        return ids <= set(known)

    # What is not parked in time is told in its outcome.
    with suppress(AssertionError):
        eventually(all_parked, seconds=WAIT_SECONDS)
    return [_outcome(member, one, known.get(one.id, [])) for one in forgeries]


def _outcome(member: Member, forgery: Forgery, entries: Sequence[Mapping[str, Any]]) -> Outcome:
    reasons = {entry["reason"] for entry in entries}
    refused = bool(reasons) and reasons <= forgery.reasons
    answer = "; ".join(sorted(f"parked as {entry['reason']}: {entry['error']}" for entry in entries))
    return Outcome(member.kind, f"say {forgery.what}", refused, answer or "nothing refused it")


def discard_all(parts: Parts) -> None:
    """Empty all parking lots."""
    parked.act(parked.lots(parts.reach, None, None), "discard", {"all": True}, limit=None, say=lambda _lot, _n: None)
