"""Everything that one running service instance is made of; built once by `chassis.floor` and handed to every part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo.database import Database

    from chassis.clock import Clock
    from chassis.crypto import KeyRing, References
    from chassis.decision import Handlers, Network
    from chassis.secrets import Secrets
    from chassis.sessions import Sessions
    from chassis.settings import Settings
    from chassis.spans import Spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One service instance of one organisation.

    Attributes:
        organisation: The organisation's code.
        service: The service's name.
        handlers: What it reacts to.
        database: Its own database, ``<organisation>_<service>``.
        keys: The database of its aggregates' keys.
        sessions: The replica's store sessions, which writer and relay share, so that neither is another to the other.
        network: Who is in the network.
        clock: The one clock.
        settings: The chassis's settings.
        keyring: Keys to seal and open personal events.
        references: References that leave and arrive.
        secrets: The organisation's secrets.
        reads: Gives the view that a batch's decisions get.
        spans: Where spans go, or None where nobody asked for them.
    """

    organisation: str
    service: str
    handlers: Handlers
    database: Database[dict[str, Any]]
    keys: Database[dict[str, Any]]
    sessions: Sessions
    network: Network
    clock: Clock
    settings: Settings
    keyring: KeyRing
    references: References
    secrets: Secrets
    reads: Callable[[], Any]
    spans: Spans | None

    @property
    def source(self) -> str:
        """The URN that its events carry."""
        return f"urn:viisikko:{self.organisation}:{self.service}"

    @property
    def signs(self) -> bool:
        """Whether the own organisation signs what it sends."""
        own = self.network.organisations.get(self.organisation)
        return own is not None and own.signs
