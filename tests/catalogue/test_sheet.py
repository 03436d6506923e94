"""Spreadsheets: Excel's own CSV and XLSX, good rows kept, bad rows named."""

from __future__ import annotations

import contextlib
import csv
import io
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from catalogue_examples import AT, WELDING
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalogue.adapters import offerings
from catalogue.adapters.drafts import Unreadable
from catalogue.adapters.tables import MAX_ROWS
from catalogue.domain import Credits, Enrolment, Kind, Mode, Place, Time
from catalogue.events import OfferingPublished
from catalogue.imports import Draft, Gone, Item, Refusal
from catalogue.schemas import OfferingRead

FINNISH = {
    "Tunnus": "K 101",
    "Nimi": "Hitsauksen perusteet",
    "Nimi (sv)": "Grunder i svetsning",
    "Kuvaus": "<p>Opit <b>MIG</b>-hitsausta &amp; tulitöitä.</p>",
    "Laji": "kurssi",
    "Kunta": "Seinäjoki",
    "Paikka": "Kansalaisopisto",
    "Toteutustapa": "lähi, etä",
    "Ajankohta": "ilta; viikonloppu",
    "Kieli": "suomi, ruotsi",
    "Alkaa": "1.2.2027",
    "Päättyy": "2027-05-28",
    "Ilmoittautuminen alkaa": "1.11.2026",
    "Ilmoittautuminen päättyy": "15.1.2027",
    "Jatkuva ilmoittautuminen": "ei",
    "Hinta": "1 120,50 €",
    "Laajuus": "2,5 op",
    "Taidot": f"{WELDING} | tulityö",
    "Paikkoja": "12",
    "Linkki": "opisto.example/hitsaus",
}


def saved(*rows: dict[str, Any], encoding: str = "utf-8-sig", delimiter: str = ";") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def book(*rows: dict[str, Any]) -> bytes:
    made, target = openpyxl.Workbook(), io.BytesIO()
    made.active.append(list(rows[0]))
    for row in rows:
        made.active.append(list(row.values()))
    made.save(target)
    return target.getvalue()


def read(body: bytes) -> list[Item]:
    return list(offerings("csv", body, "opisto", AT))


def one(body: bytes) -> Any:
    (item,) = read(body)
    assert isinstance(item, Draft), item
    return item.offering


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8-sig", ";"), ("utf-8", ","), ("cp1252", ";"), ("utf-16", "\t")],
)
def test_every_way_in_which_excel_saves_a_table_is_read(encoding: str, delimiter: str) -> None:
    found = one(saved(FINNISH, encoding=encoding, delimiter=delimiter))

    assert found.names == {"fi": "Hitsauksen perusteet", "sv": "Grunder i svetsning"}
    assert found.description == {"fi": "Opit MIG-hitsausta & tulitöitä."}
    assert found.kind is Kind.LIBERAL
    assert found.place == Place(municipality="743", name="Kansalaisopisto")
    assert found.modes == (Mode.ON_SITE, Mode.ONLINE)
    assert found.times == (Time.EVENING, Time.WEEKEND)
    assert found.languages == ("fi", "sv")
    assert (found.starts, found.ends) == (date(2027, 2, 1), date(2027, 5, 28))
    assert found.enrolment == Enrolment(opens=date(2026, 11, 1), closes=date(2027, 1, 15))
    assert found.price == Decimal("1120.50")
    assert found.credits == Credits(amount=Decimal("2.5"), unit="op")
    assert found.skills == (WELDING,)
    assert found.keywords == {"fi": ("tulityö",)}
    assert found.capacity == 12
    assert found.link == "https://opisto.example/hitsaus"


@pytest.mark.parametrize("hint", [b"sep=;\r\n", b"sep=\r\n", b'sep="\r\n'])
def test_a_hint_at_the_delimiter_is_no_row_whatever_it_names(hint: bytes) -> None:
    found = one(hint + saved(FINNISH, encoding="utf-8"))

    assert found.names["fi"] == "Hitsauksen perusteet"


def test_a_table_that_is_nothing_but_a_hint_is_refused() -> None:
    with pytest.raises(Unreadable):
        read(b"sep=")


def test_a_draft_goes_over_the_wire_and_back_unchanged() -> None:
    found = one(saved(FINNISH))

    assert OfferingRead().load(OfferingPublished().dump(found)) == found


def test_english_headings_and_words_are_read() -> None:
    row = {"Code": "1", "Name": "Kurssi", "Mode": "blended", "Time": "day", "Language": "English", "Price": "free"}

    found = one(saved(row))

    assert (found.modes, found.times, found.languages) == ((Mode.BLENDED,), (Time.DAY,), ("en",))
    assert found.price == 0


