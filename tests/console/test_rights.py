"""What the broker lets each organisation do, with the rights that are generated from network.toml."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import kombu
import pytest
from amqp.exceptions import AccessRefused, ResourceLocked

from chassis import network
from chassis.decision import Classification, Network
from chassis.profile import CONTENT_TYPE
from chassis.topology import EVENTS
from console import definitions
from console.folder import Folder
from console.links import as_reader
from console.nodes.broker import OPERATOR, RabbitNode
from console.partner import NotAllowed, Partner

VHOST = "rights"
READS = dict.fromkeys(network.SERVICES, ("referral.requested", "offering.published"))


@pytest.fixture(scope="module")
def found() -> Network:
    return network.read(Path(__file__).parent.parent.parent / "deploy" / "network.toml").network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def uris(broker: RabbitNode, found: Network, folder: Folder) -> Iterator[dict[str, str]]:
    passwords = folder.make(found)
    content = definitions.build(found, READS, vhost=VHOST, passwords=passwords)
    with broker.client() as client:
        client.put(f"/api/vhosts/{VHOST}").raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        client.put(f"/api/permissions/{VHOST}/{OPERATOR}", json=everything).raise_for_status()
        client.post("/api/definitions", json=content).raise_for_status()
        yield {code: broker.uri(code, password, VHOST) for code, password in passwords.items()}
        client.delete(f"/api/vhosts/{VHOST}").raise_for_status()


def partner(code: str, uris: dict[str, str], folder: Folder) -> Partner:
    return Partner(code, uris[code], private=folder.of(code) / "keys.json", public=folder.keys)


def channel(uri: str) -> Any:
    return kombu.Connection(uri).channel()


def temporary(reading: Any, code: str) -> str:
    """A queue of an organisation's reader that goes away with its connection."""
    name = f"{code}.reader.{uuid.uuid4().hex}"
    reading.queue_declare(name, exclusive=True)
    return name


def say(mine: Any, exchange: str, key: str) -> None:
    mine.basic_publish_confirm(mine.prepare_message(b"{}", content_type=CONTENT_TYPE), exchange, key)


def test_a_guest_reads_what_is_addressed_to_it_from_its_mailbox(uris: dict[str, str], folder: Folder) -> None:
    with partner("kunta", uris, folder) as home, partner("sedu", uris, folder) as school:
        home.publish("referral.requested", "r-1", {"offering": "sedu.1"}, to="sedu")

        (mail,) = list(school.fetch())

    assert (mail.envelope.organisation, mail.data) == ("kunta", {"offering": "sedu.1"})


def test_what_is_sealed_for_an_organisation_is_opened_by_it(uris: dict[str, str], folder: Folder) -> None:
    with partner("kunta", uris, folder) as home, partner("epky", uris, folder) as school:
        person = {"given": "Aino"}
        home.publish("client.disclosed", "r.x", person, to="epky", classification=Classification.PERSONAL)

        (mail,) = list(school.fetch())

    assert mail.data == person
    assert "Aino" not in str(mail.envelope.data)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("referral.accepted.seamk.kunta", id="another's name"),
        pytest.param("referral.accepted.kunta.sedu", id="another's name, to itself"),
        pytest.param("referral.requested.sedu.seamk", id="an organisation that it may not address"),
        pytest.param("referral.requested.sedu", id="a key of three words"),
        pytest.param("referral.requested.sedu.kunta.x", id="a key of five words"),
        pytest.param("Referral.requested.sedu.kunta", id="capitals"),
    ],
)
def test_nobody_publishes_beyond_their_own_name_and_destinations(
    uris: dict[str, str], folder: Folder, key: str
) -> None:
    with partner("sedu", uris, folder) as school, pytest.raises(NotAllowed):
        school.publish_raw(b"{}", key)


def test_nobody_publishes_to_the_default_exchange(uris: dict[str, str]) -> None:
    with pytest.raises(AccessRefused):
        say(channel(uris["sedu"]), "", "kunta.intake")


def test_nobody_publishes_to_anothers_own_exchange(uris: dict[str, str]) -> None:
    with pytest.raises(AccessRefused):
        say(channel(uris["sedu"]), "kunta.own", "kunta.intake")


