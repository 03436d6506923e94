"""Key sets in files (RFC 7517): the own private keys, and everybody's public ones; read again when they change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from chassis.logs import log

SEALING = "X25519"
"""The curve of keys that data is sealed for (RFC 8037)."""

SIGNING = "Ed25519"
"""The curve of keys that events are signed with (RFC 8037)."""

RETIRED = "retired"
"""Member of a private key that says since when it is no longer used, as a time with offset; nobody else sees it."""

_USES = {SEALING: "enc", SIGNING: "sig"}
_PRIVATE = ("d", RETIRED)


def generate_key(organisation: str, curve: str = SEALING) -> dict[str, Any]:
    """A new private key as JWK; its ``kid`` names the organisation and hashes the key (RFC 7638)."""
    key = OKPKey.generate_key("Ed25519" if curve == SIGNING else "X25519")
    members = dict(key.as_dict(private=True))
    return members | {"kid": f"{organisation}.{key.thumbprint()[:16]}", "use": _USES[curve]}


def public_part(private: Mapping[str, Any]) -> dict[str, Any]:
    """What others may know of a private JWK."""
    return {name: value for name, value in private.items() if name not in _PRIVATE}


@dataclass(slots=True)
class _File:
    """What a file held when it was last read."""

    seen: tuple[int, int, int] | None
    keys: Sequence[OKPKey]


class KeySets:
    """The key sets that one service needs.

    In each set the first key of a curve is the one to seal or sign with; further ones are old keys, or new ones that
    are not used yet. A set that somebody breaks or takes away while the service runs stays as it was last known: what
    arrives meanwhile would all be parked.
    """

    def __init__(self, private: Path, public: Path) -> None:
        """Remember where the keys are; files are read when first needed and again when they change.

        Args:
            private: JWK set of the own private keys.
            public: Folder with one ``<organisation>.json`` each.
        """
        self._private = private
        self._public = public
        self._files: dict[Path, _File] = {}

    def own(self, curve: str) -> list[OKPKey]:
        """The own private keys of a curve."""
        return self._keys(self._private, curve)

    def of(self, organisation: str, curve: str) -> list[OKPKey]:
        """An organisation's public keys of a curve; none where its set is not here."""
        return self._keys(self._public / f"{organisation}.json", curve)

    def _keys(self, path: Path, curve: str) -> list[OKPKey]:
        file = self._files.setdefault(path, _File(None, ()))
        try:
            found = path.stat()
            seen = found.st_mtime_ns, found.st_ino, found.st_size
            if seen != file.seen:
                file.seen = seen
                file.keys = _read(path)
        except FileNotFoundError:
            file.seen = None
        except (OSError, ValueError) as error:
            log.error("keys.broken", file=path.name, error=error, known=len(file.keys))
        return [key for key in file.keys if key.get("crv") == curve]


def _read(path: Path) -> list[OKPKey]:
    try:
        members = json.loads(path.read_text("utf-8"))["keys"]
        # Of a set, keys of kinds that one does not know are passed over (RFC 7517, 5).
        return [OKPKey.import_key(member) for member in members if member.get("crv") in _USES]
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError, JoseError):
        raise ValueError(f"{path.name} must hold a set of JSON web keys (RFC 7517)") from None
