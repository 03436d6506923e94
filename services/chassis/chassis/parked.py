"""What operators do with the parking lot: list, show, replay and discard, with a line in the audit for each.

A replay is staged: in one transaction the entry turns to ``replaying`` under a new attempt, and the message goes into
the outbox, towards the service's own queue, or the effect becomes due again. Whatever settles it later removes the
entry, or parks it again in its own place (`ParkingLot.settle`, `ParkingLot.park`). So no two operators, and no two
requests of one, replay it twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo import DeleteOne, UpdateOne

from chassis import crypto, parked_view, profile
from chassis.batch import EFFECTS, Conflict
from chassis.border import Entry
from chassis.decision import Invalid, Unknown
from chassis.incoming import Again, KeyReused, Replay
from chassis.outbox import PAGE_BYTES, Outbox
from chassis.parking import AUDIT, EFFECTS_QUEUE, OUTBOX_QUEUE, PARKED, ParkingLot, Status
from chassis.selection import ID, Action, Filters, Listing, at_rest, beginning_with
from chassis.topology import EVENTS, own_exchange, queue

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

    from chassis.home import Home
    from chassis.transaction import Transaction

    _Do = Callable[[dict[str, Any], datetime, ClientSession], tuple[list[str], float]]

PACE = "pace"
WINDOW = timedelta(seconds=1)
"""The rate of replays is counted in windows of this length, for all replicas together."""

_OLDEST_FIRST = [("first", 1), ("order", 1)]
_GROUPED = ("status", "reason", "rule", "type", "publisher")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks for it.

    Attributes:
        person: Staff id behind the token.
        key: The request's Idempotency-Key: however often the request is repeated, it acts once.
        body: The request's body, which is the same in every repetition.
    """

    person: str
    key: str
    body: bytes = b""


