"""Identifiers derived under an organisation's secrets; pure in their arguments, as decisions need them."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis import crypto


@dataclass(frozen=True, slots=True)
class DerivedIds:
    """The `chassis.decision.Ids` of one message.

    Attributes:
        secret: The organisation's secret for ids.
        cause: The message's id.
        at: When it was taken; None for a command, whose repetition tomorrow must derive the same ids as today.
    """

    secret: bytes
    cause: str
    at: datetime | None

    def new(self, position: int = 0) -> str:
        """A UUIDv7; of a command, which has no moment of its own, a UUIDv8 of hashed bits only (RFC 9562)."""
        if self.at is not None:
            return crypto.event_id(self.secret, f"new\0{self.cause}", position, self.at)
        digest = hmac.digest(self.secret, f"new\0{self.cause}\0{position}".encode(), "sha256")
        value = int.from_bytes(digest[:16], "big")
        value = value & ~(0xF << 76) | 0x8 << 76
        return str(UUID(int=value & ~(0b11 << 62) | 0b10 << 62))

    def client(self, organisation: str, case_number: str) -> str:
        """The client id of an organisation's case number."""
        return crypto.client_id(self.secret, organisation, case_number)

    def short(self, client: str) -> str:
        """The short reference that people read."""
        return crypto.short_reference(client)
