"""Errors over HTTP: RFC 9457 ``application/problem+json``, always with the next step and never with a value."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

from chassis import strictjson
from chassis.decision import Invalid, NotYours, Refused, Unknown
from chassis.incoming import Failed, KeyReused, Outcome, Settled
from chassis.messages import first_error

PROBLEM = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class Problem(Exception):  # noqa: N818 - the field's own name for it
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        code: Last part of the problem's type.
        detail: One sentence.
        errors: ``{"field", "rule"}`` of each field, where fields are wrong.
        headers: Further headers.
        correlation: What finds the fault in the service's log, where the service failed.
    """

    def __init__(  # noqa: PLR0913 - the parts of RFC 9457, all but three with a default
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        correlation: str | None = None,
    ) -> None:
        """Keep the parts."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.correlation = correlation

    def response(self) -> Response:
        """The answer."""
        body: dict[str, Any] = {
            "type": f"urn:viisikko:problem:{self.code}",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        if self.correlation is not None:
            body["correlation"] = self.correlation
        return Response(strictjson.dumps(body), self.status.value, self.headers, content_type=PROBLEM)


def of_refusal(refusal: Refused) -> Problem:
    """The problem that says which rule refused a command."""
    if isinstance(refusal, Failed):
        return failure(refusal.__cause__)
    errors = [{"field": refusal.field, "rule": str(refusal)}] if refusal.field else []
    if isinstance(refusal, NotYours):
        return Problem(HTTPStatus.FORBIDDEN, refusal.rule, str(refusal))
    if isinstance(refusal, Unknown):
        return Problem(HTTPStatus.NOT_FOUND, refusal.rule, str(refusal))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(refusal, Invalid) else HTTPStatus.CONFLICT
    return Problem(status, refusal.rule, str(refusal), errors=errors)


def of_outcome(outcome: Outcome) -> Problem | None:
    """The problem that an outcome is, or None where it is none."""
    if outcome.settled is Settled.CONFLICT:
        return of_refusal(KeyReused())
    if outcome.errors is not None:
        return of_fields(outcome.errors)
    return of_refusal(outcome.refusal) if outcome.refusal is not None else None


def of_fields(messages: Mapping[str, Any], part: str = "body") -> Problem:
    """The problem that lists each wrong field of a body, or of the query."""
    errors = [{"field": field, "rule": rule} for field, rule in _flat(messages)]
    detail = f"The {part} breaks the rules of its fields; each is listed in errors."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "fields", detail, errors=errors)


def failure(cause: BaseException | None) -> Problem:
    """The problem that this service failed, with a name of its own under which its log tells the cause."""
    correlation = uuid.uuid4().hex
    detail = "The service failed at this request; its operators find it in the log by the correlation."
    problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "error", detail, correlation=correlation)
    problem.__cause__ = cause
    return problem


def away() -> Problem:
    """The problem that something this service stands on is away."""
    detail = "The service cannot reach its store or is behind with sending; send the same request again later."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "away", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _flat(messages: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(messages, dict):
        found = []
        for name, inner in messages.items():
            here = path if name == "_schema" else f"{path}.{name}".strip(".")
            found += _flat(inner, here)
        return found
    return [first_error(messages, path or "body")]
