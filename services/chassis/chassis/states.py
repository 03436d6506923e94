"""Aggregates' states to and from documents: plain values in the store, frozen dataclasses in the rules.

Fields made with `chassis.decision.personal` are stored encrypted under a key of their aggregate. The keys live in a
database of their own, so that erasing a client is destroying one key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from cattrs.gen import make_dict_structure_fn, override
from cattrs.preconf.json import make_converter
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from chassis import strictjson
from chassis.crypto import FieldCipher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.collection import Collection

    from chassis.decision import Aggregate

_DUPLICATE = 11000

_converter = make_converter()
_converter.register_unstructure_hook(Decimal, str)
_converter.register_structure_hook(Decimal, lambda value, _type: Decimal(value))
_converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _type: value)


@cache
def personal_fields(state: type) -> frozenset[str]:
    """Names of a state's fields that are stored encrypted."""
    return frozenset(f.name for f in dataclasses.fields(state) if f.metadata.get("personal"))


def holds_personal(state: Any) -> bool:
    """Whether a state holds anything that is stored encrypted."""
    kind: type = type(state)
    return any(getattr(state, name, None) is not None for name in personal_fields(kind))


def dump(state: Any, cipher: FieldCipher | None) -> dict[str, Any]:
    """A state as a document's value.

    Args:
        state: Instance of the aggregate's dataclass.
        cipher: Of the aggregate's key; may be None where the state has no personal fields.
    """
    document = cast("dict[str, Any]", _converter.unstructure(state))
    kind: type = type(state)
    for name in personal_fields(kind):
        if cipher is not None and document.get(name) is not None:
            document[name] = cipher.encrypt(strictjson.dumps(document[name]), name)
    return document


def load(aggregate: Aggregate, stored: Mapping[str, Any], schema: int, cipher: FieldCipher | None) -> Any:
    """The state in a document, brought up to the newest shape.

    A personal field whose key was destroyed is None.

    Args:
        aggregate: The kind of aggregate.
        stored: The value that `dump` gave.
        schema: Number of its shape.
        cipher: Of the aggregate's key, or None where that is gone.
    """
    document = dict(stored)
    for name in personal_fields(aggregate.state):
        sealed = document.get(name)
        if sealed is not None:
            document[name] = strictjson.loads(cipher.decrypt(bytes(sealed), name)) if cipher else None
    for shape in range(schema, aggregate.schema):
        document = aggregate.upcasts[shape](document)
    return _structurer(aggregate.state)(document, aggregate.state)


@cache
def _structurer(state: type) -> Callable[[Mapping[str, Any], Any], Any]:
    """What makes a state: personal fields may be None whatever their type says, since their key may be destroyed."""
    nullable = override(struct_hook=lambda value, kind: None if value is None else _converter.structure(value, kind))
    overrides: dict[str, Any] = dict.fromkeys(personal_fields(state), nullable)
    return make_dict_structure_fn(state, _converter, **overrides)


class FieldKeys:
    """The keys of aggregates with personal fields, in their own database."""

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        """Keep keys in a collection of the database of keys."""
        self._keys = collection

    def find(self, names: Sequence[str]) -> dict[str, FieldCipher]:
        """The ciphers of those aggregates that have a key, by ``<kind>/<id>``."""
        return {
            key["_id"]: FieldCipher(key["key"])
            for key in self._keys.find({"_id": {"$in": list(names)}}, batch_size=len(names) + 1)
        }

    def make(self, names: Sequence[str]) -> dict[str, FieldCipher]:
        """The ciphers of aggregates; keys are made where there are none.

        A key that is made for a batch which then fails harms nobody: the next try finds it.
        """
        if not names:
            return {}
        at = datetime.now(UTC)
        writes = [
            UpdateOne({"_id": n}, {"$setOnInsert": {"key": FieldCipher.new_key(), "at": at}}, upsert=True)
            for n in names
        ]
        try:
            self._keys.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            # Another replica made one of them in the same moment; that one is found below.
            if any(e.get("code") != _DUPLICATE for e in error.details.get("writeErrors", [{}])):
                raise
        return self.find(names)
