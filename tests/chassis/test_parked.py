"""What operators do with the parking lot: they see it, take its events after all, or throw them away; each once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from amqp.exceptions import AccessRefused
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from parking_lot import ANN, act, audit, lot
from process import SERVICE, client, keyed
from thing import Things

import chassis.parked
from chassis import profile
from chassis.admission import Portion, admit, settle
from chassis.cloudevents import PREFIXES
from chassis.decision import Classification, Invalid, Unknown
from chassis.incoming import Delivery, KeyReused, Replay
from chassis.outbox import Outbox
from chassis.parked import Asker
from chassis.parked_view import AuditShown, WholeShown
from chassis.parking import Parked
from chassis.publisher import Publisher as BrokerPublisher
from chassis.reasons import Reason
from chassis.relay import Relay
from chassis.selection import ActionSchema, Filters, FiltersSchema, ListingSchema
from chassis.testing_live import Place, Publisher, Running, Workshop, delivery, event, eventually, running
from chassis.topology import EVENTS

CODE = "131052-308T"


def take(workshop: Workshop, *deliveries: Delivery) -> None:
    assert settle(workshop.floor.transaction, Portion([admit(workshop.floor.home, one) for one in deliveries])) is None


def park(workshop: Workshop, *subjects: str, amount: Any = "x", name: str = "thing.made", **fields: Any) -> None:
    """Park an event for each subject."""
    events = [event(name, {"amount": amount}, subject=subject, **fields) for subject in subjects or ("s-1",)]
    take(workshop, *(delivery(one) for one in events))


def waiting(workshop: Workshop) -> list[Delivery]:
    """What the outbox holds for the own queue, as the broker would deliver it."""
    pages = Outbox(workshop.floor.home.database).pages(1000)
    entries = [entry for page in pages for entry in page.entries if entry.again]
    return [
        Delivery(
            body=entry.body,
            routing_key=entry.origin,
            queue=entry.key,
            content_type=entry.again.content_type,
            headers=entry.again.headers,
            own=True,
            replay=entry.again.replay,
        )
        for entry in entries
        if entry.again
    ]


def mend(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deploy a release that takes what the one before could not."""
    handler = workshop.floor.home.handlers.find("event", "thing.made")
    assert handler is not None
    monkeypatch.setattr(type(handler.schema().fields["amount"]), "_validated", lambda _self, _value: 1)


