"""Offerings are found by skill and by word, and forgotten without a trace."""

from __future__ import annotations

from datetime import date

from catalogue_examples import TODAY, WELDING, index, offering
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogue.domain import Enrolment, Offering
from catalogue.index import SPARE_SLOTS, OfferingIndex

OTHER = "http://data.europa.eu/esco/skill/other"


def found(made: OfferingIndex, text: str, language: str = "fi") -> list[str]:
    return [identifier for identifier, _share in made.open_by_words(text, language, TODAY)]


def test_an_offering_is_found_by_a_skill_that_it_names() -> None:
    made = index(a=offering(), b=offering(skills=(OTHER,)))

    assert list(made.open_by_skill(WELDING, TODAY)) == ["sedu.a"]


def test_inflected_words_meet_in_each_language() -> None:
    made = index(
        fi=offering(names={"fi": "Hitsauksen perusteet"}),
        sv=offering(names={"sv": "Svetsningens grunder"}),
        en=offering(names={"en": "Welding machines"}),
    )

    assert found(made, "hitsaus") == ["sedu.fi"]
    assert found(made, "svetsning", "sv") == ["sedu.sv"]
    assert found(made, "weld machine", "en") == ["sedu.en"]


def test_a_word_finds_compounds_that_begin_with_it() -> None:
    made = index(a=offering(names={"fi": "Hitsauskurssi"}), b=offering(names={"fi": "Muovihitsaajat"}))

    assert found(made, "hitsaus") == ["sedu.a"]


def test_a_short_word_finds_itself_only() -> None:
    made = index(a=offering(names={"fi": "Sähkö"}), b=offering(names={"fi": "Sähköinen kirjaaminen"}))

    assert found(made, "sähkö") == ["sedu.a"]


def test_keywords_and_the_beginning_of_the_description_count() -> None:
    made = index(
        a=offering(names={"fi": "Kurssi"}, keywords={"fi": ("tulityö",)}),
        b=offering(names={"fi": "Kurssi"}, description={"fi": "Opit tekemään tulityöt turvallisesti."}),
    )

    assert found(made, "tulityö") == ["sedu.a", "sedu.b"]


def test_of_four_words_three_must_be_there_and_of_three_all() -> None:
    made = index(
        three=offering(names={"fi": "Lasten ryhmien ohjaus leikkien"}),
        two=offering(names={"fi": "Lasten ryhmät"}),
    )

    assert list(made.open_by_words("lasten ryhmät musiikki kasvatus", "fi", TODAY)) == []
    assert list(made.open_by_words("lasten ryhmät ohjaus kasvatus", "fi", TODAY)) == [("sedu.three", 3 / 4)]
    assert list(made.open_by_words("lasten ryhmät ohjaus", "fi", TODAY)) == [("sedu.three", 1.0)]


def test_words_that_tell_nothing_find_nothing() -> None:
    made = index(a=offering(names={"fi": "Käyttää ja noudattaa"}))

    assert found(made, "käyttää ja noudattaa") == []


def test_what_is_closed_is_not_found() -> None:
    made = index(a=offering(enrolment=Enrolment(closes=date(2026, 11, 23))))

    assert list(made.open_by_skill(WELDING, TODAY)) == []


def test_a_later_state_takes_the_place_of_an_earlier_one() -> None:
    made = index(a=offering())

    made.put("sedu.a", offering(skills=(OTHER,)))

    assert list(made.open_by_skill(WELDING, TODAY)) == []
    assert list(made.open_by_skill(OTHER, TODAY)) == ["sedu.a"]
    assert len(made) == 1


def test_what_is_known_of_a_provider_leaves_the_others_out() -> None:
    made = index(a=offering(), b=offering(provider="seamk"))

    assert set(made.known("seamk")) == {"seamk.b"}


def test_many_changes_do_not_let_it_grow() -> None:
    made = OfferingIndex()

    for _ in range(3 * SPARE_SLOTS):
        made.put("sedu.a", offering())

    assert len(made._slots) <= SPARE_SLOTS + 2
    assert sum(map(len, made._postings.values())) <= 2 * (SPARE_SLOTS + 2)
    assert list(made.open_by_skill(WELDING, TODAY)) == ["sedu.a"]


words = st.sampled_from(["hitsaus", "hoito", "kirjanpito", "lasten ohjaus", "trukki"])
offerings = st.builds(
    lambda name, skill, withdrawn: offering(names={"fi": name}, skills=(skill,), withdrawn=withdrawn),
    words,
    st.sampled_from([WELDING, OTHER]),
    st.booleans(),
)
steps = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | offerings), max_size=40)


@settings(deadline=None)
@given(steps)
def test_after_any_changes_it_answers_as_one_that_is_built_anew(changes: list[tuple[str, Offering | None]]) -> None:
    changed, left = OfferingIndex(), {}

    for name, one in changes:
        if one is None:
            changed.remove(name)
            left.pop(name, None)
        else:
            changed.put(name, one)
            left[name] = one
    changed._rebuild()

    anew = OfferingIndex()
    for name, one in left.items():
        anew.put(name, one)
    for skill in (WELDING, OTHER):
        assert sorted(changed.open_by_skill(skill, TODAY)) == sorted(anew.open_by_skill(skill, TODAY))
    for word in ("hitsaus", "hoito", "lasten ohjaus"):
        assert sorted(found(changed, word)) == sorted(found(anew, word))
    assert changed.known("sedu") == anew.known("sedu")
