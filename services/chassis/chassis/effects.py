"""Effects: work outside the store, done at least once, with tries of their own; the result comes back as a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chassis import metrics
from chassis.incoming import Result
from chassis.logs import kind_of, log
from chassis.transaction import EFFECTS, StoreAway

if TYPE_CHECKING:
    from chassis.home import Home
    from chassis.transaction import Transaction

AT_ONCE = 50
FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 3600


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


Adapter = Callable[[EffectCall], Mapping[str, Any]]


class Effects:
    """Carries out one service's effects."""

    def __init__(self, home: Home, transaction: Transaction, adapters: Mapping[str, Adapter]) -> None:
        """Know the adapters by the effects' names."""
        self._home = home
        self._transaction = transaction
        self._adapters = adapters
        self._collection = home.database[EFFECTS]

    def run_once(self) -> int:
        """Try what is due; how many were tried.

        Raises:
            StoreAway: The store cannot be reached.
            PyMongoError: The same.
        """
        due = {"due": {"$lte": self._home.clock.now()}}
        found = list(self._collection.find(due).sort("due", 1).limit(AT_ONCE))
        for document in found:
            self._try(document)
        return len(found)

    def _try(self, document: Mapping[str, Any]) -> None:
        attempt = document["attempt"] + 1
        call = EffectCall(name=document["name"], key=document["key"], data=document["data"], attempt=attempt)
        try:
            done = self._adapters[call.name](call)
        except StoreAway:
            raise
        except GiveUp as error:
            self._give_up(document, attempt, str(error))
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises is a failed try
            self._failed(document, attempt, kind_of(error))
        else:
            metrics.EFFECTS.labels(call.name, "done").inc()
            self._tell(document, {**document["data"], **done}, failed=False)

    def _failed(self, document: Mapping[str, Any], attempt: int, error: str) -> None:
        if attempt >= self._home.settings.effect_attempts:
            self._give_up(document, attempt, error)
            return
        metrics.EFFECTS.labels(document["name"], "retried").inc()
        log.warning("effect.retry", effect=document["name"], id=document["id"], attempt=attempt, error=error)
        wait = min(FIRST_WAIT_SECONDS * 2 ** (attempt - 1), LONGEST_WAIT_SECONDS)
        due = self._home.clock.now() + timedelta(seconds=wait)
        self._collection.update_one(
            {"_id": document["_id"]}, {"$set": {"due": due, "attempt": attempt, "error": error}}
        )

    def _give_up(self, document: Mapping[str, Any], attempt: int, error: str) -> None:
        metrics.EFFECTS.labels(document["name"], "dead").inc()
        log.error("effect.dead", effect=document["name"], id=document["id"], attempt=attempt, error=error)
        self._tell(document, {**document["data"], "error": error}, failed=True)
        # A dead effect stays where it is seen, without a due time.
        self._collection.update_one(
            {"_id": document["_id"]}, {"$set": {"attempt": attempt, "error": error, "dead": True}, "$unset": {"due": ""}}
        )

    def _tell(self, document: Mapping[str, Any], data: Mapping[str, Any], *, failed: bool) -> None:
        self._transaction.apply(
            [
                Result(
                    aggregate=document["aggregate"],
                    id=document["id"],
                    name=document["name"],
                    effect=document["_id"],
                    data=data,
                    failed=failed,
                )
            ]
        )