class ParkedEvents:
    """The parking lot of one service, as its operators see it."""

    def __init__(self, home: Home, transaction: Transaction) -> None:
        """Work in the service's own database."""
        self._home = home
        self._transaction = transaction
        self._lot = ParkingLot(home)
        self._entries = home.database[PARKED]
        self._audit = home.database[AUDIT]
        self._outbox = Outbox(home.database)

    def groups(self, filters: Filters) -> list[dict[str, Any]]:
        """What is parked, grouped by status, reason, rule, type and publisher, the largest group first.

        Raises:
            Unknown: An id is not in the lot.
        """
        return self._grouped(self._named(filters).query(self._home.clock.now()))

    def entries(self, listing: Listing) -> Iterator[dict[str, Any]]:
        """Entries without their content, oldest first.

        Raises:
            Unknown: An id is not in the lot.
        """
        query = self._named(listing.filters).query(self._home.clock.now())
        if listing.status is not None:
            query["status"] = listing.status
        found = self._entries.find(query).sort(_OLDEST_FIRST).limit(listing.limit)
        return (parked_view.listed(entry) for entry in found)

    def show(self, prefix: str) -> dict[str, Any]:
        """One entry with what may be seen of its event, and its lines in the audit, oldest first.

        Args:
            prefix: Its id, or so much of its beginning that it is meant alone. One that is settled or was discarded
                has its lines in the audit still.

        Raises:
            Unknown: There is none.
            Invalid: Several ids begin so.
        """
        identifier = _the_one(self._with(prefix) or self._noted(prefix))
        entry = self._entries.find_one({"_id": identifier})
        lines = self._audit.find({"id": identifier}, {"_id": 0, "id": 0, "attempt": 0, "request": 0, "body": 0}).sort(
            "at", 1
        )
        shown = (
            {**parked_view.listed(entry), **parked_view.content(entry)}
            if entry
            else {"id": identifier, "status": "gone"}
        )
        return {**shown, "audit": [{**line, "at": line["at"].isoformat()} for line in lines]}

    def replay(self, action: Action, asker: Asker) -> dict[str, Any]:
        """Send entries again to the own queue, as many as the rate allows at once; or tell which would be sent.

        Raises:
            Unknown: An id is not in the lot.
            Invalid: Several ids begin as one that is given.
            KeyReused: The request's key came with another body before.
            StoreAway: The store cannot be reached; nothing was sent.
        """
        kept = {"body": {"$ne": None}}
        return self._act("replay", action, asker, kept, lambda *when: self._send(action, asker, *when))

    def discard(self, action: Action, asker: Asker) -> dict[str, Any]:
        """Remove entries for good; or tell which would be removed.

        Raises:
            Unknown: An id is not in the lot.
            Invalid: Several ids begin as one that is given.
            KeyReused: The request's key came with another body before.
            StoreAway: The store cannot be reached; nothing was removed.
        """
        return self._act("discard", action, asker, {}, lambda *when: self._remove(action, asker, *when))

    def _act(self, what: str, action: Action, asker: Asker, possible: dict[str, Any], do: _Do) -> dict[str, Any]:
        now = self._home.clock.now()
        meant = self._named(action.filters).query(now)
        if action.before is not None:
            meant["last"] = {"$lte": action.before}
        query = {**meant, **at_rest(now), **possible}
        matched = self._entries.count_documents(query)
        others = {
            "replaying": self._entries.count_documents({**meant, "status": str(Status.REPLAYING)}),
            "withoutBody": self._entries.count_documents({**meant, **at_rest(now), "body": None}) if possible else 0,
        }
        if action.dry_run:
            return {"dryRun": True, "matched": matched, "groups": self._grouped(query), **others}
        done, wait = self._transaction.write(
            lambda session: self._once(what, asker, lambda: do(query, self._home.clock.now(), session), session)
        )
        left = self._entries.count_documents({**query, "last": {"$lte": action.before or now}})
        return {
            "dryRun": False,
            "matched": matched,
            "ids": done,
            "left": left,
            "retryAfterSeconds": wait if left else 0,
            "before": (action.before or now).isoformat(),
            **others,
        }

    def _once(
        self, what: str, asker: Asker, do: Callable[[], tuple[list[str], float]], session: ClientSession
    ) -> tuple[list[str], float]:
        lines = list(self._audit.find({"request": self._request(what, asker)}, session=session))
        if any(line["body"] != self._body(asker) for line in lines):
            raise KeyReused
        return ([line["id"] for line in lines], 0) if lines else do()

    def _send(
        self, action: Action, asker: Asker, query: dict[str, Any], now: datetime, session: ClientSession
    ) -> tuple[list[str], float]:
        allowed, wait = self._allowed(action.per_second, now, session)
        chosen = self._chosen(query, min(action.limit, allowed), session)
        staged = [(entry, Replay(entry["_id"], self._attempt(entry["_id"], asker))) for entry in chosen]
        self._stage(staged, now, session)
        self._spend(len(staged), now, session)
        effects = [(entry, replay) for entry, replay in staged if _is_effect(entry)]
        self._revive(effects, now, session)
        events = [self._entry(entry, replay) for entry, replay in staged if not _is_effect(entry)]
        self._outbox.add(events, now, session)
        self._lot.note([self._line(entry, asker, "replay", now, replay.attempt) for entry, replay in staged], session)
        return [replay.id for _entry, replay in staged], wait

    def _stage(self, staged: Sequence[tuple[dict[str, Any], Replay]], now: datetime, session: ClientSession) -> None:
        writes = [
            UpdateOne(
                {"_id": replay.id, "attempt": entry.get("attempt")},
                {"$set": {"status": str(Status.REPLAYING), "attempt": replay.attempt, "replayed": now}},
            )
            for entry, replay in staged
        ]
        if writes and self._entries.bulk_write(writes, session=session).matched_count != len(writes):
            raise Conflict

    def _revive(self, effects: Sequence[tuple[dict[str, Any], Replay]], now: datetime, session: ClientSession) -> None:
        """Let dead effects be tried anew; one that was done tells its result only."""
        writes = [
            UpdateOne(
                _dead(entry),
                {
                    "$set": {"attempt": 0, "due": now, "replay": {"id": replay.id, "attempt": replay.attempt}},
                    "$unset": {"dead": "", "error": ""},
                },
            )
            for entry, replay in effects
        ]
        if writes and self._home.database[EFFECTS].bulk_write(writes, session=session).matched_count != len(writes):
            raise Conflict

    def _remove(
        self, action: Action, asker: Asker, query: dict[str, Any], now: datetime, session: ClientSession
    ) -> tuple[list[str], float]:
        chosen = self._chosen(query, action.limit, session)
        removals = [DeleteOne({"_id": entry["_id"], "attempt": entry.get("attempt")}) for entry in chosen]
        if removals and self._entries.bulk_write(removals, session=session).deleted_count != len(removals):
            raise Conflict
        effects = [DeleteOne(_dead(entry)) for entry in chosen if _is_effect(entry)]
        if effects:
            self._home.database[EFFECTS].bulk_write(effects, session=session)
        self._lot.note([self._line(entry, asker, "discard", now, None) for entry in chosen], session)
        return [entry["_id"] for entry in chosen], 0

    def _chosen(self, query: dict[str, Any], limit: int, session: ClientSession) -> list[dict[str, Any]]:
        chosen: list[dict[str, Any]] = []
        size = 0
        # A limit of 0 would be none to the store.
        for entry in self._entries.find(query, session=session).sort(_OLDEST_FIRST).limit(limit) if limit else ():
            size += len(entry["body"] or b"")
            if chosen and size > PAGE_BYTES:
                break
            chosen.append(entry)
        return chosen

    def _entry(self, entry: dict[str, Any], replay: Replay) -> Entry:
        # What the own relay could not publish goes where it was to go; all else to the one queue that had taken it.
        back = entry["queue"] == OUTBOX_QUEUE and not entry["own"]
        mine = queue(self._home.organisation, self._home.service)
        headers = {name: value for name, value in entry["headers"].items() if name not in profile.HEADERS}
        return Entry(
            exchange=EVENTS if back else own_exchange(self._home.organisation),
            key=entry["key"] if back else mine,
            body=bytes(entry["body"]),
            aggregate=f"{PARKED}/{replay.id}",
            version=1,
            origin="" if back else entry["key"],
            again=Again(content_type=entry["contentType"], headers=headers, replay=replay),
        )

    def _attempt(self, identifier: str, asker: Asker) -> str:
        return crypto.keyed_hash(self._home.secrets.ids, "attempt", asker.person, asker.key, identifier)

    def _line(
        self, entry: dict[str, Any], asker: Asker, what: str, now: datetime, attempt: str | None
    ) -> dict[str, Any]:
        request = {"request": self._request(what, asker), "body": self._body(asker)}
        known = {name: entry[name] for name in ("reason", "rule", "type", "publisher", "event")}
        return (
            {"at": now, "person": asker.person, "what": what, "id": entry["_id"], "attempt": attempt} | known | request
        )

    def _request(self, what: str, asker: Asker) -> str:
        return crypto.keyed_hash(self._home.secrets.ids, what, asker.person, asker.key)

    def _body(self, asker: Asker) -> str:
        return crypto.keyed_hash(self._home.secrets.ids, asker.body)

    def _allowed(self, per_second: int | None, now: datetime, session: ClientSession) -> tuple[int, float]:
        rate = min(per_second or self._home.settings.replays_per_second, self._home.settings.replays_per_second)
        begun, spent = self._window(now, session)
        return max(0, rate - spent), (begun + WINDOW - now).total_seconds()

    def _spend(self, count: int, now: datetime, session: ClientSession) -> None:
        begun, spent = self._window(now, session)
        # Two that replay at once both write it, so that one of them is first and the other counts anew.
        self._home.database[PACE].replace_one(
            {"_id": "replay"}, {"_id": "replay", "at": begun, "spent": spent + count}, upsert=True, session=session
        )

    def _window(self, now: datetime, session: ClientSession) -> tuple[datetime, int]:
        pace = self._home.database[PACE].find_one({"_id": "replay"}, session=session)
        if pace is None or not pace["at"] <= now < pace["at"] + WINDOW:
            return now, 0
        return pace["at"], pace["spent"]

    def _named(self, filters: Filters) -> Filters:
        """The same filters with whole ids."""
        if filters.ids is None:
            return filters
        return dataclasses.replace(filters, ids=tuple(_the_one(self._with(prefix)) for prefix in filters.ids))

    def _with(self, prefix: str) -> list[str]:
        if not ID.match(prefix):
            return []
        return [entry["_id"] for entry in self._entries.find({"_id": beginning_with(prefix)}, {"_id": 1}).limit(2)]

    def _noted(self, prefix: str) -> list[str]:
        return sorted(self._audit.distinct("id", {"id": beginning_with(prefix)})) if ID.match(prefix) else []

    def _grouped(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        group = {
            "_id": {name: f"${name}" for name in _GROUPED},
            "count": {"$sum": 1},
            "first": {"$min": "$first"},
            "last": {"$max": "$last"},
            "error": {"$first": "$error"},
        }
        found = self._entries.aggregate([{"$match": query}, {"$group": group}])
        return sorted((parked_view.group(one) for one in found), key=lambda one: -one["count"])


def _is_effect(entry: dict[str, Any]) -> bool:
    return entry["queue"] == EFFECTS_QUEUE and entry["body"] is not None


def _dead(entry: dict[str, Any]) -> dict[str, Any]:
    """MongoDB's query for the effect of an entry, as long as it is dead."""
    return {"_id": bytes(entry["body"]).decode(), "dead": True}


def _the_one(found: Sequence[str]) -> str:
    if not found:
        raise Unknown("ids: nothing is parked here whose id begins so", field="ids")
    if len(found) > 1:
        raise Invalid("ids: several ids begin so; give more of it", field="ids")
    return found[0]
