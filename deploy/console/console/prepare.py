"""Prepares the secrets of brokers in containers, once: the volumes that the compose files mount."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from chassis import network as networks
from chassis import secrets as kept
from chassis.private import write_private
from console import definitions
from console.authority import Authority, Certificate
from console.folder import Folder, secret_in
from console.links import TLS_PORT, Links, amqps
from console.nodes.broker import OPERATOR, with_operator
from console.region import reads

AUTHORITY_THERE = "/definitions/hub-ca.pem"
"""Where the broker in its container finds the authority that signed the hub's certificate."""

MANAGEMENT = "management-uri"
"""File of an own part with the address of its broker's management, as the operator."""

HUB_MANAGEMENT = "hub-management-uri"
"""The same of the hub."""


class NotJoined(ValueError):  # noqa: N818 - errors name the fact
    """The package is incomplete, or network.toml says that the organisation joins in another way."""


def prepare(file: Path, folder: Path, broker: str, target: Path, hosts: Sequence[str]) -> None:
    """Make what is missing at the hub: keys, tokens and passwords of every organisation, and the broker's definitions.

    Who runs an own part makes its keys there; the hub never has the private ones.

    Args:
        file: network.toml.
        folder: The volume of secrets.
        broker: ``host:port`` of the broker, as services reach it.
        target: Folder for what the broker reads, which no service sees.
        hosts: Names under which own parts and guests reach the hub, for its certificate.

    Raises:
        WrongNetwork: The file breaks rules.
    """
    network = networks.read(file).network
    own_parts = {code for code, o in network.organisations.items() if o.joins == "own"}
    passwords = Folder(folder).make(network, elsewhere=own_parts)
    for code, password in passwords.items():
        write_private(folder / code / "amqp-uri", f"amqp://{code}:{quote(password, safe='')}@{broker}/%2F")
    _for_broker(folder, target, definitions.build(network, reads(), passwords=passwords), hosts)
    write_private(folder / HUB_MANAGEMENT, _management(folder, broker.partition(":")[0]))


def prepare_part(code: str, package: Path, folder: Path, broker: str, target: Path) -> None:
    """Make what is missing at an own part: its keys, tokens and passwords, and its broker's definitions with the links.

    Args:
        code: The organisation.
        package: What `viisikko join` wrote at the hub.
        folder: The volume of secrets.
        broker: Host of the own broker, as services reach it with TLS.
        target: Folder for what the broker reads, which no service sees.

    Raises:
        NotJoined: The package is incomplete, or network.toml does not say that the organisation runs its own part.
        WrongNetwork: The file breaks rules.
    """
    missing = [name for name in ("network.toml", "hub-uri", "ca.pem", "keys") if not (package / name).exists()]
    if missing:
        raise NotJoined(
            f"{package}: {', '.join(missing)} is missing: copy the folder that `viisikko join {code}` wrote"
        )
    network = networks.read(package / "network.toml").network
    if code not in network.organisations or network.organisations[code].joins != "own":
        raise NotJoined(f"organisations.{code}.joins: must be own, for who runs an own part")
    kept_in = Folder(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copytree(package / "keys", kept_in.keys, dirs_exist_ok=True)
    kept.make(kept_in.of(code), kept_in.keys, code)
    kept_in.credentials(code)
    password = kept_in.local_password(code)
    write_private(kept_in.of(code) / "amqp-uri", amqps(code, password, broker))
    content = definitions.build_part(network, reads(), code, password=password, links=_links(package))
    _for_broker(folder, target, content, [broker])
    shutil.copyfile(package / "ca.pem", target / Path(AUTHORITY_THERE).name)
    write_private(folder / MANAGEMENT, _management(folder, broker))


def _links(package: Path) -> Links:
    hub = urlsplit((package / "hub-uri").read_text("utf-8").strip())
    return Links(
        user=unquote(hub.username or ""),
        password=unquote(hub.password or ""),
        host=hub.hostname or "",
        port=hub.port or TLS_PORT,
        authority=AUTHORITY_THERE,
    )


def _for_broker(folder: Path, target: Path, content: dict[str, Any], hosts: Sequence[str]) -> None:
    _hand_over(json.dumps(with_operator(content, _operator(folder)), indent=1), target / "definitions.json")
    certificate: Certificate = Authority(folder / "authority").server("broker", hosts)
    for file, name in (
        (certificate.authority, "ca.pem"), (certificate.certificate, "broker.pem"), (certificate.key, "broker.key"),
    ):  # fmt: skip
        _hand_over(file.read_text("utf-8"), target / name)


def _hand_over(text: str, file: Path) -> None:
    file.write_text(text, "utf-8")
    # The broker's own user in its container reads it, and nobody else mounts the volume.
    file.chmod(0o644)


def _management(folder: Path, host: str) -> str:
    return f"http://{OPERATOR}:{_operator(folder)}@{host}:15672"


def _operator(folder: Path) -> str:
    return secret_in(folder / "operator-password")
