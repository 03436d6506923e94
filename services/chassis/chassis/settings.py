"""Settings from the environment, read once at start; everything that is wrong is told at once."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_ORGANISATION = re.compile(r"[a-z]+\Z")


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
    """``host:port``.

    Raises:
        ValueError: It is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ValueError("must be host:port")
    return host, int(port)


def uri(*schemes: str) -> Callable[[str], str]:
    """A parser of addresses with one of some schemes."""

    def parse(text: str) -> str:
        if text.partition("://")[0] not in schemes:
            raise ValueError(f"must be an address that begins with {' or '.join(f'{s}://' for s in schemes)}")
        return text

    return parse


def positive(text: str) -> float:
    """A number above zero.

    Raises:
        ValueError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 10**12:  # noqa: PLR2004 - beyond every sensible setting, infinity and NaN included
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


def optional_path(text: str) -> Path | None:
    """A path, or None where the text is empty."""
    return Path(text) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings that every service has.

    Attributes:
        organisation: The organisation that this instance belongs to.
        amqp: The broker.
        mongo: The store.
        http: Where it listens.
        network: The file that says who is in the network.
        secrets: Folder of the organisation's secrets.
        keys: Folder of everybody's public keys.
        clock: File with seconds to add to the clock, or None.
        prefetch: Messages that the broker sends ahead.
        batch_messages: Messages in a batch at the most.
        batch_bytes: Bytes in a batch at the most.
        linger_seconds: How long a batch that is not full waits for more.
        replay_days: Days for which marks are kept (reliability.md, the replay window).
        outbox_limit: Outbox documents beyond which HTTP answers 503.
        effect_attempts: Tries of an effect before it is given up.
        log_level: Lowest level that is logged.
    """

    organisation: str = setting("VIISIKKO_ORGANISATION", organisation)
    amqp: str = setting("VIISIKKO_AMQP_URI", uri("amqp", "amqps"))
    mongo: str = setting("VIISIKKO_MONGO_URI", uri("mongodb", "mongodb+srv"))
    http: tuple[str, int] = setting("VIISIKKO_HTTP", address)
    network: Path = setting("VIISIKKO_NETWORK", Path)
    secrets: Path = setting("VIISIKKO_SECRETS", Path)
    keys: Path = setting("VIISIKKO_KEYS", Path)
    clock: Path | None = setting("VIISIKKO_CLOCK", optional_path, default=None)
    prefetch: int = setting("VIISIKKO_PREFETCH", count, default=400)
    batch_messages: int = setting("VIISIKKO_BATCH_MESSAGES", count, default=200)
    batch_bytes: int = setting("VIISIKKO_BATCH_BYTES", count, default=2 * 2**20)
    linger_seconds: float = setting("VIISIKKO_LINGER_SECONDS", positive, default=0.005)
    replay_days: int = setting("VIISIKKO_REPLAY_DAYS", count, default=90)
    outbox_limit: int = setting("VIISIKKO_OUTBOX_LIMIT", count, default=1000)
    effect_attempts: int = setting("VIISIKKO_EFFECT_ATTEMPTS", count, default=12)
    log_level: str = setting("VIISIKKO_LOG_LEVEL", default="info")


def read(kinds: Mapping[str, type], environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Read several settings classes at once.

    Args:
        kinds: Any name → dataclass whose fields are made with `setting`.
        environment: Variables.

    Returns:
        The same names → instances.

    Raises:
        Wrong: With a line for every setting that is missing or wrong, of all the classes.
    """
    problems: list[str] = []
    values = {name: _values(kind, environment, problems) for name, kind in kinds.items()}
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
        except (ValueError, OSError) as error:
            problems.append(f"{name} {error.strerror if isinstance(error, OSError) else error}")
    return values


def _text(name: str, environment: Mapping[str, str]) -> str | None:
    file = environment.get(f"{name}_FILE")
    return Path(file).read_text("utf-8").strip() if file else environment.get(name)
