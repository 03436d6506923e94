"""What a service says to the chassis: messages in, decisions out, and the register of its handlers.

Every reaction in the network is a pure function ``decide(state, message, reads) -> Decision``. This module holds the
plain data of that sentence and needs the standard library only, so that a service's rules can be read, tested and
moved without a broker, a database or a framework.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

S = TypeVar("S")
T = TypeVar("T", bound=type)

ALL = "all"
"""The destination that means every organisation of the network (contract.md)."""


class Classification(StrEnum):
    """How far an event's data may be read (contract.md, ``dataclassification``)."""

    PUBLIC = "public"
    PSEUDONYMOUS = "pseudonymous"
    PERSONAL = "personal"


class Refused(ValueError):  # noqa: N818 - errors name the fact, not that they are errors
    """A rule of the domain refuses a message; nothing of it is applied.

    Subclass it with the fact as the name (``ReasonRequired``). The text names the field, the kind of value and the
    rule, and never a personal value. An event is parked with the rule's name and its publisher is told; an HTTP
    command is answered with 409.

    Attributes:
        field: The field that broke the rule, or None where no single field did.
    """

    def __init__(self, text: str, *, field: str | None = None) -> None:
        """Keep the sentence and the field that it is about."""
        super().__init__(text)
        self.field = field

    @property
    def rule(self) -> str:
        """The rule's name: the class name in kebab case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()


class NotYours(Refused):
    """The speaker may not say this: parked as ``not-yours``, or answered with 403."""


class Unknown(Refused):
    """The aggregate that the message is about does not exist here: parked, or answered with 404."""


class Invalid(Refused):
    """The message's content breaks a rule beyond its schema's: parked as ``schema``, or answered with 422."""


class Ids(Protocol):
    """New and derived identifiers, pure in their arguments under the organisation's own secrets."""

    def new(self, position: int = 0) -> str:
        """A UUIDv7 derived from the causing message and a position (0, 1, …) within its decision."""

    def client(self, organisation: str, case_number: str) -> str:
        """The client id (``c.…``) of an organisation's case number: a keyed hash, so that imports meet again."""

    def short(self, client: str) -> str:
        """The short reference with a check character that people read, for a client id or reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing that a service is to react to: an event, a command, a due timer, an effect's result, a ``tell``.

    Attributes:
        id: The event's id, the command's mark, or the hash that names a timer or a result.
        name: ``aggregate.verb`` of an event or tell; the name of a command, timer or effect otherwise.
        subject: The aggregate's id as its publisher names it, an own client's as own id; of a command, the path's
            ``id`` or an empty string; of a timer or a result, the id of the aggregate that asked for it.
        data: What the handler's schema loaded; of a result, the effect's data with what the adapter returned or, where
            it was given up, with ``error``; None for a timer.
        at: The chassis clock when the message was taken, with offset. Never the publisher's time.
        organisation: Who speaks; the own organisation for commands, timers, results and tells.
        own: The organisation that this service instance belongs to.
        source: The speaker's URN, ``urn:viisikko:<organisation>:<system>``.
        ids: Identifiers derived from this message.
        person: Staff id of the person behind a command.
        roles: Roles of the person behind a command.
        correlation: The client whose journey this belongs to: own id at home, a pair's reference elsewhere.
        path: Named parts of a command's path, such as ``{"sender": "kunta", "id": "…"}``.
        failed: True for the result of an effect that was given up.
        lost: True for an event that this service itself has said, and that its store no longer knows: the store was
            lost, or restored from before. Where it is applied, the aggregate goes on after that event's sequence.
    """

    id: str
    name: str
    at: datetime
    own: str
    ids: Ids
    subject: str = ""
    data: Any = None
    organisation: str = ""
    source: str = ""
    person: str | None = None
    roles: frozenset[str] = frozenset()
    correlation: str | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Publish:
    """One event to one destination; an event to several organisations is several of these.

    Attributes:
        schema: The marshmallow schema class in the service's events.py, marked with `published`.
        to: An organisation's code, or `ALL`.
        data: What the schema dumps.
        subject: The subject; by default the aggregate's own.
        correlation: The client whose journey it belongs to; by default that of the message.
    """

    schema: type
    to: str
    data: object
    subject: str | None = None
    correlation: str | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """A message to the own service, through its outbox and the organisation's own exchange.

    Attributes:
        name: Name of the `told` handler, ``aggregate.verb``.
        subject: The id that the handler's ``key`` reads.
        data: JSON value, loaded by the handler's schema on arrival.
        personal: True where ``data`` must travel sealed to the own organisation's key.
    """

    name: str
    subject: str
    data: Mapping[str, object]
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """Work outside the store, done at least once by an adapter that is registered in service.py.

    Attributes:
        name: Name of the adapter, and of the `result` handler that hears how it went.
        key: Stable across retries: the outside world's means to drop a repetition (a Message-ID, say).
        data: JSON value for the adapter; never a secret.
    """

    name: str
    key: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Generic[S]):
    """What follows from a message, written in one transaction.

    Attributes:
        state: The aggregate's new state; None leaves it as it is (and creates nothing).
        publish: Events for the network, at most one per stream and destination.
        timers: Timer name → when it is due, with offset. A name set again is moved.
        clear: Names of timers that are no longer wanted.
        effects: Work outside the store.
        tell: Messages to the own service.
        reason: A code for the state's history, such as ``no-capacity``.
        superseded: True where the message lost a race: it is kept in the history and counted as superseded.
    """

    state: S | None = None
    publish: Sequence[Publish] = ()
    timers: Mapping[str, datetime] = field(default_factory=dict)
    clear: Sequence[str] = ()
    effects: Sequence[Effect] = ()
    tell: Sequence[Tell] = ()
    reason: str | None = None
    superseded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What is promised of one event type (contract.md); its fields are the marshmallow schema's.

    Attributes:
        name: ``aggregate.verb``.
        version: The N of ``.v<N>``; a new one only for a breaking change.
        classification: How far its data may be read.
        says: One sentence for partners.
        route: From whom to whom, in words.
        example: The data of one recorded example, as JSON on the wire (before sealing, where personal).
    """

    name: str
    classification: Classification
    says: str
    route: str
    example: Mapping[str, object]
    version: int = 1


def published(contract: Contract) -> Callable[[T], T]:
    """Mark a marshmallow schema class as the owner of an event's contract."""

    def mark(schema: T) -> T:
        schema.contract = contract  # type: ignore[attr-defined]
        return schema

    return mark


