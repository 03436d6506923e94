"""What the tests of a service process share: a partner that publishes, and a person's HTTP client."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from typing import Any

import amqp
import httpx
import kombu

from chassis import profile
from chassis.testing_live import Running
from chassis.topology import EVENTS

SERVICE = "thing:Things"


class Publisher:
    """Publishes to the network's exchange as a partner would, with confirms."""

    def __init__(self, uri: str) -> None:
        self._connection = kombu.Connection(uri)
        self._channel: Any = self._connection.channel()
        self._channel.confirm_select()

    def send(self, *envelopes: Any, **properties: Any) -> None:
        for envelope in envelopes:
            self.raw(profile.compose(envelope), envelope.routing_key, **properties)

    def raw(self, body: bytes, key: str, **properties: Any) -> None:
        message = amqp.Message(body, **{"content_type": profile.CONTENT_TYPE, **properties})
        self._channel.basic_publish_confirm(message, EVENTS, key)

    def close(self) -> None:
        self._connection.close()


def client(process: Running, *roles: str) -> httpx.Client:
    token = process.place.token(*roles)
    return httpx.Client(base_url=process.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def counts(process: Running) -> dict[str, int]:
    with client(process) as http:
        lines = http.get("/v1/things").text.splitlines()
    return {item["id"]: item["count"] for item in map(json.loads, lines)}


def parked(process: Running) -> Counter[str]:
    with client(process, "operator") as http:
        return Counter({group["reason"]: group["count"] for group in http.get("/v1/parked").json()})
