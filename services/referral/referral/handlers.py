"""The closed loop, message by message.

A referral is made by its sender, answered by its receiver, and stands on both sides under the same id. Each side
decides alone; what they say to each other crosses on the wire, and the rules of domain.py end every race the same on
both. What the sender's side has applied it also says to its own organisation, whose people and intake go by that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chassis.decision import Contract, Decision, Handlers, Message, NotYours, Publish, Tell, anyone, own
from referral import events, schemas
from referral.domain import (
    ENDS,
    STANDS,
    ClientRequired,
    Earlier,
    Journey,
    NotAllowed,
    NowhereLeft,
    PlanMissing,
    Question,
    QuestionUnknown,
    Reads,
    Reason,
    Referral,
    ReferralUnknown,
    Said,
    Status,
    Suggestion,
    addressable,
    earlier,
    offered_by,
)
from referral.workdays import working_days_later

on = Handlers("referral")
referrals = on.aggregate("referral", Referral, view=schemas.ReferralView)
journeys = on.aggregate("journey", Journey, view=schemas.JourneyView)
questions = on.aggregate("capacity", Question, view=schemas.QuestionView)

REMIND, ESCALATE, EXPIRE = "remind", "escalate", "expire"
UNANSWERED = (REMIND, ESCALATE, EXPIRE)


# ── whose it is ──────────────────────────────────────────────────────────────────────────────────────────────────────


def by_sender_and_id(message: Message) -> str:
    """A referral's key: its sender and its id. A guest's answer need not say the sender: it is who was answered.

    What this side has said to its own organisation comes by here too. Its state holds that already, so that it names
    no referral: nothing is written for it.
    """
    if own_copy(message):
        return f"own-copy/{message.id}"
    return f"{message.data['sender'] or message.own}/{message.subject}"


def by_path(message: Message) -> str:
    """The referral that a command's path names."""
    return f"{message.path['sender']}/{message.path['id']}"


def by_referral_told(message: Message) -> str:
    """The referral that an event about a client names in its data."""
    return f"{message.data['sender']}/{message.data['referral']}"


def sender(referral: Referral | None, message: Message) -> bool:
    """Only the organisation that refers; of a new referral, the one that it names."""
    return message.organisation == (referral.sender if referral else message.data["sender"])


def receiver(referral: Referral | None, message: Message) -> bool:
    """Only the organisation that was asked."""
    return referral is None or message.organisation == referral.receiver


def either(referral: Referral | None, message: Message) -> bool:
    """Either side."""
    return referral is None or message.organisation in (referral.sender, referral.receiver)


def own_copy(message: Message) -> bool:
    """Whether this is what the own side has said to its own organisation: people read it, this service knows it."""
    return message.organisation == message.own


# ── the sender refers ────────────────────────────────────────────────────────────────────────────────────────────────


@referrals.command("request", schemas.RequestBody, key=lambda message: f"{message.own}/{message.ids.new()}")
def request_referral(_none: Referral | None, message: Message, reads: Reads) -> Decision[Referral]:
    """A coach refers a client whose plan is known to an organisation that may be addressed."""
    body = message.data
    return _requested(
        message,
        reads,
        identifier=message.ids.new(),
        client=body["client"],
        target=Suggestion(offering=body["offering"], provider=body["receiver"], names=body["offering_names"]),
        staff=body["responsible"] or message.person,
        note=body["note"],
        based_on=earlier(reads, body["client"], message.own, body["based_on"]),
    )


