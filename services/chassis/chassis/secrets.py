"""The folder of an organisation's secrets: private keys, the reference key, the key of derived ids.

Only its owner may read it. Nothing in it has a default, and nothing in it is ever in the repository.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from chassis import crypto

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
        ValueError: A file is missing or has the wrong length; the text names it and the next step.
    """
    reference = _key(folder / "reference.key", REFERENCE_BYTES)
    return Secrets(folder, reference, _key(folder / "ids.key", ID_BYTES))


def make(folder: Path, public: Path, organisation: str) -> Secrets:
    """Make what is missing in an organisation's folder, and its public keys in the network's.

    Args:
        folder: The organisation's own folder; it and its files become readable by their owner only.
        public: The network's folder of public keys.
        organisation: The organisation's code.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    public.mkdir(parents=True, exist_ok=True)
    for name, size in (("reference.key", REFERENCE_BYTES), ("ids.key", ID_BYTES)):
        if not (folder / name).exists():
            write_private(folder / name, secrets.token_hex(size))
    keys = folder / "keys.json"
    if not keys.exists():
        write_private(keys, json.dumps({"keys": [crypto.generate_key(organisation)]}, indent=1))
    private = json.loads(keys.read_text())["keys"]
    known = {"keys": [crypto.public_part(key) for key in private]}
    (public / f"{organisation}.json").write_text(json.dumps(known, indent=1))
    return read(folder)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _key(path: Path, size: int) -> bytes:
    try:
        key = bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: `viisikko up` makes it, or put your own there") from None
    except ValueError:
        raise ValueError(f"{path} must hold {size} bytes in hex") from None
    if len(key) != size:
        raise ValueError(f"{path} must hold {size} bytes in hex")
    return key
