"""`viisikko rotate` where brokers run in containers: what changes in which folder, and what people do next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import kombu
import pytest
from amqp.exceptions import AccessRefused

from chassis import network as networks
from chassis import secrets as kept
from chassis.decision import Network
from chassis.private import write_private
from chassis.topology import reader
from console.folder import Folder
from console.nodes.broker import OPERATOR, RabbitNode
from console.prepare import HUB_MANAGEMENT, MANAGEMENT
from console.rotate import NotRotated, Rotation, broker_at, with_password

FILE = """
hub = "verkko"
[organisations.verkko]
names = { fi = "Verkko" }
joins = "member"
runs = ["catalogue"]
[organisations.sedu]
names = { fi = "Koulutuskeskus Sedu" }
joins = "own"
runs = ["catalogue"]
[organisations.epky]
names = { fi = "Etelä-Pohjanmaan kesäyliopisto" }
joins = "guest"
"""


@pytest.fixture
def network(tmp_path: Path) -> Network:
    file = tmp_path / "network.toml"
    file.write_text(FILE, "utf-8")
    return networks.read(file).network


@pytest.fixture
def folder(tmp_path: Path, network: Network) -> Folder:
    made = Folder(tmp_path / "secrets")
    made.make(network)
    return made


@pytest.fixture
def at_hub(tmp_path: Path, network: Network) -> Folder:
    """The hub's folder in containers: sedu has its own elsewhere, and has sent its public keys."""
    made = Folder(tmp_path / "hub")
    made.make(network, elsewhere={"sedu"})
    (made.keys / "sedu.json").write_text('{"keys": []}')
    return made


@pytest.fixture
def at_part(tmp_path: Path) -> Folder:
    """The folder of sedu's own part in containers, in which there is nobody else's."""
    made = Folder(tmp_path / "part")
    kept.make(made.of("sedu"), made.keys, "sedu")
    made.credentials("sedu")
    return made


@pytest.fixture
def users(broker: RabbitNode, folder: Folder, network: Network) -> Iterator[RabbitNode]:
    """A broker that knows the organisations with their passwords."""
    with broker.client() as client:
        for code in network.organisations:
            password = folder.credentials(code)["password"]
            client.put(f"/api/users/{code}", json={"password": password, "tags": ""}).raise_for_status()
            write_private(folder.of(code) / "amqp-uri", broker.uri(code, password))
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            client.put(f"/api/permissions/%2F/{code}", json=everything).raise_for_status()
        yield broker
        for code in network.organisations:
            for user in (code, reader(code)):
                client.delete(f"/api/users/{user}")


def management(node: RabbitNode) -> str:
    return node.management.replace("://", f"://{OPERATOR}:{node.password}@")


def opens(uri: str) -> bool:
    try:
        with kombu.Connection(uri) as connection:
            connection.connect()
    except AccessRefused:
        return False
    return True


def test_at_the_hub_a_guest_gets_a_new_password_that_its_address_has(
    users: RabbitNode, folder: Folder, network: Network
) -> None:
    write_private(folder.path / HUB_MANAGEMENT, management(users))
    file = folder.of("epky") / "amqp-uri"
    old = file.read_text()

    steps = Rotation(folder, network, "epky").passwords()

    new = file.read_text()
    assert (opens(old), opens(new)) == (False, True)
    assert new == users.uri("epky", folder.credentials("epky")["password"])
    assert [step.partition(",")[0] for step in steps] == ["docker compose run --rm prepare"]


def test_at_the_hub_an_own_part_is_told_of_by_a_new_package(
    users: RabbitNode, folder: Folder, network: Network
) -> None:
    write_private(folder.path / HUB_MANAGEMENT, management(users))

    steps = Rotation(folder, network, "sedu").passwords()

    assert opens(users.uri("sedu", folder.credentials("sedu")["password"]))
    assert steps[-1].startswith("viisikko join sedu")


def test_at_an_own_part_only_its_own_broker_changes(users: RabbitNode, folder: Folder, network: Network) -> None:
    write_private(folder.path / MANAGEMENT, management(users))
    hub = folder.credentials("sedu")["password"]

    Rotation(folder, network, "sedu").passwords()

    assert folder.credentials("sedu")["password"] == hub
    assert opens(users.uri("sedu", folder.local_password("sedu")))
    assert (folder.of("sedu") / "amqp-uri").read_text() == users.uri("sedu", folder.local_password("sedu"))


def test_a_rotation_that_was_cut_off_goes_on_with_the_same_password(
    users: RabbitNode, folder: Folder, network: Network
) -> None:
    write_private(folder.path / HUB_MANAGEMENT, f"http://{OPERATOR}:x@127.0.0.1:1")
    with pytest.raises(NotRotated, match="see that it runs, then rotate again"):
        Rotation(folder, network, "epky").passwords()
    begun = (folder.of("epky") / "hub.next").read_text()
    write_private(folder.path / HUB_MANAGEMENT, management(users))

    Rotation(folder, network, "epky").passwords()

    assert folder.credentials("epky")["password"] == begun
    assert not (folder.of("epky") / "hub.next").exists()


