"""HTTP: tokens, roles, idempotency keys, bounded bodies, and one form of error."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from eventlet import wsgi
from eventlet.event import Event
from marshmallow import Schema, ValidationError
from marshmallow.fields import List
from nameko.web.handlers import HttpRequestHandler
from pymongo.errors import ConnectionFailure, PyMongoError
from werkzeug.routing import Rule
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response

from chassis import crypto, metrics, problems, strictjson, tracing
from chassis.border import schema_of
from chassis.decision import Refused
from chassis.identity import find_identity_code
from chassis.incoming import Order
from chassis.logs import log
from chassis.problems import Problem
from chassis.server import SOCKET_SECONDS, Server
from chassis.transaction import StoreAway

if TYPE_CHECKING:
    from chassis.floor import Floor
    from chassis.service import Service

BODY_BYTES = 256 * 1024
"""A body at the most, where a route does not say otherwise."""

KEY_CHARACTERS = 200
WHY_CHARACTERS = 200
PATH_CHARACTERS = 200
"""Characters of an id in a path at the most, as of an event's subject (chassis.profile)."""

JSON = "application/json"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request whose bearer and size were checked.

    Attributes:
        method: GET, POST or PUT.
        route: The route's pattern.
        path: Its named parts.
        query: What the query asks for, as the route's schema loads it; its first values where there is none.
        headers: Headers.
        body: Bytes, within the route's limit.
        person: Staff id behind the token.
        organisation: The token's organisation.
        roles: The token's roles.
        key: The Idempotency-Key; of a PUT, a fresh one each time; empty for a GET.
        at: The chassis clock.
    """

    method: str
    route: str
    path: Mapping[str, str]
    query: Any
    headers: Mapping[str, str]
    body: bytes
    person: str
    organisation: str
    roles: frozenset[str]
    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer of one JSON object a line, sent while it is made."""

    objects: Iterable[Mapping[str, Any]]

    def lines(self) -> Iterator[bytes]:
        """The lines."""
        for item in self.objects:
            yield strictjson.dumps(item) + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a route answers, for its description (deploy/contract/openapi).

    Attributes:
        schema: marshmallow schema class of the object; None where the answer is no JSON.
        many: Whether it is an array of them, or a line each where `media` is NDJSON.
        media: Media type.
        status: HTTP status.
    """

    schema: type[Schema] | None = None
    many: bool = False
    media: str = JSON
    status: int = 200


class Route(HttpRequestHandler):
    """nameko's HTTP entrypoint with everything that a request must pass before its method is called."""

    server = Server()

    def __init__(  # noqa: PLR0913 - each but three has a default, and each is a field of the route
        self,
        method: str,
        url: str,
        *,
        roles: Iterable[str] | None,
        limit: int = BODY_BYTES,
        personal: bool = False,
        pooled: bool = True,
        query: type[Schema] | None = None,
        body: type[Schema] | str | None = None,
        answers: Sequence[Answer] = (),
        command: str | None = None,
    ) -> None:
        """Describe the route.

        Args:
            method: GET, POST or PUT.
            url: Path with named parts in braces.
            roles: Roles that may use it, None for everybody without a token, empty for every token.
            limit: Bytes of the body at the most.
            personal: Whether it shows personal data: it then asks why, and the reading is logged.
            pooled: Whether it waits for a worker; whoever asks how the service is must hear it when all are busy.
            query: Schema of what the query may ask for; a value that breaks it, or that it does not know, is refused.
            body: Schema of the body, or its media type where it is no JSON; its method reads it. For the description.
            answers: What it answers, one for each media type. For the description.
            command: Name of the command that it is; body and answer are described by the command's handler.
        """
        super().__init__(method, url)
        self.roles = None if roles is None else frozenset(roles)
        self.limit = limit
        self.personal = personal
        self.pooled = pooled
        self.query = query
        self.body = body
        self.answers = tuple(answers)
        self.command = command

    def stop(self) -> None:
        """Take no more requests; called by nameko, which then waits for those that are being worked on."""
        self.server.end()
        super().stop()

    def get_url_rule(self) -> Rule:
        """The route for werkzeug."""
        return Rule(self.url.replace("{", "<").replace("}", ">"), methods=[self.method])

    def answer(self, request: WerkzeugRequest, path: Mapping[str, str]) -> Response:
        """Check and answer one request."""
        started = time.perf_counter()
        try:
            response = self._answered(request, path)
        except Exception as error:  # noqa: BLE001 - told without its values, and never to the client
            response = self._problem(error).response()
        metrics.HTTP_SECONDS.labels(self.method, str(response.status_code)).observe(time.perf_counter() - started)
        return response

    def _problem(self, error: Exception) -> Problem:
        if _is_away(error):
            log.warning("http.away", route=self.url, error=error)
            return problems.away()
        problem = error if isinstance(error, Problem) else problems.failure(error)
        if problem.correlation is not None:
            log.error("http.failed", route=self.url, correlation=problem.correlation, error=problem.__cause__)
        return problem

    def _answered(self, request: WerkzeugRequest, path: Mapping[str, str]) -> Response:
        floor = self.server.floor
        bearer = self._bearer(floor, request)
        if self.method != "GET" and floor.is_behind():
            raise problems.away()
        body = self._body(request)
        # Paths are kept as ids, reasons in the log of readings, and addresses by whatever stands between.
        asked = request.args.to_dict()
        _refuse_identity_code({"path": dict(path), "query": asked})
        _refuse_long_parts(path)
        checked = Request(
            method=self.method,
            route=self.url,
            path=dict(path),
            query=self._asked(asked),
            headers=dict(request.headers),
            body=body,
            person=bearer.person if bearer else "",
            organisation=bearer.organisation if bearer else "",
            roles=bearer.roles if bearer else frozenset(),
            key=self._key(request),
            at=floor.home.clock.now(),
        )
        if self.personal:
            _log_reading(floor, checked, asked.get("why", ""))
        return _response(self._in_worker(checked) if self.pooled else self._at_once(checked), self.url)

    def _asked(self, values: Mapping[str, str]) -> Any:
        if self.query is None:
            return values
        schema = schema_of(self.query)
        try:
            return schema.load(_split(schema, values, but={"why"} if self.personal else set()))
        except ValidationError as error:
            raise problems.of_fields(error.normalized_messages(), "query") from None

    def _bearer(self, floor: Floor, request: WerkzeugRequest) -> Any:
        if self.roles is None:
            return None
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        bearer = floor.tokens.bearer(token.strip(), floor.home.clock.now()) if scheme.lower() == "bearer" else None
        if bearer is None:
            detail = "Send a token that is valid and has not expired: Authorization: Bearer <token>."
            raise Problem(HTTPStatus.UNAUTHORIZED, "token", detail, headers={"WWW-Authenticate": "Bearer"})
        if bearer.organisation != floor.home.organisation:
            raise Problem(HTTPStatus.FORBIDDEN, "organisation", "This token belongs to another organisation.")
        if self.roles and not self.roles & bearer.roles:
            raise Problem(HTTPStatus.FORBIDDEN, "role", f"This needs the role {' or '.join(sorted(self.roles))}.")
        return bearer

    def _body(self, request: WerkzeugRequest) -> bytes:
        too_big = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "size", f"A body has {self.limit} bytes at the most.")
        if request.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
            detail = "A body comes with its length or in chunks, in no other encoding of its transfer."
            raise Problem(HTTPStatus.NOT_IMPLEMENTED, "transfer", detail)
        if (request.content_length or 0) > self.limit:
            raise too_big
        body = self._read(request) if self.method != "GET" else b""
        if len(body) > self.limit:
            raise too_big
        return body

    def _read(self, request: WerkzeugRequest) -> bytes:
        try:
            # A chunked body says no length, so that it is read up to the limit and one byte more.
            body = bytes(request.environ["wsgi.input"].read(self.limit + 1))
        except TimeoutError:
            detail = f"The body stopped for {SOCKET_SECONDS} seconds; send the same request again."
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "slow", detail) from None
        except (OSError, wsgi.ChunkReadError):
            raise Problem(HTTPStatus.BAD_REQUEST, "cut", "The chunks of the body are broken or end early.") from None
        if len(body) < (request.content_length or 0):
            raise Problem(HTTPStatus.BAD_REQUEST, "cut", "The body ends before the length that Content-Length says.")
        return body

    def _key(self, request: WerkzeugRequest) -> str:
        if self.method == "PUT":
            # Repeating a PUT is harmless by itself, and the same body may be meant again after another one.
            return uuid.uuid4().hex
        if self.method == "GET":
            return ""
        key = request.headers.get("Idempotency-Key", "")
        if not 0 < len(key) <= KEY_CHARACTERS:
            detail = f"Send an Idempotency-Key of 1 to {KEY_CHARACTERS} characters, the same with every repetition."
            raise Problem(HTTPStatus.BAD_REQUEST, "key", detail)
        return key

    def _at_once(self, request: Request) -> Any:
        service = self.container.service_cls.on(self.server.floor)
        return getattr(service, self.method_name)(request)

    def _in_worker(self, request: Request) -> Any:
        done = Event()

        def finished(_context: Any, result: Any, failure: Any) -> tuple[Any, Any]:
            done.send((result, failure))
            return result, None

        self.container.spawn_worker(self, (request,), {}, handle_result=finished)
        result, failure = done.wait()
        if failure is None:
            return result
        error = failure[1]
        if isinstance(error, Refused):
            raise problems.of_refusal(error)
        if isinstance(error, ValidationError):
            raise problems.of_fields(error.normalized_messages())
        raise error


