"""`viisikko rotate` while events are under way: nothing is lost, nothing parked, and every new connection opens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import kombu
import pytest
from amqp.exceptions import AccessRefused
from parts import Parts, example
from typer.testing import CliRunner

from chassis.decision import ALL, Classification
from chassis.testing_live import eventually
from console.main import app
from console.offerings import import_offerings
from console.reach import Reach
from console.region import Region

OFFERINGS = Path(__file__).parents[2] / "deploy" / "demo" / "offerings"
FILE = """
hub = "verkko"
[organisations.verkko]
names = { fi = "Verkko" }
joins = "member"
runs = ["catalogue"]
addresses = ["sedu", "epky"]
[organisations.sedu]
names = { fi = "Koulutuskeskus Sedu" }
joins = "own"
runs = ["catalogue"]
addresses = ["epky"]
signs = true
[organisations.epky]
names = { fi = "Etelä-Pohjanmaan kesäyliopisto" }
joins = "guest"
"""
OFFERING = example("offering.published")["data"]


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    folder = tmp_path_factory.mktemp("network")
    file = folder / "network.toml"
    file.write_text(FILE, "utf-8")
    made = Parts(folder / "kept", file)
    made.region.start()
    yield made.region
    made.end()


def rotate(region: Region, code: str, *options: str) -> str:
    file = region.folder.path.parent / "network.toml"
    arguments = ["rotate", code, "--folder", str(region.folder.path), "--network", str(file), *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def known(region: Region, at: str, provider: str) -> int:
    api = Reach.of(region.folder).api(at, "catalogue", "operator")
    return len(list(api.lines("/v1/offerings", provider=provider)))


def parked(region: Region) -> list[dict[str, Any]]:
    return [group for _name, group in Reach.of(region.folder).parked() if group]


def break_connections(region: Region) -> None:
    """Close every connection of both brokers, so that all log in anew."""
    for site in region.sites.all():
        with site.broker.client() as client:
            for connection in client.get("/api/connections").json():
                client.delete(f"/api/connections/{connection['name']}")


def ready(region: Region) -> bool:
    return all(running.ready() for running in region.services)


class Load(threading.Thread):
    """A guest that publishes an offering after another, each on a connection of its own, until it is told to stop."""

    def __init__(self, region: Region) -> None:
        super().__init__()
        self.confirmed = 0
        self.refused: list[float] = []
        self._region = region
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                with Reach.of(self._region.folder).partner("epky") as partner:
                    data = OFFERING | {"provider": "epky"}
                    to = {"to": ALL, "classification": Classification.PUBLIC}
                    partner.publish("offering.published", f"epky.{self.confirmed}", data, **to)
                    self.confirmed += 1
            except (AccessRefused, OSError):
                self.refused.append(time.monotonic())

    def stop(self) -> None:
        self._over.set()
        self.join()


@pytest.fixture
def load(region: Region) -> Iterator[Callable[[], Load]]:
    made: list[Load] = []

    def start() -> Load:
        made.append(Load(region))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()


def test_rotation_under_load_loses_nothing_parks_nothing_and_every_connection_opens_again(
    region: Region, load: Callable[[], Load]
) -> None:
    reach = Reach.of(region.folder)
    running = load()
    eventually(lambda: running.confirmed > 5, what="the load")

    for code in ("sedu", "verkko", "epky", "sedu"):
        rotate(region, code)
        before = running.confirmed
        eventually(lambda before=before: running.confirmed > before + 3, what="events after the rotation")
    import_offerings(reach, "sedu", [OFFERINGS / "sedu.json"], "kouta")
    break_connections(region)
    eventually(lambda: ready(region), seconds=30, what="all services connected with their new passwords")
    running.stop()

    confirmed = running.confirmed
    eventually(
        lambda: [known(region, at, "epky") for at in ("verkko", "sedu")] == [confirmed] * 2,
        seconds=60,
        what=f"{confirmed} offerings at both",
    )
    eventually(lambda: known(region, "verkko", "sedu") == known(region, "sedu", "sedu") > 0, what="sedu's, signed")
    assert parked(region) == []
    # RabbitMQ has one password for each user: only what connects in the moment of the change is refused.
    assert not running.refused or running.refused[-1] - running.refused[0] < 2


def test_an_old_password_no_longer_opens_a_connection(region: Region) -> None:
    old = {code: region.amqp(code) for code in ("sedu", "epky")}

    for code in old:
        rotate(region, code)

    for code, uri in old.items():
        with pytest.raises(AccessRefused), kombu.Connection(uri) as connection:
            connection.connect()
        with kombu.Connection(Reach.of(region.folder).amqp(code)) as connection:
            connection.connect()


def test_the_links_of_an_own_part_open_with_the_new_password_and_a_restarted_broker_keeps_it(region: Region) -> None:
    rotate(region, "sedu")
    break_connections(region)

    region.sites.hub.broker.restart()

    eventually(lambda: links(region) == {"running"}, seconds=60, what="both links")
    eventually(lambda: ready(region), seconds=60, what="all services")


def links(region: Region) -> set[str]:
    with region.sites.parts["sedu"].broker.client() as client:
        try:
            states = client.get("/api/federation-links").json() + client.get("/api/shovels").json()
        except httpx.HTTPError:
            return set()
    return {state["status" if "status" in state else "state"] for state in states}


def test_old_tokens_hold_for_a_day_beside_the_new_ones(region: Region) -> None:
    url = Reach.of(region.folder).state["services"]["sedu.catalogue"]
    old = region.folder.credentials("sedu")["tokens"]["operator"]

    told = rotate(region, "sedu")

    new = region.folder.credentials("sedu")["tokens"]["operator"]
    answers = [
        httpx.get(f"{url}/v1/parked", headers={"Authorization": f"Bearer {token}"}).status_code
        for token in (old, new, "another")
    ]
    assert answers == [200, 200, 401]
    assert "the old ones end at" in told


def test_prepared_keys_are_those_that_the_next_rotation_uses(region: Region) -> None:
    prepared = rotate(region, "epky", "--prepare").split(": ")[1].split("\n")[0].split(", ")

    used = rotate(region, "epky").split(": ")[1].split("\n")[0].split(", ")

    assert used == prepared
    assert len(used) == 2
