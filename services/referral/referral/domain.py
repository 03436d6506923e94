"""The rules of the closed loop: a client is referred, somebody answers, and the outcome is known.

Codes are those of HL7 FHIR Task as the Gravity SDOH Clinical Care guide constrains them; reasons and journey steps are
domain.md's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import cache

from chassis.decision import Invalid, Network, NotYours, Refused, Unknown, personal


class Status(StrEnum):
    """Where a referral stands."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    REJECTED = "rejected"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered-in-error"


class Reason(StrEnum):
    """Why a referral was rejected, cancelled, put on hold or failed: a closed list."""

    NO_CAPACITY = "no-capacity"
    NOT_ELIGIBLE = "not-eligible"
    COULD_NOT_CONTACT = "could-not-contact"
    CLIENT_DECLINED = "client-declined"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    NO_ANSWER = "no-answer"
    FOUND_WORK = "found-work"
    HEALTH = "health"
    OTHER_STUDY = "other-study"
    NO_SHOW = "no-show"
    OFFERING_CANCELLED = "offering-cancelled"
    DUPLICATE = "duplicate"
    OTHER = "other"


class BusinessStatus(StrEnum):
    """The client's journey, as the receiver sees it."""

    SEARCHING = "searching"
    NEEDS_CLIENT_ACTION = "needs-client-action"
    APPLYING = "applying"
    EXAM_COACHING = "exam-coaching"
    WAITLISTED = "waitlisted"
    ENROLLED = "enrolled"
    NOT_ENROLLED = "not-enrolled"
    STARTED = "started"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"
    FOLLOWED_UP = "followed-up"


class Result(StrEnum):
    """How a goal ended (FHIR Goal achievement status)."""

    ACHIEVED = "achieved"
    PARTIALLY_ACHIEVED = "partially-achieved"
    NOT_ACHIEVED = "not-achieved"


class Capacity(StrEnum):
    """Whether there is room."""

    CAPACITY = "capacity"
    WAITLIST = "waitlist"
    NO_CAPACITY = "no-capacity"
    ADDITIONAL_ASSESSMENT = "additional-assessment-required"


class Party(StrEnum):
    """The two sides of a referral."""

    SENDER = "sender"
    RECEIVER = "receiver"


class ReasonRequired(Invalid):
    """A rejection, cancellation, hold or failure says why."""


class OutcomeRequired(Invalid):
    """A completion says how each goal ended."""


class OutcomeUnclear(Invalid):
    """A completion says of one goal twice how it ended."""


class StatusContradicted(Invalid):
    """An event's status is not the one that its verb says."""


class ClientRequired(Invalid):
    """A referral is about a client, whom the event's ``correlationid`` names."""


class NotAllowed(Refused):
    """The referral's state does not lead there."""


class NotAddressable(Invalid):
    """The receiver is nobody whom network.toml lets this organisation address."""


class OfferingOfAnother(Invalid):
    """The offering belongs to another organisation than the receiver."""


class EarlierUnknown(Invalid):
    """What a referral is said to follow is no referral of the same client."""


class PlanMissing(Refused):
    """There is no plan of this client yet, and a referral says the plan's goal and confirmed skills."""


class NowhereLeft(Refused):
    """No further suggestion of another organisation is left."""


class ReferralUnknown(Unknown):
    """There is no such referral here."""


class QuestionUnknown(Unknown):
    """There is no such question about capacity here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One transition.

    Attributes:
        to: The state that it leads to.
        since: The states that it starts from.
        by: Who may make it.
        needs_reason: Whether it says why.
    """

    to: Status
    since: frozenset[Status]
    by: frozenset[Party]
    needs_reason: bool = False


_UNDER_WAY = frozenset({Status.ACCEPTED, Status.IN_PROGRESS, Status.ON_HOLD})
_OPEN = _UNDER_WAY | {Status.REQUESTED}
_SENDER, _RECEIVER = frozenset({Party.SENDER}), frozenset({Party.RECEIVER})

