"""Changes a network that runs: who joins, leaves, or moves into an own part, without a stop for the others."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Container, Sequence
from typing import Any
from urllib.parse import quote

import amqp
import httpx
import kombu

from chassis.decision import ALL, Network, Organisation
from chassis.topology import EVENTS, upstream
from console.links import runs
from console.nodes.broker import QUORUM_TICK_SECONDS
from console.nodes.processes import wait_until
from console.reconcile import Definitions, is_empty, reconcile, widen
from console.sites import Site, Sites

WAIT_SECONDS = 60
FRESH_SECONDS = QUORUM_TICK_SECONDS + 1
"""A broker's numbers are never older than this."""


class NotChanged(ValueError):  # noqa: N818 - errors name the fact
    """The change cannot be made while the network runs."""


def check(old: Network, new: Network) -> None:
    """Refuse what would leave a service's data behind.

    Raises:
        NotChanged: With a line for each organisation that cannot change so.
    """
    problems = [
        f"organisations.{code}.joins: is {before.joins} and becomes {after.joins}: the data of its services would stay "
        f"behind. Stop the network, move the databases {code}_* to the other store, and start it"
        for code, before in old.organisations.items()
        if (after := new.organisations.get(code)) and before.runs and _moves(before, after)
    ]
    if old.hub != new.hub:
        problems.append("hub: cannot change while the network runs: stop it, and start it with the new file")
    if problems:
        raise NotChanged("\n".join(problems))


def brokers(sites: Sites, running: Container[str], gone: Sequence[Site], start: Callable[[Site], None]) -> list[str]:
    """Bring every broker to the network as the sites now have it, and start the new parts; what was done.

    Rights grow at the hub first and shrink there last: when new parts fetch what comes for them, and when what was said
    under the old rights has left the other parts. An event that the hub refuses would hold up all that come after it.

    Args:
        sites: All sites.
        running: Codes of the parts that run already.
        gone: Those that leave; they still run.
        start: Starts a new one.

    Raises:
        NotReady: A new part did not come up.
        NotTaken: A broker refuses its definitions.
    """
    done, late = list[str](), list[str]()
    with sites.hub.broker.client() as hub:
        widen(hub, sites.definitions(sites.hub.code))
        for code, site in sites.parts.items():
            if code in running:
                done += _renewed(site, sites.definitions(code))
                late += [] if drained(sites.hub, site) else [code]
            else:
                start(site)
                fetches = _soon(site, "/api/federation-links", lambda links: any(map(runs, links)))
                done.append(f"{code}: its own part runs{'' if fetches else ', and does not fetch from the hub yet'}")
        done += [f"{site.code}: {_last(hub, site)}" for site in gone]
        if late:
            kept = (
                "what was said before has not reached the hub, which keeps the old rights: mend the link, apply again"
            )
            return [*done, *(f"{code}: {kept}" for code in late)]
        return done + reconcile(hub, sites.definitions(sites.hub.code))


def _renewed(site: Site, wanted: Definitions) -> list[str]:
    with site.broker.client() as own:
        return [f"{site.code}: {line}" for line in reconcile(own, wanted)]


def drained(hub: Site, part: Site) -> bool:
    """Whether everything that a part has said until now has reached the hub, after waiting for it.

    A mark that nobody reads is sent behind it, since a queue's count neither is of this moment nor tells old from new.
    """
    key = f"mark.sent.{part.code}.{ALL}"
    mark = uuid.uuid4().hex
    with kombu.Connection(hub.broker.uri()) as there, kombu.Connection(part.broker.uri()) as here:
        arrivals, channel = there.default_channel, here.default_channel
        queue = arrivals.queue_declare("", exclusive=True).queue
        arrivals.queue_bind(queue, EVENTS, key)
        channel.basic_publish_confirm(amqp.Message(b"", message_id=mark), EVENTS, key)

        def came() -> bool:
            message = arrivals.basic_get(queue, no_ack=True)
            return message is not None and message.properties.get("message_id") == mark

        return wait_until(came, seconds=WAIT_SECONDS)


def _last(hub: httpx.Client, part: Site) -> str:
    if _fetched(hub, part):
        return "what waited for it at the hub lies on its own broker now, unread"
    return "has not fetched all that waits for it at the hub"


def _fetched(hub: httpx.Client, part: Site) -> bool:
    """Whether a part has all that waited for it at the hub, after waiting for it; from now on nothing more is kept."""
    queue = upstream(part.code)
    # Its link fills the queue through an exchange of the same name and a letter.
    for exchange in hub.get("/api/exchanges/%2F").raise_for_status().json():
        if exchange["name"].startswith(f"{queue} "):
            hub.delete(f"/api/exchanges/%2F/{quote(exchange['name'], safe='')}").raise_for_status()
    path = f"/api/queues/%2F/{quote(queue, safe='')}"
    since = time.monotonic()

    def stays_empty() -> bool:
        nonlocal since
        since = since if is_empty(hub, path) else time.monotonic()
        return time.monotonic() - since > FRESH_SECONDS

    return wait_until(stays_empty, seconds=WAIT_SECONDS)


def _soon(site: Site, path: str, look: Callable[[Any], bool]) -> bool:
    with site.broker.client() as client:

        def seen() -> bool:
            answer = client.get(path)
            return answer.is_success and look(answer.json())

        return wait_until(seen, seconds=WAIT_SECONDS)


def _moves(before: Organisation, after: Organisation) -> bool:
    return (before.joins == "own") != (after.joins == "own")
