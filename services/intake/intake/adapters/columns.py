"""The columns of a coach's spreadsheet: their headings in three languages, and how a cell's text is understood."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from typing import Any

from chassis.identity import holds_identity_code
from email_validator import EmailNotValidError, validate_email

MAX_LINE = 300
MAX_WORDS = 8000


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
        headings: Finnish, Swedish, English.
        read: From a cell's text to a JSON value.
        required: Whether the sheet must have it and each row must fill it.
    """

    name: str
    headings: tuple[str, str, str]
    read: Callable[[str], Any]
    required: bool = False


def line(text: str) -> str:
    """A short text.

    Raises:
        Wrong: It is too long.
    """
    if len(text) > MAX_LINE:
        raise Wrong("too-long", f"is longer than {MAX_LINE} characters")
    return text


def words(text: str) -> str:
    """A long text.

    Raises:
        Wrong: It is too long.
    """
    if len(text) > MAX_WORDS:
        raise Wrong("too-long", f"is longer than {MAX_WORDS} characters")
    return text


def email(text: str) -> str:
    """A mail address.

    Raises:
        Wrong: It is none.
    """
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        raise Wrong("bad-address", "is not a mail address") from None


def day(text: str) -> str:
    """A date, as 2027-08-31 or 31.8.2027, in ISO form.

    Raises:
        Wrong: It is none.
    """
    finnish = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text)
    try:
        if finnish:
            return date(int(finnish[3]), int(finnish[2]), int(finnish[1])).isoformat()
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        raise Wrong("bad-date", "is not a date such as 31.8.2027 or 2027-08-31") from None


def price(text: str) -> str:
    """An amount in euro.

    Raises:
        Wrong: It is none.
    """
    try:
        amount = Decimal(re.sub(r"[\s€]", "", text).replace(",", "."))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= 1_000_000:  # noqa: PLR2004 - the schema's own range
        raise Wrong("bad-price", "is not an amount in euro such as 120 or 120,50")
    return str(amount)


def one_of(rule: str, known: Mapping[str, str]) -> Callable[[str], str]:
    """A reader of one word out of a list; the list holds each language's words."""

    def read(text: str) -> str:
        found = known.get(text.casefold().strip())
        if found is None:
            raise Wrong(rule, f"is none of {', '.join(sorted(set(known.values())))}")
        return found

    return read


def many_of(read: Callable[[str], str]) -> Callable[[str], list[str]]:
    """A reader of several words, with commas or semicolons between them."""

    def read_all(text: str) -> list[str]:
        return [read(part) for part in re.split(r"[,;/]", text) if part.strip()]

    return read_all


def municipality(text: str) -> str:
    """A municipality's code; merged ones become the one that they are part of now.

    Raises:
        Wrong: There is no such municipality.
    """
    found = _municipalities().get(text.casefold().strip())
    if found is None:
        raise Wrong("unknown-municipality", "is no municipality's Finnish or Swedish name or code of three digits")
    return found


def occupation(text: str) -> str:
    """An occupation's ESCO URI, from the URI itself or from its label in any of the three languages.

    Raises:
        Wrong: It is none that is known here.
    """
    if re.fullmatch(r"https?://data\.europa\.eu/esco/occupation/[0-9a-f-]{36}", text.strip()):
        return text.strip()
    found = _occupations().get(text.casefold().strip())
    if found is None:
        raise Wrong("unknown-occupation", "is neither an ESCO occupation's URI nor the name of one of the region's occupations")
    return found


def staff(text: str) -> str:
    """A staff id.

    Raises:
        Wrong: It is none.
    """
    if not re.fullmatch(r"[a-z]+-[a-z0-9-]{1,60}", text):
        raise Wrong("bad-staff-id", "is not a staff id such as kunta-12")
    return text


def checked(text: str) -> str:
    """A cell's text, free of what may stand in no cell.

    Raises:
        Wrong: It holds a personal identity code.
    """
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
    Column("caseNumber", ("asiakasnumero", "ärendenummer", "case number"), line, required=True),
    Column("given", ("etunimi", "förnamn", "given name"), line, required=True),
    Column("family", ("sukunimi", "efternamn", "family name"), line, required=True),
    Column("email", ("sähköposti", "e-post", "email"), email),
    Column("phone", ("puhelin", "telefon", "phone"), line),
    Column("address", ("osoite", "adress", "address"), line),
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
    Column("words", ("omin sanoin", "egna ord", "own words"), words),
    Column("priorLearning", ("aiempi osaaminen", "tidigare kunnande", "prior learning"), words),
    Column("consent.scope", ("suostumus", "samtycke", "consent"), many_of(one_of("unknown-consent", _SCOPES))),
    Column("consent.basis", ("peruste", "grund", "legal basis"), one_of("unknown-basis", _BASES)),
    Column("consent.given", ("suostumuspäivä", "samtyckesdatum", "consent date"), day),
    Column("nonDisclosure", ("turvakielto", "spärrmarkering", "non-disclosure"), _yes),
    Column("coach", ("omavalmentaja", "personlig handledare", "coach"), staff),
)

BY_HEADING: Mapping[str, Column] = {heading: column for column in COLUMNS for heading in column.headings}


def template(language: int = 0) -> list[str]:
    """Headings of the template: 0 Finnish, 1 Swedish, 2 English."""
    return [column.headings[language] for column in COLUMNS]


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
    return {row[language].casefold(): row["uri"] for row in _table("occupations.csv") for language in ("fi", "sv", "en")}


def _table(name: str) -> list[dict[str, str]]:
    text = resources.files("intake").joinpath("data", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
