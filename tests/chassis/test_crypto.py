"""Sealing, references, short references, fields at rest and derived ids."""

from __future__ import annotations

import base64
import json
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OKPKey

from chassis import crypto, keysets
from chassis.cloudevents import MAX_BYTES
from chassis.crypto import FieldCipher, KeyRing, References
from chassis.reasons import Reason, Unacceptable

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
EVENT = {"event_id": "1", "source": "urn:viisikko:kunta:intake", "subject": "r-1"}
PLAIN = b'{"name":"Aino"}'

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


class Pair:
    """Two organisations that know each other's public key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private = {code: keysets.generate_key(code) for code in ("kunta", "seamk")}
        for code, key in self.private.items():
            self.write(f"{code}.private.json", key)
            self.write(f"{code}.json", keysets.public_part(key))
        self.kunta = KeyRing(folder / "kunta.private.json", folder)
        self.seamk = KeyRing(folder / "seamk.private.json", folder)

    def write(self, name: str, *keys: dict[str, Any]) -> None:
        (self.folder / name).write_text(json.dumps({"keys": keys}), "utf-8")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def sealed(pair: Pair) -> str:
    return pair.kunta.seal(PLAIN, "seamk", **EVENT)


def header_of(sealed: str) -> dict[str, Any]:
    first = sealed.partition(".")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    return header


def with_header(sealed: str, **members: Any) -> str:
    header = base64.urlsafe_b64encode(json.dumps(header_of(sealed) | members).encode()).rstrip(b"=").decode()
    return ".".join([header, *sealed.split(".")[1:]])


def refusal(ring: KeyRing, sealed: str, **event: str) -> Reason:
    with pytest.raises(Unacceptable) as refused:
        ring.open(sealed, **EVENT | event)
    assert refused.value.field == "data"
    return refused.value.reason


# Sealing


@settings(deadline=None)
@given(plaintext=st.binary(min_size=1, max_size=300), identifier=texts, subject=texts)
def test_what_is_sealed_is_opened_by_its_destination_only(
    pair: Pair, plaintext: bytes, identifier: str, subject: str
) -> None:
    event = {"event_id": identifier, "source": "urn:viisikko:kunta:intake", "subject": subject}

    sealed = pair.kunta.seal(plaintext, "seamk", **event)

    assert pair.seamk.open(sealed, **event) == plaintext
    assert refusal(pair.kunta, sealed, **event) is Reason.SEALED


def test_a_seal_is_what_the_contract_says(pair: Pair, sealed: str) -> None:
    header = header_of(sealed)

    assert (header["alg"], header["enc"]) == ("ECDH-ES", "A256GCM")
    assert header["kid"] == pair.private["seamk"]["kid"]
    assert header["epk"]["crv"] == "X25519"
    assert (header["id"], header["source"], header["subject"]) == tuple(EVENT.values())


def test_the_library_alone_opens_a_seal(pair: Pair, sealed: str) -> None:
    registry = jwe.JWERegistry(algorithms=["ECDH-ES", "A256GCM"], strict_check_header=False)

    opened = jwe.decrypt_compact(sealed, OKPKey.import_key(pair.private["seamk"]), registry=registry)

    assert opened.plaintext == PLAIN


@pytest.mark.parametrize("name", ["event_id", "source", "subject"])
def test_a_seal_opens_for_its_own_event_only(pair: Pair, sealed: str, name: str) -> None:
    assert refusal(pair.seamk, sealed, **{name: "another"}) is Reason.SEALED
    assert refusal(pair.seamk, with_header(sealed, **{name.removeprefix("event_"): "b"})) is Reason.SEALED


@settings(deadline=None)
@given(place=st.integers(0, 10_000), character=st.sampled_from("Aa0-_.=ä\n"))
def test_a_changed_seal_does_not_open(pair: Pair, sealed: str, place: int, character: str) -> None:
    place %= len(sealed)
    changed = sealed[:place] + character + sealed[place + 1 :]
    if changed != sealed:
        assert refusal(pair.seamk, changed) is Reason.SEALED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kty", "crv", "x", "k"]), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(
    name=st.sampled_from(["alg", "enc", "kid", "epk", "zip", "crit", "apu", "apv", "cty", "jwk", "x5c", "b64", "new"]),
    value=json_values
    | st.sampled_from(
        [
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
            {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
            ["exp"],
        ]
    ),
)
def test_a_forged_header_is_refused_and_nothing_else_happens(pair: Pair, sealed: str, name: str, value: Any) -> None:
    assert refusal(pair.seamk, with_header(sealed, **{name: value})) is Reason.SEALED


@settings(deadline=None)
@given(st.text(st.characters(), max_size=60) | st.from_regex(r"\AeyJ[\w-]*(\.[\w-]*){4}\Z"))
def test_random_texts_are_refused(pair: Pair, text: str) -> None:
    assert refusal(pair.seamk, text) is Reason.SEALED


@pytest.mark.parametrize(
    ("name", "value"), [("alg", "dir"), ("alg", "ECDH-ES+A256KW"), ("enc", "A128GCM"), ("zip", "DEF")]
)
def test_other_algorithms_and_compression_are_refused(pair: Pair, sealed: str, name: str, value: str) -> None:
    with pytest.raises(Unacceptable, match="must use ECDH-ES and A256GCM, uncompressed"):
        pair.seamk.open(with_header(sealed, **{name: value}), **EVENT)


def test_a_plaintext_too_long_to_travel_is_refused_when_sealing(pair: Pair) -> None:
    with pytest.raises(
        Unacceptable, match=r"data: 60000 bytes, which are \d+ when sealed, and 65536 is the most"
    ) as refused:
        pair.kunta.seal(b"a" * 60_000, "seamk", **EVENT)

    assert refused.value.reason is Reason.TOO_LARGE


def test_an_empty_plaintext_is_refused_when_sealing(pair: Pair) -> None:
    with pytest.raises(Unacceptable, match="data: must not be empty"):
        pair.kunta.seal(b"", "seamk", **EVENT)


def test_the_longest_plaintext_that_is_sealed_is_opened(pair: Pair) -> None:
    plaintext = b"a" * 48_700

    sealed = pair.kunta.seal(plaintext, "seamk", **EVENT)

    assert MAX_BYTES - 300 < len(sealed) <= MAX_BYTES
    assert pair.seamk.open(sealed, **EVENT) == plaintext


def test_the_longest_and_rarest_ids_of_an_event_fit_a_seal(pair: Pair) -> None:
    event = {"event_id": "\U0001f600" * 200, "source": "urn:viisikko:" + "a" * 100, "subject": "\U0001f600" * 200}

    assert pair.seamk.open(pair.kunta.seal(PLAIN, "seamk", **event), **event) == PLAIN


def test_a_text_longer_than_any_seal_is_refused_unread(pair: Pair) -> None:
    assert refusal(pair.seamk, "a" * (MAX_BYTES + 1)) is Reason.TOO_LARGE


def test_there_is_no_sealing_for_an_organisation_without_a_key(pair: Pair) -> None:
    with pytest.raises(KeyError, match="no public key of sedu"):
        pair.kunta.seal(PLAIN, "sedu", **EVENT)


def test_a_new_key_is_read_when_its_file_changes_and_the_old_one_still_opens(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    before = pair.kunta.seal(PLAIN, "seamk", **EVENT)
    old, new = pair.private["seamk"], keysets.generate_key("seamk")

    pair.write("seamk.json", keysets.public_part(new))
    pair.write("seamk.private.json", new, old)
    for name in ("seamk.json", "seamk.private.json"):
        os.utime(tmp_path / name, ns=(1, 1))
    after = pair.kunta.seal(PLAIN, "seamk", **EVENT)

    assert header_of(after)["kid"] == new["kid"] != old["kid"] == header_of(before)["kid"]
    assert pair.seamk.open(before, **EVENT) == pair.seamk.open(after, **EVENT) == PLAIN


def test_the_public_part_of_a_key_holds_no_private_number() -> None:
    key = keysets.generate_key("kunta")

    assert set(key) - set(keysets.public_part(key)) == {"d"}
    assert key["kid"].startswith("kunta.")


# References


@pytest.fixture(scope="module")
def references() -> References:
    return References(bytes(range(64)))


clients = st.binary(min_size=1, max_size=40).map(lambda key: crypto.client_id(key, "kunta", "1"))
organisations = st.from_regex(r"[a-z]{1,12}", fullmatch=True)


@settings(deadline=None)
@given(client=clients, other=organisations)
def test_a_reference_comes_back_as_the_client_that_left(references: References, client: str, other: str) -> None:
    reference = references.leave(client, other)

    assert reference.startswith(crypto.PAIR)
    assert reference == references.leave(client, other)
    assert references.arrive(reference, other) == client


@settings(deadline=None)
@given(client=clients)
def test_a_reference_is_another_for_each_organisation_and_home(references: References, client: str) -> None:
    reference = references.leave(client, "seamk")

    assert reference != references.leave(client, "sedu")
    assert references.arrive(reference, "sedu") == reference
    assert References(bytes(64)).arrive(reference, "seamk") == reference


@settings(deadline=None)
@given(client=clients, place=st.integers(0, 1000), character=st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_no_other_spelling_of_a_reference_is_ours(
    references: References, client: str, place: int, character: str
) -> None:
    reference = references.leave(client, "seamk")
    place = len(crypto.PAIR) + place % (len(reference) - len(crypto.PAIR))
    changed = reference[:place] + character + reference[place + 1 :]

    assert references.arrive(changed, "seamk") == (client if changed == reference else changed)


def test_no_other_last_character_capitals_or_padding_is_ours(references: References) -> None:
    reference = references.leave(crypto.client_id(b"key", "kunta", "1"), "seamk")
    spelled = {reference[:-1] + character for character in "abcdefghijklmnopqrstuvwxyz234567"} - {reference}

    for other in spelled | {crypto.PAIR + reference[2:].upper(), reference + "=", reference + "\n", reference + "a"}:
        assert references.arrive(other, "seamk") == other


@settings(deadline=None)
@given(text=st.text(max_size=30) | st.from_regex(r"\Ar\.[a-z2-7]{0,90}\Z"))
def test_what_is_no_reference_of_ours_stays_as_it_is(references: References, text: str) -> None:
    assert references.arrive(text, "seamk") == text


@settings(deadline=None)
@given(text=st.text(max_size=30).filter(lambda text: not text.startswith(crypto.OWN)))
def test_what_is_no_own_client_leaves_as_it_is(references: References, text: str) -> None:
    assert references.leave(text, "seamk") == text


def test_a_second_import_of_a_case_meets_the_first() -> None:
    first = crypto.client_id(b"key", "kunta", "AB 12")

    assert first == crypto.client_id(b"key", "kunta", "  ab \u00a012 ")
    assert first not in {
        crypto.client_id(b"key", "kunta", "AB 13"),
        crypto.client_id(b"key", "seamk", "AB 12"),
        crypto.client_id(b"other", "kunta", "AB 12"),
    }


# Short references


def changes(reference: str) -> set[str]:
    return {
        reference[:place] + character + reference[place + 1 :]
        for place in range(len(reference))
        for character in CROCKFORD
    } - {reference}


def swaps(reference: str) -> set[str]:
    swapped = set()
    for first in range(len(reference)):
        for second in range(first + 1, len(reference)):
            characters = list(reference)
            characters[first], characters[second] = characters[second], characters[first]
            swapped.add("".join(characters))
    return swapped - {reference}


@settings(deadline=None, max_examples=30)
@given(texts)
def test_every_single_change_and_every_swap_is_noticed(client: str) -> None:
    reference = crypto.short_reference(client)

    assert crypto.read_short_reference(reference)
    assert not [slip for slip in changes(reference) | swaps(reference) if crypto.read_short_reference(slip)]


def test_every_pair_of_characters_in_every_place_is_told_from_its_swap() -> None:
    unnoticed = []
    for place in range(6):
        for first in CROCKFORD:
            for second in CROCKFORD.replace(first, ""):
                body = "7" * place + first + second + "K" * (5 - place)
                valid = next(body + check for check in CROCKFORD if crypto.read_short_reference(body + check))
                slip = valid[:place] + second + first + valid[place + 2 :]
                unnoticed += [slip] if crypto.read_short_reference(slip) else []

    assert unnoticed == []


@settings(deadline=None)
@given(texts)
def test_a_short_reference_has_eight_characters_and_one_check_character(client: str) -> None:
    reference = crypto.short_reference(client)

    assert len(reference) == 8
    assert set(reference) <= set(CROCKFORD)
    assert [check for check in CROCKFORD if crypto.read_short_reference(reference[:-1] + check)] == [reference[-1]]


@settings(deadline=None)
@given(texts, st.data())
def test_lower_case_and_look_alikes_are_read(client: str, data: st.DataObject) -> None:
    spellings = {"0": "0Oo", "1": "1IiLl"}
    reference = crypto.short_reference(client)

    written = "".join(data.draw(st.sampled_from(spellings.get(c, c + c.lower()))) for c in reference)

    assert crypto.read_short_reference(written) == reference


@settings(deadline=None)
@given(st.text(max_size=9) | st.text("0Uuſßı\u0130*~$=", min_size=8, max_size=8))
def test_any_text_is_a_short_reference_or_not(text: str) -> None:
    read = crypto.read_short_reference(text)

    assert read is None or crypto.read_short_reference(read) == read


@pytest.mark.parametrize("text", ["", "0000000", "000000000", "U0000000", "0000-000", "ſ0000000", "ß000000"])
def test_other_lengths_and_letters_are_no_short_reference(text: str) -> None:
    assert not crypto.read_short_reference(text)


# Fields, ids, tokens


@settings(deadline=None)
@given(st.binary(max_size=100), st.text(max_size=10))
def test_a_field_is_decrypted_with_its_key_and_under_its_name_only(text: bytes, name: str) -> None:
    cipher = FieldCipher(FieldCipher.new_key())

    sealed = cipher.encrypt(text, name)

    assert cipher.decrypt(sealed, name) == text
    assert cipher.encrypt(text, name) != sealed
    for other, field in ((FieldCipher(FieldCipher.new_key()), name), (cipher, name + "x")):
        with pytest.raises(InvalidTag):
            other.decrypt(sealed, field)


@settings(deadline=None)
@given(
    st.binary(min_size=1),
    st.text(),
    st.integers(0, 100),
    st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - UTC is drawn
)
def test_an_events_id_is_a_uuid_of_version_7_that_can_be_derived_again(
    secret: bytes, cause: str, position: int, at: datetime
) -> None:
    derived = crypto.event_id(secret, cause, position, at)

    identifier = uuid.UUID(derived)
    assert (identifier.version, identifier.variant) == (7, uuid.RFC_4122)
    assert str(identifier) == derived == crypto.event_id(secret, cause, position, at)
    assert identifier.int >> 80 == int(at.timestamp() * 1000)
    assert derived != crypto.event_id(secret, cause, position + 1, at)


def test_parts_of_a_keyed_hash_are_told_apart() -> None:
    hashes = {crypto.keyed_hash(b"key", *parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ())}

    assert len(hashes) == 5
    assert crypto.keyed_hash(b"key", "ä") == crypto.keyed_hash(b"key", "ä".encode())


def test_a_token_is_found_by_its_hash() -> None:
    known = [crypto.token_hash(token) for token in ("a", "b", "c")]

    assert crypto.find_token(crypto.token_hash("b"), known) == known[1]
    assert crypto.find_token(crypto.token_hash("d"), known) is None
    assert crypto.find_token("", []) is None