def test_cells_of_a_workbook_keep_their_kinds() -> None:
    row = {"Tunnus": 1001, "Nimi": "Kurssi", "Alkaa": date(2027, 2, 1), "Hinta": 60.5, "Paikkoja": 12, "Kunta": 743}

    (item,) = read(book(row))

    assert isinstance(item, Draft)
    assert item.id == "opisto.1001"
    assert item.offering.starts == date(2027, 2, 1)
    assert item.offering.price == Decimal("60.50")
    assert item.offering.place.municipality == "743"


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("Tunnus", "", "code-required"),
        ("Tunnus", "a/b", "code-form"),
        ("Nimi", "", "name-required"),
        ("Nimi", "x" * 301, "too-long"),
        ("Laji", "lukio", "kind-unknown"),
        ("Kunta", "Atlantis", "municipality-unknown"),
        ("Toteutustapa", "lähi, kuussa", "modes-unknown"),
        ("Ajankohta", "yö", "times-unknown"),
        ("Kieli", "klingon", "languages-unknown"),
        ("Alkaa", "31.2.2027", "date-form"),
        ("Alkaa", "ensi viikolla", "date-form"),
        ("Päättyy", "31.1.2027", "end-before-start"),
        ("Ilmoittautuminen päättyy", "31.10.2026", "end-before-start"),
        ("Jatkuva ilmoittautuminen", "ehkä", "continuous-unknown"),
        ("Hinta", "paljon", "price-form"),
        ("Hinta", "-5", "price-form"),
        ("Hinta", "1e999999999", "price-form"),
        ("Laajuus", "5 kuuta", "credits-form"),
        ("Taidot", "https://example.org/skill/1", "skill-form"),
        ("Paikkoja", "puoli", "capacity-form"),
        ("Paikkoja", "2.5", "capacity-form"),
        ("Linkki", "javascript:alert(1)", "link-form"),
        ("Kuvaus", "Kysy: 131052-308T", "identity-code"),
        ("Paikka", "=HYPERLINK(A1)", "formula"),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_kept(field: str, value: str, rule: str) -> None:
    good = FINNISH | {"Nimi (sv)": ""}
    bad = good | {field: value, "Tunnus": value if field == "Tunnus" else "K102"}

    items = read(saved(good, bad, good | {"Tunnus": "K103"}))

    assert [type(item) for item in items] == [Draft, Refusal, Draft]
    refusal = items[1]
    assert isinstance(refusal, Refusal)
    assert (refusal.row, refusal.rule) == (3, rule)
    assert refusal.field
    assert not value or value not in refusal.message


def test_a_refused_row_with_a_code_leaves_its_offering_alone() -> None:
    (refusal,) = read(saved(FINNISH | {"Alkaa": "x"}))

    assert isinstance(refusal, Refusal)
    assert refusal.id == "opisto.K-101"


def test_a_cancelled_row_says_that_its_offering_is_gone() -> None:
    assert read(saved(FINNISH | {"Peruttu": "kyllä"})) == [Gone(2, "opisto.K-101")]


def test_empty_rows_are_skipped_and_the_numbers_stay_those_of_the_spreadsheet() -> None:
    body = b"Tunnus;Nimi\r\n1;Yksi\r\n;\r\n\r\n2;\r\n"

    items = read(body)

    assert [(type(item), item.row) for item in items] == [(Draft, 2), (Refusal, 5)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Tunnus/Code"),
        (b"Otsikko;Jotain\n1;2\n", "Nimi/Name missing; expected are"),
        (b"Tunnus;Nimi;Name\n1;a;b\n", "stands twice"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "encrypted"),
        (b"PK\x03\x04 no workbook", "expected a table"),
        (b"\x00\x01\x02", "expected a table"),
        (b"x" * (5 * 2**20 + 1), "5 MB"),
        (b"Tunnus;Nimi\n" + b"1;a\n" * MAX_ROWS, "rows at the most"),
    ],
)
def test_what_is_no_table_of_the_template_gets_one_sentence(body: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(body)


def test_a_workbook_that_unpacks_without_end_is_refused() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (51 * 2**20))

    with pytest.raises(Unreadable, match="unpacks"):
        read(target.getvalue())


def test_a_file_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "syksy.csv"
    path.write_bytes(saved(FINNISH))

    assert [item.row for item in offerings("csv", path, "opisto", AT)] == [2]
    with pytest.raises(Unreadable, match="cannot be opened"):
        list(offerings("csv", tmp_path / "missing.csv", "opisto", AT))


cells = st.text(st.characters(codec="cp1252", exclude_characters="\0\r"), max_size=30)


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(FINNISH, cells)), min_size=1, max_size=5))
@example([dict.fromkeys(FINNISH, "\n")])
def test_whatever_stands_in_the_cells_every_row_is_a_draft_or_is_refused(rows: list[dict[str, str]]) -> None:
    rows = [*rows, dict.fromkeys(FINNISH, "1")]
    for encoding in ("utf-8-sig", "cp1252"):
        for item in read(saved(*rows, encoding=encoding)):
            assert isinstance(item, Draft | Gone | Refusal)
            if isinstance(item, Draft):
                assert OfferingRead().load(OfferingPublished().dump(item.offering)) == item.offering


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_nothing_crashes(body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        read(body)


def test_a_table_of_headings_only_is_refused_as_a_whole() -> None:
    with pytest.raises(Unreadable, match="holds no offering at all; nothing was imported"):
        read(b"Tunnus;Nimi\r\n;\r\n")


def test_a_table_whose_rows_are_all_wrong_tells_each() -> None:
    refused = read(b"Tunnus;Nimi\r\n1;\r\n;B\r\n")

    assert [(item.row, item.rule) for item in refused if isinstance(item, Refusal)] == [
        (2, "name-required"),
        (3, "code-required"),
    ]


@pytest.mark.parametrize("markup", ["<b>Hitsaus</b><script>x</script>", "&lt;b&gt;Hitsaus", "<\u200bb>Hitsaus"])
def test_what_is_imported_is_plain_enough_for_every_copy(markup: str) -> None:
    made = one(saved({"Tunnus": "1", "Nimi": markup, "Kuvaus": markup, "Paikka": markup, "Taidot": markup}))

    assert "Hitsaus" in made.names["fi"]
    assert OfferingRead().load(OfferingPublished().dump(made)) == made
