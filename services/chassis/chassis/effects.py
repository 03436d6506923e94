"""Effects: work outside the store, done at least once, with tries of their own; the result comes back as a message."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import eventlet
from pymongo.errors import PyMongoError

from chassis import metrics, tracing
from chassis.amqp import Weather
from chassis.batch import EFFECTS
from chassis.incoming import Outcome, Result, Settled, Trace
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
    """Carries out one service's effects."""

    def __init__(self, home: Home, transaction: Transaction, adapters: Mapping[str, Adapter]) -> None:
        """Know the adapters by the effects' names."""
        self._home = home
        self._transaction = transaction
        self._adapters = adapters
        self._collection = home.database[EFFECTS]
        self._weather = {name: Weather(name) for name in adapters}
        self._probe: dict[str, datetime] = {}

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
        due = {"due": {"$lte": self._home.clock.now()}, "name": {"$nin": self._waiting()}}
        return list(self._collection.find(due).sort("due", 1).limit(AT_ONCE))

    def _waiting(self) -> list[str]:
        now = self._home.clock.now()
        return [name for name, probe in self._probe.items() if now < probe]

    def _try(self, document: Mapping[str, Any]) -> bool:
        attempt = int(document["attempt"]) + 1
        if not self._claim(document, attempt):
            return False
        call = EffectCall(name=document["name"], key=document["key"], data=document["data"], attempt=attempt)
        try:
            done = {**document["data"], **(self._carry_out(call, document) or {})}
        except (StoreAway, PyMongoError):
            raise
        except GiveUp as error:
            self._reached(call.name)
            self._give_up(document, str(error))
        except (Exception, eventlet.Timeout) as error:  # noqa: BLE001 - whatever an adapter raises is a failed try
            self._failed(document, attempt, error)
        else:
            self._reached(call.name)
            self._done(document, done)
        return True

    def _carry_out(self, call: EffectCall, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if self._home.spans is None:
            return self._adapters[call.name](call)
        with self._home.spans.effect(call.name, document["_id"], self._trace(document), _asked(document)):
            return self._adapters[call.name](call)

    def _trace(self, document: Mapping[str, Any]) -> Trace:
        """The span of the try after those that the document counts."""
        seed = f"effect\0{document['_id']}"
        return tracing.begin(self._home.source, seed, _asked(document), str(document["attempt"]))

    def _claim(self, document: Mapping[str, Any], attempt: int) -> bool:
        """Count the try before the call, so that one that ends the process is not tried for ever.

        False where it is no longer as it was read: a replica that was frozen meanwhile has a standby that did it.
        """
        wait = min(FIRST_WAIT_SECONDS * 2 ** (attempt - 1), LONGEST_WAIT_SECONDS)
        due = self._home.clock.now() + timedelta(seconds=wait)
        as_read = {"_id": document["_id"], "attempt": document["attempt"]}
        return self._collection.update_one(as_read, {"$set": {"attempt": attempt, "due": due}}).matched_count == 1

    def _failed(self, document: Mapping[str, Any], attempt: int, error: BaseException) -> None:
        if _is_away(error):
            self._away(document, error)
            return
        if attempt >= self._home.settings.effect_attempts:
            self._give_up(document, kind_of(error))
            return
        metrics.EFFECTS.labels(document["name"], "retried").inc()
        log.warning("effect.retry", effect=document["name"], id=document["id"], attempt=attempt, error=error)
        self._collection.update_one({"_id": document["_id"]}, {"$set": {"error": kind_of(error)}})

    def _away(self, document: Mapping[str, Any], error: BaseException) -> None:
        name = document["name"]
        metrics.EFFECTS.labels(name, "away").inc()
        self._weather[name].gone(error)
        self._probe[name] = self._home.clock.now() + timedelta(seconds=PROBE_SECONDS)
        # It is not this effect's fault, so that the try does not count.
        before = {"attempt": document["attempt"], "due": document["due"], "error": kind_of(error)}
        self._collection.update_one({"_id": document["_id"]}, {"$set": before})

    def _reached(self, name: str) -> None:
        self._weather[name].back()
        self._probe.pop(name, None)

    def _done(self, document: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        metrics.EFFECTS.labels(document["name"], "done").inc()
        outcome = self._tell(document, data, failed=False)
        if outcome.settled is Settled.REFUSED:
            # It was done and must not be done again, though the service could not take its result.
            self._bury(document, f"result: {outcome.refusal.rule if outcome.refusal else 'refused'}")

    def _give_up(self, document: Mapping[str, Any], error: str) -> None:
        self._tell(document, {**document["data"], "error": error}, failed=True)
        self._bury(document, error)

    def _bury(self, document: Mapping[str, Any], error: str) -> None:
        metrics.EFFECTS.labels(document["name"], "dead").inc()
        log.error("effect.dead", effect=document["name"], id=document["id"], error=error)
        # A dead effect stays where it is seen, without a due time.
        self._collection.update_one(
            {"_id": document["_id"]}, {"$set": {"error": error, "dead": True}, "$unset": {"due": ""}}
        )

    def _tell(self, document: Mapping[str, Any], data: Mapping[str, Any], *, failed: bool) -> Outcome:
        result = Result(
            aggregate=document["aggregate"],
            id=document["id"],
            name=document["name"],
            effect=document["_id"],
            data=data,
            failed=failed,
            trace=self._trace(document),
        )
        return self._transaction.apply([result])[0]


def _asked(document: Mapping[str, Any]) -> Trace | None:
    """The span that asked for an effect."""
    return tracing.read(document.get("traceparent"), document.get("tracestate"))


def _is_away(error: BaseException) -> bool:
    """Whether the other end cannot be reached; a mail server that answers no (RFC 5321) was reached."""
    if isinstance(error, smtplib.SMTPException):
        return isinstance(error, smtplib.SMTPServerDisconnected | smtplib.SMTPConnectError)
    return isinstance(error, OSError)
