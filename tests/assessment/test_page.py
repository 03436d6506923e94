"""The printed plan."""

from __future__ import annotations

from datetime import date

import pytest

from assessment import events
from assessment.adapters import page
from assessment.domain import Case, Confirmed, Goal, Relation, StepKind
from assessment.languages import LANGUAGES
from assessment.plans import plan
from assessment.vocabulary import Vocabulary


def printed(vocabulary: Vocabulary, language: str, *, goal: bool = True) -> str:
    occupation = vocabulary.find_occupations("hitsaaja", "fi")[0].uri if goal else None
    welding = vocabulary.find_skills("welding techniques", "en")[0].uri
    case = Case(
        home="kunta",
        client="c.1",
        language=language,
        coach="kunta-1",
        goal=Goal(occupation=occupation),
        confirmed=(Confirmed(skill=welding, level=4),),
    )
    made = plan(case, vocabulary, date(2026, 11, 24), 90)
    labels = {step.skill: events.labels(step.skill, vocabulary) for step in made.steps if step.skill}
    return page.write(events.told(case, made, vocabulary), labels)


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("fi", ["Tavoite: hitsaaja", "  - hitsaustekniikat (taso 4, välttämätön)", "Seuraava tarkistus: 22.2.2027"]),
        ("sv", ["Mål: svetsare, manuell", "  - svetstekniker (nivå 4, nödvändig)", "Nästa genomgång: 22.2.2027"]),
        ("en", ["Goal: welder", "  - welding techniques (level 4, essential)", "Next review: 22 February 2027"]),
    ],
)
def test_a_plan_is_printed_in_the_clients_language(vocabulary: Vocabulary, language: str, lines: list[str]) -> None:
    text = printed(vocabulary, language).split("\n")

    assert set(lines) <= set(text)
    assert not any("{" in line or "None" in line for line in text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plan_without_a_goal_says_so(vocabulary: Vocabulary, language: str) -> None:
    assert page.WORDS[language]["no-goal"] in printed(vocabulary, language, goal=False)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_word_in_every_language(language: str) -> None:
    codes = {*(one.value for one in Relation), *(one.value for one in StepKind)}

    assert codes <= set(page.WORDS[language])
    assert set(page.WORDS[language]) == set(page.WORDS["fi"])