class TestReplay:
    def test_a_staged_entry_is_removed_with_the_effect_of_its_event(
        self, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        park(workshop)

        done = act(workshop, "replay")

        (entry,) = lot(workshop)
        assert (done["ids"], done["left"], entry["status"]) == ([entry["_id"]], 0, "replaying")
        (sent,) = waiting(workshop)
        assert (sent.queue, sent.routing_key, sent.replay.attempt) == (  # type: ignore[union-attr]
            "kunta.test",
            "thing.made.kunta.kunta",
            entry["attempt"],
        )
        mend(workshop, monkeypatch)
        take(workshop, sent)
        assert (workshop.state("thing", "s-1").count, lot(workshop)) == (1, [])
        assert audit(workshop) == [("replay", "kunta-operator", None), ("settled", None, "applied")]

    def test_what_fails_again_is_parked_in_its_own_place_with_one_attempt_more(self, workshop: Workshop) -> None:
        park(workshop)
        (before,) = lot(workshop)
        act(workshop, "replay")

        take(workshop, *waiting(workshop))

        (after,) = lot(workshop)
        assert (after["_id"], after["status"], after["attempts"]) == (before["_id"], "parked", 2)
        assert after["first"] == before["first"]
        assert audit(workshop)[1:] == [("parked-again", None, "schema")]

    def test_a_replayed_crash_comes_back_to_its_own_place(self, workshop: Workshop) -> None:
        take(workshop, delivery(event("thing.made", {"amount": "x"}), at="kunta.test.dead"))
        act(workshop, "replay")

        take(workshop, *waiting(workshop))

        (entry,) = lot(workshop)
        assert (entry["queue"], entry["reason"], entry["attempts"]) == ("kunta.test.dead", "schema", 2)

    def test_what_is_on_its_way_is_not_replayed_twice(self, workshop: Workshop) -> None:
        park(workshop)
        act(workshop, "replay")

        again = act(workshop, "replay", Asker(person="kunta-2", key="k-2"))

        assert (again["ids"], again["replaying"], len(waiting(workshop))) == ([], 1, 1)

    def test_a_repeated_request_replays_nothing_more(self, workshop: Workshop) -> None:
        park(workshop)
        act(workshop, "replay")
        take(workshop, *waiting(workshop))

        repeated = act(workshop, "replay")

        assert (repeated["ids"], lot(workshop)[0]["status"]) == ([lot(workshop)[0]["_id"]], "parked")
        with pytest.raises(KeyReused, match="another body"):
            act(workshop, "replay", replace(ANN, body=b"another"))

    def test_two_who_replay_at_once_send_each_entry_once(self, workshop: Workshop, offline_place: Place) -> None:
        park(workshop, *(f"s-{n}" for n in range(40)))
        other = Workshop(Things, offline_place)
        askers = [(workshop, Asker(person="kunta-1", key="a")), (other, Asker(person="kunta-2", key="b"))]

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda one: act(one[0], "replay", one[1], all=True, limit=30), askers))
        other.close()

        done = [identifier for answer in answers for identifier in answer["ids"]]
        assert len(done) == len(set(done)) == len(waiting(workshop)) == 40

    def test_a_second_copy_of_a_replay_applies_nothing_twice_and_leaves_nothing(
        self, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        park(workshop)
        act(workshop, "replay")
        (sent,) = waiting(workshop)
        mend(workshop, monkeypatch)

        take(workshop, sent, sent)
        take(workshop, sent)

        assert (workshop.state("thing", "s-1").count, lot(workshop)) == (1, [])

    def test_an_old_copy_does_not_speak_for_a_newer_attempt(
        self, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        park(workshop)
        act(workshop, "replay")
        (old,) = waiting(workshop)
        take(workshop, old)
        act(workshop, "replay", Asker(person="kunta-2", key="k-2"))

        take(workshop, old)

        assert lot(workshop)[0]["status"] == "replaying"
        mend(workshop, monkeypatch)
        take(workshop, old)
        assert lot(workshop)[0]["status"] == "replaying"
        take(workshop, waiting(workshop)[1])
        assert (workshop.state("thing", "s-1").count, lot(workshop)) == (1, [])

    def test_an_entry_named_by_a_stranger_keeps_its_place(self, workshop: Workshop) -> None:
        park(workshop)
        (entry,) = lot(workshop)

        take(
            workshop,
            replace(delivery(event("thing.made", {"amount": "y"}), own=True), replay=Replay(entry["_id"], "guessed")),
        )
        take(
            workshop,
            replace(delivery(event("thing.made", {"amount": 1}), own=True), replay=Replay(entry["_id"], "guessed")),
        )

        assert lot(workshop)[0] == entry
        assert len(lot(workshop)) == 2

    def test_an_event_in_binary_mode_goes_out_as_it_came(self, workshop: Workshop) -> None:
        one = event("thing.made")
        prefix = PREFIXES[0]
        headers: dict[str, Any] = {
            f"{prefix}{name}": value
            for name, value in {
                "specversion": "1.0",
                "id": one.id,
                "source": one.source,
                "type": one.type,
                "subject": one.subject,
                "time": one.time.isoformat(),
                "destination": "kunta",
                "dataclassification": "pseudonymous",
            }.items()
        }
        strange = {"x-viisikko-attempts": 4, "call_id_stack": 5}
        take(
            workshop,
            Delivery(
                body=b'{"amount": "x"}',
                routing_key=one.routing_key,
                queue="kunta.test",
                content_type="application/json",
                headers=headers | strange,
            ),
        )
        assert lot(workshop)[0]["reason"] == "schema"

        act(workshop, "replay")

        (sent,) = waiting(workshop)
        assert (sent.body, sent.content_type, sent.headers) == (b'{"amount": "x"}', "application/json", headers)

    def test_what_was_kept_without_its_body_is_told_and_stays(self, workshop: Workshop) -> None:
        take(workshop, delivery(event("thing.made", {"text": CODE})))

        done = act(workshop, "replay")

        assert (done["ids"], done["withoutBody"], lot(workshop)[0]["status"]) == ([], 1, "parked")

    def test_a_dry_run_tells_in_groups_and_changes_nothing(self, workshop: Workshop) -> None:
        park(workshop, "a", "b")
        before = lot(workshop)

        planned = act(workshop, "replay", dryRun=True, reason="schema")

        assert (planned["matched"], planned["groups"][0]["count"], planned["groups"][0]["type"]) == (2, 2, "thing.made")
        assert (lot(workshop), waiting(workshop), audit(workshop)) == (before, [], [])

    def test_the_rate_holds_over_requests_and_says_how_long_to_wait(
        self, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chassis.parked, "WINDOW", timedelta(minutes=1))
        park(workshop, "a", "b", "c", "d")

        first = act(workshop, "replay", all=True, perSecond=3)
        second = act(workshop, "replay", Asker(person="kunta-2", key="k-2"), all=True, perSecond=3)

        assert (len(first["ids"]), first["left"], second["ids"], second["left"]) == (3, 1, [], 1)
        assert 0 < second["retryAfterSeconds"] <= 60

    def test_entries_go_in_the_order_in_which_they_were_parked(self, workshop: Workshop) -> None:
        park(workshop, "c", "a", "b")
        park(workshop, "0")

        act(workshop, "replay", all=True, limit=3)

        assert [profile.admit(d.body, d.content_type, {}, d.routing_key).subject for d in waiting(workshop)] == [
            "c",
            "a",
            "b",
        ]

    def test_what_was_parked_later_is_not_meant(self, workshop: Workshop) -> None:
        park(workshop)
        done = act(workshop, "replay")
        take(workshop, *waiting(workshop))

        more = act(workshop, "replay", Asker(person="kunta-1", key="k-2"), all=True, before=done["before"])

        assert (more["matched"], more["ids"]) == (0, [])

    def test_one_that_never_ended_may_be_tried_again_after_a_day(self, workshop: Workshop) -> None:
        park(workshop)
        act(workshop, "replay")
        past = datetime.now(UTC) - timedelta(days=2)
        workshop.floor.home.database["parked"].update_many({}, {"$set": {"replayed": past}})

        again = act(workshop, "replay", Asker(person="kunta-1", key="k-2"))

        assert len(again["ids"]) == 1


def test_an_entry_shows_no_more_than_its_description_says(workshop: Workshop) -> None:
    park(workshop, "a", "b")
    gone = act(workshop, "discard", all=True, limit=1)["ids"][0]
    act(workshop, "replay")

    shown = [workshop.floor.parked.show(identifier) for identifier in (gone, lot(workshop)[0]["_id"])]

    assert {name for one in shown for name in one} <= set(WholeShown().fields)
    assert {name for one in shown for line in one["audit"] for name in line} <= set(AuditShown().fields)
    assert [bool(one["audit"]) for one in shown] == [True, True]


class TestDiscard:
    def test_it_removes_what_is_meant_and_says_who_did(self, workshop: Workshop) -> None:
        park(workshop, "a")
        take(workshop, delivery(event("thing.made", {"text": CODE})))

        done = act(workshop, "discard", reason="identity-code")

        assert (len(done["ids"]), [entry["reason"] for entry in lot(workshop)]) == (1, ["schema"])
        assert audit(workshop) == [("discard", "kunta-operator", None)]
        shown = workshop.floor.parked.show(done["ids"][0][:12])
        assert (shown["status"], shown["audit"][0]["reason"]) == ("gone", "identity-code")

    def test_it_leaves_what_is_on_its_way(self, workshop: Workshop) -> None:
        park(workshop)
        act(workshop, "replay")

        done = act(workshop, "discard")

        assert (done["ids"], done["replaying"], len(lot(workshop))) == ([], 1, 1)

    def test_a_repeated_request_removes_nothing_more(self, workshop: Workshop) -> None:
        park(workshop, "a", "b")

        answers = [act(workshop, "discard", all=True, limit=1) for _time in range(2)]

        assert (answers[0]["ids"], len(lot(workshop))) == (answers[1]["ids"], 1)

    def test_a_dry_run_removes_nothing(self, workshop: Workshop) -> None:
        park(workshop)

        planned = act(workshop, "discard", all=True, dryRun=True)

        assert (planned["matched"], len(lot(workshop)), audit(workshop)) == (1, 1, [])


class TestSeeing:
    def test_groups_say_reason_type_publisher_first_last_and_count(self, workshop: Workshop) -> None:
        park(workshop, "a", "b")
        park(workshop, source="urn:viisikko:seamk:x")

        groups = workshop.floor.parked.groups(Filters(publisher="kunta"))

        assert [(g["count"], g["reason"], g["type"], g["publisher"]) for g in groups] == [
            (2, "schema", "thing.made", "kunta")
        ]
        assert groups[0]["first"] <= groups[0]["last"]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"publisher": "seamk"}, 1),
            ({"type": "thing.made"}, 2),
            ({"type": "thing.read"}, 0),
            ({"reason": "schema"}, 2),
            ({"reason": "error"}, 0),
            ({"status": "replaying"}, 0),
            ({"status": "parked", "limit": "1"}, 1),
            ({"olderThanSeconds": "3600"}, 1),
            ({"newerThanSeconds": "3600"}, 1),
        ],
    )
    def test_a_list_is_filtered(self, workshop: Workshop, query: dict[str, str], found: int) -> None:
        park(workshop, "a")
        hours = datetime.now(UTC) - timedelta(hours=2)
        workshop.floor.home.database["parked"].update_many({}, {"$set": {"first": hours}})
        park(workshop, "b", source="urn:viisikko:seamk:x")

        assert len(list(workshop.floor.parked.entries(ListingSchema().load(query)))) == found

    def test_an_entry_shows_what_is_pseudonymous(self, workshop: Workshop) -> None:
        park(workshop)

        shown = workshop.floor.parked.show(lot(workshop)[0]["_id"][:8])

        assert (shown["data"], shown["attributes"]["subject"], shown["replayable"]) == ({"amount": "x"}, "s-1", True)

    def test_nothing_personal_is_ever_shown(self, workshop: Workshop) -> None:
        home = workshop.floor.home
        personal = event("thing.made", classification=Classification.PERSONAL)
        sealed = home.keyring.seal(
            b'{"amount": "Aino"}', "kunta", event_id=personal.id, source=personal.source, subject=personal.subject
        )
        open_letter = profile.compose(replace(personal, data=sealed)).replace(sealed.encode(), b"Aino")
        take(workshop, delivery(replace(personal, data=sealed)))
        take(
            workshop,
            replace(delivery(event("thing.made", {})), body=open_letter),
            Delivery(body=b"Aino", routing_key="x", queue="kunta.test"),
        )

        shown = [workshop.floor.parked.show(entry["_id"]) for entry in lot(workshop)]

        assert sorted(s["reason"] for s in shown) == ["schema", "sealed", "wrong-key"]
        assert all(s["data"] is None and s["hidden"] for s in shown)
        assert "Aino" not in repr(shown)
        assert sealed not in repr(shown)

    def test_an_unknown_id_and_one_that_means_several_are_told(self, workshop: Workshop) -> None:
        park(workshop)
        (entry,) = lot(workshop)
        workshop.floor.home.database["parked"].insert_one({**entry, "_id": entry["_id"][:20] + "0" * 44})

        with pytest.raises(Unknown, match="nothing is parked"):
            workshop.floor.parked.show("0123456789")
        with pytest.raises(Invalid, match="several"):
            act(workshop, "discard", ids=[entry["_id"][:10]])


