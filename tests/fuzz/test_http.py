"""Schemathesis drives every service's HTTP as its OpenAPI description says: right, wrong, and without a token.

Each operation is asked a few times in `make test`, and for its share of the time in `make fuzz`.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from rounds import counted, examples, seconds
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from chassis import network
from chassis.problems import PROBLEM
from chassis.testing_live import Place, Running, running
from chassis.web import NDJSON
from console import openapi
from console.contract import installed
from intake.adapters.sheet import XLSX

AWAY = 503
TOO_LONG = 414
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
MAIL = {"VIISIKKO_SMTP_URI": "smtp://127.0.0.1:1", "VIISIKKO_MAIL_FROM": "viisikko@kunta.example"}

POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


@schemathesis.serializer(XLSX, NDJSON)
def serialize(_context: Any, value: Any) -> bytes:
    """Bodies that are no JSON: their bytes are atheris's matter, here they are just anything."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode()


class Over(Exception):  # noqa: N818 - it is no error
    """The time is over, or something was found: hypothesis ends here."""


@dataclass(frozen=True)
class Driven:
    """A running service and what its description says that one can ask it."""

    process: Running
    token: str
    operations: list[Any]

    def drive(self, mode: Any, most_seconds: float, checks: list[Any]) -> None:
        """Ask each operation for its share of the time, and check each answer."""
        for operation in self.operations:
            found: list[Exception] = []
            _drive(operation, mode, _for(most_seconds / len(self.operations), partial(self.ask, checks=checks), found))
            if found:
                raise found[0]

    def ask(self, case: Any, *, checks: list[Any]) -> None:
        """Send one request."""
        counted()
        response = case.call(headers={"Authorization": f"Bearer {self.token}"}, timeout=30)
        if response.status_code in (AWAY, TOO_LONG):
            return
        if not _sent_as_drawn(case, response):
            checks = [check for check in checks if check is not negative_data_rejection]
        case.validate_response(response, checks=checks)
        if response.status_code >= 400:
            _is_a_problem(response)


@pytest.fixture(params=network.SERVICES)
def driven(request: pytest.FixtureRequest, place: Place) -> Iterator[Driven]:
    with running(request.param, replace(place, more=MAIL if request.param == "notify" else {})) as process:
        described = schemathesis.openapi.from_dict(openapi.describe(installed()[request.param]))
        described.config.update(base_url=process.url)
        yield Driven(process, place.token(), [found.ok() for found in described.get_all_operations()])


@pytest.mark.timeout(int(seconds(0)) + 600)
def test_every_answer_to_any_request_is_one_that_the_description_names(driven: Driven) -> None:
    each = seconds(10) / len(network.SERVICES) / 2

    driven.drive(POSITIVE, each, CHECKS)
    driven.drive(NEGATIVE, each, [*CHECKS, negative_data_rejection])

    assert driven.process.is_ready()


def test_nothing_is_told_or_done_without_a_token_of_the_right_role(driven: Driven) -> None:
    guarded = [one for one in driven.operations if one.definition.raw.get("security")]
    weak = driven.process.place.token("none")

    for operation in guarded:
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer x"}, 401),
            ({"Authorization": f"Bearer {weak}"}, 403),
        ):
            if status == 403 and "description" not in operation.definition.raw:
                continue
            path = operation.path.replace("{", "").replace("}", "")
            response = httpx.request(operation.method, driven.process.url + path, headers=headers, content=b"{}")
            assert response.status_code == status, (operation.label, headers)
            assert response.json()["detail"]

    assert guarded


def _sent_as_drawn(case: Any, response: Any) -> bool:
    """Whether a query is as wrong as it was drawn: an empty list, for one, leaves nothing of itself in a URL."""
    sent = parse_qs(urlsplit(response.request.url).query, keep_blank_values=True)
    return set(case.query or ()) <= set(sent)


def _for(most_seconds: float, ask: Any, found: list[Exception]) -> Any:
    # The service's state goes on, so that a request may fail once only: the first failure is kept as it came.
    ends = time.monotonic() + most_seconds

    def asked(case: Any) -> None:
        if found or time.monotonic() > ends:
            raise Over
        try:
            ask(case)
        except Exception as error:  # noqa: BLE001 - raised again when hypothesis has ended
            found.append(error)
            raise Over from None

    return asked


def _drive(operation: Any, mode: Any, ask: Any) -> None:
    @settings(
        max_examples=examples(5),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        ask(case)

    with warnings.catch_warnings(), suppress(Over, Unsatisfiable):
        # An operation that takes nothing cannot be asked wrongly; what cannot stand in a header is left out, and told.
        warnings.simplefilter("ignore")
        send()


def _is_a_problem(response: Any) -> None:
    problem = json.loads(response.content)
    assert response.headers["content-type"][0] == PROBLEM
    assert problem["status"] == response.status_code
    assert problem["detail"]
    assert all(error["field"] and error["rule"] for error in problem.get("errors", ()))
