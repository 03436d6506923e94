"""Store sessions of one replica, known by name, so that another can end what a killed one left open.

A transaction whose client was killed holds its documents until the store gives it up, which takes a minute. So each
replica writes down the sessions that it uses, and one that keeps meeting conflicts ends those of the others. Should
the other be alive, its transaction is only tried again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from chassis.logs import log

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

SESSIONS = "sessions"


class Sessions:
    """The sessions of one replica."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        """Write them down in the service's own database."""
        self._database = database
        self._me = uuid.uuid4().hex
        self._free: list[ClientSession] = []

    @contextmanager
    def transaction(self) -> Iterator[ClientSession]:
        """A session within a transaction: committed at the end, aborted where an exception leaves it.

        Raises:
            PyMongoError: The store cannot be reached, or another writer was first.
        """
        session = self._free.pop() if self._free else self._new()
        try:
            with session.start_transaction():
                yield session
        except BaseException:
            # Its state in the store may be unknown, so that it is not used again.
            self._end(session)
            raise
        self._free.append(session)

    def end_others(self) -> None:
        """End the sessions of every other replica of this service.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        written = self._database[SESSIONS]
        others = [found["_id"] for found in written.find({"replica": {"$ne": self._me}})]
        if others:
            self._database.client.admin.command("killSessions", [{"id": other} for other in others])
            written.delete_many({"_id": {"$in": others}})
            log.info("sessions.ended", sessions=len(others))

    def _new(self) -> ClientSession:
        session = self._database.client.start_session()
        row = {"_id": session.session_id["id"], "replica": self._me, "at": datetime.now(UTC)}
        # The driver may give an id out again, and the row of one that ended while the store was away still stands.
        self._database[SESSIONS].replace_one({"_id": row["_id"]}, row, upsert=True)
        return session

    def _end(self, session: ClientSession) -> None:
        identifier = session.session_id["id"]
        try:
            session.end_session()
            self._database[SESSIONS].delete_one({"_id": identifier})
        except PyMongoError as error:
            log.debug("session.end", error=error)
