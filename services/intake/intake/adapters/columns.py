"""The columns of a coach's spreadsheet: their headings in three languages, and how a cell's text is understood."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from email_validator import EmailNotValidError, validate_email

from chassis.identity import holds_identity_code
from intake.domain import LANGUAGES

MAX_CASE = 100
MAX_NAME = 200
MAX_LINE = 300
MAX_WORDS = 8000
MAX_LISTED = 20
"""Words of one list; the schema's own limits, told here with the column."""


class Wrong(ValueError):  # noqa: N818 - errors name the fact
    """A cell breaks a rule. The text says the rule and never the value.

    Attributes:
        rule: Name of the rule.
    """

    def __init__(self, rule: str, text: str) -> None:
        """Keep the rule's name beside its sentence."""
        super().__init__(text)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Where its value goes in the client's JSON; dots lead inwards.
        headings: One in each of `LANGUAGES`.
        read: From a cell's text to a JSON value.
        required: Whether the sheet must have it and each row must fill it.
        longest: Characters that a cell may have.
    """

    name: str
    headings: tuple[str, str, str]
    read: Callable[[str], Any]
    required: bool = False
    longest: int = MAX_LINE


def email(text: str) -> str:
    """A mail address.

    Raises:
        Wrong: It is none.
    """
    try:
        return validate_email(text, check_deliverability=False, allow_smtputf8=False).normalized
    except EmailNotValidError:
        raise Wrong("bad-address", "is not a mail address") from None


def day(text: str) -> str:
    """A date, as 2027-08-31 or 31.8.2027, in ISO form.

    Raises:
        Wrong: It is none.
    """
    finnish = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.((?:19|20)\d\d)", text)
    iso = re.fullmatch(r"((?:19|20)\d\d)-(\d\d)-(\d\d)", text)
    year, month, day_of_month = finnish.group(3, 2, 1) if finnish else iso.groups() if iso else ("0", "0", "0")
    try:
        return date(int(year), int(month), int(day_of_month)).isoformat()
    except ValueError:
        raise Wrong("bad-date", "is not a date such as 31.8.2027 or 2027-08-31") from None


def price(text: str) -> str:
    """An amount in euro.

    Raises:
        Wrong: It is none.
    """
    amount = re.sub(r"[\s€]", "", text).replace(",", ".")
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,2})?", amount):
        raise Wrong("bad-price", "is not an amount in euro such as 120 or 120,50")
    return amount


def one_of(rule: str, known: Mapping[str, str]) -> Callable[[str], str]:
    """A reader of one word out of a list; the list holds each language's words."""

    def read(text: str) -> str:
        found = known.get(text.casefold())
        if found is None:
            raise Wrong(rule, f"is none of {', '.join(sorted(set(known.values())))}")
        return found

    return read


def many_of(read: Callable[[str], str]) -> Callable[[str], list[str]]:
    """A reader of several words, with commas or semicolons between them."""

    def read_all(text: str) -> list[str]:
        parts = [part.strip() for part in re.split(r"[,;/\n]", text)]
        found = list(dict.fromkeys(read(part) for part in parts if part))
        if len(found) > MAX_LISTED:
            raise Wrong("too-many", f"names more than {MAX_LISTED}")
        return found

    return read_all


def municipality(text: str) -> str:
    """A municipality's code; merged ones become the one that they are part of now.

    Raises:
        Wrong: There is no such municipality.
    """
    # A spreadsheet takes the zeros before a number away.
    found = _municipalities().get(text.zfill(3) if text.isdigit() else text.casefold())
    if found is None:
        raise Wrong("unknown-municipality", "is no municipality's Finnish or Swedish name or code of three digits")
    return found


def occupation(text: str) -> str:
    """An occupation's ESCO URI, from the URI itself or from its label in any of the three languages.

    Raises:
        Wrong: It is none that is known here.
    """
    if re.fullmatch(r"http://data\.europa\.eu/esco/occupation/[0-9a-f-]{36}", text):
        return text
    found = _occupations().get(text.casefold())
    if found is None:
        rule = "is neither an ESCO occupation's URI nor the name of one of the region's occupations"
        raise Wrong("unknown-occupation", rule)
    return found


def staff(text: str) -> str:
    """A staff id.

    Raises:
        Wrong: It is none.
    """
    if not re.fullmatch(r"[a-z]+-[a-z0-9-]{1,60}", text):
        raise Wrong("bad-staff-id", "is not a staff id such as kunta-12")
    return text


def checked(text: str, longest: int) -> str:
    """A cell's text, free of what may stand in no cell.

    Raises:
        Wrong: It is too long, or holds a personal identity code.
    """
    if len(text) > longest:
        raise Wrong("too-long", f"is longer than {longest} characters")
    if holds_identity_code(text):
        raise Wrong("identity-code", "holds a personal identity code, which is never kept")
    return text