@referrals.command("reroute", schemas.RerouteBody, key=by_path)
def reroute_referral(referral: Referral | None, message: Message, reads: Reads) -> Decision[Referral]:
    """A referral that came to nothing goes to the next organisation in one step, with its history."""
    referral = _known(referral)
    if message.own != referral.sender:
        raise NotYours("reroute: only the sender may re-route a referral")
    if referral.status not in (Status.REJECTED, Status.CANCELLED, Status.FAILED) or referral.rerouted_to:
        raise NotAllowed("status: only a rejected, cancelled or failed referral is re-routed, and once", field="status")
    following = message.ids.new()
    target = _next(referral, message, reads)
    told = {
        "client": referral.client,
        "offering": offered_by(target.provider, target.offering),
        "offering_names": target.names,
        "receiver": addressable(reads.network, message.own, target.provider),
        "responsible": message.data["responsible"] or referral.sender_staff,
        "note": referral.note,
        "based_on": [{"id": e.id, "receiver": e.receiver} for e in _path(referral)],
    }
    return Decision(
        state=replace(referral, rerouted_to=following),
        tell=[Tell("referral.rerouted", f"{referral.sender}/{following}", told)],
    )


@referrals.told("referral.rerouted", schemas.ReroutedTold)
def request_next(_none: Referral | None, message: Message, reads: Reads) -> Decision[Referral]:
    """The referral that takes a re-routed one's place."""
    told = message.data
    return _requested(
        message,
        reads,
        identifier=message.subject.partition("/")[2],
        client=told["client"],
        target=Suggestion(offering=told["offering"], provider=told["receiver"], names=told["offering_names"]),
        staff=told["responsible"],
        note=told["note"],
        based_on=tuple(Earlier(**one) for one in told["based_on"]),
    )


# ── the receiver hears of it ─────────────────────────────────────────────────────────────────────────────────────────


@referrals.event("referral.requested", schemas.ReferralRequested, said_by=sender, key=by_sender_and_id)
def receive_referral(referral: Referral | None, message: Message, _reads: Reads) -> Decision[Referral]:
    """A client is referred to this organisation; whoever has the duty hears of it through notify."""
    if own_copy(message):
        return Decision()
    if referral is not None:
        raise NotAllowed("subject: this referral is known here already", field="subject")
    return Decision(state=_received(message, Status.REQUESTED))


@referrals.event("client.disclosed", schemas.ClientDisclosed, said_by=sender, key=by_referral_told, sealed=True)
def receive_contact(referral: Referral | None, message: Message, _reads: Reads) -> Decision[Referral]:
    """Name and contact of an accepted client come, sealed for this organisation, and are kept encrypted."""
    referral = _known(referral)
    if referral.status in ENDS:
        # It ended while the contact was on its way: nobody here needs it any more.
        return Decision(state=referral, superseded=True)
    if referral.status is Status.REQUESTED:
        raise NotAllowed("status: a person is disclosed only for a referral that is accepted here", field="status")
    return Decision(state=replace(referral, contact=message.data["contact"]))


# ── each side moves it ───────────────────────────────────────────────────────────────────────────────────────────────

COMMANDS = {
    "accept": "accepted",
    "reject": "rejected",
    "start": "started",
    "hold": "held",
    "resume": "resumed",
    "complete": "completed",
    "fail": "failed",
    "cancel": "cancelled",
    "correct": "corrected",
}
"""Command → the verb of the event that says it."""

SAID_BY = {"cancelled": either, "corrected": sender}
"""Who says a verb on the wire; the receiver where it is not named."""


def move_referral(referral: Referral | None, message: Message, _reads: Reads) -> Decision[Referral]:
    """Somebody here moves a referral; the other side hears of it, and at the sender its own people do."""
    verb, said = COMMANDS[message.name], message.data
    if verb == "accepted":
        # Who takes the client on is responsible for them, unless somebody else is named.
        said = replace(said, staff=said.staff or message.person)
    moved = _known(referral).moved(verb, said, by=message.own)
    return Decision(state=moved, publish=_say(verb, moved, message.own), clear=UNANSWERED, reason=moved.reason)


def hear_move(referral: Referral | None, message: Message, _reads: Reads) -> Decision[Referral]:
    """The other side has moved it; where that lost a race, the state stays and the people here hear how it stands."""
    if own_copy(message):
        return Decision()
    verb = message.name.partition(".")[2]
    if referral is None:
        return Decision(state=_overtaken(message))
    return _heard(referral, referral.heard(verb, _said(message), by=message.organisation), verb, message.own)


