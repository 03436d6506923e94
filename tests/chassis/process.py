"""What the tests of a service process share: a person's HTTP client, and what it shows."""

from __future__ import annotations

import json
import os
import re
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from chassis.testing_live import Running

SERVICE = "thing:Things"


def client(process: Running, *roles: str) -> httpx.Client:
    token = process.place.token(*roles)
    return httpx.Client(base_url=process.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def counts(process: Running) -> dict[str, int]:
    with client(process) as http:
        lines = http.get("/v1/things").text.splitlines()
    return {item["id"]: item["count"] for item in map(json.loads, lines)}


def parked(process: Running) -> Counter[str]:
    with client(process, "operator") as http:
        return Counter({group["reason"]: group["count"] for group in http.get("/v1/parked").json()})


def settled(process: Running) -> Counter[str]:
    """How many messages ended in which way."""
    found = re.findall(r'^viisikko_settled_total{how="([a-z]+)"} ([0-9.]+)$', metrics(process), re.MULTILINE)
    return Counter({how: int(float(number)) for how, number in found if float(number)})


def metrics(process: Running) -> str:
    return httpx.get(f"{process.url}/metrics", timeout=20).text


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process where it stands, and let it go on at the end."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def said(process: Running, *events: str) -> list[str]:
    """Which of some events its log tells, in order."""
    lines = (json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{"))
    return [line["event"] for line in lines if line["event"] in events]
