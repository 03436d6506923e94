"""Uploads a full ESCO vocabulary to an assessment service, in pages, while it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from assessment.adapters import esco
from console.api import Api

PAGE_BYTES = 1024 * 1024


def upload(api: Api, folder: Path, progress: Callable[[int], None]) -> dict[str, Any]:
    """Read a folder in ESCO's form and upload it; the service's counts.

    Args:
        api: The assessment service, as its operator.
        folder: As in the official download, or three languages in JSON.
        progress: Told how many records were sent.

    Raises:
        NotEsco: The folder is not in ESCO's form.
        Refused: The service answered with a problem.
    """
    sent = 0
    answer: dict[str, Any] = {}
    for page in esco.pages(esco.records(folder), most_bytes=PAGE_BYTES):
        answer = api.upload("/v1/vocabulary", page, content_type="application/x-ndjson").json()
        sent += page.count(b"\n")
        progress(sent)
    return answer
