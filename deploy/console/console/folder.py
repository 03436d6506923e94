"""The folder of a running network: where everything of it is kept, and who may read what."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chassis import secrets as kept
from chassis import tokens
from chassis.decision import Network
from chassis.private import write_private
from chassis.tokens import Bearer

TOKEN_DAYS = 365
SECRET_BYTES = 24
CATALOGUE = "catalogue"
ROLES: Mapping[str, tuple[str, ...]] = {
    "coach": ("coach",),
    "counsellor": ("counsellor",),
    "operator": ("operator", "system"),
}
"""The tokens that every organisation with services gets, each with its roles."""


def secret_in(file: Path) -> str:
    """A random secret that a file keeps, readable by its owner only; made where missing."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(SECRET_BYTES))
    return file.read_text("utf-8").strip()


def copying(network: Network) -> list[str]:
    """Organisations whose catalogue begins with what the hub's copy knows."""
    hub = network.organisations.get(network.hub)
    if hub is None or CATALOGUE not in hub.runs:
        return []
    return [code for code, o in network.organisations.items() if CATALOGUE in o.runs and code != network.hub]


@dataclass(frozen=True, slots=True)
class Folder:
    """One network's folder, ``.viisikko`` by default."""

    path: Path

    @property
    def keys(self) -> Path:
        """Everybody's public keys."""
        return self.path / "keys"

    @property
    def state(self) -> Path:
        """What runs where; written when the network is ready."""
        return self.path / "network.json"

    @property
    def applied(self) -> Path:
        """What the last `viisikko apply` has done; written when it is."""
        return self.path / "applied.json"

    @property
    def clock(self) -> Path:
        """The file that moves the clock of every service."""
        return self.path / "clock"

    @property
    def authority(self) -> Path:
        """The private authority that signs the brokers' certificates."""
        return self.path / "authority"

    def of(self, organisation: str) -> Path:
        """An organisation's own folder, readable by its owner only."""
        return self.path / organisation

    def credentials(self, organisation: str) -> dict[str, Any]:
        """An organisation's password on the broker and its tokens in clear; made where missing."""
        file = self.of(organisation) / "credentials.json"
        if not file.exists():
            self.of(organisation).mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write_credentials(organisation, self._new_credentials(organisation))
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found

    def make(self, network: Network, elsewhere: Container[str] = ()) -> dict[str, str]:
        """Make what is missing for every organisation: keys, tokens, passwords.

        Args:
            network: Who is in the network.
            elsewhere: Organisations whose keys are made and kept in a folder of their own. Their public keys here are
                what they have sent, and stay as they are; so do those of a guest of whom no private ones are kept here.

        Returns:
            Organisation → its password on the broker.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        passwords = {}
        for code, organisation in network.organisations.items():
            if code not in elsewhere and not (organisation.joins == "guest" and self._has_sent_keys(code)):
                kept.make(self.of(code), self.keys, code)
            passwords[code] = self.credentials(code)["password"]
        for code in copying(network):
            if not self.copy_token(code).exists():
                self.renew_copy_token(network, code, datetime.now(UTC))
        return passwords

    def holds_keys(self, organisation: str) -> bool:
        """Whether an organisation's private keys are kept here, and not in a folder elsewhere."""
        return (self.of(organisation) / "keys.json").exists()

    def _has_sent_keys(self, organisation: str) -> bool:
        return (self.keys / f"{organisation}.json").exists() and not self.holds_keys(organisation)

    def copy_token(self, organisation: str) -> Path:
        """The file with the token that an organisation's catalogue shows to the hub's copy."""
        return self.of(organisation) / "copy-token"

    def renew_copy_token(self, network: Network, organisation: str, until: datetime) -> None:
        """Make a new token for that, which may read and nothing else; the old one ends at `until`."""
        file = self.copy_token(organisation)
        old = [file.read_text("ascii").strip()] if file.exists() else []
        bearer = Bearer(
            organisation=network.hub,
            person=f"{network.hub}-{organisation}",
            roles=frozenset(),
            expires=datetime.now(UTC) + timedelta(days=TOKEN_DAYS),
        )
        write_private(file, tokens.renew(self.of(network.hub) / "tokens.json", old, [bearer], until)[0])

    def keep_password(self, organisation: str, password: str) -> None:
        """Replace an organisation's password on the hub in its credentials."""
        self._write_credentials(organisation, self.credentials(organisation) | {"password": password})

    def renew_tokens(self, organisation: str, until: datetime) -> None:
        """Make new tokens for an organisation; the old ones end at `until`."""
        known = self.credentials(organisation)
        minted = self._mint(organisation, old=known["tokens"].values(), until=until)
        self._write_credentials(organisation, known | {"tokens": minted})

    def local_password(self, organisation: str) -> str:
        """The password of the services' user on an organisation's own broker, which the hub never learns."""
        return secret_in(self.of(organisation) / "broker-password")

    def empty(self) -> None:
        """Remove everything of an earlier run."""
        if self.path.exists():
            shutil.rmtree(self.path)

    def _new_credentials(self, organisation: str) -> dict[str, Any]:
        return {"password": secrets.token_urlsafe(SECRET_BYTES), "tokens": self._mint(organisation)}

    def _write_credentials(self, organisation: str, credentials: Mapping[str, Any]) -> None:
        write_private(self.of(organisation) / "credentials.json", json.dumps(credentials, indent=1))

    def _mint(self, organisation: str, *, old: Iterable[str] = (), until: datetime | None = None) -> dict[str, str]:
        expires = datetime.now(UTC) + timedelta(days=TOKEN_DAYS)
        bearers = [
            Bearer(organisation=organisation, person=f"{organisation}-{name}", roles=frozenset(roles), expires=expires)
            for name, roles in ROLES.items()
        ]
        file = self.of(organisation) / "tokens.json"
        return dict(zip(ROLES, tokens.renew(file, old, bearers, until or expires), strict=True))
