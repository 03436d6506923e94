"""The base of the service classes: wiring that all services share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from marshmallow import INCLUDE, Schema, fields
from nameko.extensions import DependencyProvider
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.wrappers import Response

from chassis import parked_view, strictjson, web
from chassis.admission import settle
from chassis.border import schema_of
from chassis.floor import Floor
from chassis.parked import Asker
from chassis.selection import ActionSchema, FiltersSchema, ListingSchema
from chassis.subscriber import subscribe
from chassis.web import NDJSON, Answer, Request, Stream, get, post

if TYPE_CHECKING:
    from chassis.admission import Portion
    from chassis.clock import Clock
    from chassis.decision import Handlers, Network
    from chassis.effects import Adapter
    from chassis.incoming import Incoming, Order, Outcome
    from chassis.selection import Action

PAGE = 200
"""Commands of one request that are applied in one transaction."""


class LiveShown(Schema):
    """The process answers."""

    status = fields.String(required=True)
    organisation = fields.String(required=True)
    service = fields.String(required=True)


class ReadyShown(Schema):
    """What the service stands on, part by part: whether it is there."""

    class Meta:
        """Services name further parts, such as their mail server."""

        unknown = INCLUDE

    store = fields.Boolean(required=True)
    broker = fields.Boolean(required=True)


class _FloorProvider(DependencyProvider):
    """Gives every worker the floor."""

    def get_dependency(self, _context: Any) -> Floor:
        floor: Floor = self.container.config["floor"]
        return floor


class Service:
    """What every service class begins with; a subclass is wiring only.

    Attributes:
        name: The service's name.
        handlers: Its register.
        queries: Its class of queries, made with the database; None where it needs none.
        effects: Name of an effect → factory that is called once with the service and gives the adapter.
        settings: Dataclass of its own settings, or None.
        floor: What it runs on.
    """

    name: ClassVar[str]
    handlers: ClassVar[Handlers]
    queries: ClassVar[type[Any] | None] = None
    effects: ClassVar[Mapping[str, Callable[[Any], Adapter]]] = {}
    settings: ClassVar[type | None] = None
    # nameko puts the floor of the container in its place.
    floor: Floor = cast("Floor", _FloorProvider())

    @classmethod
    def on(cls, floor: Floor) -> Self:
        """An instance on a floor, outside nameko's workers."""
        service = cls()
        service.floor = floor
        return service

    def reads(self) -> Any:
        """The immutable view that a batch's decisions get; a subclass gives its own."""
        return None

    def opened(self) -> None:
        """Called once, when the store is there; a subclass may start to follow reference data."""

    @property
    def store(self) -> Any:
        """The service's queries."""
        return self.floor.queries

    @property
    def network(self) -> Network:
        """Who is in the network."""
        return self.floor.home.network

    @property
    def organisation(self) -> str:
        """The own organisation's code."""
        return self.floor.home.organisation

    @property
    def clock(self) -> Clock:
        """The one clock."""
        return self.floor.home.clock

    @property
    def own_settings(self) -> Any:
        """Instance of the service's own settings."""
        return self.floor.own_settings

    def state(self, aggregate: str, identifier: str) -> Any:
        """One aggregate's state, personal fields included, or None."""
        found = self.floor.documents.load(aggregate, identifier)
        return found[0] if found else None

    def history(self, aggregate: str, identifier: str) -> list[dict[str, Any]]:
        """What happened to one aggregate, oldest first."""
        return self.floor.documents.history(aggregate, identifier)

    def order(self, name: str, data: Any, request: Request, mark: str = "") -> Order:
        """A command of a request's person; `mark` tells several commands of one request apart."""
        return web.order(self.floor, name, data, request, mark)

    def apply(self, incoming: Sequence[Incoming]) -> list[Outcome]:
        """Apply commands, a page a transaction; what became of each, in order."""
        pages = [incoming[start : start + PAGE] for start in range(0, len(incoming), PAGE)]
        return [outcome for page in pages for outcome in self.floor.transaction.apply(page)]

    @subscribe()
    def take(self, portion: Portion) -> Exception | None:
        """A batch of events."""
        return settle(self.floor.transaction, portion)

    @get("/health/live", roles=None, pooled=False, answers=[Answer(schema=LiveShown)])
    def live(self, _request: Request) -> Any:
        """The process answers."""
        return {"status": "live", "organisation": self.organisation, "service": self.name}

    @get(
        "/health/ready",
        roles=None,
        pooled=False,
        answers=[Answer(schema=ReadyShown), Answer(schema=ReadyShown, status=503)],
    )
    def ready(self, _request: Request) -> Any:
        """Everything that it stands on is there."""
        parts = {**self.floor.ready(), "broker": self.floor.broker_ready()}
        status = 200 if all(parts.values()) else 503
        return Response(strictjson.dumps(parts), status, content_type="application/json")

    @get("/metrics", roles=None, pooled=False, answers=[Answer(media=CONTENT_TYPE_LATEST)])
    def metrics(self, _request: Request) -> Any:
        """Metrics for Prometheus."""
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    @get(
        "/v1/parked",
        roles={"operator"},
        query=FiltersSchema,
        answers=[Answer(schema=parked_view.GroupShown, many=True)],
    )
    def parked(self, request: Request) -> Any:
        """What is parked, in groups."""
        return self.floor.parked.groups(request.query)

    @get(
        "/v1/parked/entries",
        roles={"operator"},
        query=ListingSchema,
        answers=[Answer(schema=parked_view.EntryShown, many=True, media=NDJSON)],
    )
    def list_parked(self, request: Request) -> Any:
        """What is parked, one by one, without content."""
        return Stream(self.floor.parked.entries(request.query))

    @get("/v1/parked/{id}", roles={"operator"}, answers=[Answer(schema=parked_view.WholeShown)])
    def show_parked(self, request: Request) -> Any:
        """One parked event, and what was done with it."""
        return self.floor.parked.show(request.path["id"])

    @post(
        "/v1/parked/replay",
        roles={"operator"},
        body=ActionSchema,
        answers=[Answer(schema=parked_view.ActionShown)],
    )
    def replay_parked(self, request: Request) -> Any:
        """Take parked events after all."""
        return self.floor.parked.replay(*_action(request))

    @post(
        "/v1/parked/discard",
        roles={"operator"},
        body=ActionSchema,
        answers=[Answer(schema=parked_view.ActionShown)],
    )
    def discard_parked(self, request: Request) -> Any:
        """Remove parked events for good."""
        return self.floor.parked.discard(*_action(request))


def _action(request: Request) -> tuple[Action, Asker]:
    action: Action = schema_of(ActionSchema).load(web.read_json(request))
    return action, Asker(person=request.person, key=request.key, body=request.body)