def get(  # noqa: PLR0913 - each but the address has a default, and each is a field of the route
    url: str,
    *,
    roles: Iterable[str] | None = (),
    personal: bool = False,
    pooled: bool = True,
    query: type[Schema] | None = None,
    answers: Sequence[Answer] = (),
) -> Any:
    """A GET route; see `Route`."""
    return Route.decorator("GET", url, roles=roles, personal=personal, pooled=pooled, query=query, answers=answers)


def post(  # noqa: PLR0913 - the same
    url: str,
    *,
    roles: Iterable[str] = (),
    limit: int = BODY_BYTES,
    query: type[Schema] | None = None,
    body: type[Schema] | str | None = None,
    answers: Sequence[Answer] = (),
) -> Any:
    """A POST route whose method reads the body itself; see `Route`."""
    return Route.decorator("POST", url, roles=roles, limit=limit, query=query, body=body, answers=answers)


def command(method: str, url: str, *, name: str, roles: Iterable[str]) -> Any:
    """A route that is one command: the handler gets its JSON body, and the aggregate as it then stands comes back."""

    def run(service: Service, request: Request) -> Any:
        data = read_json(request)
        order = service.order(name, data, request)
        return answer(service.floor, name, service.apply([order])[0])

    run.__name__ = name.replace("-", "_")
    run.__doc__ = f"The command {name}."
    return Route.decorator(method, url, roles=roles, command=name)(run)