@pytest.mark.parametrize("queue", ["kunta.intake", "epky.mailbox", "undeliverable", "expired"])
def test_nobody_reads_anothers_queue(uris: dict[str, str], queue: str) -> None:
    with pytest.raises((AccessRefused, ResourceLocked)):
        channel(uris["sedu"]).basic_get(queue)


@pytest.mark.parametrize("queue", ["kunta.intake", "epky.mailbox"])
def test_nobody_deletes_or_purges_anothers_queue(uris: dict[str, str], queue: str) -> None:
    with pytest.raises(AccessRefused):
        channel(uris["sedu"]).queue_delete(queue)
    with pytest.raises(AccessRefused):
        channel(uris["sedu"]).queue_purge(queue)


@pytest.mark.parametrize("key", ["#", "*.*.*.*", "*.*.kunta.seamk", "*.*.*.seamk", "referral.#"])
def test_nobody_binds_to_what_is_not_theirs_to_read(uris: dict[str, str], key: str) -> None:
    mine = channel(as_reader(uris["sedu"]))
    probe = temporary(mine, "sedu")

    with pytest.raises(AccessRefused):
        mine.queue_bind(probe, EVENTS, key)


@pytest.mark.parametrize("key", ["*.*.*.sedu", "offering.published.*.all", "*.*.sedu.*"])
def test_everybody_binds_to_what_is_theirs_to_read(uris: dict[str, str], key: str) -> None:
    mine = channel(as_reader(uris["sedu"]))

    mine.queue_bind(temporary(mine, "sedu"), EVENTS, key)


@pytest.mark.parametrize("queue", ["sedu.new", "sedu.reader.x"])
def test_who_speaks_declares_nothing(uris: dict[str, str], queue: str) -> None:
    with pytest.raises(AccessRefused):
        channel(uris["sedu"]).queue_declare(queue, exclusive=True)
    with pytest.raises(AccessRefused):
        channel(uris["sedu"]).exchange_declare(queue, "fanout")


@pytest.mark.parametrize("source", ["sedu.reader.x", EVENTS, "kunta.own"])
def test_who_speaks_gets_no_key_past_its_rights_by_binding_exchanges(uris: dict[str, str], source: str) -> None:
    channel(as_reader(uris["sedu"])).exchange_declare("sedu.reader.x", "fanout", durable=False)

    for code in ("sedu", "kunta"):
        with pytest.raises(AccessRefused):
            channel(uris[code]).exchange_bind(EVENTS, source, "*.*.sedu.all")


def test_who_reads_does_not_speak_by_whatever_road(uris: dict[str, str]) -> None:
    def reading() -> Any:
        return channel(as_reader(uris["sedu"]))

    through = {"x-dead-letter-exchange": EVENTS, "x-dead-letter-routing-key": "referral.accepted.seamk.kunta"}
    with pytest.raises(AccessRefused):
        say(reading(), EVENTS, "offering.published.sedu.all")
    with pytest.raises(AccessRefused):
        reading().queue_declare("sedu.reader.trick", arguments=through)
    with pytest.raises(AccessRefused):
        reading().exchange_declare("sedu.reader.trick", "fanout", arguments={"alternate-exchange": EVENTS})
    with pytest.raises(AccessRefused):
        reading().exchange_declare("sedu.own", "fanout")


def test_nobody_declares_or_deletes_what_is_the_networks(uris: dict[str, str]) -> None:
    with pytest.raises(AccessRefused):
        channel(uris["sedu"]).exchange_delete(EVENTS)
    with pytest.raises(AccessRefused):
        channel(uris["sedu"]).queue_declare("kunta.new")


def test_there_is_no_guest_user_and_no_view_of_others_in_the_management(
    broker: RabbitNode, uris: dict[str, str]
) -> None:
    password = uris["sedu"].split(":")[2].split("@")[0]
    guest = httpx.get(f"{broker.management}/api/queues", auth=("guest", "guest"))
    member = httpx.get(f"{broker.management}/api/queues", auth=("sedu", password))

    assert (guest.status_code, member.status_code) == (401, 401)


@pytest.mark.usefixtures("uris")
def test_secrets_are_readable_by_their_owner_only(folder: Folder) -> None:
    files = [path for path in folder.of("kunta").iterdir() if path.is_file()]

    assert {path.name for path in files} >= {"keys.json", "reference.key", "ids.key", "tokens.json", "credentials.json"}
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert oct(folder.of("kunta").stat().st_mode & 0o777) == "0o700"
