"""Reads deploy/network.toml; each mistake is named with its place and the rule."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.decision import Network, Organisation

SERVICES = ("intake", "assessment", "catalogue", "referral", "notify")
JOINS = ("guest", "member")
LANGUAGES = ("fi", "sv", "en")

_CODE = re.compile(r"[a-z]+\Z")
_READS = re.compile(r"[a-z]+\.[a-z]+\Z")
_TIMERS = ("remind_working_days", "escalate_working_days", "expire_working_days")
_TOP = {"hub", "keys", "timers", "organisations"}
_FIELDS = {
    "names", "joins", "runs", "addresses", "assessor", "reads", "municipality", "technical", "timers",
}  # fmt: skip
_RESERVED = {"all"}
"""A destination of its own, so no organisation may be called that."""


class WrongNetwork(ValueError):  # noqa: N818 - errors name the fact
    """The file breaks rules; the text has one line for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFile:
    """What the file says.

    Attributes:
        network: Who is in the network.
        keys: Folder of public keys, as written.
    """

    network: Network
    keys: str


def read(path: Path) -> NetworkFile:
    """Read the file.

    Raises:
        WrongNetwork: It is missing, is no TOML, or breaks rules; all are told at once.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise WrongNetwork(f"{path} is missing: VIISIKKO_NETWORK must name the network's file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongNetwork(f"{path} is no TOML: {error}") from None
    problems: list[str] = []
    found = _network(content, problems)
    if problems:
        raise WrongNetwork("\n".join(f"{path}: {problem}" for problem in problems))
    return found


def _network(content: Mapping[str, Any], problems: list[str]) -> NetworkFile:
    problems += [f"{name}: is no setting of a network" for name in content if name not in _TOP]
    timers = _timers(content.get("timers", {}), "timers", problems)
    tables = content.get("organisations", {})
    if not tables:
        problems.append("organisations: there must be at least one")
    organisations = {
        code: found
        for code, table in tables.items()
        if (found := _organisation(code, table, timers, problems)) is not None
    }
    _references(organisations, problems)
    return NetworkFile(
        network=Network(organisations=organisations, hub=str(content.get("hub", "verkko"))),
        keys=str(content.get("keys", ".viisikko/keys")),
    )


def _organisation(
    code: str, table: Mapping[str, Any], timers: Mapping[str, int], problems: list[str]
) -> Organisation | None:
    place = f"organisations.{code}"
    before = len(problems)
    if not _CODE.match(code) or code in _RESERVED:
        problems.append(f"{place}: a code is of the letters a to z, and not 'all'")
    problems += [f"{place}.{name}: is no setting of an organisation" for name in table if name not in _FIELDS]
    names = table.get("names", {})
    if not isinstance(names, dict) or not names.get("fi") or set(names) - set(LANGUAGES):
        problems.append(f"{place}.names: must have fi, and may have sv and en")
    if table.get("joins") not in JOINS:
        problems.append(f"{place}.joins: must be {' or '.join(JOINS)}")
    runs = _list(table, "runs", place, problems)
    problems += [f"{place}.runs: there is no service {name}" for name in runs if name not in SERVICES]
    if runs and table.get("joins") == "guest":
        problems.append(f"{place}.runs: a guest runs nothing")
    reads = _list(table, "reads", place, problems)
    problems += [f"{place}.reads: must be like offering.published" for name in reads if not _READS.match(name)]
    own_timers = {**timers, **_timers(table.get("timers", {}), f"{place}.timers", problems)}
    if len(problems) > before:
        return None
    return Organisation(
        code=code,
        names=names,
        joins=table["joins"],
        runs=runs,
        addresses=_list(table, "addresses", place, problems),
        assessor=table.get("assessor"),
        reads=reads,
        municipality=table.get("municipality"),
        technical=table.get("technical"),
        **own_timers,
    )


def _list(table: Mapping[str, Any], name: str, place: str, problems: list[str]) -> tuple[str, ...]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        problems.append(f"{place}.{name}: must be a list of texts")
        return ()
    return tuple(value)


def _timers(table: Mapping[str, Any], place: str, problems: list[str]) -> dict[str, int]:
    problems += [f"{place}.{name}: is no timer" for name in table if name not in _TIMERS]
    wrong = [n for n in _TIMERS if n in table and (not isinstance(table[n], int) or not 0 < table[n] < 1000)]  # noqa: PLR2004
    problems += [f"{place}.{name}: must be a whole number of working days from 1 to 999" for name in wrong]
    return {name: table[name] for name in _TIMERS if name in table and name not in wrong}


def _references(organisations: Mapping[str, Organisation], problems: list[str]) -> None:
    for code, organisation in organisations.items():
        strangers = [other for other in organisation.addresses if other not in organisations]
        problems += [f"organisations.{code}.addresses: there is no organisation {other}" for other in strangers]
        if organisation.assessor is not None and organisation.assessor not in organisations:
            problems.append(f"organisations.{code}.assessor: there is no organisation {organisation.assessor}")
