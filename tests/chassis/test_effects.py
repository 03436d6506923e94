"""Effects that nobody can do: they stand in the parking lot, and operators have them done after all, each once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import eventlet
import pytest
from parking_lot import ANN, act, audit, lot
from thing import AWAY, CALLS, MENDED, Things

from chassis.effects import NEVER_ENDED, EffectCall
from chassis.parked import Asker
from chassis.testing_live import Place, Workshop, event

BOB = Asker(person="kunta-2", key="k-2")
NOBODY_CAN, REFUSED = 7, 5
EFFECT = "thing/s-1/work/key-1"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Forget what earlier tests asked of the adapter."""
    for kept in (CALLS, AWAY, MENDED):
        kept.clear()
    yield
    MENDED.clear()


def work(workshop: Workshop, amount: int) -> None:
    """Ask for an effect, and let it be tried."""
    workshop.take(event("thing.worked", {"amount": amount, "text": "key-1"}))
    run(workshop)


def run(workshop: Workshop) -> int:
    return workshop.floor.duties._effects.run_once()


def effects(workshop: Workshop) -> list[dict[str, Any]]:
    return list(workshop.floor.home.database["effects"].find())


@contextmanager
def another(place: Place, **more: str) -> Iterator[Workshop]:
    """The same service with settings of its own."""
    made = Workshop(Things, replace(place, more={f"VIISIKKO_{name.upper()}": value for name, value in more.items()}))
    try:
        yield made
    finally:
        made.close()


def set_clock(place: Place, seconds: float) -> None:
    (place.folder / "clock").write_text(str(seconds))


@pytest.mark.parametrize(
    ("amount", "error"), [(NOBODY_CAN, "amount: nobody can do seven"), (REFUSED, "result: too-much")]
)
def test_a_dead_effect_stands_in_the_parking_lot_without_its_data(workshop: Workshop, amount: int, error: str) -> None:
    work(workshop, amount)

    (entry,) = lot(workshop)
    shown = workshop.floor.parked.show(entry["_id"])
    assert [entry[name] for name in ("reason", "queue", "type", "error")] == ["effect", "effects", "work", error]
    assert (shown["attributes"], shown["data"], shown["replayable"]) == ({"effect": EFFECT}, None, True)


def test_a_replayed_effect_is_done_with_its_key_and_leaves_the_lot(workshop: Workshop) -> None:
    work(workshop, NOBODY_CAN)
    MENDED.append(True)

    act(workshop, "replay")
    tried = run(workshop)

    assert (tried, [(call.key, call.attempt) for call in CALLS]) == (1, [("key-1", 1), ("key-1", 1)])
    assert (workshop.state("thing", "s-1").done, lot(workshop), effects(workshop)) == (NOBODY_CAN, [], [])
    assert audit(workshop) == [("replay", "kunta-operator", None), ("settled", None, "applied")]


def test_an_effect_whose_result_was_refused_tells_it_anew_and_is_not_done_again(workshop: Workshop) -> None:
    work(workshop, REFUSED)
    MENDED.append(True)

    act(workshop, "replay")
    run(workshop)

    assert (len(CALLS), workshop.state("thing", "s-1").done) == (1, REFUSED)
    assert (lot(workshop), effects(workshop)) == ([], [])


@pytest.mark.parametrize("amount", [NOBODY_CAN, REFUSED])
def test_what_fails_again_is_parked_in_its_own_place_with_one_attempt_more(workshop: Workshop, amount: int) -> None:
    work(workshop, amount)
    (before,) = lot(workshop)

    act(workshop, "replay")
    run(workshop)

    (after,) = lot(workshop)
    assert (after["_id"], after["status"], after["attempts"]) == (before["_id"], "parked", 2)
    assert audit(workshop)[1:] == [("parked-again", None, "effect")]
    assert [effect["dead"] for effect in effects(workshop)] == [True]


def test_two_who_replay_at_once_have_it_done_once(workshop: Workshop, offline_place: Place) -> None:
    work(workshop, NOBODY_CAN)
    MENDED.append(True)

    with another(offline_place) as other, ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda one: act(one[0], "replay", one[1]), [(workshop, ANN), (other, BOB)]))
        tries = [run(workshop), run(other), run(workshop)]

    assert sorted(len(answer["ids"]) for answer in answers) == [0, 1]
    assert (tries, workshop.state("thing", "s-1").done) == ([1, 0, 0], NOBODY_CAN)


