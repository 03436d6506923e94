"""Keys and what is done with them: sealing for a destination, references, encrypted fields, derived ids, tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from joserfc import jwe
from joserfc.errors import JoseError

from chassis import signing
from chassis.cloudevents import MAX_BYTES
from chassis.keysets import SEALING, SIGNING, KeySets
from chassis.reasons import Reason, Unacceptable

ALGORITHM = "ECDH-ES"
ENCRYPTION = "A256GCM"
MAX_SEALED = MAX_BYTES
"""Characters of a compact JWE at the most: it travels within an event."""

MAX_HEADER = 8 * 1024
"""Characters of its protected header at the most. The header repeats id, source and subject, whose 200 characters
each (chassis.profile) take 12 bytes in JSON where they are rarest, and a third more in base64."""

_NOT_OURS = "is sealed for another organisation or with a key that is no longer held"
_CHANGED = "was changed, or belongs to another event"

OWN = "c."
"""How an own client id begins; such an id never leaves its organisation."""

PAIR = "r."
"""How a pair's reference begins."""

REMEMBERED = 4096
"""References that are kept at hand in each direction."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKES = str.maketrans("OIL", "011")
_FIELD = 0b100101
_REFERENCE_LENGTH = 7


class KeyRing:
    """What is done with the own private keys and everybody's public ones: sealing and opening, signing and checking."""

    def __init__(self, private: Path, public: Path) -> None:
        """Remember where the keys are.

        Args:
            private: JWK set of the own private keys.
            public: Folder with one ``<organisation>.json`` each.
        """
        self._sets = KeySets(private, public)

    def lacks(self, *, signs: bool) -> str | None:
        """The key that the own set does not hold though it must, in words; None where it has all.

        Args:
            signs: Whether the own organisation signs.
        """
        if not self._sets.own(SEALING):
            return "key to open what is sealed for this organisation"
        return "signing key, and this organisation signs" if signs and not self._sets.own(SIGNING) else None

    def sign(self, body: bytes) -> str:
        """The signature over an own event's body, for its header."""
        return signing.sign(body, self._sets.own(SIGNING)[0])

    def verify(self, body: bytes, content_type: str | None, headers: Mapping[str, object], organisation: str) -> None:
        """Check the signature of an event that an organisation says.

        Raises:
            Unacceptable: It is missing or wrong.
        """
        signing.verify(body, content_type, headers, self._sets.of(organisation, SIGNING), organisation)

    def seal(self, plaintext: bytes, destination: str, *, event_id: str, source: str, subject: str) -> str:
        """Encrypt an event's data for its destination, bound to that event.

        Raises:
            KeyError: There is no public key of the destination.
            Unacceptable: The plaintext is empty or too long, so that no event could carry it.
        """
        if not plaintext:
            raise Unacceptable(Reason.SEALED, "must not be empty where it is personal", field="data")
        keys = self._sets.of(destination, SEALING)
        if not keys:
            raise KeyError(f"no public key of {destination} to seal with: put its key set into the keys folder")
        header = {
            "alg": ALGORITHM,
            "enc": ENCRYPTION,
            "kid": keys[0].kid,
            "id": event_id,
            "source": source,
            "subject": subject,
        }
        sealed = jwe.encrypt_compact(header, plaintext, keys[0], registry=_Registry())
        if len(sealed) > MAX_SEALED:
            rule = f"{len(plaintext)} bytes, which are {len(sealed)} when sealed, and {MAX_SEALED} is the most"
            raise Unacceptable(Reason.TOO_LARGE, rule, field="data")
        return sealed

    def open(self, sealed: str, *, event_id: str, source: str, subject: str) -> bytes:
        """Decrypt an event's data.

        Raises:
            Unacceptable: It is for another, was changed, belongs to another event, or uses another algorithm.
        """
        header = _header(sealed)
        if header.get("alg") != ALGORITHM or header.get("enc") != ENCRYPTION or "zip" in header:
            raise Unacceptable(Reason.SEALED, f"must use {ALGORITHM} and {ENCRYPTION}, uncompressed", field="data")
        key = next((k for k in self._sets.own(SEALING) if k.kid == header.get("kid")), None)
        if key is None:
            raise Unacceptable(Reason.SEALED, _NOT_OURS, field="data")
        if (header.get("id"), header.get("source"), header.get("subject")) != (event_id, source, subject):
            raise Unacceptable(Reason.SEALED, _CHANGED, field="data")
        try:
            opened = jwe.decrypt_compact(sealed, key, registry=_Registry())
        except (JoseError, ValueError, TypeError, KeyError):
            raise Unacceptable(Reason.SEALED, _CHANGED, field="data") from None
        return opened.plaintext or b""


class References:
    """Turns own client ids into the reference of a pair of organisations, and back (contract.md, At the border)."""

    def __init__(self, key: bytes) -> None:
        """Take the home's reference key of 64 bytes, shared by its own services only."""
        self._cipher = AESSIV(key)
        # The events of one client come together, and a reference takes as long as reading a small event.
        self._sealed = lru_cache(REMEMBERED)(self._seal)
        self._opened = lru_cache(REMEMBERED)(self._open)

    def leave(self, client: str, other: str) -> str:
        """The reference that `other` knows an own client by; what is no own client id stays as it is."""
        if not client.startswith(OWN):
            return client
        return self._sealed(client, other)

    def arrive(self, reference: str, other: str) -> str:
        """The own client id behind a reference that `other` says; one that is not ours stays as it is."""
        if not reference.startswith(PAIR):
            return reference
        return self._opened(reference, other)

    def _seal(self, client: str, other: str) -> str:
        return PAIR + _base32(self._cipher.encrypt(client.encode(), [other.encode()]))

    def _open(self, reference: str, other: str) -> str:
        try:
            sealed = _unbase32(reference.removeprefix(PAIR))
            return self._cipher.decrypt(sealed, [other.encode()]).decode()
        except (InvalidTag, ValueError):
            return reference


