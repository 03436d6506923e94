"""Every reason reads as a sentence in all three languages."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal

import pytest

from catalogue import fit
from catalogue.domain import LANGUAGES
from catalogue.plans import Reason
from catalogue.wording import SENTENCES, VALUES, date_in, euro_in, worded

PARAMETERS = {
    "skill": "uri",
    "labels": {"fi": "hitsaus", "sv": "svetsning", "en": "welding"},
    "count": 3,
    "municipality": "301",
    "date": "2027-01-15",
    "price": "99.50",
    "values": ["fi"],
}


@pytest.mark.parametrize(("code", "language"), list(itertools.product(SENTENCES, LANGUAGES)))
def test_every_code_has_a_sentence_in_every_language(code: str, language: str) -> None:
    parameters = PARAMETERS | ({"labels": [PARAMETERS["labels"]]} if code == "needs-first" else {})

    sentence = worded(Reason(code=code, parameters=parameters), language)

    assert sentence[0].isupper()
    assert "{" not in sentence


def test_every_reason_against_an_offering_has_a_sentence() -> None:
    assert set(SENTENCES) >= fit.AGAINST


@pytest.mark.parametrize(
    ("code", "language", "sentence"),
    [
        ("covers", "fi", "Kattaa puuttuvan taidon: hitsaus"),
        ("covers", "sv", "Ger en färdighet som du saknar: svetsning"),
        ("near", "fi", "Lähellä: Kurikka"),
        ("enrolment-until", "fi", "Ilmoittautuminen auki 15.1.2027 asti"),
        ("enrolment-until", "en", "Enrolment is open until 15 January 2027"),
        ("over-price", "sv", "Priset 99,50 € är över din gräns"),
        ("other-language", "en", "The language of teaching is not the one that you wish for: Finnish"),
    ],
)
def test_sentences_are_natural(code: str, language: str, sentence: str) -> None:
    assert worded(Reason(code=code, parameters=PARAMETERS), language) == sentence


def test_a_label_that_is_missing_in_a_language_is_shown_in_another() -> None:
    reason = Reason(code="covers", parameters={"labels": {"en": "welding"}})

    assert worded(reason, "sv").endswith(": welding")


def test_a_code_of_a_newer_version_is_shown_as_it_is() -> None:
    assert worded(Reason(code="brand-new"), "fi") == "brand-new"


def test_values_have_words_in_every_language() -> None:
    assert all(set(said) == set(LANGUAGES) for said in VALUES.values())


def test_money_and_days_are_written_as_people_do() -> None:
    assert euro_in(Decimal("120.00"), "fi") == "120 €"
    assert euro_in(Decimal("12.50"), "en") == "€12.50"
    assert date_in(date(2027, 1, 5), "sv") == "5.1.2027"
