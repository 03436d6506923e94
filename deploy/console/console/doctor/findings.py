"""What the doctor finds, and what it needs to know before it looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from chassis import settings
from chassis.settings import setting

RECREATE = "`docker compose up --force-recreate -d` with the options of the first `up`"
"""What prepares secrets and definitions and starts every container anew, the broker included."""

LOAD = f"load the generated definitions: `viisikko apply`; in containers, {RECREATE}"
"""How a broker comes to hold what network.toml says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: What it is.
        well: Whether it works.
        text: What was seen.
        next_step: Where it does not work, what to do.
    """

    what: str
    well: bool
    text: str
    next_step: str = ""


class Ill(Exception):  # noqa: N818 - errors name the fact
    """Something does not work."""

    def __init__(self, text: str, next_step: str) -> None:
        """Say what was seen, and what to do."""
        super().__init__(text)
        self.text = text
        self.next_step = next_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Where everything of an organisation is, from the same variables as its services have.

    Attributes:
        organisation: The organisation.
        network: The file that says who is in the network.
        hub: The hub's address with the organisation's user there.
        authority: PEM file of the authority that signed the brokers' certificates.
        management: The management API of the own broker with its operator's user, or None for who has none.
        mongo: The store, or None.
        smtp: The mail server, or None.
    """

    organisation: str = setting("VIISIKKO_ORGANISATION", settings.organisation)
    network: Path = setting("VIISIKKO_NETWORK", settings.file)  # noqa: RUF009 - it makes a field
    hub: str = setting("VIISIKKO_HUB_URI", settings.uri("amqps", "amqp"))
    authority: Path | None = setting("VIISIKKO_TLS_CA", settings.file, default=None)  # noqa: RUF009 - it makes a field
    management: str | None = setting("VIISIKKO_MANAGEMENT_URI", settings.uri("http", "https"), default=None)
    mongo: str | None = setting("VIISIKKO_MONGO_URI", settings.store_uri, default=None)
    smtp: str | None = setting("VIISIKKO_SMTP_URI", settings.uri("smtp", "smtps", "smtp+starttls"), default=None)

    @property
    def hub_address(self) -> SplitResult:
        """The hub's address in parts."""
        return urlsplit(self.hub)


def look(what: str, check: Callable[[], str]) -> Finding:
    """Carry out one check: its text, or what is ill."""
    try:
        return Finding(what, True, check())  # noqa: FBT003 - it is well
    except Ill as ill:
        return Finding(what, False, ill.text, ill.next_step)  # noqa: FBT003 - it is not
