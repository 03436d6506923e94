"""The short network that runs, and what tests do with it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import kombu

from chassis import network
from chassis.testing_cable import Cable
from chassis.testing_live import Publisher, event
from chassis.topology import EVENTS
from console.folder import Folder
from console.links import as_reader
from console.reach import Reach
from console.region import Region

FILE = Path(__file__).parent / "short.toml"
EXAMPLES = Path(__file__).parents[2] / "deploy" / "contract" / "examples"


class Parts:
    """The network that runs, and the cable of each own part."""

    def __init__(self, folder: Path, file: Path = FILE, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.file = file
        self.cables: dict[str, Cable] = {}
        self.region = Region(
            network.read(file).network, file, Folder(folder), lambda _step: None, road=self._road, settings=settings
        )

    def end(self) -> None:
        """Stop it; its data are thrown away, so that brokers need not take the seconds of a stop in good order."""
        for site in self.region.sites.all():
            site.broker.kill()
        self.region.stop()
        for cable in self.cables.values():
            cable.close()

    @property
    def cable(self) -> Cable:
        return self.cables["sedu"]

    @property
    def reach(self) -> Reach:
        return Reach.of(self.region.folder)

    def offerings(self, provider: str) -> int:
        """How many offerings of a provider sedu's own copy has."""
        return len(list(self.reach.api("sedu", "catalogue", "operator").lines("/v1/offerings", provider=provider)))

    def waiting(self, code: str, queue: str) -> int:
        """How many messages are in a queue of a site."""
        site = self.region.sites.hub if code == "verkko" else self.region.sites.parts[code]
        with kombu.Connection(site.broker.uri()) as connection:
            count: int = connection.default_channel.queue_declare(queue, passive=True).message_count
            return count

    def _road(self, organisation: str, port: int) -> int:
        if organisation not in self.cables:
            self.cables[organisation] = Cable(port)
        return self.cables[organisation].port


class Box:
    """A queue of an organisation that takes every event addressed to it or to all, in the order in which they came."""

    def __init__(self, parts: Parts, code: str) -> None:
        self._connection = kombu.Connection(as_reader(parts.region.amqp(code)))
        self._channel: Any = self._connection.channel()
        name = f"{code}.reader.{uuid.uuid4().hex}"
        self._name = self._channel.queue_declare(name, exclusive=True).queue
        self._channel.queue_bind(self._name, EVENTS, f"*.*.*.{code}")
        self.ids: list[str] = []

    def taken(self) -> list[str]:
        """Ids of all that has come, each where it came first."""
        while (message := self._channel.basic_get(self._name, no_ack=True)) is not None:
            identifier = kombu.utils.json.loads(bytes(message.body))["id"]
            # A link sends again what a cut has left unconfirmed.
            if identifier not in self.ids:
                self.ids.append(identifier)
        return self.ids

    def close(self) -> None:
        self._connection.close()


def example(name: str) -> dict[str, Any]:
    """The example that partners are given of an event."""
    event: dict[str, Any] = json.loads((EXAMPLES / f"fi.viisikko.{name}.v1.json").read_text("utf-8"))
    return event


def send(parts: Parts, sender: str, to: str, count: int = 1) -> list[str]:
    """Publish events on the sender's own broker, each confirmed; their ids."""
    publisher = Publisher(parts.region.amqp(sender))
    events = [event("referral.progressed", source=f"urn:viisikko:{sender}:test", to=to) for _ in range(count)]
    publisher.send(*events)
    publisher.close()
    return [one.id for one in events]


def refer(parts: Parts, client: str, receiver: str, offering: str) -> str:
    """A coach of kunta refers a client; the referral's id."""
    body = {"client": client, "offering": offering, "receiver": receiver}
    made = parts.reach.api("kunta", "referral", "coach").post("/v1/referrals", body)
    return str(made["id"]).rpartition("/")[2]
