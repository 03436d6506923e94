"""The rules of intake: who a client is, what they want, what they consent to, and what may leave about them.

Ids travel on the bus, persons do not. What is personal here is encrypted with a key of the client's own; it leaves
sealed, for one organisation, after acceptance, within consent or a stored legal basis (domain.md, Privacy).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from chassis.decision import Invalid, Network, Refused, Unknown, personal

LANGUAGES = ("fi", "sv", "en")
KEEP_DAYS = 730
"""Days for which a person is kept after the last thing that happened: two years, as long as a plan is followed."""

MAX_ANSWERED = 300
"""Skills that a client has answered to at the most, so that the event stays well under 64 KiB."""

MAX_TOLD_BYTES = 40_000
"""Bytes of the client's own words as JSON: sealed they grow by a third, and an event has 64 KiB at the most."""


class Scope(StrEnum):
    """What a client consents to."""

    ASSESSMENT = "assessment"
    REFERRAL = "referral"
    DISCLOSURE = "disclosure"


class Basis(StrEnum):
    """The legal basis of keeping the person (GDPR, article 6)."""

    CONSENT = "consent"
    PUBLIC_TASK = "public-task"
    LEGAL_OBLIGATION = "legal-obligation"


class Mode(StrEnum):
    """How somebody wants to study."""

    ON_SITE = "on-site"
    ONLINE = "online"
    BLENDED = "blended"


class TimeOfDay(StrEnum):
    """When somebody wants to study."""

    DAY = "day"
    EVENING = "evening"
    WEEKEND = "weekend"


class Effect(StrEnum):
    """The employment effect that is aimed at (domain.md, Referral)."""

    EMPLOYED = "employed"
    PART_TIME = "part-time"
    SELF_EMPLOYED = "self-employed"
    IN_STUDY = "in-study"


class ClientUnknown(Unknown):
    """There is no such client here."""


class NotASheet(Invalid):
    """A file that was sent to be imported cannot be taken as a spreadsheet."""


class NotProposed(Invalid):
    """Only what was proposed can be confirmed or rejected; anything else is added."""


class AnsweredTwice(Invalid):
    """One skill stands in two lists of an answer."""


class TooManySkills(Invalid):
    """More skills are answered to than one event can carry."""


class TooManyWords(Invalid):
    """The client's own words are longer than one event can carry."""


