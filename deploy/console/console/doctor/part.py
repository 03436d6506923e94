"""The own part: its two links, what else is bound to them, its store, its clock, and the mail."""

from __future__ import annotations

import ctypes
import re
import smtplib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from chassis import topology
from chassis.decision import Network
from chassis.storetime import store_time
from console.doctor.findings import LOAD, RECREATE, Facts, Ill
from console.links import HUB, runs

SECONDS = 10

CLOCKS_DIFFER_SECONDS = 2
UNSYNCHRONISED = 5
"""``TIME_ERROR`` of ntp_gettime(3): nothing keeps the clock right."""

_REFUSED = re.compile(r"access to topic '(?P<key>[^']*)'")


class Management:
    """The management API of the own broker."""

    def __init__(self, uri: str) -> None:
        """Describe it; nothing is asked yet.

        Args:
            uri: Its address with user and password.
        """
        parts = urlsplit(uri)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self.client = httpx.Client(
            base_url=f"{parts.scheme}://{host}:{parts.port or 15672}",
            auth=(unquote(parts.username or ""), unquote(parts.password or "")),
            timeout=SECONDS,
        )

    def get(self, path: str) -> Any:
        """JSON of a GET.

        Raises:
            Ill: The API does not answer, or not with what was asked for.
        """
        try:
            answer = self.client.get(path)
        except httpx.HTTPError as error:
            raise Ill(
                f"the own broker does not answer ({type(error).__name__})", "start it, and read its log"
            ) from None
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise Ill("the own broker refuses the operator", "correct the password in VIISIKKO_MANAGEMENT_URI")
        if not answer.is_success:
            raise Ill(f"the own broker answers {answer.status_code} to {path}", "enable the plugins of deploy/compose")
        return answer.json()


def broker(management: Management) -> str:
    """The own broker, and whether it stops publishers.

    Raises:
        Ill: It is away, or out of memory or disk.
    """
    version = management.get("/api/overview")["rabbitmq_version"]
    alarms = [
        name
        for node in management.get("/api/nodes")
        for name, on in (("memory", node.get("mem_alarm")), ("disk", node.get("disk_free_alarm")))
        if on
    ]
    if alarms:
        raise Ill(f"it is short of {' and '.join(alarms)}, and takes nothing", "give it room: see its log")
    return f"RabbitMQ {version}"


def stray_bindings(management: Management, facts: Facts, network: Network) -> str:
    """Whether only the generated bindings stand on the federated exchange.

    Raises:
        Ill: There are others, or some are missing.
    """
    strays = _strays(management, facts, network)
    if strays:
        row = re.compile(topology.topic_read(facts.organisation))
        told = [
            f"{b['routing_key']} to {b['destination']}{'' if row.match(b['routing_key']) else ' (refused)'}"
            for b in strays
        ]
        raise Ill(
            f"{topology.INCOMING} is bound with {', '.join(told)}: a binding that the hub refuses shuts the link down",
            f"bind queues to {topology.EVENTS} only; `viisikko doctor --mend` removes these and restarts the link",
        )
    wanted = {binding.key for binding in topology.incoming_bindings(network, facts.organisation)}
    missing = wanted - {binding["routing_key"] for binding in _bound(management)}
    if missing:
        raise Ill(f"{', '.join(sorted(missing))} is not bound", LOAD)
    return f"{len(wanted)} of {len(wanted)}, and no others"


def federation(management: Management) -> str:
    """The link that pulls.

    Raises:
        Ill: It does not run.
    """
    links = management.get("/api/federation-links")
    if not links:
        raise Ill("there is no link", LOAD)
    link = links[0]
    if not runs(link):
        raise Ill(f"it is {link['status']}: {_plain(link.get('error', ''))}", _link_step(str(link.get("error", ""))))
    return "running"


def shovel(management: Management) -> str:
    """The link that pushes, and what waits for it.

    Raises:
        Ill: It does not run.
    """
    found = [one for one in management.get("/api/shovels") if one["name"] == HUB]
    waiting = management.get(f"/api/queues/%2F/{topology.OUTBOUND}").get("messages", 0)
    if not found:
        raise Ill(f"there is no shovel, and {waiting} events wait", LOAD)
    if found[0]["state"] != "running":
        reason = _plain(str(found[0].get("reason", "")))
        raise Ill(f"it is {found[0]['state']} {reason}, and {waiting} events wait", _link_step(reason))
    return f"running, {waiting} events wait"


