"""HTTP at its edges: bodies that are cut, connections that end, workers that are busy, and files that run out."""

from __future__ import annotations

import json
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from process import client, keyed

from chassis.testing_live import Place, Running, eventually, running

SERVICE = "web_thing:Slow"
NETWORK = Path(__file__).parents[2] / "deploy" / "network.toml"
HERE = {"PYTHONPATH": str(Path(__file__).parent)}


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory,
    broker: Any,
    store: Any,
    new_vhost: Callable[[], AbstractContextManager[str]],
) -> Iterator[Running]:
    with new_vhost() as vhost:
        place = Place(
            folder=tmp_path_factory.mktemp("web"),
            organisation="kunta",
            network=NETWORK,
            amqp=broker.uri(vhost=vhost),
            mongo=store.uri,
            more=HERE,
        )
        with running(SERVICE, place) as process:
            yield process


def connect(process: Running) -> socket.socket:
    host, _, port = process.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def head(process: Running, line: str, *fields: str, token: str | None = None) -> bytes:
    token = token if token is not None else process.place.token()
    given = (f"{line} HTTP/1.1", "Host: test", f"Authorization: Bearer {token}", *fields)
    return "".join(f"{field}\r\n" for field in given).encode() + b"\r\n"


def whole(connection: socket.socket) -> bytes:
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer


def test_a_body_that_the_client_cuts_off_is_refused(service: Running) -> None:
    fields = ("Idempotency-Key: cut", "Content-Type: application/json", "Content-Length: 400")

    with connect(service) as connection:
        connection.sendall(head(service, "POST /v1/things", *fields) + b'{"amount": 1}   ')
        connection.shutdown(socket.SHUT_WR)
        answer = whole(connection)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"urn:viisikko:problem:cut" in answer


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"5\r\nab", b"d\r\n" + b'{"amount": 1}' + b"\r\n"])
def test_chunks_that_are_broken_or_end_early_are_refused(service: Running, chunks: bytes) -> None:
    fields = ("Idempotency-Key: chunks", "Content-Type: application/json", "Transfer-Encoding: chunked")

    with connect(service) as connection:
        connection.sendall(head(service, "POST /v1/things", *fields) + chunks)
        connection.shutdown(socket.SHUT_WR)
        answer = whole(connection)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"urn:viisikko:problem:cut" in answer


def test_another_encoding_of_the_transfer_is_refused_and_ends_the_connection(service: Running) -> None:
    fields = ("Idempotency-Key: gzip", "Content-Type: application/json", "Transfer-Encoding: gzip, chunked")

    with connect(service) as connection:
        connection.sendall(head(service, "POST /v1/things", *fields) + b"0\r\n\r\n")
        answer = whole(connection)

    assert answer.startswith(b"HTTP/1.1 501 ")


def test_a_put_that_comes_again_after_another_one_is_applied_again(service: Running) -> None:
    with client(service) as http:
        counts = [http.put("/v1/things/again", json={"amount": n}).json()["count"] for n in (1, 2, 1)]

    assert counts == [1, 2, 1]


def test_a_body_that_is_no_json_is_refused_by_its_type_and_an_empty_one_is_not(service: Running) -> None:
    with client(service) as http:
        text = http.post("/v1/things", content=b'{"amount": 1}', headers=keyed() | {"Content-Type": "text/plain"})
        untold = http.post("/v1/things", content=b'{"amount": 1}', headers=keyed())
        utf8 = {"Content-Type": "application/json; charset=utf-8"}
        good = http.post("/v1/things", content=b'{"amount": 1}', headers=keyed() | utf8)
        empty = http.post("/v1/things/nobody/need", headers=keyed())

    assert [answer.status_code for answer in (text, untold, good, empty)] == [415, 415, 201, 404]


def test_an_identity_code_in_the_address_is_refused_and_kept_nowhere(service: Running) -> None:
    with client(service) as http:
        why = http.get("/v1/things/x", params={"why": "asked by 131052-308T"})
        path = http.put("/v1/things/131052-308T", json={"amount": 1})

    assert [answer.status_code for answer in (why, path)] == [422, 422]
    assert why.json()["errors"][0]["field"] == "query.why"
    assert "131052" not in why.text + path.text + service.log.read_text()