def test_an_effect_on_its_way_is_replayed_by_nobody_else_however_long_it_takes(
    workshop: Workshop, offline_place: Place
) -> None:
    work(workshop, NOBODY_CAN)
    act(workshop, "replay")
    set_clock(offline_place, 3 * 86_400)

    again = act(workshop, "replay", BOB)

    assert (again["ids"], again["replaying"]) == ([], 1)


def test_a_discarded_effect_is_gone_with_its_document(workshop: Workshop) -> None:
    work(workshop, NOBODY_CAN)

    done = act(workshop, "discard", reason="effect")

    assert (len(done["ids"]), lot(workshop), effects(workshop)) == (1, [], [])
    assert audit(workshop) == [("discard", "kunta-operator", None)]


def test_a_dead_effect_asked_for_again_stays_the_same_one(workshop: Workshop) -> None:
    work(workshop, NOBODY_CAN)

    workshop.take(event("thing.worked", {"amount": NOBODY_CAN, "text": "key-1"}))

    assert (run(workshop), len(CALLS), len(lot(workshop))) == (0, 1, 1)


def test_a_replica_that_comes_late_buries_nothing_that_was_done_meanwhile(
    workshop: Workshop, offline_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(_call: EffectCall) -> dict[str, Any]:
        # Meanwhile its standby has done it.
        workshop.floor.home.database["effects"].delete_many({})
        raise RuntimeError("too late")

    with another(offline_place, effect_attempts="1") as late:
        monkeypatch.setattr(late.floor.duties._effects, "_adapters", {"work": overtaken})
        work(late, 1)

    assert (lot(workshop), effects(workshop)) == ([], [])


def test_a_replica_that_read_an_effect_before_its_replay_does_nothing_with_it(workshop: Workshop) -> None:
    workshop.take(event("thing.worked", {"amount": REFUSED, "text": "key-1"}))
    ours = workshop.floor.duties._effects
    (read_before,) = ours._due()
    run(workshop)
    act(workshop, "replay")

    tried = ours._try(read_before)

    assert (tried, len(CALLS)) == (False, 1)


def test_an_adapter_that_hangs_has_had_its_try_when_its_time_is_over(
    offline_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another(offline_place, effect_seconds="0.01") as workshop:
        monkeypatch.setattr(workshop.floor.duties._effects, "_adapters", {"work": lambda _call: eventlet.sleep(60)})

        work(workshop, 1)

        (effect,) = effects(workshop)
    assert (effect["attempt"], "Timeout" in effect["error"]) == (1, True)


def test_a_result_that_the_store_cannot_keep_gives_the_effect_up(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop.floor.duties._effects, "_adapters", {"work": lambda _call: {"did": object()}})

    work(workshop, 1)

    (entry,) = lot(workshop)
    assert "cannot be kept in the store" in entry["error"]
    assert workshop.state("thing", "s-1").failed == 1


def test_an_effect_that_ends_the_process_each_time_is_given_up(
    offline_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(call: EffectCall) -> dict[str, Any]:
        CALLS.append(call)
        raise SystemExit

    with another(offline_place, effect_attempts="1") as workshop:
        monkeypatch.setattr(workshop.floor.duties._effects, "_adapters", {"work": die})
        with pytest.raises(SystemExit):
            work(workshop, 1)
        set_clock(offline_place, 60)

        run(workshop)

        assert (len(CALLS), lot(workshop)[0]["error"]) == (1, NEVER_ENDED)
        assert workshop.state("thing", "s-1").failed == 1


@pytest.mark.parametrize("away", [(), (True,)], ids=["failed", "away"])
def test_a_clock_that_is_stepped_back_leaves_no_effect_waiting(
    workshop: Workshop, offline_place: Place, away: tuple[bool, ...]
) -> None:
    set_clock(offline_place, 5 * 3600)
    AWAY.extend(away)
    workshop.take(event("thing.worked", {"amount": 8}))
    run(workshop)
    AWAY.clear()

    set_clock(offline_place, 0)

    assert run(workshop) == 1
