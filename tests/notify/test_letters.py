"""Letters in three languages."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

import pytest

from chassis.decision import Network, Organisation
from notify.adapters.letters import write
from notify.domain import LANGUAGES
from notify.handlers import RECEIVER_HEARS, SENDER_HEARS

NETWORK = Network(
    organisations={
        "seamk": Organisation(code="seamk", names={"fi": "SeAMK", "sv": "SeAMK sv", "en": "SeAMK en"}, joins="member")
    }
)
PARAMETERS: dict[str, Any] = {
    "reference": "7K3M9Q2A",
    "organisation": "seamk",
    "offering": {"fi": "Avoin polku", "en": "Open path"},
    "reason": "no-capacity",
    "count": 4,
    "goal": {"fi": "lähihoitaja", "sv": "närvårdare", "en": "practical nurse"},
    "strengths": 3,
    "gaps": 2,
    "suggestions": [{"names": {"fi": "Avoin polku"}, "provider": "seamk"}],
    "event": "e",
    "type": "t",
    "error": "x",
}


def tables(language: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("notify").joinpath("letters", f"{language}.toml").read_text("utf-8"))


def templates() -> list[str]:
    return sorted(set(tables("fi")) - {"words"})


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", templates())
def test_every_letter_is_written_in_every_language(template: str, language: str) -> None:
    text = write(template, language, PARAMETERS, NETWORK)

    assert text.subject
    assert "\n" not in text.subject
    assert text.body.endswith(f"{tables(language)['words']['signature']}\n")


def test_the_three_languages_have_the_same_letters_and_words() -> None:
    shapes = [{name: sorted(table) for name, table in tables(language).items()} for language in LANGUAGES]

    assert shapes[0] == shapes[1] == shapes[2]


def test_every_step_that_somebody_hears_of_has_a_letter() -> None:
    steps = {name.replace(".", "-") for name in SENDER_HEARS + RECEIVER_HEARS}

    assert steps <= set(templates())


def test_names_and_reasons_are_worded_in_the_readers_language() -> None:
    text = write("referral-rejected", "sv", PARAMETERS, NETWORK)

    assert "SeAMK sv" in text.body
    assert "det finns inga platser" in text.body
    assert "Avoin polku" in text.body


def test_a_missing_parameter_is_an_error_and_no_half_letter() -> None:
    with pytest.raises(Exception, match="reference"):
        write("profile-proposed", "fi", {"count": 1}, NETWORK)
