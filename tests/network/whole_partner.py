"""A partner's own program in Node, written from deploy/contract alone (folder `partner`), takes part as a guest."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from event_acts import PERSON, encoded
from parts import Parts, example, refer
from tally import Tally

from chassis import strictjson
from chassis.crypto import KeyRing
from chassis.profile import CONTENT_TYPE
from chassis.testing_live import eventually
from console.demo.day import FORMS, Day
from console.demo.show import Show
from console.join import pack
from console.nodes.processes import Process

PROGRAM = Path(__file__).parent / "partner"
HOME, SCHOOL = "kunta", "opisto"
OFFERINGS = {f"{SCHOOL}.{one['id']}" for one in json.loads((PROGRAM / "offerings.json").read_text("utf-8"))}
SECONDS = 60


class Partner:
    """The program, with what the hub's operator hands over to a guest and nothing else of the network."""

    def __init__(self, whole: Parts, folder: Path) -> None:
        pack(SCHOOL, whole.file, whole.region.folder.path, None, folder / "package")
        self._register = folder / "register.json"
        environment = {
            "PATH": os.environ["PATH"],
            "CODE": SCHOOL,
            "HUB_URI": str(folder / "package" / "hub-uri"),
            "HUB_CA": str(folder / "package" / "ca.pem"),
            "KEYS": str((whole.region.folder.of(SCHOOL) / "keys.json").absolute()),
            "REGISTER": str(self._register),
            "OFFERINGS": str(PROGRAM / "offerings.json"),
        }
        command = ["node", str(PROGRAM / "index.js")]
        self.process = Process("partner", command, folder=folder, environment=environment)

    def kept(self) -> Mapping[str, Any]:
        """Its register."""
        if not self._register.exists():
            return {"refused": [], "referrals": {}}
        found: dict[str, Any] = json.loads(self._register.read_text("utf-8"))
        return found


@pytest.fixture(scope="module")
def clients(whole: Parts) -> list[str]:
    """Clients of the home; those of the day, which is played where it was not yet."""
    found = [one["id"] for one in whole.reach.api(HOME, "intake", "coach").lines("/v1/clients")]
    schools = {code: FORMS[code] for code in ("seamk", "sedu", "epky")}
    return found or Day(whole.reach, whole.region.network, Show(silent=True), schools).play(None)


@pytest.fixture(scope="module")
def partner(whole: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partner]:
    made = Partner(whole, tmp_path_factory.mktemp("partner"))
    made.process.start()
    yield made
    made.process.stop()


def test_its_offerings_stand_in_every_copy(whole: Parts, partner: Partner) -> None:
    assert partner.process.running
    for copy in whole.reach.runs("catalogue"):
        api = whole.reach.api(copy, "catalogue", "operator")

        def known(api: Any = api) -> bool:
            return {one["subject"] for one in api.lines("/v1/offerings", provider=SCHOOL)} == OFFERINGS

        eventually(known, seconds=SECONDS, what=f"the partner's offerings at {copy}")


def test_it_takes_on_whom_a_coach_refers_and_opens_name_and_contact(
    whole: Parts, partner: Partner, clients: list[str], tally: Tally
) -> None:
    referral = refer(whole, clients[0], SCHOOL, min(OFFERINGS))

    eventually(lambda: stands(whole, referral) == "in-progress", seconds=SECONDS, what="the start at home")

    contact = eventually(lambda: contact_of(partner, referral), seconds=SECONDS, what="the contact at the school")
    client = whole.reach.api(HOME, "intake", "coach").get(f"/v1/clients/{clients[0]}", why="test")
    assert (contact["given"], contact["family"]) == (client["given"], client["family"])
    assert client["family"] not in partner.process.log.read_text("utf-8")
    tally.note("partner in Node: its offerings in every copy, a referral accepted and started, the contact opened")


def test_what_was_said_while_it_was_away_is_answered_when_it_is_back(
    whole: Parts, partner: Partner, clients: list[str]
) -> None:
    partner.process.kill()
    referral = refer(whole, clients[1], SCHOOL, min(OFFERINGS))
    eventually(lambda: whole.waiting("verkko", f"{SCHOOL}.mailbox") > 0, seconds=SECONDS, what="the mailbox")

    partner.process.start()

    eventually(lambda: contact_of(partner, referral), seconds=SECONDS, what="the contact at the school")
    assert stands(whole, referral) == "in-progress"


def test_it_puts_aside_what_is_forged_or_sealed_for_another(whole: Parts, partner: Partner) -> None:
    before = len(partner.kept()["refused"])
    # The header brings it into the mailbox past the rights of whoever says it.
    copied = request(source="urn:viisikko:kunta:referral")
    publish(whole, "epky", copied, f"doctor.asked.epky.{HOME}", {"CC": [f"referral.requested.epky.{SCHOOL}"]})
    another = disclosed(whole, "seamk")
    publish(whole, HOME, another, f"client.disclosed.{HOME}.{SCHOOL}")

    eventually(lambda: len(partner.kept()["refused"]) == before + 2, seconds=SECONDS, what="two refused")

    reasons = {one["reason"] for one in partner.kept()["refused"][before:]}
    assert reasons == {
        "routing key: must agree with type, source and destination",
        "data: is sealed for another, or for another event",
    }
    assert copied["subject"] not in partner.kept()["referrals"]


def stands(whole: Parts, referral: str) -> str:
    found = whole.reach.api(HOME, "referral", "coach").get(f"/v1/referrals/{HOME}/{referral}")
    return str(found["status"])


def contact_of(partner: Partner, referral: str) -> Any:
    return partner.kept()["referrals"].get(referral, {}).get("contact")


def request(**changes: str) -> dict[str, Any]:
    """A referral to the school, in a fresh event."""
    event = example("referral.requested")
    now = datetime.now(UTC).isoformat()
    return event | {"id": str(uuid.uuid4()), "subject": str(uuid.uuid4()), "time": now, "destination": SCHOOL} | changes


def disclosed(whole: Parts, to: str) -> dict[str, Any]:
    """A person whom the home has sealed for somebody, in an event for the school."""
    event = example("client.disclosed")
    event |= {"id": str(uuid.uuid4()), "time": datetime.now(UTC).isoformat(), "destination": SCHOOL}
    folder = whole.region.folder
    ring = KeyRing(folder.of(HOME) / "keys.json", folder.keys)
    about = {"event_id": event["id"], "source": event["source"], "subject": event["subject"]}
    return event | {"data": ring.seal(strictjson.dumps(PERSON), to, **about)}


def publish(
    whole: Parts, code: str, event: Mapping[str, Any], key: str, headers: Mapping[str, Any] | None = None
) -> None:
    """Publish as an organisation's own user on its broker."""
    with whole.reach.partner(code) as speaker:
        speaker.publish_raw(encoded(event), key, CONTENT_TYPE, headers)