def answer(floor: Floor, name: str, outcome: Any) -> Any:
    """What a command's outcome is over HTTP.

    Raises:
        Problem: It was refused.
    """
    problem = problems.of_outcome(outcome)
    if problem is not None:
        raise problem
    handler = floor.home.handlers.find("command", name)
    view = handler.aggregate.view if handler else None
    shown = floor.show(view, outcome.state) if view and outcome.state is not None else {}
    body = {"id": outcome.aggregate_id, "version": outcome.version, **shown}
    return Response(strictjson.dumps(body), HTTPStatus.CREATED if outcome.created else HTTPStatus.OK, content_type=JSON)


def read_json(request: Request) -> Any:
    """The JSON of a body; an empty body is an empty object.

    Raises:
        Problem: It is not said to be JSON, is no strict JSON, or holds a personal identity code.
    """
    if not request.body:
        return {}
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != JSON:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", f"Send the body as Content-Type: {JSON}.")
    try:
        data = strictjson.loads(request.body)
    except strictjson.NotStrict as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "json", f"The body is {error}.") from None
    where = find_identity_code(data)
    if where is not None:
        errors = [{"field": where, "rule": "holds a personal identity code, which is never kept"}]
        detail = "A personal identity code stands in the body; remove it and send the rest again."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "identity-code", detail, errors=errors)
    if not isinstance(data, dict):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "fields", "The body must be a JSON object.")
    return data


def order(floor: Floor, name: str, data: Any, request: Request, mark: str = "") -> Order:
    """A command of a request's person.

    Args:
        floor: The service's floor.
        name: The command.
        data: JSON for its schema.
        request: The request; its key and person make the mark.
        mark: What tells several commands of one request apart.
    """
    secret = floor.home.secrets.ids
    return Order(
        name=name,
        data=data,
        mark=crypto.keyed_hash(
            secret, request.organisation, request.person, request.route, *request.path.values(), request.key, mark
        ),
        body_hash=crypto.keyed_hash(secret, request.body),
        path=request.path,
        person=request.person,
        roles=request.roles,
        trace=tracing.of_headers(request.headers),
    )


def _is_away(error: Exception) -> bool:
    # Other errors of the store are faults of this service, and the same request would fail again.
    return isinstance(error, StoreAway | ConnectionFailure) or (isinstance(error, PyMongoError) and error.timeout)


def _refuse_identity_code(address: Mapping[str, Mapping[str, str]]) -> None:
    where = find_identity_code(address)
    if where is not None:
        errors = [{"field": where, "rule": "holds a personal identity code, which is never kept"}]
        detail = "A personal identity code stands in the address; remove it."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "identity-code", detail, errors=errors)


def _refuse_long_parts(path: Mapping[str, str]) -> None:
    errors = [
        {"field": f"path.{name}", "rule": f"is longer than {PATH_CHARACTERS} characters"}
        for name, value in path.items()
        if len(value) > PATH_CHARACTERS
    ]
    if errors:
        detail = "An id in the path is longer than any id can be; each is listed in errors."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "fields", detail, errors=errors)


def _split(schema: Schema, values: Mapping[str, str], *, but: Collection[str]) -> dict[str, Any]:
    """A query as its schema takes it: several values of a list stand in one, with commas between them."""
    lists = {field.data_key or name for name, field in schema.fields.items() if isinstance(field, List)}
    return {name: value.split(",") if name in lists else value for name, value in values.items() if name not in but}


def _log_reading(floor: Floor, request: Request, why: str) -> None:
    if not 0 < len(why) <= WHY_CHARACTERS:
        detail = f"This shows personal data: say why you read it, as ?why= with 1 to {WHY_CHARACTERS} characters."
        raise Problem(HTTPStatus.BAD_REQUEST, "why", detail)
    floor.log_reading(request, why)


def _response(result: Any, route: str) -> Response:
    if isinstance(result, Response):
        return result
    if isinstance(result, Stream):
        return Response(_told(result, route), content_type=NDJSON)
    return Response(strictjson.dumps(result), content_type=JSON)


def _told(stream: Stream, route: str) -> Iterator[bytes]:
    # Its status is sent already; that the connection ends before the last chunk tells the client.
    try:
        yield from stream.lines()
    except Exception as error:
        log.error("http.broken", route=route, error=error)
        raise