def mend(management: Management, facts: Facts, network: Network) -> list[str]:
    """Remove what shuts the federation down, and restart the links that do not run; what was done."""
    done = []
    for stray in _strays(management, facts, network):
        kind = "e" if stray["destination_type"] == "exchange" else "q"
        target = f"{kind}/{quote(stray['destination'], safe='')}/{quote(stray['properties_key'], safe='')}"
        management.client.delete(f"/api/bindings/%2F/e/{topology.INCOMING}/{target}").raise_for_status()
        done.append(f"removed the binding {stray['routing_key']} to {stray['destination']}")
    for link in management.get("/api/federation-links"):
        if link["status"] == "shutdown":
            path = f"/api/federation-links/vhost/%2F/{link['id']}/{link['node']}/restart"
            management.client.delete(path).raise_for_status()
            done.append("restarted the federation link")
    if any(one["name"] == HUB and one["state"] == "terminated" for one in management.get("/api/shovels")):
        management.client.delete(f"/api/shovels/vhost/%2F/{HUB}/restart").raise_for_status()
        done.append("restarted the shovel")
    return done


def store(uri: str) -> str:
    """The store.

    Raises:
        Ill: It does not answer.
    """
    return f"answers, {_store_differs(uri):.1f} s apart"


def clock(facts: Facts) -> str:
    """Whether this machine and the store agree on the time, and whether something keeps it right.

    Raises:
        Ill: They differ.
    """
    apart = _store_differs(facts.mongo) if facts.mongo else 0.0
    if apart > CLOCKS_DIFFER_SECONDS:
        raise Ill(f"the store's clock is {apart:.0f} s apart", "let an NTP service (chrony) keep both machines' time")
    if ctypes.CDLL(None).ntp_gettime(ctypes.create_string_buffer(256)) == UNSYNCHRONISED:
        return "agrees with the store; no NTP service of this machine keeps it right, so see that another does"
    return "kept right by an NTP service"


def mail(uri: str) -> str:
    """The mail server.

    Raises:
        Ill: It does not answer.
    """
    parts = urlsplit(uri)
    kind = smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
    try:
        with kind(parts.hostname or "", parts.port or 0, timeout=SECONDS) as server:
            server.noop()
    except OSError as error:
        step = "correct VIISIKKO_SMTP_URI, or let this machine connect to the mail server"
        raise Ill(f"{parts.hostname}:{parts.port} does not answer ({error.strerror or error})", step) from None
    return f"{parts.hostname} answers"


def _store_differs(uri: str) -> float:
    try:
        told = store_time(uri)
    except OSError as error:
        raise Ill(f"it does not answer ({error})", "start it, or correct VIISIKKO_MONGO_URI") from None
    return abs((datetime.now(UTC) - told).total_seconds())


def _bound(management: Management) -> Sequence[Mapping[str, Any]]:
    found: list[dict[str, Any]] = management.get(f"/api/exchanges/%2F/{topology.INCOMING}/bindings/source")
    return found


def _strays(management: Management, facts: Facts, network: Network) -> list[Mapping[str, Any]]:
    wanted = {(b.queue, b.key) for b in topology.incoming_bindings(network, facts.organisation)}
    return [b for b in _bound(management) if (b["destination"], b["routing_key"]) not in wanted]


def _plain(error: str) -> str:
    """Erlang's term as one line."""
    return " ".join(error.split())


def _link_step(error: str) -> str:
    refused = _REFUSED.search(error)
    if refused:
        return (
            f"remove the binding {refused['key']} of {topology.INCOMING}: `viisikko doctor --mend` does, and restarts"
        )
    if "auth_failure" in error or "Login was refused" in error:
        return (
            "`viisikko rotate` gives the link a new password; in containers, put the package in place that the hub's "
            f"operator made last, then {RECREATE}"
        )
    return "see that the hub is reached, with TLS, and logged in to (above); it then tries again by itself"