MOVES: Mapping[str, Move] = {
    "accepted": Move(to=Status.ACCEPTED, since=frozenset({Status.REQUESTED}), by=_RECEIVER),
    "rejected": Move(to=Status.REJECTED, since=frozenset({Status.REQUESTED}), by=_RECEIVER, needs_reason=True),
    "started": Move(to=Status.IN_PROGRESS, since=frozenset({Status.ACCEPTED}), by=_RECEIVER),
    "held": Move(
        to=Status.ON_HOLD, since=frozenset({Status.ACCEPTED, Status.IN_PROGRESS}), by=_RECEIVER, needs_reason=True
    ),
    "resumed": Move(to=Status.IN_PROGRESS, since=frozenset({Status.ON_HOLD}), by=_RECEIVER),
    "completed": Move(to=Status.COMPLETED, since=_UNDER_WAY, by=_RECEIVER),
    "failed": Move(to=Status.FAILED, since=_UNDER_WAY, by=_RECEIVER, needs_reason=True),
    "cancelled": Move(to=Status.CANCELLED, since=_OPEN, by=_SENDER | _RECEIVER, needs_reason=True),
    "corrected": Move(to=Status.ENTERED_IN_ERROR, since=frozenset(Status) - {Status.ENTERED_IN_ERROR}, by=_SENDER),
}
"""Event verb → transition (domain.md, Referral)."""

ENDS = frozenset(Status) - _OPEN
_CAME_TO_NOTHING = frozenset({Status.REJECTED, Status.CANCELLED, Status.ENTERED_IN_ERROR})

STANDS: Mapping[Status, str] = {
    Status.REQUESTED: "requested",
    Status.ACCEPTED: "accepted",
    Status.IN_PROGRESS: "started",
    Status.ON_HOLD: "held",
    Status.REJECTED: "rejected",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
    Status.ENTERED_IN_ERROR: "corrected",
}
"""State → the verb that says how a referral stands."""

BEFORE_ENROLMENT = frozenset(
    {
        BusinessStatus.SEARCHING,
        BusinessStatus.NEEDS_CLIENT_ACTION,
        BusinessStatus.APPLYING,
        BusinessStatus.EXAM_COACHING,
    }
)
"""Steps of the journey that the sender's coach may set as well (domain.md, Referral)."""


