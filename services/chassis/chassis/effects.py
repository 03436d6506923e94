"""Effects: work outside the store, done at least once, with tries of their own; the result comes back as a message.

One that was given up, or whose result was refused, is dead: it keeps its document, and so its key, and stands in the
parking lot (`chassis.parked`) until an operator replays or discards it.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import bson
import eventlet
from bson.errors import BSONError
from pymongo.errors import PyMongoError

from chassis import metrics, tracing
from chassis.amqp import Weather
from chassis.batch import EFFECTS
from chassis.incoming import Replay, Result, Settled, Trace
from chassis.logs import kind_of, log
from chassis.transaction import StoreAway

if TYPE_CHECKING:
    from chassis.home import Home
    from chassis.transaction import Transaction

AT_ONCE = 50
FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 3600
PROBE_SECONDS = 10
"""How often an adapter whose other end cannot be reached is tried, with one effect."""

NEVER_ENDED = "its last try ended the process"
"""Error of an effect that has used up its tries without the last of them ending."""


class GiveUp(Exception):  # noqa: N818 - says what follows
    """Raised by an adapter: no further try can succeed. The text holds no personal data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectCall:
    """One try of an effect.

    Attributes:
        name: The adapter's name.
        key: Stable across tries.
        data: What the decision gave.
        attempt: 1 for the first try.
    """

    name: str
    key: str
    data: Mapping[str, Any]
    attempt: int


Adapter = Callable[[EffectCall], Mapping[str, Any] | None]


