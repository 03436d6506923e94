"""Signatures over events: who signs is heard with a right signature only, and all that it says carries one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import kombu
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from process import client, keyed, parked
from thing import Things

from chassis import keysets, profile, secrets, settings, signing
from chassis.admission import Portion, admit, settle
from chassis.crypto import KeyRing
from chassis.floor import Floor
from chassis.incoming import Delivery
from chassis.keysets import SIGNING
from chassis.profile import SIGNATURE_HEADER, Envelope
from chassis.reasons import Reason, Unacceptable
from chassis.settings import Settings
from chassis.testing_live import Place, Publisher, Workshop, delivery, event, eventually, running
from chassis.topology import EVENTS

BODY = b'{"id":"1"}'
SEAMK = "urn:viisikko:seamk:register"


def signing_key(code: str = "seamk") -> OKPKey:
    return OKPKey.import_key(keysets.generate_key(code, SIGNING))


def with_header(signature: str, **members: Any) -> str:
    protected, _, rest = signature.partition(".")
    header = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4))) | members
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode() + "." + rest


def rule(signature: object, key: OKPKey, body: bytes = BODY, content_type: str | None = profile.CONTENT_TYPE) -> str:
    with pytest.raises(Unacceptable) as refused:
        signing.verify(body, content_type, {SIGNATURE_HEADER: signature}, [key], "seamk")
    assert (refused.value.reason, refused.value.field) == (Reason.FORGED, SIGNATURE_HEADER)
    return refused.value.text


def test_a_signature_over_the_same_body_is_taken() -> None:
    key = signing_key()

    signing.verify(
        BODY, profile.CONTENT_TYPE, {SIGNATURE_HEADER: signing.sign(BODY, key)}, [signing_key(), key], "seamk"
    )


def test_a_partners_library_may_call_the_algorithm_by_its_older_name() -> None:
    key = signing_key()
    header, _payload, signature = jws.serialize_compact(
        {"alg": "EdDSA", "kid": key.kid}, BODY, key, algorithms=["EdDSA"]
    ).split(".")

    signing.verify(BODY, profile.CONTENT_TYPE, {SIGNATURE_HEADER: f"{header}..{signature}"}, [key], "seamk")


def test_each_wrong_signature_is_forged_and_its_rule_is_told() -> None:
    key = signing_key()
    good = signing.sign(BODY, key)

    told = {
        "nothing": rule(None, key),
        "bytes": rule(b"x", key),
        "no JWS": rule("x", key),
        "attached": rule(good.replace("..", ".e30."), key),
        "too long": rule(good + "A" * 2000, key),
        "unprotected": rule(with_header(good, alg="none"), key),
        "another family": rule(with_header(good, alg="HS256"), key),
        "critical": rule(with_header(good, b64=False, crit=["b64"]), key),
        "another's key": rule(signing.sign(BODY, signing_key()), key),
        "the right kid on another's": rule(with_header(signing.sign(BODY, signing_key()), kid=key.kid), key),
        "another body": rule(good, key, BODY + b" "),
        "cut": rule(good[:-4], key),
        "binary mode": rule(good, key, content_type="application/json"),
    }

    assert [name for name, text in told.items() if "detached JWS" in text] == [
        "no JWS", "attached", "too long", "unprotected", "another family", "critical",
    ]  # fmt: skip
    assert [name for name, text in told.items() if "does not fit the body" in text] == [
        "the right kid on another's", "another body", "cut",
    ]  # fmt: skip
    assert "names none of seamk's" in told["another's key"]
    assert "structured mode" in told["binary mode"]
    assert "is missing" in told["nothing"] == told["bytes"]


def test_without_the_public_key_the_next_step_is_told() -> None:
    key = signing_key()

    with pytest.raises(Unacceptable, match="put seamk's public keys into the keys folder, then replay"):
        signing.verify(BODY, profile.CONTENT_TYPE, {SIGNATURE_HEADER: signing.sign(BODY, key)}, [], "seamk")


# On a service


@pytest.fixture
def network(tmp_path: Path, offline_place: Place) -> Path:
    """The network's file, where seamk and kunta sign."""
    text = offline_place.network.read_text("utf-8")
    for code in ("seamk", "kunta"):
        text = text.replace(f"[organisations.{code}]\n", f"[organisations.{code}]\nsigns = true\n")
    file = tmp_path / "network.toml"
    file.write_text(text, "utf-8")
    return file


@pytest.fixture
def seamk(tmp_path: Path) -> KeyRing:
    """What seamk signs with."""
    secrets.make(tmp_path / "seamk", tmp_path / "keys", "seamk")
    return KeyRing(tmp_path / "seamk" / "keys.json", tmp_path / "keys")


@pytest.fixture
def signed_workshop(network: Path, offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Things, replace(offline_place, network=network))
    yield made
    made.close()


def signed(envelope: Envelope, keyring: KeyRing, **fields: Any) -> Delivery:
    plain = delivery(envelope)
    return replace(plain, headers={SIGNATURE_HEADER: keyring.sign(plain.body)}, **fields)


def take(workshop: Workshop, *deliveries: Delivery) -> list[tuple[str, str]]:
    """Take raw deliveries; reason and error of what is parked afterwards."""
    assert settle(workshop.floor.transaction, Portion([admit(workshop.floor.home, one) for one in deliveries])) is None
    return [(p["reason"], p["error"]) for p in workshop.floor.home.database["parked"].find()]


def test_an_event_of_one_who_signs_is_applied_where_it_is_signed_rightly(
    signed_workshop: Workshop, seamk: KeyRing
) -> None:
    assert take(signed_workshop, signed(event("thing.made", {"amount": 3}, source=SEAMK), seamk)) == []

    assert signed_workshop.state("thing", "s-1").count == 3