for _command, _verb in COMMANDS.items():
    referrals.command(_command, schemas.MoveBody, key=by_path)(move_referral)
    referrals.event(
        f"referral.{_verb}", schemas.ReferralSaid, said_by=SAID_BY.get(_verb, receiver), key=by_sender_and_id
    )(hear_move)


@referrals.command("progress", schemas.ProgressBody, key=by_path)
def progress_referral(referral: Referral | None, message: Message, _reads: Reads) -> Decision[Referral]:
    """The receiver tells a step of the client's journey; before enrolment the sender's coach notes one at home."""
    progressed = _known(referral).progressed(message.data["business_status"], by=message.own)
    if message.own == progressed.sender:
        return Decision(state=progressed, publish=_own_copy("progressed", progressed))
    return Decision(state=progressed, publish=_say("progressed", progressed, message.own))


@referrals.event("referral.progressed", schemas.ReferralProgressed, said_by=receiver, key=by_sender_and_id)
def hear_progress(referral: Referral | None, message: Message, _reads: Reads) -> Decision[Referral]:
    """The receiver has told a step of the journey."""
    if own_copy(message):
        return Decision()
    referral = _known(referral)
    heard = referral.heard_progress(_said(message), by=message.organisation)
    return _heard(referral, heard, "progressed", message.own)


# ── nobody answers ───────────────────────────────────────────────────────────────────────────────────────────────────


@referrals.timer(REMIND)
def remind_receiver(referral: Referral, message: Message, _reads: Reads) -> Decision[Referral]:
    """No answer after some working days: the receiver is reminded."""
    return Decision(state=referral, publish=_say("reminded", referral, message.own))


@referrals.timer(ESCALATE)
def escalate_referral(referral: Referral, message: Message, _reads: Reads) -> Decision[Referral]:
    """Still no answer: the receiver's deputy and the sender's coach hear of it."""
    return Decision(state=referral, publish=_say("escalated", referral, message.own))


@referrals.timer(EXPIRE)
def expire_referral(referral: Referral, message: Message, reads: Reads) -> Decision[Referral]:
    """Nobody ever answered: the sender calls it off, and the coach hears where the client can go on."""
    expired = referral.moved("cancelled", Said(reason=Reason.NO_ANSWER), by=message.own)
    journey = reads.journeys.get(referral.client, Journey())
    expired = replace(expired, next=journey.next_after([e.receiver for e in _path(referral)]))
    return Decision(state=expired, publish=_say("cancelled", expired, message.own), reason=Reason.NO_ANSWER)


# ── what a home's referrals say and choose from ──────────────────────────────────────────────────────────────────────


def note_plan(journey: Journey | None, message: Message, reads: Reads) -> Decision[Journey]:
    """The plan that referrals of this client will say: goal, language, confirmed skills."""
    if message.organisation != reads.network.organisations[message.own].assessor:
        raise NotYours(f"{message.name}: {message.organisation} does not assess for {message.own}")
    plan = message.data
    return Decision(
        state=replace(
            journey or Journey(),
            goal=plan["goal"] or Journey().goal,
            language=plan["language"],
            confirmed_skills=tuple(plan["confirmed"]),
            coach=plan["coach"],
            plan_version=plan["plan_version"],
        )
    )


for _name in ("plan.published", "plan.revised"):
    journeys.event(_name, schemas.PlanPublished, said_by=anyone)(note_plan)


@journeys.event("match.suggested", schemas.MatchSuggested, said_by=own)
def note_suggestions(journey: Journey | None, message: Message, _reads: Reads) -> Decision[Journey]:
    """Where the client can be referred to."""
    return Decision(state=replace(journey or Journey(), suggestions=tuple(message.data["suggestions"])))


# ── is there room? ───────────────────────────────────────────────────────────────────────────────────────────────────


