"""What the processes that are measured against share: where broker and store are, and how they say that they run."""

from __future__ import annotations

import os
import sys
from typing import Any

import amqp
from kombu.utils.url import parse_url
from pymongo import MongoClient
from pymongo.database import Database

QUEUE = "kunta.referral"
DATABASE = "kunta_referral"
EXCHANGE = "network.events"
PERSISTENT = 2
READY = "ready"

QUEUE_ARGUMENTS = {"x-queue-type": "quorum", "x-single-active-consumer": True}


def amqp_uri() -> str:
    """The broker."""
    return os.environ["BENCH_AMQP"]


def mongo_uri() -> str:
    """The store."""
    return os.environ["BENCH_MONGO"]


def size() -> int:
    """Batch, prefetch, workers or pages: what the process is tried with."""
    return int(os.environ["BENCH_SIZE"])


def database() -> Database[dict[str, Any]]:
    """The database of the service that is measured."""
    return MongoClient[dict[str, Any]](mongo_uri(), tz_aware=True)[DATABASE]


def connect(uri: str) -> amqp.Connection:
    """A connection without any framework."""
    parts = parse_url(uri)
    connection = amqp.Connection(
        f"{parts['hostname']}:{parts['port']}", parts["userid"], parts["password"], virtual_host=parts["virtual_host"]
    )
    connection.connect()
    return connection


def say_ready() -> None:
    """Say that messages are awaited."""
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
