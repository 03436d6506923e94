"""docker-compose.yml, the own parts' files and the Dockerfiles: against the specification and the code's own settings.

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
from console import compose

ROOT = Path(__file__).parent.parent.parent
NETWORK = network.read(ROOT / "deploy" / "network.toml").network
WHOLE = "docker-compose.yml"
PARTS = [f"deploy/compose/{code}.yml" for code in compose.parts(NETWORK)]
FILES: dict[str, dict[str, Any]] = {name: yaml.safe_load((ROOT / name).read_text()) for name in (WHOLE, *PARTS)}
SERVICES = [
    (name, o.code, service)
    for name in FILES
    for o in NETWORK.organisations.values()
    for service in o.runs
    if name == WHOLE or name.endswith(f"/{o.code}.yml")
]


def settings_of(service: str) -> dict[str, bool]:
    """Variable → whether it must be set."""
    own = next(entry.load() for entry in entry_points(group="viisikko.services") if entry.name == service).settings
    kinds = [Settings, *([own] if own else [])]
    return {f.metadata["setting"]: f.default is dataclasses.MISSING for kind in kinds for f in dataclasses.fields(kind)}


def test_the_files_follow_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", *FILES]

    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_service_of_the_network_stands_in_it() -> None:
    missing = [name for name, code, service in SERVICES if f"{code}-{service}" not in FILES[name]["services"]]

    assert missing == []


@pytest.mark.parametrize(("name", "code", "service"), SERVICES)
def test_a_service_gets_every_setting_that_it_must_have_and_none_that_it_does_not_know(
    name: str, code: str, service: str
) -> None:
    environment = FILES[name]["services"][f"{code}-{service}"]["environment"]
    known = settings_of(service)

    given = {variable.removesuffix("_FILE") for variable in environment}
    unknown = [v for v in environment if v not in known and v.removesuffix("_FILE") not in known]

    assert unknown == []
    assert {variable for variable, required in known.items() if required} <= given


@pytest.mark.parametrize(("name", "code", "service"), SERVICES)
def test_a_service_runs_as_nobody_with_nothing_to_write(name: str, code: str, service: str) -> None:
    described = FILES[name]["services"][f"{code}-{service}"]
    dockerfile = (ROOT / described["build"]["dockerfile"]).read_text()

    assert described["read_only"] is True
    assert described["cap_drop"] == ["ALL"]
    assert "\nUSER viisikko\n" in dockerfile
    assert "HEALTHCHECK" in dockerfile


@pytest.mark.parametrize("name", FILES)
def test_no_password_stands_in_it(name: str) -> None:
    text = "\n".join(line for line in (ROOT / name).read_text().lower().splitlines() if not line.startswith("#"))

    assert "password" not in text
    assert "guest" not in text


@pytest.mark.parametrize("name", FILES)
def test_the_store_is_reachable_by_services_only(name: str) -> None:
    assert FILES[name]["networks"]["store"] == {"internal": True}
    assert "ports" not in FILES[name]["services"]["mongodb"]


@pytest.mark.parametrize("name", FILES)
def test_published_ports_are_of_this_machine_only_but_for_the_hubs_tls(name: str) -> None:
    ports = [port for service in FILES[name]["services"].values() for port in service.get("ports", [])]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == (["5671:5671"] if name == WHOLE else [])


@pytest.mark.parametrize("name", FILES)
def test_every_file_and_folder_of_the_repository_that_is_mounted_is_there(name: str) -> None:
    mounted = [
        volume.partition(":")[0]
        for service in FILES[name]["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    ]

    assert [path for path in mounted if not ((ROOT / name).parent / path).exists()] == []
