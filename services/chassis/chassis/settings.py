"""Settings from the environment, read once at start; everything that is wrong is told at once."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo import uri_parser
from pymongo.errors import PyMongoError

from chassis.topology import STEPS

LEVELS = ("debug", "info", "warning", "error")

_PORTS = 2**16
_ORGANISATION = re.compile(r"[a-z]+\Z")
_ADDRESS = re.compile(r"(\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]/@]+)):(?P<port>[0-9]{1,5})\Z")


Check = Callable[[Mapping[str, Mapping[str, Any]]], Iterable[str]]


class Wrong(ValueError):  # noqa: N818 - errors name the fact
    """Settings are missing or wrong; the text has one line for each, and no values of secrets."""


def setting(name: str, parse: Callable[[str], Any] = str, **kwargs: Any) -> Any:
    """A dataclass field that is read from an environment variable.

    Args:
        name: The variable. ``<name>_FILE`` may name a file that holds the value instead, as secrets are mounted.
        parse: Makes the value from the text; raises ValueError with the rule.
        kwargs: ``default``, where the setting may be absent. A secret has none.
    """
    return dataclasses.field(metadata={"setting": name, "parse": parse}, **kwargs)


def organisation(text: str) -> str:
    """An organisation's code.

    Raises:
        ValueError: It is none.
    """
    if not _ORGANISATION.match(text):
        raise ValueError("must be an organisation's code, of the letters a to z")
    return text


def address(text: str) -> tuple[str, int]:
    """``host:port``, where an IPv6 address stands in brackets.

    Raises:
        ValueError: It is none.
    """
    found = _ADDRESS.match(text)
    if not found or not 0 < int(found["port"]) < _PORTS:
        raise ValueError(f"must be host:port, such as 127.0.0.1:8000 or [::1]:8000, with a port below {_PORTS}")
    return found["six"] or found["host"], int(found["port"])


def uri(*schemes: str) -> Callable[[str], str]:
    """A parser of addresses with one of some schemes; it never repeats one, since passwords stand in them."""

    def parse(text: str) -> str:
        _begins(text, schemes)
        if not _is_reachable(text):
            raise ValueError(f"must be {schemes[0]}://user:password@host:port, with %40 and the like in the password")
        return text

    return parse


def optional_uri(*schemes: str) -> Callable[[str], str | None]:
    """A parser of addresses like `uri`'s, where an empty text is None."""
    parse = uri(*schemes)
    return lambda text: parse(text) if text else None


broker_uri = uri("amqp", "amqps")
"""The address of a broker."""


def store_uri(text: str) -> str:
    """The address of a store.

    Raises:
        ValueError: It is none.
    """
    _begins(text, ("mongodb", "mongodb+srv"))
    try:
        # What stands behind the other scheme is known to a name server only.
        if text.startswith("mongodb://"):
            uri_parser.parse_uri(text, warn=False)
    except (PyMongoError, ValueError):
        raise ValueError("must be mongodb://host:port/?replicaSet=name, with options that the driver knows") from None
    return text


def level(text: str) -> str:
    """A level of the log.

    Raises:
        ValueError: It is none.
    """
    if text.lower() not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}")
    return text.lower()


def file(text: str) -> Path:
    """A file that is there.

    Raises:
        ValueError: It is none.
    """
    if not text or not Path(text).is_file():
        raise ValueError("must name a file that is there")
    return Path(text)


def folder(text: str) -> Path:
    """A folder that is there.

    Raises:
        ValueError: It is none.
    """
    if not text or not Path(text).is_dir():
        raise ValueError("must name a folder that is there")
    return Path(text)


def collector(text: str) -> str:
    """The address of an OpenTelemetry collector, or an empty text for none.

    Raises:
        ValueError: It is none, or what sends to it is not installed.
    """
    if not text:
        return ""
    _begins(text, ("http", "https"))
    if not _is_reachable(text):
        raise ValueError("must be http://host:port")
    if not _is_installed("opentelemetry.exporter.otlp.proto.http", "opentelemetry.sdk"):
        raise ValueError("needs OpenTelemetry: install viisikko-chassis[otel], or leave this unset")
    return text


