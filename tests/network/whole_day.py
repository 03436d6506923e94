"""The main job across four brokers, and what the hub can see of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from memory import pss_mebibytes
from parts import Parts, refer
from personal import in_clear, of_clients
from seen import longest_common, on_disk, opaque, waiting
from tally import Tally
from tape import Tape

from chassis.testing_live import eventually
from console.api import Api
from console.demo import journeys
from console.demo.day import FORMS, Day
from console.demo.journeys import HOME, Home
from console.demo.show import Show

SCHOOLS = ("seamk", "sedu", "epky")
"""Two own parts and a guest; the other guest has a program of its own (whole_partner.py)."""

GOAL_MEBIBYTES = 1536
GOAL_SECONDS = 90
"""A school's old PC should do."""

MARK = "a mark that is in clear"
COMMON = 6
"""Characters that two references do not have in common by chance: they are of 32 letters each."""


@pytest.fixture(scope="module")
def tape(whole: Parts) -> Iterator[Tape]:
    with Tape(whole.region.broker) as made:
        yield made


@pytest.fixture(scope="module")
def clients(whole: Parts, tape: Tape) -> list[str]:
    """The day is played while the tape runs; its clients."""
    assert tape.runs
    forms = {code: FORMS[code] for code in SCHOOLS}
    return Day(whole.reach, whole.region.network, Show(silent=True), forms).play(None)


def test_an_own_part_is_soon_there(whole: Parts, tally: Tally) -> None:
    site = whole.region.sites.parts["seamk"]
    services = [running for running in whole.region.services if running.organisation == "seamk"]
    for running in services:
        running.process.stop()
    site.stop()

    began = time.monotonic()
    site.store.start()
    site.broker.start()
    for running in services:
        running.process.start()
    eventually(lambda: all(running.ready() for running in services), seconds=GOAL_SECONDS, what="the part's services")
    seconds = time.monotonic() - began
    tally.note(f"own part of seamk: broker, store and {len(services)} services ready in {seconds:.0f} s")


def test_an_own_part_stays_small_at_work(whole: Parts, clients: list[str], tally: Tally) -> None:
    assert clients
    for code, site in whole.region.sites.parts.items():
        services = [running.process.pid for running in whole.region.services if running.organisation == code]

        used = pss_mebibytes([site.broker.pid, site.store.pid, *services])

        tally.note(f"own part of {code}: {used:.0f} MiB after the day, {len(services)} services among them")
        assert used < GOAL_MEBIBYTES


def test_the_main_job_runs_across_four_brokers_to_acceptances_at_all(
    whole: Parts, clients: list[str], tally: Tally
) -> None:
    home = Home.of(whole.reach)

    found = [journeys.read(home, client) for client in clients]

    assert list(journeys.faults(found, whole.region.mail.folder / "maildir")) == []
    accepted = {r["to"] for journey in found for r in journey["referrals"] if r["status"] == "accepted"}
    assert accepted >= set(SCHOOLS)
    assert [f"{name}: {group}" for name, group in whole.reach.parked() if group] == []
    tally.note(f"main job: {len(clients)} clients, accepted at {', '.join(sorted(accepted))}")


def test_what_waits_at_the_hub_and_all_that_passed_it_shows_nothing_personal(
    whole: Parts, tape: Tape, clients: list[str], tally: Tally
) -> None:
    referral = refer(whole, clients[1], "seamk", "seamk.any")
    wait_for(whole, "seamk", referral)
    # The acceptance waits at the hub until the school's link is cut; so the sealed name then waits there too.
    whole.cables[HOME].cut()
    accept(whole, "seamk", referral)
    eventually(lambda: b"referral.accepted" in waiting(whole), seconds=60, what="the acceptance at the hub")
    whole.cables["seamk"].cut()
    with whole.reach.partner("verkko") as operator:
        operator.publish_raw(f'{{"text": "{MARK}"}}'.encode(), "mark.made.verkko.seamk")
    whole.cables[HOME].mend()
    eventually(lambda: b"client.disclosed" in waiting(whole), seconds=60, what="the sealed name at the hub")

    trace = b"\n".join(one.body + one.about.encode() for one in list(tape.heard))
    queues, disk = waiting(whole), on_disk(whole.region.broker.folder)

    whole.cables["seamk"].mend()
    contact = f"/v1/referrals/{HOME}/{referral}/contact"
    eventually(lambda: school(whole, "seamk").find(contact, why="test"), seconds=60, what="the name at the school")
    # The mark shows that what is in clear would be found in each of the three.
    stored = b"".join(disk.values())
    assert [bool(in_clear(content, [MARK])) for content in (trace, queues, stored)] == [True] * 3
    seen = {"trace": trace, "queues": queues, **disk}
    personal = {place: clear for place, content in seen.items() if (clear := in_clear(content, of_clients()))}
    tally.personal(len(personal))
    tally.note(
        f"looked at: {len(tape.heard):,} messages traced at the hub, {len(queues):,} bytes waiting in its queues, "
        f"{len(stored):,} bytes in its {len(disk)} files"
    )
    assert personal == {}


def test_two_schools_references_to_one_client_have_nothing_in_common(
    whole: Parts, tape: Tape, clients: list[str]
) -> None:
    referrals = {code: refer(whole, clients[2], code, f"{code}.any") for code in ("seamk", "sedu")}
    for code, referral in referrals.items():
        wait_for(whole, code, referral)
        accept(whole, code, referral)
    contacts = {code: f"/v1/referrals/{HOME}/{referral}/contact" for code, referral in referrals.items()}
    for code, path in contacts.items():
        eventually(lambda c=code, p=path: school(whole, c).find(p, why="test"), seconds=60, what=f"the name at {code}")

    said = {
        code: [*tape.events("referral.requested", code), *tape.events("client.disclosed", code)] for code in SCHOOLS
    }

    one, other = (
        next(event["correlationid"] for event in said[code] if event["subject"] == referral)
        for code, referral in referrals.items()
    )
    assert longest_common(one, other) < COMMON
    known = {code: {text for event in said[code] for text in opaque(event)} for code in referrals}
    assert all(referral in known[code] for code, referral in referrals.items())
    assert known["seamk"] & known["sedu"] == set()


def school(whole: Parts, code: str) -> Api:
    return whole.reach.api(code, "referral", "counsellor")


def wait_for(whole: Parts, code: str, referral: str) -> None:
    path = f"/v1/referrals/{HOME}/{referral}"
    eventually(lambda: school(whole, code).find(path), seconds=60, what="the referral at the school")


def accept(whole: Parts, code: str, referral: str) -> None:
    school(whole, code).post(f"/v1/referrals/{HOME}/{referral}/accept", {"responsible": f"{code}-1"})
