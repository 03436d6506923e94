"""What the subscriber does with deliveries: bad ones are parked safely, and no batch is acknowledged away."""

from __future__ import annotations

import calendar
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chassis import profile, secrets
from chassis.admission import Portion, admit, settle
from chassis.amqp import UNREADABLE
from chassis.crypto import KeyRing
from chassis.decision import Classification
from chassis.incoming import Delivery
from chassis.testing_live import Place, Publisher, Workshop, delivery, event, eventually, running
from chassis.topology import EVENTS

CODE = "131052-308T"


def take(workshop: Workshop, *deliveries: Delivery) -> list[dict[str, Any]]:
    """Take raw deliveries; what is parked afterwards."""
    assert settle(workshop.floor.transaction, Portion([admit(workshop.floor.home, one) for one in deliveries])) is None
    return list(workshop.floor.home.database["parked"].find())


def raw(body: bytes, key: str = "thing.made.seamk.kunta", **fields: Any) -> Delivery:
    return Delivery(body=body, routing_key=key, queue="kunta.test", **{"content_type": profile.CONTENT_TYPE, **fields})


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (f'{{"note": "{CODE}"}}'.encode(), "thing.made.seamk.kunta"),
        (b'{"note": "131052\\u002d308T"}', "thing.made.seamk.kunta"),
        (f"not json {CODE}".encode(), "thing.made.seamk.kunta"),
        (profile.compose(event("thing.made", {"text": CODE})), "thing.made.seamk.kunta"),
        (profile.compose(event("thing.made", {"text": CODE})), f"thing.{CODE}"),
        (profile.compose(event("thing.made", {"amount": 1}, subject=CODE)), "thing.made.kunta.kunta"),
        (profile.compose(event("thing.made", {"amount": 1}, identifier=CODE)), "thing.made.kunta.kunta"),
        (profile.compose(event("thing.made", {"amount": 1}, correlation=CODE)), "thing.made.kunta.kunta"),
    ],
)
def test_an_identity_code_is_kept_nowhere_whatever_the_reason(workshop: Workshop, body: bytes, key: str) -> None:
    (found,) = take(workshop, raw(body, key))

    assert found["body"] is None
    assert "131052" not in repr(found) + json.dumps(workshop.sent())


def test_what_the_store_cannot_take_is_parked_without_it(workshop: Workshop) -> None:
    headers = {
        "cloudEvents:a\0b": "x",
        "cloudEvents:big": 2**63,
        "cloudEvents:text": "\udcff",
        "cloudEvents:kept": "kept",
    }

    (found,) = take(workshop, raw(b"x" * 300_000, "thing.made.seamk.\udcff", headers=headers, content_type="\udcff"))

    assert (found["reason"], found["body"], found["bytes"]) == ("wrong-key", None, 300_000)
    assert found["headers"] == {"cloudEvents:text": "?", "cloudEvents:kept": "kept"}


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        (profile.CONTENT_TYPE, {}),
        (profile.JOSE, {"ce-specversion": "1.0", "ce-dataclassification": "personal"}),
    ],
)
def test_personal_data_that_came_unsealed_is_kept_nowhere(
    workshop: Workshop, content_type: str, headers: dict[str, str]
) -> None:
    secret = event("person.named", {"text": "Aino Aalto"}, classification=Classification.PERSONAL)
    body = profile.compose(secret) if content_type == profile.CONTENT_TYPE else b'{"text": "Aino Aalto"}'
    attributes = {
        "id": "1", "source": secret.source, "type": secret.type, "subject": "s-1", "time": secret.time.isoformat(),
        "destination": "kunta",
    }  # fmt: skip
    given = headers and headers | {f"ce-{name}": value for name, value in attributes.items()}

    (found,) = take(workshop, raw(body, "person.named.kunta.kunta", content_type=content_type, headers=given))

    assert (found["reason"], found["body"], found["headers"]) == ("sealed", None, {})
    assert "Aalto" not in repr(found)


