"""The package with which an organisation joins: the network's file, its user on the hub, and whom to trust."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from chassis import network as networks
from chassis.decision import ALL, Network, Organisation
from chassis.private import write_private
from chassis.topology import EVENTS, mailbox
from console import compose
from console.doctor.findings import LOAD
from console.folder import Folder
from console.links import TLS_PORT, amqps

COMPOSE = "compose.yml"

PLACE = Path("joined")
"""Where a package is, at the hub and at the school, below the folder in which commands are run."""


class NotListed(ValueError):  # noqa: N818 - errors name the fact
    """The organisation is not in network.toml, or the hub has nothing for it yet."""


def pack(code: str, file: Path, folder: Path, host: str | None, to: Path) -> list[str]:
    """Write the package.

    Args:
        code: The organisation.
        file: network.toml, in which it is listed.
        folder: The folder of the hub.
        host: ``host`` or ``host:port`` of the hub as others reach it; by default as it runs on this machine.
        to: The folder to write; becomes readable by its owner only.

    Returns:
        Lines for people: what is in it, what to open, what to do next.

    Raises:
        NotListed: The organisation is unknown, or nothing was made for it yet.
        WrongNetwork: The file breaks rules.
    """
    network = networks.read(file).network
    if code not in network.organisations:
        raise NotListed(f"there is no organisation {code} in {file}: list it under [organisations.{code}]")
    kept = Folder(folder)
    if not (kept.of(code) / "credentials.json").exists() or not kept.authority.exists():
        raise NotListed(f"{folder} has no user for {code} yet: run `viisikko up` first, or {LOAD}")
    name, port = _place(kept, host)
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    to.chmod(0o700)
    write_private(to / "hub-uri", amqps(code, kept.credentials(code)["password"], name, port))
    shutil.copyfile(kept.authority / "ca.pem", to / "ca.pem")
    shutil.copyfile(file, to / "network.toml")
    shutil.copytree(kept.keys, to / "keys", dirs_exist_ok=True)
    if kept.copy_token(code).exists():
        write_private(to / "copy-token", kept.copy_token(code).read_text("ascii"))
    if network.organisations[code].joins == "own":
        (to / COMPOSE).write_text(compose.own_part(network.organisations[code]), "utf-8")
    return [*_contents(code, to, name, port), *_next(network, network.organisations[code])]


def _place(kept: Folder, host: str | None) -> tuple[str, int]:
    if host is not None:
        name, _, port = host.partition(":")
        if not name or (port and not port.isdecimal()):
            raise NotListed("--host must be host or host:port, such as hub.example:5671")
        return name, int(port or TLS_PORT)
    if not kept.state.exists():
        raise NotListed("say under which name others reach the hub: --host hub.example")
    found, port_here = json.loads(kept.state.read_text("utf-8"))["hub"]
    return str(found), int(port_here)


def _contents(code: str, to: Path, name: str, port: int) -> list[str]:
    return [
        f"The package of {code} is in {to}; hand it over in a way that only {code} can read.",
        "  hub-uri       its user and password on the hub: a secret",
        "  ca.pem        the authority that signs the hub's certificate",
        "  network.toml  who is in the network, and whom it may address",
        "  keys/         everybody's public keys",
        *(["  copy-token    for the hub's copy of the catalogue: a secret"] if (to / "copy-token").exists() else []),
        *(["  compose.yml   its own part: broker, store, services and doctor"] if (to / COMPOSE).exists() else []),
        f"To open: outwards to {name}, TCP {port}. Nothing inwards.",
    ]


def _next(network: Network, organisation: Organisation) -> list[str]:
    code = organisation.code
    there = PLACE / code
    doctor = (
        f"VIISIKKO_ORGANISATION={code} VIISIKKO_NETWORK={there}/network.toml VIISIKKO_HUB_URI_FILE={there}/hub-uri "
        f"VIISIKKO_TLS_CA={there}/ca.pem viisikko doctor"
    )
    allowed = ", ".join((*sorted(network.destinations(code) - {code}), ALL))
    if organisation.joins == "own":
        command = f"sudo -E docker compose --project-directory deploy/compose -f {there / COMPOSE}"
        return [
            f"Next, at {code}, in a clone of this repository, with the package as {there}, and with its mail server:",
            f"  sudo chown -R 10001 {there}    # the user of the containers, and nobody else, may read it",
            f'  export VIISIKKO_PACKAGE="$PWD/{there}" VIISIKKO_SMTP_URI=smtp://mail.example:25',
            f"  {command} up --build -d",
            f"  {command} run --rm -T --entrypoint cat operator /secrets/keys/{code}.json > {code}.json",
            f"  {command} run --rm doctor",
            f"Then {code} sends {code}.json, its public keys, to the hub's operator; its private keys stay there.",
        ]
    box = f"; what is addressed to it waits in {mailbox(code)}" if organisation.joins == "guest" else ""
    key = f"<aggregate>.<verb>.{code}.<{allowed}>"
    return [
        f"Next, at {code}, with the package as {there}: publish to the exchange {EVENTS} under {key}{box}.",
        f"  {doctor}",
    ]
