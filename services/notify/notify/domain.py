"""Who hears of what: the directory of staff, and the notifications that carry a step into people's mail.

A notification is made of what happened (pseudonymous: references, codes, names of offerings) and of the staff ids that
it goes to. Names and addresses are looked up at the moment of sending and are kept nowhere else (domain.md, Privacy).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from chassis.decision import Invalid, Network, personal

STAFF_ID = r"[a-z]+-[a-z0-9-]{1,60}\Z"
"""A staff id: the organisation's code and what tells its people apart."""

LANGUAGES = ("fi", "sv", "en")
"""The languages of the region (domain.md, Languages)."""


class Duty(StrEnum):
    """What a member of staff is the organisation's contact for."""

    REFERRALS = "referrals"
    CLIENTS = "clients"
    TECHNICAL = "technical"


class Status(StrEnum):
    """How far a letter has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class NotAStaffId(Invalid):
    """What is to stand in the directory is no staff id."""


def checked_staff_id(text: str) -> str:
    """A staff id that is one.

    Raises:
        NotAStaffId: It is none; as it goes into logs and histories, it may not hold just anything.
    """
    if not re.match(STAFF_ID, text):
        raise NotAStaffId("id: must be a staff id such as kunta-12", field="id")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member of staff, as the directory knows them.

    Attributes:
        id: Staff id, pseudonymous: the only thing about a person that travels on the bus.
        name: Name, as in the mail's address.
        email: Address that mails go to.
        language: fi, sv or en: the language of mails to them.
        duties: What they are the organisation's contact for.
        deputy: Staff id of whoever stands in for them.
        active: False for one who has left or is away: mails go to the deputy.
    """

    id: str
    name: str = personal()
    email: str = personal()
    language: str = "fi"
    duties: tuple[Duty, ...] = ()
    deputy: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What decisions may see of a `Person`: no name, no address."""

    id: str
    language: str
    duties: tuple[Duty, ...]
    deputy: str | None
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """The view that every decision of this service gets."""

    network: Network
    directory: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One notification to one person."""

    to: str
    status: Status = Status.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One step that some people are to hear of.

    Attributes:
        event: Name of the event that it tells of.
        template: Name of the template.
        client: The client's reference in this organisation, or None where it is about none.
        referral: Id of the referral, or None.
        parameters: What the template's text needs; codes and pseudonymous values only.
        letters: One for each person.
    """

    event: str
    template: str
    parameters: Mapping[str, object]
    letters: tuple[Letter, ...]
    client: str | None = None
    referral: str | None = None

    def settled(self, to: str, status: Status) -> Notification:
        """The notification after one letter was delivered or given up."""
        letters = tuple(replace(letter, status=status) if letter.to == to else letter for letter in self.letters)
        return replace(self, letters=letters)


def entry(person: Person) -> Entry:
    """What decisions may see of a person."""
    return Entry(
        id=person.id,
        language=person.language,
        duties=person.duties,
        deputy=person.deputy,
        active=person.active,
    )


def on_duty(directory: Mapping[str, Entry], duty: Duty) -> tuple[str, ...]:
    """Staff ids of those who are the contact for a duty, in a stable order."""
    return tuple(sorted(person.id for person in directory.values() if duty in person.duties and person.active))


def present(directory: Mapping[str, Entry], staff: str | None) -> str | None:
    """The person, or the first active deputy down the line; None where nobody is there."""
    seen: set[str] = set()
    while staff is not None and staff not in seen:
        seen.add(staff)
        person = directory.get(staff)
        if person is None or person.active:
            return person.id if person else None
        staff = person.deputy
    return None


def recipients(directory: Mapping[str, Entry], staff: str | None, duty: Duty) -> tuple[str, ...]:
    """Who gets a letter meant for `staff`: they or their deputy, else everybody with the duty."""
    named = present(directory, staff)
    return (named,) if named else on_duty(directory, duty)


def deputies(directory: Mapping[str, Entry], staff: str | None, duty: Duty) -> tuple[str, ...]:
    """Who hears when `staff` did not answer: their deputy, else everybody with the duty."""
    person = directory.get(staff) if staff else None
    return recipients(directory, person.deputy if person else None, duty)
