"""`viisikko status`: every service is asked once whether it is ready, and those that are show what is parked."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chassis.ports import free_port
from console.folder import Folder
from console.main import app

GROUP = {"count": 2, "type": "thing.made", "publisher": "seamk", "reason": "schema"}


class Answers(BaseHTTPRequestHandler):
    """A service that answers as it is told, and counts what it was asked."""

    answers: dict[str, tuple[int, Any]]
    asked: Counter[str]

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        status, body = self.answers[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Serve = Callable[[int, dict[str, bool]], tuple[str, Counter[str]]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a service with a readiness; its address, and what it was asked."""
    running: list[ThreadingHTTPServer] = []

    def start(status: int, parts: dict[str, bool]) -> tuple[str, Counter[str]]:
        asked: Counter[str] = Counter()
        answers = {"/health/ready": (status, parts), "/v1/parked": (200, [GROUP])}
        handler = type("Service", (Answers,), {"answers": answers, "asked": asked})
        running.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=running[-1].serve_forever, args=(0.01,)).start()
        return f"http://127.0.0.1:{running[-1].server_port}", asked

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def status(path: Path, services: dict[str, str]) -> list[str]:
    """Lines of the command for these services."""
    folder = Folder(path)
    for name in services:
        folder.credentials(name.partition(".")[0])
    folder.state.write_text(json.dumps({"supervisor": os.getpid(), "services": services}))
    result = CliRunner().invoke(app, ["status", "--folder", str(path)], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_each_service_is_asked_once_and_only_who_is_ready_for_what_is_parked(serve: Serve, tmp_path: Path) -> None:
    ready, asked_ready = serve(200, {"broker": True, "store": True})
    waits, asked_waits = serve(503, {"broker": False, "store": True})

    status(tmp_path, {"kunta.intake": ready, "seamk.notify": waits})

    assert asked_ready == {"/health/ready": 1, "/v1/parked": 1}
    assert asked_waits == {"/health/ready": 1}


def test_it_shows_who_is_ready_what_others_wait_for_and_who_is_away(serve: Serve, tmp_path: Path) -> None:
    ready, _ = serve(200, {"broker": True})
    waits, _ = serve(503, {"broker": False, "mail": False, "store": True})
    away = f"http://127.0.0.1:{free_port()}"

    shown = status(tmp_path, {"kunta.intake": ready, "seamk.notify": waits, "verkko.catalogue": away})

    said = {line.split("│")[1].strip(): line.split("│")[4].strip() for line in shown if line.startswith("│")}
    assert said == {"kunta": "yes", "seamk": "no: broker, mail", "verkko": "away"}
    assert "parked at kunta.intake: 2 × thing.made of seamk: schema" in shown
    assert "parked at seamk.notify: not known, since the service is not ready" in shown
