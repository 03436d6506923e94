"""Our side: the contract, schemas and state of the real referral service, answered at once without a person.

The real service waits for a counsellor between request and acceptance; here the event that follows comes with the
transaction, so that each event has one and its way can be measured to the end.
"""

from __future__ import annotations

from dataclasses import replace

from chassis.decision import Decision, Handlers, Message, Publish, Unknown
from chassis.service import Service
from referral import events, schemas
from referral.domain import Referral, Said
from referral.handlers import by_sender_and_id, receive_referral, sender

on = Handlers("referral")
referrals = on.aggregate("referral", Referral, view=schemas.ReferralView)


@referrals.event("referral.requested", schemas.ReferralRequested, said_by=sender, key=by_sender_and_id)
def accept_at_once(referral: Referral | None, message: Message, reads: None) -> Decision[Referral]:
    """A referral comes and is accepted."""
    received = receive_referral(referral, message, reads).state  # type: ignore[arg-type] - it reads nothing
    accepted = received.moved("accepted", Said(staff="kunta-1"), by=message.own)
    return Decision(state=accepted, publish=[_publish(events.ReferralAccepted, accepted)])


@referrals.event("referral.progressed", schemas.ReferralProgressed, said_by=sender, key=by_sender_and_id)
def follow(referral: Referral | None, message: Message, _reads: None) -> Decision[Referral]:
    """A step of the client's journey is noted, and said on."""
    if referral is None:
        raise Unknown("subject: there is no such referral here", field="subject")
    progressed = replace(referral, business_status=message.data["business_status"])
    return Decision(state=progressed, publish=[_publish(events.ReferralProgressed, progressed)])


def _publish(schema: type, referral: Referral) -> Publish:
    data = events.state_of(referral, referral.sender)
    return Publish(schema, to=referral.sender, data=data, subject=referral.id, correlation=referral.client)


class Bench(Service):
    """The service that is measured."""

    name = "referral"
    handlers = on
