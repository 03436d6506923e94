"""The parking lots of a running network, as its operators see them: list, show, replay, discard."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.api import Api
    from console.reach import Reach

PAGE = 200
"""Entries that a service replays or discards in one request at the most."""

MIN_WAIT_SECONDS = 0.05
_AGE = re.compile(r"(\d+)([smhd])\Z", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class WrongAge(ValueError):  # noqa: N818 - errors name the fact
    """An age is a number and a unit."""


class NotParked(RuntimeError):  # noqa: N818 - errors name the fact
    """No parking lot that was asked holds this id, or several do."""


class NothingMeant(ValueError):  # noqa: N818 - errors name the fact
    """Neither ids nor a filter nor all: nothing says which entries are meant."""


@dataclass(frozen=True, slots=True)
class Lot:
    """One service's parking lot.

    Attributes:
        name: ``<organisation>.<service>``.
        api: The service, spoken to by an operator.
    """

    name: str
    api: Api


@dataclass(frozen=True, slots=True)
class Done:
    """What a replay or discard did in one lot.

    Attributes:
        lot: ``<organisation>.<service>``.
        ids: What it was done to.
        replaying: Entries that are on their way already and were left.
        without_body: Entries that cannot be replayed, since their body was not kept.
    """

    lot: str
    ids: tuple[str, ...]
    replaying: int
    without_body: int


def lots(reach: Reach, organisation: str | None, service: str | None) -> list[Lot]:
    """The parking lots of one organisation or service, or of all.

    Raises:
        NotUp: The network runs no such service.
    """
    if organisation is not None and service is not None:
        return [Lot(f"{organisation}.{service}", reach.api(organisation, service, "operator"))]
    names = [name.split(".") for name in reach.state["services"]]
    found = [(o, s) for o, s in names if organisation in (None, o) and service in (None, s)]
    if not found:
        raise NotParked(f"nobody runs {organisation or service} here: `viisikko status` lists who runs what")
    return [Lot(f"{o}.{s}", reach.api(o, s, "operator")) for o, s in found]


def seconds(age: str) -> int:
    """Seconds of an age such as ``90s``, ``15m``, ``2h`` or ``7d``.

    Raises:
        WrongAge: It is none.
    """
    match = _AGE.match(age)
    if not match:
        raise WrongAge(f"age {age!r}: must be a number and one of s, m, h, d, such as 15m or 7d")
    return int(match[1]) * _UNITS[match[2]]


def groups(found: Sequence[Lot], query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is parked, in groups, each with the lot that it is in."""
    return [{"lot": lot.name, **group} for lot in found for group in lot.api.get("/v1/parked", **query)]


def entries(found: Sequence[Lot], query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is parked, one by one, each with the lot that it is in."""
    for lot in found:
        for entry in lot.api.lines("/v1/parked/entries", **query):
            yield {"lot": lot.name, **entry}


def show(found: Sequence[Lot], identifier: str) -> dict[str, Any]:
    """One entry, wherever it is.

    Args:
        found: Where to look.
        identifier: Its id or the beginning of it.

    Raises:
        NotParked: No lot holds it, or several hold one that begins so.
    """
    shown = [{"lot": lot.name, **entry} for lot in found if (entry := lot.api.find(f"/v1/parked/{identifier}"))]
    if len(shown) != 1:
        where = f"in {' and '.join(s['lot'] for s in shown)}" if shown else "nowhere"
        raise NotParked(f"{identifier}: stands {where}; give its whole id, or say where with -o and -s")
    return shown[0]


def plan(found: Sequence[Lot], what: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a replay or discard would do in each lot; nothing is changed.

    Args:
        found: Where.
        what: ``replay`` or ``discard``.
        request: What is meant, as `wanted` makes it.

    Raises:
        NotParked: No lot holds one of the ids.
    """
    return [
        {"lot": lot.name, **lot.api.post(f"/v1/parked/{what}", {**body, "dryRun": True})}
        for lot, body in _shared(found, request)
    ]


def act(
    found: Sequence[Lot], what: str, request: Mapping[str, Any], *, limit: int | None, say: Callable[[str, int], None]
) -> list[Done]:
    """Replay or discard, request after request at the pace that each service allows, until nothing is left.

    Args:
        found: Where.
        what: ``replay`` or ``discard``.
        request: What is meant, as `wanted` makes it.
        limit: How many at the most, in all lots together; None for all.
        say: Told after each request the lot and how many were done in it.

    Raises:
        NotParked: No lot holds one of the ids.
    """
    done: list[Done] = []
    for lot, body in _shared(found, request):
        left = None if limit is None else limit - sum(len(one.ids) for one in done)
        done.append(_act_in(lot, what, body, left, say))
    return done


def wanted(ids: Sequence[str], given: Mapping[str, Any], *, everything: bool) -> dict[str, Any]:
    """The part of a request that says what is meant.

    Raises:
        NothingMeant: Nothing says it, or all is said beside a filter.
    """
    if everything == bool(ids or given):
        raise NothingMeant("say which events: ids, filters such as --reason, or --all, and not --all with another")
    return {**given, **({"ids": list(ids)} if ids else {}), **({"all": True} if everything else {})}


def _act_in(
    lot: Lot, what: str, request: Mapping[str, Any], limit: int | None, say: Callable[[str, int], None]
) -> Done:
    body, done = dict(request), list[str]()
    first: dict[str, Any] = {}
    while (page := PAGE if limit is None else min(PAGE, limit - len(done))) > 0:
        answer = lot.api.post(f"/v1/parked/{what}", {**body, "limit": page})
        first = first or answer
        done += answer["ids"]
        say(lot.name, len(done))
        if not answer["left"] or not _goes_on(body, answer):
            break
        # What fails again is parked later than this, so that it is not tried for ever.
        body["before"] = answer["before"]
        time.sleep(answer["retryAfterSeconds"] and max(answer["retryAfterSeconds"], MIN_WAIT_SECONDS))
    # Later answers would count what this replay itself has sent on its way.
    return Done(lot.name, tuple(done), first.get("replaying", 0), first.get("withoutBody", 0))


def _goes_on(body: dict[str, Any], answer: Mapping[str, Any]) -> bool:
    if "ids" in body:
        # An id that is done may have left the lot by now, and would be unknown there.
        body["ids"] = [one for one in body["ids"] if not any(done.startswith(one) for done in answer["ids"])]
        return bool(body["ids"])
    return bool(answer["ids"] or answer["retryAfterSeconds"])


def _shared(found: Sequence[Lot], request: Mapping[str, Any]) -> list[tuple[Lot, dict[str, Any]]]:
    """The request for each lot: each is asked for the ids only that it holds."""
    if "ids" not in request:
        return [(lot, dict(request)) for lot in found]
    places: dict[str, list[str]] = {}
    for identifier in request["ids"]:
        places.setdefault(show(found, identifier)["lot"], []).append(identifier)
    return [(lot, {**request, "ids": places[lot.name]}) for lot in found if lot.name in places]
