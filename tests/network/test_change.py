"""An organisation joins, moves into an own part, and leaves, while the network runs and others speak."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from parts import FILE, Box, Parts, send

from chassis import network
from chassis.testing_live import eventually
from console.change import NotChanged
from console.partner import Partner

OPISTO = """
[organisations.opisto]
names = {{ fi = "Etelä-Pohjanmaan Opisto" }}
joins = "{joins}"
runs = {runs}
addresses = ["epky"]
municipality = "145"
"""


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """A network of these tests alone, since they change who is in it."""
    file = tmp_path_factory.mktemp("file") / "network.toml"
    file.write_text(FILE.read_text())
    made = Parts(tmp_path_factory.mktemp("network"), file)
    made.region.start()
    yield made
    made.end()


def become(parts: Parts, more: str = "", **replaced: str) -> list[str]:
    """Write another file, and let the running network be what it says."""
    text = FILE.read_text()
    for old, new in replaced.items():
        text = text.replace(old, new)
    parts.file.write_text(text + more)
    return parts.region.change(network.read(parts.file).network)


def mails(parts: Parts, code: str) -> list[str]:
    folder = parts.region.folder
    with Partner(code, parts.region.amqp(code), private=folder.of(code) / "keys.json", public=folder.keys) as partner:
        return [mail.envelope.id for mail in partner.fetch()]


def test_an_organisation_joins_as_a_guest_moves_into_its_own_part_and_leaves(changing: Parts) -> None:
    become(changing, OPISTO.format(joins="guest", runs="[]"))
    (told,) = send(changing, "epky", "opisto")
    assert mails(changing, "opisto") == [told]

    become(changing, OPISTO.format(joins="own", runs='["catalogue"]'))
    (back,) = send(changing, "opisto", "epky")
    eventually(lambda: back in mails(changing, "epky"))
    assert changing.reach.api("opisto", "catalogue", "operator").get("/v1/parked") == []

    done = become(changing)
    assert "opisto: leaves, and its last events are at the hub" in done
    assert "opisto: what waited for it at the hub lies on its own broker now, unread" in done
    with changing.region.broker.client() as hub:
        names = [user["name"] for user in hub.get("/api/users").json()]
        queues = [queue["name"] for queue in hub.get("/api/queues").json()]
    assert "opisto" not in names
    assert [name for name in queues if "opisto" in name] == []
    assert "opisto.catalogue" not in changing.region.processes()


def test_a_destination_that_is_taken_away_is_drained_first_and_the_shovel_runs_on(changing: Parts) -> None:
    box, back = Box(changing, "epky"), Box(changing, "sedu")
    changing.cable.cut()
    before = send(changing, "sedu", "epky", 30)
    waits = send(changing, "epky", "sedu", 30)
    changing.cable.mend()

    become(changing, **{'addresses = ["epky"]': "addresses = []"})

    eventually(lambda: box.taken() == before)
    eventually(lambda: back.taken() == waits)
    box.close()
    back.close()
    with changing.region.sites.parts["sedu"].broker.client() as own:
        eventually(lambda: [one["state"] for one in own.get("/api/shovels").json()] == ["running"])
    become(changing)


def test_a_member_with_data_is_not_moved_while_the_network_runs(changing: Parts, tmp_path: Path) -> None:
    other = tmp_path / "network.toml"
    other.write_text(FILE.read_text().replace('joins = "own"', 'joins = "member"'))

    with pytest.raises(NotChanged, match="sedu_"):
        changing.region.change(network.read(other).network)
