"""What notify publishes: whether a letter arrived, without its content."""

from __future__ import annotations

from marshmallow import Schema, fields

from chassis.decision import Classification, Contract, published

EXAMPLE = {"channel": "mail", "template": "referral-accepted", "to": "kunta-12"}


class NotificationSettled(Schema):
    """How a letter ended."""

    channel = fields.String(required=True)
    template = fields.String(required=True)
    to = fields.String(required=True)


@published(
    Contract(
        name="notification.delivered",
        classification=Classification.PSEUDONYMOUS,
        says="The channel took a notification over for one person.",
        route="notify → own organisation",
        example=EXAMPLE,
    )
)
class NotificationDelivered(NotificationSettled):
    """The letter was taken over by the mail server."""


@published(
    Contract(
        name="notification.failed",
        classification=Classification.PSEUDONYMOUS,
        says="A notification could not be delivered to one person, and no further try is made.",
        route="notify → own organisation",
        example=EXAMPLE,
    )
)
class NotificationFailed(NotificationSettled):
    """The letter was given up."""
