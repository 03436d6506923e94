"""All generated files below deploy/: the contract, the broker's definitions, Prometheus's scrape settings."""

from __future__ import annotations

import json
from pathlib import Path

from chassis import network as networks
from chassis.decision import Network
from console import contract, definitions
from console.region import reads

PORT = 8000
"""Where services listen in their containers."""


def build(deploy: Path, *, check: bool) -> list[str]:
    """Write the files, or say which differ.

    Args:
        deploy: The folder deploy/.
        check: Write nothing.

    Returns:
        Names below deploy/ of the files that differ from what is generated.
    """
    network = networks.read(deploy / "network.toml").network
    single = {
        "rabbitmq/definitions.json": _definitions(network),
        "prometheus/prometheus.yml": prometheus(network),
    }
    differ = [f"contract/{name}" for name in contract.build(deploy / "contract", check=check)]
    for name, text in single.items():
        path = deploy / name
        if path.exists() and path.read_text("utf-8") == text:
            continue
        differ.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return differ


def prometheus(network: Network) -> str:
    """Scrape settings for the services in containers, and for RabbitMQ's own metrics."""
    targets = [f"{o.code}-{service}:{PORT}" for o in network.organisations.values() for service in o.runs]
    lines = [
        "# Generated from deploy/network.toml by `viisikko contract build`; do not edit.",
        "global:",
        "  scrape_interval: 15s",
        "scrape_configs:",
        "  - job_name: viisikko",
        "    static_configs:",
        "      - targets:",
        *(f"          - {target}" for target in targets),
        "  - job_name: rabbitmq",
        "    static_configs:",
        "      - targets:",
        "          - rabbitmq:15692",
    ]
    return "\n".join(lines) + "\n"


def _definitions(network: Network) -> str:
    """The hub's definitions without any user: passwords are made at start, and are in no file of the repository."""
    content = definitions.build(network, reads())
    kept = {name: value for name, value in content.items() if name not in ("users", "permissions", "topic_permissions")}
    return json.dumps(kept, indent=2) + "\n"
