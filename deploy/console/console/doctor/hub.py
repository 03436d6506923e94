"""The way to the hub: reach it, tell that it is the hub, log in, and be allowed what the contract grants."""

from __future__ import annotations

import contextlib
import socket
import ssl
import uuid
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import kombu
from amqp.exceptions import AccessRefused, AMQPError
from kombu.exceptions import KombuError

from chassis import topology
from chassis.amqp import tls
from chassis.decision import ALL, Network
from console.doctor.findings import LOAD, Facts, Ill
from console.links import as_reader

PORTS = {"amqp": 5672, "amqps": 5671}
SECONDS = 10


def reached(facts: Facts) -> str:
    """A connection to the hub's port.

    Raises:
        Ill: There is none.
    """
    host, port = _place(facts)
    try:
        with socket.create_connection((host, port), timeout=SECONDS):
            return f"{host}:{port} answers"
    except socket.gaierror:
        raise Ill(
            f"no name server knows {host}", "correct the host in VIISIKKO_HUB_URI, or mend name resolution"
        ) from None
    except OSError as error:
        next_step = (
            f"let this machine connect out to {host}, TCP {port}; if others reach it, open that in your firewall"
        )
        raise Ill(f"{host}:{port} does not answer ({error.strerror or error})", next_step) from None


def encrypted(facts: Facts) -> str:
    """TLS with a certificate that the authority has signed for the hub's name.

    Raises:
        Ill: It is not encrypted, or the certificate is another's.
    """
    host, port = _place(facts)
    if facts.hub_address.scheme != "amqps":
        if host in {"localhost", "127.0.0.1", "::1"}:
            return "not needed: the hub is on this machine"
        raise Ill("the connection is not encrypted", "write amqps:// and port 5671 into VIISIKKO_HUB_URI")
    context = ssl.create_default_context(cafile=facts.authority)
    try:
        with (
            socket.create_connection((host, port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as safe,
        ):
            return f"{safe.version()}, and the certificate is the hub's"
    except ssl.SSLCertVerificationError as error:
        raise Ill(f"the certificate is not accepted: {error.verify_message}", _certificate_step(error)) from None
    except OSError as error:
        raise Ill(f"no TLS at {host}:{port} ({error})", "ask the hub's operator whether this is its TLS port") from None


def logged_in(facts: Facts) -> str:
    """The organisation's own user.

    Raises:
        Ill: The hub does not let it in.
    """
    with _connection(facts, facts.hub):
        return f"as {facts.hub_address.username}"


def bindings_allowed(facts: Facts, network: Network) -> str:
    """Every binding that the organisation needs, tried on a queue that goes with the connection.

    Raises:
        Ill: The hub refuses one.
    """
    code = facts.organisation
    keys = _wanted(code, network)
    with _connection(facts, as_reader(facts.hub)) as connection:
        refused = [key for key in keys if not _binds(connection, code, key)]
    if refused:
        raise Ill(f"the hub refuses {', '.join(refused)}", _rights_step(code))
    return f"{len(keys)} of {len(keys)}"


def may_speak(facts: Facts) -> str:
    """An event to itself, which nobody takes, in the own name.

    Raises:
        Ill: The hub refuses it.
    """
    code = facts.organisation
    with _connection(facts, facts.hub) as connection:
        channel = connection.channel()
        try:
            channel.basic_publish_confirm(channel.prepare_message(b""), topology.EVENTS, f"doctor.asked.{code}.{code}")
        except AccessRefused:
            raise Ill("the hub refuses an event in the own name", _rights_step(code)) from None
    return f"in the name of {code}"


def _wanted(code: str, network: Network) -> Sequence[str]:
    if network.organisations[code].joins == "own":
        return [binding.key for binding in topology.incoming_bindings(network, code)]
    return [f"*.*.*.{code}", f"*.*.*.{ALL}"]


def _binds(connection: Any, code: str, key: str) -> bool:
    channel = connection.channel()
    try:
        queue = channel.queue_declare(f"{code}.reader.doctor-{uuid.uuid4().hex}", exclusive=True).queue
        channel.queue_bind(queue, topology.EVENTS, key)
    except AccessRefused:
        return False
    channel.queue_delete(queue)
    channel.close()
    return True


@contextlib.contextmanager
def _connection(facts: Facts, address: str) -> Iterator[Any]:
    connection = kombu.Connection(
        address,
        ssl=tls(address, facts.authority),
        connect_timeout=SECONDS,
        transport_options={"confirm_publish": True},
    )
    try:
        connection.connect()
    except AccessRefused:
        user = urlsplit(address).username
        raise Ill(
            f"the hub refuses {user} or its password",
            f"write the password that the hub's operator gave {user} last into VIISIKKO_HUB_URI; in containers, put "
            "the package in place that the operator made last",
        ) from None
    except (AMQPError, KombuError, OSError) as error:
        raise Ill(f"no connection ({error})", "mend what is said above first") from None
    with connection:
        yield connection


def _place(facts: Facts) -> tuple[str, int]:
    address = facts.hub_address
    return address.hostname or "", address.port or PORTS[address.scheme]


def _certificate_step(error: ssl.SSLCertVerificationError) -> str:
    # OpenSSL's codes (x509_vfy.h): 9 not yet valid, 10 expired.
    if error.verify_code in {9, 10}:
        return "set this machine's clock; if it is right, the hub's operator must renew the certificate"
    return "VIISIKKO_TLS_CA must name the ca.pem that came with `viisikko join`; ask the hub's operator for it"


def _rights_step(code: str) -> str:
    return f"ask the hub's operator for the rights that network.toml grants to {code}: {LOAD}"
