"""What assessment does, message by message: words become proposals, answers become a plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from assessment import events, schemas
from assessment.domain import (
    KEEP_DAYS,
    Case,
    Confirmed,
    NoCase,
    NoPlan,
    NotTheirAssessor,
    Proposal,
    known,
)
from assessment.plans import plan
from assessment.vocabulary import Vocabulary
from chassis.decision import Decision, Handlers, Message, Network, Publish, anyone

on = Handlers("assessment")
cases = on.aggregate("case", Case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """The view that every decision of this service gets.

    Attributes:
        network: Who is in the network.
        vocabulary: Skills and occupations.
        review_days: Days until a plan is looked at again.
    """

    network: Network
    vocabulary: Vocabulary
    review_days: int


def case_id(home: str, client: str) -> str:
    """A case's id: references of different homes may never meet."""
    return f"{home}/{client}"


def by_home(message: Message) -> str:
    """The case of the speaker's own client: nobody can say anything of another home's."""
    return case_id(message.organisation, message.subject)


def by_path(message: Message) -> str:
    """The case that a command's path and body name."""
    return case_id(message.data.get("home") or message.own, message.path["client"])


# ── the client becomes known, in any order ───────────────────────────────────────────────────────────────────────────


def keep_client(case: Case | None, message: Message, reads: Reads) -> Decision[Case]:
    """The home says who the client is without the person; a plan that this changes is revised."""
    case = _case(case, message, reads)
    data = message.data
    if data["home"] != message.organisation:
        raise NotTheirAssessor(f"home: {message.organisation} speaks of its own clients only", field="home")
    prior = tuple(data["prior_learning"] or ())
    told = replace(
        case,
        registered=True,
        language=data["language"],
        municipality=data["municipality"],
        goal=data["goal"],
        wishes=data["wishes"],
        prior_learning=prior,
        coach=data["coach"],
    )
    if told == case:
        return Decision(state=case)
    if prior != case.prior_learning and _learnt(told, reads.vocabulary):
        found = told.with_proposals(_found(told, reads.vocabulary))
        return _planned(found, message, reads, [_proposed(found, reads)])
    return _planned(told, message, reads)


for _name in ("client.registered", "client.updated"):
    cases.event(_name, schemas.ClientRegistered, said_by=anyone, key=by_home)(keep_client)


@cases.event("words.given", schemas.WordsGiven, said_by=anyone, key=by_home, sealed=True)
def read_words(case: Case | None, message: Message, reads: Reads) -> Decision[Case]:
    """The client's words are read for skills; the home hears what was found, be it nothing."""
    case = _case(case, message, reads)
    given = replace(
        case,
        words=message.data["text"],
        words_language=message.data["language"],
        coach=case.coach or message.data["coach"],
    )
    found = given.with_proposals(_found(given, reads.vocabulary))
    return Decision(state=found, publish=[_proposed(found, reads)])


# ── the client answers, and the plan follows ─────────────────────────────────────────────────────────────────────────


@cases.event("profile.answered", schemas.ProfileAnswered, said_by=anyone, key=by_home)
def keep_answers(case: Case | None, message: Message, reads: Reads) -> Decision[Case]:
    """What the client confirmed and added counts from now on; the plan is made, or made anew."""
    case = _case(case, message, reads)
    data = message.data
    has: list[Confirmed] = []
    for field in ("confirmed", "added"):
        has += [replace(one, skill=known(reads.vocabulary, one.skill, field=field)) for one in data[field]]
    answered = case.with_answers(has, data["rejected"])
    return Decision(state=case) if answered == case else _planned(answered, message, reads)


@cases.command("revise-plan", schemas.RevisionBody, key=by_path)
def revise_plan(case: Case | None, message: Message, reads: Reads) -> Decision[Case]:
    """The coach sets transversal skills, further steps or the day of the review.

    Raises:
        NoCase: Nothing is known of the client.
        NoPlan: The client has not answered yet.
    """
    if case is None:
        raise NoCase("client: nothing is known here of this client; a home's client is found with ?home=")
    if case.plan is None:
        raise NoPlan("client: there is no plan before the client has answered")
    data = message.data
    for one in data.get("transversal", ()):
        known(reads.vocabulary, one.skill, field="transversal")
    changed = replace(
        case,
        transversal=tuple(data.get("transversal", case.transversal)),
        extra_steps=tuple(data.get("steps", case.extra_steps)),
        review=data.get("review_date", case.review),
    )
    return Decision(state=case) if changed == case else _planned(changed, message, reads)


def _case(case: Case | None, message: Message, reads: Reads) -> Case:
    """The case, begun where it is new.

    Raises:
        NotTheirAssessor: The speaker's clients are assessed elsewhere.
    """
    speaker = reads.network.organisations.get(message.organisation)
    if speaker is None or speaker.assessor != message.own:
        raise NotTheirAssessor(f"{message.name}: {message.own} does not assess for {message.organisation}")
    begun = case or Case(home=message.organisation, client=message.subject)
    return replace(begun, keep_until=message.at.date() + timedelta(days=KEEP_DAYS))


def _found(case: Case, vocabulary: Vocabulary) -> Iterable[Proposal]:
    words = vocabulary.propose(case.words, case.words_language or case.language) if case.words else ()
    learnt = [Proposal(skill=skill, score=1.0) for skill in _learnt(case, vocabulary)]
    return (*learnt, *(one for one in words if one.skill not in case.prior_learning))


def _learnt(case: Case, vocabulary: Vocabulary) -> list[str]:
    """Skills among the prior learning, so that nobody is asked twice."""
    return [code for code in case.prior_learning if vocabulary.skill(code)]


def _proposed(case: Case, reads: Reads) -> Publish:
    return _publish(events.ProfileProposed, case, events.proposed(case, reads.vocabulary))


def _planned(case: Case, message: Message, reads: Reads, publish: Iterable[Publish] = ()) -> Decision[Case]:
    """The changed case with the plan that now follows; the home hears of the plan as a whole."""
    if not (case.answered and case.registered):
        return Decision(state=case, publish=[*publish])
    made = plan(case, reads.vocabulary, message.at.date(), reads.review_days)
    schema = events.PlanRevised if case.plan else events.PlanPublished
    told = events.told(case, made, reads.vocabulary)
    return Decision(state=case.with_plan(made), publish=[*publish, _publish(schema, case, told)])


def _publish(schema: type, case: Case, data: dict[str, Any]) -> Publish:
    return Publish(schema, to=case.home, data=data, subject=case.client, correlation=case.client)
