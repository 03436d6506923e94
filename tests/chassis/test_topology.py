"""What the network has on a broker, checked as data; that a broker takes the policies shows every test with a vhost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chassis import network, topology
from console import definitions

NETWORK = Path(__file__).parents[2] / "deploy" / "network.toml"


@pytest.fixture
def built() -> dict[str, list[dict[str, object]]]:
    reads = dict.fromkeys(network.SERVICES, ("thing.made",))
    return definitions.build(network.read(NETWORK).network, reads)


def test_each_queue_has_one_policy_and_none_the_brokers_own_delivery_limit(
    built: dict[str, list[dict[str, object]]],
) -> None:
    for queue in built["queues"]:
        matching = [p for p in built["policies"] if re.match(str(p["pattern"]), str(queue["name"]))]

        assert [("delivery-limit" in p["definition"]) for p in matching] == [True], queue["name"]


@pytest.mark.parametrize("queue", ["kunta.referral.dead", "undeliverable", "expired", "sedu.mailbox"])
def test_what_waits_for_people_waits_however_often_it_is_looked_at(queue: str) -> None:
    policies = topology.policies([("kunta", "referral")])

    (policy,) = [p for p in policies if re.match(p.pattern, queue)]

    assert policy.definition["delivery-limit"] == topology.KEPT_DELIVERY_LIMIT
