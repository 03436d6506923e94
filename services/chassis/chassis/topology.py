"""Names, arguments and policies of what the network has on a broker: pure data, from contract.md and reliability.md.

The services declare their own queues with it, and the console generates a broker's definitions from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chassis.decision import ALL, Network

EVENTS = "network.events"
UNROUTED = "network.unrouted"
UNDELIVERABLE = "undeliverable"
EXPIRED = "expired"
INCOMING = "network.incoming"
"""Exchange of an own part through which the hub's events come in; only it is federated, and no service binds to it."""

OUTBOUND = "network.outbound"
"""Queue of an own part with its events for others, until the hub has confirmed them."""

QUEUE_ARGUMENTS: Mapping[str, object] = {"x-queue-type": "quorum", "x-single-active-consumer": True}
PLAIN_ARGUMENTS: Mapping[str, object] = {"x-queue-type": "quorum"}
DELIVERY_LIMIT = 100
"""Quorum queues count lost connections too, so that a limit near the tries would take innocent neighbours along."""

KEPT_DELIVERY_LIMIT = 10**9
"""RabbitMQ 4 gives every quorum queue a limit of 20 and then drops. What these queues hold waits for people, however
often it is looked at, or for their next try; -1 for no limit is refused by 3.10, hence a number beyond reach."""

STEPS = 4
"""Steps of the ladder: queues in which a message waits for its next try (reliability.md, 9)."""

MAILBOX_DAYS = 60
"""What a guest does not fetch for longer goes to `EXPIRED`; longer than the longest outage that is promised."""

UPSTREAM_DAYS = 60
"""What an own part does not fetch from the hub for longer goes to `EXPIRED` (reliability.md, 13)."""

NOTHING = "^$"
"""A pattern of rights that no name matches."""

READING_BYTES = 64 * 1024 * 1024
"""What a queue of somebody's own to follow events may hold; older ones are dropped from it."""

_DAY_MILLISECONDS = 24 * 3600 * 1000
_WORD = r"(\*|[a-z]+)"
READING_QUEUES = r"^[a-z]+\.reader\."
"""What an organisation's reader may declare."""

_KEPT = rf"^({UNDELIVERABLE}|{EXPIRED}|network\.outbound|[a-z]+\.[a-z-]+\.(dead|wait\.[0-9]+))$"


@dataclass(frozen=True, slots=True)
class Binding:
    """A queue bound to an exchange, or an exchange bound to another."""

    exchange: str
    queue: str
    key: str
    to_exchange: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A RabbitMQ policy on queues, or on exchanges, whose names match a pattern."""

    name: str
    pattern: str
    definition: Mapping[str, object]
    on: str = "queues"


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user may do on a broker, each as a pattern of names.

    Attributes:
        user: Its name.
        configure: What it may declare and delete.
        write: Exchanges to which it may publish, and what it may bind.
        read: Queues from which it may read, and exchanges to which it may bind.
        topic_write: Routing keys under which it may publish to `EVENTS`.
        topic_read: Routing keys with which it may bind to `EVENTS`.
    """

    user: str
    configure: str
    write: str
    read: str
    topic_write: str
    topic_read: str


def queue(organisation: str, service: str) -> str:
    """The one queue of an organisation's service."""
    return f"{organisation}.{service}"


def dead(of: str) -> str:
    """The queue of what came back too often."""
    return f"{of}.dead"


def wait(of: str, step: int) -> str:
    """The queue of what waits for its next try; steps count from 1 to `STEPS`."""
    return f"{of}.wait.{step}"


