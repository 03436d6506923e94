"""A hub and one own part: brokers, links with TLS, a service, and the cable between them."""

from __future__ import annotations

from pathlib import Path

import kombu
import pytest
from amqp.exceptions import AccessRefused
from parts import Box, Parts, send

from chassis.amqp import tls
from chassis.profile import KEY_HEADER, compose
from chassis.testing_live import Publisher, event, eventually
from chassis.topology import EVENTS, OUTBOUND, UNDELIVERABLE
from console.offerings import import_offerings

OFFERINGS = Path(__file__).parent.parent.parent / "deploy" / "demo" / "offerings"


def test_an_event_goes_each_way(parts: Parts, boxes: dict[str, Box]) -> None:
    out = send(parts, "sedu", "epky")
    back = send(parts, "epky", "sedu")

    eventually(lambda: boxes["epky"].taken() == out)
    eventually(lambda: boxes["sedu"].taken() == back)


def test_services_of_an_own_part_hear_the_network_and_are_heard(parts: Parts) -> None:
    ours = import_offerings(parts.reach, "sedu", [OFFERINGS / "sedu.json"], "kouta").published
    theirs = import_offerings(parts.reach, "epky", [OFFERINGS / "epky.csv"], "csv").published

    eventually(lambda: parts.offerings("epky") == theirs)
    eventually(lambda: parts.waiting("verkko", "epky.mailbox") >= ours)


def test_what_was_said_while_the_cable_was_cut_comes_later_in_order_each_way(
    parts: Parts, boxes: dict[str, Box]
) -> None:
    parts.cable.cut()
    out = send(parts, "sedu", "epky", 50)
    back = send(parts, "epky", "sedu", 50)
    eventually(lambda: parts.waiting("sedu", OUTBOUND) >= 50)
    assert boxes["epky"].taken() == boxes["sedu"].taken() == []

    parts.cable.mend()

    eventually(lambda: boxes["epky"].taken() == out)
    eventually(lambda: boxes["sedu"].taken() == back)
    eventually(lambda: parts.waiting("sedu", OUTBOUND) == 0)


def test_nothing_is_lost_while_connections_break_under_load(parts: Parts, boxes: dict[str, Box]) -> None:
    out, back = [], []

    for _ in range(5):
        out += send(parts, "sedu", "epky", 100)
        parts.cable.jolt()
        back += send(parts, "epky", "sedu", 100)

    eventually(lambda: set(boxes["epky"].taken()) == set(out), seconds=30)
    eventually(lambda: set(boxes["sedu"].taken()) == set(back), seconds=30)


def test_an_own_part_works_on_while_the_hub_is_away_and_catches_up(parts: Parts) -> None:
    hub = parts.region.sites.hub.broker
    back = send(parts, "epky", "sedu", 20)
    hub.kill()

    out = send(parts, "sedu", "epky", 20)
    hub.start()
    mine, theirs = Box(parts, "sedu"), Box(parts, "epky")

    eventually(lambda: set(theirs.taken()) >= set(out), seconds=30)
    last = send(parts, "epky", "sedu")
    eventually(lambda: last[0] in mine.taken(), seconds=30)
    assert len(back) == 20
    mine.close()
    theirs.close()


def test_what_waits_at_the_hub_outlives_a_start_of_the_own_broker(parts: Parts) -> None:
    own, many = parts.region.sites.parts["sedu"].broker, 3000
    kept = parts.waiting("sedu", UNDELIVERABLE)

    own.stop()
    try:
        send(parts, "epky", "sedu", many)
    finally:
        own.start()

    eventually(lambda: parts.waiting("sedu", UNDELIVERABLE) >= kept + many, seconds=30)


def test_a_link_that_is_taken_down_and_set_up_again_finds_what_came_meanwhile(
    parts: Parts, boxes: dict[str, Box]
) -> None:
    with parts.region.sites.parts["sedu"].broker.client() as own:
        eventually(lambda: [link["status"] for link in own.get("/api/federation-links").json()] == ["running"])
        (upstream,) = own.get("/api/parameters/federation-upstream").json()
        path = f"/api/parameters/federation-upstream/%2F/{upstream['name']}"
        own.delete(path).raise_for_status()
        meanwhile = send(parts, "epky", "sedu", 20)

        own.put(path, json=upstream).raise_for_status()

    eventually(lambda: boxes["sedu"].taken() == meanwhile)


def test_nobody_speaks_in_anothers_name_on_the_own_broker(parts: Parts) -> None:
    with pytest.raises(AccessRefused):
        Publisher(parts.region.amqp("sedu")).raw(b"{}", "referral.accepted.epky.sedu")


def test_nobody_speaks_in_anothers_name_on_the_hub(parts: Parts) -> None:
    links = parts.region.sites.links("sedu")
    address = links.uri.partition("?")[0]
    connection = kombu.Connection(address, ssl=tls(address, Path(links.authority)))
    channel = connection.channel()

    with pytest.raises(AccessRefused):
        channel.basic_publish_confirm(channel.prepare_message(b"{}"), EVENTS, "referral.accepted.verkko.epky")


def test_what_an_own_parts_operator_forges_in_anothers_name_stays_at_home(parts: Parts, boxes: dict[str, Box]) -> None:
    operator = Publisher(parts.region.sites.parts["sedu"].broker.uri())
    before = parts.waiting("verkko", UNDELIVERABLE)

    operator.raw(b"{}", "referral.accepted.verkko.epky")
    after = send(parts, "sedu", "epky")

    eventually(lambda: boxes["epky"].taken() == after)
    assert parts.waiting("verkko", UNDELIVERABLE) == before


def test_a_header_that_comes_from_the_hub_gives_an_event_no_other_name(parts: Parts) -> None:
    theirs = event("offering.published", {}, source="urn:viisikko:verkko:test", subject="verkko.1", to="sedu")
    publisher = Publisher(parts.region.amqp("epky"))

    publisher.raw(compose(theirs), "offering.published.epky.sedu", application_headers={KEY_HEADER: theirs.routing_key})

    lot = parts.reach.api("sedu", "catalogue", "operator")
    found = eventually(lambda: [one for one in lot.lines("/v1/parked/entries") if one["event"] == theirs.id])
    assert [one["reason"] for one in found] == ["forged"]
    publisher.close()


def test_a_link_does_not_run_where_the_hub_shows_anothers_certificate(parts: Parts) -> None:
    links = parts.region.sites.links("sedu")
    address = links.uri.partition("?")[0]

    with pytest.raises(OSError, match="certificate verify failed"):
        kombu.Connection(address, ssl=tls(address, None)).connect()
