"""Reasons in words that a client can read, in Finnish, Swedish and English."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from catalogue import places
from catalogue.plans import Reason

SENTENCES: Mapping[str, Mapping[str, str]] = {
    "covers": {
        "fi": "Kattaa puuttuvan taidon: {skill}",
        "sv": "Ger en färdighet som du saknar: {skill}",
        "en": "Teaches a skill that you are missing: {skill}",
    },
    "speaks-of": {
        "fi": "Sisältö liittyy puuttuvaan taitoon: {skill}",
        "sv": "Innehållet har att göra med en färdighet som du saknar: {skill}",
        "en": "Its content has to do with a skill that you are missing: {skill}",
    },
    "covers-more": {
        "fi": "Liittyy lisäksi muihin puuttuviin taitoihin: {count}",
        "sv": "Gäller dessutom andra färdigheter som du saknar: {count}",
        "en": "Also touches other skills that you are missing: {count}",
    },
    "near": {"fi": "Lähellä: {place}", "sv": "Nära dig: {place}", "en": "Near you: {place}"},
    "in-region": {
        "fi": "Omassa maakunnassa: {place}",
        "sv": "I ditt landskap: {place}",
        "en": "In your region: {place}",
    },
    "far": {
        "fi": "Kaukana toivotusta paikasta: {place}",
        "sv": "Långt från den plats du önskat: {place}",
        "en": "Far from where you wish to study: {place}",
    },
    "online": {"fi": "Voit opiskella etänä", "sv": "Du kan studera på distans", "en": "You can study online"},
    "mode-fits": {
        "fi": "Opiskelutapa sopii toiveeseesi: {values}",
        "sv": "Studieformen motsvarar din önskan: {values}",
        "en": "The way of studying is as you wish: {values}",
    },
    "other-mode": {
        "fi": "Opiskelutapa on eri kuin toivoit: {values}",
        "sv": "Studieformen är en annan än du önskat: {values}",
        "en": "The way of studying is not the one that you wish for: {values}",
    },
    "time-fits": {
        "fi": "Opetusaika sopii toiveeseesi: {values}",
        "sv": "Studietiden motsvarar din önskan: {values}",
        "en": "The time of study is as you wish: {values}",
    },
    "other-time": {
        "fi": "Opetusaika on eri kuin toivoit: {values}",
        "sv": "Studietiden är en annan än du önskat: {values}",
        "en": "The time of study is not the one that you wish for: {values}",
    },
    "language-fits": {
        "fi": "Opetuskieli: {languages}",
        "sv": "Undervisningsspråk: {languages}",
        "en": "Language of teaching: {languages}",
    },
    "other-language": {
        "fi": "Opetuskieli on eri kuin toivoit: {languages}",
        "sv": "Undervisningsspråket är ett annat än du önskat: {languages}",
        "en": "The language of teaching is not the one that you wish for: {languages}",
    },
    "free": {"fi": "Maksuton", "sv": "Avgiftsfri", "en": "Free of charge"},
    "price": {"fi": "Hinta {price}", "sv": "Pris {price}", "en": "Price {price}"},
    "within-price": {
        "fi": "Hinta {price} on toiveesi rajoissa",
        "sv": "Priset {price} ryms inom din gräns",
        "en": "The price of {price} is within your limit",
    },
    "over-price": {
        "fi": "Hinta {price} ylittää toiveesi",
        "sv": "Priset {price} är över din gräns",
        "en": "The price of {price} is above your limit",
    },
    "starts": {"fi": "Alkaa {date}", "sv": "Börjar {date}", "en": "Begins on {date}"},
    "starts-in-time": {
        "fi": "Alkaa toivomaasi aikaan, {date}",
        "sv": "Börjar i tid för dig, {date}",
        "en": "Begins in time for you, on {date}",
    },
    "starts-late": {
        "fi": "Alkaa myöhemmin kuin toivoit, {date}",
        "sv": "Börjar senare än du önskat, {date}",
        "en": "Begins later than you wish, on {date}",
    },
    "flexible-start": {
        "fi": "Voit aloittaa joustavasti",
        "sv": "Du kan börja när det passar dig",
        "en": "You can begin when it suits you",
    },
    "enrolment-until": {
        "fi": "Ilmoittautuminen auki {date} asti",
        "sv": "Anmälan är öppen till {date}",
        "en": "Enrolment is open until {date}",
    },
    "enrolment-from": {
        "fi": "Ilmoittautuminen alkaa {date}",
        "sv": "Anmälan öppnar {date}",
        "en": "Enrolment opens on {date}",
    },
    "enrolment-continuous": {
        "fi": "Jatkuva ilmoittautuminen",
        "sv": "Fortlöpande anmälan",
        "en": "You can enrol at any time",
    },
    "ask-enrolment": {
        "fi": "Kysy ilmoittautumisesta oppilaitoksesta",
        "sv": "Fråga läroanstalten om anmälan",
        "en": "Ask the school about enrolment",
    },
    "qualification": {
        "fi": "Vie tutkintoon tai kestää koko lukuvuoden",
        "sv": "Leder till en examen eller varar ett helt läsår",
        "en": "Leads to a qualification or lasts a whole school year",
    },
    "short": {
        "fi": "Lyhyt kokonaisuus, jonka voi suorittaa työn ohessa",
        "sv": "En kort helhet som går att kombinera med arbete",
        "en": "Short enough to be combined with work",
    },
    "needs-first": {
        "fi": "Edellyttää ensin muuta osaamista{what}",
        "sv": "Kräver först annat kunnande{what}",
        "en": "Requires other skills first{what}",
    },
}
"""Code of a reason → language → sentence."""

VALUES: Mapping[str, Mapping[str, str]] = {
    "on-site": {"fi": "lähiopetus", "sv": "närundervisning", "en": "on site"},
    "online": {"fi": "etäopetus", "sv": "distansundervisning", "en": "online"},
    "blended": {"fi": "monimuoto-opetus", "sv": "flerformsundervisning", "en": "blended"},
    "day": {"fi": "päivällä", "sv": "på dagtid", "en": "in the daytime"},
    "evening": {"fi": "illalla", "sv": "på kvällen", "en": "in the evening"},
    "weekend": {"fi": "viikonloppuna", "sv": "på veckoslut", "en": "at weekends"},
}

TONGUES: Mapping[str, Mapping[str, str]] = {
    "fi": {"fi": "suomi", "sv": "finska", "en": "Finnish"},
    "sv": {"fi": "ruotsi", "sv": "svenska", "en": "Swedish"},
    "en": {"fi": "englanti", "sv": "engelska", "en": "English"},
}

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def worded(reason: Reason, language: str) -> str:
    """A reason as a sentence; a code that is not known (of a newer version, say) is shown as it is."""
    sentence = SENTENCES.get(reason.code, {}).get(language)
    return sentence.format_map(_Words(reason.parameters, language)) if sentence else reason.code


def date_in(day: date, language: str) -> str:
    """A day as people write it: 15.1.2027, in English 15 January 2027."""
    if language == "en":
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
    return f"{day.day}.{day.month}.{day.year}"


def euro_in(amount: Decimal, language: str) -> str:
    """An amount as people write it: 120 €, 12,50 €, in English €12.50."""
    text = f"{amount:.2f}".removesuffix(".00")
    return f"€{text}" if language == "en" else f"{text.replace('.', ',')} €"


class _Words(dict[str, str]):
    """What a sentence may name, worded when it is asked for."""

    def __init__(self, parameters: Mapping[str, Any], language: str) -> None:
        super().__init__()
        self._parameters = parameters
        self._language = language

    def __missing__(self, name: str) -> str:
        found, make = self._parameters, _MADE.get(name)
        return make(found, self._language) if make else str(found[name])


def _label(labels: Mapping[str, str], language: str) -> str:
    return labels.get(language) or labels.get("fi") or next(iter(labels.values()), "")


def _first_things(labels: list[Mapping[str, str]], language: str) -> str:
    named = ", ".join(_label(one, language) for one in labels)
    return f": {named}" if named else ""


def _listed(table: Mapping[str, Mapping[str, str]], values: list[str], language: str) -> str:
    return ", ".join(table.get(value, {}).get(language, value) for value in values)


_MADE: Mapping[str, Callable[[Mapping[str, Any], str], str]] = {
    "skill": lambda found, language: _label(found["labels"], language),
    "place": lambda found, language: places.name_of(found["municipality"], language),
    "date": lambda found, language: date_in(date.fromisoformat(found["date"]), language),
    "price": lambda found, language: euro_in(Decimal(found["price"]), language),
    "values": lambda found, language: _listed(VALUES, found["values"], language),
    "languages": lambda found, language: _listed(TONGUES, found["values"], language),
    "what": lambda found, language: _first_things(found["labels"], language),
}
"""What a sentence names → how it is worded from a reason's parameters."""
