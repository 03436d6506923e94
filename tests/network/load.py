"""Load on every broker of the whole network, and the comparison of what was confirmed with what the stores hold.

Each organisation's producer publishes with its own user on its own broker, or as a guest on the hub's; a coach of kunta
gives commands meanwhile. Every event carries its number in its id, and every history keeps the ids that were applied.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import kombu
import pymongo
from chaos.ledger import Ledger
from chaos.posts import Post
from chaos.producers import Clerk, Producer, Stream
from parts import Parts, example

from chassis import profile, strictjson
from chassis.batch import EFFECTS
from chassis.crypto import KeyRing
from chassis.decision import ALL, Classification
from chassis.outbox import OUTBOX
from chassis.parking import PARKED
from chassis.profile import SIGNATURE_HEADER, Envelope
from chassis.topology import EXPIRED, UNDELIVERABLE, mailbox

HOME = "kunta"
SPEAKERS = (HOME, "seamk", "sedu", "epky")
COPIES = (HOME, "seamk", "sedu", "verkko")
SIGNING = "sedu"
GUEST = "epky"
OFFERING = example("offering.published")["data"]

EVENTS_A_SECOND = 20
"""Of all speakers together: a region's busiest day many times over, and room for everything else on two cores."""

PACE_SECONDS = 0.2
QUIET_SECONDS = 7.0
"""How long nothing may be left anywhere: a broker's numbers of a quorum queue are five seconds old at the most."""

SETTLE_SECONDS = 180.0
KEPT = (UNDELIVERABLE, EXPIRED)
"""Queues that nobody is to empty, besides mailboxes and dead letters."""


class Writer:
    """Writes the events of one load; the same number gives the same event."""

    def __init__(self, parts: Parts, name: str) -> None:
        """Write for a network.

        Args:
            parts: The network.
            name: Tells this load's events from another's.
        """
        self.name = name
        self._began = datetime.now(UTC)
        folder = parts.region.folder
        self._keys = KeyRing(folder.of(SIGNING) / "keys.json", folder.keys)

    def number_of(self, identifier: object) -> int | None:
        """The number in an id of this load; None of every other."""
        head, _, tail = str(identifier).partition(".")
        mine = tail == self.name and head.startswith("n") and head[1:].isdecimal()
        return int(head[1:]) if mine else None

    def numbers(self, speaker: str) -> Iterator[int]:
        """What one speaker says, without end."""
        return itertools.count(SPEAKERS.index(speaker), len(SPEAKERS))

    def is_command(self, number: int) -> bool:
        """Whether it is a command to kunta's own service, which then speaks."""
        speaker, turn = _turn(number)
        return speaker == HOME and turn % 4 == 3

    def post(self, number: int) -> Post:
        """One event, or one command."""
        if self.is_command(number):
            body = {"receiver": _asked(number), "offering": f"{_asked(number)}.{self._id(number)}"}
            return Post(self._id(number), "/v1/capacity", strictjson.dumps(body))
        envelope = self._envelope(number)
        body = profile.compose(envelope)
        signed = {SIGNATURE_HEADER: self._keys.sign(body)} if envelope.organisation == SIGNING else {}
        return Post(envelope.id, envelope.routing_key, body, headers=signed)

    def places(self, number: int) -> Sequence[str]:
        """Every place where the effect of an event must be, once: a service, and what stands in a history there."""
        speaker, turn = _turn(number)
        if self.is_command(number):
            return (f"{HOME}.referral ask-capacity", f"{_asked(number)}.referral capacity.asked")
        if speaker == HOME:
            receiver = _receiver(turn)
            if receiver == GUEST:
                return (mailbox(GUEST),)
            more = ("seamk.notify referral.requested",) if receiver == "seamk" else ()
            return (f"{receiver}.referral referral.requested", *more)
        if turn % 3 == 2:
            return (f"{HOME}.referral capacity.asked",)
        return tuple(f"{copy}.catalogue offering.{'changed' if turn % 3 else 'published'}" for copy in COPIES)

    def newest(self, confirmed: Iterable[int]) -> dict[str, int]:
        """Subject that many events change → the number of the newest."""
        changes = [number for number in confirmed if _turn(number)[0] != HOME and _turn(number)[1] % 3 == 1]
        return {self._board(_turn(number)[0]): number for number in sorted(changes)}

    def _envelope(self, number: int) -> Envelope:
        speaker, turn = _turn(number)
        if speaker == HOME:
            return self._referral(number, _receiver(turn))
        if turn % 3 == 2:
            said = {"offering": f"{HOME}.{self._id(number)}", "starts": None}
            return self._said(number, "capacity.asked", self._id(number), said, to=HOME)
        if turn % 3 == 1:
            return self._offering(number, "offering.changed", self._board(speaker), sequence=number + 1)
        return self._offering(number, "offering.published", f"{speaker}.{self._id(number)}")

    def _referral(self, number: int, receiver: str) -> Envelope:
        said = {"sender": HOME, "receiver": receiver, "offering": f"{receiver}.1", "status": "requested"}
        more = {"sequence": 1, "classification": Classification.PSEUDONYMOUS, "correlation": f"client-{number}"}
        return self._said(number, "referral.requested", self._id(number), said, to=receiver, **more)

    def _offering(self, number: int, name: str, subject: str, **more: Any) -> Envelope:
        speaker = _turn(number)[0]
        data = OFFERING | {"provider": speaker, "names": {"fi": self._id(number)}, "origin": None}
        return self._said(number, name, subject, data, to=ALL, **more)

    def _said(self, number: int, name: str, subject: str, data: Mapping[str, Any], **more: Any) -> Envelope:
        speaker = _turn(number)[0]
        return Envelope(
            id=self._id(number),
            source=f"urn:viisikko:{speaker}:register",
            organisation=speaker,
            name=name,
            version=1,
            subject=subject,
            time=self._began,
            destination=more.pop("to"),
            data=data,
            **{"classification": Classification.PUBLIC, **more},
        )

    def _board(self, speaker: str) -> str:
        return f"{speaker}.board.{self.name}"

    def _id(self, number: int) -> str:
        return f"n{number}.{self.name}"


