"""Every route of every service is described, and the descriptions are OpenAPI."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from console import openapi
from console.contract import installed

every_service = pytest.mark.parametrize("service", installed().values(), ids=list(installed()))


@every_service
def test_a_route_says_what_it_answers(service: Any) -> None:
    silent = [route.url for route, _ in openapi.routes(service) if not (route.answers or route.command)]

    assert silent == []


@every_service
def test_a_route_that_asks_for_a_token_says_so_and_how_it_refuses(service: Any) -> None:
    described = openapi.describe(service)["paths"]

    for route, _ in openapi.routes(service):
        operation = described[route.url][route.method.lower()]
        assert ("security" in operation) == (route.roles is not None)
        assert ({"401", "403"} <= set(operation["responses"])) == (route.roles is not None)
        assert {"422", "503"} <= set(operation["responses"])


@every_service
def test_every_schema_is_one(service: Any) -> None:
    for schema in openapi.describe(service)["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@every_service
def test_every_reference_leads_somewhere(service: Any) -> None:
    document = openapi.describe(service)

    for reference in _references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in _references(inner)]
    return [found for inner in value for found in _references(inner)] if isinstance(value, list) else []
