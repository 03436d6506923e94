"""Where everything is measured: one broker and one store for the whole run, emptied before each measurement."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import amqp
from pymongo import MongoClient

from bench import process
from bench.workload import OTHER, OWN, Published
from chassis import network
from chassis.testing_live import Place
from console import definitions
from console.nodes.broker import RabbitNode
from console.nodes.processes import Nodes
from console.nodes.store import StoreNode

ROOT = Path(__file__).parents[2]
NETWORK = ROOT / "deploy" / "network.toml"
SINK = "bench.sink"
ANSWERS = f"referral.*.{OWN}.{OTHER}"
LOOK_SECONDS = 0.02
"""How often the arrivals are counted; one passive declaration each, which the broker answers from memory."""

QUIET_SECONDS = 60.0
"""After how long without any arrival a measurement is given up."""


class Stuck(RuntimeError):  # noqa: N818 - errors name the fact
    """A contender has stopped before the last event; the text says how many have arrived."""


@dataclass(slots=True)
class Stage:
    """The broker and the store, and what stands on them.

    Attributes:
        folder: Of this run; logs and secrets are kept there.
        broker: The broker.
        store: The store.
        amqp: Address of the broker.
        channel: The harness's own channel, in confirm mode.
        client: The harness's own client of the store.
    """

    folder: Path
    broker: RabbitNode
    store: StoreNode
    amqp: str
    channel: amqp.Channel
    client: MongoClient[dict[str, Any]]

    @property
    def place(self) -> Place:
        """Where our services run."""
        return Place(
            folder=self.folder,
            organisation=OWN,
            network=NETWORK,
            amqp=self.amqp,
            mongo=self.store.uri,
            more={"PYTHONPATH": str(ROOT / "tests"), "VIISIKKO_LOG_LEVEL": "warning"},
        )

    @property
    def database(self) -> Any:
        """The database of the service that is measured."""
        return self.client[process.DATABASE]

    def empty(self, seeds: Mapping[str, Sequence[dict[str, Any]]] | None = None) -> None:
        """Begin anew.

        Args:
            seeds: Collection → documents that are there before.
        """
        for name in self.client.list_database_names():
            if name.startswith(f"{OWN}_"):
                self.client.drop_database(name)
        for collection, documents in (seeds or {}).items():
            for start in range(0, len(documents), 500):
                self.database[collection].insert_many(documents[start : start + 500])
        for queue in (process.QUEUE, SINK):
            self.channel.queue_delete(queue)
        self._declare(process.QUEUE, process.QUEUE_ARGUMENTS)
        for verb in ("requested", "progressed"):
            self.channel.queue_bind(process.QUEUE, process.EXCHANGE, f"referral.{verb}.*.{OWN}")
        self._declare(SINK, {"x-queue-type": "quorum"})
        self.channel.queue_bind(SINK, process.EXCHANGE, ANSWERS)

    @contextmanager
    def gate(self) -> Iterator[Gate]:
        """Hold the queue: whoever comes later stands by until the gate is opened."""
        gate = Gate(process.connect(self.amqp))
        try:
            yield gate
        finally:
            gate.close()

    def fill(self, events: Iterable[Published], content_type: str) -> None:
        """Publish events, and wait until the broker has confirmed them."""
        left = set[int]()

        def confirmed(tag: int, multiple: bool) -> None:  # noqa: FBT001 - the library's signature
            done = {one for one in left if one <= tag} if multiple else {tag}
            left.difference_update(done)

        connection = process.connect(self.amqp)
        channel = connection.channel()
        channel.confirm_select()
        channel.events["basic_ack"].add(confirmed)
        for tag, event in enumerate(events, 1):
            message = amqp.Message(event.body, content_type=content_type, delivery_mode=process.PERSISTENT)
            channel.basic_publish(message, process.EXCHANGE, event.key)
            left.add(tag)
            while len(left) >= 1000:
                connection.drain_events()
        while left:
            connection.drain_events()
        connection.close()

    def depth(self, queue: str) -> int:
        """Messages that wait in a queue."""
        return int(self.channel.queue_declare(queue, passive=True).message_count)

    def wait_for(self, queue: str, messages: int) -> float:
        """Wait until so many messages have arrived; the moment, on the performance counter.

        Raises:
            Stuck: Nothing has come for long.
        """
        seen, since = -1, time.perf_counter()
        while True:
            found, now = self.depth(queue), time.perf_counter()
            if found >= messages:
                return now
            if found != seen:
                seen, since = found, now
            elif now - since > QUIET_SECONDS:
                raise Stuck(f"{found} of {messages} have arrived, and nothing for {QUIET_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)

    def _declare(self, queue: str, arguments: Mapping[str, object]) -> None:
        self.channel.queue_declare(queue, durable=True, auto_delete=False, arguments=dict(arguments))


class Gate:
    """The first consumer of a queue with a single active one, so that the others start at a known moment."""

    def __init__(self, connection: amqp.Connection) -> None:
        self._connection = connection
        channel = connection.channel()
        channel.basic_qos(0, 1, a_global=False)
        channel.basic_consume(process.QUEUE, callback=lambda _message: None)

    def open(self) -> float:
        """Let the next one in; the moment, on the performance counter."""
        opened = time.perf_counter()
        self.close()
        return opened

    def close(self) -> None:
        """Leave."""
        if self._connection.connected:
            self._connection.close()


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start broker and store; both are ended at the end."""
    with Nodes() as nodes:
        broker, store = RabbitNode(folder / "broker", definitions=_definitions()), StoreNode(folder / "store")
        nodes.add(broker.stop)
        broker.start()
        nodes.add(store.stop)
        store.start()
        client = MongoClient[dict[str, Any]](store.uri, tz_aware=True)
        nodes.add(client.close)
        connection = process.connect(broker.uri())
        nodes.add(connection.close)
        yield Stage(folder, broker, store, broker.uri(), connection.channel(), client)


def _definitions() -> dict[str, Any]:
    """Exchanges and policies; queues that nobody empties would cost every event its copy."""
    everything = definitions.build(network.read(NETWORK).network, dict.fromkeys(network.SERVICES, ()))
    return {name: everything[name] for name in ("exchanges", "policies")}
