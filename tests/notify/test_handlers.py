"""Who hears of what, without any I/O."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.decision import Network, NotYours, Organisation
from chassis.testing import decide, dumped, published_names
from notify.domain import Duty, Entry, Letter, NotAStaffId, Notification, Person, Reads, Status
from notify.handlers import on

NETWORK = Network(
    organisations={
        "kunta": Organisation(
            code="kunta", names={"fi": "Kunta"}, joins="member", assessor="kunta", technical="kunta-tuki"
        ),
        "seamk": Organisation(code="seamk", names={"fi": "SeAMK"}, joins="member", technical="seamk-tuki"),
    }
)


def entry(staff: str, **fields: Any) -> Entry:
    return Entry(
        **{"id": staff, "language": "fi", "duties": (), "deputy": None, "active": True} | fields,
    )


def reads(*people: Entry) -> Reads:
    return Reads(network=NETWORK, directory={person.id: person for person in people})


def referral(**fields: Any) -> dict[str, Any]:
    return {
        "sender": "kunta",
        "receiver": "seamk",
        "offeringNames": {"fi": "Avoin polku"},
        "responsible": {"sender": "kunta-1", "receiver": None},
        "reason": None,
    } | fields


def letters_to(decision: Any) -> list[str]:
    return [effect.data["to"] for effect in decision.effects]


COACH = entry("kunta-1")
COUNSELLOR = entry("seamk-1", duties=(Duty.REFERRALS,))


def test_the_coach_hears_of_an_answer_from_the_own_organisations_copy() -> None:
    decision = decide(on, "event", "referral.accepted", data=referral(), reads=reads(COACH), correlation="c.1")

    assert letters_to(decision) == ["kunta-1"]
    assert decision.state.template == "referral-accepted"


def test_the_coach_hears_only_once_of_an_answer_that_came_from_the_school() -> None:
    decision = decide(on, "event", "referral.accepted", data=referral(), reads=reads(COACH), organisation="seamk")

    assert decision.state is None
    assert letters_to(decision) == []


def test_the_receivers_people_hear_how_a_lost_race_ended_from_their_own_copy() -> None:
    data = referral(reason="no-capacity")

    decision = decide(
        on, "event", "referral.rejected", data=data, reads=reads(COUNSELLOR), own="seamk", organisation="seamk"
    )

    assert letters_to(decision) == ["seamk-1"]


def test_a_guests_bare_answer_is_left_to_the_own_organisations_copy() -> None:
    decision = decide(on, "event", "referral.cancelled", data={}, reads=reads(COACH), organisation="sedu")

    assert decision.state is None


def test_a_person_put_in_again_unchanged_is_not_written_again() -> None:
    person = Person(id="kunta-4", name="Aino", email="aino@example.fi")

    decision = decide(
        on,
        "command",
        "keep-person",
        person,
        {"name": "Aino", "email": "aino@example.fi"},
        path={"id": "kunta-4"},
    )

    assert decision.state is None


@pytest.mark.parametrize("identifier", ["Aino", "kunta-", "kunta-4\n", "kunta-" + "1" * 61, "kunta-ä"])
def test_what_is_no_staff_id_is_not_put_into_the_directory(identifier: str) -> None:
    with pytest.raises(NotAStaffId):
        decide(on, "command", "keep-person", data={"name": "Aino", "email": "aino@example.fi"}, path={"id": identifier})


def test_a_request_without_a_named_counsellor_goes_to_whoever_has_the_duty() -> None:
    decision = decide(
        on,
        "event",
        "referral.requested",
        data=referral(),
        reads=reads(COUNSELLOR, entry("seamk-2")),
        own="seamk",
        organisation="kunta",
    )

    assert letters_to(decision) == ["seamk-1"]


@pytest.mark.parametrize(
    "changes",
    [pytest.param({"sender": "sedu"}, id="in another's name"), pytest.param({"receiver": "sedu"}, id="to another")],
)
def test_nobody_is_told_of_a_referral_that_is_not_the_speakers_to_this_organisation(changes: dict[str, str]) -> None:
    data = referral(**changes)

    with pytest.raises(NotYours):
        decide(on, "event", "referral.requested", data=data, reads=reads(COUNSELLOR), own="seamk", organisation="kunta")


def test_the_sender_is_not_told_of_its_own_request() -> None:
    decision = decide(on, "event", "referral.requested", data=referral(), reads=reads(COACH))

    assert letters_to(decision) == []


def test_a_letter_for_somebody_who_is_away_goes_to_the_deputy() -> None:
    away = entry("kunta-1", active=False, deputy="kunta-2")

    decision = decide(on, "event", "referral.accepted", data=referral(), reads=reads(away, entry("kunta-2")))

    assert letters_to(decision) == ["kunta-2"]


def test_a_circle_of_deputies_ends_with_whoever_has_the_duty() -> None:
    people = reads(
        entry("kunta-1", active=False, deputy="kunta-2"),
        entry("kunta-2", active=False, deputy="kunta-1"),
        entry("kunta-3", duties=(Duty.CLIENTS,)),
    )

    decision = decide(on, "event", "referral.accepted", data=referral(), reads=people)

    assert letters_to(decision) == ["kunta-3"]


def test_an_escalation_reaches_the_receivers_deputy() -> None:
    people = reads(entry("seamk-1", deputy="seamk-9"), entry("seamk-9"))
    data = referral(responsible={"sender": "kunta-1", "receiver": "seamk-1"})

    decision = decide(on, "event", "referral.escalated", data=data, reads=people, own="seamk", organisation="kunta")

    assert letters_to(decision) == ["seamk-9"]


def test_only_the_assessing_organisation_makes_the_coach_go_through_proposals() -> None:
    with pytest.raises(NotYours):
        decide(on, "event", "profile.proposed", data={"coach": "kunta-1"}, reads=reads(COACH), organisation="seamk")


def test_the_letter_about_contact_details_holds_none_of_them() -> None:
    data = {"referral": "r-1", "given": "Aino", "family": "Koski", "email": "aino@example.fi"}

    decision = decide(
        on, "event", "client.disclosed", data=data, reads=reads(COUNSELLOR), own="seamk", organisation="kunta"
    )

    assert letters_to(decision) == ["seamk-1"]
    assert "Aino" not in repr(decision)
    assert "aino@" not in repr(decision)


def test_a_refused_event_reaches_the_technical_contact() -> None:
    people = reads(entry("kunta-tuki"))
    data = {"event": "1", "type": "x", "reason": "schema", "error": "goal: missing", "count": 3}

    decision = decide(on, "event", "event.refused", data=data, reads=people, organisation="seamk")

    assert letters_to(decision) == ["kunta-tuki"]


def test_a_delivered_letter_is_told_to_the_own_organisation() -> None:
    pending = Notification(event="e", template="t", parameters={}, letters=(Letter(to="kunta-1"),))

    decision = decide(on, "result", "mail", pending, {"to": "kunta-1"}, reads=reads(COACH), aggregate="notification")

    assert decision.state.letters == (Letter(to="kunta-1", status=Status.DELIVERED),)
    assert published_names(decision) == [("notification.delivered", "kunta")]
    assert dumped(decision, "notification.delivered", "kunta")["to"] == "kunta-1"


def test_a_letter_that_is_given_up_is_told_as_failed() -> None:
    pending = Notification(event="e", template="t", parameters={}, letters=(Letter(to="kunta-1"),))

    decision = decide(
        on,
        "result",
        "mail",
        pending,
        {"to": "kunta-1"},
        reads=reads(COACH),
        aggregate="notification",
        failed=True,
    )

    assert published_names(decision) == [("notification.failed", "kunta")]


def test_the_same_event_names_the_same_letter_for_the_mail_system() -> None:
    arguments: dict[str, Any] = {"data": referral(), "reads": reads(COACH), "id": "event-7"}

    first = decide(on, "event", "referral.accepted", **arguments)
    second = decide(on, "event", "referral.accepted", **arguments)

    assert first.effects[0].key == second.effects[0].key == "event-7.kunta-1@kunta.viisikko"


def test_a_person_is_kept_under_the_id_of_the_path() -> None:
    decision = decide(
        on,
        "command",
        "keep-person",
        data={"name": "Aino", "email": "aino@example.fi", "language": "sv", "duties": ["clients"]},
        path={"id": "kunta-4"},
    )

    assert decision.state == Person(
        id="kunta-4", name="Aino", email="aino@example.fi", language="sv", duties=(Duty.CLIENTS,)
    )
