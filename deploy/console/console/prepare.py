"""Prepares the secrets of a network in containers, once: the volume that docker-compose.yml mounts everywhere."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from urllib.parse import quote

from chassis import network as networks
from chassis.private import write_private
from console import definitions
from console.folder import Folder
from console.nodes.broker import OPERATOR, password_hash
from console.region import reads


def prepare(file: Path, folder: Path, broker: str, target: Path) -> None:
    """Make what is missing: keys, tokens and passwords of every organisation, and the broker's definitions.

    Args:
        file: network.toml.
        folder: The volume of secrets.
        broker: ``host:port`` of the broker, as services reach it.
        target: File for the broker's definitions, outside of the folder that only the services may read.

    Raises:
        WrongNetwork: The file breaks rules.
    """
    network = networks.read(file).network
    passwords = Folder(folder).make(network)
    for code, password in passwords.items():
        write_private(folder / code / "amqp-uri", f"amqp://{code}:{quote(password, safe='')}@{broker}/%2F")
    content = definitions.build(network, reads(), passwords=passwords)
    content["users"].append(
        {
            "name": OPERATOR,
            "password_hash": password_hash(_operator(folder)),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": ["administrator"],
        }
    )
    everything = {"user": OPERATOR, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    content["permissions"].append(everything)
    target.write_text(json.dumps(content, indent=1))
    # The broker's own user in its container reads it; it holds hashes of long random passwords only.
    target.chmod(0o644)


def _operator(folder: Path) -> str:
    file = folder / "operator-password"
    if not file.exists():
        write_private(file, secrets.token_urlsafe(24))
    return file.read_text().strip()
