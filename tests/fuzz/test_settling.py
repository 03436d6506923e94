"""Settling on a real store: in whatever order events come, and wherever the process ends, each is applied once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pymongo.client_session import ClientSession
from pymongo.errors import AutoReconnect
from rounds import run_machine, seconds
from thing import UNLUCKY, Things

from chassis.clock import set_offset
from chassis.profile import Envelope
from chassis.testing_live import Place, Workshop, event
from chassis.timers import Timers
from chassis.transaction import StoreAway

AT = datetime.now(UTC)
SOURCE = "urn:viisikko:seamk:test"
SUBJECTS = ("a", "b", "c")
TOO_MUCH = 1000
"""thing.py's rule: a count stays below it."""

AMOUNTS = st.integers(0, 400).filter(lambda amount: amount != UNLUCKY)
"""thing.py has a programming error at one of them, and what follows of that is no part of the model."""


class Model:
    """What must have become of one subject."""

    def __init__(self) -> None:
        self.count = 0
        self.sequence = 0
        self.published = 0
        self.reminded = 0
        self.due: datetime | None = None
        self.exists = False


class SettlingMachine(RuleBasedStateMachine):
    """Says events, delivers them in any order and number, ends the process, and compares with the model."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.clock = place.folder / "clock"
        self.days = 0
        set_offset(self.clock, timedelta(0))
        self.workshop = Workshop(Things, place)
        database = self.workshop.floor.home.database
        for name in database.list_collection_names():
            database[name].delete_many({})
        self.said: list[Envelope] = []
        self.applied: set[str] = set()
        self.parked: set[str] = set()
        self.models = {subject: Model() for subject in SUBJECTS}

    @rule(subject=st.sampled_from(SUBJECTS), amount=AMOUNTS)
    def say(self, subject: str, amount: int) -> None:
        """A publisher says something that counts; events about `b` are numbered, the others are not."""
        number = sum(one.subject == subject for one in self.said) + 1
        self._say("thing.made", {"amount": amount}, subject, number if subject == "b" else None)

    @rule(subject=st.sampled_from(SUBJECTS), days=st.integers(0, 3))
    def say_when(self, subject: str, days: int) -> None:
        """A publisher says something that sets a timer."""
        self._say("thing.timed", {"amount": days, "text": "remind"}, subject, None)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """A batch: some of what was said, in any order, some of it again."""
        batch = self._drawn(data)
        self.workshop.take(*batch)
        self._expect(batch)

    @precondition(lambda self: self.said)
    @rule(data=st.data(), committed=st.booleans())
    def deliver_over_a_broken_line(self, data: st.DataObject, *, committed: bool) -> None:
        """The store goes away at the commit, before or after it; the broker delivers the batch again."""
        batch = self._drawn(data)
        with broken_commit(committed=committed), suppress(StoreAway):
            self.workshop.take(*batch)
        self.workshop.take(*batch)
        self._expect(batch)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def two_replicas_take_the_same(self, data: st.DataObject) -> None:
        """A replica that was taken for dead goes on, while the standby gets the same batch."""
        batch = self._drawn(data)
        # Where one of them is refused, it would depend on who is first which one.
        assume(all(model.count + sum(one.data["amount"] for one in batch) < TOO_MUCH for model in self.models.values()))
        other = Workshop(Things, self.place)
        try:
            together(lambda: insist(self.workshop, batch), lambda: insist(other, batch))
        finally:
            other.close()
        self._expect(batch)

    @rule()
    def restart(self) -> None:
        """The process ends and starts again; whatever it knew, it must find in the store."""
        self.workshop.close()
        self.workshop = Workshop(Things, self.place)

    @rule(days=st.integers(0, 2))
    def time_passes(self, days: int) -> None:
        """Days go by, and the timers that are due fire."""
        self.days += days
        set_offset(self.clock, timedelta(days=self.days))
        floor = self.workshop.floor
        timers = Timers(floor.home, floor.transaction)
        while timers.run_once():
            pass
        now = floor.home.clock.now()
        for model in self.models.values():
            if model.due and model.due <= now:
                model.due = None
                model.reminded += 1
                model.published += 1

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        """Counts, reminders, what is sent and what is parked."""
        sent = Counter(one["subject"] for one in self.workshop.sent() if one["type"].endswith("counted.v1"))
        for subject, model in self.models.items():
            thing = self.workshop.state("thing", subject)
            found = (thing.count, thing.reminded, sent[subject]) if thing else (0, 0, 0)
            assert found == (model.count, model.reminded, model.published), subject
            assert (thing is not None) == model.exists
        parked = {one["event"] for one in self.workshop.floor.home.database["parked"].find({}, {"event": 1})}
        assert parked == self.parked

    def teardown(self) -> None:
        """Everything that was said comes once more."""
        self.workshop.take(*self.said)
        self._expect(self.said)
        self.the_store_says_what_the_model_says()
        self.workshop.close()

    def _say(self, name: str, content: dict[str, Any], subject: str, sequence: int | None) -> None:
        self.said.append(event(name, content, source=SOURCE, subject=subject, time=AT, sequence=sequence))

    def _drawn(self, data: st.DataObject) -> list[Envelope]:
        return data.draw(st.lists(st.sampled_from(self.said), min_size=1, max_size=6), label="batch")

    def _expect(self, batch: Sequence[Envelope]) -> None:
        for one in batch:
            if one.id not in self.applied:
                self._expect_one(one, self.models[one.subject])

    def _expect_one(self, one: Envelope, model: Model) -> None:
        if one.sequence is not None and one.sequence <= model.sequence:
            self.applied.add(one.id)
        elif one.name == "thing.timed":
            self.applied.add(one.id)
            model.exists = True
            model.due = self.workshop.floor.home.clock.now() + timedelta(days=one.data["amount"])
        elif model.count + one.data["amount"] >= TOO_MUCH:
            self.parked.add(one.id)
        else:
            self.applied.add(one.id)
            model.exists = True
            model.sequence = one.sequence or model.sequence
            model.count += one.data["amount"]
            model.published += 1


@pytest.mark.timeout(int(seconds(0)) + 600)
def test_each_event_is_applied_once_whatever_happens_on_its_way(offline_place: Place) -> None:
    run_machine(SettlingMachine, offline_place, few=5, steps=15)


@contextmanager
def broken_commit(*, committed: bool) -> Iterator[None]:
    """The next commit loses its connection: before the store has it, or before its answer comes."""
    commit, broken = ClientSession.commit_transaction, []

    def commit_once(session: ClientSession) -> None:
        if broken:
            commit(session)
            return
        broken.append(True)
        if committed:
            commit(session)
        raise AutoReconnect("the line is cut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientSession, "commit_transaction", commit_once)
        yield


def insist(workshop: Workshop, batch: Sequence[Envelope]) -> None:
    """Take a batch as the subscriber does: where another writer is always first, nothing was settled, and it is tried
    again."""
    while True:
        with suppress(StoreAway):
            workshop.take(*batch)
            return


def together(*tasks: Callable[[], Any]) -> None:
    """Do all of them at the same time; what one raises is raised."""
    failed: list[BaseException] = []

    def run(task: Callable[[], Any]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
