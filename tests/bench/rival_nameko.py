"""The rival: plain nameko as its documentation shows, with pymongo as a dependency.

https://nameko.readthedocs.io/en/stable/built_in_extensions.html and writing_extensions.html. It is acknowledged after
the method; a kill between its three writes leaves the effect without the event or without the mark.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

# Everything below is imported after the sockets are green.
from typing import Any  # noqa: E402

from kombu import Exchange, Queue  # noqa: E402
from nameko.containers import ServiceContainer  # noqa: E402
from nameko.extensions import DependencyProvider  # noqa: E402
from nameko.messaging import Publisher, consume  # noqa: E402
from pymongo import MongoClient  # noqa: E402

from bench import plain, process  # noqa: E402


class Database(DependencyProvider):
    """The database."""

    def setup(self) -> None:
        """Connect."""
        self._client: MongoClient[dict[str, Any]] = MongoClient(process.mongo_uri())

    def get_dependency(self, _context: Any) -> Any:
        """Give it to a worker."""
        return self._client[process.DATABASE]


EVENTS = Exchange(process.EXCHANGE, type="topic", durable=True, arguments={"alternate-exchange": "network.unrouted"})


class Referrals:
    """The service."""

    name = "referral"

    database = Database()
    publish = Publisher(exchange=EVENTS)

    @consume(queue=Queue(process.QUEUE, durable=True, queue_arguments=process.QUEUE_ARGUMENTS))
    def take(self, event: dict[str, Any]) -> None:
        """One event: look the mark and the state up, write both, publish what follows."""
        if self.database.marks.find_one({"_id": event["id"]}):
            return
        name = plain.identifier(event)
        found = self.database.referral.find_one({"_id": name})
        state = plain.state_after(found["state"] if found else None, event)
        version = found["version"] + 1 if found else 1
        self.database.referral.replace_one({"_id": name}, {"state": state, "version": version}, upsert=True)
        self.database.marks.insert_one({"_id": event["id"]})
        key, body = plain.answer(event, state, version)
        self.publish(body.decode(), routing_key=key, serializer=None, content_type="application/json")


def main() -> None:
    """Run it."""
    config = {"AMQP_URI": process.amqp_uri(), "max_workers": process.size()}
    container = ServiceContainer(Referrals, config)
    container.start()
    process.say_ready()
    container.wait()


if __name__ == "__main__":
    main()
