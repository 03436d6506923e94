"""The relay against a broker that fails at any point: nothing is lost, nothing overtakes, and the guilty is parked."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from amqp.exceptions import AMQPError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from rounds import run_machine, seconds
from simulated import Broker

from chassis import profile
from chassis.border import Entry
from chassis.outbox import Outbox
from chassis.relay import Relay
from chassis.testing_live import Workshop, event
from chassis.topology import EVENTS

GUILTY = "thing.counted.kunta.nobody"
FAULTS = ("away", "lost", "unconfirmed", "nacked", "missing")
HEALING_RUNS = 20


class Crash(BaseException):
    """The process ends here; nothing below may catch it."""


@dataclass(frozen=True)
class Sent:
    """An entry that was put into the outbox."""

    id: str
    aggregate: str
    version: int
    guilty: bool


class RelayMachine(RuleBasedStateMachine):
    """Puts entries, breaks the broker, ends the relay, and looks at what the broker has."""

    def __init__(self, workshop: Workshop, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.database = workshop.floor.home.database
        for name in ("outbox", "parked"):
            self.database[name].delete_many({})
        self.home = workshop.floor.home
        self.broker = Broker(forbidden=frozenset({GUILTY}))
        patch.setattr("chassis.publisher.connect", self.broker.connect)
        patch.setattr("chassis.relay.HOLD_SECONDS", 0)
        self.relay = Relay(self.home)
        self.sent: dict[str, Sent] = {}
        self.versions: dict[str, int] = {}

    @rule(
        pages=st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=4), max_size=3),
        turned=st.booleans(),
    )
    def put(self, pages: list[list[tuple[str, bool]]], *, turned: bool) -> None:
        """Batches commit, a document each; a later version's document may be the earlier one."""
        made = [[self._entry(name, guilty=guilty and name == "c") for name, guilty in page] for page in pages]
        for entries in reversed(made) if turned else made:
            with self.database.client.start_session() as session, session.start_transaction():
                Outbox(self.database).add(entries, datetime.now(UTC), session)

    @rule(fault=st.sampled_from(FAULTS), after=st.integers(0, 6))
    def break_broker(self, fault: str, after: int) -> None:
        """One of the next publishes goes wrong."""
        self.broker.fault, self.broker.after = fault, after

    @rule()
    def run(self) -> None:
        """The relay works; what it raises is what its duty waits out."""
        with suppress(OSError, AMQPError):
            self.relay.run_once()
        self._check()

    @rule()
    def crash_before_forgetting(self) -> None:
        """The process ends between the broker's confirm and the outbox's deletion."""

        def crash(*_args: Any) -> None:
            raise Crash

        self.relay._outbox.remove = crash  # type: ignore[method-assign]
        with suppress(OSError, AMQPError, Crash):
            self.relay.run_once()
        self.relay = Relay(self.home)
        self._check()

    def teardown(self) -> None:
        """Everything is put right again; whatever waits goes out."""
        self.broker.fault = None
        runs = 0
        while self.relay.run_once():
            runs += 1
            assert runs < HEALING_RUNS, "the outbox does not become empty"
        self._check()
        assert self._waiting() == set()

    def _check(self) -> None:
        taken = [identifier for identifier in map(_id, self.broker.taken) if identifier in self.sent]
        parked = [found["event"] for found in self.database["parked"].find({}, {"event": 1})]
        assert set(self.sent) == set(taken) | set(parked) | (self._waiting() & set(self.sent)), "an entry is lost"
        assert len(parked) == len(set(parked))
        assert {self.sent[identifier].guilty for identifier in parked} <= {True}, "a good entry is parked"
        assert not any(self.sent[identifier].guilty for identifier in taken)
        self._check_order(list(dict.fromkeys(taken)))

    def _check_order(self, first: list[str]) -> None:
        # A broker that takes the second and not the first has turned them round itself.
        turned = {self.sent[i].aggregate for i in map(_id, self.broker.nacked) if i in self.sent}
        for aggregate in self.versions.keys() - turned:
            versions = [self.sent[i].version for i in first if self.sent[i].aggregate == aggregate]
            assert versions == sorted(versions), "an entry has overtaken another"

    def _entry(self, aggregate: str, *, guilty: bool) -> Entry:
        version = self.versions[aggregate] = self.versions.get(aggregate, 0) + 1
        envelope = event("thing.counted", {"count": version}, to="nobody" if guilty else "kunta")
        self.sent[envelope.id] = Sent(envelope.id, aggregate, version, guilty)
        body = profile.compose(envelope)
        return Entry(exchange=EVENTS, key=envelope.routing_key, body=body, aggregate=aggregate, version=version)

    def _waiting(self) -> set[str]:
        return {_id(entry.body) for page in Outbox(self.database).pages(1000) for entry in page.entries}


@pytest.mark.timeout(int(seconds(0)) + 600)
def test_nothing_is_lost_overtaken_or_parked_unguilty(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    run_machine(RelayMachine, workshop, monkeypatch, few=15, steps=20)


def test_a_connection_that_is_lost_while_a_guilty_entry_is_looked_for_is_given_up(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = RelayMachine(workshop, monkeypatch)
    machine.put([[("c", True), ("a", False)]], turned=False)
    machine.break_broker("lost", 1)

    with pytest.raises(ConnectionResetError):
        machine.relay.run_once()

    assert machine.relay._publisher is None
    machine.teardown()


def test_a_relay_that_is_overtaken_while_a_guilty_entry_is_looked_for_leaves_the_rest_to_the_other(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = RelayMachine(workshop, monkeypatch)
    machine.put([[("c", True), ("a", False)]], turned=False)
    leads = iter((True, False))

    assert Relay(machine.home, leads=lambda: next(leads)).run_once() == 0

    machine.teardown()


def _id(body: bytes) -> str:
    return str(json.loads(body)["id"])
