"""Nobody answers: working days, holidays, and what follows."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from referral_factories import CLIENT, NETWORK, command, organisation, reads, referral

from chassis.testing import decide, dumped, published_names
from referral.domain import Journey, Status
from referral.handlers import on
from referral.workdays import HELSINKI, working_days_later


def at(day: str, hour: int = 12) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), HELSINKI).replace(hour=hour)


@pytest.mark.parametrize(
    ("since", "days", "until", "because"),
    [
        ("2026-11-23", 3, "2026-11-26", "nothing is in the way"),
        ("2026-11-26", 3, "2026-12-01", "a weekend"),
        ("2026-11-28", 1, "2026-11-30", "a Saturday begins with Monday"),
        ("2027-12-03", 1, "2027-12-07", "Independence day on a Monday"),
        ("2026-12-04", 1, "2026-12-07", "Independence day on a Sunday"),
        ("2026-12-23", 3, "2026-12-30", "Christmas eve to Boxing day and a weekend"),
        ("2026-12-31", 1, "2027-01-04", "New Year on a Friday"),
        ("2027-01-05", 1, "2027-01-07", "Epiphany"),
        ("2026-04-01", 3, "2026-04-08", "Easter, from Good Friday to Monday"),
        ("2027-03-25", 1, "2027-03-30", "Easter of the year after"),
        ("2026-04-30", 1, "2026-05-04", "the first of May on a Friday"),
        ("2026-05-13", 1, "2026-05-15", "Ascension day"),
        ("2026-06-18", 1, "2026-06-22", "Midsummer eve, a Friday"),
        ("2026-12-21", 14, "2027-01-14", "all of the turn of the year"),
    ],
)
def test_days_off_do_not_count(since: str, days: int, until: str, because: str) -> None:
    assert working_days_later(at(since), days).date() == date.fromisoformat(until), because


def test_the_hour_is_kept_when_the_clocks_change() -> None:
    friday_in_summer_time = datetime(2026, 10, 23, 6, 0, tzinfo=UTC)

    assert working_days_later(friday_in_summer_time, 1) == datetime(2026, 10, 26, 7, 0, tzinfo=UTC)


def test_a_day_begins_in_helsinki_not_in_greenwich() -> None:
    friday_evening_there_saturday_here = datetime(2026, 11, 27, 22, 30, tzinfo=UTC)

    assert working_days_later(friday_evening_there_saturday_here, 1).date() == date(2026, 11, 30)


@given(st.datetimes(datetime(2025, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)), st.integers(1, 30))  # noqa: DTZ001
def test_one_day_after_the_other_is_the_same_as_all_at_once(since: datetime, days: int) -> None:
    once = working_days_later(since, days)
    stepwise = since
    for _ in range(days):
        stepwise = working_days_later(stepwise, 1)

    assert once == stepwise
    assert once.weekday() < 5
    assert once > since


def test_each_organisation_has_its_own_patience() -> None:
    patient = organisation("kunta", "seamk", remind_working_days=1, escalate_working_days=2, expire_working_days=5)
    network = type(NETWORK)(organisations={**NETWORK.organisations, "kunta": patient})
    body = {"client": CLIENT, "offering": "seamk.polku", "receiver": "seamk"}

    decision = command("request", None, body, reads=reads(network=network), at=at("2026-11-23"))

    due = {name: when.date().isoformat() for name, when in decision.timers.items()}
    assert due == {"remind": "2026-11-24", "escalate": "2026-11-25", "expire": "2026-11-30"}


@pytest.mark.parametrize(("timer", "event"), [("remind", "referral.reminded"), ("escalate", "referral.escalated")])
def test_the_receiver_and_the_own_people_hear_that_nobody_has_answered(timer: str, event: str) -> None:
    decision = decide(on, "timer", timer, referral(), aggregate="referral", reads=reads())

    assert published_names(decision) == [(event, "seamk"), (event, "kunta")]
    assert decision.state.status is Status.REQUESTED
    assert {(e.subject, e.correlation) for e in decision.publish} == {("r-1", CLIENT)}


def test_what_nobody_answers_expires_and_names_where_to_go_on() -> None:
    decision = decide(on, "timer", "expire", referral(), aggregate="referral", reads=reads())

    assert (decision.state.status, decision.state.ended_by) == (Status.CANCELLED, "kunta")
    to_receiver = dumped(decision, "referral.cancelled", "seamk")
    to_coach = dumped(decision, "referral.cancelled", "kunta")
    assert to_receiver["reason"] == to_coach["reason"] == "no-answer"
    assert to_coach["next"] == {"offering": "sedu.lahi", "provider": "sedu", "names": {"fi": "Lähihoitaja"}}
    assert "next" not in to_receiver


def test_what_expires_with_nowhere_left_names_nothing() -> None:
    decision = decide(
        on, "timer", "expire", referral(), aggregate="referral", reads=reads(journeys={CLIENT: Journey()})
    )

    assert decision.state.next is None
    assert "next" not in dumped(decision, "referral.cancelled", "kunta")
