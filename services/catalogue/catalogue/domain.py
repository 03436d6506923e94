"""Offerings: what they are, whether they are open, and what an import changes. Plain data and functions.

Kinds are those that Opintopolku uses (formats.md, Offerings in); money is in euro; dates are Finnish days.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from chassis.decision import Network, NotYours, Unknown

LANGUAGES = ("fi", "sv", "en")
"""Languages of names, descriptions and keywords."""

FRESH_DAYS = 90
"""How long an offering counts as fresh after the import that saw it last."""

RENEW_DAYS = 45
"""An unchanged offering with less freshness left than this is published again, so that it does not go stale."""

TIMEZONE = ZoneInfo("Europe/Helsinki")


class OfferingUnknown(Unknown):
    """No offering with this id has been heard of."""


class NotTheProvider(NotYours):
    """An offering is its provider's to speak of."""


class Kind(StrEnum):
    """Kinds of studies, as Opintopolku names them."""

    AMM = "amm"
    AMM_UNIT = "amm-tutkinnon-osa"
    AMM_OTHER = "amm-muu"
    AMK = "amk"
    YO = "yo"
    COURSE = "kk-opintojakso"
    MODULE = "kk-opintokokonaisuus"
    LIBERAL = "vapaa-sivistystyo-muu"
    LIBERAL_YEAR = "vapaa-sivistystyo-opistovuosi"
    BADGE = "vapaa-sivistystyo-osaamismerkki"
    TUVA = "tuva"
    TELMA = "telma"
    OTHER = "muu"

    @property
    def is_degree(self) -> bool:
        """Whether it leads to a whole qualification or fills a school year."""
        return self in _WHOLE


_TAG = re.compile(r"<[a-zA-Z/!?]")
_WHOLE = frozenset({Kind.AMM, Kind.AMK, Kind.YO, Kind.LIBERAL_YEAR, Kind.TUVA, Kind.TELMA})


class Mode(StrEnum):
    """Where one studies."""

    ON_SITE = "on-site"
    ONLINE = "online"
    BLENDED = "blended"


class Time(StrEnum):
    """When one studies."""

    DAY = "day"
    EVENING = "evening"
    WEEKEND = "weekend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where it is: a municipality's three digits, and a name such as that of the house."""

    municipality: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """When one can enrol; a continuous enrolment needs no dates."""

    opens: date | None = None
    closes: date | None = None
    continuous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Credits:
    """How much it is, such as 5 and ``op``."""

    amount: Decimal
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which system it comes from, and its id there."""

    system: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """One offering, dated and placed.

    Attributes:
        provider: Code of the organisation that offers it.
        names: Language → name; one language is enough.
        kind: What kind of studies.
        fresh_until: After this day it is no longer suggested.
        description: Language → plain text.
        place: Where.
        modes: On site, online or both.
        times: Day, evening or weekend.
        languages: Languages of teaching, as two-letter codes.
        starts: First day.
        ends: Last day.
        enrolment: When one can enrol.
        price: Euro; 0 where it is free, None where nobody said.
        credits: How much it is.
        skills: URIs of the ESCO skills that it teaches.
        keywords: Language → words for what it teaches.
        capacity: Free places; 0 is full, None is unknown.
        link: Address of its page.
        requires: URIs of the ESCO skills that one needs before.
        origin: Where it comes from.
        withdrawn: No longer offered.
    """

    provider: str
    names: Mapping[str, str]
    kind: Kind
    fresh_until: date
    description: Mapping[str, str] = field(default_factory=dict)
    place: Place = Place()
    modes: tuple[Mode, ...] = ()
    times: tuple[Time, ...] = ()
    languages: tuple[str, ...] = ()
    starts: date | None = None
    ends: date | None = None
    enrolment: Enrolment = Enrolment()
    price: Decimal | None = None
    credits: Credits | None = None
    skills: tuple[str, ...] = ()
    keywords: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    capacity: int | None = None
    link: str | None = None
    requires: tuple[str, ...] = ()
    origin: Origin | None = None
    withdrawn: bool = False

    def name(self, language: str) -> str:
        """Its name in a language, else in another one."""
        return next((self.names[code] for code in (language, *LANGUAGES) if code in self.names), "")

    def is_open(self, today: date) -> bool:
        """Whether somebody can still get in (domain.md, Matching): not withdrawn, full, stale, over or too late."""
        if self.withdrawn or self.capacity == 0 or self.fresh_until < today:
            return False
        if self.ends is not None and self.ends < today:
            return False
        if self.enrolment.continuous:
            return True
        if self.enrolment.closes is not None:
            return self.enrolment.closes >= today
        return self.starts is None or self.starts >= today

    def fingerprint(self) -> str:
        """The same for the same offering, however fresh: what an import compares."""
        content = asdict(replace(self, fresh_until=date.min))
        text = json.dumps(content, sort_keys=True, default=str, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """State of the aggregate: an offering, and the URN of the system that said it."""

    offering: Offering
    source: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with an offering: a field, the rule's name, and the rule."""

    field: str
    rule: str
    message: str


def flaws(offering: Offering) -> Iterator[Flaw]:
    """The rules that an offering breaks; none for a good one."""
    if not any(offering.names.values()):
        yield Flaw("names", "name-required", "needs a name in at least one language")
    if offering.starts and offering.ends and offering.ends < offering.starts:
        yield Flaw("ends", "end-before-start", "must not be before the first day")
    opens, closes = offering.enrolment.opens, offering.enrolment.closes
    if opens and closes and closes < opens:
        yield Flaw("enrolment.closes", "end-before-start", "must not be before enrolment opens")
    yield from markup(offering)


def markup(offering: Offering) -> Iterator[Flaw]:
    """The texts that hold HTML: nobody who shows an offering should have to know whether it may be trusted."""
    texts = {
        "names": offering.names.values(),
        "description": offering.description.values(),
        "keywords": [word for words in offering.keywords.values() for word in words],
        "place.name": [offering.place.name or ""],
        "credits.unit": [offering.credits.unit] if offering.credits else [],
    }
    for where, found in texts.items():
        if any(_TAG.search(text) for text in found):
            yield Flaw(where, "plain-text", "must be plain text, without HTML")


def today_at(at: datetime) -> date:
    """The Finnish day of a moment."""
    return at.astimezone(TIMEZONE).date()


def fresh_from(at: datetime) -> date:
    """Until when an offering is fresh that was seen at a moment."""
    return today_at(at) + timedelta(days=FRESH_DAYS)


class Candidates(Protocol):
    """The index of offerings, as far as matching reads it (see `catalogue.index`)."""

    def open_by_skill(self, skill: str, today: date) -> Iterable[str]:
        """Ids of open offerings that name a skill."""

    def open_by_words(self, text: str, language: str, today: date) -> Iterable[tuple[str, float]]:
        """Ids of open offerings that hold (most of) a text's words, each with the share that they hold."""

    def __getitem__(self, identifier: str) -> Offering:
        """The offering, without its long texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What decisions read: who is in the network, and all offerings."""

    network: Network
    offerings: Candidates
