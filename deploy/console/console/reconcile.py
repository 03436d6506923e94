"""Brings a running broker to the definitions that are wanted.

RabbitMQ's own import adds and changes, and removes nothing. Here what is generated and no longer wanted is removed,
but for a queue that still holds something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from chassis import topology
from console.nodes.broker import OPERATOR

Definitions = Mapping[str, Any]

_GENERATED_QUEUE = re.compile(
    r"([a-z]+\.(mailbox|[a-z]+(\.dead|\.wait\.[0-9]+)?)|network\.outbound|federation: network\.events -> .*)\Z"
)
_GENERATED_EXCHANGE = re.compile(r"([a-z]+\.own|network\.incoming|federation: network\.events -> .*)\Z")


class NotTaken(RuntimeError):  # noqa: N818 - errors name the fact
    """The broker did not take the definitions."""


def reconcile(client: httpx.Client, wanted: Definitions) -> list[str]:
    """Bring the vhost ``/`` to what is wanted; what was removed, and what was kept since it holds something.

    Args:
        client: The broker's management API, as an operator.
        wanted: Definitions, users included.

    Raises:
        NotTaken: The broker refuses them.
    """
    _import(client, wanted)
    return [
        *_without(client, "users", _names(wanted, "users") | {OPERATOR}, "/api/users", "/api/users/{name}"),
        *_without(client, "policies", _names(wanted, "policies"), "/api/policies/%2F", "/api/policies/%2F/{name}"),
        *_parameters(client, wanted),
        *_bindings(client, wanted),
        *_queues(client, wanted),
        *_exchanges(client, wanted),
    ]


def widen(client: httpx.Client, wanted: Definitions) -> None:
    """Add what is new, and let everybody keep for now what they may already do.

    So nobody is refused while others still go by the old rules; `reconcile` narrows afterwards.

    Raises:
        NotTaken: The broker refuses them.
    """
    now = {row["user"]: row for row in client.get("/api/topic-permissions").json()}
    rows = [_union(now.get(row["user"]), row) for row in wanted["topic_permissions"]]
    _import(client, {**wanted, "topic_permissions": rows})


def is_empty(client: httpx.Client, path: str) -> bool:
    """Whether a queue holds nothing, or is none; quorum queues cannot be told to be deleted only then.

    Args:
        client: The broker's management API, as an operator.
        path: The queue's path there.

    The count is some seconds old and holds what is on its way to a consumer; the look is of now and does not.
    """
    found = client.get(path)
    if found.status_code == httpx.codes.NOT_FOUND:
        return True
    if found.raise_for_status().json().get("messages", 0):
        return False
    look = {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": 1}
    return not client.post(f"{path}/get", json=look).raise_for_status().json()


def _import(client: httpx.Client, wanted: Definitions) -> None:
    answer = client.post("/api/definitions", json=wanted)
    if not answer.is_success:
        raise NotTaken(f"the broker refuses its definitions ({answer.status_code}): {answer.text[:200]}")


def _union(now: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
    if now is None:
        return dict(new)
    both = {kind: new[kind] if now[kind] == new[kind] else f"{now[kind]}|{new[kind]}" for kind in ("read", "write")}
    return {**new, **both}


def _without(client: httpx.Client, what: str, wanted: set[str], listing: str, one: str) -> Iterator[str]:
    for found in client.get(listing).raise_for_status().json():
        if found["name"] not in wanted:
            client.delete(one.format(name=quote(found["name"], safe=""))).raise_for_status()
            yield f"removed {found['name']} from the {what}"


def _parameters(client: httpx.Client, wanted: Definitions) -> Iterator[str]:
    kept = {(one["component"], one["name"]) for one in wanted.get("parameters", [])}
    for found in client.get("/api/parameters").raise_for_status().json():
        if found["component"] in {"shovel", "federation-upstream"} and (found["component"], found["name"]) not in kept:
            path = f"/api/parameters/{found['component']}/%2F/{quote(found['name'], safe='')}"
            client.delete(path).raise_for_status()
            yield f"removed the {found['component']} {found['name']}"


def _bindings(client: httpx.Client, wanted: Definitions) -> Iterator[str]:
    kept = {_of(binding) for binding in wanted["bindings"]}
    for found in client.get("/api/bindings/%2F").raise_for_status().json():
        if found["source"] and _of(found) not in kept and _is_generated(found):
            kind = "e" if found["destination_type"] == "exchange" else "q"
            ends = (found["source"], kind, found["destination"], found["properties_key"])
            client.delete("/api/bindings/%2F/e/" + "/".join(quote(end, safe="") for end in ends)).raise_for_status()
            yield f"removed the binding {found['routing_key']} of {found['destination']}"


def _queues(client: httpx.Client, wanted: Definitions) -> Iterator[str]:
    for name in _gone(client, "queues", wanted, _GENERATED_QUEUE):
        path = f"/api/queues/%2F/{quote(name, safe='')}"
        if not is_empty(client, path):
            yield f"kept the queue {name}, which is not empty"
            continue
        client.delete(path).raise_for_status()
        yield f"removed the queue {name}"


def _exchanges(client: httpx.Client, wanted: Definitions) -> Iterator[str]:
    for name in _gone(client, "exchanges", wanted, _GENERATED_EXCHANGE):
        client.delete(f"/api/exchanges/%2F/{quote(name, safe='')}").raise_for_status()
        yield f"removed the exchange {name}"


def _gone(client: httpx.Client, what: str, wanted: Definitions, generated: re.Pattern[str]) -> list[str]:
    found: Iterable[str] = (one["name"] for one in client.get(f"/api/{what}/%2F").raise_for_status().json())
    kept = _names(wanted, what)
    # What federation declares here is not among the definitions; it is there for whoever may declare it.
    links = [re.compile(row["configure"]) for row in wanted["permissions"] if "federation" in row["configure"]]
    gone = [name for name in found if name not in kept and generated.match(name)]
    return [name for name in gone if not any(link.match(name) for link in links)]


def _names(wanted: Definitions, what: str) -> set[str]:
    return {one["name"] for one in wanted[what]}


def _of(binding: Mapping[str, Any]) -> tuple[str, str, str]:
    return binding["source"], binding["destination"], binding["routing_key"]


def _is_generated(binding: Mapping[str, Any]) -> bool:
    # Queues that programs declare for themselves, and what federation declares, are theirs.
    kept = {topology.UNDELIVERABLE, topology.EXPIRED, topology.EVENTS}
    name = binding["destination"]
    return name in kept or bool(_GENERATED_QUEUE.match(name) and not name.startswith("federation: "))
