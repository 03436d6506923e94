"""A coach's spreadsheet: what is taken, what is refused and how it is told, and what comes back."""

from __future__ import annotations

import csv
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.formula import ArrayFormula

from chassis.decision import Refused
from chassis.incoming import Outcome, Settled
from intake.adapters import columns, files, sheet
from intake.adapters.files import NotASheet, read_rows, write_csv, write_xlsx
from intake.schemas import ClientBody

WELDER = "hitsaaja"
IDENTITY_CODE = "131052-308T"
"""The code that the authority itself prints as its example."""

GOOD = {
    "asiakasnumero": "A-17",
    "etunimi": "Aino",
    "sukunimi": "Esimerkki",
    "sähköposti": "aino@esimerkki.fi",
    "puhelin": "+358 40 123 4567",
    "kieli": "suomi",
    "kunta": "Seinäjoki",
    "tavoiteammatti": WELDER,
    "opiskelupaikat": "Seinäjoki, Ilmajoki",
    "toteutustapa": "lähiopetus; monimuoto",
    "ajankohta": "ilta",
    "enimmäishinta": "120,50 €",
    "aloitus viimeistään": "31.8.2027",
    "omin sanoin": "Olen hoitanut vanhuksia; osaan hitsata.",
    "suostumus": "kartoitus, ohjaus, yhteystiedot",
    "suostumuspäivä": "2026-11-24",
    "turvakielto": "ei",
    "omavalmentaja": "kunta-12",
}


def rows(*changes: Mapping[str, str], without: Sequence[str] = ()) -> list[list[str]]:
    """Headings and one row for each mapping of what differs from a good one."""
    headings = [heading for heading in GOOD if heading not in without]
    return [headings, *([{**GOOD, **change}.get(heading, "") for heading in headings] for change in changes)]


def as_csv(lines: Sequence[Sequence[str]], *, delimiter: str = ";", encoding: str = "utf-8-sig") -> bytes:
    target = io.StringIO()
    csv.writer(target, delimiter=delimiter).writerows(lines)
    return target.getvalue().encode(encoding)


