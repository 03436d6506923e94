"""What notify does, message by message: each step becomes a letter to the person whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chassis.decision import Decision, Effect, Handlers, Message, NotYours, Publish, anyone, own
from notify import events, schemas
from notify.domain import (
    Duty,
    Letter,
    Notification,
    Person,
    Reads,
    Status,
    checked_staff_id,
    deputies,
    on_duty,
    recipients,
)

on = Handlers("notify")
people = on.aggregate("person", Person, view=schemas.PersonView)
notifications = on.aggregate("notification", Notification, view=schemas.NotificationView)


@people.command("keep-person", schemas.PersonBody, key=lambda message: message.path["id"])
def keep_person(person: Person | None, message: Message, _reads: Reads) -> Decision[Person]:
    """An operator puts someone into the directory, or changes what it says of them."""
    kept = Person(
        id=checked_staff_id(message.path["id"]),
        name=message.data["name"],
        email=message.data["email"],
        language=message.data["language"],
        duties=tuple(message.data["duties"]),
        deputy=message.data["deputy"],
        active=message.data["active"],
    )
    return Decision() if kept == person else Decision(state=kept)


def by_event(message: Message) -> str:
    """One notification an event, whoever it goes to."""
    return message.id


@notifications.event("profile.proposed", schemas.ProfileProposed, said_by=anyone, key=by_event)
def tell_of_proposals(_none: Notification | None, message: Message, reads: Reads) -> Decision[Notification]:
    """The coach hears that there are skills to go through with the client."""
    _by_assessor(message, reads)
    to = recipients(reads.directory, message.data["coach"], Duty.CLIENTS)
    return _letters(message, "profile-proposed", to, {"count": len(message.data["proposals"])})


def tell_of_plan(_none: Notification | None, message: Message, reads: Reads) -> Decision[Notification]:
    """The coach hears of the plan, or of its new version."""
    _by_assessor(message, reads)
    to = recipients(reads.directory, message.data["coach"], Duty.CLIENTS)
    goal = (message.data["goal"] or {}).get("labels") or {}
    parameters = {"goal": goal, "strengths": len(message.data["strengths"]), "gaps": len(message.data["gaps"])}
    return _letters(message, message.name.replace(".", "-"), to, parameters)


for _name in ("plan.published", "plan.revised"):
    notifications.event(_name, schemas.PlanPublished, said_by=anyone, key=by_event)(tell_of_plan)


@notifications.event("match.suggested", schemas.MatchSuggested, said_by=own, key=by_event)
def tell_of_suggestions(_none: Notification | None, message: Message, reads: Reads) -> Decision[Notification]:
    """The coach hears which studies fit."""
    to = recipients(reads.directory, message.data["coach"], Duty.CLIENTS)
    best = [
        {"names": suggestion["names"], "provider": suggestion["provider"]}
        for suggestion in message.data["suggestions"][:5]
    ]
    return _letters(message, "match-suggested", to, {"suggestions": best})


# Which referral events the people on each side hear of. The sender's people go by their own organisation's copies of
# what it has applied; the receiver's by what the sender says and, where a race was lost, by their own copy of the end.
SENDER_HEARS = (
    "referral.accepted",
    "referral.rejected",
    "referral.started",
    "referral.held",
    "referral.resumed",
    "referral.completed",
    "referral.failed",
    "referral.cancelled",
    "referral.escalated",
)
RECEIVER_HEARS = ("referral.requested", "referral.cancelled", "referral.reminded", "referral.escalated")
RECEIVER_HEARS_AGAIN = ("referral.rejected", "referral.completed", "referral.failed", "referral.cancelled")


def tell_of_referral(_none: Notification | None, message: Message, reads: Reads) -> Decision[Notification]:
    """Whoever is responsible on this side of a referral hears of its step; a deputy where nobody answered."""
    referral = message.data
    # A guest's answer need not say the sender: it is who was answered.
    at_sender = referral["sender"] in (None, message.own)
    if not at_sender:
        _between_us(message)
    if message.name not in _heard(at_sender=at_sender, own_copy=message.organisation == message.own):
        return Decision()
    staff = (referral["responsible"] or {}).get("sender" if at_sender else "receiver")
    whom = deputies if message.name == "referral.escalated" and not at_sender else recipients
    to = whom(reads.directory, staff, Duty.CLIENTS if at_sender else Duty.REFERRALS)
    parameters = {
        "offering": referral["offering_names"],
        "organisation": referral["receiver" if at_sender else "sender"],
        "reason": referral["reason"],
    }
    return _letters(message, message.name.replace(".", "-"), to, parameters, referral=message.subject)


for _name in dict.fromkeys(SENDER_HEARS + RECEIVER_HEARS):
    notifications.event(_name, schemas.ReferralMoved, said_by=anyone, key=by_event)(tell_of_referral)


@notifications.event("client.disclosed", schemas.ClientDisclosed, said_by=anyone, key=by_event, sealed=True)
def tell_of_contact(_none: Notification | None, message: Message, reads: Reads) -> Decision[Notification]:
    """The accepting organisation hears that the client's name and contact have come; the letter holds neither."""
    to = on_duty(reads.directory, Duty.REFERRALS)
    parameters = {"organisation": message.organisation}
    return _letters(message, "client-disclosed", to, parameters, referral=message.data["referral"])


