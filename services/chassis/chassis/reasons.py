"""Why an event is parked: the codes that parking lots, metrics and ``event.refused`` share."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reason codes; reliability.md's settling table says which follows from what."""

    NOT_AN_EVENT = "not-an-event"
    """Not JSON, or not a valid CloudEvent."""
    TOO_LARGE = "too-large"
    """Over 64 KiB."""
    PROFILE = "profile"
    """A CloudEvent that breaks a rule of the network's envelope."""
    WRONG_KEY = "wrong-key"
    """The routing key is not of four words, or contradicts the type."""
    FORGED = "forged"
    """Source or destination contradicts the routing key, it is for another organisation, or the signature of one who
    signs is missing or wrong."""
    NOT_YOURS = "not-yours"
    """The speaker may not say this of this aggregate."""
    SCHEMA = "schema"
    """The data breaks its schema."""
    IDENTITY_CODE = "identity-code"
    """A personal identity code stands in it; kept without the body."""
    SEALED = "sealed"
    """Personal data that came unsealed, or a JWE that is for another, for another event, or was changed."""
    TOO_OLD = "too-old"
    """Older than the replay window, without a sequence."""
    RULE = "rule"
    """A rule of the domain refuses it; the rule's name is kept beside."""
    CRASHED = "crashed"
    """It came back from the broker too often: whoever took it ended before acknowledging."""
    ERROR = "error"
    """A programming error of this service, after its tries."""
    UNPUBLISHABLE = "unpublishable"
    """One of the own events that the broker refuses."""
    EFFECT = "effect"
    """An effect that was given up, or whose result was refused."""


class Unacceptable(ValueError):  # noqa: N818 - errors name the fact
    """An event cannot be taken; it is parked with this reason.

    Attributes:
        reason: The code.
        field: What breaks the rule, or None.
        text: One sentence, without any value.
    """

    def __init__(self, reason: Reason, text: str, *, field: str | None = None) -> None:
        """Keep the parts; the text of the exception joins field and sentence."""
        super().__init__(f"{field}: {text}" if field else text)
        self.reason = reason
        self.field = field
        self.text = text
