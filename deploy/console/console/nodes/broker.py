"""A private RabbitMQ node from Debian's package: own ports, cookie, epmd and folder, never the system's."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from chassis.ports import free_port, listens
from console.authority import Certificate
from console.nodes.processes import NotReady, Process

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's start script itself; the one in /usr/sbin would change to the system's user and folder."""

OPERATOR = "hub-operator"
"""Whoever runs the broker. The hyphen keeps the name apart from every organisation's user, the hub's own included."""

START_SECONDS = 90
QUORUM_TICK_SECONDS = 5
"""RabbitMQ's own default (https://www.rabbitmq.com/docs/quorum-queues)."""


def user(name: str, password: str, *tags: str) -> dict[str, Any]:
    """A user as RabbitMQ's definitions have it; a tag such as ``administrator`` opens the management API."""
    return {
        "name": name,
        "password_hash": _password_hash(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": list(tags),
    }


def with_operator(definitions: Mapping[str, Any], password: str) -> dict[str, Any]:
    """The same definitions, with the operator, who may do everything in the vhost ``/``."""
    everything = {"user": OPERATOR, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    return {
        **definitions,
        "users": [user(OPERATOR, password, "administrator"), *definitions.get("users", [])],
        "permissions": [everything, *definitions.get("permissions", [])],
    }


def _password_hash(password: str) -> str:
    """The hash that RabbitMQ's definitions take: base64 of salt and SHA-256 (``rabbit_password_hashing_sha256``)."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


@dataclass(frozen=True, slots=True)
class _Ports:
    amqp: int
    tls: int
    management: int
    distribution: int
    epmd: int


class RabbitNode:
    """One private node. Data, ports and passwords stay the same across restarts.

    Start it from a thread that lives as long as the node is to live (see `Process`).
    """

    def __init__(  # noqa: PLR0913 - all but the folder have defaults, and are given by name
        self,
        folder: Path,
        *,
        name: str = "viisikko",
        plugins: Sequence[str] = ("rabbitmq_management",),
        definitions: Mapping[str, Any] | None = None,
        statistics_seconds: float = 10,
        tls: Certificate | None = None,
    ) -> None:
        """Describe the node.

        Args:
            folder: Everything of it is kept there; made where missing.
            name: First part of the node's name.
            plugins: Plugins to enable.
            definitions: RabbitMQ definitions (users, vhosts, queues, …) that are loaded at every start, besides the
                operator and the vhost ``/``.
            statistics_seconds: How often the management API's numbers are renewed.
            tls: Its certificate, where it is also to be reached with TLS.
        """
        self.folder = folder.absolute()
        self._name = name
        self._plugins = plugins
        self._definitions: Callable[[], Mapping[str, Any]] = lambda: definitions or {}
        self._statistics_seconds = statistics_seconds
        self._tls = tls
        self._ports = _Ports(*(free_port() for _ in range(5)))
        self.password = secrets.token_urlsafe(24)
        self._epmd: Process | None = None
        self._node: Process | None = None

    @property
    def pid(self) -> int:
        """Process id of the node itself."""
        return self._process().pid

    @property
    def management(self) -> str:
        """Base address of the management API."""
        return f"http://127.0.0.1:{self._ports.management}"

    @property
    def operator_uri(self) -> str:
        """The management API's address with the operator's user."""
        return f"http://{OPERATOR}:{quote(self.password, safe='')}@127.0.0.1:{self._ports.management}"

    def uri(self, user: str = OPERATOR, password: str | None = None, vhost: str = "/") -> str:
        """AMQP address for a user; by default the operator's."""
        secret = quote(self.password if password is None else password, safe="")
        return f"amqp://{quote(user, safe='')}:{secret}@127.0.0.1:{self._ports.amqp}/{quote(vhost, safe='')}"

    def tls_address(self) -> tuple[str, int]:
        """Host, as its certificate names it, and port for connections with TLS.

        Raises:
            NotReady: It was given no certificate.
        """
        if self._tls is None:
            raise NotReady("the broker serves no TLS: give it a certificate")
        return "localhost", self._ports.tls

    def load(self, definitions: Callable[[], Mapping[str, Any]]) -> None:
        """Replace the definitions that are loaded at every start, from the next one on; each start asks for them."""
        self._definitions = definitions

    def client(self) -> httpx.Client:
        """A client of the management API as the operator."""
        return httpx.Client(base_url=self.management, auth=(OPERATOR, self.password), timeout=30)

    def start(self) -> None:
        """Start the node and wait until it serves.

        Raises:
            NotReady: Debian's package is absent, or the node did not come up; the text names its log.
        """
        if not SERVER.exists():
            raise NotReady("RabbitMQ is not installed: run make setup, or apt-get install rabbitmq-server")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_files()
        try:
            self._start(self._environment())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the node in good order, then its epmd."""
        for process in (self._node, self._epmd):
            if process:
                process.stop()

    def kill(self) -> None:
        """End the node at once (-9); its data stays."""
        self._process().kill()
        if self._epmd:
            self._epmd.kill()

    def restart(self) -> None:
        """Stop and start with the same data and ports."""
        self.stop()
        self.start()

    def _start(self, environment: Mapping[str, str]) -> None:
        self._epmd = Process(
            "epmd",
            [shutil.which("epmd") or "epmd", "-port", str(self._ports.epmd), "-address", "127.0.0.1"],
            folder=self.folder,
            environment=environment,
        )
        self._epmd.start()
        # A node that finds no epmd starts one of its own, which would outlive it.
        self._epmd.wait_ready(lambda: listens(self._ports.epmd), seconds=START_SECONDS)
        self._node = Process("broker", [str(SERVER)], folder=self.folder, environment=environment, stop_seconds=40)
        self._node.start()
        self._node.wait_ready(self._serves, seconds=START_SECONDS)

    def _process(self) -> Process:
        if self._node is None:
            raise NotReady("the broker is not running; start it first")
        return self._node

    def _serves(self) -> bool:
        try:
            with self.client() as client:
                # The operator is declared with the definitions, so this also says that they are loaded.
                return listens(self._ports.amqp) and client.get("/api/overview").is_success
        except httpx.HTTPError:
            return False

    def _environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            # The Erlang programs read HOME for their cookie; the folder keeps it away from the user's own.
            "HOME": folder,
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._ports.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"{self._name}@localhost",
            "RABBITMQ_DIST_PORT": str(self._ports.distribution),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            # All three kinds of configuration, since each that is not named is read from /etc/rabbitmq.
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONFIG_FILES": f"{folder}/conf.d",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{folder}/generated",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/absent.conf",
            # Where the runtime writes what it knows when it ends in a failure; by default the current folder.
            "ERL_CRASH_DUMP": f"{folder}/erl_crash.dump",
            # The start script then becomes the node, instead of starting it as a child that could outlive it.
            "RUNNING_UNDER_SYSTEMD": "true",
            # Two schedulers that do not spin, and distribution on the loopback address only.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }

    def _write_files(self) -> None:
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(20))
        # Erlang refuses a cookie that others may read.
        cookie.chmod(0o400)
        (self.folder / "enabled_plugins").write_text(f"[{','.join(self._plugins)}].\n")
        definitions = self.folder / "definitions.json"
        definitions.touch(mode=0o600)
        definitions.write_text(json.dumps(self._all_definitions()))
        (self.folder / "rabbitmq.conf").write_text(self._configuration())
        (self.folder / "conf.d").mkdir(exist_ok=True)
        # Quorum queues renew their own numbers apart from all others, and only this file takes how often.
        tick = round(min(self._statistics_seconds, QUORUM_TICK_SECONDS) * 1000)
        (self.folder / "advanced.config").write_text(f"[{{rabbit,[{{quorum_tick_interval,{tick}}}]}}].\n")

    def _configuration(self) -> str:
        return "\n".join(
            (
                f"listeners.tcp.local = 127.0.0.1:{self._ports.amqp}",
                "management.tcp.ip = 127.0.0.1",
                f"management.tcp.port = {self._ports.management}",
                f"load_definitions = {self.folder}/definitions.json",
                "log.console = true",
                "log.console.level = warning",
                "vm_memory_high_watermark.absolute = 400MB",
                "disk_free_limit.absolute = 50MB",
                # The default log of 512 MB for each quorum queue's node would be held in memory.
                "raft.wal_max_size_bytes = 16777216",
                f"collect_statistics_interval = {round(self._statistics_seconds * 1000)}",
                "heartbeat = 20",
                *self._encryption(),
                "",
            )
        )

    def _encryption(self) -> list[str]:
        if self._tls is None:
            return []
        return [
            f"listeners.ssl.local = 127.0.0.1:{self._ports.tls}",
            f"ssl_options.cacertfile = {self._tls.authority.absolute()}",
            f"ssl_options.certfile = {self._tls.certificate.absolute()}",
            f"ssl_options.keyfile = {self._tls.key.absolute()}",
            # Who connects is known by password; the older versions are refused (RFC 8996).
            "ssl_options.verify = verify_none",
            "ssl_options.versions.1 = tlsv1.3",
            "ssl_options.versions.2 = tlsv1.2",
        ]

    def _all_definitions(self) -> dict[str, Any]:
        own = with_operator(self._definitions(), self.password)
        return {**own, "vhosts": [{"name": "/"}, *(v for v in own.get("vhosts", []) if v["name"] != "/")]}
