"""Only what changed is said, and a broken import empties nobody's catalogue."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from catalogue_examples import AT, offering

from catalogue.domain import FRESH_DAYS, RENEW_DAYS, Offering, fresh_from
from catalogue.imports import Comparison, Draft, Gone, Item, Known, Refusal, Verb, changes

FRESH = fresh_from(AT)


def draft(name: str, row: int = 1, **fields: object) -> Draft:
    return Draft(row, f"sedu.{name}", offering(**{"fresh_until": FRESH} | fields))


def known(*names: str, **fields: object) -> dict[str, Offering]:
    return {f"sedu.{name}": offering(**{"fresh_until": FRESH} | fields) for name in names}


def said(before: dict[str, Offering], *items: Item) -> list[tuple[str, str]]:
    return [(str(change.verb), change.id) for change in changes(before, items)[0]]


def test_what_is_new_is_published() -> None:
    assert said({}, draft("a")) == [("published", "sedu.a")]


def test_the_same_import_again_says_nothing() -> None:
    assert said(known("a", "b"), draft("a"), draft("b")) == []


def test_what_is_different_is_changed() -> None:
    assert said(known("a"), draft("a", capacity=3)) == [("changed", "sedu.a")]


def test_what_is_gone_is_withdrawn() -> None:
    assert said(known("a", "b"), draft("a")) == [("withdrawn", "sedu.b")]


def test_what_was_withdrawn_and_is_back_is_published_again() -> None:
    assert said(known("a", withdrawn=True), draft("a")) == [("published", "sedu.a")]


def test_what_is_withdrawn_already_is_not_withdrawn_again() -> None:
    assert said(known("b", withdrawn=True), draft("a"), Gone(2, "sedu.b")) == [("published", "sedu.a")]


def test_what_a_row_calls_gone_is_withdrawn() -> None:
    assert said(known("a", "b"), draft("a"), Gone(2, "sedu.b")) == [("withdrawn", "sedu.b")]


def test_an_unchanged_offering_is_said_again_before_it_goes_stale() -> None:
    fresh_enough = FRESH - timedelta(days=FRESH_DAYS - RENEW_DAYS)
    going_stale = fresh_enough - timedelta(days=1)

    assert said(known("a", fresh_until=fresh_enough), draft("a")) == []
    assert said(known("a", fresh_until=going_stale), draft("a")) == [("changed", "sedu.a")]


def test_an_empty_import_withdraws_nothing_and_says_so() -> None:
    found, comparison = changes(known("a", "b"), [])

    assert found == []
    assert comparison.withheld == 2


def test_an_import_that_is_mostly_refused_withdraws_nothing() -> None:
    found, comparison = changes(
        known("a", "b"), [draft("a"), Refusal(2, "x", "date-form", "must"), Refusal(3, "x", "date-form", "must")]
    )

    assert found == []
    assert comparison.withheld == 1


def test_an_import_that_breaks_off_withdraws_nothing() -> None:
    found, comparison = changes(known("a", "b"), [draft("a"), Refusal(2, None, "cut", "breaks off", cut=True)])

    assert found == []
    assert comparison.withheld == 1


def test_an_offering_whose_row_is_refused_stays_as_it_was() -> None:
    refusal = Refusal(2, "Alkaa", "date-form", "must be a date", "sedu.b")

    assert said(known("a", "b"), draft("a"), refusal) == []


def test_a_duplicate_is_refused_and_the_first_one_taken() -> None:
    found, comparison = changes({}, [draft("a"), draft("a", row=2, capacity=3)])

    assert [change.offering.capacity for change in found if change.offering] == [None]
    assert [(r.row, r.rule) for r in comparison.refused] == [(2, "duplicate")]


def test_the_report_counts_every_row() -> None:
    before = {i: Known.of(one) for i, one in known("a", "b", "c").items()}
    comparison = Comparison(known=before)

    items = [draft("a"), draft("b", 2, capacity=1), draft("d", 3), Refusal(4, "Nimi", "name-required", "needs a name")]
    counts = dict.fromkeys(Verb, 0)
    for change in comparison.changes(items):
        counts[change.verb] += 1

    assert comparison.report(counts) == {
        "rows": 4,
        "published": 1,
        "changed": 1,
        "withdrawn": 1,
        "unchanged": 1,
        "withheld": 0,
        "refused": [{"row": 4, "field": "Nimi", "rule": "name-required", "message": "needs a name"}],
    }


def test_a_change_that_could_not_be_made_is_reported_as_refused() -> None:
    comparison = Comparison(known={})
    (change,) = comparison.changes([draft("a", row=5)])

    comparison.refuse(change, "schema", "breaks the schema")

    report = comparison.report(dict.fromkeys(Verb, 0))
    assert report["unchanged"] == 0
    assert [(r["row"], r["rule"]) for r in report["refused"]] == [(5, "schema")]


def test_freshness_is_no_part_of_the_fingerprint() -> None:
    one = offering()

    assert one.fingerprint() == replace(one, fresh_until=one.fresh_until + timedelta(days=9)).fingerprint()
    assert one.fingerprint() != replace(one, capacity=4).fingerprint()