@pytest.mark.parametrize("body", [{}, {"all": False}, {"all": True, "reason": "schema"}, {"reason": "typo"}, {"al": 1}])
def test_an_action_says_exactly_what_it_means(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ActionSchema().load(body)


@given(st.integers(min_value=0, max_value=10**10), st.integers(min_value=0, max_value=10**10))
def test_every_age_is_a_moment(older: int, newer: int) -> None:
    filters = FiltersSchema().load({"olderThanSeconds": older, "newerThanSeconds": newer})

    first = filters.query(datetime.now(UTC))["first"]

    assert {type(moment) for moment in first.values()} == {datetime}


@pytest.fixture
def connected(thing_place: Place) -> Iterator[Workshop]:
    made = Workshop(Things, thing_place)
    yield made
    made.close()


def test_an_own_event_that_the_broker_refused_goes_where_it_was_to_go(
    connected: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = delivery(event("thing.counted", {"count": 1}, to="seamk"), at="outbox")
    word = Parked(
        delivery=own, reason=Reason.UNPUBLISHABLE, error="the broker refuses it", at=datetime.now(UTC), event=None
    )
    connected.floor.transaction.park([word])
    Relay(connected.floor.home).run_once()
    relay = Relay(connected.floor.home)
    act(connected, "replay")

    def refuse(_self: Any, *_arguments: Any) -> None:
        raise AccessRefused("no")

    with monkeypatch.context() as patch:
        patch.setattr(BrokerPublisher, "publish", refuse)
        relay.run_once()
    (again,) = lot(connected)
    act(connected, "replay", Asker(person="kunta-1", key="k-2"))
    (page,) = Outbox(connected.floor.home.database).pages(10)
    relay.run_once()
    relay.close()

    assert (again["status"], again["attempts"], again["own"]) == ("parked", 2, False)
    assert [(entry.exchange, entry.key) for entry in page.entries] == [(EVENTS, "thing.counted.kunta.seamk")]
    assert lot(connected) == []
    assert audit(connected)[-1] == ("settled", None, "published")


@pytest.mark.parametrize(
    ("header", "replay"), [("a/b", Replay("a", "b")), ("a", None), ("/b", None), ("", None), (5, None), (None, None)]
)
def test_only_a_whole_header_names_a_replay(header: object, replay: Replay | None) -> None:
    assert Replay.read(header) == replay


def post(service: Running, what: str, **body: Any) -> httpx.Response:
    with client(service, "operator") as http:
        return http.post(f"/v1/parked/{what}", json=body, headers=keyed())


def test_events_are_replayed_through_the_broker_and_each_is_taken_once(
    thing_place: Place, publisher: Publisher, database: Any
) -> None:
    entries = database["parked"]
    with running(SERVICE, thing_place) as service:
        publisher.send(*(event("thing.made", {"amount": 999}, subject=f"s-{n}") for n in range(30)))
        eventually(lambda: database["thing"].count_documents({}) == 30, what="thirty things")
        # Each would make its thing too large, until the first has become smaller.
        publisher.send(*(event("thing.made", {"amount": 5}, subject=f"s-{n}") for n in range(30)))
        eventually(lambda: entries.count_documents({}) == 30, what="thirty parked events")
        with client(service, "coach") as http:
            for n in range(20):
                http.put(f"/v1/things/s-{n}", json={"amount": 1}).raise_for_status()

        first = post(service, "replay", rule="too-much").json()
        post(service, "replay", rule="too-much", before=first["before"])

        assert len(first["ids"]) == 30
        eventually(lambda: entries.count_documents({"status": "parked", "attempts": 2}) == 10, what="ten parked again")
        eventually(lambda: entries.count_documents({}) == 10, what="twenty taken")
        with client(service) as http:
            counts = {item["id"]: item["count"] for item in map(json.loads, http.get("/v1/things").text.splitlines())}
        assert counts == {f"s-{n}": 6 if n < 20 else 999 for n in range(30)}


def test_operators_reach_it_over_http_and_nobody_else(thing_place: Place, publisher: Publisher, database: Any) -> None:
    with running(SERVICE, thing_place) as service:
        publisher.send(event("thing.made", {"amount": "x"}), event("thing.made", {"amount": "x"}))
        eventually(lambda: database["parked"].count_documents({}) == 2, what="two parked events")
        with client(service, "operator") as http, client(service, "coach") as coach:
            lines = [json.loads(line) for line in http.get("/v1/parked/entries?reason=schema").text.splitlines()]
            one, other = (line["id"] for line in lines)
            shown = http.get(f"/v1/parked/{one[:10]}").json()
            listed = http.get(f"/v1/parked?ids={one[:10]},{other}").json()
            wrong = http.get("/v1/parked?reasn=schema")
            absent = http.get("/v1/parked/0123456789")
            refused = [coach.get("/v1/parked"), coach.get("/v1/parked/entries"), coach.get(f"/v1/parked/{one}")]
            refused += [
                coach.post(f"/v1/parked/{w}", json={"all": True}, headers=keyed()) for w in ("replay", "discard")
            ]
        meant_all = post(service, "discard")
        discarded = post(service, "discard", ids=[one])

        assert (shown["data"], listed[0]["count"]) == ({"amount": "x"}, 2)
        assert (wrong.status_code, absent.status_code, meant_all.status_code) == (422, 404, 422)
        assert {answer.status_code for answer in refused} == {403}
        assert (discarded.json()["ids"], database["parked"].count_documents({})) == ([one], 1)
        assert database["parked_audit"].find_one({"id": one})["person"] == "kunta-1"
