"""OpenAPI descriptions of the services' HTTP, generated from their routes and marshmallow schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from chassis.problems import PROBLEM
from chassis.server import LINE_BYTES
from chassis.web import JSON, KEY_CHARACTERS, NDJSON, PATH_CHARACTERS, WHY_CHARACTERS, Answer, Route
from console.jsonschemas import json_schema, nullable

if TYPE_CHECKING:
    from marshmallow import Schema

    from chassis.decision import Handler
    from chassis.service import Service

VERSION = "1.0.0"
_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:viisikko:problem:[a-z-]+$"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and the next step, in a sentence."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "rule"],
                "properties": {"field": _TEXT, "rule": _TEXT},
            },
        },
        "correlation": {"type": "string", "description": "Finds the fault in the service's log."},
    },
}
_REFUSALS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read, or lacks its Idempotency-Key or its reason.",
    HTTPStatus.UNAUTHORIZED: "There is no valid token.",
    HTTPStatus.FORBIDDEN: "The token is of another organisation or lacks the role, or a rule says who may do it.",
    HTTPStatus.NOT_FOUND: "There is no such thing here.",
    HTTPStatus.CONFLICT: "The state does not allow it, or the Idempotency-Key came with another body before.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not said to be JSON.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A field breaks its rule; errors names it.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The store is away or the service is behind; Retry-After says when to try again.",
}
_OF_BODIES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)


def describe(service: type[Service]) -> dict[str, Any]:
    """The OpenAPI document of one service."""
    paths: dict[str, dict[str, Any]] = {}
    schemas = Schemas()
    for route, method in sorted(routes(service), key=lambda pair: (pair[0].url, pair[0].method)):
        paths.setdefault(route.url, {})[route.method.lower()] = _operation(route, method, service, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Viisikko: {service.name}",
            "version": VERSION,
            "summary": (service.__doc__ or "").partition("\n")[0],
            "license": {"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM, **schemas.named},
            "responses": {status.name: _refusal(status) for status in _REFUSALS},
        },
    }


class Schemas:
    """The schemas of one document, each once.

    Attributes:
        named: Name → JSON Schema, of those that were asked for.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.named: dict[str, dict[str, Any]] = {}

    def read(self, schema: type[Schema]) -> dict[str, Any]:
        """What a service reads."""
        return self._reference(schema.__name__, json_schema(schema))

    def shown(self, schema: type[Schema]) -> dict[str, Any]:
        """What a service shows."""
        return self._reference(schema.__name__, nullable(json_schema(schema)))

    def kept(self, view: type[Schema] | None) -> dict[str, Any]:
        """An aggregate after a command: its id, its version and its view."""
        shown: dict[str, Any] = nullable(json_schema(view)) if view else {"type": "object", "properties": {}}
        own: dict[str, Any] = {"id": _TEXT, "version": {"type": "integer", "minimum": 0}}
        properties = {**own, **shown["properties"]}
        schema = {**shown, "properties": properties, "required": ["id", "version"]}
        return self._reference(f"Kept{view.__name__ if view else ''}", schema)

    def _reference(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        # Two schemas of one name would describe one of them as the other.
        if self.named.setdefault(name, schema) != schema:
            raise ValueError(f"{name}: two different schemas have this name")
        return {"$ref": f"#/components/schemas/{name}"}


def routes(service: type[Service]) -> Iterator[tuple[Route, str]]:
    """A service's routes, each with its method's name."""
    for name in dir(service):
        for entrypoint in getattr(getattr(service, name), "nameko_entrypoints", ()):
            if isinstance(entrypoint, Route):
                yield entrypoint, name


def _operation(route: Route, method: str, service: type[Service], schemas: Schemas) -> dict[str, Any]:
    handler = service.handlers.find("command", route.command) if route.command else None
    told = getattr(service, method).__doc__ or ""
    summary = (handler.decide.__doc__ or "") if handler else told
    body = _body(route, handler, schemas)
    roles = f"For {', '.join(sorted(route.roles))}." if route.roles else ""
    return {
        "operationId": method,
        "summary": summary.partition("\n")[0],
        **({"description": roles} if roles else {}),
        **({"security": [{"token": []}]} if route.roles is not None else {}),
        "parameters": list(_parameters(route)),
        **({"requestBody": body} if body else {}),
        "responses": {**_refusals(route), **_answers(route, handler, schemas)},
    }


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", route.url):
        schema = {"type": "string", "minLength": 1, "maxLength": PATH_CHARACTERS}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if route.personal:
        schema = {"type": "string", "minLength": 1, "maxLength": WHY_CHARACTERS}
        why = "Why the person's data are read; the client can see it."
        yield {"name": "why", "in": "query", "required": True, "description": why, "schema": schema}
    if route.method == "POST":
        schema = {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS}
        why = "The same with every repetition of a request, which then acts once."
        yield {"name": "Idempotency-Key", "in": "header", "required": True, "description": why, "schema": schema}
    if route.query is not None:
        yield from _query(json_schema(route.query))


def _query(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, field in schema["properties"].items():
        listed: dict[str, Any] = {"style": "form", "explode": False} if field.get("type") == "array" else {}
        required = name in schema.get("required", ())
        yield {"name": name, "in": "query", "required": required, **listed, "schema": field}


def _body(route: Route, handler: Handler | None, schemas: Schemas) -> dict[str, Any] | None:
    asked = handler.schema if handler else route.body
    if isinstance(asked, str):
        return {"required": True, "content": {asked: {"schema": {"type": "string"} if asked == NDJSON else {}}}}
    if asked is None:
        return None
    required = bool(json_schema(asked).get("required"))
    return {"required": required, "content": {JSON: {"schema": schemas.read(asked)}}}


def _answers(route: Route, handler: Handler | None, schemas: Schemas) -> dict[str, Any]:
    if handler is None:
        told: dict[str, Any] = {}
        for answer in route.answers:
            content = {answer.media: {"schema": _answer(answer, schemas)}}
            there = told.setdefault(
                str(answer.status), {"description": HTTPStatus(answer.status).phrase, "content": {}}
            )
            there["content"].update(content)
        return told
    content = {JSON: {"schema": schemas.kept(handler.aggregate.view)}}
    return {
        "200": {"description": "The aggregate as it now stands.", "content": content},
        "201": {"description": "The same, and it is new.", "content": content},
    }


def _answer(answer: Answer, schemas: Schemas) -> dict[str, Any]:
    if answer.schema is None:
        return {"type": "string"} if answer.media.startswith("text/") else {}
    schema = schemas.shown(answer.schema)
    if answer.media == NDJSON:
        return {"type": "string", "description": "A JSON object a line.", "contentSchema": schema}
    return {"type": "array", "items": schema} if answer.many else schema


def _refusals(route: Route) -> dict[str, Any]:
    statuses = [HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE]
    if route.roles is not None:
        statuses += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
    if "{" in route.url or route.method != "GET" or route.query is not None:
        statuses.append(HTTPStatus.NOT_FOUND)
    if route.method != "GET":
        statuses += _OF_BODIES
    elif route.personal:
        statuses.append(HTTPStatus.BAD_REQUEST)
    told = {str(s.value): {"$ref": f"#/components/responses/{s.name}"} for s in sorted(statuses)}
    # The server below the routes says it, and not as a problem: it has read no more than the beginning.
    return {**told, "414": {"description": f"The request's first line is longer than {LINE_BYTES} bytes."}}


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    again = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return {
        "description": _REFUSALS[status],
        **({"headers": again} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}),
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
