"""HTTP tokens: opaque, stored hashed, with the organisation, the person, the roles and the expiry behind them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from chassis import crypto
from chassis.secrets import write_private

ROLES = ("coach", "counsellor", "assessor", "operator", "system")
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Who is behind a token.

    Attributes:
        organisation: Code of the organisation.
        person: Staff id.
        roles: What they may do.
        expires: Until when, with offset.
    """

    organisation: str
    person: str
    roles: frozenset[str]
    expires: datetime


class Tokens:
    """The tokens of one organisation's file; read again when it changes."""

    def __init__(self, file: Path) -> None:
        """Remember the file; one that is missing knows nobody."""
        self._file = file
        self._changed = 0
        self._known: dict[str, Bearer] = {}

    def bearer(self, token: str, now: datetime) -> Bearer | None:
        """Who is behind a token, or None where it is unknown or has expired."""
        self._refresh()
        found = crypto.find_token(crypto.token_hash(token), self._known)
        bearer = self._known[found] if found else None
        return bearer if bearer and now < bearer.expires else None

    def _refresh(self) -> None:
        try:
            changed = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            self._known, self._changed = {}, 0
            return
        if changed != self._changed:
            content = json.loads(self._file.read_text("utf-8"))
            self._known = {hashed: _bearer(entry) for hashed, entry in content.items()}
            self._changed = changed


def mint(file: Path, bearers: Iterable[Bearer]) -> list[str]:
    """Add tokens to a file and return them in clear, once: the file keeps only their hashes."""
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    minted = []
    for bearer in bearers:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        minted.append(token)
        known[crypto.token_hash(token)] = {
            "organisation": bearer.organisation,
            "person": bearer.person,
            "roles": sorted(bearer.roles),
            "expires": bearer.expires.isoformat(),
        }
    write_private(file, json.dumps(known, indent=1))
    return minted


def _bearer(entry: Mapping[str, Any]) -> Bearer:
    return Bearer(
        organisation=entry["organisation"],
        person=entry["person"],
        roles=frozenset(entry["roles"]),
        expires=datetime.fromisoformat(entry["expires"]),
    )
