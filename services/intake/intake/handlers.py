"""What intake does, message by message: clients come in, their words are assessed, and the person leaves last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from chassis.decision import Decision, Handlers, Message, NotYours, Publish, anyone, own
from intake import events, schemas
from intake.domain import Client, ClientUnknown, Reads, Scope, assessor

on = Handlers("intake")
clients = on.aggregate("client", Client, view=schemas.ClientSummary)


# ── a client comes in ────────────────────────────────────────────────────────────────────────────────────────────────


def by_case_number(message: Message) -> str:
    """The same organisation and case number are the same client, however often and by whatever way they come."""
    return message.ids.client(message.organisation, message.data.case_number)


def keep_client(client: Client | None, message: Message, reads: Reads) -> Decision[Client]:
    """A client is registered or, where known already, updated; what says nothing new changes nothing."""
    given: Client = message.data if client is None else client.updated(message.data)
    if given == client:
        return Decision()
    kept = given.checked().kept_from(message.at.date())
    return Decision(state=kept, publish=_told(by_case_number(message), client, kept, message, reads))


clients.command("import-client", schemas.ClientBody, key=by_case_number)(keep_client)
clients.command("register-client", schemas.ClientBody, key=by_case_number)(keep_client)
clients.event("client.referred", schemas.ClientRead, said_by=anyone, key=by_case_number, sealed=True)(keep_client)


@clients.command("change-consent", schemas.ConsentBody, key=lambda message: message.path["id"])
def change_consent(client: Client | None, message: Message, reads: Reads) -> Decision[Client]:
    """The client consents to more or to less; whoever knows the client hears of it."""
    client = _known(client)
    changed = client.consenting(message.data)
    if changed == client:
        return Decision()
    kept = changed.kept_from(message.at.date())
    return Decision(state=kept, publish=_told(message.path["id"], client, kept, message, reads))


# ── the words are assessed, and the client answers ───────────────────────────────────────────────────────────────────


@clients.event("profile.proposed", schemas.ProfileProposed, said_by=anyone)
def receive_proposals(client: Client | None, message: Message, reads: Reads) -> Decision[Client]:
    """Skills that the words may mean; the coach goes through them with the client."""
    client = _known(client)
    _by_assessor(message, reads)
    return Decision(state=replace(client, proposals=tuple(message.data["proposals"])))


@clients.command("answer", schemas.AnswerBody, key=lambda message: message.path["id"])
def answer_proposals(client: Client | None, message: Message, reads: Reads) -> Decision[Client]:
    """The client confirms, rejects and adds; the assessing organisation hears the whole answer."""
    answered = _known(client).answered(message.data).kept_from(message.at.date())
    to = assessor(reads.network, message.own)
    return Decision(state=answered, publish=[Publish(events.ProfileAnswered, to=to, data=answered.answer)])


def note_plan(client: Client | None, message: Message, reads: Reads) -> Decision[Client]:
    """There is a plan, or a new version of it."""
    client = _known(client)
    _by_assessor(message, reads)
    return Decision(state=replace(client, plan_version=message.data["plan_version"]))


for _name in ("plan.published", "plan.revised"):
    clients.event(_name, schemas.PlanPublished, said_by=anyone)(note_plan)


# ── the person leaves, last and once ─────────────────────────────────────────────────────────────────────────────────


@clients.event(
    "referral.accepted",
    schemas.ReferralAccepted,
    said_by=anyone,
    key=lambda message: message.correlation or message.subject,
)
def disclose_client(client: Client | None, message: Message, _reads: Reads) -> Decision[Client]:
    """A school took the client on, and the own organisation's referral has applied it: name and contact go there.

    Only the own copy counts, never the receiver's word alone. Under an order of non-disclosure the name goes without
    any contact.
    """
    if not own(client, message) or message.data["sender"] != message.own:
        return Decision()
    client = _known(client)
    if message.subject in client.disclosed or not client.allows(Scope.DISCLOSURE):
        return Decision()
    receiver = message.data["receiver"]
    person = {
        "sender": message.own,
        "referral": message.subject,
        "given": client.given,
        "family": client.family,
        "email": None if client.non_disclosure else client.email,
        "phone": None if client.non_disclosure else client.phone,
        "language": client.language,
    }
    kept = replace(client, disclosed=(*client.disclosed, message.subject)).kept_from(message.at.date())
    return Decision(state=kept, publish=[Publish(events.ClientDisclosed, to=receiver, data=person)])


# ── in short ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _told(identifier: str, before: Client | None, client: Client, message: Message, reads: Reads) -> Sequence[Publish]:
    to = assessor(reads.network, message.own)
    event = events.ClientRegistered if before is None else events.ClientUpdated
    state = events.state_of(client, message.own)
    told: list[tuple[type, str, object]] = [(event, place, state) for place in dict.fromkeys((message.own, to))]
    if _said(client) and _said(client) != (_said(before) if before else None):
        told.append((events.WordsGiven, to, _said(client)))
    # The journey is the client's, whatever a partner's system wrote into its event.
    return [Publish(schema, to=place, data=data, correlation=identifier) for schema, place, data in told]


def _said(client: Client) -> Mapping[str, object] | None:
    """What the assessor may hear in the client's own words; None where there are none, or without consent."""
    if not client.told_words or not client.allows(Scope.ASSESSMENT):
        return None
    return {"language": client.language, "text": client.told_words, "coach": client.coach}


def _known(client: Client | None) -> Client:
    if client is None:
        raise ClientUnknown("client: there is no such client here", field="client")
    return client


def _by_assessor(message: Message, reads: Reads) -> None:
    if message.organisation != assessor(reads.network, message.own):
        raise NotYours(f"{message.name}: {message.organisation} does not assess for {message.own}")
