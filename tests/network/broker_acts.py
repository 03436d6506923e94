"""What the broker must refuse by itself: acts on exchanges, queues, bindings, users and the management API."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from forbidden import Act, Entry, Member

from chassis.profile import CONTENT_TYPE
from chassis.topology import EVENTS, EXPIRED, UNDELIVERABLE, UNROUTED, own_exchange, reader, service_queues
from console.nodes.broker import OPERATOR

PRECONDITION, NOT_ALLOWED = 406, 530
"""AMQP's answers to another's user-id, and to a virtual host that is none of one's own."""

QUORUM = {"x-queue-type": "quorum"}


def broker_acts(member: Member) -> Iterator[Act]:
    """All of them, as one kind of member would try them."""
    yield from _speaking(member)
    yield from _reading(member)
    yield from _binding(member)
    yield from _declaring(member)
    yield from _tricks(member)
    yield from _entering(member)
    yield from _managing(member)


def _speaking(m: Member) -> Iterator[Act]:
    own = f"offering.published.{m.code}.all"
    said = {
        f"publish in {m.other}'s name": (EVENTS, f"referral.accepted.{m.other}.{m.code}"),
        "publish in another's name to all": (EVENTS, f"offering.withdrawn.{m.other}.all"),
        "publish in the name of nobody": (EVENTS, "offering.published.nobody.all"),
        "publish to whom it may not address": (EVENTS, f"referral.requested.{m.code}.{m.stranger}"),
        "publish under a key of three words": (EVENTS, f"offering.published.{m.code}"),
        "publish under a key of five words": (EVENTS, f"{own}.all"),
        "publish under a key in capitals": (EVENTS, f"Offering.published.{m.code}.all"),
        "publish under a key with a line break": (EVENTS, f"{own}\n"),
        "publish under an empty key": (EVENTS, ""),
        "publish through the default exchange into another's queue": ("", m.queues[0]),
        "publish to another's exchange": (m.exchange, m.queues[0]),
        "publish to the alternate exchange": (UNROUTED, f"referral.accepted.{m.other}.{m.code}"),
        "publish to amq.topic": ("amq.topic", own),
        "publish to amq.fanout": ("amq.fanout", own),
        "publish to amq.rabbitmq.trace": ("amq.rabbitmq.trace", own),
    }
    for what, (exchange, key) in said.items():
        yield Act(what, lambda e, x=exchange, k=key: say(e.speaks(), x, k))
    yield Act("publish as the user that only reads", lambda e: say(e.reads(), EVENTS, own))
    yield Act("publish with another's user-id", lambda e: say(e.speaks(), EVENTS, own, user_id=m.other), PRECONDITION)


def _reading(m: Member) -> Iterator[Act]:
    for name in dict.fromkeys((*m.queues, UNDELIVERABLE, EXPIRED)):
        yield Act(f"take from {name}", lambda e, n=name: e.speaks().basic_get(n))
        yield Act(f"take from {name} as the reader", lambda e, n=name: e.reads().basic_get(n))
        yield Act(f"consume from {name}", lambda e, n=name: e.speaks().basic_consume(n))


def _binding(m: Member) -> Iterator[Act]:
    keys = ("#", "*.*.*.*", "*.#", f"*.*.*.{m.other}", f"#.{m.other}", f"*.*.{m.other}.*", "referral.#", "client.*.*.*")
    for key in keys:
        yield Act(f"bind a queue with {key}", lambda e, k=key: bind(e, EVENTS, k))
    for exchange in (UNROUTED, m.exchange, "amq.rabbitmq.trace", "amq.rabbitmq.log"):
        yield Act(f"bind a queue to {exchange}", lambda e, x=exchange: bind(e, x, "#"))
    yield Act("bind another's queue", lambda e: e.reads().queue_bind(m.queues[0], EVENTS, f"*.*.*.{m.code}"))
    yield Act("unbind another's queue", lambda e: e.reads().queue_unbind(m.queues[0], EVENTS, f"*.*.*.{m.other}"))


