"""What catalogue does, message by message: it keeps every provider's offerings, says its own, and matches plans."""

from __future__ import annotations

from dataclasses import replace

from catalogue import events, schemas
from catalogue.domain import (
    Kept,
    NotTheProvider,
    Offering,
    OfferingUnknown,
    Reads,
    fresh_from,
    today_at,
)
from catalogue.imports import Known, Verb, verb_for
from catalogue.matching import match
from catalogue.plans import Answer, Match, NotTheAssessor, Plan, PlanUnknown
from chassis.decision import ALL, Decision, Handlers, Message, Publish, anyone

on = Handlers("catalogue")
offerings = on.aggregate("offering", Kept)
matches = on.aggregate("match", Match, view=schemas.MatchView)

SAID = {
    Verb.PUBLISHED: events.OfferingPublished,
    Verb.CHANGED: events.OfferingChanged,
    Verb.WITHDRAWN: events.OfferingWithdrawn,
}


# ── offerings of the whole network ───────────────────────────────────────────────────────────────────────────────────


def provider(_kept: Kept | None, message: Message) -> bool:
    """Only the provider itself, of an offering whose id begins with its code."""
    return message.organisation == message.data.provider and message.subject.startswith(f"{message.organisation}.")


@offerings.event("offering.published", schemas.OfferingRead, said_by=provider)
def keep(_kept: Kept | None, message: Message, _reads: Reads) -> Decision[Kept]:
    """An offering is kept as its provider says it, whatever was kept of it before."""
    if _is_echo(message):
        return Decision()
    offering: Offering = message.data
    return Decision(state=Kept(offering=_fresh(offering, message), source=message.source))


offerings.event("offering.changed", schemas.OfferingRead, said_by=provider)(keep)


@offerings.event("offering.withdrawn", schemas.OfferingWithdrawn, said_by=provider)
def keep_withdrawn(kept: Kept | None, message: Message, _reads: Reads) -> Decision[Kept]:
    """An offering is no longer suggested; it is remembered, so that nothing late revives it."""
    if _is_echo(message):
        return Decision()
    offering = kept.offering if kept else _fresh(message.data, message)
    return Decision(state=Kept(offering=replace(offering, withdrawn=True), source=message.source))


# ── the own offerings ────────────────────────────────────────────────────────────────────────────────────────────────


def by_origin(message: Message) -> str:
    """An own offering's id: the provider's code, and the id in the system that it comes from."""
    return f"{message.data.provider}.{message.data.origin.id if message.data.origin else message.id}"


@offerings.command("keep-offering", schemas.OfferingRead, key=by_origin)
def keep_own(kept: Kept | None, message: Message, _reads: Reads) -> Decision[Kept]:
    """An import brings an own offering: what is new or different is said to everybody."""
    offering: Offering = message.data
    if offering.provider != message.own:
        raise NotTheProvider(f"provider: this catalogue speaks for {message.own} only", field="provider")
    verb = verb_for(Known.of(kept.offering) if kept else None, _fresh(offering, message))
    return _say(verb, _fresh(offering, message), message) if verb else Decision()


@offerings.command("withdraw-offering", schemas.WithdrawBody, key=lambda message: message.data["offering"])
def withdraw_own(kept: Kept | None, message: Message, _reads: Reads) -> Decision[Kept]:
    """An import no longer has an own offering: everybody hears that it is gone."""
    if kept is None:
        raise OfferingUnknown("offering: no such offering is known", field="offering")
    if kept.offering.provider != message.own:
        raise NotTheProvider(f"offering: this catalogue speaks for {message.own} only", field="offering")
    if kept.offering.withdrawn:
        return Decision()
    return _say(Verb.WITHDRAWN, replace(kept.offering, withdrawn=True), message)


def _say(verb: Verb, offering: Offering, message: Message) -> Decision[Kept]:
    return Decision(
        state=Kept(offering=offering, source=f"urn:viisikko:{message.own}:catalogue"),
        publish=[Publish(SAID[verb], to=ALL, data=offering)],
    )


def _is_echo(message: Message) -> bool:
    # What this catalogue has said comes back to it, possibly after it has said something newer. That is news only where
    # its store was lost: others know the offering, and it must go on from there.
    return message.source == f"urn:viisikko:{message.own}:catalogue" and not message.lost


def _fresh(offering: Offering, message: Message) -> Offering:
    # A guest's program need not know how long offerings stay fresh.
    return offering if offering.fresh_until else replace(offering, fresh_until=fresh_from(message.at))


# ── plans meet offerings ─────────────────────────────────────────────────────────────────────────────────────────────


@matches.event("plan.published", schemas.PlanPublished, said_by=anyone)
def match_plan(_match: Match | None, message: Message, reads: Reads) -> Decision[Match]:
    """A client's plan is matched to all open offerings; the own organisation hears what fits."""
    if message.data["home"] != message.own:
        raise NotTheAssessor("home: this plan is another home's", field="home")
    if message.organisation != reads.network.organisations[message.own].assessor:
        raise NotTheAssessor(f"{message.name}: {message.organisation} does not assess for {message.own}")
    plan: Plan = message.data["plan"]
    return _suggest(plan, match(plan, reads.offerings, today_at(message.at)), message)


matches.event("plan.revised", schemas.PlanPublished, said_by=anyone)(match_plan)


@matches.command("match-again", key=lambda message: message.path["client"])
def match_again(found: Match | None, message: Message, reads: Reads) -> Decision[Match]:
    """A coach asks anew, since offerings come and go; what is the same is not said twice."""
    if found is None:
        raise PlanUnknown("client: has no plan here yet", field="client")
    answer = match(found.plan, reads.offerings, today_at(message.at))
    return Decision(state=found) if answer == found.answer else _suggest(found.plan, answer, message)


def _suggest(plan: Plan, answer: Answer, message: Message) -> Decision[Match]:
    said = {
        "plan_version": plan.version,
        "language": plan.language,
        "suggestions": answer.suggestions,
        "path": answer.path,
        "uncovered": answer.uncovered,
        "coach": plan.coach,
    }
    return Decision(
        state=Match(plan=plan, answer=answer),
        publish=[Publish(events.MatchSuggested, to=message.own, data=said)],
    )
