"""What all forms share: from a row's fields to a draft, or to a refusal that names field and rule."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from catalogue import places
from catalogue.adapters.plain import clipped, plain
from catalogue.domain import LANGUAGES, TIMEZONE, Offering, Origin, flaws, fresh_from
from catalogue.imports import Draft, Gone, Item, Refusal
from chassis.decision import Invalid
from chassis.identity import find_identity_code

NAME_CHARACTERS = 300
DESCRIPTION_CHARACTERS = 2000
WORD_CHARACTERS = 100
MAX_KEYWORDS = 30
MAX_SKILLS = 50
MAX_PRICE = Decimal(100_000)
MAX_CREDITS = Decimal(1000)
MAX_PLACES = 100_000
CENT = Decimal("0.01")

ABROAD = frozenset({"198", "199", "200", "999"})
"""Codes of the national code set that stand for no municipality: unknown, abroad, without a fixed one."""

_CODE = re.compile(r"\w[\w.\-]{0,119}\Z")
_LINK = re.compile(r"https?://[\w.\-]{1,200}(:\d{1,5})?([/?#][^\s<>\"]{0,300})?\Z")
_SKILL = re.compile(r"https?://data\.europa\.eu/esco/skill/[0-9a-zA-Z.\-]{1,60}\Z")


class Unreadable(Invalid):
    """A whole source is not of its form; the text says what was expected."""


class Broken(ValueError):  # noqa: N818 - errors name the fact
    """A row breaks a rule.

    Attributes:
        field: The field or heading, or None.
        rule: The rule's name.
    """

    def __init__(self, field: str | None, rule: str, message: str) -> None:
        """Keep all three; the message never holds the value."""
        super().__init__(message)
        self.field = field
        self.rule = rule

    def refusal(self, row: int, identifier: str | None = None) -> Refusal:
        """As the report has it."""
        return Refusal(row, self.field, self.rule, str(self), identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where drafts of one import are made.

    Attributes:
        provider: Code of the organisation.
        system: Name of the form, as the offerings' origin has it.
        at: When the import is read.
    """

    provider: str
    system: str
    at: datetime

    def item(self, row: int, code: object, build: Callable[[], Mapping[str, Any] | None], field: str) -> Item:
        """Make one row's item.

        Args:
            row: Its number.
            code: Its id in the system that it comes from.
            build: Gives the offering's fields, or None where it is no longer offered; raises `Broken`.
            field: Name of the field that holds the code.
        """
        identifier = None
        try:
            external = external_id(code, field)
            identifier = f"{self.provider}.{external}"
            fields = build()
            return Gone(row, identifier) if fields is None else self._draft(row, identifier, external, fields)
        except Broken as broken:
            return broken.refusal(row, identifier)

    def _draft(self, row: int, identifier: str, external: str, fields: Mapping[str, Any]) -> Draft:
        offering = Offering(
            provider=self.provider,
            fresh_until=fresh_from(self.at),
            origin=Origin(system=self.system, id=external),
            **fields,
        )
        for flaw in flaws(offering):
            raise Broken(flaw.field, flaw.rule, flaw.message)
        texts = {"names": offering.names, "description": offering.description, "keywords": offering.keywords}
        where = find_identity_code({**texts, "place": offering.place.name or ""})
        if where is not None:
            raise Broken(where, "identity-code", "holds a personal identity code; remove it")
        return Draft(row, identifier, offering)


def external_id(code: object, field: str) -> str:
    """An id in another system, as part of an offering's id; spaces become hyphens.

    Raises:
        Broken: It is missing, or holds other characters than letters, digits, dot, hyphen and underscore.
    """
    text = "-".join(unicodedata.normalize("NFC", str(code if code is not None else "")).split())
    if not text:
        raise Broken(field, "code-required", "needs a code that stays the same from import to import")
    if not _CODE.match(text):
        raise Broken(field, "code-form", "may hold letters, digits, dots, hyphens and underscores, 120 at the most")
    return text