def _declaring(m: Member) -> Iterator[Act]:
    first = m.queues[0]
    for whose, channel in (("", Entry.speaks), (" as the reader", Entry.reads)):
        for name in dict.fromkeys((*m.queues, EXPIRED)):
            yield Act(f"delete {name}{whose}", lambda e, c=channel, n=name: c(e).queue_delete(n))
            yield Act(f"purge {name}{whose}", lambda e, c=channel, n=name: c(e).queue_purge(n))
        for exchange in (EVENTS, m.exchange):
            yield Act(f"delete {exchange}{whose}", lambda e, c=channel, x=exchange: c(e).exchange_delete(x))
        yield Act(f"declare another's queue anew{whose}", lambda e, c=channel: declare(c(e), first, x_message_ttl=1))
        yield Act(f"declare a queue in another's name{whose}", lambda e, c=channel: declare(c(e), f"{m.other}.new"))
        yield Act(
            f"declare an exchange in another's name{whose}",
            lambda e, c=channel: c(e).exchange_declare(f"{m.other}.new", "fanout"),
        )
    yield Act("declare a queue as the user that speaks", lambda e: declare(e.speaks(), f"{m.code}.new"))
    yield Act(
        "declare an exchange as the user that speaks",
        lambda e: e.speaks().exchange_declare(f"{m.code}.new", "fanout"),
    )


def _tricks(m: Member) -> Iterator[Act]:
    """Roads on which a key would come out at the network's exchange that nobody let in there."""
    forged = {"x-dead-letter-exchange": EVENTS, "x-dead-letter-routing-key": f"referral.accepted.{m.other}.{m.code}"}
    into_queue = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": m.queues[0]}
    own = own_exchange(m.code)
    yield Act("dead-letter from an own queue into the network", lambda e: temporary(e, forged))
    yield Act("dead-letter through the default exchange into another's queue", lambda e: temporary(e, into_queue))
    yield Act("dead-letter into another's exchange", lambda e: temporary(e, {"x-dead-letter-exchange": m.exchange}))
    yield Act(
        "give its own mailbox or queue dead letters",
        lambda e: e.speaks().queue_declare(_own_queue(m), durable=True, auto_delete=False, arguments=QUORUM | forged),
    )
    for exchange in (EVENTS, UNROUTED, m.exchange):
        yield Act(f"make an exchange whose alternate is {exchange}", lambda e, x=exchange: alternate(e, x))
    yield Act("pour an own exchange into the network as the reader", lambda e: pour(e, EVENTS, Entry.reads))
    yield Act("pour an own exchange into the network as the user that speaks", lambda e: pour(e, EVENTS, Entry.speaks))
    yield Act("pour an own exchange into another's", lambda e: pour(e, m.exchange, Entry.reads))
    yield Act("pour the whole network into an own exchange", lambda e: drain(e, EVENTS))
    yield Act("pour what is undeliverable into an own exchange", lambda e: drain(e, UNROUTED))
    yield Act("pour the own exchange into the network", lambda e: e.speaks().exchange_bind(EVENTS, own, "#"))
    yield Act("pour the network into itself", lambda e: e.speaks().exchange_bind(EVENTS, EVENTS, f"*.*.{m.code}.all"))
    yield Act("pour the network into amq.fanout", lambda e: e.reads().exchange_bind("amq.fanout", EVENTS, "#"))
    yield Act("pour amq.fanout into the network", lambda e: e.speaks().exchange_bind(EVENTS, "amq.fanout", ""))


def _entering(m: Member) -> Iterator[Act]:
    users = {
        f"log in as {m.other} with its own password": (m.other, m.password),
        f"log in as {m.other}'s reader with its own password": (reader(m.other), m.password),
        "log in as the operator with its own password": (OPERATOR, m.password),
        "log in as guest": ("guest", "guest"),
        "log in without a password": (m.code, ""),
    }
    for what, (user, password) in users.items():
        yield Act(what, lambda e, u=user, p=password: e.connection(_address(m, u, p)))
    yield Act(
        "log in to another virtual host", lambda e: e.connection(_address(m, m.code, m.password, "other")), NOT_ALLOWED
    )


