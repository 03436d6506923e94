"""The traps of nameko, kombu and eventlet (reliability.md, 1 to 6 and 14 to 16): each fails if its trap opens again."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import kombu
import pytest
from listener import Listener
from process import SERVICE, client, frozen, metrics, said, settled

from chassis import profile
from chassis.ports import free_port
from chassis.testing_cable import Cable
from chassis.testing_live import Place, Publisher, Running, event, eventually, running

TIMEOUT = {"FLAKY_WHEN": "before", "FLAKY_TIMEOUT": "yes"}


def with_flaw(place: Place, tmp_path: Path, **more: str) -> Place:
    return replace(
        place, more={**place.more, "VIISIKKO_RETRY_SECONDS": "1,1,1,1", "FLAKY": str(tmp_path / "flaw"), **more}
    )


def left_in_queue(place: Place) -> int:
    """After a stop, what was not acknowledged stands in the queue again."""
    with kombu.Connection(place.amqp) as connection:
        count: int = connection.channel().queue_declare("kunta.test", passive=True).message_count
        return count


def test_1_what_a_worker_fails_at_is_not_acknowledged_and_not_with_the_next_batch_either(
    thing_place: Place, publisher: Publisher, database: Any, tmp_path: Path
) -> None:
    place = with_flaw(thing_place, tmp_path)

    with running("flaky:Flaky", place):
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"s-{n}") for n in range(20)))
        eventually((tmp_path / "flaw").exists, what="the batch that fails")
        publisher.send(event("thing.made", {"amount": 1}, subject="later"))

        eventually(lambda: database["thing"].count_documents({}) == 21, what="all events")


class Touch:
    """Leaves a file where somebody unpickles it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self._file,)


def test_2_the_body_is_nobodys_to_decode_but_the_codecs(
    thing_place: Place, publisher: Publisher, database: Any, tmp_path: Path
) -> None:
    made = event("thing.made", {"amount": 1})
    with running(SERVICE, thing_place) as service:
        # Kombu would log and acknowledge some of these, and read the others by what a header says.
        publisher.raw(profile.compose(made), made.routing_key, content_encoding="nonsense")
        body = profile.compose(event("thing.made", {"amount": 1}))
        publisher.raw(body + b" " * (len(body) % 2), made.routing_key, content_encoding="utf-16")
        publisher.raw(b"\xff\xfe{", made.routing_key)
        publisher.raw(
            pickle.dumps(Touch(tmp_path / "unpickled")),
            made.routing_key,
            content_type="application/x-python-serialize",
            content_encoding="binary",
        )

        eventually(lambda: database["parked"].count_documents({"reason": "not-an-event"}) == 2, what="two parked")
        eventually(lambda: settled(service)["applied"] == 2, what="the two that are events")
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"call_id_stack": 5, "nameko.call_id_stack": 5},
        {"nameko.call_id_stack": ["a", None, {"b": 1}], "nameko.x": "y", "nameko.language": 7},
        {"x-viisikko-key": 5, "x-viisikko-attempts": "many", "x-viisikko-replay": ["a/b"], "x-death": "long ago"},
    ],
)
def test_3_headers_from_outside_end_nothing(
    thing_place: Place, publisher: Publisher, database: Any, headers: dict[str, Any]
) -> None:
    with running(SERVICE, thing_place) as service:
        publisher.send(event("thing.made", {"amount": 2}, subject="hostile"), application_headers=headers)
        publisher.send(event("thing.made", {"amount": 2}, subject="after"))

        eventually(lambda: database["thing"].count_documents({"state.count": 2}) == 2, what="both events")
        assert said(service, "service.died", "subscriber.failed") == []


@pytest.mark.parametrize("flaw", [{"FLAKY_WHEN": "before"}, {"FLAKY_WHEN": "after"}, TIMEOUT])
def test_4_a_fault_outside_the_handler_ends_the_process_and_loses_nothing(
    thing_place: Place, publisher: Publisher, database: Any, tmp_path: Path, flaw: dict[str, str]
) -> None:
    place = with_flaw(thing_place, tmp_path, **flaw)
    first = Running("flaky:Fragiles", place, free_port())
    first.start()
    first.wait_ready()

    publisher.send(*(event("thing.made", {"amount": 1}, subject=f"s-{n}") for n in range(20)))

    # Whoever runs it starts it again; a process that lived on without its container would take nothing and say nothing.
    assert eventually(lambda: first.exit_code, what="the end of the process") == 1
    assert said(first, "service.died") == ["service.died"]
    with running("flaky:Fragiles", place):
        eventually(lambda: database["thing"].count_documents({"state.count": 1}) == 20, what="all events")
    assert left_in_queue(place) == 0