class Effects:
    """Carries out one service's effects.

    Attributes:
        in_hand: How many are being tried at this moment.
    """

    def __init__(self, home: Home, transaction: Transaction, adapters: Mapping[str, Adapter]) -> None:
        """Know the adapters by the effects' names."""
        self._home = home
        self._transaction = transaction
        self._adapters = adapters
        self._collection = home.database[EFFECTS]
        self._weather = {name: Weather(name) for name in adapters}
        self._probe: dict[str, datetime] = {}
        self.in_hand = 0

    def ready(self) -> dict[str, bool]:
        """Whether the other end of each adapter was there when it was last needed."""
        return {name: not weather.away for name, weather in self._weather.items()}

    def run_once(self) -> int:
        """Try what is due; how many were tried.

        Raises:
            StoreAway: The store cannot be reached.
            PyMongoError: The same.
        """
        tried = 0
        for document in self._due():
            # The first of a batch may have found that the other end is away; the rest then waits as it is.
            if document["name"] not in self._waiting() and self._try(document):
                tried += 1
        return tried

    def _due(self) -> list[dict[str, Any]]:
        now = self._home.clock.now()
        # No wait is longer: a due time beyond it was written before the clock was stepped back.
        longest = now + timedelta(seconds=LONGEST_WAIT_SECONDS)
        due = {"$or": [{"due": {"$lte": now}}, {"due": {"$gt": longest}}], "name": {"$nin": self._waiting()}}
        return list(self._collection.find(due).sort("due", 1).limit(AT_ONCE))

    def _waiting(self) -> list[str]:
        now = self._home.clock.now()
        longest = timedelta(seconds=PROBE_SECONDS)
        return [name for name, probe in self._probe.items() if now < probe <= now + longest]

    def _try(self, document: Mapping[str, Any]) -> bool:
        attempt = int(document["attempt"]) + 1
        if not self._claim(document, attempt):
            return False
        if "done" in document:
            # Only its result was refused, and is told anew; what it did must not be done again.
            self._tell(document, document["done"], error="")
        elif document["attempt"] >= self._home.settings.effect_attempts:
            self._give_up(document, NEVER_ENDED)
        else:
            self._carry_out(document, attempt)
        return True

    def _carry_out(self, document: Mapping[str, Any], attempt: int) -> None:
        call = EffectCall(name=document["name"], key=document["key"], data=document["data"], attempt=attempt)
        try:
            done = self._call(call, document)
        except (StoreAway, PyMongoError):
            raise
        except GiveUp as error:
            self._reached(call.name)
            self._give_up(document, str(error) or kind_of(error))
        except (Exception, eventlet.Timeout) as error:  # noqa: BLE001 - whatever an adapter raises is a failed try
            self._failed(document, attempt, error)
        else:
            self._reached(call.name)
            metrics.EFFECTS.labels(call.name, "done").inc()
            self._tell(document, done, error="")

    def _call(self, call: EffectCall, document: Mapping[str, Any]) -> dict[str, Any]:
        self.in_hand += 1
        try:
            # One that hangs would keep all others from being tried.
            with eventlet.Timeout(self._home.settings.effect_seconds):
                done = {**call.data, **(self._in_span(call, document) or {})}
        finally:
            self.in_hand -= 1
        try:
            bson.encode(done)
        except (BSONError, OverflowError) as error:
            raise GiveUp(f"result: cannot be kept in the store: {kind_of(error)}") from error
        return done

    def _in_span(self, call: EffectCall, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if self._home.spans is None:
            return self._adapters[call.name](call)
        with self._home.spans.effect(call.name, document["_id"], self._trace(document), _asked(document)):
            return self._adapters[call.name](call)

    def _trace(self, document: Mapping[str, Any]) -> Trace:
        """The span of the try after those that the document counts."""
        seed = f"effect\0{document['_id']}"
        # A replay counts its tries anew.
        replayed = document["replay"]["attempt"] if "replay" in document else ""
        return tracing.begin(self._home.source, seed, _asked(document), f"{document['attempt']}/{replayed}")

    def _claim(self, document: Mapping[str, Any], attempt: int) -> bool:
        """Count the try before the call, so that one that ends the process is not tried for ever.

        False where it is no longer as it was read: a replica that was frozen meanwhile has a standby that did it.
        """
        wait = min(FIRST_WAIT_SECONDS * 2 ** (attempt - 1), LONGEST_WAIT_SECONDS)
        due = self._home.clock.now() + timedelta(seconds=wait)
        # After a replay the tries are counted anew.
        as_read = {"_id": document["_id"], "attempt": document["attempt"], "replay": document.get("replay")}
        return self._collection.update_one(as_read, {"$set": {"attempt": attempt, "due": due}}).matched_count == 1

    def _failed(self, document: Mapping[str, Any], attempt: int, error: BaseException) -> None:
        if _is_away(error):
            self._away(document, attempt, error)
            return
        if attempt >= self._home.settings.effect_attempts:
            self._give_up(document, kind_of(error))
            return
        metrics.EFFECTS.labels(document["name"], "retried").inc()
        log.warning("effect.retry", effect=document["name"], id=document["id"], attempt=attempt, error=error)
        self._note(document, attempt, {"error": kind_of(error)})

    def _away(self, document: Mapping[str, Any], attempt: int, error: BaseException) -> None:
        name = document["name"]
        metrics.EFFECTS.labels(name, "away").inc()
        self._weather[name].gone(error)
        self._probe[name] = self._home.clock.now() + timedelta(seconds=PROBE_SECONDS)
        # It is not this effect's fault, so that the try does not count.
        before = {"attempt": document["attempt"], "due": document["due"], "error": kind_of(error)}
        self._note(document, attempt, before)

    def _note(self, document: Mapping[str, Any], attempt: int, changes: Mapping[str, Any]) -> None:
        # One that another replica has tried, buried or replayed meanwhile is no longer this one's to change.
        mine = {"_id": document["_id"], "attempt": attempt, "dead": {"$ne": True}}
        self._collection.update_one(mine, {"$set": dict(changes)})

    def _reached(self, name: str) -> None:
        self._weather[name].back()
        self._probe.pop(name, None)

    def _give_up(self, document: Mapping[str, Any], error: str) -> None:
        self._tell(document, {**document["data"], "error": error}, error=error)

    def _tell(self, document: Mapping[str, Any], data: Mapping[str, Any], *, error: str) -> None:
        """Apply the result; the same transaction removes the effect, or parks it."""
        result = Result(
            aggregate=document["aggregate"],
            id=document["id"],
            name=document["name"],
            effect=document["_id"],
            data=data,
            failed=bool(error),
            trace=self._trace(document),
            error=error,
            replay=Replay(**document["replay"]) if "replay" in document else None,
        )
        outcome = self._transaction.apply([result])[0]
        if error or outcome.settled is Settled.REFUSED:
            metrics.EFFECTS.labels(document["name"], "dead").inc()
            log.error("effect.dead", effect=document["name"], id=document["id"], error=error or "result")


def _asked(document: Mapping[str, Any]) -> Trace | None:
    """The span that asked for an effect."""
    return tracing.read(document.get("traceparent"), document.get("tracestate"))


def _is_away(error: BaseException) -> bool:
    """Whether the other end cannot be reached; a mail server that answers no (RFC 5321) was reached."""
    if isinstance(error, smtplib.SMTPException):
        return isinstance(error, smtplib.SMTPServerDisconnected | smtplib.SMTPConnectError)
    return isinstance(error, OSError)
