"""Reads deploy/network.toml; each mistake is named with its place and the rule."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.decision import Network, Organisation

SERVICES = ("intake", "assessment", "catalogue", "referral", "notify")
JOINS = ("guest", "member", "own")
LANGUAGES = ("fi", "sv", "en")

_CODE = re.compile(r"[a-z]+\Z")
_READS = re.compile(r"[a-z]+\.[a-z]+\Z")
_FORMS = {
    "hub": (_CODE, "a code of the letters a to z"),
    "keys": (re.compile(r"."), "the path of a folder"),
    "assessor": (_CODE, "an organisation's code"),
    "municipality": (re.compile(r"[0-9]{3}\Z"), "three digits"),
    "technical": (re.compile(r"[a-z]+-[a-z0-9-]+\Z"), "a staff id such as kunta-12"),
}
_TIMERS = ("remind_working_days", "escalate_working_days", "expire_working_days")
_MOST_DAYS = 999
_TOP = {"hub", "keys", "timers", "organisations"}
_FIELDS = {
    "names", "joins", "runs", "addresses", "assessor", "reads", "municipality", "technical", "signs", "timers",
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
    except OSError as error:
        raise WrongNetwork(f"{path} cannot be read: {error.strerror}") from None
    # A number of thousands of digits and a thousand nested lists are no error of TOML by themselves.
    except (ValueError, RecursionError) as error:
        raise WrongNetwork(f"{path} is no TOML: {error}") from None
    problems: list[str] = []
    found = _network(content, problems)
    if problems:
        raise WrongNetwork("\n".join(f"{path}: {problem}" for problem in problems))
    return found


def _network(content: Mapping[str, Any], problems: list[str]) -> NetworkFile:
    problems += [f"{name}: is no setting of a network" for name in content if name not in _TOP]
    timers = _timers(content, "timers", problems)
    tables = _table(content, "organisations", "organisations", problems)
    if content.get("organisations", {}) == {}:
        problems.append("organisations: there must be at least one")
    hub = _text(content, "hub", "", problems) or "verkko"
    organisations = {code: _organisation(code, tables, timers, problems) for code in tables}
    if hub in organisations and organisations[hub].joins in {"guest", "own"}:
        problems.append(f"organisations.{hub}.joins: must be member, since the hub's own services run on its broker")
    _references(organisations, problems)
    keys = _text(content, "keys", "", problems) or ".viisikko/keys"
    return NetworkFile(network=Network(organisations=organisations, hub=hub), keys=keys)


def _organisation(code: str, tables: Mapping[str, Any], timers: Mapping[str, int], problems: list[str]) -> Organisation:
    place = f"organisations.{code}"
    if not _CODE.match(code) or code in _RESERVED:
        problems.append(f"{place}: a code is of the letters a to z, and not 'all'")
    table = _table(tables, code, place, problems)
    if not isinstance(tables[code], dict):
        return Organisation(code=code, names={}, joins="")
    problems += [f"{place}.{name}: is no setting of an organisation" for name in table if name not in _FIELDS]
    organisation = Organisation(
        code=code,
        names=_names(table, place, problems),
        joins=_joins(table, place, problems),
        runs=_list(table, "runs", place, problems),
        addresses=_list(table, "addresses", place, problems),
        assessor=_text(table, "assessor", f"{place}.", problems),
        reads=_list(table, "reads", place, problems),
        municipality=_text(table, "municipality", f"{place}.", problems),
        technical=_text(table, "technical", f"{place}.", problems),
        signs=_flag(table, "signs", place, problems),
        **{**timers, **_timers(table, f"{place}.timers", problems)},
    )
    problems += [f"{place}.{rule}" for rule in _broken(organisation)]
    return organisation


def _broken(organisation: Organisation) -> Iterator[str]:
    for name in organisation.runs:
        if name not in SERVICES:
            yield f"runs: there is no service {name}"
    if organisation.runs and organisation.joins == "guest":
        yield "runs: a guest runs nothing"
    for name in organisation.reads:
        if not _READS.match(name):
            yield "reads: must be like offering.published"
    days = [getattr(organisation, name) for name in _TIMERS]
    if not days[0] < days[1] < days[2]:
        yield f"timers: must grow from {' over '.join(_TIMERS)}, and are {days[0]}, {days[1]} and {days[2]}"


def _names(table: Mapping[str, Any], place: str, problems: list[str]) -> dict[str, str]:
    names = _table(table, "names", f"{place}.names", problems)
    texts = {name: text for name, text in names.items() if name in LANGUAGES and isinstance(text, str) and text.strip()}
    if "fi" not in texts or len(texts) < len(names):
        problems.append(f"{place}.names: must have fi, and may have sv and en, each a text")
    return texts


def _joins(table: Mapping[str, Any], place: str, problems: list[str]) -> str:
    value = table.get("joins")
    if isinstance(value, str) and value in JOINS:
        return value
    problems.append(f"{place}.joins: must be {', '.join(JOINS[:-1])} or {JOINS[-1]}")
    return ""


def _table(content: Mapping[str, Any], name: str, place: str, problems: list[str]) -> Mapping[str, Any]:
    value = content.get(name, {})
    if isinstance(value, dict):
        return value
    problems.append(f"{place}: must be a table")
    return {}


def _text(table: Mapping[str, Any], name: str, place: str, problems: list[str]) -> str | None:
    form, rule = _FORMS[name]
    value = table.get(name)
    if value is None or (isinstance(value, str) and form.match(value)):
        return value
    problems.append(f"{place}{name}: must be {rule}, as a text")
    return None


def _list(table: Mapping[str, Any], name: str, place: str, problems: list[str]) -> tuple[str, ...]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        problems.append(f"{place}.{name}: must be a list of texts")
        return ()
    return tuple(value)


def _flag(table: Mapping[str, Any], name: str, place: str, problems: list[str]) -> bool:
    value = table.get(name, False)
    if isinstance(value, bool):
        return value
    problems.append(f"{place}.{name}: must be true or false")
    return False


def _timers(content: Mapping[str, Any], place: str, problems: list[str]) -> dict[str, int]:
    table = _table(content, "timers", place, problems)
    problems += [f"{place}.{name}: is no timer" for name in table if name not in _TIMERS]
    found = {name: table[name] for name in _TIMERS if name in table}
    wrong = {name for name, days in found.items() if type(days) is not int or not 0 < days <= _MOST_DAYS}
    problems += [f"{place}.{name}: must be a whole number of working days from 1 to {_MOST_DAYS}" for name in wrong]
    return {name: days for name, days in found.items() if name not in wrong}


def _references(organisations: Mapping[str, Organisation], problems: list[str]) -> None:
    for code, organisation in organisations.items():
        strangers = [other for other in organisation.addresses if other not in organisations]
        problems += [f"organisations.{code}.addresses: there is no organisation {other}" for other in strangers]
        assessor = organisation.assessor
        if assessor is not None and assessor not in organisations:
            problems.append(f"organisations.{code}.assessor: there is no organisation {assessor}")
        elif assessor is not None and "assessment" not in organisations[assessor].runs:
            problems.append(f"organisations.{code}.assessor: {assessor} does not run assessment")
