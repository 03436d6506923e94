"""Signatures over events: a detached JWS (RFC 7515, appendix F) over the raw body, in a header.

An organisation signs where network.toml says ``signs = true``. The broker guarantees in whose name an event comes; a
signature guarantees it against whoever runs the broker.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from chassis.cloudevents import is_structured
from chassis.profile import SIGNATURE_HEADER
from chassis.reasons import Reason, Unacceptable

ALGORITHM = "Ed25519"
ALGORITHMS = frozenset({ALGORITHM, "EdDSA"})
"""The same algorithm by its own name (RFC 9864) and by the older one of its family, which partners' libraries use."""

MAX_SIGNATURE = 1024
"""Characters of a detached JWS at the most; one of ours has about 180."""

_DETACHED = "must be a detached JWS, <header>..<signature>, with alg Ed25519 or EdDSA and the kid of a signing key"


def sign(body: bytes, key: OKPKey) -> str:
    """The detached JWS of a body."""
    header = {"alg": ALGORITHM, "kid": key.kid}
    protected, _payload, signature = jws.serialize_compact(header, body, key, registry=_REGISTRY).split(".")
    return f"{protected}..{signature}"


def verify(
    body: bytes, content_type: str | None, headers: Mapping[str, object], known: Sequence[OKPKey], organisation: str
) -> None:
    """Check that an event is what its organisation has signed.

    Args:
        body: The raw body.
        content_type: The AMQP property; only structured mode has all of an event in the body.
        headers: The headers that may be read.
        known: The organisation's public signing keys.
        organisation: Its code.

    Raises:
        Unacceptable: It is not signed, not signed rightly, or not signed as a whole; always as ``forged``.
    """
    signature = headers.get(SIGNATURE_HEADER)
    if not isinstance(signature, str):
        raise _forged(f"is missing, and {organisation} signs all its events")
    if not is_structured(content_type):
        rule = "covers the body only: what is signed must come in structured mode, as application/cloudevents+json"
        raise _forged(rule)
    header = _header(signature)
    if not known:
        raise _forged(f"cannot be checked: put {organisation}'s public keys into the keys folder, then replay this")
    key = next((key for key in known if key.kid == header.get("kid")), None)
    if key is None:
        raise _forged(f"names none of {organisation}'s signing keys that are known here")
    try:
        jws.deserialize_compact(signature, key, registry=_REGISTRY, payload=body)
    except (JoseError, ValueError, TypeError, KeyError):
        raise _forged("does not fit the body") from None


class _Registry(jws.JWSRegistry):
    """The one algorithm under both its names; the library would warn of the older at every event."""

    def get_alg(self, name: str) -> Any:
        """The algorithm, which `_header` has allowed already."""
        return self.algorithms[name]


_REGISTRY = _Registry()


def protected_header(compact: str) -> dict[str, Any] | None:
    """The protected header of a compact JWS or JWE, which nobody has checked yet; None where it is none."""
    first = compact.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) else None


def _header(signature: str) -> Mapping[str, Any]:
    header, rest = protected_header(signature), signature.partition(".")[2]
    if header is None or not rest.startswith(".") or len(signature) > MAX_SIGNATURE:
        raise _forged(_DETACHED)
    # `crit` asks for rules that this network does not have, such as an unencoded payload (RFC 7797).
    if header.get("alg") not in ALGORITHMS or "crit" in header:
        raise _forged(_DETACHED)
    return header


def _forged(rule: str) -> Unacceptable:
    return Unacceptable(Reason.FORGED, rule, field=SIGNATURE_HEADER)
