"""From words to a plan, without any I/O."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from marshmallow import ValidationError

from assessment import events
from assessment.domain import (
    VERSIONS_KEPT,
    Case,
    Confirmed,
    Goal,
    NoCase,
    NoPlan,
    NotTheirAssessor,
    Relation,
    StepKind,
    UnknownSkill,
    Wanted,
)
from assessment.handlers import Reads, on
from assessment.plans import plan
from assessment.vocabulary import Vocabulary
from chassis.decision import Network, Organisation
from chassis.testing import NOON, decide, dumped, keyed, published_names

NETWORK = Network(
    organisations={
        "kunta": Organisation(code="kunta", names={"fi": "Kunta"}, joins="member", assessor="kunta"),
        "ilmajoki": Organisation(code="ilmajoki", names={"fi": "Ilmajoki"}, joins="member", assessor="kunta"),
        "seamk": Organisation(code="seamk", names={"fi": "SeAMK"}, joins="member"),
    }
)
NURSE = "lähihoitaja"
WORDS = {"language": "fi", "text": "Olen hitsannut ja hoitanut vanhuksia.", "coach": "kunta-1"}


@pytest.fixture
def reads(vocabulary: Vocabulary) -> Reads:
    return Reads(network=NETWORK, vocabulary=vocabulary, review_days=90)


def skill(vocabulary: Vocabulary, name: str) -> str:
    return next(one.uri for one in vocabulary.find_skills(name, "en") if one.labels["en"] == name)


def occupation(vocabulary: Vocabulary, name: str) -> str:
    return next(one.uri for one in vocabulary.find_occupations(name, "fi") if one.labels["fi"] == name)


def registered(vocabulary: Vocabulary, **fields: Any) -> dict[str, Any]:
    return {
        "home": "kunta",
        "language": "fi",
        "municipality": "743",
        "goal": {"occupation": occupation(vocabulary, NURSE), "field": None},
        "wishes": {"places": ["743"], "maxPrice": "200"},
        "coach": "kunta-1",
    } | fields


def answered(*skills: str, level: int = 3, **fields: Any) -> dict[str, Any]:
    return {"confirmed": [{"skill": one, "level": level} for one in skills], "rejected": [], "added": []} | fields


def play(reads: Reads, *said: tuple[str, dict[str, Any]], **fields: Any) -> list[Any]:
    """Decisions of events of one client, in order."""
    state: Case | None = None
    decisions = []
    for name, data in said:
        decision = decide(on, "event", name, state, data, reads=reads, subject="c.1", **fields)
        state = decision.state or state
        decisions.append(decision)
    return decisions


def test_words_become_proposals_that_quote_them(reads: Reads) -> None:
    decision = decide(on, "event", "words.given", None, WORDS, reads=reads, subject="c.1")

    proposed = dumped(decision, "profile.proposed", "kunta")
    best = proposed["proposals"][0]
    assert best["labels"]["en"] == "tend to elderly people"
    places = [WORDS["text"][e["offset"] : e["offset"] + e["length"]] for e in best["evidence"]]
    assert places == ["hoitanut vanhuksia"]
    assert (proposed["home"], proposed["language"], proposed["coach"]) == ("kunta", "fi", "kunta-1")
    assert decision.publish[0].correlation == "c.1"


def test_words_that_name_no_skill_are_told_as_well(reads: Reads) -> None:
    decision = decide(on, "event", "words.given", None, WORDS | {"text": "En tiedä."}, reads=reads, subject="c.1")

    assert dumped(decision, "profile.proposed", "kunta")["proposals"] == []


def test_the_order_of_events_makes_no_difference(reads: Reads, vocabulary: Vocabulary) -> None:
    client = ("client.registered", registered(vocabulary))
    words = ("words.given", WORDS)
    answers = ("profile.answered", answered(skill(vocabulary, "customer service")))

    orders = [(client, words, answers), (words, client, answers), (words, answers, client), (answers, client, words)]
    ends = [play(reads, *order) for order in orders]

    states = [decisions[-1].state for decisions in ends]
    assert all(replace(state, proposals=()) == replace(states[0], proposals=()) for state in states)
    names = [[name for d in decisions for name, _to in published_names(d)] for decisions in ends]
    assert all(sorted(told) == ["plan.published", "profile.proposed"] for told in names)


def test_only_confirmed_and_added_skills_count(reads: Reads, vocabulary: Vocabulary) -> None:
    service, welding = skill(vocabulary, "customer service"), skill(vocabulary, "welding techniques")
    first_aid, listening = skill(vocabulary, "provide first aid"), skill(vocabulary, "listen actively")
    answer = answered(service, rejected=[welding], added=[{"skill": listening, "level": 5}])

    *_before, decision = play(
        reads, ("client.registered", registered(vocabulary)), ("words.given", WORDS), ("profile.answered", answer)
    )

    told = dumped(decision, "plan.published", "kunta")
    assert [(one["skill"], one["level"]) for one in told["confirmed"]] == [(listening, 5), (service, 3)]
    relations = {one["skill"]: one["relation"] for one in told["strengths"]}
    assert relations == {listening: "essential", service: "other"}
    assert first_aid not in relations


def test_gaps_are_the_goals_skills_that_are_missing_the_weightiest_first(reads: Reads, vocabulary: Vocabulary) -> None:
    listening = skill(vocabulary, "listen actively")
    goal = vocabulary.occupation(occupation(vocabulary, NURSE))
    assert goal is not None

    *_before, decision = play(
        reads, ("client.registered", registered(vocabulary)), ("profile.answered", answered(listening))
    )

    gaps = dumped(decision, "plan.published", "kunta")["gaps"]
    assert {g["skill"] for g in gaps} == {*goal.essential, *goal.optional} - {listening}
    assert {g["weight"] for g in gaps if g["relation"] == "essential"} == {1.0}
    assert {g["weight"] for g in gaps if g["relation"] == "optional"} == {0.3}
    assert [g["weight"] for g in gaps] == sorted((g["weight"] for g in gaps), reverse=True)


def test_the_plan_says_steps_who_is_responsible_and_when_it_is_reviewed(reads: Reads, vocabulary: Vocabulary) -> None:
    *_before, decision = play(reads, ("client.registered", registered(vocabulary)), ("profile.answered", answered()))

    told = dumped(decision, "plan.published", "kunta")
    assert told["reviewDate"] == (NOON.date() + timedelta(days=90)).isoformat()
    assert {step["responsible"] for step in told["steps"]} == {"kunta-1"}
    assert told["steps"][0]["kind"] in {"study", "digital-skills"}
    assert told["wishes"]["maxPrice"] == "200"
    assert told["planVersion"] == 1
    assert told["goal"]["labels"]["fi"] == NURSE


def test_a_later_answer_revises_the_plan_and_keeps_the_earlier_version(reads: Reads, vocabulary: Vocabulary) -> None:
    service, listening = skill(vocabulary, "customer service"), skill(vocabulary, "listen actively")

    *_before, decision = play(
        reads,
        ("client.registered", registered(vocabulary)),
        ("profile.answered", answered(service)),
        ("profile.answered", answered(listening, rejected=[service])),
    )

    assert dumped(decision, "plan.revised", "kunta")["planVersion"] == 2
    assert [one.skill for one in decision.state.confirmed] == [listening]
    assert [one.version for one in decision.state.earlier] == [1]


def test_a_new_goal_or_wish_revises_the_plan_and_the_same_again_does_not(reads: Reads, vocabulary: Vocabulary) -> None:
    changed = registered(vocabulary, goal={"occupation": occupation(vocabulary, "hitsaaja"), "field": None})

    *_before, again, new = play(
        reads,
        ("client.registered", registered(vocabulary)),
        ("profile.answered", answered()),
        ("client.updated", registered(vocabulary)),
        ("client.updated", changed),
    )

    assert published_names(again) == []
    assert dumped(new, "plan.revised", "kunta")["goal"]["labels"]["fi"] == "hitsaaja"


@pytest.mark.parametrize("goal", [{"occupation": None, "field": "0913"}, {"occupation": None, "field": None}])
def test_without_an_occupation_as_goal_the_plan_begins_with_guidance(
    reads: Reads, vocabulary: Vocabulary, goal: dict[str, Any]
) -> None:
    *_before, decision = play(
        reads,
        ("client.registered", registered(vocabulary, goal=goal)),
        ("profile.answered", answered(skill(vocabulary, "customer service"))),
    )

    told = dumped(decision, "plan.published", "kunta")
    assert told["gaps"] == []
    assert told["steps"][0]["kind"] == "guidance"
    assert len(told["strengths"]) == 1


def test_an_occupation_that_the_vocabulary_does_not_have_is_no_crash(reads: Reads, vocabulary: Vocabulary) -> None:
    goal = {"occupation": "http://data.europa.eu/esco/occupation/00000000-0000", "field": None}

    *_before, decision = play(
        reads, ("client.registered", registered(vocabulary, goal=goal)), ("profile.answered", answered())
    )

    assert dumped(decision, "plan.published", "kunta")["goal"]["labels"] == {}


def test_a_profession_needs_exam_coaching_and_a_client_from_elsewhere_a_language(vocabulary: Vocabulary) -> None:
    goal = Goal(occupation=occupation(vocabulary, "ohjelmistokehittäjä"))
    case = Case(home="kunta", client="c.1", language="en", goal=goal, coach="kunta-1")

    steps = [step.kind for step in plan(case, vocabulary, date(2026, 11, 24), 90).steps]

    assert steps[0] is StepKind.LANGUAGE
    assert steps[-1] is StepKind.EXAM_COACHING
    assert StepKind.DIGITAL_SKILLS in steps


def test_transversal_skills_weigh_as_the_coach_sets(reads: Reads, vocabulary: Vocabulary) -> None:
    teams = skill(vocabulary, "work in teams")
    *_before, made = play(reads, ("client.registered", registered(vocabulary)), ("profile.answered", answered()))
    body = {"transversal": [{"skill": teams, "weight": 0.6}], "reviewDate": "2027-01-15"}

    decision = decide(on, "command", "revise-plan", made.state, body, reads=reads, path={"client": "c.1"})

    told = dumped(decision, "plan.revised", "kunta")
    assert [(g["weight"], g["relation"]) for g in told["gaps"] if g["skill"] == teams] == [(0.6, "transversal")]
    assert told["reviewDate"] == "2027-01-15"
    assert decision.state.transversal == (Wanted(skill=teams, weight=0.6),)


def test_a_coach_adds_steps_of_their_own(reads: Reads, vocabulary: Vocabulary) -> None:
    *_before, made = play(reads, ("client.registered", registered(vocabulary)), ("profile.answered", answered()))
    body = {"steps": [{"kind": "guidance", "responsible": "kunta-2", "due": "2026-12-01"}]}

    decision = decide(on, "command", "revise-plan", made.state, body, reads=reads, path={"client": "c.1"})

    assert dumped(decision, "plan.revised", "kunta")["steps"][-1] == {
        "kind": "guidance", "skill": None, "responsible": "kunta-2", "due": "2026-12-01",
    }  # fmt: skip


def test_a_plan_can_be_revised_only_once_there_is_one(reads: Reads, vocabulary: Vocabulary) -> None:
    (known,) = play(reads, ("client.registered", registered(vocabulary)))

    with pytest.raises(NoCase):
        decide(on, "command", "revise-plan", None, {}, reads=reads, path={"client": "c.1"})
    with pytest.raises(NoPlan):
        decide(on, "command", "revise-plan", known.state, {}, reads=reads, path={"client": "c.1"})


def test_a_skill_that_the_vocabulary_does_not_have_is_refused_by_its_field(reads: Reads) -> None:
    unknown = "http://data.europa.eu/esco/skill/00000000-0000-0000-0000-000000000000"

    with pytest.raises(UnknownSkill) as refused:
        play(reads, ("profile.answered", answered(added=[{"skill": unknown, "level": 2}])))

    assert refused.value.field == "added"


@pytest.mark.parametrize("level", [0, 6, 2.5, "three"])
def test_a_level_is_a_whole_number_from_one_to_five(reads: Reads, vocabulary: Vocabulary, level: Any) -> None:
    with pytest.raises(ValidationError):
        play(reads, ("profile.answered", answered(skill(vocabulary, "English"), level=level)))


def test_nobody_speaks_of_another_homes_clients(reads: Reads, vocabulary: Vocabulary) -> None:
    assert keyed(on, "event", "profile.answered", answered(), subject="c.1", organisation="ilmajoki") == "ilmajoki/c.1"
    for name, data in (
        ("client.registered", registered(vocabulary, home="seamk")),
        ("words.given", WORDS),
        ("profile.answered", answered()),
    ):
        with pytest.raises(NotTheirAssessor):
            decide(on, "event", name, None, data, reads=reads, subject="c.1", organisation="seamk")
    with pytest.raises(NotTheirAssessor):
        decide(on, "event", "client.registered", None, registered(vocabulary), reads=reads, organisation="ilmajoki")


def test_another_home_hears_of_its_own_clients_plan(reads: Reads, vocabulary: Vocabulary) -> None:
    *_before, decision = play(
        reads,
        ("client.registered", registered(vocabulary, home="ilmajoki")),
        ("profile.answered", answered()),
        organisation="ilmajoki",
    )

    assert published_names(decision) == [("plan.published", "ilmajoki")]
    assert decision.publish[0].subject == "c.1"


def test_prior_learning_is_proposed_so_that_nobody_is_asked_twice(reads: Reads, vocabulary: Vocabulary) -> None:
    welding = skill(vocabulary, "welding techniques")

    decisions = play(
        reads, ("client.registered", registered(vocabulary, priorLearning=[welding, "0715"])), ("words.given", WORDS)
    )

    assert [one.skill for one in decisions[0].state.proposals] == [welding]
    assert dumped(decisions[0], "profile.proposed", "kunta")["proposals"][0]["evidence"] == []
    assert [one.skill for one in decisions[1].state.proposals].count(welding) == 1


def test_what_was_answered_is_not_proposed_again(reads: Reads, vocabulary: Vocabulary) -> None:
    welding, elderly = skill(vocabulary, "welding techniques"), skill(vocabulary, "tend to elderly people")

    *_before, decision = play(
        reads, ("profile.answered", answered(elderly, rejected=[welding])), ("words.given", WORDS)
    )

    assert {welding, elderly}.isdisjoint(one.skill for one in decision.state.proposals)


def test_earlier_versions_are_kept_up_to_a_bound(vocabulary: Vocabulary) -> None:
    case = Case(home="kunta", client="c.1")
    for _ in range(VERSIONS_KEPT + 5):
        case = case.with_plan(plan(case, vocabulary, date(2026, 11, 24), 90))

    assert len(case.earlier) == VERSIONS_KEPT
    assert case.plan is not None
    assert case.plan.version == VERSIONS_KEPT + 5


def test_a_plan_with_hundreds_of_skills_stays_well_under_the_events_limit(vocabulary: Vocabulary) -> None:
    every = [one.uri for text in "aeiousktn" for one in vocabulary.find_skills(text, "fi")]
    wanted = tuple(Wanted(skill=uri) for uri in dict.fromkeys(every))
    case = Case(
        home="kunta",
        client="c.1",
        transversal=wanted * 3,
        confirmed=tuple(Confirmed(skill=u, level=1) for u in every * 3),
    )
    made = plan(replace(case, confirmed=()), vocabulary, date(2026, 11, 24), 90)
    full = replace(made, confirmed=case.confirmed, gaps=made.gaps * 3)

    told = events.told(case, full, vocabulary)

    assert len(events.PlanSaid().dumps(told).encode()) < 60 * 1024
    assert told["left_out"]["gaps"] == len(full.gaps) - len(told["gaps"])
    assert told["left_out"]["confirmed"] > 0


def test_a_transversal_skill_outside_the_goal_is_a_transversal_strength(vocabulary: Vocabulary) -> None:
    teams = skill(vocabulary, "work in teams")
    case = Case(home="kunta", client="c.1", confirmed=(Confirmed(skill=teams, level=4),))

    (strength,) = plan(case, vocabulary, date(2026, 11, 24), 90).strengths

    assert strength.relation is Relation.TRANSVERSAL