def client_id(key: bytes, organisation: str, case_number: str) -> str:
    """An own client id: a keyed hash of organisation and case number, so that a second import meets the first."""
    case = " ".join(unicodedata.normalize("NFKC", case_number).casefold().split())
    return OWN + _base32(hmac.digest(key, f"client\0{organisation}\0{case}".encode(), "sha256")[:16])


def short_reference(client: str) -> str:
    """A short reference for people: seven characters of Crockford's base 32 and one to check them."""
    number = int.from_bytes(hashlib.sha256(client.encode()).digest()[:8], "big")
    text = "".join(_CROCKFORD[(number >> 5 * position) & 31] for position in range(_REFERENCE_LENGTH))
    return text + _CROCKFORD[_weighed(text)]


def read_short_reference(text: str) -> str | None:
    """The short reference that somebody wrote down; None where there is a slip in it.

    Every changed character and every swap of two is noticed. Lower case is read as upper case, the letter O as 0, and I
    and L as 1, as Crockford's base 32 has it.
    """
    if len(text) != _REFERENCE_LENGTH + 1 or not text.isascii():
        return None
    read = text.upper().translate(_LOOK_ALIKES)
    known = all(character in _CROCKFORD for character in read)
    return read if known and _weighed(read[:-1]) == _CROCKFORD.index(read[-1]) else None


def _weighed(text: str) -> int:
    # Characters are weighed in the field of 32 elements, GF(2)[x]/(x^5 + x^2 + 1), the last one by x, the one before by
    # x^2 and so on; the check character weighs 1. No weight is zero, so a change is seen; no two are equal, so a swap
    # is seen. (Weights modulo 32 cannot do both: odd ones, which see every change, differ by even ones.)
    total = 0
    for character in text:
        total = (total ^ _CROCKFORD.index(character)) << 1
        total ^= _FIELD if total & 32 else 0
    return total


class FieldCipher:
    """Encrypts personal fields at rest under one aggregate's key."""

    def __init__(self, key: bytes) -> None:
        """Take the aggregate's key of 32 bytes."""
        self._cipher = AESGCM(key)

    @staticmethod
    def new_key() -> bytes:
        """A key for one aggregate."""
        return AESGCM.generate_key(256)

    def encrypt(self, text: bytes, field: str) -> bytes:
        """Encrypt a field's value, bound to the field's name."""
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, text, field.encode())

    def decrypt(self, sealed: bytes, field: str) -> bytes:
        """Decrypt a field's value.

        Raises:
            InvalidTag: Another key, another field, or changed bytes.
        """
        return self._cipher.decrypt(sealed[:12], sealed[12:], field.encode())


def event_id(secret: bytes, cause: str, position: int, at: datetime) -> str:
    """A UUIDv7 (RFC 9562) whose random part is an HMAC of the causing id and the position within its decision."""
    random = int.from_bytes(hmac.digest(secret, f"event\0{cause}\0{position}".encode(), "sha256")[:10], "big")
    milliseconds = int(at.timestamp() * 1000)
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62
    text = f"{value | (random & (2**62 - 1)):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def keyed_hash(secret: bytes, *parts: str | bytes) -> str:
    """A hash under a secret, in hex; parts are told apart by their lengths."""
    digest = hmac.new(secret, digestmod="sha256")
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def token_hash(token: str) -> str:
    """How a token is stored; tokens are long and random, so that a plain hash cannot be searched."""
    return hashlib.sha256(token.encode()).hexdigest()


def find_token(hashed: str, known: Iterable[str]) -> str | None:
    """The known hash that equals `hashed`; takes the same time wherever it stands."""
    found = None
    for candidate in known:
        if hmac.compare_digest(candidate, hashed):
            found = candidate
    return found


class _Registry(jwe.JWERegistry):
    """What a seal may be made of; its header repeats what the usual strict check does not know."""

    max_protected_header_length = MAX_HEADER
    max_ciphertext_length = MAX_SEALED

    def __init__(self) -> None:
        super().__init__(algorithms=[ALGORITHM, ENCRYPTION], strict_check_header=False)


def _header(sealed: str) -> Mapping[str, Any]:
    if len(sealed) > MAX_SEALED:
        raise Unacceptable(Reason.TOO_LARGE, f"a JWE has {MAX_SEALED} characters at the most", field="data")
    header = signing.protected_header(sealed)
    if header is None:
        raise Unacceptable(Reason.SEALED, "must be one compact JWE", field="data")
    return header


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _unbase32(text: str) -> bytes:
    if not re.fullmatch(r"[a-z2-7]+", text):
        raise ValueError("not base32")
    data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    if _base32(data) != text:
        # The last character may hold bits that decoding drops; only one spelling of a reference is the reference.
        raise ValueError("not the one spelling")
    return data