_LANGUAGES = {
    **dict.fromkeys(("fi", "suomi", "finska", "finnish"), "fi"),
    **dict.fromkeys(("sv", "ruotsi", "svenska", "swedish"), "sv"),
    **dict.fromkeys(("en", "englanti", "engelska", "english"), "en"),
}
_MODES = {
    **dict.fromkeys(("on-site", "lähi", "lähiopetus", "på plats", "närundervisning"), "on-site"),
    **dict.fromkeys(("online", "etä", "etäopetus", "verkko", "distans", "på distans"), "online"),
    **dict.fromkeys(("blended", "monimuoto", "flerform", "hybrid"), "blended"),
}
_TIMES = {
    **dict.fromkeys(("day", "päivä", "dag"), "day"),
    **dict.fromkeys(("evening", "ilta", "kväll"), "evening"),
    **dict.fromkeys(("weekend", "viikonloppu", "veckoslut"), "weekend"),
}
_EFFECTS = {
    **dict.fromkeys(("employed", "kokoaikatyö", "työ", "heltidsarbete", "arbete", "work"), "employed"),
    **dict.fromkeys(("part-time", "osa-aikatyö", "deltidsarbete"), "part-time"),
    **dict.fromkeys(("self-employed", "yrittäjyys", "företagande"), "self-employed"),
    **dict.fromkeys(("in-study", "opiskelu", "studier", "study"), "in-study"),
}
_SCOPES = {
    **dict.fromkeys(("assessment", "kartoitus", "kartläggning"), "assessment"),
    **dict.fromkeys(("referral", "ohjaus", "hänvisning"), "referral"),
    **dict.fromkeys(("disclosure", "yhteystiedot", "kontaktuppgifter", "contact"), "disclosure"),
}
_BASES = {
    **dict.fromkeys(("consent", "suostumus", "samtycke"), "consent"),
    **dict.fromkeys(("public-task", "julkinen tehtävä", "offentlig uppgift"), "public-task"),
    **dict.fromkeys(("legal-obligation", "lakisääteinen", "lagstadgad"), "legal-obligation"),
}
_YES = {
    **dict.fromkeys(("kyllä", "ja", "yes", "x", "1", "true"), "yes"),
    **dict.fromkeys(("ei", "nej", "no", "0", "false"), "no"),
}


def _yes(text: str) -> bool:
    return one_of("not-yes-or-no", _YES)(text) == "yes"


COLUMNS = (
    Column("caseNumber", ("asiakasnumero", "ärendenummer", "case number"), str, required=True, longest=MAX_CASE),
    Column("given", ("etunimi", "förnamn", "given name"), str, required=True, longest=MAX_NAME),
    Column("family", ("sukunimi", "efternamn", "family name"), str, required=True, longest=MAX_NAME),
    Column("email", ("sähköposti", "e-post", "email"), email),
    Column("phone", ("puhelin", "telefon", "phone"), str),
    Column("address", ("osoite", "adress", "address"), str),
    Column("language", ("kieli", "språk", "language"), one_of("unknown-language", _LANGUAGES), required=True),
    Column("municipality", ("kunta", "kommun", "municipality"), municipality, required=True),
    Column("goal.occupation", ("tavoiteammatti", "målyrke", "goal occupation"), occupation),
    Column("wishes.places", ("opiskelupaikat", "studieorter", "study places"), many_of(municipality)),
    Column("wishes.modes", ("toteutustapa", "studieform", "mode"), many_of(one_of("unknown-mode", _MODES))),
    Column("wishes.times", ("ajankohta", "tidpunkt", "time of day"), many_of(one_of("unknown-time", _TIMES))),
    Column(
        "wishes.languages",
        ("opetuskieli", "undervisningsspråk", "teaching language"),
        many_of(one_of("unknown-language", _LANGUAGES)),
    ),
    Column("wishes.maxPrice", ("enimmäishinta", "högsta pris", "maximum price"), price),
    Column("wishes.startsBy", ("aloitus viimeistään", "start senast", "starts by"), day),
    Column(
        "wishes.employmentEffect",
        ("työllisyystavoite", "sysselsättningsmål", "employment aim"),
        one_of("unknown-aim", _EFFECTS),
    ),
    Column("words", ("omin sanoin", "egna ord", "own words"), str, longest=MAX_WORDS),
    Column("priorLearning", ("aiempi osaaminen", "tidigare kunnande", "prior learning"), str, longest=MAX_WORDS),
    Column("consent.scope", ("suostumus", "samtycke", "consent"), many_of(one_of("unknown-consent", _SCOPES))),
    Column("consent.basis", ("peruste", "grund", "legal basis"), one_of("unknown-basis", _BASES)),
    Column("consent.given", ("suostumuspäivä", "samtyckesdatum", "consent date"), day),
    Column("nonDisclosure", ("turvakielto", "spärrmarkering", "non-disclosure"), _yes),
    Column("coach", ("omavalmentaja", "personlig handledare", "coach"), staff),
)

BY_NAME: Mapping[str, Column] = {column.name: column for column in COLUMNS}
BY_HEADING: Mapping[str, Column] = {heading: column for column in COLUMNS for heading in column.headings}


def template(language: str) -> list[str]:
    """Headings of the template in a language; in Finnish, where it is none of the three."""
    place = LANGUAGES.index(language) if language in LANGUAGES else 0
    return [column.headings[place] for column in COLUMNS]


@cache
def _municipalities() -> Mapping[str, str]:
    known: dict[str, str] = {}
    for row in _table("municipalities.csv"):
        code = row["now"] or row["code"]
        for name in (row["fi"], row["sv"], row["code"]):
            # A name that a municipality has now stands before one that another had once.
            if name and (not row["now"] or name.casefold() not in known):
                known[name.casefold()] = code
    return known


@cache
def _occupations() -> Mapping[str, str]:
    return {
        row[language].casefold(): row["uri"] for row in _table("occupations.csv") for language in ("fi", "sv", "en")
    }


def _table(name: str) -> list[dict[str, str]]:
    text = resources.files("intake").joinpath("data", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