def positive(text: str) -> float:
    """A number above zero.

    Raises:
        ValueError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 10**12:
        raise ValueError("must be a number above zero")
    return value


def count(text: str) -> int:
    """A whole number above zero.

    Raises:
        ValueError: It is none.
    """
    value = positive(text)
    if value != int(value):
        raise ValueError("must be a whole number above zero")
    return int(value)


def share(text: str) -> float:
    """A share, above 0 and 1 at the most.

    Raises:
        ValueError: It is none.
    """
    value = positive(text)
    if value > 1:
        raise ValueError("must be a share, above 0 and 1 at the most")
    return value


def ladder(text: str) -> tuple[float, ...]:
    """Seconds to wait before each further try, such as ``10,60,600,3600``; empty for no further try.

    Raises:
        ValueError: It is none, or has more steps than there are queues.
    """
    try:
        steps = tuple(positive(step) for step in text.split(",") if text.strip())
    except ValueError:
        steps = None
    if steps is None or len(steps) > STEPS:
        raise ValueError(f"must be up to {STEPS} numbers of seconds above zero, with commas between them")
    return steps


def optional_path(text: str) -> Path | None:
    """A path, or None where the text is empty."""
    return Path(text) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings that every service has.

    Attributes:
        organisation: The organisation that this instance belongs to.
        amqp: The broker.
        amqp_file: The file that its address was read from, or None; read again at each connection.
        tls_authority: PEM file of the authorities whose certificate a broker at ``amqps`` may show, or None for the
            system's. A store's stands in its address, as ``tlsCAFile``.
        mongo: The store.
        http: Where it listens.
        network: The file that says who is in the network.
        secrets: Folder of the organisation's secrets.
        keys: Folder of everybody's public keys.
        clock: File with seconds to add to the clock, or None.
        prefetch: Messages that the broker sends ahead.
        batch_messages: Messages in a batch at the most.
        batch_bytes: Bytes in a batch at the most.
        linger_seconds: How long a batch that is not full waits for more, where nothing else is being written.
        retry_seconds: How long a message that the service failed at waits before each further try.
        failure_window: So many messages are looked back at to tell a bad release from a bad message.
        failure_share: Where more than this share of them failed, the consumer pauses; 1 for never.
        probe_seconds: How often it then tries whether it would succeed.
        replay_days: Days for which marks are kept (reliability.md, the replay window).
        outbox_limit: Outbox documents beyond which HTTP answers 503 and nothing more is taken from the broker.
        outbox_seconds: Age of the oldest outbox document beyond which the same holds.
        effect_attempts: Tries of an effect before it is given up.
        effect_seconds: How long one try of an effect may take.
        drain_seconds: How long a stop may take to finish what was begun; then it says what it leaves, and ends.
        replays_per_second: Parked events that are replayed in a second at the most.
        heartbeat_seconds: How often broker and service tell each other that they are alive; a frozen one is given up
            after two to three of them (https://www.rabbitmq.com/docs/heartbeats).
        lease_seconds: After how long a leader that does not move its lease is followed by its standby.
        log_level: Lowest level that is logged.
        collector: Where spans are sent over OTLP/HTTP; empty for nowhere. OpenTelemetry's own name for it is kept.
    """

    organisation: str = setting("VIISIKKO_ORGANISATION", organisation)
    amqp: str = setting("VIISIKKO_AMQP_URI", broker_uri)
    amqp_file: Path | None = setting("VIISIKKO_AMQP_URI_FILE", optional_path, default=None)  # noqa: RUF009 - the same
    tls_authority: Path | None = setting("VIISIKKO_TLS_CA", file, default=None)  # noqa: RUF009 - it makes a field
    mongo: str = setting("VIISIKKO_MONGO_URI", store_uri)
    http: tuple[str, int] = setting("VIISIKKO_HTTP", address)
    network: Path = setting("VIISIKKO_NETWORK", file)  # noqa: RUF009 - it makes a field
    secrets: Path = setting("VIISIKKO_SECRETS", folder)  # noqa: RUF009 - it makes a field
    keys: Path = setting("VIISIKKO_KEYS", folder)  # noqa: RUF009 - it makes a field
    clock: Path | None = setting("VIISIKKO_CLOCK", optional_path, default=None)  # noqa: RUF009 - it makes a field
    prefetch: int = setting("VIISIKKO_PREFETCH", count, default=600)
    batch_messages: int = setting("VIISIKKO_BATCH_MESSAGES", count, default=200)
    batch_bytes: int = setting("VIISIKKO_BATCH_BYTES", count, default=2 * 2**20)
    linger_seconds: float = setting("VIISIKKO_LINGER_SECONDS", positive, default=0.001)
    retry_seconds: tuple[float, ...] = setting("VIISIKKO_RETRY_SECONDS", ladder, default=(10.0, 60.0, 600.0, 3600.0))
    failure_window: int = setting("VIISIKKO_FAILURE_WINDOW", count, default=100)
    failure_share: float = setting("VIISIKKO_FAILURE_SHARE", share, default=0.5)
    probe_seconds: float = setting("VIISIKKO_PROBE_SECONDS", positive, default=10.0)
    replay_days: int = setting("VIISIKKO_REPLAY_DAYS", count, default=90)
    outbox_limit: int = setting("VIISIKKO_OUTBOX_LIMIT", count, default=1000)
    outbox_seconds: float = setting("VIISIKKO_OUTBOX_SECONDS", positive, default=600.0)
    effect_attempts: int = setting("VIISIKKO_EFFECT_ATTEMPTS", count, default=12)
    effect_seconds: float = setting("VIISIKKO_EFFECT_SECONDS", positive, default=120.0)
    drain_seconds: float = setting("VIISIKKO_DRAIN_SECONDS", positive, default=30.0)
    replays_per_second: int = setting("VIISIKKO_REPLAYS_PER_SECOND", count, default=100)
    heartbeat_seconds: int = setting("VIISIKKO_HEARTBEAT_SECONDS", count, default=20)
    lease_seconds: float = setting("VIISIKKO_LEASE_SECONDS", positive, default=15.0)
    log_level: str = setting("VIISIKKO_LOG_LEVEL", level, default="info")
    collector: str = setting("OTEL_EXPORTER_OTLP_ENDPOINT", collector, default="")


