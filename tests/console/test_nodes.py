"""The private broker, store and mail sink, on themselves: what they keep, and that they leave nothing behind."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from email.message import EmailMessage
from pathlib import Path

import kombu
import pymongo
import pytest

from chassis import ports
from chassis.testing_live import eventually
from console.nodes.broker import OPERATOR, RabbitNode
from console.nodes.mail import MailSink
from console.nodes.processes import NotReady, Process, wait_until
from console.nodes.store import StoreNode

CTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
KIB, MIB = 2**10, 2**20

PARENT = """
import sys, time
from pathlib import Path
from console.nodes.broker import RabbitNode
from console.nodes.store import StoreNode

folder = Path(sys.argv[1])
broker, store = RabbitNode(folder / "broker"), StoreNode(folder / "store")
broker.start()
store.start()
print("up", flush=True)
time.sleep(600)
"""


PROGRAMS = ("epmd", "beam.smp", "secantusd-py")


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    """A broker of these tests alone, since they stop it."""
    node = RabbitNode(tmp_path_factory.mktemp("broker"))
    node.start()
    yield node
    node.kill()


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreNode]:
    """A store of these tests alone, since they kill it."""
    node = StoreNode(tmp_path_factory.mktemp("store"))
    node.start()
    yield node
    node.kill()


@pytest.fixture
def client(own_store: StoreNode) -> Iterator[pymongo.MongoClient[dict[str, object]]]:
    """A connection to the store with two empty databases, ``one`` and ``two``."""
    with pymongo.MongoClient[dict[str, object]](own_store.uri, socketTimeoutMS=30_000) as made:
        for name in ("one", "two"):
            made.drop_database(name)
        yield made


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that know a folder, by argument or by environment; zombies have neither."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            known = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if str(folder).encode() in known and int(process.name) != os.getpid():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (OSError, ProcessLookupError):
            continue
    return found


def named(commands: list[str]) -> set[str]:
    """Which of the nodes' programs are among command lines."""
    return {program for program in PROGRAMS if any(program in command for command in commands)}


def listening(pid: int) -> set[str]:
    """IPv4 addresses on which a process listens (proc(5), /proc/net/tcp: addresses are little-endian, 0A is LISTEN)."""
    sockets = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            sockets.add(str(file.readlink()))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    found = {row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}
    return {socket.inet_ntoa(bytes.fromhex(address)[::-1]) for address in found}


def publish_kept(node: RabbitNode, body: bytes) -> None:
    """Put a message into a quorum queue, confirmed."""
    with kombu.Connection(node.uri(), transport_options={"confirm_publish": True}) as connection:
        queue = kombu.Queue("kept", durable=True, queue_arguments={"x-queue-type": "quorum"})
        queue(connection.default_channel).declare()
        connection.Producer().publish(body, routing_key="kept", delivery_mode=2)


def take_kept(node: RabbitNode) -> bytes | None:
    """Take a message from that queue, or None."""
    with kombu.Connection(node.uri()) as connection:
        message = kombu.Queue("kept")(connection.default_channel).get(no_ack=True)
        return None if message is None else bytes(message.body)


