"""The test kit's pure half: run one handler as the chassis would, without any I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from chassis.decision import Decision, Handler, Handlers, Message, NotYours

if TYPE_CHECKING:
    from marshmallow import Schema

NOON = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
"""A Tuesday, noon in Helsinki: the moment of messages that do not name their own."""


class FixedIds:
    """Identifiers that a test can foretell: they count and quote instead of hashing."""

    def __init__(self, cause: str = "cause") -> None:
        """Derive everything from one causing id."""
        self._cause = cause

    def new(self, position: int = 0) -> str:
        """A UUID-shaped text that depends on cause and position only."""
        digest = hashlib.sha256(f"{self._cause}/{position}".encode()).hexdigest()
        return f"01900000-{digest[:4]}-7{digest[4:7]}-8{digest[7:10]}-{digest[10:22]}"

    def client(self, organisation: str, case_number: str) -> str:
        """``c.<organisation>-<case number>``, in lower case."""
        return f"c.{organisation}-{case_number.strip().lower()}"

    def short(self, client: str) -> str:
        """The first eight characters of a hash, in capitals."""
        return hashlib.sha256(client.encode()).hexdigest()[:8].upper()


def message(name: str, data: Any = None, **fields: Any) -> Message:
    """A message with defaults for all that a test does not care about; `data` is taken as already loaded."""
    own = fields.pop("own", "kunta")
    organisation = fields.pop("organisation", own)
    identifier = fields.pop("id", f"id-of-{name}")
    return Message(
        id=identifier,
        name=name,
        data=data,
        own=own,
        organisation=organisation,
        at=fields.pop("at", NOON),
        ids=FixedIds(identifier),
        source=fields.pop("source", f"urn:viisikko:{organisation}:test"),
        **fields,
    )


def decide(  # noqa: PLR0913 - each argument is one thing that a test may want to say
    handlers: Handlers,
    kind: str,
    name: str,
    state: Any = None,
    data: Mapping[str, Any] | None = None,
    *,
    reads: Any = None,
    aggregate: str = "",
    version: int = 1,
    **fields: Any,
) -> Decision[Any]:
    """Load `data` with the handler's schema, check the speaker, and call the handler.

    Args:
        handlers: The service's register.
        kind: ``event``, ``told``, ``command``, ``timer`` or ``result``.
        name: The message's name.
        state: The aggregate's state before; None where there is none yet.
        data: JSON as on the wire; for results the adapter's mapping.
        reads: The service's reads.
        aggregate: Needed for timers and results.
        version: Version of the event.
        fields: Further fields of the `Message`, such as ``organisation="seamk"`` or ``path={...}``.

    Raises:
        LookupError: The service has no such handler.
        ValidationError: marshmallow's, where the data breaks the schema.
        Refused: A rule refuses the message (`NotYours` where the speaker may not say it).
    """
    handler = handlers.find(kind, name, version=version, aggregate=aggregate)
    if handler is None:
        text = f"{handlers.service} has no handler for {kind} {name} version {version}"
        raise LookupError(text)
    loaded = _load(handler, data, version)
    told = message(name, loaded, **fields)
    if not handler.said_by(state, told):
        text = f"{name}: {told.organisation} may not say this"
        raise NotYours(text)
    return handler.decide(state, told, reads)


def keyed(handlers: Handlers, kind: str, name: str, data: Mapping[str, Any] | None = None, **fields: Any) -> str:
    """The id of the aggregate that a message would change."""
    handler = handlers.find(kind, name)
    if handler is None:
        text = f"{handlers.service} has no handler for {kind} {name}"
        raise LookupError(text)
    return handler.key(message(name, _load(handler, data, handler.version), **fields))


def published_names(decision: Decision[Any]) -> Sequence[tuple[str, str]]:
    """``(event name, destination)`` of everything that a decision publishes, in order."""
    return [(cast("Any", event.schema).contract.name, event.to) for event in decision.publish]


def dumped(decision: Decision[Any], name: str, to: str) -> Mapping[str, Any]:
    """The data of one published event as it goes on the wire.

    Raises:
        LookupError: The decision publishes no such event to that destination.
    """
    for event in decision.publish:
        contract = cast("Any", event.schema).contract
        if (contract.name, event.to) == (name, to):
            return cast("Mapping[str, Any]", _instance(event.schema).dump(event.data))
    text = f"no {name} to {to} among {published_names(decision)}"
    raise LookupError(text)


def _load(handler: Handler, data: Mapping[str, Any] | None, version: int) -> Any:
    return handler.load(data, version, lambda schema, plain: _instance(schema).load(dict(plain or {})))


def _instance(schema: type) -> Schema:
    return cast("Callable[[], Schema]", schema)()