def read(
    kinds: Mapping[str, type],
    environment: Mapping[str, str] = os.environ,
    *,
    check: Check = lambda _values: (),
) -> dict[str, Any]:
    """Read several settings classes at once.

    Args:
        kinds: Any name → dataclass whose fields are made with `setting`.
        environment: Variables.
        check: Gets what could be read, name → field → value, and gives a line for each thing that is wrong with it.

    Returns:
        The same names → instances.

    Raises:
        Wrong: With a line for every setting that is missing or wrong, of all the classes.
    """
    problems: list[str] = []
    values = {name: _values(kind, environment, problems) for name, kind in kinds.items()}
    problems += check(values)
    if problems:
        raise Wrong("\n".join(problems))
    return {name: kind(**values[name]) for name, kind in kinds.items()}


def _values(kind: type, environment: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    values = {}
    for field in dataclasses.fields(kind):
        name = field.metadata["setting"]
        try:
            text = _text(name, environment)
            if text is not None:
                values[field.name] = field.metadata["parse"](text)
            elif field.default is dataclasses.MISSING:
                problems.append(f"{name} is missing")
        except ValueError as error:
            problems.append(f"{name} {error}")
    return values


def _text(name: str, environment: Mapping[str, str]) -> str | None:
    given = environment.get(f"{name}_FILE")
    if not given:
        return environment.get(name)
    try:
        return Path(given).read_text("utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot be read from the file that {name}_FILE names: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"must stand as UTF-8 in the file that {name}_FILE names") from None


def _begins(text: str, schemes: Sequence[str]) -> None:
    if text.partition("://")[0] not in schemes:
        raise ValueError(f"must be an address that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")


def _is_installed(*modules: str) -> bool:
    try:
        return all(find_spec(module) for module in modules)
    except ModuleNotFoundError:
        # A package that would hold one of them is not there.
        return False


def _is_reachable(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", text)
    except ValueError:
        return False
