"""Making and changing an organisation's keys so that nothing fails meanwhile.

A set of keys is used from its front: the first of a curve seals and signs, the others still open and are still known.
So a new key comes in behind, is made known to everybody, and only then moves to the front; the old one stays until all
that may have been sealed or signed with it has arrived or expired.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chassis.keysets import RETIRED, SEALING, SIGNING, generate_key, public_part
from chassis.private import write_private, write_public
from chassis.topology import MAILBOX_DAYS

KEPT = timedelta(days=MAILBOX_DAYS + 30)
"""For how long a key that is no longer used is still held: longer than anything waits in a mailbox or between brokers,
and then some for what waits in a parking lot."""

Key = dict[str, Any]


def make(private: Path, public: Path, organisation: str) -> None:
    """Make the keys that are missing, and the public set.

    Args:
        private: File of the private keys; readable by its owner only.
        public: File of the public ones.
        organisation: The organisation's code.
    """
    _change(private, public, lambda keys: [*keys, *_missing(keys, organisation)])


def prepare(private: Path, public: Path, organisation: str) -> Sequence[str]:
    """Bring in a new key of each curve behind the used ones; where one waits there already, none is made.

    Returns:
        Their ids. They are used by nobody until `use`; everybody must hold the public set before.
    """

    def changed(keys: list[Key]) -> list[Key]:
        curves = [curve for curve in (SEALING, SIGNING) if not _waiting(keys, curve)]
        return [*keys, *(generate_key(organisation, curve) for curve in curves)]

    keys = _change(private, public, changed)
    return [key["kid"] for curve in (SEALING, SIGNING) for key in _waiting(keys, curve)]


def use(private: Path, public: Path, now: datetime) -> Sequence[str]:
    """Move the keys that wait to the front, and drop those that have been retired for longer than `KEPT`.

    Returns:
        Ids of the keys that are used from now on.
    """

    def changed(keys: list[Key]) -> list[Key]:
        waiting = [key for curve in (SEALING, SIGNING) for key in _waiting(keys, curve)[:1]]
        curves = {key["crv"] for key in waiting}
        old = [_retired(key, now) if key["crv"] in curves else key for key in keys if key not in waiting]
        return [*waiting, *(key for key in old if not _is_over(key, now))]

    keys = _change(private, public, changed)
    return [_of(keys, curve)[0]["kid"] for curve in (SEALING, SIGNING)]


def _change(private: Path, public: Path, change: Callable[[list[Key]], list[Key]]) -> list[Key]:
    keys: list[Key] = json.loads(private.read_text("utf-8"))["keys"] if private.exists() else []
    changed = change(keys)
    # The private set comes first: nobody may seal with a key before its owner holds it.
    if changed != keys:
        write_private(private, json.dumps({"keys": changed}, indent=1))
    write_public(public, json.dumps({"keys": [public_part(key) for key in changed]}, indent=1))
    return changed


def _missing(keys: Iterable[Key], organisation: str) -> list[Key]:
    held = {key.get("crv") for key in keys}
    return [generate_key(organisation, curve) for curve in (SEALING, SIGNING) if curve not in held]


def _of(keys: Iterable[Key], curve: str) -> list[Key]:
    return [key for key in keys if key.get("crv") == curve]


def _waiting(keys: Iterable[Key], curve: str) -> list[Key]:
    """Keys behind the used one that have not been used yet."""
    return [key for key in _of(keys, curve)[1:] if RETIRED not in key]


def _retired(key: Key, now: datetime) -> Key:
    return key if RETIRED in key else key | {RETIRED: now.isoformat()}


def _is_over(key: Key, now: datetime) -> bool:
    return RETIRED in key and datetime.fromisoformat(key[RETIRED]) + KEPT < now
