"""HTTP tokens: opaque, stored hashed, with the organisation, the person, the roles and the expiry behind them."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chassis import crypto
from chassis.logs import log
from chassis.private import write_private

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
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[str, Bearer] = {}

    def bearer(self, token: str, now: datetime) -> Bearer | None:
        """Who is behind a token, or None where it is unknown or has expired."""
        self._refresh()
        found = crypto.find_token(crypto.token_hash(token), self._known)
        bearer = self._known[found] if found else None
        return bearer if bearer and now < bearer.expires else None

    def _refresh(self) -> None:
        try:
            found = self._file.stat()
            seen = found.st_mtime_ns, found.st_ino, found.st_size
            if seen == self._seen:
                return
            self._seen = seen
            self._known = _read(self._file)
        except FileNotFoundError:
            self._known, self._seen = {}, None
        except (OSError, ValueError) as error:
            # Nobody is locked out by a file that somebody breaks while they edit it.
            log.error("tokens.broken", file=self._file.name, error=error, known=len(self._known))


def mint(file: Path, bearers: Iterable[Bearer]) -> list[str]:
    """Add tokens to a file and return them in clear, once: the file keeps only their hashes.

    Raises:
        ValueError: The file holds something else than tokens.
    """
    return renew(file, (), bearers, datetime.max.replace(tzinfo=UTC))


def renew(file: Path, old: Iterable[str], bearers: Iterable[Bearer], until: datetime) -> list[str]:
    """Add tokens to a file, as `mint` does, and let old ones end.

    Args:
        file: The file.
        old: Tokens in clear that are followed by the new ones.
        bearers: Who is behind the new ones.
        until: When the old ones end at the latest, with offset; whoever uses them has until then to take the new ones.

    Raises:
        ValueError: The file holds something else than tokens.
    """
    minted = {secrets.token_urlsafe(TOKEN_BYTES): bearer for bearer in bearers}
    new = {crypto.token_hash(token): bearer for token, bearer in minted.items()}
    ending = {crypto.token_hash(token) for token in old}
    with _locked(file.parent):
        known = _read(file) if file.exists() else {}
        kept = {h: replace(b, expires=min(b.expires, until)) if h in ending else b for h, b in known.items()}
        content = {hashed: _entry(bearer) for hashed, bearer in (kept | new).items()}
        write_private(file, json.dumps(content, indent=1))
    return list(minted)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # The folder, since the file itself is replaced; the lock goes with whoever holds it, however it ends.
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _read(file: Path) -> dict[str, Bearer]:
    try:
        content = json.loads(file.read_text("utf-8"))
        return {hashed: _bearer(entry) for hashed, entry in content.items()}
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError):
        raise ValueError(f"{file} must hold tokens as `viisikko up` writes them") from None


def _entry(bearer: Bearer) -> dict[str, Any]:
    return {
        "organisation": bearer.organisation,
        "person": bearer.person,
        "roles": sorted(bearer.roles),
        "expires": bearer.expires.isoformat(),
    }


def _bearer(entry: Mapping[str, Any]) -> Bearer:
    expires = datetime.fromisoformat(entry["expires"])
    if expires.tzinfo is None:
        raise ValueError("expires: must have an offset")
    return Bearer(
        organisation=entry["organisation"],
        person=entry["person"],
        roles=frozenset(entry["roles"]),
        expires=expires,
    )
