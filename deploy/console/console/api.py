"""A service's HTTP, called with a token; a problem becomes an error that says what to do."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

TIMEOUT_SECONDS = 120
POLL_SECONDS = 0.1
AWAY_TRIES = 20


class Refused(RuntimeError):  # noqa: N818 - errors name the fact
    """The service answered with a problem; the text is its detail and its fields.

    Attributes:
        status: HTTP status.
        code: Last part of the problem's type.
    """

    def __init__(self, answer: httpx.Response) -> None:
        """Read the problem."""
        problem = _problem(answer)
        detail = problem.get("detail") or f"{answer.request.url.path} answered {answer.status_code}"
        errors = [f"{e.get('field')}: {e.get('rule')}" for e in problem.get("errors", []) if e.get("rule") != detail]
        super().__init__("; ".join([detail, *errors]))
        self.status = answer.status_code
        self.code = str(problem.get("type", "")).rpartition(":")[2]


class TimeUp(RuntimeError):  # noqa: N818 - errors name the fact
    """Something that was waited for did not come."""


class Api:
    """One service, spoken to by one person."""

    def __init__(self, url: str, token: str) -> None:
        """Remember where and who.

        Args:
            url: Where the service listens.
            token: The bearer's token.
        """
        self.url = url
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_SECONDS)

    def get(self, path: str, **query: str) -> Any:
        """JSON of a GET.

        Raises:
            Refused: The service answered with a problem.
        """
        return self._send("GET", path, params=query).json()

    def find(self, path: str, **query: str) -> Any | None:
        """JSON of a GET, or None where there is nothing yet."""
        try:
            return self.get(path, **query)
        except Refused as refused:
            if refused.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def lines(self, path: str, **query: str) -> Iterator[Any]:
        """Objects of an NDJSON answer, as they come.

        Raises:
            Refused: The service answered with a problem.
        """
        with self._client.stream("GET", path, params=query) as answer:
            if not answer.is_success:
                answer.read()
                raise Refused(answer)
            for line in answer.iter_lines():
                yield json.loads(line)

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """JSON of a POST of JSON; the key makes a repetition harmless.

        Raises:
            Refused: The service answered with a problem.
        """
        return self._send("POST", path, json=body or {}, headers=_keyed(key)).json()

    def upload(
        self, path: str, content: bytes, *, content_type: str, accept: str = "application/json", **query: str
    ) -> httpx.Response:
        """Answer to a POST of a file.

        Raises:
            Refused: The service answered with a problem.
        """
        headers = {**_keyed(None), "Content-Type": content_type, "Accept": accept}
        return self._send("POST", path, content=content, headers=headers, params=query)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """JSON of a PUT.

        Raises:
            Refused: The service answered with a problem.
        """
        return self._send("PUT", path, json=body).json()

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        for attempt in range(AWAY_TRIES):
            answer = self._client.request(method, path, **arguments)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or attempt == AWAY_TRIES - 1:
                break
            time.sleep(min(float(answer.headers.get("Retry-After", "1")), 1))
        if not answer.is_success:
            raise Refused(answer)
        return answer


def eventually(look: Callable[[], T | None], *, what: str, seconds: float = 60) -> T:
    """Look until there is an answer.

    Raises:
        TimeUp: There was none in time; the text says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeUp(f"{what} did not come within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def _keyed(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
