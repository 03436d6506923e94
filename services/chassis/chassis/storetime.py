"""Asks a store what time it is: the shortest proof that it is there, lets us in, and keeps the same time."""

from __future__ import annotations

from datetime import UTC, datetime

from pymongo import MongoClient
from pymongo.errors import PyMongoError


def store_time(uri: str, *, seconds: float = 5) -> datetime:
    """The store's clock.

    Args:
        uri: Its address, as the services have it.
        seconds: How long to wait for it.

    Raises:
        OSError: It does not answer, or does not let this address in.
    """
    milliseconds = round(seconds * 1000)
    try:
        with MongoClient[dict[str, object]](
            uri, serverSelectionTimeoutMS=milliseconds, connectTimeoutMS=milliseconds, socketTimeoutMS=milliseconds
        ) as client:
            client.admin.command("listDatabases", nameOnly=True)
            told = client.admin.command("hello")["localTime"]
    except PyMongoError as error:
        raise OSError(type(error).__name__) from None
    return told.replace(tzinfo=UTC) if isinstance(told, datetime) else datetime.now(UTC)
