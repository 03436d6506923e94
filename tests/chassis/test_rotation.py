"""Key sets that change while they are used: a new key is known to everybody before anybody uses it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis import profile, rotation
from chassis.crypto import KeyRing
from chassis.keysets import KeySets
from chassis.profile import SIGNATURE_HEADER
from chassis.reasons import Reason, Unacceptable

EVENT = {"event_id": "1", "source": "urn:viisikko:kunta:intake", "subject": "r-1"}
PLAIN = b'{"name":"Aino"}'
BODY = b'{"id":"1"}'
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Folders:
    """kunta and seamk, each with its private set, and both public ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private = folder / "seamk.private.json"
        self.public = folder / "seamk.json"
        rotation.make(self.private, self.public, "seamk")
        rotation.make(folder / "kunta.private.json", folder / "kunta.json", "kunta")
        self.kunta = KeyRing(folder / "kunta.private.json", folder)
        self.seamk = KeyRing(self.private, folder)

    def seal(self) -> str:
        return self.kunta.seal(PLAIN, "seamk", **EVENT)

    def open(self, sealed: str) -> bytes:
        return self.seamk.open(sealed, **EVENT)

    def verify(self, signature: str) -> None:
        self.kunta.verify(BODY, profile.CONTENT_TYPE, {SIGNATURE_HEADER: signature}, "seamk")

    def held(self) -> list[str]:
        return [key["kid"] for key in content(self.private)]


def content(file: Path) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = json.loads(file.read_text())["keys"]
    return keys


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_a_new_set_has_one_key_to_seal_and_one_to_sign_with_and_making_again_changes_nothing(folders: Folders) -> None:
    before = content(folders.private)

    rotation.make(folders.private, folders.public, "seamk")

    assert [key["use"] for key in content(folders.public)] == ["enc", "sig"]
    assert content(folders.private) == before
    assert not any("d" in key for key in content(folders.public))


def test_a_set_from_before_there_were_signatures_gets_its_signing_key(folders: Folders) -> None:
    sealing = content(folders.private)[0]
    folders.private.write_text(json.dumps({"keys": [sealing]}))

    rotation.make(folders.private, folders.public, "seamk")

    assert [key["use"] for key in content(folders.private)] == ["enc", "sig"]
    assert content(folders.private)[0] == sealing


def test_at_every_step_of_a_rotation_all_that_is_under_way_can_be_opened_and_checked(folders: Folders) -> None:
    sealed, signed = [folders.seal()], [folders.seamk.sign(BODY)]

    rotation.prepare(folders.private, folders.public, "seamk")
    sealed.append(folders.seal())
    signed.append(folders.seamk.sign(BODY))
    rotation.use(folders.private, folders.public, NOW)
    sealed.append(folders.seal())
    signed.append(folders.seamk.sign(BODY))

    assert [folders.open(one) for one in sealed] == [PLAIN] * 3
    for signature in signed:
        folders.verify(signature)


def test_a_prepared_key_is_held_and_known_but_used_by_nobody(folders: Folders) -> None:
    used = folders.held()

    prepared = rotation.prepare(folders.private, folders.public, "seamk")

    assert [key["kid"] for key in content(folders.public)] == folders.held() == [*used, *prepared]
    assert prepared == rotation.prepare(folders.private, folders.public, "seamk")


def test_from_its_use_on_the_new_key_stands_first_and_the_old_one_is_known_to_be_retired(folders: Folders) -> None:
    used = folders.held()
    prepared = rotation.prepare(folders.private, folders.public, "seamk")

    now_used = rotation.use(folders.private, folders.public, NOW)

    assert now_used == prepared
    assert folders.held() == [*prepared, *used]
    assert [key.get("retired") for key in content(folders.private)] == [None, None, *[NOW.isoformat()] * 2]
    assert "retired" not in folders.public.read_text()


def test_a_retired_key_is_dropped_when_nothing_can_be_under_way_with_it(folders: Folders) -> None:
    old = folders.seal()
    for at in (NOW, NOW + rotation.KEPT, NOW + rotation.KEPT + timedelta(seconds=1)):
        rotation.prepare(folders.private, folders.public, "seamk")
        rotation.use(folders.private, folders.public, at)

    assert len(folders.held()) == 6
    with pytest.raises(Unacceptable) as refused:
        folders.open(old)
    assert refused.value.reason is Reason.SEALED


def test_use_without_a_prepared_key_keeps_what_is_used(folders: Folders) -> None:
    used = folders.held()

    assert rotation.use(folders.private, folders.public, NOW) == used == folders.held()


@pytest.mark.parametrize("broken", [b"", b"{", b'{"keys": [{"kty": "OKP", "crv": "X25519"}]}', b'{"keys": 5}', b"\xff"])
def test_a_set_that_somebody_breaks_stays_as_it_was_known(folders: Folders, broken: bytes) -> None:
    sealed = folders.seal()
    folders.open(sealed)

    folders.private.write_bytes(broken)
    folders.public.write_bytes(broken)

    assert folders.open(sealed) == folders.open(folders.seal()) == PLAIN


def test_a_set_that_is_taken_away_stays_as_it_was_known_and_is_read_when_it_is_back(folders: Folders) -> None:
    sealed, kept = folders.seal(), folders.private.read_text()
    folders.open(sealed)

    folders.private.unlink()

    assert folders.open(sealed) == PLAIN
    folders.private.write_text(kept)
    assert folders.open(sealed) == PLAIN


def test_keys_of_other_kinds_in_a_set_are_passed_over(folders: Folders) -> None:
    folders.public.write_text(json.dumps({"keys": [{"kty": "EC", "crv": "P-256"}, *content(folders.public)]}))

    assert len(KeySets(folders.private, folders.folder).of("seamk", "X25519")) == 1
