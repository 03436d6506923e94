"""Uploads a full ESCO vocabulary to an assessment service, in pages, while it is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from assessment.adapters import esco
from console.api import Api

PAGE_LINES = 2000


def upload(api: Api, folder: Path, progress: Callable[[int], None]) -> dict[str, Any]:
    """Read a folder in ESCO's form and upload it; the service's counts.

    Args:
        api: The assessment service, as its operator.
        folder: As in the official download, or three languages in JSON.
        progress: Told how many records were sent.

    Raises:
        Refused: The service answered with a problem.
    """
    sent = 0
    answer: dict[str, Any] = {}
    for page in _pages(esco.records(folder)):
        body = b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in page)
        answer = api.upload("/v1/vocabulary", body, content_type="application/x-ndjson").json()
        sent += len(page)
        progress(sent)
    return answer


def _pages(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    for record in records:
        page.append(record)
        if len(page) == PAGE_LINES:
            yield page
            page = []
    if page:
        yield page