def stream_of(name: str) -> str | None:
    """The stream in which an event's sequence is compared, or None for one that always applies (contract.md)."""
    if name == "client.erased":
        return None
    aggregate = name.partition(".")[0]
    if aggregate in {"referral", "consent", "plan", "offering"}:
        return aggregate
    return "client" if name in {"client.registered", "client.updated"} else name


Decide: TypeAlias = Callable[[Any, Message, Any], Decision[Any]]
Key: TypeAlias = Callable[[Message], str]
SaidBy: TypeAlias = Callable[[Any, Message], bool]


def own(_state: object, message: Message) -> bool:
    """Only the own organisation may say it."""
    return message.organisation == message.own


def anyone(_state: object, _message: Message) -> bool:
    """Every organisation may say it; the rules in the domain see to the rest."""
    return True


def by_subject(message: Message) -> str:
    """The usual key: the message's subject."""
    return message.subject


@dataclass(frozen=True, slots=True)
class Older:
    """How a handler reads an older version of its event, until the last publisher has moved.

    Attributes:
        schema: marshmallow schema class that loads the older version's data.
        upcast: A pure function from what that schema loads to what the handler's own schema would load.
    """

    schema: type
    upcast: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One decide-function and all that the chassis must know to call it.

    Attributes:
        name: Name of the event, command, timer, effect or tell.
        version: Version of the event that it reads.
        kind: ``event``, ``told``, ``command``, ``timer`` or ``result``.
        aggregate: The kind of aggregate that it changes.
        schema: marshmallow schema class that loads the data; None where there is no data.
        key: Names the aggregate's id.
        said_by: Whether the speaker may say it, given the state (None: no aggregate yet).
        decide: The function itself.
        sealed: Whether it is personal, so that it is taken only where it came sealed (contract.md, X).
        older: Version → how it is read, for older versions of the event that it also takes.
    """

    name: str
    version: int
    kind: str
    aggregate: Aggregate
    schema: type | None
    key: Key
    said_by: SaidBy
    decide: Decide
    sealed: bool = False
    older: Mapping[int, Older] = field(default_factory=dict)

    def load(self, data: Any, version: int, load: Callable[[type, Any], Any]) -> Any:
        """What `decide` gets of a message's data, whichever of the versions that the handler reads it came in.

        Args:
            data: JSON.
            version: Version of the message.
            load: Loads data with a schema class.
        """
        older = self.older.get(version)
        if older is not None:
            return older.upcast(load(older.schema, data))
        return data if self.schema is None else load(self.schema, data)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A kind of aggregate and, through its methods, the register of the handlers that change it.

    Attributes:
        handlers: The service's register.
        name: Also the name of its collection.
        state: Frozen dataclass of its state.
        view: marshmallow schema class that shows the state over HTTP.
        schema: Number of the state's shape.
        upcasts: From an older shape's number to a function on the stored document that gives the next one's.
    """

    handlers: Handlers
    name: str
    state: type
    view: type | None = None
    schema: int = 1
    upcasts: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    def event(  # noqa: PLR0913 - each has its own meaning, and most have a default
        self,
        name: str,
        schema: type,
        *,
        said_by: SaidBy,
        key: Key = by_subject,
        version: int = 1,
        sealed: bool = False,
        older: Mapping[int, Older] | None = None,
    ) -> Callable[[Decide], Decide]:
        """React to an event of the network, `sealed` where it is personal; `older` versions of it are read too.

        A publisher says an event in all its versions with the same sequence, the newest first, so that the first that
        comes is applied and the others settle as superseded.
        """
        return self._register("event", name, schema, key, said_by, version, sealed=sealed, older=older or {})

    def told(self, name: str, schema: type, *, key: Key = by_subject) -> Callable[[Decide], Decide]:
        """React to a `Tell` of the own service."""
        return self._register("told", name, schema, key, own, 1)

    def command(self, name: str, schema: type | None = None, *, key: Key = by_subject) -> Callable[[Decide], Decide]:
        """React to an HTTP command; service.py gives it its route and roles."""
        return self._register("command", name, schema, key, own, 1)

    def timer(self, name: str) -> Callable[[Decide], Decide]:
        """React to a timer of this aggregate that is due."""
        return self._register("timer", name, None, by_subject, own, 1)

    def result(self, name: str) -> Callable[[Decide], Decide]:
        """React to how an effect of this aggregate went: ``message.data``, or ``message.failed``."""
        return self._register("result", name, None, by_subject, own, 1)

    def _register(  # noqa: PLR0913, PLR0917 - private, and each argument is a field of Handler
        self,
        kind: str,
        name: str,
        schema: type | None,
        key: Key,
        said_by: SaidBy,
        version: int,
        *,
        sealed: bool = False,
        older: Mapping[int, Older] = MappingProxyType({}),
    ) -> Callable[[Decide], Decide]:
        def register(decide: Decide) -> Decide:
            self.handlers.add(
                Handler(
                    name=name,
                    version=version,
                    kind=kind,
                    aggregate=self,
                    schema=schema,
                    key=key,
                    said_by=said_by,
                    decide=decide,
                    sealed=sealed,
                    older=older,
                )
            )
            return decide

        return register


