"""The rival: FastStream as its documentation shows, with pymongo's asynchronous client.

https://faststream.ag2.ai/latest/rabbit/. It is acknowledged after the function; a kill between its three writes leaves
the effect without the event or without the mark.
"""

from __future__ import annotations

import asyncio
from typing import Any

from faststream import FastStream
from faststream.rabbit import Channel, ExchangeType, RabbitBroker, RabbitExchange, RabbitQueue
from faststream.rabbit.schemas.queue import QueueType
from pymongo import AsyncMongoClient

from bench import plain, process

broker = RabbitBroker(
    process.amqp_uri(),
    default_channel=Channel(prefetch_count=process.size(), publisher_confirms=True),
    log_level=30,
)
app = FastStream(broker)
events = RabbitExchange(
    process.EXCHANGE, ExchangeType.TOPIC, durable=True, arguments={"alternate-exchange": "network.unrouted"}
)
referrals = RabbitQueue(
    process.QUEUE, queue_type=QueueType.QUORUM, durable=True, arguments={"x-single-active-consumer": True}
)
store: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(process.mongo_uri())
database = store[process.DATABASE]


@broker.subscriber(referrals)
async def take(event: dict[str, Any]) -> None:
    """One event: look the mark and the state up, write both, publish what follows."""
    if await database.marks.find_one({"_id": event["id"]}):
        return
    name = plain.identifier(event)
    found = await database.referral.find_one({"_id": name})
    state = plain.state_after(found["state"] if found else None, event)
    version = found["version"] + 1 if found else 1
    await database.referral.replace_one({"_id": name}, {"state": state, "version": version}, upsert=True)
    await database.marks.insert_one({"_id": event["id"]})
    key, body = plain.answer(event, state, version)
    await broker.publish(body, exchange=events, routing_key=key, persist=True, content_type="application/json")


@app.after_startup
async def started() -> None:
    """Say that it runs."""
    process.say_ready()


if __name__ == "__main__":
    asyncio.run(app.run())
