"""A plan as a page of plain text, in the client's language, to be printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

WORDS: Mapping[str, Mapping[str, str]] = {
    "fi": {
        "title": "Henkilökohtainen kehittymissuunnitelma",
        "version": "versio",
        "goal": "Tavoite",
        "no-goal": "tavoite tarkentuu ohjauksessa",
        "strengths": "Vahvuudet",
        "gaps": "Mitä puuttuu",
        "steps": "Askeleet",
        "review": "Seuraava tarkistus",
        "level": "taso",
        "nothing": "ei vielä mitään",
        "more": "ja muita: {count}",
        "responsible": "vastuuhenkilö",
        "due": "viimeistään",
        "essential": "välttämätön",
        "optional": "hyödyllinen",
        "transversal": "yleinen",
        "other": "muu",
        "study": "opiskelu",
        "guidance": "ohjaus tavoitteen löytämiseksi",
        "exam-coaching": "valmennus pääsykokeeseen",
        "language": "kieliopinnot",
        "digital-skills": "digitaidot",
    },
    "sv": {
        "title": "Individuell utvecklingsplan",
        "version": "version",
        "goal": "Mål",
        "no-goal": "målet preciseras i handledningen",
        "strengths": "Styrkor",
        "gaps": "Vad som saknas",
        "steps": "Steg",
        "review": "Nästa genomgång",
        "level": "nivå",
        "nothing": "ingenting ännu",
        "more": "och andra: {count}",
        "responsible": "ansvarig",
        "due": "senast",
        "essential": "nödvändig",
        "optional": "nyttig",
        "transversal": "allmän",
        "other": "övrig",
        "study": "studier",
        "guidance": "handledning för att hitta ett mål",
        "exam-coaching": "träning inför inträdesprov",
        "language": "språkstudier",
        "digital-skills": "digitala färdigheter",
    },
    "en": {
        "title": "Individual development plan",
        "version": "version",
        "goal": "Goal",
        "no-goal": "the goal is yet to be found in guidance",
        "strengths": "Strengths",
        "gaps": "What is missing",
        "steps": "Steps",
        "review": "Next review",
        "level": "level",
        "nothing": "nothing yet",
        "more": "and others: {count}",
        "responsible": "responsible",
        "due": "by",
        "essential": "essential",
        "optional": "useful",
        "transversal": "general",
        "other": "other",
        "study": "studies",
        "guidance": "guidance towards a goal",
        "exam-coaching": "coaching for the entrance examination",
        "language": "language studies",
        "digital-skills": "digital skills",
    },
}


def write(plan: Mapping[str, Any], labels: Mapping[str, Mapping[str, str]]) -> str:
    """The page.

    Args:
        plan: As `events.told` gives it.
        labels: Skill → language → label, for the skills of the steps.
    """
    language = plan["language"]
    words = WORDS[language]
    lines = [
        f"{words['title']} ({words['version']} {plan['plan_version']})",
        "",
        f"{words['goal']}: {_worded(plan['goal']['labels'], language) or plan['goal']['field'] or words['no-goal']}",
        *_part("strengths", plan, [_strength(one, words, language) for one in plan["strengths"]]),
        *_part("gaps", plan, [_gap(one, words, language) for one in plan["gaps"]]),
        *_part("steps", plan, [_step(one, words, language, labels) for one in plan["steps"]]),
        "",
        f"{words['review']}: {day(plan['review_date'], language)}",
    ]
    return "\n".join(lines) + "\n"


def day(value: date, language: str) -> str:
    """A date as it is written in a language."""
    return f"{value.day}.{value.month}.{value.year}" if language in {"fi", "sv"} else f"{value:%d %B %Y}".lstrip("0")


def _part(name: str, plan: Mapping[str, Any], rows: Sequence[str]) -> Iterator[str]:
    words = WORDS[plan["language"]]
    yield ""
    yield words[name]
    yield from (f"  - {row}" for row in rows or [words["nothing"]])
    more = plan["left_out"].get(name)
    if more:
        yield f"  - {words['more'].format(count=more)}"


def _strength(one: Mapping[str, Any], words: Mapping[str, str], language: str) -> str:
    return f"{_worded(one['labels'], language)} ({words['level']} {one['level']}, {words[one['relation']]})"


def _gap(one: Mapping[str, Any], words: Mapping[str, str], language: str) -> str:
    return f"{_worded(one['labels'], language)} ({words[one['relation']]})"


def _step(
    one: Mapping[str, Any], words: Mapping[str, str], language: str, labels: Mapping[str, Mapping[str, str]]
) -> str:
    text = words[one["kind"]]
    if one["skill"]:
        text += f": {_worded(labels.get(one['skill'], {}), language) or one['skill']}"
    if one["responsible"]:
        text += f"; {words['responsible']} {one['responsible']}"
    return f"{text}; {words['due']} {day(one['due'], language)}" if one["due"] else text


def _worded(labels: Mapping[str, str], language: str) -> str:
    """A label in the language, else in the first of fi, sv, en that there is."""
    return next((labels[code] for code in (language, "fi", "sv", "en") if labels.get(code)), "")