def test_4_a_time_limit_in_a_decision_is_a_programming_error_like_any_other(
    thing_place: Place, publisher: Publisher, database: Any, tmp_path: Path
) -> None:
    place = with_flaw(thing_place, tmp_path)
    (tmp_path / "flaw").write_text("timeout")
    with running("flaky:Moody", place) as service:
        publisher.send(event("thing.made", {"amount": 1}))
        eventually(lambda: settled(service)["retried"], what="the one that waits for its next try")
        (tmp_path / "flaw").unlink()

        eventually(lambda: database["thing"].count_documents({"state.count": 1}) == 1, what="the event")


def test_5_a_stop_finishes_what_runs_longer_than_a_second_and_acknowledges_it(
    thing_place: Place, publisher: Publisher, database: Any, tmp_path: Path
) -> None:
    place = with_flaw(thing_place, tmp_path)
    with running("flaky:Sleepy", place) as service:
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"s-{n}") for n in range(5)))
        eventually((tmp_path / "flaw").exists, what="the batch that takes long")

        assert service.stop() == 0

    assert left_in_queue(place) == 0
    assert database["thing"].count_documents({"state.count": 1}) == 5


def test_6_without_a_broker_it_starts_and_takes_commands_and_publishes_when_the_broker_comes(
    thing_place: Place,
) -> None:
    with closing(Cable.to(thing_place.amqp)) as cable, Listener(thing_place.amqp, "thing.counted.#") as listener:
        cable.cut()
        service = Running(SERVICE, replace(thing_place, amqp=cable.through(thing_place.amqp)), free_port())
        service.start()
        try:
            eventually(lambda: service.status("/health/live") == 200, what="live")
            with client(service) as http:
                eventually(lambda: http.put("/v1/things/t", json={"amount": 4}).is_success, what="a command")
                ready = http.get("/health/ready")
            cable.mend()
            service.wait_ready()

            eventually(lambda: [e["data"] for e in listener.events()] == [{"count": 4}], what="what followed from it")
        finally:
            service.stop()

    assert (ready.status_code, ready.json()["store"], ready.json()["broker"]) == (503, True, False)


def test_14_what_is_delivered_here_is_delivered_by_a_real_broker(place: Place) -> None:
    # Settings take no other address (test_settings.py), so that no test of a service can run on memory:// unseen.
    with kombu.Connection(place.amqp) as connection:
        connection.connect()
        product = connection.connection.server_properties["product"]

    assert product == "RabbitMQ"


@contextmanager
def waiting_for_the_store(service: Running, store: Any) -> Iterator[None]:
    """A command that waits for a store that hangs."""
    with ThreadPoolExecutor() as pool, client(service) as http:
        with frozen(store.pid):
            answer = pool.submit(http.put, "/v1/things/t", json={"amount": 1})
            yield
            assert not answer.done()
        assert answer.result().is_success


def test_15_a_call_of_the_store_that_takes_long_holds_up_nothing_else(thing_place: Place, store: Any) -> None:
    with running(SERVICE, thing_place) as service, waiting_for_the_store(service, store):
        for _ in range(10):
            started = time.monotonic()
            alive = httpx.get(f"{service.url}/health/live", timeout=10).is_success
            assert (alive, time.monotonic() - started < 2) == (True, True)


REFUSING = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pkg_resources" or name.startswith("nameko.cli"):
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuse())
"""


def test_16_a_service_starts_without_pkg_resources_and_namekos_command_line(thing_place: Place, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(REFUSING)
    path = f"{tmp_path}:{thing_place.more['PYTHONPATH']}"

    with running(SERVICE, replace(thing_place, more={**thing_place.more, "PYTHONPATH": path})) as service:
        assert "viisikko_leader" in metrics(service)
