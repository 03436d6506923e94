"""Opintopolku's JSON: what it joins, what may be missing, and what real dumps hold."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from catalogue_examples import AT
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogue.adapters import offerings
from catalogue.adapters.drafts import Unreadable
from catalogue.adapters.records import Source
from catalogue.domain import Credits, Enrolment, Kind, Mode, Place, Time
from catalogue.events import OfferingPublished
from catalogue.imports import Draft, Gone, Item, Refusal
from catalogue.schemas import OfferingRead

OID = "1.2.246.562.17.1"
COURSE = {
    "oid": "1.2.246.562.13.1",
    "tila": "julkaistu",
    "koulutustyyppi": "amm-tutkinnon-osa",
    "nimi": {"fi": "Hitsaus", "sv": None},
    "metadata": {
        "osaamistavoitteet": {"fi": "<ul><li>osaat MIG-hitsata</li></ul>"},
        "opintojenLaajuusNumero": 25,
        "opintojenLaajuusyksikko": {"koodiUri": "opintojenlaajuusyksikko_6#1"},
        "luokittelutermit": ["metalli"],
    },
}
TARGET = {
    "oid": "1.2.246.562.20.1",
    "tila": "julkaistu",
    "toteutusOid": OID,
    "hakuOid": "1.2.246.562.29.1",
    "kaytetaanHaunAikataulua": True,
    "jarjestyspaikka": {"nimi": {"fi": "Törnävä"}, "paikkakunta": {"koodiUri": "kunta_743"}},
    "metadata": {"aloituspaikat": {"lukumaara": 16}},
}
ROUND = {
    "oid": "1.2.246.562.29.1",
    "tila": "julkaistu",
    "hakutapa": {"koodiUri": "hakutapa_01#1"},
    "hakuajat": [{"alkaa": "2026-11-02T08:00", "paattyy": "2027-01-15T15:00"}],
}


def toteutus(**fields: Any) -> dict[str, Any]:
    return {
        "oid": OID,
        "tila": "julkaistu",
        "koulutusOid": COURSE["oid"],
        "nimi": {"fi": "Hitsauksen perusteet"},
        "metadata": {
            "kuvaus": {"fi": "<p>Verstaalla.</p>"},
            "asiasanat": [{"kieli": "fi", "arvo": "hitsaus"}, {"kieli": "sv", "arvo": "svetsning"}],
            "ammattinimikkeet": [{"kieli": "fi", "arvo": "hitsaaja"}],
            "opetus": {
                "opetuskieliKoodiUrit": ["oppilaitoksenopetuskieli_1#2"],
                "opetusaikaKoodiUrit": ["opetusaikakk_2#1"],
                "opetustapaKoodiUrit": ["opetuspaikkakk_1#1", "opetuspaikkakk_99#1"],
                "maksullisuustyyppi": "maksullinen",
                "maksunMaara": 120.5,
                "koulutuksenAlkamiskausi": {
                    "koulutuksenAlkamiskausiKoodiUri": "kausi_k#1",
                    "koulutuksenAlkamisvuosi": "2027",
                },
            },
        },
    } | fields


def items(source: Source) -> list[Item]:
    return list(offerings("kouta", source, "sedu", AT))


def body(*records: Any) -> bytes:
    return json.dumps(records).encode()


def one(**fields: Any) -> Any:
    (item,) = items(body(toteutus(**fields), COURSE, TARGET, ROUND))
    assert isinstance(item, Draft), item
    return item.offering


def test_a_toteutus_is_joined_with_its_koulutus_hakukohde_and_haku() -> None:
    found = one()

    assert found.names == {"fi": "Hitsauksen perusteet"}
    assert found.description == {"fi": "Verstaalla.\nosaat MIG-hitsata"}
    assert found.kind is Kind.AMM_UNIT
    assert found.place == Place(municipality="743", name="Törnävä")
    assert (found.modes, found.times, found.languages) == ((Mode.ON_SITE,), (Time.EVENING,), ("fi",))
    assert found.starts == date(2027, 1, 1)
    assert found.enrolment == Enrolment(opens=date(2026, 11, 2), closes=date(2027, 1, 15))
    assert found.price == Decimal("120.50")
    assert found.credits == Credits(amount=Decimal(25), unit="osp")
    assert found.keywords == {"fi": ("hitsaus", "hitsaaja", "metalli"), "sv": ("svetsning",)}
    assert found.capacity == 16
    assert found.link == f"https://opintopolku.fi/konfo/fi/toteutus/{OID}"


def test_expanded_codes_of_konfo_mean_the_same() -> None:
    teaching = toteutus()["metadata"]["opetus"]
    expanded = {name.removesuffix("KoodiUrit"): [{"koodiUri": c} for c in value] for name, value in teaching.items()
                if name.endswith("KoodiUrit")}  # fmt: skip
    rest = {name: value for name, value in teaching.items() if not name.endswith("KoodiUrit")}

    found = one(metadata=toteutus()["metadata"] | {"opetus": rest | expanded})

    assert found == one()


@pytest.mark.parametrize(
    "source",
    [
        body(toteutus(), COURSE, TARGET, ROUND),
        json.dumps([toteutus(), COURSE, TARGET, ROUND], indent=1).encode(),
        b"\n".join(json.dumps({"_source": r}).encode() for r in (toteutus(), COURSE, TARGET, ROUND)),
        b"\xef\xbb\xbf\n" + b"\n\n".join(json.dumps(r).encode() for r in (COURSE, toteutus(), TARGET, ROUND)),
        json.dumps(
            {"toteutukset": [toteutus()], "koulutukset": [COURSE], "hakukohteet": [TARGET], "haut": [ROUND]}
        ).encode(),
        json.dumps(
            {"haut": [ROUND], "toteutukset": [toteutus()], "koulutukset": [COURSE], "hakukohteet": [TARGET]}, indent=2
        ).encode(),
    ],
)
def test_arrays_lines_and_objects_of_arrays_give_the_same(source: bytes) -> None:
    (item,) = items(source)

    assert isinstance(item, Draft)
    assert item.offering == one()


@pytest.mark.parametrize("state", ["tallennettu", "arkistoitu", "poistettu", None])
def test_only_what_is_published_is_offered(state: str | None) -> None:
    assert items(body(toteutus(tila=state))) == [Gone(1, f"sedu.{OID}")]


def test_hakukohteet_within_the_toteutus_count_as_well() -> None:
    target = TARGET | {"kaytetaanHaunAikataulua": False, "hakuajat": [{"alkaa": "2026-12-01T08:00"}]}
    found = toteutus(hakutiedot=[{"hakuOid": "x", "hakutapa": {"koodiUri": "hakutapa_03"}, "hakukohteet": [target]}])

    (item,) = items(body(found))

    assert isinstance(item, Draft)
    assert item.offering.enrolment == Enrolment(opens=date(2026, 12, 1), continuous=True)


def test_an_open_window_is_told_rather_than_a_past_or_future_one() -> None:
    windows = [
        {"alkaa": "2026-01-01T08:00", "paattyy": "2026-02-01T15:00"},
        {"alkaa": "2026-11-01T08:00", "paattyy": "2026-12-01T15:00"},
        {"alkaa": "2027-03-01T08:00", "paattyy": "2027-04-01T15:00"},
    ]

    (item,) = items(body(toteutus(), TARGET | {"kaytetaanHaunAikataulua": False, "hakuajat": windows}))

    assert isinstance(item, Draft)
    assert item.offering.enrolment.closes == date(2026, 12, 1)


def test_unpublished_hakukohteet_open_no_door() -> None:
    (item,) = items(body(toteutus(), TARGET | {"tila": "arkistoitu"}, ROUND))

    assert isinstance(item, Draft)
    assert item.offering.enrolment == Enrolment()


def test_a_record_with_nothing_but_its_name_is_enough() -> None:
    (item,) = items(body({"oid": OID, "tila": "julkaistu", "nimi": {"sv": "Kurs"}, "koulutustyyppi": "muu"}))

    assert isinstance(item, Draft)
    assert item.offering.names == {"sv": "Kurs"}


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"nimi": {"fi": "<br>"}, "koulutusOid": None, "koulutustyyppi": "amm"}, "nimi", "name-required"),
        ({"koulutustyyppi": "avaruus"}, "koulutustyyppi", "kind-unknown"),
        ({"oid": "1.2.246.562.17."}, None, None),
        ({"metadata": {"opetus": {"maksunMaara": "1e99999"}}}, "maksunMaara", "price-form"),
        ({"metadata": {"hakuaika": {"alkaa": "pian"}}}, "hakuajat.alkaa", "date-form"),
        ({"metadata": {"kuvaus": {"fi": "Soita 131052-308T"}}}, "description.fi", "identity-code"),
    ],
)
def test_a_broken_record_is_refused_with_field_and_rule(
    fields: dict[str, Any], field: str | None, rule: str | None
) -> None:
    found = items(body(toteutus(**fields), COURSE, toteutus(oid=f"{OID}2")))

    if rule is not None:
        assert isinstance(found[0], Refusal)
        assert (found[0].row, found[0].field, found[0].rule) == (1, field, rule)
    assert isinstance(found[1], Draft)


def test_a_broken_line_is_refused_and_the_rest_goes_on() -> None:
    lines = [json.dumps(toteutus()), '{"oid": ', json.dumps(toteutus(oid=f"{OID}2"))]

    found = items("\n".join(lines).encode())

    assert [type(item) for item in found] == [Draft, Refusal, Draft]


def test_json_that_breaks_off_is_cut_there() -> None:
    found = items(body(toteutus(), toteutus(oid=f"{OID}2"))[:-40])

    assert isinstance(found[0], Draft)
    assert found[1:] == [Refusal(2, None, "cut", "is no JSON, or breaks off", cut=True)]


def test_a_number_beyond_all_numbers_is_told_as_a_broken_file() -> None:
    with pytest.raises(Unreadable):
        items(b'[{"oid": 1e99999999999999999999}]')


def test_a_record_whose_address_would_hold_a_space_has_none() -> None:
    assert one(oid=f"{OID} 2").link is None


@pytest.mark.parametrize("text", ["<a ", "<a b=", "<a b='", "<!--", "<a", "<![CDATA[", "<script>", "&#", "</"])
def test_html_that_never_ends_takes_no_longer_than_its_length(text: str) -> None:
    started = time.process_time()

    found = one(metadata={"kuvaus": {"fi": f"Verstaalla. {text * 40_000}"}})

    assert found.description["fi"].startswith("Verstaalla.")
    assert time.process_time() - started < 2


def test_what_is_no_json_at_all_gets_one_sentence() -> None:
    with pytest.raises(Unreadable, match="expected JSON of Kouta"):
        items(b"hello")
    with pytest.raises(Unreadable, match="expected JSON of Kouta"):
        items(b"")


def test_records_of_other_kinds_are_named() -> None:
    found = items(body({"id": 1}))

    assert isinstance(found[0], Refusal)
    assert found[0].rule == "unknown-record"


def test_real_dumps_are_read(data: Path) -> None:
    found = items(data / "opintopolku")

    assert Counter(type(item) for item in found) == {Draft: 9, Gone: 3}
    drafts = [item.offering for item in found if isinstance(item, Draft)]
    assert Counter(str(one.kind) for one in drafts) == {
        "amm": 5,
        "muu": 1,
        "tuva": 1,
        "vapaa-sivistystyo-osaamismerkki": 1,
        "yo": 1,
    }
    for one in drafts:
        assert OfferingRead().load(OfferingPublished().dump(one)) == one


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("julkaistu"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["oid", "nimi", "fi", "metadata", "opetus", "koodiUri", "hakutiedot", "hakukohteet", "hakuajat", "alkaa",
         "tarjoajat", "paikkakunta", "asiasanat", "arvo", "kieli", "aloituspaikat", "lukumaara", "opetustapa"]
    ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


names = st.sampled_from([*toteutus(), "hakutiedot", "tarjoajat", "koulutustyyppi"])


@settings(deadline=None)
@given(st.dictionaries(names, json_values))
def test_whatever_the_fields_hold_a_record_is_a_draft_or_is_refused(fields: dict[str, Any]) -> None:
    for item in items(body(toteutus(**fields | {"oid": OID}))):
        assert isinstance(item, Draft | Gone | Refusal)