@questions.command("ask-capacity", schemas.QuestionBody, key=lambda message: f"{message.own}/{message.ids.new()}")
def ask_capacity(_none: Question | None, message: Message, reads: Reads) -> Decision[Question]:
    """Before any name is sent: is there room? No client data at all."""
    asked = addressable(reads.network, message.own, message.data["receiver"])
    offering = offered_by(asked, message.data["offering"])
    question = Question(asker=message.own, receiver=asked, offering=offering, starts=message.data["starts"])
    event = Publish(events.CapacityAsked, to=asked, data=question, subject=message.ids.new())
    return Decision(state=question, publish=[event])


@questions.event(
    "capacity.asked",
    schemas.CapacityAsked,
    said_by=anyone,
    key=lambda message: f"{message.organisation}/{message.subject}",
)
def receive_question(question: Question | None, message: Message, _reads: Reads) -> Decision[Question]:
    """Another organisation asks this one."""
    asked = message.data
    fresh = Question(
        asker=message.organisation, receiver=message.own, offering=asked["offering"], starts=asked["starts"]
    )
    return Decision(state=question or fresh)


@questions.command(
    "answer-capacity", schemas.AnswerBody, key=lambda message: f"{message.path['asker']}/{message.path['id']}"
)
def answer_capacity(question: Question | None, message: Message, _reads: Reads) -> Decision[Question]:
    """This organisation answers."""
    if question is None or question.receiver != message.own:
        raise QuestionUnknown("id: no such question was put to this organisation", field="id")
    answered = replace(question, answer=message.data["answer"], date=message.data["date"])
    event = Publish(events.CapacityAnswered, to=question.asker, data=answered, subject=message.path["id"])
    return Decision(state=answered, publish=[event])


@questions.event(
    "capacity.answered",
    schemas.CapacityAnswered,
    said_by=lambda question, message: question is None or message.organisation == question.receiver,
    key=lambda message: f"{message.own}/{message.subject}",
)
def hear_answer(question: Question | None, message: Message, _reads: Reads) -> Decision[Question]:
    """The one who was asked has answered."""
    if question is None:
        raise QuestionUnknown("subject: this organisation has asked no such question", field="subject")
    return Decision(state=replace(question, answer=message.data["answer"], date=message.data["date"]))


# ── in short ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_SAYING = (
    events.ReferralRequested,
    events.ReferralAccepted,
    events.ReferralRejected,
    events.ReferralStarted,
    events.ReferralHeld,
    events.ReferralResumed,
    events.ReferralCompleted,
    events.ReferralFailed,
    events.ReferralCancelled,
    events.ReferralCorrected,
    events.ReferralProgressed,
    events.ReferralReminded,
    events.ReferralEscalated,
)


def _verb_of(event: type) -> str:
    contract: Contract = vars(event)["contract"]
    return contract.name.partition(".")[2]


EVENTS = {_verb_of(event): event for event in _SAYING}
"""Verb → the event that says it."""


def _requested(  # noqa: PLR0913 - a referral is made of these
    message: Message,
    reads: Reads,
    *,
    identifier: str,
    client: str,
    target: Suggestion,
    staff: str | None,
    note: str | None,
    based_on: tuple[Earlier, ...] = (),
) -> Decision[Referral]:
    journey = reads.journeys.get(client)
    if journey is None or not journey.plan_version:
        rule = "must have a plan; a referral says the plan's goal and confirmed skills"
        raise PlanMissing(f"client: {rule}", field="client")
    referral = Referral(
        id=identifier,
        sender=message.own,
        receiver=addressable(reads.network, message.own, target.provider),
        client=client,
        offering=offered_by(target.provider, target.offering),
        offering_names=target.names or journey.names_of(target.offering),
        goal=journey.goal,
        language=journey.language,
        confirmed_skills=journey.confirmed_skills,
        sender_staff=staff or journey.coach,
        based_on=based_on,
        note=note,
    )
    limits = reads.network.organisations[message.own]
    return Decision(
        state=referral,
        publish=_say("requested", referral, message.own),
        timers={
            REMIND: working_days_later(message.at, limits.remind_working_days),
            ESCALATE: working_days_later(message.at, limits.escalate_working_days),
            EXPIRE: working_days_later(message.at, limits.expire_working_days),
        },
    )


