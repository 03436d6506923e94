"""The folder of an organisation's secrets: private keys, the reference key, the key of derived ids.

Only its owner may read it. Nothing in it has a default, and nothing in it is ever in the repository.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chassis import rotation
from chassis.private import write_private

NEXT = "`viisikko up`, or `prepare` in containers, makes it, or put your own there"

OTHERS = 0o077
REFERENCE_BYTES = 64
ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where an organisation's secrets are, and the two that are held in memory.

    Attributes:
        folder: The folder.
        reference: Key of the references that leave the organisation, 64 bytes.
        ids: Key of derived ids and of hashes of request bodies, 32 bytes.
    """

    folder: Path
    reference: bytes
    ids: bytes

    @property
    def private_keys(self) -> Path:
        """JWK set of the private keys."""
        return self.folder / "keys.json"

    @property
    def tokens(self) -> Path:
        """The HTTP tokens, hashed."""
        return self.folder / "tokens.json"


def read(folder: Path) -> Secrets:
    """Read the folder.

    Raises:
        ValueError: Files are missing, wrong, or open to others; the text has a line for each, with the next step.
    """
    problems: list[str] = []
    reference = _key(folder / "reference.key", REFERENCE_BYTES, problems)
    ids = _key(folder / "ids.key", ID_BYTES, problems)
    found = Secrets(folder, reference, ids)
    _text(found.private_keys, problems)
    if found.tokens.exists():
        _text(found.tokens, problems)
    if problems:
        raise ValueError("\n".join(problems))
    return found


def make(folder: Path, public: Path, organisation: str) -> Secrets:
    """Make what is missing in an organisation's folder, and its public keys in the network's.

    Args:
        folder: The organisation's own folder; it and its files become readable by their owner only.
        public: The network's folder of public keys.
        organisation: The organisation's code.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # One that stood there already may be open to everybody.
    folder.chmod(0o700)
    public.mkdir(parents=True, exist_ok=True)
    for name, size in (("reference.key", REFERENCE_BYTES), ("ids.key", ID_BYTES)):
        if not (folder / name).exists():
            write_private(folder / name, secrets.token_hex(size))
    rotation.make(folder / "keys.json", public / f"{organisation}.json", organisation)
    return read(folder)


def _key(path: Path, size: int, problems: list[str]) -> bytes:
    text = _text(path, problems)
    with suppress(ValueError):
        key = bytes.fromhex((text or "").strip())
        if len(key) == size:
            return key
    if text is not None:
        problems.append(f"{path} must hold {size} bytes in hex")
    return b""


def _text(path: Path, problems: list[str]) -> str | None:
    try:
        if path.stat().st_mode & OTHERS:
            problems.append(f"{path} may be read or written by others than its owner: chmod 600 {path}")
        return path.read_text("utf-8")
    except FileNotFoundError:
        problems.append(f"{path} is missing: {NEXT}")
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{path} must be a text")
    return None
