"""The floor: a bare loop of amqp and pymongo that writes the chassis's documents and checks nothing."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import amqp
from bson import ObjectId
from pymongo import InsertOne, ReplaceOne

from bench import plain, process
from bench.workload import decoded

LINGER_SECONDS = 0.005


class Publisher:
    """A channel in confirm mode, with as many publishes under way as there are."""

    def __init__(self, connection: amqp.Connection) -> None:
        self._connection = connection
        self._channel = connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._confirmed)
        self._last = self._confirmed_up_to = 0
        self._early: set[int] = set()

    def publish(self, entries: Iterable[dict[str, Any]]) -> None:
        """Publish, and wait until each is confirmed."""
        for entry in entries:
            message = amqp.Message(
                bytes(entry["body"]),
                content_type="application/cloudevents+json; charset=utf-8",
                delivery_mode=process.PERSISTENT,
            )
            self._channel.basic_publish(message, entry["exchange"], entry["key"])
            self._last += 1
        while self._confirmed_up_to < self._last:
            self._connection.drain_events()

    def _confirmed(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - the library's signature
        if multiple:
            self._confirmed_up_to = max(self._confirmed_up_to, tag)
        else:
            self._early.add(tag)
        while self._confirmed_up_to + 1 in self._early:
            self._confirmed_up_to += 1
            self._early.discard(self._confirmed_up_to)


def consume() -> None:
    """Take batches from the queue, for ever."""
    batch, store = process.size(), process.database()
    connection = process.connect(process.amqp_uri())
    publisher = Publisher(connection)
    channel = connection.channel()
    channel.auto_decode = False
    channel.basic_qos(0, 2 * batch, a_global=False)
    pending: deque[amqp.Message] = deque()
    channel.basic_consume(process.QUEUE, callback=pending.append)
    session = store.client.start_session()
    process.say_ready()
    while True:
        taken = _next(connection, pending, batch)
        entries = store_batch(store, session, [decoded(message.body) for message in taken])
        channel.basic_ack(taken[-1].delivery_tag, multiple=True)
        publisher.publish(entries[1])
        store["outbox"].delete_one({"_id": entries[0]})


def _next(connection: amqp.Connection, pending: deque[amqp.Message], batch: int) -> list[amqp.Message]:
    while len(pending) < batch:
        try:
            connection.drain_events(timeout=LINGER_SECONDS if pending else None)
        except TimeoutError:
            break
    return [pending.popleft() for _ in range(min(batch, len(pending)))]


def store_batch(store: Any, session: Any, events: list[dict[str, Any]]) -> tuple[ObjectId, list[dict[str, Any]]]:
    ids = list({plain.identifier(event) for event in events})
    documents = {d["_id"]: d for d in store["referral"].find({"_id": {"$in": ids}})}
    loaded = {name: document["version"] for name, document in documents.items()}
    entries = []
    for event in events:
        name = plain.identifier(event)
        documents[name] = plain.document_after(documents.get(name), event)
        entries.append(plain.entry_of(event, documents[name]))
    page = ObjectId()
    with session.start_transaction():
        store["referral"].bulk_write([_write(d, loaded) for d in documents.values()], ordered=False, session=session)
        store["outbox"].insert_one({"_id": page, "entries": entries}, session=session)
    return page, entries


def _write(document: dict[str, Any], loaded: dict[str, int]) -> Any:
    version = loaded.get(document["_id"])
    if version is None:
        return InsertOne(document)
    return ReplaceOne({"_id": document["_id"], "version": version}, document)


def relay() -> None:
    """Publish the outbox; says the seconds that it took."""
    pages, store = process.size(), process.database()
    publisher = Publisher(process.connect(process.amqp_uri()))
    started = time.perf_counter()
    while found := list(store["outbox"].find().sort("_id", 1).limit(pages)):
        publisher.publish(entry for page in found for entry in page["entries"])
        store["outbox"].delete_many({"_id": {"$in": [page["_id"] for page in found]}})
    sys.stdout.write(f"{time.perf_counter() - started}\n")


if __name__ == "__main__":
    {"consume": consume, "relay": relay}[sys.argv[1]]()