def test_an_id_in_the_path_that_is_longer_than_any_is_refused_by_its_name(service: Running) -> None:
    headers = {"Authorization": f"Bearer {service.place.token()}"}

    found = httpx.put(f"{service.url}/v1/things/{'x' * 201}", headers=headers, json={"amount": 1})

    assert (found.status_code, found.json()["errors"]) == (
        422,
        [{"field": "path.id", "rule": "is longer than 200 characters"}],
    )


def test_a_path_with_doubled_slashes_is_none(service: Running) -> None:
    with connect(service) as connection:
        connection.sendall(head(service, "GET //v1//things", "Connection: close"))

        assert whole(connection).startswith(b"HTTP/1.1 404 ")


def test_a_failure_has_a_name_that_finds_it_in_the_log(service: Running) -> None:
    with client(service) as http:
        decided = http.post("/v1/things", json={"amount": 13}, headers=keyed())
        read = http.get("/v1/store/fault")

    failed = [json.loads(line) for line in service.log.read_text().splitlines() if "http.failed" in line]
    known = {line["correlation"]: line for line in failed}
    assert (decided.status_code, read.status_code) == (500, 500)
    assert "RuntimeError" in known[decided.json()["correlation"]]["error"]
    assert "OperationFailure" in known[read.json()["correlation"]]["error"]
    assert all((line["organisation"], line["service"]) == ("kunta", "test") for line in failed)
    assert "secret value" not in service.log.read_text() + decided.text + read.text


def test_only_a_store_that_is_away_is_worth_another_try(service: Running) -> None:
    with client(service) as http:
        away = http.get("/v1/store/away")

    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")


def test_an_answer_that_breaks_off_does_not_look_whole(service: Running) -> None:
    with client(service) as http, pytest.raises(httpx.RemoteProtocolError):
        http.get("/v1/broken")

    log = service.log.read_text()
    assert '"http.broken"' in log
    assert "secret value" not in log


def test_who_may_not_send_a_body_is_answered_without_reading_it(service: Running) -> None:
    with connect(service) as connection:
        connection.sendall(head(service, "POST /v1/things", "Content-Length: 900000000000", token="none") + b"x" * 1000)
        answer = whole(connection)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"Connection: close" in answer


def test_a_body_that_is_too_large_gets_its_answer_though_it_is_not_read(service: Running) -> None:
    with client(service, "operator") as http:
        answer = http.post("/v1/uploads", content=b"x" * 3_000_000, headers=keyed())

    assert (answer.status_code, answer.headers["Connection"]) == (413, "close")


def test_a_connection_lives_on_after_a_body_that_was_read(service: Running) -> None:
    with client(service) as http:
        wrong = http.post("/v1/things", json={"amount": "x"}, headers=keyed())
        missing = http.get("/v1/nowhere")

    assert [answer.headers["Connection"] for answer in (wrong, missing)] == ["keep-alive", "keep-alive"]


def test_health_and_metrics_answer_while_every_worker_is_busy(service: Running) -> None:
    with ExitStack() as open_:
        request = head(service, "GET /v1/slow")
        for _ in range(25):
            open_.enter_context(connect(service)).sendall(request)
        started = time.monotonic()
        seen = [service.status(path) for path in ("/health/live", "/health/ready", "/metrics")]

        assert seen == [200, 200, 200]
        assert time.monotonic() - started < 3


def test_it_answers_again_when_file_descriptors_had_run_out(service: Running) -> None:
    used = len(list(Path(f"/proc/{service.pid}/fd").iterdir()))
    before = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (used + 1, before[1]))
    try:
        with ExitStack() as open_:
            for _ in range(8):
                open_.enter_context(connect(service))
            eventually(lambda: '"http.accept"' in service.log.read_text(), what="the word that it cannot accept")
    finally:
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, before)

    eventually(lambda: service.status("/health/live") == 200, what="live")
    assert service.log.read_text().count('"http.accept"') < 3


def test_a_container_that_dies_ends_the_process_with_an_error(thing_place: Place) -> None:
    with running("web_thing:Dying", thing_place) as process:
        process.place.folder.joinpath("die").touch()
        eventually(lambda: has_ended(process), what="the end of the process")

        assert process.stop() == 1
        assert '"service.died"' in process.log.read_text()
        assert "Traceback" not in process.log.read_text()


def has_ended(process: Running) -> bool:
    try:
        os.kill(process.pid, 0)
        process.status("/health/live")
    except (ProcessLookupError, AssertionError):
        return True
    return False
