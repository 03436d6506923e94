"""What is read out of clients' own sentences, in three languages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assessment.languages import LANGUAGES, root, stem
from assessment.sentences import denied, tokens
from assessment.vocabulary import MOST_PROPOSALS, Vocabulary


def found(vocabulary: Vocabulary, text: str, language: str, *, least: float = 0.6) -> set[str]:
    """English labels of the skills that a text names itself."""
    return {
        vocabulary.skill(one.skill).labels["en"]  # type: ignore[union-attr]
        for one in vocabulary.propose(text, language)
        if one.score >= least and one.through is None
    }


SENTENCES = [
    (
        "fi",
        "Olen hitsannut ja hoitanut vanhuksia, osaan asiakaspalvelua ja tein kassatöitä kaupassa",
        {"welding techniques", "tend to elderly people", "customer service", "operate cash point"},
    ),
    ("fi", "osaan hitsata", {"welding techniques"}),
    ("fi", "Hitsasin kesät isän verstaalla.", {"welding techniques"}),
    ("fi", "Olen siivonnut toimistoja ja ajanut trukkia varastolla", {"perform cleaning duties", "operate forklift"}),
    ("fi", "Lypsin lehmiä ja ajoin traktoria", {"milk animals", "operate agricultural machinery"}),
    ("fi", "Laitan hyvää ruokaa ja teen puutöitä", {"use cooking techniques", "join wood elements"}),
    ("fi", "Korjasin autoja ja ohjelmoin vähän Pythonilla", {"carry out repair of vehicles"}),
    ("fi", "Puhun englantia ja venäjää", {"English", "Russian"}),
    ("fi", "Ajoin rekkaa ja lastasin kuormia", {"manoeuvre heavy trucks", "supervise loading of cargo"}),
    ("sv", "Jag har svetsat och vårdat äldre", {"welding techniques", "tend to elderly people"}),
    ("sv", "Jag kan kundservice och har suttit i kassan", {"customer service", "operate cash point"}),
    ("sv", "Jag har städat kontor och lagat mat åt barn", {"perform cleaning duties", "use cooking techniques"}),
    ("sv", "Jag kör lastbil och talar svenska", {"manoeuvre heavy trucks", "Swedish"}),
    ("en", "I have welded and cared for the elderly", {"welding techniques", "tend to elderly people"}),
    ("en", "I worked as a cashier and can drive a forklift", {"operate cash point", "operate forklift"}),
    ("en", "I write code in Python, fix cars and cook meals", {
        "computer programming", "Python (computer programming)", "carry out repair of vehicles",
        "use cooking techniques",
    }),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "skills"), SENTENCES)
def test_own_sentences_lead_to_the_skills_that_they_name(
    vocabulary: Vocabulary, language: str, text: str, skills: set[str]
) -> None:
    named = found(vocabulary, text, language)

    assert skills <= named


DENIALS = [
    ("fi", "En osaa ruotsia", "Swedish"),
    ("fi", "En ole hitsannut, mutta olen siivonnut", "welding techniques"),
    ("fi", "En osaa ruotsia, englantia tai venäjää", "Russian"),
    ("fi", "En ole ajanut trukkia enkä hitsannut", "welding techniques"),
    ("fi", "Hoidin vanhuksia ilman hygieniapassia", "comply with food safety and hygiene"),
    ("sv", "Jag kan inte svetsa", "welding techniques"),
    ("sv", "Jag svetsar inte", "welding techniques"),
    ("sv", "Jag kan städa men jag har aldrig kört lastbil", "manoeuvre heavy trucks"),
    ("en", "I have never driven a truck", "manoeuvre heavy trucks"),
    ("en", "I don’t speak Swedish or Russian", "Russian"),
    ("en", "I can weld but not cook", "use cooking techniques"),
]


@pytest.mark.parametrize(("language", "text", "skill"), DENIALS)
def test_what_the_client_denies_is_not_proposed(vocabulary: Vocabulary, language: str, text: str, skill: str) -> None:
    proposals = {vocabulary.skill(one.skill).labels["en"] for one in vocabulary.propose(text, language)}  # type: ignore[union-attr]

    assert skill not in proposals


AFFIRMED = [
    ("fi", "En osaa ruotsia mutta puhun englantia", "English"),
    ("fi", "En osaa ruotsia, osaan suomea", "Finnish"),
    ("fi", "En osaa ruotsia ja olen hitsannut", "welding techniques"),
    ("fi", "En ole vain siivonnut", "perform cleaning duties"),
    ("fi", "En ajanut trukkia. Hitsasin.", "welding techniques"),
    ("sv", "Jag svetsar inte. Jag har städat.", "perform cleaning duties"),
    ("sv", "Jag har inte bara städat utan också mjölkat kor", "milk animals"),
    ("sv", "Jag har inte bara städat utan också mjölkat kor", "perform cleaning duties"),
    ("en", "I have never driven a truck, but I can weld", "welding techniques"),
    ("en", "Not only cleaning but also cooking", "perform cleaning duties"),
]


@pytest.mark.parametrize(("language", "text", "skill"), AFFIRMED)
def test_a_denial_ends_where_a_new_statement_begins(
    vocabulary: Vocabulary, language: str, text: str, skill: str
) -> None:
    assert skill in found(vocabulary, text, language)


def test_osaan_is_a_form_of_osata_and_no_skill(vocabulary: Vocabulary) -> None:
    assert vocabulary.propose("osaan", "fi") == ()


def test_an_occupation_leads_to_its_essential_skills_with_a_lower_score(vocabulary: Vocabulary) -> None:
    proposals = vocabulary.propose("Olen tehnyt hoivatyötä kymmenen vuotta", "fi")

    occupations = {vocabulary.occupation(one.through).labels["fi"] for one in proposals}  # type: ignore[union-attr,arg-type]
    assert occupations == {"lähihoitaja"}
    assert all(one.score <= 0.5 for one in proposals)
    for one in proposals:
        assert one.skill in vocabulary.occupation(one.through).essential  # type: ignore[union-attr,arg-type]


def test_evidence_quotes_the_words_in_code_points(vocabulary: Vocabulary) -> None:
    text = "🙂 Äitiä hoidin: olen hoitanut vanhuksia."

    (best, *_rest) = vocabulary.propose(text, "fi")

    assert [text[e.offset : e.offset + e.length] for e in best.evidence] == ["hoitanut vanhuksia"]


def test_words_match_in_the_clients_own_language_only(vocabulary: Vocabulary) -> None:
    assert found(vocabulary, "svetsa", "fi") == set()
    assert found(vocabulary, "svetsa", "sv") == {"welding techniques"}


def test_decomposed_letters_and_capitals_make_no_difference(vocabulary: Vocabulary) -> None:
    assert found(vocabulary, "SIIVOSIN JA KA\u0308YTIN TIETOKONETTA", "fi") >= {"perform cleaning duties"}
    assert found(vocabulary, "va\u030ardat a\u0308ldre", "sv") == {"tend to elderly people"}


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("fi", "hitsannut", "hitsata"), ("fi", "vanhuksia", "vanhus"), ("fi", "vanhusten", "vanhus"),
        ("fi", "kassatöitä", "kassatyö"), ("fi", "lasten", "lapsi"), ("fi", "hitsausta", "hitsaus"),
        ("fi", "ohjelmoinut", "ohjelmoida"), ("fi", "palvellut", "palvella"),
        ("sv", "kört", "köra"), ("sv", "städat", "städa"), ("en", "driven", "drive"), ("en", "children", "child"),
    ],
)  # fmt: skip
def test_forms_of_one_word_have_one_stem(language: str, one: str, other: str) -> None:
    assert stem(one, language) == stem(other, language)


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [("fi", "hitsaus", "hitsata"), ("fi", "rakensin", "rakentaa"), ("fi", "hoidin", "hoitaa"),
     ("sv", "svetsning", "svetsa"), ("en", "cleaner", "clean")],
)  # fmt: skip
def test_derivatives_and_grades_share_a_root(language: str, one: str, other: str) -> None:
    assert root(one, language) == root(other, language)


PIECES = (
    "en", "osaa", "hitsata", "hoitanut", "vanhuksia", ",", ".", "mutta", "ja", "tai", "ilman", "inte", "svetsa", "och",
    "utan", "men", "not", "weld", "kuorma-auto", "🙂", "äldre", "vård", "C++", "\u0301", "’", "never", "only", "but",
)  # fmt: skip

texts = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))


@given(text=texts, language=st.sampled_from(LANGUAGES))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_and_evidence_lies_within_it(vocabulary: Vocabulary, text: str, language: str) -> None:
    proposals = vocabulary.propose(text, language)

    assert proposals == vocabulary.propose(text, language)
    assert len(proposals) <= MOST_PROPOSALS
    assert len({one.skill for one in proposals}) == len(proposals)
    for one in proposals:
        assert 0 < one.score <= 1
        assert one.evidence
        for place in one.evidence:
            assert place.offset >= 0
            assert place.length > 0
            assert place.offset + place.length <= len(text)


@given(text=texts, language=st.sampled_from(LANGUAGES))
@settings(max_examples=200, deadline=None)
def test_denied_positions_are_positions_of_words(text: str, language: str) -> None:
    words = tokens(text)

    assert denied(words, language) <= set(range(len(words)))


def test_searching_finds_by_the_beginning_of_a_label_and_by_other_words(vocabulary: Vocabulary) -> None:
    by_label = [one.labels["fi"] for one in vocabulary.find_skills("hitsaus", "fi")]
    by_words = [one.labels["en"] for one in vocabulary.find_skills("tiskaus", "fi")]

    assert by_label[0] == "hitsaustekniikat"
    assert by_words[0] == "wash the dishes"
    assert vocabulary.find_skills("  ", "fi") == []
    assert vocabulary.find_occupations("lähihoitaja", "fi")[0].score == 1.0
