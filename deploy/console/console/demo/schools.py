"""The schools of the day: one runs its own services and answers over HTTP, the others answer as a partner's program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from console.api import Api, TimeUp, eventually
from console.partner import Mail, Partner
from console.reach import Reach

HOME = "kunta"
WHY = "demo"


class School(Protocol):
    """Whoever takes clients on."""

    def accept(self, referral: str) -> None:
        """Take the client on."""

    def reject(self, referral: str, reason: str) -> None:
        """Say why it cannot."""

    def contact(self, referral: str) -> str:
        """The disclosed client's full name, once it has come."""


@dataclass(frozen=True, slots=True)
class Member:
    """A school that runs its own referral service; its counsellor uses HTTP."""

    api: Api
    staff: str

    def accept(self, referral: str) -> None:
        """The counsellor accepts."""
        self._move(referral, "accept", {"responsible": self.staff})

    def reject(self, referral: str, reason: str) -> None:
        """The counsellor rejects."""
        self._move(referral, "reject", {"reason": reason, "responsible": self.staff})

    def contact(self, referral: str) -> str:
        """What the counsellor sees."""
        path = f"/v1/referrals/{HOME}/{referral}/contact"
        found = eventually(lambda: self.api.find(path, why=WHY), what=f"the contact of referral {referral}")
        return f"{found['given']} {found['family']}"

    def _move(self, referral: str, move: str, body: dict[str, Any]) -> None:
        path = f"/v1/referrals/{HOME}/{referral}"
        eventually(lambda: self.api.find(path), what=f"referral {referral} at the school")
        self.api.post(f"{path}/{move}", body)


@dataclass(slots=True)
class Guest:
    """A school whose own program reads its mailbox and publishes its answers, with nothing of this project."""

    partner: Partner
    _referrals: dict[str, Mail] = field(default_factory=dict)
    _people: dict[str, str] = field(default_factory=dict)

    def accept(self, referral: str) -> None:
        """Publish ``referral.accepted``."""
        self._answer(referral, "accepted", {"responsible": {"receiver": f"{self.partner.code}-1"}})

    def reject(self, referral: str, reason: str) -> None:
        """Publish ``referral.rejected``."""
        self._answer(referral, "rejected", {"reason": reason})

    def contact(self, referral: str) -> str:
        """What came sealed into the mailbox."""
        return str(self._wait(lambda: self._people.get(referral), f"the contact of referral {referral}"))

    def _answer(self, referral: str, verb: str, data: dict[str, Any]) -> None:
        asked = self._wait(lambda: self._referrals.get(referral), f"referral {referral} in the mailbox").envelope
        self.partner.publish(
            f"referral.{verb}", asked.subject, data, to=asked.organisation, correlation=asked.correlation
        )

    def _wait(self, found: Callable[[], Any], what: str) -> Any:
        def look() -> Any:
            self._read()
            return found()

        try:
            return eventually(look, what=what)
        except TimeUp as error:
            raise TimeUp(f"{self.partner.code}: {error}") from None

    def _read(self) -> None:
        for mail in self.partner.fetch():
            if mail.envelope.name == "referral.requested":
                self._referrals[mail.envelope.subject] = mail
            elif mail.envelope.name == "client.disclosed":
                self._people[mail.data["referral"]] = f"{mail.data['given']} {mail.data['family']}"


def schools(reach: Reach, codes: list[str]) -> dict[str, School]:
    """Every school of the network, in its own way."""
    members = reach.runs("referral")
    found: dict[str, School] = {}
    for code in codes:
        if code in members:
            found[code] = Member(reach.api(code, "referral", "counsellor"), f"{code}-1")
        else:
            found[code] = Guest(reach.partner(code, "register"))
    return found
