"""Who may say what of offerings, and what follows from a plan, without any I/O."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from catalogue_examples import AT, WELDING, index, offering, reads, wire
from marshmallow import ValidationError

from catalogue import events
from catalogue.domain import Kept, NotTheProvider, OfferingUnknown, fresh_from
from catalogue.handlers import on
from catalogue.plans import NotTheAssessor, PlanUnknown
from catalogue.schemas import OfferingRead, OfferingWithdrawn
from chassis.decision import NotYours
from chassis.testing import decide, dumped, keyed, published_names

SEDU = {"organisation": "sedu", "subject": "sedu.1", "source": "urn:viisikko:sedu:console"}
OWN = {"own": "sedu", "organisation": "sedu"}


def said(**fields: Any) -> dict[str, Any]:
    return wire(offering()) | fields


def kept(**fields: Any) -> Kept:
    return Kept(offering=offering(**fields), source=SEDU["source"])


def plan_said(**fields: Any) -> dict[str, Any]:
    return {
        "home": "kunta",
        "goal": {"occupation": "uri", "labels": {"fi": "hitsaaja"}},
        "gaps": [{"skill": WELDING, "labels": {"fi": "hitsaus"}, "weight": 1.0, "relation": "essential"}],
        "confirmed": [],
        "language": "sv",
        "municipality": "743",
        "wishes": {"places": ["743"], "maxPrice": "100.00", "employmentEffect": None},
        "planVersion": 2,
        "coach": "kunta-1",
    } | fields


@pytest.mark.parametrize("schema", [events.OfferingPublished, events.OfferingChanged, events.OfferingWithdrawn])
def test_the_recorded_examples_are_offerings(schema: Any) -> None:
    example = schema.contract.example

    loaded = OfferingRead().load(example)

    assert schema().dump(loaded) == example


@pytest.mark.parametrize("name", ["offering.published", "offering.changed"])
def test_an_offering_is_kept_as_its_provider_says_it(name: str) -> None:
    decision = decide(on, "event", name, kept(capacity=1), said(capacity=5), **SEDU)

    assert decision.state == kept(capacity=5)
    assert decision.publish == ()


def test_it_goes_over_the_wire_and_back_unchanged() -> None:
    assert OfferingRead().load(said()) == offering()


@pytest.mark.parametrize(
    "wrong",
    [
        {"organisation": "seamk", "source": "urn:viisikko:seamk:catalogue"},
        {"subject": "seamk.1"},
        {"subject": "sedux.1"},
    ],
)
@pytest.mark.parametrize("name", ["offering.published", "offering.changed", "offering.withdrawn"])
def test_another_may_not_speak_of_it(name: str, wrong: dict[str, str]) -> None:
    with pytest.raises(NotYours):
        decide(on, "event", name, kept(), said(), **SEDU | wrong)


def test_the_provider_in_the_data_must_be_the_speaker() -> None:
    with pytest.raises(NotYours):
        decide(on, "event", "offering.published", None, said(provider="seamk"), **SEDU)


def test_a_guest_may_leave_out_what_it_does_not_know() -> None:
    decision = decide(on, "event", "offering.published", None, {"provider": "sedu", "names": {"fi": "Kurssi"}}, **SEDU)

    assert decision.state.offering.fresh_until == fresh_from(AT)


def test_a_withdrawal_needs_its_provider_only_and_is_remembered() -> None:
    known = decide(on, "event", "offering.withdrawn", kept(), {"provider": "sedu"}, **SEDU)
    unknown = decide(on, "event", "offering.withdrawn", None, {"provider": "sedu"}, **SEDU)

    assert known.state == kept(withdrawn=True)
    assert unknown.state.offering.withdrawn


@pytest.mark.parametrize("name", ["offering.published", "offering.withdrawn"])
def test_what_this_catalogue_said_itself_changes_nothing_when_it_comes_back(name: str) -> None:
    own = {**SEDU, "own": "sedu", "source": "urn:viisikko:sedu:catalogue"}

    decision = decide(on, "event", name, kept(capacity=9), said(capacity=1), **own)

    assert decision.state is None


def test_what_another_system_of_the_own_organisation_says_is_kept() -> None:
    decision = decide(on, "event", "offering.published", None, said(), **SEDU, own="sedu")

    assert decision.state is not None


@pytest.mark.parametrize(
    "broken",
    [
        {"names": {}},
        {"names": {"de": "Schweißen"}},
        {"starts": "2027-02-01", "ends": "2027-01-01"},
        {"kind": "lukio"},
        {"price": "-1"},
        {"price": "1e999999999"},
        {"price": "NaN"},
        {"capacity": True},
        {"link": "javascript:alert(1)"},
        {"place": {"municipality": "Seinäjoki"}},
        {"credits": {"amount": "1E+400", "unit": "op"}},
        {"enrolment": {"opens": "2027-02-01", "closes": "2027-01-01"}},
        {"skills": ["x"] * 61},
    ],
)
def test_a_broken_offering_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        decide(on, "event", "offering.published", None, said(**broken), **SEDU)


def test_an_import_publishes_a_new_offering_to_everybody() -> None:
    decision = decide(on, "command", "keep-offering", None, said(), **OWN)

    assert published_names(decision) == [("offering.published", "all")]
    assert dumped(decision, "offering.published", "all") == said()
    assert decision.state == Kept(offering=offering(), source="urn:viisikko:sedu:catalogue")


def test_an_import_says_what_changed_and_keeps_quiet_of_the_rest() -> None:
    same = decide(on, "command", "keep-offering", kept(), said(), **OWN)
    different = decide(on, "command", "keep-offering", kept(), said(capacity=7), **OWN)
    back = decide(on, "command", "keep-offering", kept(withdrawn=True), said(), **OWN)

    assert same.state is None
    assert published_names(different) == [("offering.changed", "all")]
    assert published_names(back) == [("offering.published", "all")]


def test_an_import_withdraws_what_is_gone_once() -> None:
    gone = decide(on, "command", "withdraw-offering", kept(), {"offering": "sedu.1"}, **OWN)
    again = decide(on, "command", "withdraw-offering", gone.state, {"offering": "sedu.1"}, **OWN)

    assert published_names(gone) == [("offering.withdrawn", "all")]
    assert dumped(gone, "offering.withdrawn", "all")["withdrawn"]
    assert again.state is None


def test_a_catalogue_speaks_for_its_own_organisation_only() -> None:
    with pytest.raises(NotTheProvider):
        decide(on, "command", "keep-offering", None, said(), own="kunta")
    with pytest.raises(NotTheProvider):
        decide(on, "command", "withdraw-offering", kept(), {"offering": "sedu.1"}, own="kunta")
    with pytest.raises(OfferingUnknown):
        decide(on, "command", "withdraw-offering", None, {"offering": "sedu.1"}, **OWN)


def test_an_own_offering_is_named_by_its_provider_and_its_origin() -> None:
    assert keyed(on, "command", "keep-offering", said()) == "sedu.1"


@pytest.mark.parametrize("name", ["plan.published", "plan.revised"])
def test_a_plan_is_answered_to_the_own_organisation(name: str) -> None:
    found = index(a=offering(), b=offering(provider="opisto", skills=()))

    decision = decide(on, "event", name, None, plan_said(), reads=reads(found), subject="c.1")

    told = dumped(decision, "match.suggested", "kunta")
    assert published_names(decision) == [("match.suggested", "kunta")]
    assert [s["offering"] for s in told["suggestions"]] == ["sedu.a", "opisto.b"]
    assert (told["planVersion"], told["language"], told["coach"]) == (2, "sv", "kunta-1")
    assert told["path"] == ["sedu.a"]
    assert told["uncovered"] == []
    assert told["suggestions"][0]["reasons"][0] == {
        "code": "covers",
        "parameters": {"skill": WELDING, "labels": {"fi": "hitsaus"}},
    }


def test_only_the_assessor_of_the_home_says_plans() -> None:
    with pytest.raises(NotTheAssessor):
        decide(on, "event", "plan.published", None, plan_said(), reads=reads(), organisation="sedu")
    with pytest.raises(NotTheAssessor):
        decide(on, "event", "plan.published", None, plan_said(home="seamk"), reads=reads())


def test_a_coach_can_match_again_when_offerings_have_come() -> None:
    first = decide(on, "event", "plan.published", None, plan_said(), reads=reads(), subject="c.1")

    again = decide(on, "command", "match-again", first.state, reads=reads(index(a=offering())), path={"client": "c.1"})

    assert dumped(again, "match.suggested", "kunta")["suggestions"][0]["offering"] == "sedu.a"


def test_matching_again_says_nothing_twice() -> None:
    found = reads(index(a=offering()))
    first = decide(on, "event", "plan.published", None, plan_said(), reads=found, subject="c.1")

    again = decide(on, "command", "match-again", first.state, reads=found, path={"client": "c.1"})

    assert again.publish == ()


def test_a_closed_door_is_seen_the_next_day() -> None:
    closing = offering(fresh_until=AT.date())
    found = reads(index(a=closing, b=replace(closing, fresh_until=AT.date() + timedelta(days=9))))

    first = decide(on, "event", "plan.published", None, plan_said(), reads=found, subject="c.1")
    later = decide(
        on, "command", "match-again", first.state, reads=found, path={"client": "c.1"}, at=AT + timedelta(days=1)
    )

    assert [s.offering for s in first.state.answer.suggestions] == ["sedu.a", "sedu.b"]
    assert [s.offering for s in later.state.answer.suggestions] == ["sedu.b"]


def test_without_a_plan_there_is_nothing_to_match() -> None:
    with pytest.raises(PlanUnknown):
        decide(on, "command", "match-again", None, reads=reads(), path={"client": "c.1"})


@pytest.mark.parametrize("schema", [OfferingRead, OfferingWithdrawn])
@pytest.mark.parametrize(
    ("field", "where"),
    [
        ({"names": {"fi": "<b>x</b>"}}, "names"),
        ({"description": {"sv": "x<script>alert(1)"}}, "description"),
        ({"keywords": {"fi": ["a", "<!--"]}}, "keywords"),
        ({"place": {"name": "</p>"}}, "place.name"),
        ({"credits": {"amount": "5", "unit": "<i>"}}, "credits.unit"),
    ],
)
def test_html_in_a_text_is_refused(schema: Any, field: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as refused:
        schema().load(said(**field))

    assert refused.value.messages == {where: ["must be plain text, without HTML"]}


def test_a_sign_that_is_no_tag_is_plain_text() -> None:
    names = {"fi": "Matematiikka: a < b, <18-vuotiaat & <3"}

    assert OfferingRead().load(said(names=names)).names == names
