"""docker-compose.yml and the Dockerfiles, against the compose specification and the code's own settings.

No Docker engine is needed: what can be checked without one is checked here.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis import network
from chassis.settings import Settings

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
NETWORK = network.read(ROOT / "deploy" / "network.toml").network
SERVICES = [(o.code, service) for o in NETWORK.organisations.values() for service in o.runs]


def settings_of(service: str) -> dict[str, bool]:
    """Variable → whether it must be set."""
    own = next(entry.load() for entry in entry_points(group="viisikko.services") if entry.name == service).settings
    kinds = [Settings, *([own] if own else [])]
    return {f.metadata["setting"]: f.default is dataclasses.MISSING for kind in kinds for f in dataclasses.fields(kind)}


def test_the_file_follows_the_compose_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "docker-compose.yml",
    ]

    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_service_of_the_network_stands_in_it() -> None:
    assert {f"{code}-{service}" for code, service in SERVICES} <= set(COMPOSE["services"])


@pytest.mark.parametrize(("code", "service"), SERVICES)
def test_a_service_gets_every_setting_that_it_must_have_and_none_that_it_does_not_know(code: str, service: str) -> None:
    environment = COMPOSE["services"][f"{code}-{service}"]["environment"]
    known = settings_of(service)

    given = {name.removesuffix("_FILE") for name in environment}

    assert given <= set(known)
    assert {name for name, required in known.items() if required} <= given


@pytest.mark.parametrize(("code", "service"), SERVICES)
def test_a_service_runs_as_nobody_with_nothing_to_write(code: str, service: str) -> None:
    described = COMPOSE["services"][f"{code}-{service}"]
    dockerfile = (ROOT / described["build"]["dockerfile"]).read_text()

    assert described["read_only"] is True
    assert described["cap_drop"] == ["ALL"]
    assert "\nUSER viisikko\n" in dockerfile
    assert "HEALTHCHECK" in dockerfile


def test_no_password_stands_in_it() -> None:
    text = "\n".join(
        line for line in (ROOT / "docker-compose.yml").read_text().lower().splitlines() if not line.startswith("#")
    )

    assert "password" not in text
    assert "guest" not in text


def test_the_store_is_reachable_by_services_only() -> None:
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert "ports" not in COMPOSE["services"]["mongodb"]


def test_published_ports_are_of_this_machine_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