def test_unsigned_binary_and_wrongly_signed_events_of_one_who_signs_are_parked_as_forged(
    signed_workshop: Workshop, seamk: KeyRing
) -> None:
    envelopes = [event("thing.made", {"amount": 3}, source=SEAMK, subject=f"s-{n}") for n in range(3)]
    unsigned = delivery(envelopes[0])
    wrong = replace(signed(envelopes[1], seamk), body=profile.compose(envelopes[2]))
    binary = Delivery(
        body=b'{"amount": 3}',
        routing_key="thing.made.seamk.kunta",
        queue="kunta.test",
        content_type="application/json",
        headers={
            "ce-id": "1",
            "ce-source": SEAMK,
            "ce-specversion": "1.0",
            "ce-type": "fi.viisikko.thing.made.v1",
            "ce-subject": "s-9",
            "ce-time": "2026-11-24T10:00:00Z",
            "ce-destination": "kunta",
            "ce-dataclassification": "pseudonymous",
            SIGNATURE_HEADER: seamk.sign(b'{"amount": 3}'),
        },
    )

    found = take(signed_workshop, unsigned, wrong, binary)

    assert [reason for reason, _error in found] == ["forged"] * 3
    assert {error.split(": ")[0] for _reason, error in found} == {SIGNATURE_HEADER}
    assert signed_workshop.floor.home.database["thing"].count_documents({}) == 0


def test_an_own_event_without_signature_is_forged_too_wherever_it_comes_through(signed_workshop: Workshop) -> None:
    outside = delivery(event("thing.made", {"amount": 3}))
    inside = delivery(event("thing.heard", {"amount": 3}), own=True)

    assert [reason for reason, _error in take(signed_workshop, outside, inside)] == ["forged", "forged"]


def test_the_publisher_in_whose_name_it_came_hears_of_a_forgery(signed_workshop: Workshop) -> None:
    take(signed_workshop, delivery(event("thing.made", {"amount": 3}, source=SEAMK)))

    (word,) = signed_workshop.sent()
    assert (word["destination"], word["data"]["reason"]) == ("seamk", "forged")


def test_others_need_no_signature(signed_workshop: Workshop) -> None:
    assert take(signed_workshop, delivery(event("thing.made", {"amount": 3}, source="urn:viisikko:epky:x"))) == []


@pytest.mark.parametrize(
    ("held", "lacking"), [("enc", "signing key, and this organisation signs"), ("sig", "key to open what is sealed")]
)
def test_a_service_says_at_its_start_which_key_it_lacks(
    network: Path, offline_place: Place, held: str, lacking: str
) -> None:
    environment = replace(offline_place, network=network).environment(1)
    keys = Path(environment["VIISIKKO_SECRETS"]) / "keys.json"
    kept = [key for key in json.loads(keys.read_text())["keys"] if key["use"] == held]
    keys.write_text(json.dumps({"keys": kept}))
    read = settings.read({"chassis": Settings}, environment)

    with pytest.raises(ValueError, match=rf"keys.json holds no {lacking}.*: `viisikko up`"):
        Floor(Things, read["chassis"], None)


# Over a real broker


def test_all_that_a_signing_organisation_sends_carries_its_signature(
    thing_place: Place, network: Path, seamk: KeyRing, publisher: Publisher, database: Any
) -> None:
    place = replace(thing_place, network=network)
    told, counted = (event(name, {"amount": 4}, source=SEAMK) for name in ("thing.told", "thing.made"))

    with running("thing:Things", place), kombu.Connection(place.amqp) as broker:
        channel: Any = broker.channel()
        channel.queue_declare("heard", exclusive=True)
        channel.queue_bind("heard", EVENTS, "thing.counted.kunta.kunta")
        for one in (told, counted):
            body = profile.compose(one)
            publisher.raw(body, one.routing_key, application_headers={SIGNATURE_HEADER: seamk.sign(body)})
        heard = eventually(lambda: channel.basic_get("heard", no_ack=True), what="the own event")
        eventually(lambda: database["thing"].find_one({"_id": "other", "state.count": 4}), what="what it told itself")

        body = heard.body.encode() if isinstance(heard.body, str) else heard.body
        seamk.verify(body, heard.content_type, heard.headers, "kunta")
        assert database["parked"].count_documents({}) == 0


def test_a_signed_event_keeps_its_signature_through_the_ladder_and_a_replay(
    thing_place: Place, network: Path, seamk: KeyRing, publisher: Publisher
) -> None:
    place = replace(thing_place, network=network, more={**thing_place.more, "VIISIKKO_RETRY_SECONDS": "0.1"})
    failing = event("thing.made", {"amount": 13}, source=SEAMK)
    body = profile.compose(failing)

    with running("thing:Things", place) as process:
        publisher.raw(body, failing.routing_key, application_headers={SIGNATURE_HEADER: seamk.sign(body)})
        eventually(lambda: parked(process), what="the failing event")
        assert parked(process) == {"error": 1}

        with client(process, "operator") as http:
            (entry,) = map(json.loads, http.get("/v1/parked/entries").text.splitlines())
            replayed = http.post("/v1/parked/replay", json={"ids": [entry["id"]]}, headers=keyed())
            assert replayed.json()["ids"] == [entry["id"]]
            again = eventually(
                lambda: (found := http.get(f"/v1/parked/{entry['id']}").json())["attempts"] > 1 and found,
                what="the replay that fails again",
            )

        assert (again["reason"], again["status"]) == ("error", "parked")
