"""An event in two versions at once: said with one sequence, and applied once by whoever reads both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from versions import Name, Reader, Speaker, Told, in_parts, know, reads

from chassis import profile
from chassis.decision import Older, anyone
from chassis.incoming import Settled
from chassis.outbox import Outbox
from chassis.profile import Envelope
from chassis.testing import decide
from chassis.testing_live import Place, Workshop, event


@pytest.fixture
def speaker(offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Speaker, offline_place)
    yield made
    made.close()


@pytest.fixture
def reader(offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Reader, offline_place)
    yield made
    made.close()


def said(speaker: Workshop, *names: str) -> Sequence[Envelope]:
    """What the speaker publishes when it is told names, in order."""
    for name in names:
        speaker.take(event("name.told", {"name": name}))
    entries = [e for page in Outbox(speaker.floor.home.database).pages(100) for e in page.entries]
    return [profile.admit(e.body, profile.CONTENT_TYPE, {}, e.key) for e in entries]


def test_both_versions_carry_the_same_sequence_and_ids_of_their_own_the_newest_first(speaker: Workshop) -> None:
    new, old = said(speaker, "Aino Aalto")

    assert (new.version, old.version) == (2, 1)
    assert (new.data, old.data) == ({"given": "Aino", "family": "Aalto"}, {"name": "Aino Aalto"})
    assert new.sequence == old.sequence
    assert new.id != old.id


def test_who_reads_both_applies_each_event_once_whichever_version_comes_first(
    speaker: Workshop, reader: Workshop
) -> None:
    first, again = said(speaker, "Aino Aalto", "Aino Koski")[:2], said(speaker)[2:]

    settled = [outcome.settled for one in (*reversed(first), *again) for outcome in reader.take(one)]

    assert settled == [Settled.APPLIED, Settled.SUPERSEDED, Settled.APPLIED, Settled.SUPERSEDED]
    assert reader.state("known", "s-1") == Name(given="Aino", family="Koski", times=2)


def test_both_in_one_batch_are_applied_once(speaker: Workshop, reader: Workshop) -> None:
    outcomes = reader.take(*said(speaker, "Aino Aalto"))

    assert [one.settled for one in outcomes] == [Settled.APPLIED, Settled.SUPERSEDED]


def test_an_old_version_alone_is_read_as_the_new_one(reader: Workshop) -> None:
    reader.take(event("name.given", {"name": "Aino Aalto"}, sequence=1))

    assert reader.state("known", "s-1") == Name(given="Aino", family="Aalto", times=1)


def test_what_breaks_the_old_schema_is_parked_by_it(reader: Workshop) -> None:
    outcomes = reader.take(event("name.given", {"given": "Aino", "family": "Aalto"}, sequence=1))

    assert [one.settled for one in outcomes] == [Settled.PARKED]
    (parked,) = reader.floor.home.database["parked"].find()
    assert (parked["reason"], parked["error"]) == ("schema", "data.name: Missing data for required field.")


def test_a_version_that_nobody_here_reads_is_ignored(reader: Workshop) -> None:
    outcomes = reader.take(event("name.given", {"given": "Aino", "family": "Aalto"}, sequence=1, version=3))

    assert [one.settled for one in outcomes] == [Settled.IGNORED]


def test_versions_that_are_published_with_the_older_first_are_a_programming_error(speaker: Workshop) -> None:
    speaker.take(event("name.told", {"name": "Aino Backwards"}))

    (parked,) = speaker.floor.home.database["parked"].find()
    assert parked["reason"] == "error"
    assert speaker.state("spoken", "s-1") is None


def test_a_rule_is_tried_in_each_version_without_a_store() -> None:
    new = decide(reads, "event", "name.given", data={"given": "Aino", "family": "Aalto"}, version=2)
    old = decide(reads, "event", "name.given", data={"name": "Aino Aalto"}, version=1)

    assert new == old


def test_there_is_one_handler_for_each_version(reader: Workshop) -> None:
    (handler,) = reader.floor.home.handlers.all()

    with pytest.raises(ValueError, match=r"two handlers for event name\.given version 1"):
        reads.add(replace(handler, version=4, older={1: Older(Told, in_parts)}, decide=know, said_by=anyone))