def service_queues(organisation: str, service: str) -> Mapping[str, Mapping[str, object]]:
    """All queues of a service: name → arguments.

    What has waited goes back to the one queue. That stands in the queue's arguments and in no policy: without it,
    what has waited would be dropped.
    """
    name = queue(organisation, service)
    back = {
        **PLAIN_ARGUMENTS,
        "x-dead-letter-exchange": own_exchange(organisation),
        "x-dead-letter-routing-key": name,
        "x-dead-letter-strategy": "at-least-once",
        # Without it at-least-once falls back to at-most-once; harmless where there is no length limit.
        "x-overflow": "reject-publish",
    }
    waiting = {wait(name, step): back for step in range(1, STEPS + 1)}
    return {name: QUEUE_ARGUMENTS, dead(name): PLAIN_ARGUMENTS, **waiting}


def mailbox(organisation: str) -> str:
    """The queue of a guest."""
    return f"{organisation}.mailbox"


def own_exchange(organisation: str) -> str:
    """The exchange through which an organisation talks to itself: tells, retries, dead letters."""
    return f"{organisation}.own"


def service_bindings(organisation: str, service: str, events: Iterable[str]) -> Sequence[Binding]:
    """What a service's queue takes: the events that it reads, addressed to its organisation or to all.

    What the organisation itself sends to others is not bound: each event to another would come back, though its own
    services get a copy of their own of all that concerns them (a `Publish` to the own organisation).
    """
    name = queue(organisation, service)
    keys = [f"{event}.*.{destination}" for event in events for destination in (organisation, ALL)]
    own = own_exchange(organisation)
    return (
        *(Binding(EVENTS, name, key) for key in keys),
        *(Binding(own, each, each) for each in service_queues(organisation, service)),
    )


def mailbox_bindings(organisation: str, reads: Iterable[str]) -> Sequence[Binding]:
    """What a guest's mailbox takes: all that is addressed to it and, of what goes to all, what it reads."""
    name = mailbox(organisation)
    keys = (f"*.*.*.{organisation}", *(f"{event}.*.{ALL}" for event in reads))
    return tuple(Binding(EVENTS, name, key) for key in keys)


def upstream(organisation: str) -> str:
    """The hub's queue of an own part, as RabbitMQ's federation names it after exchange, cluster and exchange."""
    return f"federation: {EVENTS} -> {organisation}:{INCOMING}"


def upstream_limits() -> Mapping[str, int]:
    """How long the hub keeps an own part's events, and its queue when nobody fetches from it, in milliseconds."""
    return {
        "message-ttl": UPSTREAM_DAYS * _DAY_MILLISECONDS,
        # After all messages: a queue that expires drops what it holds.
        "expires": (UPSTREAM_DAYS + 1) * _DAY_MILLISECONDS,
    }


def incoming_bindings(network: Network, organisation: str) -> Sequence[Binding]:
    """What an own part takes from the hub: what others address to it or to all.

    Federation repeats these bindings on the hub, and one that the hub refuses shuts the link down (reliability.md, 12).
    """
    others = sorted(set(network.organisations) - {organisation})
    keys = [f"*.*.{other}.{destination}" for other in others for destination in (organisation, ALL)]
    return tuple(Binding(INCOMING, EVENTS, key, to_exchange=True) for key in keys)


def outbound_bindings(network: Network, organisation: str) -> Sequence[Binding]:
    """What leaves an own part: its own events for others and for all; what it tells itself never leaves it."""
    others = sorted(network.destinations(organisation) - {organisation})
    return tuple(Binding(EVENTS, OUTBOUND, f"*.*.{organisation}.{other}") for other in (*others, ALL))


def policies(services: Iterable[tuple[str, str]]) -> Sequence[Policy]:
    """Policies of a broker.

    Dead-lettering is set here, so that it can be changed on a running network; only the queues in which messages wait
    for their next try have it as arguments (see `service_queues`).

    Args:
        services: ``(organisation, service)`` of every service on the broker.
    """
    mailboxes = Policy("mailboxes", r"^[a-z]+\.mailbox$", _mailbox_policy())
    upstreams = Policy("upstreams", "^federation: ", _upstream_policy())
    kept = Policy("kept", _KEPT, {"delivery-limit": KEPT_DELIVERY_LIMIT})
    # Nobody's own queues fill the broker's disk, and they go away with who has forgotten them.
    limits = {"expires": _DAY_MILLISECONDS, "max-length-bytes": READING_BYTES}
    reading = Policy("reading", READING_QUEUES, limits)
    common = (mailboxes, upstreams, kept, reading)
    return (*common, *(_service_policy(organisation, service) for organisation, service in services))


