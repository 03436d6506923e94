"""`viisikko join` and what an own part makes of the package."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from parts import FILE, Parts

from chassis import settings
from console import compose
from console.doctor.findings import Facts
from console.doctor.visit import visit
from console.join import NotListed, pack
from console.links import as_reader
from console.prepare import NotJoined, prepare, prepare_part


@pytest.fixture
def package(parts: Parts, tmp_path: Path) -> Path:
    pack("sedu", FILE, parts.region.folder.path, None, tmp_path / "package")
    return tmp_path / "package"


@pytest.fixture
def made(package: Path, tmp_path: Path) -> Path:
    target = tmp_path / "definitions"
    target.mkdir()
    prepare_part("sedu", package, tmp_path / "secrets", "rabbitmq", target)
    return target


def test_a_package_holds_what_a_new_organisation_needs_and_nothing_that_others_may_read(package: Path) -> None:
    assert {path.name for path in package.iterdir()} == {"hub-uri", "ca.pem", "network.toml", "keys", "compose.yml"}
    assert stat.S_IMODE(package.stat().st_mode) == 0o700
    assert stat.S_IMODE((package / "hub-uri").stat().st_mode) == 0o600
    assert "PRIVATE" not in (package / "ca.pem").read_text()
    assert '"d"' not in "".join(path.read_text() for path in (package / "keys").iterdir())


def test_with_its_package_an_organisation_reaches_the_hub(package: Path) -> None:
    environment = {
        "VIISIKKO_ORGANISATION": "sedu",
        "VIISIKKO_NETWORK": str(package / "network.toml"),
        "VIISIKKO_HUB_URI_FILE": str(package / "hub-uri"),
        "VIISIKKO_TLS_CA": str(package / "ca.pem"),
    }

    found = list(visit(settings.read({"doctor": Facts}, environment)["doctor"]))

    assert [finding for finding in found if not finding.well] == []


def test_the_words_to_an_own_part_name_what_to_open_and_the_next_commands(parts: Parts, tmp_path: Path) -> None:
    words = "\n".join(pack("sedu", FILE, parts.region.folder.path, "hub.example", tmp_path / "package"))

    assert "outwards to hub.example, TCP 5671" in words
    assert "-f joined/sedu/compose.yml up --build -d" in words
    assert str(tmp_path) not in "".join(words.partition("Next, at sedu")[1:])
    password = json.loads((parts.region.folder.of("sedu") / "credentials.json").read_text())["password"]
    assert password not in words


def test_a_guest_is_told_its_mailbox_and_whom_it_may_address(parts: Parts, tmp_path: Path) -> None:
    words = "\n".join(pack("epky", FILE, parts.region.folder.path, None, tmp_path / "package"))

    assert "epky.mailbox" in words
    assert "epky.<sedu, all>" in words


def test_who_is_not_listed_gets_no_package(parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(NotListed, match=r"\[organisations.nobody\]"):
        pack("nobody", FILE, parts.region.folder.path, None, tmp_path / "package")


def test_an_own_part_in_containers_gets_its_links_and_keeps_its_keys_to_itself(made: Path, tmp_path: Path) -> None:
    content: dict[str, Any] = json.loads((made / "definitions.json").read_text())
    components = {parameter["component"]: parameter["value"] for parameter in content["parameters"]}
    password = (tmp_path / "secrets" / "sedu" / "broker-password").read_text()

    assert "verify=verify_peer" in components["federation-upstream"]["uri"]
    assert components["federation-upstream"]["uri"] == as_reader(components["shovel"]["dest-uri"])
    assert {path.name for path in made.iterdir()} == {
        "definitions.json", "ca.pem", "broker.pem", "broker.key", "hub-ca.pem",
    }  # fmt: skip
    assert password not in (made / "definitions.json").read_text()


def test_preparing_an_own_part_again_changes_no_secret(made: Path, package: Path, tmp_path: Path) -> None:
    before = {path: path.read_text() for path in (tmp_path / "secrets").rglob("*") if path.is_file()}

    prepare_part("sedu", package, tmp_path / "secrets", "rabbitmq", made)

    assert {path: path.read_text() for path in before} == before


def test_an_incomplete_package_is_refused_with_what_is_missing(package: Path, tmp_path: Path) -> None:
    (package / "ca.pem").unlink()

    with pytest.raises(NotJoined, match=r"ca\.pem is missing"):
        prepare_part("sedu", package, tmp_path / "secrets", "rabbitmq", tmp_path)


def test_who_does_not_run_its_own_part_is_refused_one(parts: Parts, tmp_path: Path) -> None:
    pack("epky", FILE, parts.region.folder.path, None, tmp_path / "package")

    with pytest.raises(NotJoined, match="must be own"):
        prepare_part("epky", tmp_path / "package", tmp_path / "secrets", "rabbitmq", tmp_path)


def test_the_hub_in_containers_gets_a_certificate_for_its_names(tmp_path: Path) -> None:
    target = tmp_path / "definitions"
    target.mkdir()

    prepare(FILE, tmp_path / "secrets", "rabbitmq:5672", target, ["hub.example"])

    assert {path.name for path in target.iterdir()} == {"definitions.json", "ca.pem", "broker.pem", "broker.key"}
    assert (tmp_path / "secrets" / "epky" / "amqp-uri").read_text().startswith("amqp://epky:")


def test_the_hub_in_containers_makes_no_keys_for_an_own_part(tmp_path: Path) -> None:
    prepare(FILE, tmp_path / "secrets", "rabbitmq:5672", tmp_path, ["hub.example"])

    assert (tmp_path / "secrets" / "epky" / "keys.json").exists()
    assert not (tmp_path / "secrets" / "sedu" / "keys.json").exists()
    assert not (tmp_path / "secrets" / "keys" / "sedu.json").exists()


def test_each_own_part_has_a_compose_file_with_its_services(parts: Parts) -> None:
    text = compose.own_part(parts.region.network.organisations["sedu"])

    assert "sedu-catalogue:" in text
    assert "prepare-part" in text


def test_the_doctor_in_containers_waits_for_no_broker_and_no_store_that_may_be_ill(parts: Parts) -> None:
    described = yaml.safe_load(compose.own_part(parts.region.network.organisations["sedu"]))

    assert list(described["services"]["doctor"]["depends_on"]) == ["prepare"]