@cache
def reachable(status: Status, party: Party) -> frozenset[Status]:
    """The states that one side's own moves lead to from a state, itself included."""
    found = {status}
    moves = [move for move in MOVES.values() if party in move.by]
    while steps := {move.to for move in moves if move.since & found} - found:
        found |= steps
    return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A skill that the client confirmed; level 1 to 5."""

    skill: str
    labels: Mapping[str, str] = field(default_factory=dict)
    level: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the client aims at: an ESCO occupation with its labels, or none yet."""

    occupation: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one goal ended."""

    goal: str
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """The person behind the reference, as disclosed after acceptance."""

    given: str
    family: str
    email: str | None = None
    phone: str | None = None
    language: str = "fi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A referral that this one follows, and who its receiver was."""

    id: str
    receiver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """An offering that fits a plan."""

    offering: str
    provider: str
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """One referral, as one side knows it.

    Attributes:
        id: Made by its sender; the same on both sides.
        sender: Organisation that refers.
        receiver: Organisation that is to take the client on.
        client: The client's reference in this organisation.
        offering: Id of the offering.
        offering_names: Language → its name.
        goal: What the client aims at.
        language: The client's language.
        confirmed_skills: What the client can do.
        sender_staff: Staff id of who is responsible at the sender.
        receiver_staff: The same at the receiver, once known.
        status: Where it stands.
        ended_by: Organisation that set the end state, once there is one.
        business_status: The client's journey.
        reason: Why, where the state needs a reason.
        reason_text: The same in words; kept at the two parties.
        outcomes: How each goal ended.
        based_on: Earlier referrals of the same path.
        note: What the sender tells the receiver.
        rerouted_to: Id of the referral that took its place.
        next: Suggestion to go on with, after it expired.
        contact: The person, at the receiver after disclosure.
    """

    id: str
    sender: str
    receiver: str
    client: str
    offering: str
    offering_names: Mapping[str, str] = field(default_factory=dict)
    goal: Goal = Goal()
    language: str = "fi"
    confirmed_skills: tuple[Skill, ...] = ()
    sender_staff: str | None = None
    receiver_staff: str | None = None
    status: Status = Status.REQUESTED
    ended_by: str | None = None
    business_status: BusinessStatus | None = None
    reason: Reason | None = None
    reason_text: str | None = None
    outcomes: tuple[Outcome, ...] = ()
    based_on: tuple[Earlier, ...] = ()
    note: str | None = None
    rerouted_to: str | None = None
    next: Suggestion | None = None
    contact: Contact | None = personal(default=None)  # noqa: RUF009 - makes a field, as dataclasses.field does

    def party(self, organisation: str) -> Party:
        """Which side an organisation is.

        Raises:
            NotYours: It is neither.
        """
        if organisation == self.sender:
            return Party.SENDER
        if organisation == self.receiver:
            return Party.RECEIVER
        raise NotYours(f"referral: {organisation} is neither its sender nor its receiver")

    def moved(self, verb: str, said: Said, *, by: str) -> Referral:
        """The referral after a transition that `by` makes here.

        Raises:
            NotYours: `by` may not make it.
            NotAllowed: The state does not lead there.
            ReasonRequired: It says no reason and must.
            OutcomeRequired: It is completed without an outcome for each goal.
        """
        move = self._permitted(verb, by)
        if self.status not in move.since:
            raise self._not_allowed(move)
        return self._to(move, said, by)

    def heard(self, verb: str, said: Said, *, by: str) -> Referral | None:
        """The referral after the other side has said a transition; None where it lost a race across the wire.

        Who carries the whole state says how the referral stands there; a step that this has overtaken on the way was
        part of it and needs no message of its own.

        Raises:
            NotYours: The speaker may not make it.
            NotAllowed: The state does not lead there, and no race explains it.
            StatusContradicted: It carries another status than its verb says.
            ReasonRequired: It says no reason and must.
            OutcomeRequired: It is completed without an outcome for each goal.
        """
        move = self._permitted(verb, by)
        if said.status not in (None, move.to):
            raise StatusContradicted(f"status: must be {move.to} with referral.{verb}", field="status")
        if self._loses(move, by):
            return None
        whole = said.status is not None and move.to in reachable(self.status, self.party(by))
        if not whole and self.status not in move.since and not self._overruled(move, by):
            raise self._not_allowed(move)
        return self._to(move, said, by)

    def progressed(self, step: BusinessStatus, *, by: str) -> Referral:
        """The referral after `by` has told a step of the client's journey here.

        Raises:
            NotAllowed: It came to nothing, or the step is the receiver's to tell.
        """
        if self.status in _CAME_TO_NOTHING:
            raise NotAllowed(f"status: a referral that is {self.status} has no further steps", field="status")
        shared = BEFORE_ENROLMENT | {None}
        if self.party(by) is Party.SENDER and not {step, self.business_status} <= shared:
            steps = ", ".join(sorted(BEFORE_ENROLMENT))
            raise NotAllowed(f"businessStatus: the sender tells only {steps}, before enrolment", field="businessStatus")
        return replace(self, business_status=step)

    def heard_progress(self, said: Said, *, by: str) -> Referral | None:
        """The referral after the receiver has told a step; None where this side knows that it came to nothing.

        Raises:
            NotYours: The speaker is not the receiver.
            NotAllowed: It carries a state that this one does not lead to.
        """
        if self.party(by) is not Party.RECEIVER:
            raise NotYours("referral.progressed: only the receiver may say this")
        if said.status not in (None, Status.REQUESTED, self.status):
            return self.heard(STANDS[said.status], said, by=by)
        if self.status in _CAME_TO_NOTHING:
            return None
        return replace(self, business_status=said.business_status)

    def _permitted(self, verb: str, by: str) -> Move:
        move = MOVES[verb]
        if self.party(by) not in move.by:
            raise NotYours(f"referral.{verb}: only the {' or the '.join(sorted(move.by))} may say this")
        return move

    def _not_allowed(self, move: Move) -> NotAllowed:
        return NotAllowed(f"status: {self.status} does not lead to {move.to}", field="status")

    def _loses(self, move: Move, by: str) -> bool:
        """Whether what the other side says gives way to what stands here.

        The race ends the same on both sides: ``entered-in-error`` beats everything; then a receiver's end state beats
        the sender's; otherwise ``cancelled`` wins (domain.md, Referral).
        """
        if self.status is Status.ENTERED_IN_ERROR:
            return True
        if move.to is Status.ENTERED_IN_ERROR or self.status not in ENDS:
            return False
        if self.ended_by == self.sender and by == self.receiver:
            return move.to not in ENDS
        return self.ended_by == self.receiver and by == self.sender

    def _overruled(self, move: Move, by: str) -> bool:
        """Whether an end that the sender set gives way to one that the receiver says."""
        return self.status in ENDS and self.ended_by == self.sender and by == self.receiver and move.to in ENDS

    def _to(self, move: Move, said: Said, by: str) -> Referral:
        if move.needs_reason and said.reason is None:
            raise ReasonRequired(f"reason: must be given for {move.to}, one of {', '.join(Reason)}", field="reason")
        if move.to is Status.COMPLETED:
            self._require_outcomes(said)
        # The journey and who sees to it are the receiver's word, whoever moves the referral.
        theirs = said if by == self.receiver else Said()
        return replace(
            self,
            status=move.to,
            ended_by=by if move.to in ENDS else None,
            reason=said.reason if move.needs_reason else None,
            reason_text=said.reason_text if move.needs_reason else None,
            outcomes=said.outcomes if move.to is Status.COMPLETED else (),
            business_status=theirs.business_status or self.business_status,
            receiver_staff=theirs.staff or self.receiver_staff,
            next=None,
            # Who was referred by mistake is nobody's business any more.
            contact=None if move.to is Status.ENTERED_IN_ERROR else self.contact,
        )

    def _require_outcomes(self, said: Said) -> None:
        told = [outcome.goal for outcome in said.outcomes]
        if not told or (self.goal.occupation and self.goal.occupation not in told):
            rule = f"must say how each goal of the referral ended: its goal, with one of {', '.join(Result)}"
            raise OutcomeRequired(f"outcomes: {rule}", field="outcomes")
        if len(set(told)) != len(told):
            raise OutcomeUnclear("outcomes: must name each goal once", field="outcomes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What somebody says with a transition.

    Attributes:
        reason: Why.
        reason_text: The same in words.
        outcomes: How each goal ended.
        business_status: The client's journey.
        staff: Staff id of who is responsible at the receiver.
        status: How the referral stands there, of an event that carries the whole state; guests' need not.
    """

    reason: Reason | None = None
    reason_text: str | None = None
    outcomes: tuple[Outcome, ...] = ()
    business_status: BusinessStatus | None = None
    staff: str | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What a home's referrals of one client say and choose from.

    Attributes:
        goal: The plan's goal.
        language: The client's language.
        confirmed_skills: The plan's confirmed skills.
        coach: Staff id of the client's coach.
        plan_version: The plan's version; 0 before there is one.
        suggestions: Offerings that fit, the best first.
    """

    goal: Goal = Goal()
    language: str = "fi"
    confirmed_skills: tuple[Skill, ...] = ()
    coach: str | None = None
    plan_version: int = 0
    suggestions: tuple[Suggestion, ...] = ()

    def names_of(self, offering: str) -> Mapping[str, str]:
        """Names of a suggested offering; none where it was not suggested."""
        return next((s.names for s in self.suggestions if s.offering == offering), {})

    def next_after(self, tried: Sequence[str]) -> Suggestion | None:
        """The best suggestion of an organisation that was not tried."""
        return next((s for s in self.suggestions if s.provider not in tried), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether there is room on an offering; asked and answered without any client data.

    Attributes:
        asker: Organisation that asks.
        receiver: Organisation that is asked.
        offering: Id of the offering.
        starts: When the client could start, or None.
        answer: The answer, once there is one.
        date: The date that belongs to the answer, or None.
    """

    asker: str
    receiver: str
    offering: str
    starts: date | None = None
    answer: Capacity | None = None
    date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is known of a referral by those that follow it."""

    client: str
    receiver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """The view that every decision of this service gets.

    Attributes:
        network: Who is in the network.
        journeys: Client → plan and suggestions.
        made: ``<sender>/<id>`` → a referral that is known here.
    """

    network: Network
    journeys: Mapping[str, Journey] = field(default_factory=dict)
    made: Mapping[str, Made] = field(default_factory=dict)


def addressable(network: Network, own: str, receiver: str) -> str:
    """The receiver, where this organisation may address it.

    Raises:
        NotAddressable: It may not, or is itself.
    """
    if receiver == own or receiver not in network.destinations(own):
        rule = f"must be an organisation that network.toml lets {own} address, and not {own} itself"
        raise NotAddressable(f"receiver: {rule}", field="receiver")
    return receiver


def offered_by(receiver: str, offering: str) -> str:
    """The offering, where it is the receiver's own.

    Raises:
        OfferingOfAnother: Its id (``<provider>.<id at the provider>``) names another provider.
    """
    if offering.partition(".")[0] != receiver:
        rule = f"must be one of the receiver's own, whose ids begin with '{receiver}.'"
        raise OfferingOfAnother(f"offering: {rule}", field="offering")
    return offering


def earlier(reads: Reads, client: str, sender: str, identifiers: Sequence[str]) -> tuple[Earlier, ...]:
    """The referrals that a new one follows.

    Raises:
        EarlierUnknown: One is no referral that this sender made for this client.
    """
    found = [(identifier, reads.made.get(f"{sender}/{identifier}")) for identifier in identifiers]
    if any(made is None or made.client != client for _, made in found):
        raise EarlierUnknown("basedOn: must hold ids of earlier referrals of the same client only", field="basedOn")
    return tuple(Earlier(id=identifier, receiver=made.receiver) for identifier, made in found if made)