def test_a_broker_is_private(own_broker: RabbitNode) -> None:
    with own_broker.client() as client:
        users = [user["name"] for user in client.get("/api/users").json()]
    read = subprocess.run(
        [CTL, "-n", "viisikko@localhost", "eval", "rabbit_config:config_files()."],
        env=own_broker._environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert users == [OPERATOR]
    assert str(own_broker.folder) in read
    assert "/etc/" not in read
    assert listening(own_broker.pid) == {"127.0.0.1"}


def test_a_stopped_broker_leaves_no_process_behind_and_has_its_messages_when_it_is_back(own_broker: RabbitNode) -> None:
    publish_kept(own_broker, b"kept")
    running = processes_of(own_broker.folder)

    own_broker.stop()
    left = processes_of(own_broker.folder)
    own_broker.start()

    assert named(running) == {"epmd", "beam.smp"}
    assert left == []
    assert eventually(lambda: take_kept(own_broker)) == b"kept"


def test_a_broker_that_cannot_start_names_its_log_and_leaves_no_process_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = RabbitNode(tmp_path / "broker")
    monkeypatch.setattr(node, "_configuration", lambda: "no.such.key = 1\n")

    with pytest.raises(NotReady, match=r"broker ended with .*broker\.log"):
        node.start()

    assert eventually(lambda: not processes_of(node.folder), seconds=5)


def test_broker_and_store_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        started = processes_of(tmp_path)

        parent.kill()

    assert named(started) == set(PROGRAMS)
    assert eventually(lambda: not processes_of(tmp_path), seconds=5)


def test_a_transaction_over_two_databases_is_applied_whole_or_not_at_all(
    client: pymongo.MongoClient[dict[str, object]],
) -> None:
    one, two = client["one"]["things"], client["two"]["things"]

    with client.start_session() as session, session.start_transaction():
        one.insert_one({"_id": 1}, session=session)
        two.insert_one({"_id": 1}, session=session)
    with client.start_session() as session:
        session.start_transaction()
        one.insert_one({"_id": 2}, session=session)
        two.insert_one({"_id": 2}, session=session)
        session.abort_transaction()

    assert [document["_id"] for document in one.find()] == [1]
    assert [document["_id"] for document in two.find()] == [1]


def test_a_store_that_is_killed_loses_no_acknowledged_commit(
    own_store: StoreNode, client: pymongo.MongoClient[dict[str, object]]
) -> None:
    for number in range(50):
        client["one"]["things"].insert_one({"_id": number})

    own_store.kill()
    own_store.start()

    assert [document["_id"] for document in client["one"]["things"].find().sort("_id", 1)] == list(range(50))


def test_a_transaction_of_twelve_mib_of_small_documents_does_not_wedge_the_store(
    client: pymongo.MongoClient[dict[str, object]],
) -> None:
    things = client["one"]["things"]

    with client.start_session() as session, session.start_transaction():
        for first in range(0, 12 * MIB // (4 * KIB), 256):
            things.insert_many([{"_id": first + n, "text": "x" * 4 * KIB} for n in range(256)], session=session)
    client["two"]["things"].insert_one({"_id": 1})

    assert things.count_documents({}) == 3072


def test_a_mail_is_kept_as_it_was_sent_and_the_sink_ends_in_good_order(tmp_path: Path) -> None:
    sink = MailSink(tmp_path)
    sink.start()
    mail = EmailMessage()
    mail["Message-ID"] = "<1@viisikko>"
    mail["Subject"] = "Päätös"
    mail.set_content("Hyvää päivää")

    with smtplib.SMTP("127.0.0.1", sink.port) as client:
        client.send_message(mail, from_addr="viisikko@localhost", to_addrs=["coach@example.org"])
    kept = sink.mails()
    sink.stop()

    assert [m["Message-ID"] for m in kept] == ["<1@viisikko>"]
    assert kept[0].get_payload(decode=True) == "Hyvää päivää\n".encode()
    assert sink._process is not None
    assert sink._process.exit_code == 0


def test_ports_that_are_taken_are_avoided_and_none_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ports.free_port()
    monkeypatch.setattr(ports, "FIRST", first)
    monkeypatch.setattr(ports, "LAST", first + 2)
    monkeypatch.setattr(ports, "_given", {first})

    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", first + 1))
        taken.listen()
        given = ports.free_port()

    assert given == first + 2


def test_a_port_that_another_process_was_given_is_avoided_before_anything_listens_there() -> None:
    asks = "from chassis.ports import free_port; print(free_port(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", asks], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        given = int(other.stdout.readline())
        while_it_runs = ports._is_reserved_for_us(given)
        other.communicate(b"\n")

    assert (while_it_runs, ports._is_reserved_for_us(given)) == (False, True)


def test_ports_lie_outside_the_range_that_the_kernel_gives_to_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    assert ports.free_port() < lowest


def test_what_a_process_has_started_ends_with_it(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "FOLDER": str(tmp_path)}
    process = Process("shell", ["sh", "-c", "sleep 600 & exit 3"], folder=tmp_path, environment=environment)
    process.start()

    assert wait_until(lambda: not process.running, seconds=5)
    assert process.exit_code == 3
    assert eventually(lambda: not processes_of(tmp_path), seconds=5)


def test_a_process_that_ignores_the_signal_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"]
    process = Process("deaf", command, folder=tmp_path, stop_seconds=0.3)
    process.start()
    process.wait_ready(lambda: process.log.read_text() == "deaf\n", seconds=5)

    process.stop()

    assert process.exit_code == -signal.SIGKILL