@notifications.event("event.refused", schemas.EventRefused, said_by=anyone, key=by_event)
def tell_of_refusal(_none: Notification | None, message: Message, reads: Reads) -> Decision[Notification]:
    """The technical contact hears that an event of theirs was refused, and why."""
    technical = reads.network.organisations[message.own].technical
    to = recipients(reads.directory, technical, Duty.TECHNICAL)
    return _letters(message, "event-refused", to, {**message.data, "organisation": message.organisation})


@notifications.result("mail")
def settle_letter(notification: Notification, message: Message, _reads: Reads) -> Decision[Notification]:
    """The mail server took a letter over, or it was given up; the organisation hears which."""
    to = message.data["to"]
    event = events.NotificationFailed if message.failed else events.NotificationDelivered
    return Decision(
        state=notification.settled(to, Status.FAILED if message.failed else Status.DELIVERED),
        publish=[
            Publish(
                event,
                to=message.own,
                data={"channel": "mail", "template": notification.template, "to": to},
                correlation=notification.client,
            )
        ],
    )


def _heard(*, at_sender: bool, own_copy: bool) -> Sequence[str]:
    if at_sender:
        return SENDER_HEARS if own_copy else ()
    return RECEIVER_HEARS_AGAIN if own_copy else RECEIVER_HEARS


def _between_us(message: Message) -> None:
    """What reaches the receiver's people is said by the sender, of a referral to this organisation."""
    if message.organisation not in (message.data["sender"], message.own):
        raise NotYours(f"sender: must be {message.organisation}, who says this")
    if message.data["receiver"] != message.own:
        raise NotYours(f"receiver: must be {message.own}, to whom this was sent")


def _by_assessor(message: Message, reads: Reads) -> None:
    assessor = reads.network.organisations[message.own].assessor
    if message.organisation != assessor:
        text = f"{message.name}: {message.organisation} does not assess for {message.own}"
        raise NotYours(text)


def _letters(
    message: Message,
    template: str,
    to: Sequence[str],
    parameters: Mapping[str, object],
    *,
    referral: str | None = None,
) -> Decision[Notification]:
    reference = message.ids.short(message.correlation) if message.correlation else None
    notification = Notification(
        event=message.name,
        template=template,
        client=message.correlation,
        referral=referral,
        parameters={**parameters, "reference": reference},
        letters=tuple(Letter(to=person) for person in to),
    )
    return Decision(state=notification, effects=[_mail(message, notification, person) for person in to])


def _mail(message: Message, notification: Notification, to: str) -> Effect:
    # The Message-ID is the effect's key: a mail that is sent twice is recognised by the receiving mail system.
    return Effect(
        name="mail",
        key=f"{message.id}.{to}@{message.own}.viisikko",
        data={"to": to, "template": notification.template, "parameters": notification.parameters},
    )
