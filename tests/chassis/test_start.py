"""How a service starts: everything that is wrong is told at once, in lines, before anything runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.ports import free_port
from chassis.testing_live import Place

NETWORK = Path(__file__).parents[2] / "deploy" / "network.toml"
PASSWORD = "pä ss"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(
        folder=tmp_path,
        organisation="kunta",
        network=NETWORK,
        amqp="amqp://nobody@127.0.0.1:1",
        mongo="mongodb://127.0.0.1:1",
        more={"PYTHONPATH": str(Path(__file__).parent)},
    )


def start(place: Place, service: str = "thing:Things", **more: str) -> tuple[int, str]:
    environment = {"PATH": os.environ["PATH"], **place.environment(free_port()), **more}
    command = [sys.executable, "-W", "ignore", "-m", "chassis.run", service]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.returncode, ended.stderr


def test_what_is_wrong_with_settings_network_and_secrets_is_told_at_once(place: Place, tmp_path: Path) -> None:
    wrong = tmp_path / "network.toml"
    wrong.write_text('organisations = "none"')
    own = tmp_path / "open"
    own.mkdir()

    code, told = start(
        place,
        VIISIKKO_AMQP_URI=f"amqp://user:{PASSWORD}@@:x/%",
        VIISIKKO_MONGO_URI=f"mongodb://a:{PASSWORD}@b:c d/?x=y",
        VIISIKKO_HTTP="nowhere",
        VIISIKKO_LOG_LEVEL="loud",
        VIISIKKO_NETWORK=str(wrong),
        VIISIKKO_SECRETS=str(own),
        VIISIKKO_KEYS=str(tmp_path / "nothing"),
        VIISIKKO_PREFETCH="many",
    )

    assert code == 2
    for name in ("AMQP_URI", "MONGO_URI", "HTTP", "LOG_LEVEL", "KEYS", "PREFETCH"):
        assert told.count(f"VIISIKKO_{name} must") == 1
    for what in (
        "organisations: must be a table",
        "reference.key is missing",
        "ids.key is missing",
        "keys.json is missing",
    ):
        assert what in told
    assert PASSWORD not in told


@pytest.mark.parametrize(
    ("organisation", "rule"),
    [("nobody", "must be an organisation of VIISIKKO_NETWORK"), ("seamk", "must be one that runs intake")],
)
def test_an_organisation_that_does_not_run_the_service_is_told_so(place: Place, organisation: str, rule: str) -> None:
    code, told = start(place, "intake", VIISIKKO_ORGANISATION=organisation)

    assert (code, rule in told) == (2, True)


def test_a_network_that_is_a_folder_is_told_so(place: Place, tmp_path: Path) -> None:
    assert start(place, VIISIKKO_NETWORK=str(tmp_path)) == (
        2,
        "thing:Things cannot start; mend this and start it again:\nVIISIKKO_NETWORK must name a file that is there\n",
    )


def test_a_port_that_is_taken_and_a_host_that_is_unknown_are_told(place: Place) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        taken = start(place, VIISIKKO_HTTP=address)
    unknown = start(place, VIISIKKO_HTTP="nowhere.invalid:80")

    assert taken == (2, f"test cannot listen on {address}: Address already in use; set VIISIKKO_HTTP\n")
    assert (unknown[0], "cannot listen on nowhere.invalid:80" in unknown[1]) == (2, True)


@pytest.mark.parametrize("service", ["nothing", "nothing:Here", "thing:Here", ":", ""])
def test_a_service_that_is_not_there_is_told(place: Place, service: str) -> None:
    code, told = start(place, service)

    assert (code, told.count("\n"), f"there is no service {service}" in told) == (2, 1, True)


def test_nothing_stands_before_the_settings_to_mend(place: Place) -> None:
    environment = {"PATH": os.environ["PATH"], **place.more}
    command = [sys.executable, "-m", "chassis.run", "thing:Things"]

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert ended.stderr.startswith("thing:Things cannot start; mend this and start it again:\nVIISIKKO_")
