"""What intake decides, without any I/O."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from chassis.decision import Decision, Invalid, Network, NotYours, Organisation
from chassis.testing import NOON, decide, dumped, keyed, published_names
from intake.domain import (
    KEEP_DAYS,
    MAX_ANSWERED,
    Answer,
    AnsweredTwice,
    Client,
    ClientUnknown,
    NoAssessor,
    NotProposed,
    Reads,
    Scope,
    TooManySkills,
    TooManyWords,
)
from intake.handlers import on
from intake.schemas import ClientSummary

WELDING = "http://data.europa.eu/esco/skill/aaaaaaaa-0000-0000-0000-000000000001"
CARING = "http://data.europa.eu/esco/skill/aaaaaaaa-0000-0000-0000-000000000002"
DRIVING = "http://data.europa.eu/esco/skill/aaaaaaaa-0000-0000-0000-000000000003"
WORDS = "Olen hoitanut vanhuksia ja osaan hitsata."
PERSONAL = ("A-17", "Aino", "Esimerkki", "aino@esimerkki.fi", "+358 40 123 4567", "Koskenalantie 1", WORDS)
CLIENT = "c.kunta-a-17"


def network(assessor: str | None = "kunta") -> Network:
    home = Organisation(code="kunta", names={"fi": "Kunta"}, joins="member", assessor=assessor)
    others = [Organisation(code=code, names={}, joins="guest") for code in ("seamk", "sedu", "ohjaus")]
    return Network(organisations={organisation.code: organisation for organisation in (home, *others)})


def reads(assessor: str | None = "kunta") -> Reads:
    return Reads(network=network(assessor))


def row(**fields: Any) -> dict[str, Any]:
    return {
        "caseNumber": "A-17",
        "given": "Aino",
        "family": "Esimerkki",
        "email": "aino@esimerkki.fi",
        "phone": "+358 40 123 4567",
        "address": "Koskenalantie 1",
        "language": "fi",
        "municipality": "743",
        "words": WORDS,
        "consent": {"scope": ["assessment", "referral", "disclosure"], "basis": "consent", "given": "2026-11-01"},
        "coach": "kunta-12",
    } | fields


def imported(client: Client | None = None, *, assessor: str | None = "kunta", **fields: Any) -> Decision[Client]:
    return decide(on, "command", "import-client", client, row(**fields), reads=reads(assessor))


def known(**fields: Any) -> Client:
    """A client as the last import left them."""
    state = imported(**fields).state
    assert state is not None
    return state


def proposed(client: Client, *skills: str, organisation: str = "kunta", assessor: str = "kunta") -> Decision[Client]:
    proposals = [{"skill": skill, "score": 0.9, "evidence": [{"offset": 0, "length": 4}]} for skill in skills]
    return decide(
        on,
        "event",
        "profile.proposed",
        client,
        {"proposals": proposals},
        reads=reads(assessor),
        subject=CLIENT,
        organisation=organisation,
    )


def answered(client: Client, **lists: Any) -> Decision[Client]:
    return decide(on, "command", "answer", client, lists, reads=reads(), path={"id": CLIENT})


def consented(
    client: Client, scope: list[str], *, given: str = "2026-11-24", basis: str = "consent"
) -> Decision[Client]:
    body = {"scope": scope, "given": given, "basis": basis}
    return decide(on, "command", "change-consent", client, body, reads=reads(), path={"id": CLIENT})


def accepted(
    client: Client | None, *, referral: str = "ref-1", organisation: str = "kunta", **fields: Any
) -> Decision[Client]:
    data = {"sender": "kunta", "receiver": "seamk"} | fields
    return decide(
        on,
        "event",
        "referral.accepted",
        client,
        data,
        reads=reads(),
        subject=referral,
        correlation=CLIENT,
        organisation=organisation,
    )


def after(client: Client, decision: Decision[Client]) -> Client:
    return decision.state or client


# ── a client comes in ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_client_is_told_at_home_and_the_words_go_to_the_assessor() -> None:
    decision = imported()

    assert published_names(decision) == [("client.registered", "kunta"), ("words.given", "kunta")]
    assert dumped(decision, "words.given", "kunta") == {"language": "fi", "text": WORDS, "coach": "kunta-12"}


def test_an_assessor_elsewhere_hears_of_the_client_as_well() -> None:
    decision = imported(assessor="ohjaus")

    assert published_names(decision) == [
        ("client.registered", "kunta"),
        ("client.registered", "ohjaus"),
        ("words.given", "ohjaus"),
    ]


def test_a_home_without_an_assessor_takes_no_clients() -> None:
    with pytest.raises(NoAssessor):
        imported(assessor=None)


def test_nothing_personal_stands_in_what_is_published_openly() -> None:
    told = str(dumped(imported(), "client.registered", "kunta"))

    assert not [value for value in PERSONAL if value in told]


def test_nothing_personal_stands_in_a_summary() -> None:
    shown = str(ClientSummary().dump(known()))

    assert not [value for value in (*PERSONAL, "743") if value in shown]


def test_the_same_row_again_changes_nothing() -> None:
    assert imported(known()) == Decision()


def test_a_changed_row_is_told_as_an_update_and_unchanged_words_stay_unsaid() -> None:
    decision = imported(known(), phone="+358 50 765 4321")

    assert published_names(decision) == [("client.updated", "kunta")]
    assert decision.state is not None
    assert decision.state.phone == "+358 50 765 4321"


def test_changed_words_are_given_again_and_old_proposals_no_longer_point_into_them() -> None:
    client = after(known(), proposed(known(), WELDING))

    decision = imported(client, words="Osaan hitsata.")

    assert ("words.given", "kunta") in published_names(decision)
    assert decision.state is not None
    assert decision.state.proposals == ()


def test_a_second_import_keeps_what_has_happened_since() -> None:
    client = after(known(), proposed(known(), WELDING))
    client = after(client, answered(client, confirmed=[{"skill": WELDING, "level": 4}]))
    client = after(client, accepted(client))

    kept = after(client, imported(client, phone="+358 50 1"))

    assert kept.proposals == client.proposals
    assert kept.answer == client.answer
    assert kept.disclosed == ("ref-1",)


def test_the_same_case_number_is_the_same_client_by_whatever_way() -> None:
    by_row = keyed(on, "command", "import-client", row())
    by_form = keyed(on, "command", "register-client", row(given="Eino"))
    by_event = keyed(on, "event", "client.referred", row(), subject="whatever")

    assert by_row == by_form == by_event == CLIENT


def test_the_same_case_number_of_another_organisation_is_another_client() -> None:
    assert keyed(on, "event", "client.referred", row(), organisation="sedu") == "c.sedu-a-17"


def test_a_partners_own_correlation_never_becomes_the_clients() -> None:
    decision = decide(
        on,
        "event",
        "client.referred",
        None,
        row(),
        reads=reads(),
        organisation="sedu",
        subject="17",
        correlation="c.other",
    )

    assert {publish.correlation for publish in decision.publish} == {"c.sedu-a-17"}


def test_a_client_is_kept_for_two_years_from_the_last_thing_that_happened() -> None:
    later = NOON + timedelta(days=100)
    client = known()

    changed = decide(on, "command", "import-client", client, row(phone="1"), reads=reads(), at=later).state

    assert client.keep_until == NOON.date() + timedelta(days=KEEP_DAYS)
    assert changed is not None
    assert changed.keep_until == later.date() + timedelta(days=KEEP_DAYS)


def test_words_that_no_event_can_carry_are_refused_by_name() -> None:
    with pytest.raises(TooManyWords) as caught:
        imported(words="漢" * 8000, priorLearning="字" * 8000)

    assert caught.value.field == "words"


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=8000))
def test_words_that_are_taken_fit_into_an_event(text: str) -> None:
    try:
        decision = imported(words=text, priorLearning=text)
    except TooManyWords:
        return

    told = [publish.data for publish in decision.publish if publish.schema.__name__ == "WordsGiven"]
    assert all(len(json.dumps(words, ensure_ascii=False).encode()) * 4 / 3 < 60_000 for words in told)


def test_an_amount_with_a_monstrous_exponent_is_rounded_to_cents() -> None:
    decision = imported(wishes={"maxPrice": "1E-999999"})

    assert dumped(decision, "client.registered", "kunta")["wishes"]["maxPrice"] == "0.00"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("language", "de"),
        ("municipality", "Seinäjoki"),
        ("email", "not an address"),
        ("coach", "Kalle"),
        ("caseNumber", ""),
        ("goal", {"occupation": "https://example.fi/welder"}),
        ("wishes", {"modes": ["telepathy"]}),
        ("consent", {"scope": ["everything"]}),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        imported(**{field: value})

    assert list(caught.value.normalized_messages()) == [field]


# ── consent and non-disclosure ───────────────────────────────────────────────────────────────────────────────────────


def test_without_consent_to_assessment_the_words_stay_at_home() -> None:
    decision = imported(consent={"scope": ["referral"], "given": "2026-11-01"})

    assert "words.given" not in dict(published_names(decision))


def test_words_go_once_consent_to_assessment_is_given() -> None:
    client = known(consent={"scope": [], "given": "2026-11-01"})

    decision = consented(client, ["assessment"])

    assert published_names(decision) == [("client.updated", "kunta"), ("words.given", "kunta")]


def test_a_basis_in_law_needs_no_consent() -> None:
    client = known(consent={"scope": [], "basis": "public-task"})

    assert all(client.allows(scope) for scope in Scope)


def test_an_older_sheet_does_not_bring_back_a_consent_that_was_withdrawn() -> None:
    client = after(known(), consented(known(), ["assessment"], given="2026-11-01"))

    decision = imported(client)

    assert decision == Decision()


def test_a_later_consent_in_a_sheet_stands() -> None:
    client = after(known(), consented(known(), []))

    decision = imported(client, consent={"scope": ["assessment"], "given": "2026-12-01"})

    assert decision.state is not None
    assert decision.state.consent.scope == (Scope.ASSESSMENT,)


def test_the_same_consent_again_is_not_told_again() -> None:
    client = after(known(), consented(known(), ["referral"]))

    assert consented(client, ["referral"]) == Decision()


def test_consent_of_somebody_unknown_is_refused() -> None:
    with pytest.raises(ClientUnknown):
        consented(None, ["referral"])


def test_under_non_disclosure_the_municipality_leaves_for_nobody() -> None:
    decision = imported(nonDisclosure=True, assessor="ohjaus")

    assert dumped(decision, "client.registered", "kunta")["municipality"] is None
    assert dumped(decision, "client.registered", "ohjaus")["municipality"] is None


def test_non_disclosure_stands_until_somebody_says_that_there_is_none() -> None:
    client = known(nonDisclosure=True)

    unsaid = after(client, imported(client, phone="1"))
    lifted = after(client, imported(client, nonDisclosure=False))

    assert unsaid.non_disclosure is True
    assert lifted.open_municipality == "743"


# ── proposals and answers ────────────────────────────────────────────────────────────────────────────────────────────


def test_proposals_of_the_assessor_are_kept() -> None:
    decision = proposed(known(), WELDING, CARING)

    assert decision.state is not None
    assert [proposal.skill for proposal in decision.state.proposals] == [WELDING, CARING]
    assert decision.state.stage == "proposed"


def test_proposals_of_anybody_else_are_not() -> None:
    with pytest.raises(NotYours):
        proposed(known(), WELDING, organisation="seamk")


def test_an_assessor_elsewhere_may_propose_and_the_home_itself_may_not() -> None:
    assert proposed(known(), WELDING, organisation="ohjaus", assessor="ohjaus").state is not None
    with pytest.raises(NotYours):
        proposed(known(), WELDING, organisation="kunta", assessor="ohjaus")


def test_an_answer_goes_to_the_assessor_as_a_whole() -> None:
    client = after(known(), proposed(known(), WELDING, CARING))
    client = after(client, answered(client, confirmed=[{"skill": WELDING, "level": 4}]))

    decision = answered(client, rejected=[CARING], added=[{"skill": DRIVING, "level": 2}])

    assert published_names(decision) == [("profile.answered", "kunta")]
    assert dumped(decision, "profile.answered", "kunta") == {
        "confirmed": [{"skill": WELDING, "level": 4}],
        "rejected": [CARING],
        "added": [{"skill": DRIVING, "level": 2}],
    }


def test_a_later_answer_about_a_skill_stands() -> None:
    client = after(known(), proposed(known(), WELDING))
    client = after(client, answered(client, confirmed=[{"skill": WELDING, "level": 4}]))

    client = after(client, answered(client, rejected=[WELDING]))

    assert client.answer == Answer(rejected=(WELDING,))


@pytest.mark.parametrize("lists", [{"confirmed": [{"skill": DRIVING}]}, {"rejected": [DRIVING]}])
def test_what_was_not_proposed_can_only_be_added(lists: dict[str, Any]) -> None:
    client = after(known(), proposed(known(), WELDING))

    with pytest.raises(NotProposed):
        answered(client, **lists)


@pytest.mark.parametrize(
    "lists",
    [
        {"confirmed": [{"skill": WELDING}], "rejected": [WELDING]},
        {"confirmed": [{"skill": WELDING}], "added": [{"skill": WELDING}]},
        {"rejected": [WELDING, WELDING]},
    ],
)
def test_a_skill_stands_once_in_an_answer(lists: dict[str, Any]) -> None:
    client = after(known(), proposed(known(), WELDING))

    with pytest.raises(AnsweredTwice):
        answered(client, **lists)


@pytest.mark.parametrize("level", [0, 6])
def test_a_level_is_one_to_five(level: int) -> None:
    with pytest.raises(ValidationError):
        answered(known(), added=[{"skill": WELDING, "level": level}])


def test_what_is_added_is_an_esco_uri() -> None:
    with pytest.raises(ValidationError):
        answered(known(), added=[{"skill": "hitsaus", "level": 3}])


def test_answers_never_grow_beyond_what_an_event_carries() -> None:
    client = known()
    first = [{"skill": f"{WELDING[:-4]}{number:04}", "level": 3} for number in range(MAX_ANSWERED)]
    client = after(client, answered(client, added=first))

    with pytest.raises(TooManySkills):
        answered(client, added=[{"skill": f"{WELDING[:-4]}9999", "level": 3}])


@given(st.lists(st.tuples(st.sampled_from("cra"), st.integers(0, 5), st.integers(1, 5)), max_size=12))
def test_answers_in_any_order_leave_each_skill_with_what_was_said_last(said: list[tuple[str, int, int]]) -> None:
    skills = [f"{WELDING[:-1]}{number}" for number in range(6)]
    client = after(known(), proposed(known(), *skills))
    last: dict[str, tuple[str, int | None]] = {}

    for kind, number, level in said:
        skill = skills[number]
        body = {
            "c": {"confirmed": [{"skill": skill, "level": level}]},
            "r": {"rejected": [skill]},
            "a": {"added": [{"skill": skill, "level": level}]},
        }[kind]
        client = after(client, answered(client, **body))
        last[skill] = (kind, None if kind == "r" else level)

    kept = {one.skill: ("c", one.level) for one in client.answer.confirmed}
    kept |= {one.skill: ("a", one.level) for one in client.answer.added}
    kept |= dict.fromkeys(client.answer.rejected, ("r", None))
    assert kept == last


def test_a_plan_of_the_assessor_is_noted() -> None:
    decision = decide(on, "event", "plan.revised", known(), {"planVersion": 2}, reads=reads(), subject=CLIENT)

    assert decision.state is not None
    assert (decision.state.plan_version, decision.state.stage) == (2, "planned")


def test_a_plan_of_anybody_else_is_not() -> None:
    with pytest.raises(NotYours):
        decide(on, "event", "plan.published", known(), {}, reads=reads(), subject=CLIENT, organisation="seamk")


# ── the person leaves, last and once ─────────────────────────────────────────────────────────────────────────────────


def test_name_and_contact_go_to_the_school_that_accepted() -> None:
    decision = accepted(known())

    assert published_names(decision) == [("client.disclosed", "seamk")]
    assert dumped(decision, "client.disclosed", "seamk") == {
        "sender": "kunta",
        "referral": "ref-1",
        "given": "Aino",
        "family": "Esimerkki",
        "email": "aino@esimerkki.fi",
        "phone": "+358 40 123 4567",
        "language": "fi",
    }


def test_they_go_once_a_referral() -> None:
    client = after(known(), accepted(known()))

    assert accepted(client) == Decision()
    assert published_names(accepted(client, referral="ref-2")) == [("client.disclosed", "seamk")]


def test_the_receivers_own_word_discloses_nobody() -> None:
    assert accepted(known(), organisation="seamk") == Decision()


def test_a_referral_of_another_sender_discloses_nobody() -> None:
    assert accepted(known(), sender="seamk") == Decision()


def test_nobody_is_disclosed_without_consent_to_it() -> None:
    client = known(consent={"scope": ["assessment", "referral"], "given": "2026-11-01"})

    assert accepted(client) == Decision()


def test_nobody_is_disclosed_after_consent_to_it_was_withdrawn() -> None:
    client = after(known(), consented(known(), ["assessment", "referral"]))

    assert accepted(client) == Decision()


def test_under_non_disclosure_the_name_goes_without_contact() -> None:
    told = dumped(accepted(known(nonDisclosure=True)), "client.disclosed", "seamk")

    assert (told["given"], told["family"]) == ("Aino", "Esimerkki")
    assert (told["email"], told["phone"]) == (None, None)
    assert "743" not in str(told)


@given(st.booleans(), st.sets(st.sampled_from(list(Scope))), st.booleans())
def test_neither_address_nor_municipality_is_ever_disclosed(hidden: bool, scope: set[Scope], consent: bool) -> None:  # noqa: FBT001
    client = known(
        nonDisclosure=hidden,
        consent={"scope": sorted(scope), "basis": "consent" if consent else "public-task", "given": "2026-11-01"},
    )

    told = [str(publish.data) for publish in accepted(client).publish]

    assert not [text for text in told if "Koskenalantie" in text or "743" in text or WORDS in text]
    assert bool(told) == (Scope.DISCLOSURE in scope or not consent)


def test_an_acceptance_for_somebody_unknown_is_refused() -> None:
    with pytest.raises(ClientUnknown):
        accepted(None)


def test_refusals_never_hold_a_personal_value() -> None:
    client = replace(known(), keep_until=date(2028, 1, 1))

    with pytest.raises(Invalid) as caught:
        answered(client, confirmed=[{"skill": WELDING}])

    assert not [value for value in PERSONAL if value in str(caught.value)]