def incoming_policy(name: str) -> Policy:
    """Federates `INCOMING`, and nothing else, with the upstream of a name."""
    return Policy("incoming", f"^{_escaped(INCOMING)}$", {"federation-upstream": name}, on="exchanges")


def reader(organisation: str) -> str:
    """An organisation's second user, which reads and cannot speak; the hyphen keeps it apart from every code."""
    return f"{organisation}-reader"


def topic_read(organisation: str) -> str:
    """Topic permission: the keys that an organisation may bind to."""
    return rf"^{_WORD}\.{_WORD}\.({organisation}\.{_WORD}|{_WORD}\.({organisation}|{ALL}))$"


def topic_write(network: Network, organisation: str) -> str:
    """Topic permission: the keys that an organisation may publish under, in its own name only."""
    destinations = "|".join((ALL, *sorted(network.destinations(organisation))))
    # A pattern's $ also matches before a line break at the end.
    return rf"^[a-z]+\.[a-z]+\.{organisation}\.({destinations})$(?!\n)"


def rights(network: Network, organisation: str, *, links: bool = False) -> tuple[Rights, Rights]:
    """What the two users of an organisation may do: the one that speaks, and the one that only reads.

    RabbitMQ checks a topic permission where a client publishes, and nowhere after. Whoever may publish to an exchange
    can have any key come out there if it may also configure an exchange or a queue, or read an exchange: by a binding
    from one exchange to the other, by an alternate exchange, by a queue's dead letters. So who speaks configures
    nothing and reads no exchange, and what the reader configures the speaker cannot read.

    Args:
        network: Who is in the network.
        organisation: The organisation.
        links: Whether its own part fetches from this broker: federation declares a queue and an exchange, whose name
            ends in A or B by turns.
    """
    events, own = _escaped(EVENTS), rf"{organisation}\."
    reading = rf"{own}reader\..*"
    if links:
        reading += rf"|{_escaped(upstream(organisation))}( [AB])?"
    keys = topic_read(organisation)
    speaks = Rights(
        organisation, NOTHING, rf"^({events}|{own}own)$", rf"^{own}(?!own$|reader\.).*$",
        topic_write(network, organisation), keys,
    )  # fmt: skip
    reads = Rights(
        reader(organisation), rf"^({reading})$", rf"^({reading})$", rf"^({events}|{reading})$", NOTHING, keys
    )
    return speaks, reads


def _escaped(name: str) -> str:
    return name.replace(".", r"\.")


def _service_policy(organisation: str, service: str) -> Policy:
    name = queue(organisation, service)
    return Policy(
        name,
        rf"^{organisation}\.{service}$",
        {
            "dead-letter-exchange": own_exchange(organisation),
            "dead-letter-routing-key": dead(name),
            "dead-letter-strategy": "at-least-once",
            # Without it at-least-once falls back to at-most-once; harmless where there is no length limit.
            "overflow": "reject-publish",
            "delivery-limit": DELIVERY_LIMIT,
        },
    )


def _upstream_policy() -> Mapping[str, object]:
    # The hub bounds these queues itself, whatever an own part asks for.
    return {**upstream_limits(), "dead-letter-exchange": UNROUTED, "dead-letter-routing-key": EXPIRED}


def _mailbox_policy() -> Mapping[str, object]:
    return {
        "message-ttl": MAILBOX_DAYS * _DAY_MILLISECONDS,
        "dead-letter-exchange": UNROUTED,
        "dead-letter-routing-key": EXPIRED,
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
        "delivery-limit": KEPT_DELIVERY_LIMIT,
    }