def _managing(m: Member) -> Iterator[Act]:
    first = quote(m.queues[0])
    shovel = {"value": {"src-uri": "amqp://", "src-queue": m.queues[0], "dest-uri": "amqp://", "dest-exchange": EVENTS}}
    policy = {"pattern": ".*", "definition": {"dead-letter-exchange": EVENTS}, "apply-to": "queues"}
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    look = {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}
    me, secret = f"/api/users/{m.code}", m.password
    said = {"routing_key": f"a.b.{m.other}.all", "payload": "{}", "payload_encoding": "string", "properties": {}}
    asked: dict[str, tuple[str, str, Any]] = {
        "list the users": ("GET", "/api/users", None),
        "read the definitions with all password hashes": ("GET", "/api/definitions", None),
        "list the queues": ("GET", "/api/queues", None),
        "list the connections": ("GET", "/api/connections", None),
        "look into another's queue": ("POST", f"/api/queues/%2F/{first}/get", look),
        "purge another's queue by HTTP": ("DELETE", f"/api/queues/%2F/{first}/contents", None),
        "publish in another's name by HTTP": ("POST", f"/api/exchanges/%2F/{EVENTS}/publish", said),
        "make itself an administrator": ("PUT", me, {"password": secret, "tags": "administrator"}),
        "let itself impersonate others": ("PUT", me, {"password": secret, "tags": "impersonator"}),
        "give itself all rights": ("PUT", f"/api/permissions/%2F/{m.code}", everything),
        "give itself all topics": (
            "PUT", f"/api/topic-permissions/%2F/{m.code}", {"exchange": EVENTS, "write": ".*", "read": ".*"},
        ),
        "set a policy": ("PUT", "/api/policies/%2F/mine", policy),
        "set an operator's policy": ("PUT", "/api/operator-policies/%2F/mine", policy | {"definition": {"expires": 1}}),
        "set a shovel": ("PUT", "/api/parameters/shovel/%2F/mine", shovel),
        "set a federation upstream": (
            "PUT", "/api/parameters/federation-upstream/%2F/mine", {"value": {"uri": "amqp://"}},
        ),
        "make a virtual host": ("PUT", "/api/vhosts/mine", None),
        "drop the virtual host": ("DELETE", "/api/vhosts/%2F", None),
        "trace all messages": ("PUT", "/api/vhosts/%2F", {"tracing": True}),
    }  # fmt: skip
    for what, (method, path, content) in asked.items():
        yield Act(what, lambda e, a=method, p=path, c=content: e.asks(a, p, c))


def say(channel: Any, exchange: str, key: str, **properties: Any) -> None:
    """Publish something small, and wait for the broker's answer."""
    message = channel.prepare_message(b"{}", content_type=CONTENT_TYPE, properties=properties)
    channel.basic_publish_confirm(message, exchange, key)


def bind(entry: Entry, exchange: str, key: str) -> None:
    """Bind a queue of the reader's own."""
    channel = entry.reads()
    name = f"{entry.member.code}.reader.{uuid.uuid4().hex}"
    channel.queue_declare(name, exclusive=True)
    channel.queue_bind(name, exchange, key)


def temporary(entry: Entry, arguments: dict[str, str]) -> None:
    """Declare a queue of the reader's own with arguments."""
    entry.reads().queue_declare(f"{entry.member.code}.reader.{uuid.uuid4().hex}", exclusive=True, arguments=arguments)


def declare(channel: Any, name: str, **arguments: Any) -> None:
    """Declare a durable queue."""
    given = {key.replace("_", "-"): value for key, value in arguments.items()}
    channel.queue_declare(name, durable=True, auto_delete=False, arguments=QUORUM | given)


@contextmanager
def borrowed(entry: Entry) -> Iterator[str]:
    """An exchange of the reader's own, which is gone afterwards."""
    name = f"{entry.member.code}.reader.{uuid.uuid4().hex}"
    entry.reads().exchange_declare(name, "topic", durable=False, auto_delete=False)
    try:
        yield name
    finally:
        entry.reads().exchange_delete(name)


def alternate(entry: Entry, to: str) -> None:
    """Declare an exchange of the reader's own whose alternate exchange is another."""
    name = f"{entry.member.code}.reader.{uuid.uuid4().hex}"
    entry.reads().exchange_declare(name, "direct", durable=False, arguments={"alternate-exchange": to})


def pour(entry: Entry, to: str, user: Callable[[Entry], Any]) -> None:
    """Bind an exchange to the reader's own."""
    with borrowed(entry) as name:
        user(entry).exchange_bind(to, name, "#")


def drain(entry: Entry, source: str) -> None:
    """Bind the reader's own exchange to another with everything."""
    with borrowed(entry) as name:
        entry.reads().exchange_bind(name, source, "#")


def _own_queue(m: Member) -> str:
    return next(iter(service_queues(m.code, "catalogue"))) if m.kind != "guest" else f"{m.code}.mailbox"


def _address(m: Member, user: str, password: str, vhost: str = "/") -> str:
    place = m.amqp.rpartition("@")[2].partition("/")[0]
    return f"{urlsplit(m.amqp).scheme}://{user}:{quote(password, safe='')}@{place}/{quote(vhost, safe='')}"