def test_what_is_sealed_with_a_key_that_is_not_held_stays_sealed_until_the_key_is_there(
    workshop: Workshop, tmp_path: Path
) -> None:
    secrets.make(tmp_path / "other", tmp_path / "elsewhere", "kunta")
    stranger = KeyRing(tmp_path / "other" / "keys.json", tmp_path / "elsewhere")
    secret = event("thing.made", classification=Classification.PERSONAL)
    bound = {"event_id": secret.id, "source": secret.source, "subject": secret.subject}
    sealed = stranger.seal(b'{"amount": 1}', "kunta", **bound)

    (found,) = take(workshop, delivery(replace(secret, data=sealed)))

    assert (found["reason"], found["error"]) == (
        "sealed", "data: is sealed for another organisation or with a key that is no longer held",
    )  # fmt: skip
    assert json.loads(found["body"])["data"] == sealed


def test_a_dead_letter_keeps_its_routing_key_and_its_publisher_is_told(workshop: Workshop) -> None:
    envelope = event("thing.made", {"amount": 1}, source="urn:viisikko:seamk:x")
    death = [{"queue": "kunta.test", "exchange": EVENTS, "routing-keys": [envelope.routing_key]}]
    crashed = replace(
        delivery(envelope, at="kunta.test.dead", own=True), routing_key="kunta.test.dead", headers={"x-death": death}
    )

    (found,) = take(workshop, crashed)

    assert (found["reason"], found["key"], found["publisher"]) == ("crashed", envelope.routing_key, "seamk")
    (word,) = workshop.sent()
    assert (word["destination"], word["data"]["event"]) == ("seamk", envelope.id)


def test_the_publisher_is_told_the_id_of_what_was_refused_at_the_door(workshop: Workshop) -> None:
    envelope = event("thing.made", {"amount": 1}, source="urn:viisikko:epky:x")

    take(workshop, raw(profile.compose(envelope), "thing.made.seamk.kunta"))

    (word,) = workshop.sent()
    assert (word["data"]["reason"], word["data"]["event"]) == ("forged", envelope.id)


def test_an_event_that_waited_in_the_own_exchange_does_not_overtake(workshop: Workshop) -> None:
    workshop.take(event("thing.made", {"amount": 5}, sequence=5))

    take(workshop, delivery(event("thing.made", {"amount": 4}, sequence=4), own=True))

    assert workshop.state("thing", "s-1").count == 5


def test_properties_that_cannot_be_read_park_their_message_and_stop_nobody(
    thing_place: Place, publisher: Publisher, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running("thing:Things", thing_place):
        publisher.send(event("thing.made", {"amount": 1}, subject="odd"), content_type=b"\xff\xfe")
        with monkeypatch.context() as patch:
            patch.setattr(calendar, "timegm", lambda _time: 1_790_000_000_000)
            headers = {"sent": datetime(2026, 1, 1, tzinfo=UTC)}
            publisher.send(event("thing.made", {"amount": 1}, subject="odd"), application_headers=headers)
        publisher.send(event("thing.made", {"amount": 2}, subject="after"))

        eventually(lambda: database["thing"].find_one({"_id": "after"}), what="the event behind them")
        eventually(lambda: database["parked"].count_documents({}) == 2, what="both of them parked")
        assert [p["contentType"] for p in database["parked"].find()] == [UNREADABLE, UNREADABLE]


def test_nothing_is_decided_before_what_decisions_read_is_loaded(
    thing_place: Place, publisher: Publisher, database: Any, tmp_path: Path
) -> None:
    place = replace(thing_place, more={**thing_place.more, "FLAKY": str(tmp_path / "seen")})
    with running("flaky:Slow", place):
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"s-{n}") for n in range(150)))
        eventually(lambda: database["thing"].count_documents({}) == 150, what="150 things")
    (tmp_path / "seen").write_text("")
    publisher.send(event("thing.made", {"amount": 1}, subject="new"))

    with running("flaky:Slow", place):
        eventually(lambda: database["thing"].count_documents({}) == 151, what="the new one")

    assert (tmp_path / "seen").read_text().split()[0] == "150"
