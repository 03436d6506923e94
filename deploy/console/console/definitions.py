"""The broker's definitions, generated from deploy/network.toml and from what the services' handlers read.

Exchanges, queues, bindings, policies and, for a real broker, each organisation's two users with least rights: what they
may read and in whose name one may write is pinned by topic permissions (contract.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from chassis import topology
from chassis.decision import Network, Organisation
from chassis.topology import Binding
from console.links import HUB, Links
from console.nodes.broker import user


def build(
    network: Network,
    reads: Mapping[str, Sequence[str]],
    *,
    vhost: str = "/",
    passwords: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Everything that the hub's broker holds before anything is published.

    Args:
        network: Who is in the network.
        reads: Service → names of the events that its handlers read.
        vhost: The virtual host.
        passwords: Organisation → password of its user; by default no users are declared.
    """
    organisations = list(network.organisations.values())
    here = [o for o in organisations if o.joins != "own"]
    codes = list(network.organisations)
    return {
        **_held(here, [(sender, receiver) for sender in codes for receiver in codes], reads, vhost),
        **_users(network, vhost, passwords or {}, linked={o.code for o in organisations if o.joins == "own"}),
        "global_parameters": [{"name": "cluster_name", "value": network.hub}],
    }


def build_part(
    network: Network, reads: Mapping[str, Sequence[str]], code: str, *, password: str, links: Links
) -> dict[str, Any]:
    """Everything that the broker of an own part holds: what its services need, and its two links with the hub.

    Args:
        network: Who is in the network.
        reads: Service → names of the events that its handlers read.
        code: The organisation whose part it is.
        password: Password of its services' user.
        links: How the broker reaches the hub's.
    """
    held = _held([network.organisations[code]], [(sender, code) for sender in network.organisations], reads, "/")
    held["exchanges"].append(_named({"name": topology.INCOMING, "type": "topic", "arguments": {}}, "/"))
    outbound = {"name": topology.OUTBOUND, "arguments": dict(topology.PLAIN_ARGUMENTS)}
    held["queues"].append(_named(outbound, "/"))
    crossing = (*topology.incoming_bindings(network, code), *topology.outbound_bindings(network, code))
    held["bindings"] += [_binding(binding, "/") for binding in crossing]
    held["policies"].append(_policy(topology.incoming_policy(HUB), "/"))
    return {
        **held,
        **_users(network, "/", {code: password}, linked=set()),
        # The hub's queue for this part is named after it, and the part's rights there cover no other.
        "global_parameters": [{"name": "cluster_name", "value": code}],
        "parameters": links.parameters(),
    }


def _held(
    here: Sequence[Organisation], directed: Iterable[tuple[str, str]], reads: Mapping[str, Sequence[str]], vhost: str
) -> dict[str, Any]:
    """What any broker holds: for whom is on it, and for events between two that reach it and find no queue."""
    services = [(o.code, service) for o in here for service in o.runs]
    guests = [o for o in here if o.joins == "guest"]
    bindings = [
        *(b for code, service in services for b in topology.service_bindings(code, service, reads[service])),
        *(b for o in guests for b in topology.mailbox_bindings(o.code, o.reads)),
        *_undeliverable(directed),
    ]
    return {
        "vhosts": [{"name": vhost}],
        "exchanges": [_named(e, vhost) for e in _exchanges(here)],
        "queues": [_named(q, vhost) for q in _queues(guests, services)],
        "bindings": [_binding(binding, vhost) for binding in bindings],
        "policies": [_policy(policy, vhost) for policy in topology.policies(services)],
    }


def _exchanges(organisations: Iterable[Organisation]) -> list[dict[str, Any]]:
    events = {
        "name": topology.EVENTS,
        "type": "topic",
        "arguments": {"alternate-exchange": topology.UNROUTED},
    }
    own = [{"name": topology.own_exchange(o.code), "type": "direct", "arguments": {}} for o in organisations if o.runs]
    return [events, {"name": topology.UNROUTED, "type": "topic", "arguments": {}}, *own]


def _queues(guests: Iterable[Organisation], services: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "arguments": dict(arguments)}
        for code, service in services
        for name, arguments in topology.service_queues(code, service).items()
    ]
    mailboxes = [topology.mailbox(guest.code) for guest in guests]
    kept = [*mailboxes, topology.UNDELIVERABLE, topology.EXPIRED]
    return found + [{"name": name, "arguments": dict(topology.PLAIN_ARGUMENTS)} for name in kept]


def _undeliverable(directed: Iterable[tuple[str, str]]) -> list[Binding]:
    # What goes to all or to the own organisation, and that nobody reads, is only counted by the exchange; what one
    # organisation addresses to another is kept.
    kept = [Binding(topology.UNROUTED, topology.UNDELIVERABLE, f"*.*.{s}.{r}") for s, r in directed if s != r]
    return [*kept, Binding(topology.UNROUTED, topology.EXPIRED, topology.EXPIRED)]


def _users(network: Network, vhost: str, passwords: Mapping[str, str], *, linked: AbstractSet[str]) -> dict[str, Any]:
    users, permissions, topics = [], [], []
    for code, password in passwords.items():
        for rights in topology.rights(network, code, links=code in linked):
            users.append(user(rights.user, password))
            whose = {"user": rights.user, "vhost": vhost}
            use = {"configure": rights.configure, "write": rights.write, "read": rights.read}
            permissions.append({**whose, **use})
            keys = {"write": rights.topic_write, "read": rights.topic_read}
            topics.append({**whose, "exchange": topology.EVENTS, **keys})
    return {"users": users, "permissions": permissions, "topic_permissions": topics}


def _named(thing: Mapping[str, Any], vhost: str) -> dict[str, Any]:
    return {**thing, "vhost": vhost, "durable": True, "auto_delete": False, **_internal(thing)}


def _internal(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {"internal": False} if "type" in thing else {}


def _binding(binding: Binding, vhost: str) -> dict[str, Any]:
    return {
        "source": binding.exchange,
        "vhost": vhost,
        "destination": binding.queue,
        "destination_type": "exchange" if binding.to_exchange else "queue",
        "routing_key": binding.key,
        "arguments": {},
    }


def _policy(policy: topology.Policy, vhost: str) -> dict[str, Any]:
    return {
        "vhost": vhost,
        "name": policy.name,
        "pattern": policy.pattern,
        "apply-to": policy.on,
        "definition": dict(policy.definition),
        "priority": 0,
    }