class Handlers:
    """The register of one service: its aggregates, and one handler for each message that it reads."""

    def __init__(self, service: str) -> None:
        """Start empty.

        Args:
            service: The service's name, also the last word of its queue and of its URN.
        """
        self.service = service
        self.aggregates: dict[str, Aggregate] = {}
        self._handlers: dict[tuple[str, str, str, int], Handler] = {}

    def aggregate(
        self,
        name: str,
        state: type,
        *,
        view: type | None = None,
        schema: int = 1,
        upcasts: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
    ) -> Aggregate:
        """Declare a kind of aggregate; see `Aggregate` for the arguments."""
        self.aggregates[name] = Aggregate(self, name, state, view, schema, upcasts or {})
        return self.aggregates[name]

    def add(self, handler: Handler) -> None:
        """Register a handler.

        Raises:
            ValueError: There is one for the same message already.
        """
        # Timers and results are named within their aggregate; all other messages within the service.
        place = handler.aggregate.name if handler.kind in {"timer", "result"} else ""
        keys = [(handler.kind, place, handler.name, version) for version in (handler.version, *handler.older)]
        for key in keys:
            if key in self._handlers:
                message = f"{self.service}: two handlers for {handler.kind} {handler.name} version {key[-1]}"
                raise ValueError(message)
        self._handlers |= dict.fromkeys(keys, handler)

    def find(self, kind: str, name: str, *, version: int = 1, aggregate: str = "") -> Handler | None:
        """The handler for a message, or None. Timers and results are asked for with their aggregate's name."""
        return self._handlers.get((kind, aggregate, name, version))

    def all(self) -> Sequence[Handler]:
        """Every handler, in the order of the file."""
        return tuple({id(handler): handler for handler in self._handlers.values()}.values())

    def timed(self) -> Sequence[str]:
        """The aggregates that have timers."""
        return tuple(dict.fromkeys(h.aggregate.name for h in self._handlers.values() if h.kind == "timer"))

    def event_names(self) -> Sequence[str]:
        """Names of the events that the service reads, each once: what its queue is bound to."""
        return tuple(dict.fromkeys(h.name for h in self._handlers.values() if h.kind == "event"))


