"""One batch, one transaction, on a real store."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thing import AWAY, CALLS

from chassis import secrets
from chassis.incoming import Failed, Order, Settled
from chassis.parking import Parked
from chassis.reasons import Reason
from chassis.testing_live import Place, Workshop, delivery, event


def settled(outcomes: list[Any]) -> list[Settled]:
    return [outcome.settled for outcome in outcomes]


def parked(workshop: Workshop) -> list[dict[str, Any]]:
    return list(workshop.floor.home.database["parked"].find())


def test_an_event_changes_its_aggregate_and_sends_what_follows(workshop: Workshop) -> None:
    outcomes = workshop.take(event("thing.made", {"amount": 3}))

    assert settled(outcomes) == [Settled.APPLIED]
    assert workshop.state("thing", "s-1").count == 3
    assert [(e["type"], e["data"], e["sequence"]) for e in workshop.sent()] == [
        ("fi.viisikko.thing.counted.v1", {"count": 3}, "0000000001")
    ]


def test_the_same_event_again_changes_nothing(workshop: Workshop) -> None:
    same = event("thing.made", {"amount": 3})

    outcomes = workshop.take(same) + workshop.take(same) + workshop.take(same, same)

    assert settled(outcomes) == [Settled.APPLIED] + [Settled.DUPLICATE] * 3
    assert workshop.state("thing", "s-1").count == 3
    assert len(workshop.sent()) == 1


def test_several_events_of_one_aggregate_are_applied_in_their_order(workshop: Workshop) -> None:
    workshop.take(*(event("thing.made", {"amount": n}, sequence=n + 1) for n in range(5)))

    assert [e["data"]["count"] for e in workshop.sent()] == [0, 1, 3, 6, 10]
    assert [e["sequence"] for e in workshop.sent()] == [f"{n:010d}" for n in range(1, 6)]


def test_an_older_event_of_the_same_stream_goes_to_the_history_only(workshop: Workshop) -> None:
    outcomes = workshop.take(
        event("thing.made", {"amount": 1}, sequence=5), event("thing.made", {"amount": 1}, sequence=4)
    )

    assert settled(outcomes) == [Settled.APPLIED, Settled.SUPERSEDED]
    assert workshop.state("thing", "s-1").count == 1
    history = workshop.service.history("thing", "s-1")
    assert [entry.get("settled") for entry in history] == [None, "superseded"]


def test_without_a_sequence_an_older_time_is_superseded_and_an_equal_one_applied(workshop: Workshop) -> None:
    now = datetime.now(UTC)

    outcomes = workshop.take(
        event("thing.made", {"amount": 1}, time=now),
        event("thing.made", {"amount": 1}, time=now - timedelta(seconds=1)),
        event("thing.made", {"amount": 1}, time=now),
    )

    assert settled(outcomes) == [Settled.APPLIED, Settled.SUPERSEDED, Settled.APPLIED]


def test_sequences_of_other_sources_are_not_compared(workshop: Workshop) -> None:
    outcomes = workshop.take(
        event("thing.made", {"amount": 1}, sequence=9),
        event("thing.made", {"amount": 1}, sequence=1, source="urn:viisikko:seamk:test"),
    )

    assert settled(outcomes) == [Settled.APPLIED, Settled.APPLIED]


def test_data_that_breaks_its_schema_is_parked_and_its_publisher_told(workshop: Workshop) -> None:
    outcomes = workshop.take(event("thing.made", {"amount": "many"}, source="urn:viisikko:seamk:x"))

    assert settled(outcomes) == [Settled.PARKED]
    assert [(p["reason"], p["publisher"]) for p in parked(workshop)] == [("schema", "seamk")]
    told = workshop.sent()
    assert [(e["type"], e["destination"], e["data"]["reason"]) for e in told] == [
        ("fi.viisikko.event.refused.v1", "seamk", "schema")
    ]
    assert "many" not in json.dumps(told)


def test_the_publisher_is_told_once_an_hour_with_the_count(workshop: Workshop) -> None:
    for number in range(4):
        workshop.take(event("thing.made", {"amount": "x"}, identifier=f"bad-{number}"))

    assert [e["data"]["count"] for e in workshop.sent()] == [1]
    assert len(parked(workshop)) == 4


def test_the_same_bad_event_is_parked_once(workshop: Workshop) -> None:
    bad = event("thing.made", {"amount": "x"})

    workshop.take(bad)
    workshop.take(bad)

    assert [p["attempts"] for p in parked(workshop)] == [2]


def test_a_rule_of_the_domain_parks_with_its_name(workshop: Workshop) -> None:
    workshop.take(event("thing.made", {"amount": 999}), event("thing.made", {"amount": 1}))

    assert [(p["reason"], p["rule"]) for p in parked(workshop)] == [("rule", "too-much")]
    assert workshop.state("thing", "s-1").count == 999


def test_a_corrected_resend_of_a_parked_event_is_no_duplicate(workshop: Workshop) -> None:
    workshop.take(event("thing.made", {"amount": "x"}, identifier="same"))

    outcomes = workshop.take(event("thing.made", {"amount": 2}, identifier="same"))

    assert settled(outcomes) == [Settled.APPLIED]


def test_who_may_not_say_it_is_parked_as_not_yours(workshop: Workshop) -> None:
    workshop.take(event("thing.owned", {"amount": 1}))

    workshop.take(event("thing.owned", {"amount": 1}, source="urn:viisikko:seamk:x"))

    assert [p["reason"] for p in parked(workshop)] == ["not-yours"]


def test_an_identity_code_is_parked_without_the_body(workshop: Workshop) -> None:
    workshop.take(event("thing.made", {"amount": 1, "text": "hetu 131052-308T"}))

    (found,) = parked(workshop)
    assert (found["reason"], found["body"]) == ("identity-code", None)
    assert "131052" not in repr(found) + json.dumps(workshop.sent())


def test_a_programming_error_parks_the_guilty_event_alone(workshop: Workshop) -> None:
    outcomes = workshop.take(
        event("thing.made", {"amount": 1}), event("thing.made", {"amount": 13}), event("thing.made", {"amount": 2})
    )

    assert settled(outcomes) == [Settled.APPLIED, Settled.PARKED, Settled.APPLIED]
    assert workshop.state("thing", "s-1").count == 3
    assert [p["reason"] for p in parked(workshop)] == ["error"]


def test_a_version_that_is_not_read_is_ignored(workshop: Workshop) -> None:
    outcomes = workshop.take(event("thing.made", {"amount": 1}, version=2))

    assert settled(outcomes) == [Settled.IGNORED]
    assert parked(workshop) == []


def test_an_event_from_before_the_replay_window_without_a_sequence_is_too_old(workshop: Workshop) -> None:
    old = datetime.now(UTC) - timedelta(days=91)

    workshop.take(
        event("thing.made", {"amount": 1}, time=old), event("thing.made", {"amount": 1}, time=old, sequence=1)
    )

    assert [p["reason"] for p in parked(workshop)] == ["too-old"]
    assert workshop.state("thing", "s-1").count == 1


def test_a_batch_with_two_writers_tries_again_and_loses_nothing(workshop: Workshop) -> None:
    workshop.take(event("thing.made", {"amount": 0}))

    def write(source: str) -> None:
        for _ in range(15):
            workshop.take(event("thing.made", {"amount": 1}, source=source))

    threads = [threading.Thread(target=write, args=(f"urn:viisikko:kunta:writer-{n}",)) for n in range(3)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert workshop.state("thing", "s-1").count == 45


def test_a_command_again_answers_with_the_aggregate_as_it_stands(workshop: Workshop) -> None:
    first = workshop.order("make", {"amount": 1}, mark="m")
    second = workshop.order("make", {"amount": 1}, mark="m")

    assert (first.settled, second.settled) == (Settled.APPLIED, Settled.DUPLICATE)
    assert first.aggregate_id == second.aggregate_id
    assert second.state.count == 1


def test_a_command_again_with_another_body_is_a_conflict(workshop: Workshop) -> None:
    workshop.order("make", {"amount": 1}, mark="m")

    assert workshop.order("make", {"amount": 2}, mark="m").settled is Settled.CONFLICT


def test_personal_fields_are_encrypted_in_the_store(workshop: Workshop) -> None:
    outcome = workshop.order("make", {"amount": 1, "note": "Aino Koski"})

    stored = workshop.floor.home.database["thing"].find_one()
    assert stored is not None
    assert "Aino" not in repr(stored)
    assert workshop.state("thing", outcome.aggregate_id or "").note == "Aino Koski"


def test_without_its_key_a_personal_field_is_gone(workshop: Workshop) -> None:
    outcome = workshop.order("make", {"amount": 1, "note": "Aino Koski"})

    workshop.floor.home.keys["keys"].delete_many({})

    assert workshop.state("thing", outcome.aggregate_id or "").note is None


def test_what_leaves_the_organisation_names_the_client_by_the_pairs_reference(
    workshop: Workshop, offline_place: Place
) -> None:
    secrets.make(offline_place.folder / "seamk", offline_place.folder / "keys", "seamk")
    workshop.take(event("thing.abroad", {"amount": 1}, subject="c.aaaa"))

    counted, whispered = workshop.sent()
    assert counted["subject"].startswith("r.")
    assert counted["correlationid"] == counted["subject"]
    assert "causationid" not in counted
    # It begins a trace of its own, which says nothing that its id does not say.
    assert counted["traceparent"].split("-")[1] == counted["id"].replace("-", "")
    assert workshop.floor.home.references.arrive(counted["subject"], "seamk") == "c.aaaa"
    assert whispered["dataclassification"] == "personal"


def test_what_is_about_a_client_never_goes_to_all(workshop: Workshop) -> None:
    outcomes = workshop.take(event("thing.shouted", {"amount": 1}, subject="c.aaaa"))

    assert settled(outcomes) == [Settled.PARKED]
    assert [e["type"] for e in workshop.sent()] == ["fi.viisikko.event.refused.v1"]


def test_a_timer_is_kept_with_its_aggregate_and_fires_once(workshop: Workshop) -> None:
    workshop.take(event("thing.timed", {"amount": 0}))

    fired = [workshop.floor.duties._timers.run_once() for _ in range(3)]

    assert fired == [1, 0, 0]
    assert workshop.state("thing", "s-1").reminded == 1


def test_a_timer_waits_for_the_clock_that_is_set(workshop: Workshop, offline_place: Any) -> None:
    workshop.take(event("thing.timed", {"amount": 3}))
    before = workshop.floor.duties._timers.run_once()

    (offline_place.folder / "clock").write_text(str(timedelta(days=4).total_seconds()))

    assert (before, workshop.floor.duties._timers.run_once()) == (0, 1)


def test_an_effect_is_tried_again_and_its_result_applied_once(workshop: Workshop, offline_place: Any) -> None:
    workshop.take(event("thing.worked", {"amount": 8}))
    effects = workshop.floor.duties._effects

    tries = 0
    for hour in range(5):
        (offline_place.folder / "clock").write_text(str(hour * 3600))
        tries += effects.run_once()

    assert tries == 3
    assert workshop.state("thing", "s-1").done == 8
    assert workshop.floor.home.database["effects"].count_documents({}) == 0


def test_an_effect_that_nobody_can_do_is_told_and_kept(workshop: Workshop) -> None:
    workshop.take(event("thing.worked", {"amount": 7}))

    workshop.floor.duties._effects.run_once()

    assert workshop.state("thing", "s-1").failed == 1
    assert workshop.floor.home.database["effects"].find_one({"dead": True})["error"] == "amount: nobody can do seven"


def test_history_beyond_what_a_document_holds_is_moved_and_still_read(workshop: Workshop) -> None:
    for start in range(0, 150, 50):
        workshop.take(*(event("thing.made", {"amount": 0}, sequence=n + 1) for n in range(start, start + 50)))

    history = workshop.service.history("thing", "s-1")

    assert [entry["version"] for entry in history] == list(range(1, 151))
    stored = workshop.floor.home.database["thing"].find_one()
    assert stored is not None
    assert len(stored["history"]) <= 40


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=20))
def test_whatever_the_order_and_repetition_the_newest_of_a_stream_stands(
    workshop: Workshop, numbers: list[tuple[int, bool]]
) -> None:
    subject = str(uuid.uuid4())
    events = {
        n: event("thing.made", {"amount": n}, sequence=n, subject=subject, identifier=f"{subject}-{n}")
        for n in range(1, 7)
    }
    batches: list[list[Any]] = [[]]
    for number, cut in numbers:
        batches[-1].append(events[number])
        if cut:
            batches.append([])

    for batch in batches:
        if batch:
            workshop.take(*batch)

    newest, total, seen = 0, 0, set()
    for number, _cut in numbers:
        if number not in seen and number > newest:
            newest, total = number, total + number
        seen.add(number)
    state = workshop.state("thing", subject)
    assert (state.count if state else 0) == total


def test_an_order_without_a_handler_is_a_programming_error(workshop: Workshop) -> None:
    (outcome,) = workshop.floor.transaction.apply([Order(name="nothing", data={}, mark="m", body_hash="")])

    assert isinstance(outcome.refusal, Failed)
    assert isinstance(outcome.refusal.__cause__, LookupError)


def test_an_order_with_a_programming_error_leaves_the_rest_of_its_page(workshop: Workshop) -> None:
    orders = [Order(name="make", data={"amount": n}, mark=f"m-{n}", body_hash="") for n in (1, 13, 2)]

    outcomes = workshop.floor.transaction.apply(orders)

    assert settled(outcomes) == [Settled.APPLIED, Settled.REFUSED, Settled.APPLIED]
    assert isinstance(outcomes[1].refusal, Failed)


@pytest.mark.parametrize(
    ("guilty", "amount", "text"),
    [
        ("person.named", 13, "x"),
        ("thing.worded", 1, "a\0b"),
        ("thing.dated", 1, None),
        ("thing.hurried", 1, None),
    ],
    ids=["key", "state", "effect", "timer"],
)
def test_whatever_fails_parks_the_guilty_event_and_applies_the_others(
    workshop: Workshop, guilty: str, amount: int, text: str | None
) -> None:
    outcomes = workshop.take(
        event("thing.made", {"amount": 1}, subject="a"),
        event(guilty, {"amount": amount, "text": text}, subject="guilty"),
        event("thing.made", {"amount": 2}, subject="b"),
    )

    assert settled(outcomes) == [Settled.APPLIED, Settled.PARKED, Settled.APPLIED]
    assert (workshop.state("thing", "a").count, workshop.state("thing", "b").count) == (1, 2)
    assert [(p["reason"], p["type"]) for p in parked(workshop)] == [("error", guilty)]


def test_a_state_that_cannot_be_loaded_parks_what_names_it(workshop: Workshop) -> None:
    workshop.take(event("thing.made", {"amount": 1}, subject="bad"))
    workshop.floor.home.database["thing"].update_one({"_id": "bad"}, {"$set": {"state.count": "many"}})

    outcomes = workshop.take(event("thing.made", {}, subject="bad"), event("thing.made", {"amount": 1}, subject="bad"))
    outcomes += workshop.take(event("thing.made", {"amount": 1}), event("thing.made", {"amount": 1}, subject="bad"))

    assert settled(outcomes) == [Settled.PARKED, Settled.PARKED, Settled.APPLIED, Settled.PARKED]


def word(number: int) -> Parked:
    bad = delivery(event("thing.made", {}, identifier=f"bad-{number}"))
    return Parked(delivery=bad, reason=Reason.SCHEMA, error="x", at=datetime.now(UTC))


def test_parking_waits_for_another_writer_of_the_same_word(workshop: Workshop) -> None:
    workshop.floor.transaction.park([word(0)])
    refusals = workshop.floor.home.database["refusals"]

    with refusals.database.client.start_session() as session:
        session.start_transaction()
        refusals.update_one({}, {"$inc": {"count": 1}}, session=session)
        timer = threading.Timer(0.1, session.commit_transaction)
        timer.start()
        workshop.floor.transaction.park([word(1)])
        timer.join()

    assert len(parked(workshop)) == 2


def test_an_ended_session_is_tried_again(
    workshop: Workshop, offline_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = workshop.floor.transaction._writer
    others = Workshop(type(workshop.service), offline_place)
    write, ended = writer._write, []

    def killed_once(batch: Any, session: Any) -> None:
        write(batch, session)
        if not ended:
            ended.append(True)
            others.floor.home.sessions.end_others()

    monkeypatch.setattr(writer, "_write", killed_once)
    outcomes = workshop.take(event("thing.made", {"amount": 3}))
    others.close()

    assert settled(outcomes) == [Settled.APPLIED]
    assert workshop.state("thing", "s-1").count == 3
    assert workshop.floor.home.database["sessions"].count_documents({}) == 1


def test_an_effect_asked_for_again_under_its_key_is_the_same_one(workshop: Workshop) -> None:
    workshop.take(event("thing.worked", {"amount": 1, "text": "same"}))

    outcomes = workshop.take(event("thing.worked", {"amount": 1, "text": "same"}), event("thing.made", {"amount": 1}))

    assert settled(outcomes) == [Settled.APPLIED, Settled.APPLIED]
    assert workshop.floor.home.database["effects"].count_documents({}) == 1


@pytest.mark.parametrize(("timer", "fired"), [("quiet", [1, 0]), ("angry", [1, 0]), ("unread", [1, 0])])
def test_a_timer_that_changes_nothing_does_not_fire_for_ever(workshop: Workshop, timer: str, fired: list[int]) -> None:
    workshop.take(event("thing.timed", {"amount": 0, "text": timer}))

    assert [workshop.floor.duties._timers.run_once() for _ in fired] == fired


def test_a_timer_that_fails_waits_and_keeps_no_other_from_firing(workshop: Workshop, offline_place: Place) -> None:
    workshop.take(
        event("thing.timed", {"amount": 0, "text": "broken"}, subject="bad"),
        event("thing.timed", {"amount": 0}, subject="good"),
    )
    timers = workshop.floor.duties._timers

    fired = [timers.run_once() for _ in range(3)]
    (offline_place.folder / "clock").write_text("60")

    assert fired == [2, 0, 0]
    assert workshop.state("thing", "good").reminded == 1
    assert [timers.run_once(), timers.run_once()] == [1, 0]


def test_a_clock_that_is_stepped_back_leaves_no_timer_waiting(workshop: Workshop, offline_place: Place) -> None:
    workshop.take(event("thing.timed", {"amount": 0, "text": "broken"}))
    timers = workshop.floor.duties._timers
    (offline_place.folder / "clock").write_text(str(5 * 3600))
    first = timers.run_once()

    (offline_place.folder / "clock").write_text("0")

    assert (first, timers.run_once()) == (1, 1)


@pytest.mark.parametrize(("amount", "error"), [(5, "result: too-much"), (6, "result: failed")])
def test_an_effect_whose_result_cannot_be_taken_is_not_done_again(
    workshop: Workshop, amount: int, error: str, offline_place: Place
) -> None:
    CALLS.clear()
    workshop.take(event("thing.worked", {"amount": amount}))

    for hour in range(3):
        (offline_place.folder / "clock").write_text(str(hour * 3600))
        workshop.floor.duties._effects.run_once()

    assert len(CALLS) == 1
    assert workshop.floor.home.database["effects"].find_one({"dead": True})["error"] == error


def test_an_adapter_may_return_nothing(workshop: Workshop) -> None:
    workshop.take(event("thing.worked", {"amount": 4}))

    workshop.floor.duties._effects.run_once()

    assert workshop.state("thing", "s-1").done == 4


def test_an_effect_that_ends_the_process_is_counted_all_the_same(workshop: Workshop) -> None:
    workshop.take(event("thing.worked", {"amount": 1}))
    effects = workshop.floor.duties._effects

    def die(_call: Any) -> Any:
        raise SystemExit

    effects._adapters = {"work": die}
    with pytest.raises(SystemExit):
        effects.run_once()

    assert workshop.floor.home.database["effects"].find_one()["attempt"] == 1


def test_a_time_limit_in_an_adapter_is_a_failed_try(workshop: Workshop) -> None:
    workshop.take(event("thing.worked", {"amount": 9}))

    assert workshop.floor.duties._effects.run_once() == 1
    assert "Timeout" in workshop.floor.home.database["effects"].find_one()["error"]


def test_while_the_other_end_is_away_no_effect_is_given_up(workshop: Workshop, offline_place: Place) -> None:
    CALLS.clear()
    AWAY.append(True)
    effects = workshop.floor.duties._effects
    workshop.take(*(event("thing.worked", {"amount": 1}, subject=f"s-{n}") for n in range(5)))

    tried = []
    for minute in range(30):
        (offline_place.folder / "clock").write_text(str(minute * 60))
        tried.append(effects.run_once())
    away = workshop.floor.ready()["work"]
    AWAY.clear()
    (offline_place.folder / "clock").write_text(str(31 * 60))
    effects.run_once()

    assert tried == [1] * 30
    assert (away, workshop.floor.ready()["work"]) == (False, True)
    assert workshop.floor.home.database["effects"].count_documents({}) == 0
    assert [workshop.state("thing", f"s-{n}").done for n in range(5)] == [1] * 5


def test_two_sources_with_the_same_id_send_events_with_ids_of_their_own(workshop: Workshop) -> None:
    workshop.take(
        event("thing.made", {"amount": 1}, subject="a", identifier="1"),
        event("thing.made", {"amount": 1}, subject="b", identifier="1", source="urn:viisikko:seamk:sis"),
    )

    assert len({sent["id"] for sent in workshop.sent()}) == 2


def test_a_newer_event_that_decides_nothing_supersedes_the_older_ones(workshop: Workshop) -> None:
    workshop.take(event("thing.made", {"amount": 1}))
    newer, older = event("thing.read", {"amount": 1}, sequence=3), event("thing.read", {"amount": 1}, sequence=2)

    outcomes = workshop.take(newer) + workshop.take(older) + workshop.take(newer)

    assert settled(outcomes) == [Settled.IGNORED, Settled.SUPERSEDED, Settled.DUPLICATE]


def test_what_decides_nothing_about_nothing_leaves_nothing(workshop: Workshop) -> None:
    outcomes = workshop.take(event("thing.read", {"amount": 1}, sequence=3))

    assert settled(outcomes) == [Settled.IGNORED]
    assert workshop.floor.home.database["thing"].count_documents({}) == 0


def test_an_event_whose_content_is_invalid_is_parked_as_schema(workshop: Workshop) -> None:
    workshop.take(event("thing.read", {"amount": 99}))

    assert [(p["reason"], p["rule"]) for p in parked(workshop)] == [("schema", None)]


def test_without_its_key_a_required_personal_text_is_gone_too(workshop: Workshop) -> None:
    workshop.take(event("person.named", {"amount": 1, "text": "Aino"}, subject="p"))
    named = workshop.state("person", "p").given

    workshop.floor.home.keys["keys"].delete_many({})

    assert (named, workshop.state("person", "p").given) == ("Aino", None)


def test_keys_are_made_only_for_what_is_personal(workshop: Workshop) -> None:
    workshop.take(
        *(event("person.seen", {"amount": 1}, subject=f"p-{n}") for n in range(3)),
        *(event("person.named", {"amount": 1, "text": "Aino"}, subject=f"q-{n}") for n in range(3)),
    )

    keys = sorted(key["_id"] for key in workshop.floor.home.keys["keys"].find())
    assert keys == ["person/q-0", "person/q-1", "person/q-2"]


def test_a_key_that_another_replica_makes_in_the_same_moment_is_shared(workshop: Workshop) -> None:
    keys = workshop.floor.documents.keys
    made: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: made.append(keys.make(["a", "b"]))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    sealed = made[0]["a"].encrypt(b"x", "f")
    assert [ciphers["a"].decrypt(sealed, "f") for ciphers in made] == [b"x"] * 4