def as_xlsx(lines: Sequence[Sequence[Any]]) -> bytes:
    book = Workbook()
    for line in lines:
        book.active.append(list(line))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def rezipped(body: bytes, changed: Mapping[str, bytes]) -> bytes:
    """The archive with some parts replaced or added."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *changed}:
            new.writestr(name, changed[name] if name in changed else old.read(name))
    return target.getvalue()


def outcome(**fields: Any) -> Outcome:
    return Outcome(**{"settled": Settled.APPLIED, "aggregate_id": "c.1", "created": True} | fields)


def refused(*changes: Mapping[str, str]) -> list[tuple[int, str, str]]:
    found = sheet.read(as_csv(rows(*changes)))
    return [(refusal.row, refusal.column, refusal.rule) for refusal in found.refusals]


# ── what is taken ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_good_row_becomes_the_body_of_a_client() -> None:
    found = sheet.read(as_csv(rows({})))

    assert found.refusals == []
    assert found.rows[0].data == {
        "caseNumber": "A-17",
        "given": "Aino",
        "family": "Esimerkki",
        "email": "aino@esimerkki.fi",
        "phone": "+358 40 123 4567",
        "language": "fi",
        "municipality": "743",
        "goal": {"occupation": columns.occupation(WELDER)},
        "wishes": {
            "places": ["743", "145"],
            "modes": ["on-site", "blended"],
            "times": ["evening"],
            "maxPrice": "120.50",
            "startsBy": "2027-08-31",
        },
        "words": "Olen hoitanut vanhuksia; osaan hitsata.",
        "consent": {"scope": ["assessment", "referral", "disclosure"], "given": "2026-11-24"},
        "nonDisclosure": False,
        "coach": "kunta-12",
    }
    assert ClientBody().load(found.rows[0].data).municipality == "743"


@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_csv_is_read_however_excel_saves_it(delimiter: str, encoding: str) -> None:
    found = sheet.read(as_csv(rows({}), delimiter=delimiter, encoding=encoding))

    assert [row.data["family"] for row in found.rows] == ["Esimerkki"]
    assert found.rows[0].data["municipality"] == "743"


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_the_template_is_understood_in_each_language(language: str) -> None:
    headings = columns.template(language)
    filled = dict(zip(columns.template("fi"), [""] * len(headings), strict=True)) | GOOD

    found = sheet.read(as_xlsx([headings, list(filled.values())]))

    assert [row.data["caseNumber"] for row in found.rows] == ["A-17"]


@pytest.mark.parametrize(
    ("text", "code"),
    [("Seinäjoki", "743"), ("ILMAJOKI", "145"), ("Lappo", "408"), ("743", "743"), ("5", "005"), ("Nurmo", "743")],
)
def test_a_municipality_is_known_by_name_code_and_what_merged_into_it(text: str, code: str) -> None:
    assert columns.municipality(text) == code


@pytest.mark.parametrize("text", ["hitsaaja", "Welder", "svetsare, manuell"])
def test_an_occupation_is_known_in_each_language(text: str) -> None:
    assert columns.occupation(text).startswith("http://data.europa.eu/esco/occupation/")


def test_the_region_has_twenty_five_occupations_each_with_its_own_names() -> None:
    table = columns._table("occupations.csv")

    assert len({row["uri"] for row in table}) == len(table) == 25
    assert len({row[language].casefold() for row in table for language in ("fi", "sv", "en")}) > 70


def test_a_sheet_of_numbers_dates_and_truths_is_read_as_people_see_it() -> None:
    change = {"asiakasnumero": 17, "kunta": 743, "aloitus viimeistään": datetime(2027, 8, 31), "turvakielto": True}  # noqa: DTZ001
    lines: list[list[Any]] = [list(line) for line in rows({})]
    for heading, value in change.items():
        lines[1][lines[0].index(heading)] = value

    data = sheet.read(as_xlsx(lines)).rows[0].data

    assert (data["caseNumber"], data["municipality"], data["nonDisclosure"]) == ("17", "743", True)
    assert data["wishes"]["startsBy"] == "2027-08-31"


def test_blank_rows_are_passed_over_and_row_numbers_stay_those_of_the_sheet() -> None:
    lines = rows({}, {"asiakasnumero": "A-18"})

    found = sheet.read(as_csv([lines[0], [], lines[1], ["", ""], lines[2], [], []]))

    assert [row.number for row in found.rows] == [3, 5]


def test_a_far_away_formatted_row_is_no_row() -> None:
    book = Workbook()
    for line in rows({}):
        book.active.append(line)
    book.active.cell(row=9000, column=1, value=" ")
    target = io.BytesIO()
    book.save(target)

    assert len(sheet.read(target.getvalue()).rows) == 1


def test_a_wrong_size_written_into_the_sheet_cuts_no_rows_off() -> None:
    body = as_xlsx(rows({}, {"asiakasnumero": "A-18"}))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        part = archive.read("xl/worksheets/sheet1.xml")
    start = part.index(b'<dimension ref="') + len(b'<dimension ref="')
    body = rezipped(body, {"xl/worksheets/sheet1.xml": part[:start] + b"A1" + part[part.index(b'"', start) :]})

    assert len(sheet.read(body).rows) == 2


@pytest.mark.parametrize("nothing", ["", "-", "–"])
def test_a_dash_is_an_empty_cell(nothing: str) -> None:
    assert "email" not in sheet.read(as_csv(rows({"sähköposti": nothing}))).rows[0].data


# ── a row that is refused ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("asiakasnumero", "", "missing"),
        ("sukunimi", "", "missing"),
        ("kunta", "Atlantis", "unknown-municipality"),
        ("opiskelupaikat", "Seinäjoki, Atlantis", "unknown-municipality"),
        ("kieli", "klingon", "unknown-language"),
        ("tavoiteammatti", "astronautti", "unknown-occupation"),
        ("tavoiteammatti", "https://example.fi/esco/occupation/1", "unknown-occupation"),
        ("aloitus viimeistään", "31.2.2027", "bad-date"),
        ("aloitus viimeistään", "ensi syksynä", "bad-date"),
        ("suostumuspäivä", "2026-13-01", "bad-date"),
        ("suostumuspäivä", "1.1.0026", "bad-date"),
        ("sähköposti", "aino(at)esimerkki.fi", "bad-address"),
        ("sähköposti", "aino@", "bad-address"),
        ("enimmäishinta", "ilmainen", "bad-price"),
        ("enimmäishinta", "1E9999", "bad-price"),
        ("toteutustapa", "telepatia", "unknown-mode"),
        ("ajankohta", "keskiyö", "unknown-time"),
        ("suostumus", "kaikki", "unknown-consent"),
        ("turvakielto", "ehkä", "not-yes-or-no"),
        ("omavalmentaja", "Kalle Coach", "bad-staff-id"),
        ("omin sanoin", "x" * 8001, "too-long"),
        ("etunimi", "x" * 201, "too-long"),
        ("omin sanoin", f"Tunnukseni on {IDENTITY_CODE}.", "identity-code"),
        ("asiakasnumero", IDENTITY_CODE, "identity-code"),
        ("sukunimi", IDENTITY_CODE.lower(), "identity-code"),
        ("etunimi", "=1+1", "formula"),
        ("omin sanoin", '=HYPERLINK("http://example.fi")', "formula"),
        ("puhelin", "+358+1", "formula"),
        ("sukunimi", "@SUM(A1)", "formula"),
        ("sukunimi", "-2+3", "formula"),
        ("sukunimi", "#REF!", "formula"),
    ],
)
def test_a_wrong_cell_is_told_with_row_column_and_rule_and_never_its_value(column: str, value: str, rule: str) -> None:
    found = sheet.read(as_csv(rows({"asiakasnumero": "A-1"}, {column: value}, {"asiakasnumero": "A-3"})))

    assert [(refusal.row, refusal.column, refusal.rule) for refusal in found.refusals] == [(3, column, rule)]
    assert [row.number for row in found.rows] == [2, 4]
    assert not value or value not in found.refusals[0].message


@pytest.mark.parametrize("value", ["+358 40 123 4567", "+358-40-1234567", "+358 (0)40 123", "+3584012345"])
def test_a_telephone_number_is_no_formula(value: str) -> None:
    assert refused({"puhelin": value}) == []


def test_a_list_with_dashes_is_no_formula() -> None:
    assert refused({"omin sanoin": "- hoitanut vanhuksia\n- osaan hitsata"}) == []


@pytest.mark.parametrize("again", ["A-17", "a-17", " A-17 ", "Ａ-17"])
def test_a_case_number_that_stands_twice_is_told_at_its_second_row(again: str) -> None:
    assert refused({}, {"asiakasnumero": again}) == [(3, "asiakasnumero", "twice")]


def test_every_wrong_cell_of_a_row_is_told() -> None:
    found = refused({"kunta": "Atlantis", "kieli": "klingon"})

    assert sorted(found) == [(2, "kieli", "unknown-language"), (2, "kunta", "unknown-municipality")]


@pytest.mark.parametrize("formula", ["=A1&B1", ArrayFormula("B2:B2", "=A1:A1")])
def test_a_formula_of_a_workbook_is_told(formula: Any) -> None:
    lines: list[list[Any]] = [list(line) for line in rows({})]
    lines[1][1] = formula

    found = sheet.read(as_xlsx(lines))

    assert [(refusal.column, refusal.rule) for refusal in found.refusals] == [("etunimi", "formula")]


def test_the_heading_of_a_sheet_in_another_language_is_the_one_that_is_told() -> None:
    lines = [
        ["case number", "given name", "family name", "language", "municipality"],
        ["1", "A", "B", "fi", "Atlantis"],
    ]

    found = sheet.read(as_csv(lines))

    assert found.refusals[0].column == "municipality"


# ── a file that is refused ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "headings asiakasnumero"),
        (b"\xef\xbb\xbf", "headings asiakasnumero"),
        (b"\n\n;;\n", "headings asiakasnumero"),
        (as_csv(rows()), "no row"),
        (as_csv([["nimi", "osoite"], ["Aino", "Koti"]]), "headings asiakasnumero"),
        (as_csv(rows({}, without=["kunta"])), "headings asiakasnumero"),
        (as_csv([[*rows()[0], "lempiväri"], [*rows({})[1], "sininen"]]), "Column 19"),
        (as_csv([[*rows()[0], "kunta"], [*rows({})[1], "Ilmajoki"]]), "Column 7"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "password"),
        (b"%PDF-1.7\n" + bytes(range(256)), "no spreadsheet"),
        (b"PK\x03\x04" + bytes(500), "no spreadsheet"),
        (b"x" * (files.MAX_BYTES + 1), "5 MB"),
        (as_csv(rows({})) + b'"open', "quotation mark"),
        (as_csv(rows({"omin sanoin": "x" * 40_000})), "32767 characters"),
        (as_xlsx([["asiakasnumero"]]), "headings asiakasnumero"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_taken_is_told_in_one_sentence(body: bytes, says: str) -> None:
    with pytest.raises(NotASheet) as caught:
        sheet.read(body)

    assert says in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_more_rows_than_the_limit_are_too_many() -> None:
    lines = rows(*({"asiakasnumero": str(number)} for number in range(files.MAX_ROWS + 1)))

    with pytest.raises(NotASheet, match="5000 rows"):
        sheet.read(as_csv(lines))


def test_a_zip_that_is_no_workbook_is_no_spreadsheet() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("holiday.txt", "sun")

    with pytest.raises(NotASheet, match="no spreadsheet"):
        sheet.read(target.getvalue())


def test_an_archive_that_says_that_it_unpacks_beyond_the_limit_is_refused() -> None:
    bomb = rezipped(as_xlsx(rows({})), {"xl/media/bomb.bin": bytes(files.MAX_UNPACKED)})

    with pytest.raises(NotASheet, match="50 MB"):
        sheet.read(bomb)


def test_an_archive_that_lies_about_its_size_is_not_unpacked_further() -> None:
    part = b"<worksheet><sheetData>" + b"<row/>" * 9_000_000 + b"</sheetData></worksheet>"
    bomb = bytearray(rezipped(as_xlsx(rows({})), {"xl/worksheets/sheet1.xml": part}))
    claimed = struct.pack("<I", 200)
    true = struct.pack("<I", len(part))
    assert bomb.count(true) >= 2
    body = bytes(bomb).replace(true, claimed)

    with pytest.raises(NotASheet, match="no spreadsheet"):
        sheet.read(body)


def test_one_long_text_that_many_cells_share_is_counted_for_each() -> None:
    lines = [[*rows()[0]], *([["x" * 32_000] * len(GOOD)] * 200)]

    with pytest.raises(NotASheet, match="50 MB"):
        sheet.read(as_xlsx(lines))


def test_entities_of_xml_are_not_expanded() -> None:
    body = as_xlsx(rows({}))
    laughs = (
        b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>'
    )

    with pytest.raises(NotASheet, match="no spreadsheet"):
        sheet.read(rezipped(body, {"xl/worksheets/sheet1.xml": laughs}))


@settings(max_examples=200)
@given(st.binary(max_size=600))
def test_no_bytes_whatever_raise_anything_but_the_one_refusal(body: bytes) -> None:
    for prefix in (b"", b"PK\x03\x04", b"\xff\xfe", as_csv(rows())):
        try:
            sheet.read(prefix + body)
        except NotASheet:
            continue


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_no_damage_to_a_workbook_raises_anything_but_the_one_refusal(place: int, damage: bytes) -> None:
    body = bytearray(as_xlsx(rows({})))
    place %= len(body)
    body[place : place + len(damage)] = damage

    try:
        sheet.read(bytes(body))
    except NotASheet:
        return


# ── what comes back ──────────────────────────────────────────────────────────────────────────────────────────────────


def report_of(body: bytes) -> sheet.Report:
    found = sheet.read(body)
    report = sheet.Report(found)
    for row in found.rows:
        report.add(row, outcome(), short="7K3M9Q2A")
    return report


@pytest.mark.parametrize("form", [as_csv, as_xlsx])
def test_the_sheet_comes_back_with_a_reference_or_an_error(form: Any) -> None:
    lines = rows({}, {"asiakasnumero": "A-18", "kunta": "Atlantis"})

    back = list(read_rows(report_of(form(lines)).sheet()))

    assert back[0] == [*lines[0], sheet.REFERENCE, sheet.ERROR]
    assert back[1] == [*lines[1], "7K3M9Q2A"]
    assert back[2][:-2] == lines[2]
    assert back[2][-2] == ""
    assert back[2][-1].startswith("kunta: is no municipality")


def test_the_report_counts_what_was_taken_and_lists_what_was_not() -> None:
    body = as_csv(rows({}, {"asiakasnumero": "A-18", "kieli": "klingon"}))

    told = report_of(body).json()

    assert (told["rows"], told["accepted"]) == (2, 1)
    assert told["clients"] == [{"row": 2, "client": "c.1", "reference": "7K3M9Q2A", "outcome": "created"}]
    assert [(error["row"], error["column"], error["rule"]) for error in told["refused"]] == [
        (3, "kieli", "unknown-language")
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"created": True}, "created"),
        ({"created": False}, "changed"),
        ({"created": False, "settled": Settled.IGNORED}, "unchanged"),
        ({"created": False, "settled": Settled.DUPLICATE}, "unchanged"),
    ],
)
def test_the_report_says_what_a_row_did(fields: dict[str, Any], expected: str) -> None:
    found = sheet.read(as_csv(rows({})))
    report = sheet.Report(found)

    report.add(found.rows[0], outcome(**fields), short="7K3M9Q2A")

    assert report.json()["clients"][0]["outcome"] == expected


class WordsTooLong(Refused):
    """A rule that only the domain knows."""


def test_what_the_domain_refuses_is_told_under_the_sheets_own_heading() -> None:
    found = sheet.read(as_csv(rows({}, {"asiakasnumero": "A-18"})))
    report = sheet.Report(found)

    report.add(found.rows[0], outcome(refusal=WordsTooLong("words: are too long", field="words")), short=None)
    report.add(
        found.rows[1], outcome(errors={"wishes": {"places": {0: ["is no code"]}}}, aggregate_id=None), short=None
    )

    assert [(error["column"], error["rule"], error["message"]) for error in report.json()["refused"]] == [
        ("omin sanoin", "words-too-long", "words: are too long"),
        ("opiskelupaikat", "wrong-value", "is no code"),
    ]


def test_a_sheet_that_came_back_can_be_imported_again() -> None:
    first = report_of(as_xlsx(rows({}, {"asiakasnumero": "A-18", "kunta": "Atlantis"})))

    again = report_of(first.sheet())

    assert again.json() == first.json()
    assert again.sheet().count(b"PK") == first.sheet().count(b"PK")
    assert list(read_rows(again.sheet())) == list(read_rows(first.sheet()))


def test_nothing_that_is_written_is_a_formula() -> None:
    lines = [["=1+1", "+358 40 1", "@x", "-2+3", "\tx", "'=1", "plain"]]

    book = load_workbook(io.BytesIO(write_xlsx(lines)))
    cells = next(csv.reader(io.StringIO(write_csv(lines).decode("utf-8-sig")), delimiter=";"))

    assert {cell.data_type for cell in book.active[1]} == {"s"}
    assert cells == ["'=1+1", "+358 40 1", "'@x", "'-2+3", "'\tx", "'=1", "plain"]


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).map(
    lambda text: text.strip().lstrip("'") or "x"
)


def test_commas_in_quoted_cells_do_not_separate_them() -> None:
    body = '"kunta, tai paikka, tai kylä";"etunimi"\r\n"Seinäjoki";"Aino"\r\n'.encode()

    assert list(read_rows(body)) == [["kunta, tai paikka, tai kylä", "etunimi"], ["Seinäjoki", "Aino"]]


@pytest.mark.parametrize(
    ("head", "cells"),
    [
        ('"kunta, tai ""paikka"", tai kylä";"etunimi"', ['kunta, tai "paikka", tai kylä', "etunimi"]),
        ('kunta ("),etunimi', ['kunta (")', "etunimi"]),
    ],
)
def test_quotation_marks_within_a_cell_hide_no_delimiter(head: str, cells: list[str]) -> None:
    assert list(read_rows(f"{head}\r\n".encode())) == [cells]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=6), st.sampled_from([write_csv, write_xlsx])
)
def test_texts_survive_the_way_out_and_in(lines: list[list[str]], write: Any) -> None:
    lines = [[text.strip() for text in line] for line in lines]

    assert list(read_rows(write(lines))) == lines


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "etunimi": TEXTS,
                "omin sanoin": st.text("abcåäö ,;\"'\n+-=", max_size=40),
                "kunta": st.sampled_from(["Seinäjoki", "743", "Kauhava", "Atlantis"]),
            }
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([as_csv, as_xlsx]),
)
def test_every_row_is_either_taken_or_told(changes: list[dict[str, str]], form: Any) -> None:
    numbered = [{**change, "asiakasnumero": f"A-{number}"} for number, change in enumerate(changes)]

    found = sheet.read(form(rows(*numbered)))

    taken = {row.number for row in found.rows}
    told = {refusal.row for refusal in found.refusals}
    assert not taken & told
    assert taken | told == set(range(2, len(changes) + 2))
