"""The aggregates of one service as its store has them: their documents, ciphers and histories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from chassis import states
from chassis.aggregates import AS_STORED, Document, history_collection, taken_apart

if TYPE_CHECKING:
    from chassis.crypto import FieldCipher
    from chassis.decision import Aggregate
    from chassis.home import Home


class Documents:
    """Reads the aggregates of one service.

    Attributes:
        keys: The keys of their personal fields.
    """

    def __init__(self, home: Home) -> None:
        """Read from the service's own database, and keys from theirs."""
        self._home = home
        self.keys = states.FieldKeys(home.keys["keys"])

    def find(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Document]:
        """The documents of some aggregates, by kind and id; of version 0 where there is no aggregate yet.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        ids: dict[str, list[str]] = defaultdict(list)
        for kind, identifier in places:
            ids[kind].append(identifier)
        return {(kind, d.id): d for kind, identifiers in ids.items() for d in self._of_kind(kind, identifiers)}

    def load(self, aggregate: str, identifier: str) -> tuple[Any, int] | None:
        """State and version of one aggregate, or None.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        (found,) = self._of_kind(aggregate, [identifier])
        return (found.state, found.version) if found.version else None

    def history(self, aggregate: str, identifier: str) -> list[dict[str, Any]]:
        """What happened to one aggregate, oldest first, with what was moved out of its document.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        database = self._home.database
        older = database[history_collection(aggregate)].find({"aggregate": identifier}).sort("version", 1)
        document = database[aggregate].find_one({"_id": identifier}, {"history": 1}) or {"history": []}
        return [*(entry["entry"] for entry in older), *document["history"]]

    def _of_kind(self, kind: str, identifiers: Sequence[str]) -> list[Document]:
        aggregate = self._home.handlers.aggregates[kind]
        ciphers = self._ciphers(aggregate, identifiers)
        collection = self._home.database.get_collection(kind, codec_options=AS_STORED)
        # All in one answer: by default the first holds 101.
        answer = collection.find({"_id": {"$in": identifiers}}, batch_size=len(identifiers) + 1)
        found = {d["_id"]: taken_apart(d) for d in answer}
        return [Document(aggregate, one, found.get(one), ciphers.get(f"{kind}/{one}")) for one in identifiers]

    def _ciphers(self, aggregate: Aggregate, identifiers: Sequence[str]) -> dict[str, FieldCipher]:
        if not states.personal_fields(aggregate.state):
            return {}
        return self.keys.find([f"{aggregate.name}/{identifier}" for identifier in identifiers])