def _say(verb: str, referral: Referral, by: str) -> list[Publish]:
    """What one side says: to the other and, where it is the sender, to its own organisation."""
    other = referral.receiver if by == referral.sender else referral.sender
    to = [other, by] if by == referral.sender else [other]
    return [_event(verb, referral, destination) for destination in to]


def _own_copy(verb: str, referral: Referral) -> list[Publish]:
    return [_event(verb, referral, referral.sender)]


def _event(verb: str, referral: Referral, to: str) -> Publish:
    data = events.state_of(referral, to)
    return Publish(EVENTS[verb], to=to, data=data, subject=referral.id, correlation=referral.client)


def _heard(before: Referral, after: Referral | None, verb: str, own: str) -> Decision[Referral]:
    if after is None:
        # Both people are told of a lost race: here how it stands, and the other side by what stands here.
        return Decision(state=before, publish=[_event(STANDS[before.status], before, own)], superseded=True)
    if before.status is Status.REQUESTED and after.status not in {Status.REQUESTED, *ENDS}:
        # Where a later step overtook the acceptance, the own organisation hears of that first: intake waits for it.
        verb = "accepted"
    told = _own_copy(verb, after) if own == after.sender else []
    answered = UNANSWERED if after.status is not Status.REQUESTED else ()
    return Decision(state=after, publish=told, clear=answered, reason=after.reason)


def _known(referral: Referral | None) -> Referral:
    if referral is None:
        raise ReferralUnknown("id: there is no such referral here", field="id")
    return referral


def _said(message: Message) -> Said:
    said = message.data
    return Said(
        reason=said["reason"],
        reason_text=said["reason_text"],
        outcomes=tuple(said["outcomes"]),
        business_status=said["business_status"],
        staff=said["responsible"]["receiver"],
        status=said["status"],
    )


def _received(message: Message, status: Status) -> Referral:
    said: dict[str, Any] = message.data
    if said["receiver"] != message.own:
        raise NotYours(f"receiver: must be {message.own}, to whom this event was sent")
    if message.correlation is None:
        raise ClientRequired("correlationid: must name the client who is referred", field="correlationid")
    return Referral(
        id=message.subject,
        sender=message.organisation,
        receiver=said["receiver"],
        client=message.correlation,
        offering=said["offering"],
        offering_names=said["offering_names"],
        goal=said["goal"],
        language=said["language"],
        confirmed_skills=tuple(said["confirmed_skills"]),
        sender_staff=said["responsible"]["sender"],
        status=status,
        based_on=tuple(Earlier(id=identifier, receiver=message.own) for identifier in said["based_on"]),
        note=said["note"],
    )


def _overtaken(message: Message) -> Referral:
    """A referral whose end overtook its request: the sender's event carries the whole state."""
    said = message.data
    whole = said["status"] in (Status.CANCELLED, Status.ENTERED_IN_ERROR) and said["offering"]
    if said["sender"] != message.organisation or not whole:
        raise ReferralUnknown("subject: there is no such referral here", field="subject")
    ended = _received(message, Status.REQUESTED).heard(
        message.name.partition(".")[2], _said(message), by=message.organisation
    )
    return _known(ended)


def _path(referral: Referral) -> tuple[Earlier, ...]:
    return (*referral.based_on, Earlier(id=referral.id, receiver=referral.receiver))


def _next(referral: Referral, message: Message, reads: Reads) -> Suggestion:
    body = message.data
    if body["receiver"] and body["offering"]:
        return Suggestion(offering=body["offering"], provider=body["receiver"], names=body["offering_names"])
    journey = reads.journeys.get(referral.client, Journey())
    tried = [tried.receiver for tried in _path(referral)]
    if body["receiver"]:
        tried = [s.provider for s in journey.suggestions if s.provider != body["receiver"]]
    found = journey.next_after(tried)
    if found is None:
        raise NowhereLeft("receiver: no suggestion of it, or of an untried one, is left; name receiver and offering")
    return found
