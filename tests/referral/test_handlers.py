"""What each message does: refer, re-route, disclose, progress, ask for room, and keep to oneself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from marshmallow import ValidationError
from referral_factories import (
    ACHIEVED,
    CLIENT,
    JOURNEY,
    OCCUPATION,
    command,
    earlier,
    heard,
    made,
    reads,
    referral,
)

from chassis.decision import NotYours
from chassis.testing import decide, dumped, keyed, published_names
from referral.domain import (
    BusinessStatus,
    Capacity,
    ClientRequired,
    Contact,
    EarlierUnknown,
    Journey,
    NotAddressable,
    NotAllowed,
    NowhereLeft,
    OfferingOfAnother,
    PlanMissing,
    Question,
    QuestionUnknown,
    Reason,
    Status,
    Suggestion,
)
from referral.handlers import on

BODY = {"client": CLIENT, "offering": "seamk.polku", "receiver": "seamk"}
PATH = {"sender": "kunta", "id": "r-1"}


def requested(**fields: Any) -> dict[str, Any]:
    return {"sender": "kunta", "receiver": "seamk", "offering": "seamk.polku"} | fields


# ── the sender refers ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_says_what_the_plan_says_and_goes_to_both() -> None:
    decision = command("request", None, BODY)

    assert published_names(decision) == [("referral.requested", "seamk"), ("referral.requested", "kunta")]
    assert dumped(decision, "referral.requested", "seamk") == {
        "sender": "kunta",
        "receiver": "seamk",
        "offering": "seamk.polku",
        "offeringNames": {"fi": "Avoin polku"},
        "goal": {"occupation": OCCUPATION, "labels": {"fi": "sosiaaliohjaaja"}},
        "language": "sv",
        "confirmedSkills": [
            {"skill": "http://data.europa.eu/esco/skill/1", "labels": {"fi": "asiakaspalvelu"}, "level": 3}
        ],
        "responsible": {"sender": "kunta-1", "receiver": None},
        "status": "requested",
        "businessStatus": None,
        "reason": None,
        "reasonText": None,
        "outcomes": [],
        "basedOn": [],
        "note": None,
    }


def test_a_request_names_its_client_in_the_envelope_only() -> None:
    decision = command("request", None, BODY)

    assert {(event.subject, event.correlation) for event in decision.publish} == {(decision.state.id, CLIENT)}
    assert CLIENT not in str(dumped(decision, "referral.requested", "seamk"))


def test_the_same_command_makes_the_same_referral() -> None:
    key = keyed(on, "command", "request", BODY)

    assert key == f"kunta/{command('request', None, BODY).state.id}"
    assert key == keyed(on, "command", "request", BODY)


def test_names_of_an_offering_that_was_not_suggested_come_with_the_request() -> None:
    decision = command("request", None, BODY | {"offering": "seamk.muu", "offeringNames": {"sv": "Annat"}})

    assert decision.state.offering_names == {"sv": "Annat"}


@pytest.mark.parametrize(
    ("changed", "error", "field"),
    [
        ({"receiver": "stranger", "offering": "stranger.x"}, NotAddressable, "receiver"),
        ({"receiver": "kunta", "offering": "kunta.x"}, NotAddressable, "receiver"),
        ({"receiver": "nobody", "offering": "nobody.x"}, NotAddressable, "receiver"),
        ({"receiver": "sedu"}, OfferingOfAnother, "offering"),
        ({"client": "c.other"}, PlanMissing, "client"),
        ({"basedOn": ["r-9"]}, EarlierUnknown, "basedOn"),
        ({"basedOn": ["r-other"]}, EarlierUnknown, "basedOn"),
    ],
)
def test_a_request_is_refused_with_the_field_and_the_rule(
    changed: dict[str, Any], error: type[Exception], field: str
) -> None:
    view = reads(made=made(**{"r-other": ("c.other", "seamk")}))

    with pytest.raises(error, match=rf"^{field}: must ") as refusal:
        command("request", None, BODY | changed, reads=view)

    assert refusal.value.field == field  # type: ignore[attr-defined]


def test_suggestions_alone_are_no_plan() -> None:
    view = reads(journeys={CLIENT: Journey(suggestions=JOURNEY.suggestions)})

    with pytest.raises(PlanMissing):
        command("request", None, BODY, reads=view)


def test_a_misspelt_field_is_told() -> None:
    with pytest.raises(ValidationError) as refusal:
        command("request", None, BODY | {"reciever": "seamk"})

    assert set(refusal.value.normalized_messages()) == {"reciever"}


def test_a_receiver_hears_only_of_earlier_referrals_that_it_received_itself() -> None:
    known = made(**{"r-sedu": (CLIENT, "sedu"), "r-seamk": (CLIENT, "seamk")})

    decision = command("request", None, BODY | {"basedOn": ["r-sedu", "r-seamk"]}, reads=reads(made=known))

    assert dumped(decision, "referral.requested", "seamk")["basedOn"] == ["r-seamk"]
    assert dumped(decision, "referral.requested", "kunta")["basedOn"] == ["r-sedu", "r-seamk"]


# ── re-routing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def follow(decision: Any) -> Any:
    """The referral that a re-routing tells the own service to make."""
    told = decision.tell[0]
    return decide(on, "told", told.name, None, told.data, subject=told.subject, reads=reads())


@pytest.mark.parametrize("status", [Status.REJECTED, Status.CANCELLED, Status.FAILED])
def test_a_referral_that_came_to_nothing_goes_to_the_next_with_its_history(status: Status) -> None:
    before = referral(status, based_on=(earlier("ucs"),), sender_staff="kunta-3", note="Iltaisin.")

    decision = command("reroute", before)
    following = follow(decision)

    assert decision.state == replace(before, rerouted_to=following.state.id)
    assert published_names(following) == [("referral.requested", "sedu"), ("referral.requested", "kunta")]
    assert (following.state.offering, following.state.offering_names) == ("sedu.lahi", {"fi": "Lähihoitaja"})
    assert following.state.based_on == (earlier("ucs"), earlier("seamk", "r-1"))
    assert (following.state.sender_staff, following.state.note) == ("kunta-3", "Iltaisin.")
    assert dumped(following, "referral.requested", "sedu")["basedOn"] == []
    assert set(following.timers) == {"remind", "escalate", "expire"}


def test_the_told_names_the_key_of_the_referral_that_it_makes() -> None:
    told = command("reroute", referral(Status.REJECTED)).tell[0]

    assert told.subject == f"kunta/{follow(command('reroute', referral(Status.REJECTED))).state.id}"


def test_a_coach_may_choose_where_it_goes_on() -> None:
    by_receiver = follow(command("reroute", referral(Status.REJECTED), {"receiver": "sedu"}))
    by_offering = follow(command("reroute", referral(Status.REJECTED), {"receiver": "ucs", "offering": "ucs.x"}))

    assert by_receiver.state.offering == "sedu.lahi"
    assert (by_offering.state.receiver, by_offering.state.offering) == ("ucs", "ucs.x")


def test_what_cannot_be_referred_is_refused_before_anything_is_told() -> None:
    before = referral(Status.REJECTED)

    with pytest.raises(NotAddressable):
        command("reroute", before, {"receiver": "stranger", "offering": "stranger.x"})
    with pytest.raises(OfferingOfAnother):
        command("reroute", before, {"receiver": "ucs", "offering": "seamk.polku"})
    with pytest.raises(NowhereLeft):
        command("reroute", referral(Status.REJECTED, based_on=(earlier("sedu"),)))
    with pytest.raises(NowhereLeft):
        command("reroute", before, {"receiver": "ucs"})


@pytest.mark.parametrize("status", [s for s in Status if s not in ("rejected", "cancelled", "failed")])
def test_a_referral_that_stands_is_not_rerouted(status: Status) -> None:
    with pytest.raises(NotAllowed):
        command("reroute", referral(status))


def test_a_referral_is_rerouted_once_and_by_its_sender() -> None:
    with pytest.raises(NotAllowed):
        command("reroute", referral(Status.REJECTED, rerouted_to="r-2"))
    with pytest.raises(NotYours):
        command("reroute", referral(Status.REJECTED), own="seamk")


# ── the receiver hears of it ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_sender_publishes_is_what_the_receiver_keeps() -> None:
    sent = command("request", None, BODY | {"note": "Vain aamuisin."})

    kept = heard("referral.requested", None, dumped(sent, "referral.requested", "seamk"), by="kunta", own="seamk")

    assert kept.state == replace(sent.state, id="r-1")
    assert kept.publish == ()


def test_a_request_that_is_not_the_speakers_or_not_for_here_is_refused() -> None:
    with pytest.raises(NotYours):
        heard("referral.requested", None, requested(sender="sedu"), by="kunta", own="seamk")
    with pytest.raises(NotYours, match=r"^receiver: must be seamk"):
        heard("referral.requested", None, requested(receiver="sedu"), by="kunta", own="seamk")
    with pytest.raises(ClientRequired):
        heard("referral.requested", None, requested(), by="kunta", own="seamk", correlation=None)
    with pytest.raises(NotAllowed, match=r"known here already"):
        heard("referral.requested", referral(), requested(), by="kunta", own="seamk")


def test_nobody_may_speak_in_a_referral_of_others() -> None:
    with pytest.raises(NotYours):
        heard("referral.accepted", referral(), {"sender": "kunta"}, by="sedu", own="kunta")
    with pytest.raises(NotYours):
        heard("referral.cancelled", referral(), {"reason": "other"}, by="sedu", own="kunta")


def test_a_guest_may_refer_and_call_it_off_with_what_the_verb_does_not_say() -> None:
    request = {"sender": "sedu", "receiver": "kunta", "offering": "kunta.ohjaus"}
    cancel = {"sender": "sedu", "reason": "found-work"}

    known = heard("referral.requested", None, request, by="sedu", own="kunta").state
    ended = heard("referral.cancelled", known, cancel, by="sedu", own="kunta")

    assert keyed(on, "event", "referral.cancelled", cancel, subject="r-1", organisation="sedu") == "sedu/r-1"
    assert (ended.state.status, ended.state.ended_by) == (Status.CANCELLED, "sedu")
    assert published_names(ended) == []


# ── the own organisation's copies ────────────────────────────────────────────────────────────────────────────────────


def test_what_a_side_says_to_its_own_people_names_no_referral_here() -> None:
    accepted = heard("referral.accepted", referral(), by="seamk", own="kunta")
    copy = dumped(accepted, "referral.accepted", "kunta")

    assert keyed(on, "event", "referral.accepted", copy, subject="r-1", id="e-1") == "own-copy/e-1"
    again = heard("referral.accepted", None, copy, by="kunta", own="kunta")
    assert (again.state, again.publish) == (None, ())


@pytest.mark.parametrize("name", [n for n in on.event_names() if n.startswith("referral.")])
def test_no_copy_of_any_event_changes_anything(name: str) -> None:
    data = requested(status="requested", businessStatus="applying")

    decision = heard(name, None, data, by="kunta", own="kunta")

    assert (decision.state, decision.publish, decision.superseded) == (None, (), False)


# ── disclosure ───────────────────────────────────────────────────────────────────────────────────────────────────────

PERSON = {"sender": "kunta", "referral": "r-1", "given": "Aino", "family": "Virta", "email": "a@example.fi"}


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.IN_PROGRESS, Status.ON_HOLD])
def test_a_person_is_kept_with_the_accepted_referral(status: Status) -> None:
    decision = heard("client.disclosed", referral(status), PERSON, by="kunta", own="seamk", subject="r.pair")

    assert decision.state.contact == Contact(given="Aino", family="Virta", email="a@example.fi")
    assert decision.publish == ()
    assert keyed(on, "event", "client.disclosed", PERSON, subject="r.pair") == "kunta/r-1"


def test_a_person_is_not_taken_before_acceptance_nor_from_others() -> None:
    with pytest.raises(NotAllowed):
        heard("client.disclosed", referral(), PERSON, by="kunta", own="seamk")
    with pytest.raises(NotYours):
        heard("client.disclosed", referral(Status.ACCEPTED), PERSON, by="sedu", own="seamk")


def test_a_person_who_comes_after_the_end_is_not_kept() -> None:
    decision = heard("client.disclosed", referral(Status.CANCELLED), PERSON, by="kunta", own="seamk")

    assert decision.superseded
    assert decision.state.contact is None


def test_no_view_and_no_event_shows_the_person() -> None:
    accepted = heard("client.disclosed", referral(Status.ACCEPTED), PERSON, by="kunta", own="seamk").state
    view = on.aggregates["referral"].view
    assert view is not None

    moved = command("start", accepted, own="seamk")

    assert "Virta" not in str(view().dump(accepted))
    assert "Virta" not in str(dumped(moved, "referral.started", "kunta"))


def test_a_person_referred_by_mistake_is_forgotten() -> None:
    known = referral(Status.ACCEPTED, contact=Contact(given="Aino", family="Virta"))

    decision = heard("referral.corrected", known, {"sender": "kunta"}, by="kunta", own="seamk")

    assert decision.state.contact is None


# ── the journey ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_receiver_tells_every_step() -> None:
    told = command("progress", referral(Status.ACCEPTED), {"businessStatus": "enrolled"}, own="seamk")
    kept = heard(
        "referral.progressed", referral(Status.ACCEPTED), dumped(told, "referral.progressed", "kunta"),
        by="seamk", own="kunta",
    )  # fmt: skip

    assert published_names(told) == [("referral.progressed", "kunta")]
    assert kept.state.business_status is BusinessStatus.ENROLLED
    assert published_names(kept) == [("referral.progressed", "kunta")]


def test_the_coach_notes_the_steps_before_enrolment_at_home_only() -> None:
    noted = command("progress", referral(Status.ACCEPTED), {"businessStatus": "exam-coaching"})

    assert noted.state.business_status is BusinessStatus.EXAM_COACHING
    assert published_names(noted) == [("referral.progressed", "kunta")]
    with pytest.raises(NotAllowed, match=r"^businessStatus: "):
        command("progress", referral(Status.ACCEPTED), {"businessStatus": "enrolled"})
    enrolled = referral(Status.ACCEPTED, business_status=BusinessStatus.ENROLLED)
    with pytest.raises(NotAllowed, match=r"^businessStatus: "):
        command("progress", enrolled, {"businessStatus": "applying"})


@pytest.mark.parametrize("status", [Status.REJECTED, Status.CANCELLED, Status.ENTERED_IN_ERROR])
def test_what_came_to_nothing_has_no_further_steps(status: Status) -> None:
    data = {"businessStatus": "started"}

    with pytest.raises(NotAllowed):
        command("progress", referral(status), data, own="seamk")
    assert heard("referral.progressed", referral(status), data, by="seamk", own="kunta").superseded


def test_progress_is_not_the_senders_to_say_on_the_wire() -> None:
    with pytest.raises(NotYours):
        heard(
            "referral.progressed",
            referral(),
            {"businessStatus": "applying", "sender": "kunta"},
            by="kunta",
            own="seamk",
        )


def test_an_outcome_can_be_followed_up() -> None:
    completed = referral(Status.COMPLETED)

    decision = heard("referral.progressed", completed, {"businessStatus": "followed-up"}, by="seamk", own="kunta")

    assert decision.state == replace(completed, business_status=BusinessStatus.FOLLOWED_UP)


# ── plan and suggestions ─────────────────────────────────────────────────────────────────────────────────────────────

PLAN = {
    "goal": {"occupation": OCCUPATION, "labels": {"fi": "sosiaaliohjaaja"}},
    "language": "sv",
    "confirmed": [{"skill": "http://data.europa.eu/esco/skill/1", "labels": {"fi": "asiakaspalvelu"}, "level": 3}],
    "planVersion": 2,
    "coach": "kunta-1",
    "gaps": [{"something": "that referral does not read"}],
}
MATCH = {
    "suggestions": [
        {"offering": "seamk.polku", "provider": "seamk", "names": {"fi": "Avoin polku"}, "score": 0.9},
        {"offering": "sedu.lahi", "provider": "sedu", "names": {"fi": "Lähihoitaja"}},
    ]
}


@pytest.mark.parametrize("name", ["plan.published", "plan.revised"])
def test_plan_and_suggestions_meet_in_any_order(name: str) -> None:
    plan_first = heard(name, None, PLAN, by="kunta", own="kunta", subject=CLIENT).state
    then = heard("match.suggested", plan_first, MATCH, by="kunta", own="kunta", subject=CLIENT).state
    match_first = heard("match.suggested", None, MATCH, by="kunta", own="kunta", subject=CLIENT).state

    assert then == JOURNEY
    assert heard(name, match_first, PLAN, by="kunta", own="kunta", subject=CLIENT).state == JOURNEY


def test_only_the_assessor_plans_and_only_the_own_catalogue_suggests() -> None:
    with pytest.raises(NotYours):
        heard("plan.published", None, PLAN, by="seamk", own="kunta", subject=CLIENT)
    with pytest.raises(NotYours):
        heard("match.suggested", None, MATCH, by="seamk", own="kunta", subject=CLIENT)


# ── is there room? ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_question_crosses_and_its_answer_comes_back_without_any_client() -> None:
    asked = command("ask-capacity", None, {"offering": "seamk.polku", "receiver": "seamk", "starts": "2027-01-11"})
    identifier = asked.publish[0].subject
    wire = dumped(asked, "capacity.asked", "seamk")
    known = heard("capacity.asked", None, wire, by="kunta", own="seamk", subject=identifier, correlation=None)
    answered = command(
        "answer-capacity", known.state, {"answer": "waitlist", "date": "2027-03-01"}, own="seamk",
        path={"asker": "kunta", "id": identifier},
    )  # fmt: skip
    back = dumped(answered, "capacity.answered", "kunta")
    final = heard("capacity.answered", asked.state, back, by="seamk", own="kunta", subject=identifier)

    assert wire == {"offering": "seamk.polku", "starts": "2027-01-11"}
    assert keyed(on, "event", "capacity.asked", wire, subject=identifier, own="seamk", organisation="kunta") == (
        f"kunta/{identifier}"
    )
    assert keyed(on, "event", "capacity.answered", back, subject=identifier, organisation="seamk") == (
        f"kunta/{identifier}"
    )
    assert back == {"offering": "seamk.polku", "answer": "waitlist", "date": "2027-03-01"}
    assert final.state == Question(
        asker="kunta",
        receiver="seamk",
        offering="seamk.polku",
        starts=date(2027, 1, 11),
        answer=Capacity.WAITLIST,
        date=date(2027, 3, 1),
    )


def test_capacity_is_asked_of_those_who_may_be_addressed_and_offer_it() -> None:
    with pytest.raises(NotAddressable):
        command("ask-capacity", None, {"offering": "stranger.x", "receiver": "stranger"})
    with pytest.raises(OfferingOfAnother):
        command("ask-capacity", None, {"offering": "sedu.lahi", "receiver": "seamk"})


def test_only_who_was_asked_answers() -> None:
    question = Question(asker="kunta", receiver="seamk", offering="seamk.polku")

    with pytest.raises(NotYours):
        heard("capacity.answered", question, {"answer": "capacity"}, by="sedu", own="kunta")
    with pytest.raises(QuestionUnknown):
        heard("capacity.answered", None, {"answer": "capacity"}, by="seamk", own="kunta")
    for state in (None, question):
        with pytest.raises(QuestionUnknown):
            command("answer-capacity", state, {"answer": "capacity"}, path={"asker": "kunta", "id": "q-1"})


def test_a_question_that_comes_again_keeps_its_answer() -> None:
    answered = Question(asker="kunta", receiver="seamk", offering="seamk.polku", answer=Capacity.CAPACITY)

    again = heard("capacity.asked", answered, {"offering": "seamk.polku"}, by="kunta", own="seamk")

    assert again.state == answered


def test_the_expired_referrals_suggestion_is_where_rerouting_goes() -> None:
    expired = decide(on, "timer", "expire", referral(), aggregate="referral", reads=reads()).state

    following = follow(command("reroute", expired))

    assert expired.next == Suggestion(offering="sedu.lahi", provider="sedu", names={"fi": "Lähihoitaja"})
    assert following.state.offering == expired.next.offering
    assert expired.reason is Reason.NO_ANSWER


def test_a_completion_carries_its_outcomes_to_the_coach() -> None:
    done = command("complete", referral(Status.IN_PROGRESS), {"outcomes": ACHIEVED}, own="seamk")
    kept = heard(
        "referral.completed", referral(Status.IN_PROGRESS), dumped(done, "referral.completed", "kunta"),
        by="seamk", own="kunta",
    )  # fmt: skip

    assert dumped(kept, "referral.completed", "kunta")["outcomes"] == ACHIEVED