def test_where_nothing_runs_the_next_start_takes_what_stands_in_the_files(folder: Folder, network: Network) -> None:
    old = folder.credentials("sedu")["password"], folder.local_password("sedu")

    steps = Rotation(folder, network, "sedu").passwords()

    new = folder.credentials("sedu")["password"], folder.local_password("sedu")
    assert not set(old) & set(new)
    assert steps == []


def test_the_token_for_the_hubs_copy_is_renewed_with_the_others(folder: Folder, network: Network) -> None:
    before = folder.copy_token("sedu").read_text()

    Rotation(folder, network, "sedu").tokens()

    assert folder.copy_token("sedu").read_text() != before
    assert not folder.copy_token("verkko").exists()
    assert not folder.copy_token("epky").exists()


def test_the_hub_makes_and_overwrites_no_keys_of_who_keeps_its_own(at_hub: Folder, network: Network) -> None:
    at_hub.make(network, elsewhere={"sedu"})

    assert not at_hub.holds_keys("sedu")
    assert (at_hub.keys / "sedu.json").read_text() == '{"keys": []}'
    assert at_hub.holds_keys("epky")


def test_public_keys_that_a_guest_has_sent_stay(at_hub: Folder, network: Network) -> None:
    (at_hub.of("epky") / "keys.json").unlink()
    (at_hub.keys / "epky.json").write_text('{"keys": []}')

    at_hub.make(network)

    assert not at_hub.holds_keys("epky")
    assert (at_hub.keys / "epky.json").read_text() == '{"keys": []}'


def test_a_member_gets_keys_although_public_ones_of_it_stand_there(at_hub: Folder, network: Network) -> None:
    (at_hub.of("verkko") / "keys.json").unlink()

    at_hub.make(network)

    assert at_hub.holds_keys("verkko")


def test_a_rotation_at_the_hub_leaves_the_keys_of_an_own_part_as_they_were_sent(
    at_hub: Folder, network: Network
) -> None:
    rotation = Rotation(at_hub, network, "sedu")
    password, copy = at_hub.credentials("sedu")["password"], at_hub.copy_token("sedu").read_text()

    used = rotation.keys()
    rotation.passwords()
    rotation.tokens()

    assert used == ()
    assert (at_hub.keys / "sedu.json").read_text() == '{"keys": []}'
    assert at_hub.credentials("sedu")["password"] != password
    assert at_hub.copy_token("sedu").read_text() != copy
    with pytest.raises(NotRotated, match="sedu keeps its private keys itself"):
        rotation.prepare()


def test_keys_that_the_hub_still_holds_of_a_member_that_has_moved_out_are_not_used(
    at_hub: Folder, network: Network
) -> None:
    write_private(at_hub.path / HUB_MANAGEMENT, f"http://{OPERATOR}:x@127.0.0.1:1")
    write_private(at_hub.of("sedu") / "keys.json", '{"keys": []}')

    used = Rotation(at_hub, network, "sedu").keys()

    assert used == ()
    assert (at_hub.keys / "sedu.json").read_text() == '{"keys": []}'


def test_an_own_part_renews_its_services_tokens_without_the_hubs_folder(at_part: Folder, network: Network) -> None:
    before = at_part.credentials("sedu")["tokens"]
    rotation = Rotation(at_part, network, "sedu")

    used, until = rotation.keys(), rotation.tokens()

    assert len(used) == 2
    assert until is not None
    assert not set(before.values()) & set(at_part.credentials("sedu")["tokens"].values())
    assert not at_part.of("verkko").exists()


def test_the_hub_has_no_tokens_to_renew_of_an_own_part_without_a_catalogue(at_hub: Folder, network: Network) -> None:
    sedu = replace(network.organisations["sedu"], runs=("referral",))
    without = replace(network, organisations={**network.organisations, "sedu": sedu})

    assert Rotation(at_hub, without, "sedu").tokens() is None


def test_an_organisation_that_is_not_in_the_network_is_refused(folder: Folder, network: Network) -> None:
    with pytest.raises(NotRotated, match="there is no organisation nobody in the network"):
        Rotation(folder, network, "nobody")


def test_an_address_keeps_all_but_its_password() -> None:
    assert with_password("amqps://sedu:a%40b@[::1]:5671/%2F?x=1", "c/d") == "amqps://sedu:c%2Fd@[::1]:5671/%2F?x=1"
    assert broker_at("http://hub-operator:a%40b@rabbitmq:15672").password == "a@b"