class NoAssessor(Refused):
    """network.toml names nobody who assesses for this home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Where, how and when somebody wants to study; what is empty is left open.

    Attributes:
        places: Codes of municipalities.
        modes: How.
        times: When.
        languages: fi, sv, en.
        max_price: In euro, or None.
        starts_by: The latest start, or None.
        employment_effect: What it should lead to, or None.
    """

    places: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = ()
    times: tuple[TimeOfDay, ...] = ()
    languages: tuple[str, ...] = ()
    max_price: Decimal | None = None
    starts_by: date | None = None
    employment_effect: Effect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What is consented to, on which basis, since when."""

    scope: tuple[Scope, ...] = ()
    basis: Basis = Basis.CONSENT
    given: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """An ESCO occupation, or a field of education (ISCED-F code), or neither yet."""

    occupation: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where in the client's words something was found: characters from the beginning, and how many."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A skill that the words may mean.

    Attributes:
        skill: ESCO URI.
        labels: Language → label.
        score: 0 to 1.
        through: ESCO URI of the occupation that it was found through, or None.
        evidence: The words that led to it.
    """

    skill: str
    labels: dict[str, str] = field(default_factory=dict)
    score: float = 0
    through: str | None = None
    evidence: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A skill and how well somebody knows it, 1 to 5."""

    skill: str
    level: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the client said to the proposals."""

    confirmed: tuple[Level, ...] = ()
    rejected: tuple[str, ...] = ()
    added: tuple[Level, ...] = ()

    def skills(self) -> list[str]:
        """Every skill that it names."""
        return [level.skill for level in (*self.confirmed, *self.added)] + list(self.rejected)

    def followed_by(self, later: Answer) -> Answer:
        """Both together; what the later one says of a skill stands."""
        again = set(later.skills())
        return Answer(
            confirmed=(*(c for c in self.confirmed if c.skill not in again), *later.confirmed),
            rejected=(*(r for r in self.rejected if r not in again), *later.rejected),
            added=(*(a for a in self.added if a.skill not in again), *later.added),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client and the person behind the reference.

    Attributes:
        case_number: The coach's own number of the case.
        given: Given names.
        family: Family name.
        email: Address, or None.
        phone: Number, or None.
        address: Street address, or None.
        words: Own words, or None.
        prior_learning: Earlier studies and certificates in free text, or None.
        language: fi, sv or en.
        municipality: Code.
        goal: What the client aims at.
        wishes: Where, how and when to study.
        consent: What is consented to.
        consent_changed: True once the client has changed it here, so that an older sheet cannot bring it back.
        non_disclosure: Order of non-disclosure for safety: municipality and contact leave for nobody. None where
            nobody has said whether there is one.
        coach: Staff id of the coach, or None.
        keep_until: Until when the person is kept.
        proposals: Skills that the words may mean.
        answer: What the client said to them.
        plan_version: Version of the plan; 0 before there is one.
        disclosed: Ids of the referrals that the person was disclosed for.
    """

    case_number: str = personal()
    given: str = personal()
    family: str = personal()
    email: str | None = personal(default=None)
    phone: str | None = personal(default=None)
    address: str | None = personal(default=None)
    words: str | None = personal(default=None)
    prior_learning: str | None = personal(default=None)
    language: str = "fi"
    municipality: str | None = personal(default=None)
    goal: Goal = Goal()
    wishes: Wishes = Wishes()
    consent: Consent = Consent()
    consent_changed: bool = False
    non_disclosure: bool | None = None
    coach: str | None = None
    keep_until: date | None = None
    proposals: tuple[Proposal, ...] = ()
    answer: Answer = Answer()
    plan_version: int = 0
    disclosed: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """How far the client has come: registered, proposed, answered or planned."""
        if self.plan_version:
            return "planned"
        if self.answer.skills():
            return "answered"
        return "proposed" if self.proposals else "registered"

    @property
    def told_words(self) -> str:
        """All that the client has told in own words, as it is sent to the assessor; proposals point into it."""
        return "\n".join(text for text in (self.words, self.prior_learning) if text)

    @property
    def open_municipality(self) -> str | None:
        """The municipality, where it may be known outside."""
        return None if self.non_disclosure else self.municipality

    def allows(self, scope: Scope) -> bool:
        """Whether something may be done: by consent, or on a basis that needs none."""
        return scope in self.consent.scope or self.consent.basis is not Basis.CONSENT

    def checked(self) -> Client:
        """The client, if what is to be sent of them fits into events.

        Raises:
            TooManyWords: The own words do not.
        """
        if len(json.dumps(self.told_words, ensure_ascii=False).encode()) > MAX_TOLD_BYTES:
            raise TooManyWords(f"words: are longer than {MAX_TOLD_BYTES} bytes; shorten them", field="words")
        return self

    def updated(self, given: Client) -> Client:
        """What is known already, with what a second import or referral says of the person.

        An order of non-disclosure stands until somebody says that there is none, and a consent that the client
        changed here stands until a later one is given.
        """
        reworded = given.told_words != self.told_words
        newer = (given.consent.given or date.min) > (self.consent.given or date.min)
        stands = self.consent_changed and not newer
        return replace(
            given,
            consent=self.consent if stands else given.consent,
            consent_changed=stands,
            non_disclosure=self.non_disclosure if given.non_disclosure is None else given.non_disclosure,
            keep_until=self.keep_until,
            # Proposals point into the words that they were found in.
            proposals=() if reworded else self.proposals,
            answer=self.answer,
            plan_version=self.plan_version,
            disclosed=self.disclosed,
        )

    def consenting(self, consent: Consent) -> Client:
        """The client after they changed what they consent to."""
        return replace(self, consent=consent, consent_changed=True)

    def kept_from(self, day: date) -> Client:
        """The client, kept for `KEEP_DAYS` from a day on."""
        return replace(self, keep_until=day + timedelta(days=KEEP_DAYS))

    def answered(self, answer: Answer) -> Client:
        """The client after an answer.

        Raises:
            AnsweredTwice: A skill stands in two of its lists.
            NotProposed: It confirms or rejects what was not proposed.
            TooManySkills: There are too many, with those that were answered to before.
        """
        _once(answer.skills())
        known = {proposal.skill for proposal in self.proposals} | set(self.answer.skills())
        _proposed([level.skill for level in answer.confirmed], known, "confirmed")
        _proposed(answer.rejected, known, "rejected")
        together = self.answer.followed_by(answer)
        if len(together.skills()) > MAX_ANSWERED:
            raise TooManySkills(f"added: a client has {MAX_ANSWERED} skills at the most", field="added")
        return replace(self, answer=together)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """The view that every decision of this service gets."""

    network: Network


def assessor(network: Network, home: str) -> str:
    """The organisation that assesses for a home.

    Raises:
        NoAssessor: Nobody does.
    """
    found = network.organisations[home].assessor
    if found is None:
        raise NoAssessor(f"assessor: network.toml names nobody who assesses for {home}", field="assessor")
    return found


def _once(skills: Sequence[str]) -> None:
    twice = next((place for place, skill in enumerate(skills) if skill in skills[:place]), None)
    if twice is not None:
        raise AnsweredTwice("skill: stands twice in the answer; confirm, reject or add it once", field="skill")


def _proposed(skills: Iterable[str], known: set[str], where: str) -> None:
    if any(skill not in known for skill in skills):
        raise NotProposed(f"{where}: names a skill that was not proposed; put it under added", field=where)
