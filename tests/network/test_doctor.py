"""`viisikko doctor`: what works, what does not, and the next step, on a network that runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from parts import Box, Parts, send

from chassis import settings
from chassis.ports import free_port
from chassis.testing_live import eventually
from chassis.topology import INCOMING
from console.authority import Authority
from console.doctor.findings import Facts, Finding
from console.doctor.visit import mend, visit

CHECKS = [
    "hub reached", "TLS", "logged in", "bindings allowed", "may speak",
    "own broker", "own bindings", "federation link", "shovel", "store", "clock", "mail",
]  # fmt: skip


def facts_of(parts: Parts, code: str = "sedu", **changed: Any) -> Facts:
    facts: Facts = settings.read({"doctor": Facts}, parts.reach.facts(code))["doctor"]
    return dataclasses.replace(facts, **changed)


def ill(facts: Facts) -> dict[str, Finding]:
    return {finding.what: finding for finding in visit(facts) if not finding.well}


@pytest.fixture
def stray(parts: Parts) -> Iterator[None]:
    """Somebody binds a queue to everything, on the exchange that is federated."""
    with parts.region.sites.parts["sedu"].broker.client() as client:
        client.put("/api/queues/%2F/curious", json={"durable": True}).raise_for_status()
        made = client.post(f"/api/bindings/%2F/e/{INCOMING}/q/curious", json={"routing_key": "#"})
        made.raise_for_status()
        yield
        client.delete("/api/queues/%2F/curious").raise_for_status()


def test_a_healthy_own_part_is_told_to_be_well_in_every_check(parts: Parts) -> None:
    eventually(lambda: not ill(facts_of(parts)), what="all well")

    found = list(visit(facts_of(parts)))

    assert [finding.what for finding in found] == CHECKS
    assert all(finding.well for finding in found)


def test_a_guest_is_told_about_its_way_to_the_hub(parts: Parts) -> None:
    found = list(visit(facts_of(parts, "epky")))

    assert [finding.what for finding in found if finding.well] == [*CHECKS[:5], "clock"]


def test_a_hub_that_cannot_be_reached_is_told_with_the_port_to_open(parts: Parts) -> None:
    port = free_port()

    found = ill(facts_of(parts, hub=f"amqps://sedu:x@localhost:{port}/%2F", management=None))

    assert list(found) == ["hub reached"]
    assert f"TCP {port}" in found["hub reached"].next_step


def test_anothers_certificate_is_told_with_the_file_to_ask_for(parts: Parts, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").certificate

    found = ill(facts_of(parts, authority=other, management=None))

    assert list(found) == ["TLS"]
    assert "ca.pem" in found["TLS"].next_step


def test_a_wrong_password_is_told_without_repeating_it(parts: Parts) -> None:
    facts = facts_of(parts, management=None)
    address = facts.hub_address
    wrong = f"amqps://sedu:not-the-password@{address.hostname}:{address.port}/%2F"

    found = ill(dataclasses.replace(facts, hub=wrong))

    assert list(found) == ["logged in"]
    assert "not-the-password" not in str(found)


def test_rights_that_the_hub_does_not_grant_are_told_with_the_keys(parts: Parts) -> None:
    with parts.region.broker.client() as client:
        (row,) = client.get("/api/topic-permissions/%2F/sedu-reader").json()
        narrow = {"exchange": row["exchange"], "write": row["write"], "read": "^$"}
        client.put("/api/topic-permissions/%2F/sedu-reader", json=narrow).raise_for_status()

        found = ill(facts_of(parts, management=None))

        client.put("/api/topic-permissions/%2F/sedu-reader", json={**narrow, "read": row["read"]}).raise_for_status()
    assert "*.*.epky.sedu" in found["bindings allowed"].text


def test_a_store_and_a_mail_server_that_are_away_are_told(parts: Parts) -> None:
    port = free_port()
    away = facts_of(parts, management=None, mongo=f"mongodb://127.0.0.1:{port}", smtp=f"smtp://127.0.0.1:{port}")

    found = ill(away)

    assert list(found) == ["store", "clock", "mail"]
    assert "VIISIKKO_MONGO_URI" in found["store"].next_step


@pytest.mark.usefixtures("stray")
def test_a_link_that_a_refused_binding_shut_down_is_found_explained_and_mended_without_loss(
    parts: Parts, boxes: dict[str, Box]
) -> None:
    facts = facts_of(parts)
    # A link that is refused starts over some times before it is shut down.
    found = eventually(lambda: (seen := ill(facts)) and "--mend" in seen["federation link"].next_step and seen)
    assert "# to curious (refused)" in found["own bindings"].text
    meanwhile = send(parts, "epky", "sedu", 20)

    done = mend(facts)

    assert done[0] == "removed the binding # to curious"
    eventually(lambda: not ill(facts), what="all well")
    eventually(lambda: boxes["sedu"].taken() == meanwhile)
