"""Mail over SMTP: plain text, with a Message-ID that stays the same when a letter is sent again."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from chassis.effects import EffectCall, GiveUp
from notify.adapters import letters
from notify.domain import Person

if TYPE_CHECKING:
    from datetime import datetime

    from chassis.decision import Network

TIMEOUT_SECONDS = 20
"""How long one exchange with the mail server may take before the letter is tried again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailer:
    """Sends letters through one mail server.

    Attributes:
        server: ``smtp://host:port``, ``smtp+starttls://…`` or ``smtps://…``, with user and password where needed.
        sender: Address that mails come from.
        person: Looks a staff id up in the directory.
        network: Names of the organisations.
        now: The chassis clock.
    """

    server: str
    sender: str
    person: Callable[[str], Person | None]
    network: Network
    now: Callable[[], datetime]

    def __call__(self, call: EffectCall) -> Mapping[str, Any]:
        """Send one letter.

        Raises:
            GiveUp: Nobody with that staff id stands in the directory, or the server refuses the address for good.
            OSError: The server cannot be reached; the chassis tries again.
            smtplib.SMTPException: The server cannot take it now; the chassis tries again.
        """
        person = self.person(str(call.data["to"]))
        if person is None:
            text = "to: the staff id does not stand in the directory"
            raise GiveUp(text)
        mail = self._compose(person, call)
        try:
            self._send(mail)
        except smtplib.SMTPRecipientsRefused as refusal:
            if all(code >= 500 for code, _text in refusal.recipients.values()):  # noqa: PLR2004 - RFC 5321, permanent
                text = "to: the mail server refuses this person's address for good"
                raise GiveUp(text) from None
            raise
        return {"language": person.language}

    def _compose(self, person: Person, call: EffectCall) -> EmailMessage:
        text = letters.write(str(call.data["template"]), person.language, call.data["parameters"], self.network)
        mail = EmailMessage()
        mail["From"] = self.sender
        mail["To"] = formataddr((person.name, person.email))
        mail["Subject"] = text.subject
        mail["Date"] = format_datetime(self.now())
        mail["Message-ID"] = f"<{call.key}>"
        mail["Content-Language"] = person.language
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text.body)
        return mail

    def _send(self, mail: EmailMessage) -> None:
        parts = urlsplit(self.server)
        kind = smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
        with kind(parts.hostname or "", parts.port or 0, timeout=TIMEOUT_SECONDS) as server:
            if parts.scheme == "smtp+starttls":
                server.starttls(context=ssl.create_default_context())
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(mail)