def texts(found: object, most: int, field: str | None = None) -> dict[str, str]:
    """Texts by language, plain and bounded; those that are empty or in other languages are left out.

    Args:
        found: ``{fi, sv, en}``, a text (Finnish), or nothing.
        most: Characters of each at the most.
        field: Given where a longer text is an error; otherwise it is cut.

    Raises:
        Broken: A text is too long for `field`.
    """
    by_language: Mapping[str, object] = found if isinstance(found, Mapping) else {"fi": found}
    made: dict[str, str] = {}
    for language in LANGUAGES:
        text = by_language.get(language)
        made_plain = plain(text) if isinstance(text, str) else ""
        if field is not None and len(made_plain) > most:
            raise Broken(field, "too-long", f"may have {most} characters at the most")
        if made_plain:
            made[language] = clipped(made_plain, most)
    return made


def names(found: object, field: str) -> dict[str, str]:
    """Names by language.

    Raises:
        Broken: There is none, or one is too long.
    """
    made = {language: " ".join(name.split()) for language, name in texts(found, NAME_CHARACTERS, field).items()}
    if not made:
        raise Broken(field, "name-required", "needs a name in at least one of fi, sv, en")
    return made


def words(found: Iterable[object]) -> tuple[str, ...]:
    """Keywords: plain, short, each once."""
    made = (" ".join(plain(word).split()) for word in found if isinstance(word, str))
    return tuple(dict.fromkeys(word for word in made if 0 < len(word) <= WORD_CHARACTERS))[:MAX_KEYWORDS]


def day(value: object, field: str) -> date | None:
    """A Finnish day of a date, or of a moment with or without offset; None for nothing.

    Raises:
        Broken: It is no date.
    """
    if value is None or value == "":
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise Broken(field, "date-form", "must be a date such as 2027-01-15") from None
    return (moment.astimezone(TIMEZONE) if moment.tzinfo else moment).date()


def price(value: object, field: str) -> Decimal | None:
    """Euro with cents; None for nothing.

    Raises:
        Broken: It is no amount from 0 to 100,000.
    """
    amount = _number(value, MAX_PRICE, field, "price-form", "must be an amount in euro such as 120 or 99,50")
    return None if amount is None else amount.quantize(CENT)


def load(value: object, field: str) -> Decimal | None:
    """How much a study is, without needless zeros; None for nothing.

    Raises:
        Broken: It is no number from 0 to 1,000.
    """
    amount = _number(value, MAX_CREDITS, field, "credits-form", "must be a number from 0 to 1000")
    return None if amount is None else Decimal(f"{amount.quantize(CENT).normalize():f}")


def capacity(value: object, field: str) -> int | None:
    """Free places; None for nothing.

    Raises:
        Broken: It is no whole number of places.
    """
    rule = "must be a whole number of places"
    amount = _number(value, Decimal(MAX_PLACES), field, "capacity-form", rule)
    if amount is not None and amount != amount.to_integral_value():
        raise Broken(field, "capacity-form", rule)
    return None if amount is None else int(amount)


def _number(value: object, most: Decimal, field: str, rule: str, message: str) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        amount = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    # The comparison also refuses what is no number, and comes before anything that a huge exponent could blow up.
    if amount.is_nan() or not 0 <= amount <= most:
        raise Broken(field, rule, message)
    return amount


def municipality(code: str | None, field: str) -> str | None:
    """Today's code of a municipality, merged ones included; None for nothing and for abroad.

    Raises:
        Broken: There is no such municipality.
    """
    if not code or code in ABROAD:
        return None
    found = places.municipality(code)
    if found is None:
        raise Broken(field, "municipality-unknown", "is no Finnish municipality")
    return found.code


def link(*candidates: object) -> str | None:
    """The first usable web address among some."""
    return next((one for one in candidates if isinstance(one, str) and _LINK.match(one)), None)


def is_skill(text: str) -> bool:
    """Whether a text is the URI of an ESCO skill."""
    return bool(_SKILL.match(text))


def skills(found: Iterable[str]) -> tuple[str, ...]:
    """URIs of ESCO skills, each once."""
    return tuple(dict.fromkeys(one for one in found if is_skill(one)))[:MAX_SKILLS]