def _turn(number: int) -> tuple[str, int]:
    """Whose event it is, and which of theirs."""
    return SPEAKERS[number % len(SPEAKERS)], number // len(SPEAKERS)


def _receiver(turn: int) -> str:
    return ("seamk", "sedu", GUEST)[turn % 4]


def _asked(number: int) -> str:
    """The school that a command of kunta asks."""
    return ("seamk", "sedu")[_turn(number)[1] // 4 % 2]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How ledger and stores compare.

    Attributes:
        sent: Events and commands that were confirmed.
        lost: Those whose effect is missing somewhere.
        twice: Those whose effect is somewhere more than once.
        stuck: What was not finished.
        texts: All of it in words.
    """

    sent: int
    lost: set[int] = field(default_factory=set)
    twice: set[int] = field(default_factory=set)
    stuck: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Said:
    """As much of a plan as a stream needs."""

    numbers: Iterator[int]

    def order(self) -> Iterator[int]:
        return self.numbers


class Load:
    """Producers and a coach at work until `stop`; then `judge` compares."""

    def __init__(self, parts: Parts, folder: Path, name: str) -> None:
        """Prepare; `start` starts it.

        Args:
            parts: The network.
            folder: Where its ledger is kept.
            name: Tells its events from another load's.
        """
        self._parts = parts
        self.writer = Writer(parts, name)
        self._ledger = Ledger(folder / f"{name}.jsonl")
        self._streams = {speaker: Stream(_Said(self.writer.numbers(speaker))) for speaker in SPEAKERS}
        self._clerk = Clerk([parts.region.url(HOME, "referral")], self._token, self._ledger)
        self._producers = [self._producer(speaker) for speaker in SPEAKERS]
        self._over = threading.Event()
        self._pacer = threading.Thread(target=self._pace, name="pacer", daemon=True)

    def start(self) -> None:
        """Begin."""
        for thread in (self._clerk, *self._producers, self._pacer):
            thread.start()

    def stop(self) -> None:
        """Say no more, and wait until what was said is confirmed."""
        self._over.set()
        self._pacer.join()
        for stream in self._streams.values():
            stream.end()
        deadline = time.monotonic() + SETTLE_SECONDS
        for producer in self._producers:
            producer.join(max(0.0, deadline - time.monotonic()))
        self._clerk.end()
        self._clerk.join(max(0.0, deadline - time.monotonic()))

    @property
    def confirmed(self) -> int:
        """How many were confirmed until now."""
        return len(self._ledger.times())

    def judge(self) -> Verdict:
        """Wait until nothing is left to do, and compare."""
        left = self._quiet()
        times = self._ledger.times()
        self._ledger.close()
        taken = [
            number
            for speaker, stream in self._streams.items()
            for number in itertools.islice(self.writer.numbers(speaker), stream.position)
        ]
        verdict = Verdict(len(times))
        never = [f"event {number} was never confirmed" for number in taken if number not in times]
        verdict.stuck.extend([*(f"{count} in {what}" for what, count in left.items()), *never])
        self._compare(verdict, times)
        verdict.texts.extend(verdict.stuck)
        return verdict

    def _compare(self, verdict: Verdict, confirmed: Iterable[int]) -> None:
        found, parked, newest = self._found()
        for number in sorted(confirmed):
            for place in self.writer.places(number):
                times = found[place][number]
                if times == 0:
                    verdict.lost.add(number)
                    verdict.texts.append(f"event {number} is not at {place} {parked.get(number, '')}")
                elif times > 1:
                    verdict.twice.add(number)
                    verdict.texts.append(f"event {number} is {times} times at {place}")
        for subject, number in self.writer.newest(confirmed).items():
            for copy in COPIES:
                if newest.get((copy, subject)) != number:
                    verdict.lost.add(number)
                    verdict.texts.append(f"{subject} at {copy} is {newest.get((copy, subject))}, must be {number}")

    def _found(self) -> tuple[Mapping[str, Counter[int]], dict[int, str], dict[tuple[str, str], int | None]]:
        """What the stores and the mailbox hold: place → number → times; what was parked; the newest of each board."""
        found: defaultdict[str, Counter[int]] = defaultdict(Counter)
        parked: dict[int, str] = {}
        newest: dict[tuple[str, str], int | None] = {}
        for service, database in self._databases():
            for entry in database[PARKED].find({}, {"event": 1, "reason": 1, "error": 1}):
                number = self.writer.number_of(entry["event"])
                if number is not None:
                    parked[number] = f"(parked by {service} as {entry['reason']}: {entry['error']})"
            for collection in database.list_collection_names():
                for document in database[collection].find({}, {"history": 1, "entry": 1, "state.offering": 1}):
                    self._count(found, service, document)
                    offering = document.get("state", {}).get("offering")
                    if isinstance(offering, dict) and str(document["_id"]).endswith(f".board.{self.writer.name}"):
                        newest[service.partition(".")[0], document["_id"]] = self.writer.number_of(
                            offering["names"]["fi"]
                        )
        # To a guest an event comes at least once, and it knows each again by its id.
        found[mailbox(GUEST)] = Counter(set(self._mailbox()))
        return found, parked, newest

    def _count(self, found: Mapping[str, Counter[int]], service: str, document: Mapping[str, Any]) -> None:
        offering = document.get("state", {}).get("offering")
        # What a service says after a command has an id of its own; the offering that it asks about has the number.
        about = self.writer.number_of(offering.partition(".")[2]) if isinstance(offering, str) else None
        for entry in (*document.get("history", ()), *([document["entry"]] if "entry" in document else ())):
            number = self.writer.number_of(entry["event"])
            number = about if number is None else number
            if number is not None:
                found[f"{service} {entry['name']}"][number] += 1

    def _mailbox(self) -> Iterator[int]:
        with kombu.Connection(self._parts.region.amqp(GUEST)) as connection:
            channel = connection.default_channel
            while (message := channel.basic_get(mailbox(GUEST), no_ack=True)) is not None:
                body = message.body.encode() if isinstance(message.body, str) else bytes(message.body)
                # Others may have put anything into it.
                members = json.loads(body) if body.startswith(b"{") else {}
                number = self.writer.number_of(members.get("id"))
                if number is not None:
                    yield number

    def _quiet(self) -> dict[str, int]:
        """Wait until nothing is left to do; what is left when the time is up."""
        began = since = time.monotonic()
        while True:
            left = self._left()
            now = time.monotonic()
            since = now if left else since
            if now - since > QUIET_SECONDS or now - began > SETTLE_SECONDS:
                return left
            time.sleep(PACE_SECONDS)

    def _left(self) -> dict[str, int]:
        left: dict[str, int] = {}
        for site in self._parts.region.sites.all():
            left |= {f"{site.code}: {name}": count for name, count in _waiting(site) if count}
        for service, database in self._databases():
            counts = {
                "outbox": database[OUTBOX].estimated_document_count(),
                "effects": database[EFFECTS].count_documents({"dead": {"$ne": True}}),
            }
            left |= {f"{service} {what}": count for what, count in counts.items() if count}
        return left

    def _databases(self) -> Iterator[tuple[str, pymongo.database.Database[dict[str, Any]]]]:
        region = self._parts.region
        for site in region.sites.all():
            with pymongo.MongoClient[dict[str, Any]](site.store.uri) as client:
                for one in region.services:
                    if region.sites.of(one.organisation) is site:
                        yield f"{one.organisation}.{one.service}", client[f"{one.organisation}_{one.service}"]

    def _pace(self) -> None:
        each = EVENTS_A_SECOND * PACE_SECONDS / len(SPEAKERS)
        allowed = 0.0
        while not self._over.wait(PACE_SECONDS):
            allowed += each
            for stream in self._streams.values():
                stream.until(int(allowed))

    def _producer(self, speaker: str) -> Producer:
        stream = self._streams[speaker]
        return Producer(
            speaker, lambda: self._parts.region.amqp(speaker), stream, self.writer, self._ledger, self._clerk
        )

    def _token(self) -> str:
        return str(self._parts.region.folder.credentials(HOME)["tokens"]["coach"])


def _waiting(site: Any) -> Iterator[tuple[str, int]]:
    """Queue → messages in it, of one broker; what nobody is to take is left out."""
    with site.broker.client() as client:
        try:
            queues = client.get("/api/queues", params={"columns": "name,messages"}).raise_for_status().json()
        except httpx.HTTPError:
            # Its statistics may lag behind the broker at its start.
            yield "the broker's numbers", 1
            return
    for queue in queues:
        if queue["name"] not in KEPT and not queue["name"].endswith((".mailbox", ".dead")):
            yield queue["name"], queue.get("messages", 1)