def personal(**kwargs: Any) -> Any:
    """A dataclass field that the chassis encrypts at rest with a key of its aggregate (domain.md, Privacy)."""
    return field(metadata={"personal": True}, **kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One organisation of deploy/network.toml.

    Attributes:
        code: ``[a-z]+``.
        names: Language (fi, sv, en) → name.
        joins: ``guest`` (runs nothing), ``member`` (services on the hub's broker) or ``own`` (a broker of its own).
        runs: Names of the services that it runs.
        addresses: Codes of the organisations that it may address, without those that may address it.
        assessor: Code of the organisation that assesses for this home; None where it is no home.
        reads: For guests, routing words (``offering.published``) of events to all that its mailbox takes.
        municipality: Code of the municipality where it is.
        technical: Staff id that hears of refused events.
        signs: True where its events carry a signature, and are taken by nobody without it.
        remind_working_days: No answer to a referral: remind after so many.
        escalate_working_days: … escalate after so many.
        expire_working_days: … expire after so many.
    """

    code: str
    names: Mapping[str, str]
    joins: str
    runs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    assessor: str | None = None
    reads: tuple[str, ...] = ()
    municipality: str | None = None
    technical: str | None = None
    signs: bool = False
    remind_working_days: int = 3
    escalate_working_days: int = 7
    expire_working_days: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Who is in the network, as deploy/network.toml says.

    Attributes:
        organisations: Code → organisation. Where the hub runs services of its own, it is one of them, a member.
        hub: Code of the hub.
    """

    organisations: Mapping[str, Organisation]
    hub: str = "verkko"

    def destinations(self, code: str) -> frozenset[str]:
        """Whom an organisation may address: itself, those it lists, and all who list it (contract.md)."""
        listed = self.organisations[code].addresses
        answers = (other.code for other in self.organisations.values() if code in other.addresses)
        return frozenset({code, *listed, *answers})

    def name(self, code: str, language: str) -> str:
        """The organisation's name in a language, else in Finnish, else its code."""
        organisation = self.organisations.get(code)
        names = organisation.names if organisation else {}
        return names.get(language) or names.get("fi") or code
