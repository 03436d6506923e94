"""The network profile: what the network asks of an envelope beyond CloudEvents (contract.md, Envelope and Routing)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis import cloudevents, strictjson
from chassis.cloudevents import CloudEvent, NotACloudEvent
from chassis.decision import ALL, Classification
from chassis.reasons import Reason, Unacceptable

JOSE = "application/jose"
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
ATTEMPTS_HEADER = "x-viisikko-attempts"
KEY_HEADER = "x-viisikko-key"
REPLAY_HEADER = "x-viisikko-replay"
SIGNATURE_HEADER = "x-viisikko-signature"
"""Of an organisation that signs; it goes wherever its event goes, through the ladder and the parking lot too."""

HEADERS = frozenset({ATTEMPTS_HEADER, KEY_HEADER, "x-death", "x-first-death-reason"})
"""Headers besides binary mode's that may be read. ``nameko.*`` and ``call_id_stack`` never are: from outside they end
nameko's container (reliability.md, 3). They are this service's own and do not go along when a message is sent again;
its signature does."""

_KEY = re.compile(r"([a-z]+(?:-[a-z]+)*)\.([a-z]+(?:-[a-z]+)*)\.([a-z]+)\.([a-z]+)\Z")
_TYPE = re.compile(r"fi\.viisikko\.([a-z]+(?:-[a-z]+)*)\.([a-z]+(?:-[a-z]+)*)\.v([1-9]\d{0,3})\Z", re.ASCII)
_SOURCE = re.compile(r"urn:viisikko:([a-z]+):([a-z0-9][a-z0-9.-]{0,62})\Z")
_SUBJECT = re.compile(r"[^\s]{1,200}\Z")
_SEQUENCE = re.compile(r"\d{1,19}\Z", re.ASCII)
# W3C Trace Context, version 00; ids of zeros only are invalid there.
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")
_JWE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
SEQUENCE_DIGITS = 10
MAX_SEQUENCE = 2**63 - 1
"""The store keeps sequences as 64-bit integers."""
MAX_ID = 200


@dataclass(frozen=True, slots=True)
class Address:
    """A routing key's four words."""

    aggregate: str
    verb: str
    source: str
    destination: str

    @property
    def name(self) -> str:
        """``aggregate.verb``."""
        return f"{self.aggregate}.{self.verb}"

    def __str__(self) -> str:
        """The routing key."""
        return f"{self.aggregate}.{self.verb}.{self.source}.{self.destination}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An event of the network, its attributes checked and its data not yet.

    Attributes:
        id: Unique within `source`.
        source: ``urn:viisikko:<organisation>:<system>``.
        organisation: The organisation in it.
        name: ``aggregate.verb``.
        version: The N of ``.v<N>``.
        subject: The aggregate's id as the publisher names it.
        time: When the publisher says that it happened, with offset.
        destination: An organisation's code, or ``all``.
        classification: How far the data may be read.
        data: JSON value; a compact JWE where personal.
        sequence: The stream's version, or None (guests).
        correlation: The client's journey, or None.
        causation: The event that caused this one, or None.
        traceparent: W3C trace context, or None.
        tracestate: W3C trace context, or None.
    """

    id: str
    source: str
    organisation: str
    name: str
    version: int
    subject: str
    time: datetime
    destination: str
    classification: Classification
    data: Any
    sequence: int | None = None
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    @property
    def type(self) -> str:
        """The event's type."""
        return f"fi.viisikko.{self.name}.v{self.version}"

    @property
    def routing_key(self) -> str:
        """The four words that it travels under."""
        return f"{self.name}.{self.organisation}.{self.destination}"


def address(routing_key: str) -> Address:
    """Take a routing key apart.

    Raises:
        Unacceptable: It is not of four words.
    """
    match = _KEY.match(routing_key)
    if not match:
        raise Unacceptable(Reason.WRONG_KEY, "must be <aggregate>.<verb>.<source>.<destination>", field="routing key")
    return Address(*match.groups())


def safe_headers(headers: Mapping[str, object] | None) -> dict[str, object]:
    """The headers that may be read: binary mode's, the signature, and the network's own."""
    return {
        name: value
        for name, value in (headers or {}).items()
        if name in HEADERS
        or name == SIGNATURE_HEADER
        or name.lower().startswith(tuple(prefix.lower() for prefix in cloudevents.PREFIXES))
    }


def is_sealed(body: bytes, content_type: str | None) -> bool:
    """Whether an event's data is one compact JWE, so that nobody without the key can read it; whatever else it is."""
    if not cloudevents.is_structured(content_type):
        return _JWE.match(body.decode("ascii", "replace")) is not None
    try:
        members = strictjson.loads(body)
    except strictjson.NotStrict:
        return False
    data = members.get("data") if isinstance(members, dict) else None
    return isinstance(data, str) and _JWE.match(data) is not None


def admit(body: bytes, content_type: str | None, headers: Mapping[str, object], routing_key: str) -> Envelope:
    """Read an event as it came from the broker and check its envelope.

    Raises:
        Unacceptable: It is no CloudEvent, or breaks a rule of the profile.
    """
    key = address(routing_key)
    if len(body) > cloudevents.MAX_BYTES:
        raise Unacceptable(Reason.TOO_LARGE, f"{len(body)} bytes, and an event has {cloudevents.MAX_BYTES} at the most")
    try:
        event = cloudevents.decode(body, content_type, headers)
    except NotACloudEvent as error:
        raise Unacceptable(Reason.NOT_AN_EVENT, error.rule, field=error.attribute) from None
    return _checked(event, key)


def compose(envelope: Envelope) -> bytes:
    """Write an event as it goes to the broker, in structured mode.

    Raises:
        Unacceptable: It is over 64 KiB.
        NotACloudEvent: It breaks a rule of CloudEvents.
    """
    extensions: dict[str, str | int | bool] = {
        "destination": envelope.destination,
        "dataclassification": str(envelope.classification),
    }
    if envelope.sequence is not None:
        extensions["sequence"] = f"{envelope.sequence:0{SEQUENCE_DIGITS}d}"
    named = {"correlationid": "correlation", "causationid": "causation"}
    for attribute in ("correlationid", "causationid", "traceparent", "tracestate"):
        value = getattr(envelope, named.get(attribute, attribute))
        if value is not None:
            extensions[attribute] = value
    personal = envelope.classification is Classification.PERSONAL
    body = cloudevents.encode(
        CloudEvent(
            id=envelope.id,
            source=envelope.source,
            type=envelope.type,
            subject=envelope.subject,
            time=envelope.time,
            datacontenttype=JOSE if personal else "application/json",
            extensions=extensions,
            data=envelope.data,
        )
    )
    if len(body) > cloudevents.MAX_BYTES:
        raise Unacceptable(Reason.TOO_LARGE, f"{len(body)} bytes, and an event has {cloudevents.MAX_BYTES} at the most")
    return body


def _checked(event: CloudEvent, key: Address) -> Envelope:
    source = _match(_SOURCE, event.source, "source", "must be urn:viisikko:<organisation>:<system>")
    kind = _match(_TYPE, event.type, "type", "must be fi.viisikko.<aggregate>.<verb>.v<N>")
    _match(_SUBJECT, event.subject, "subject", "must be 1 to 200 characters without spaces")
    if event.time is None:
        raise Unacceptable(Reason.PROFILE, "must be there", field="time")
    if len(event.id) > MAX_ID:
        raise Unacceptable(Reason.PROFILE, f"must be {MAX_ID} characters at the most", field="id")
    if source[1] != key.source:
        raise Unacceptable(Reason.FORGED, "names another organisation than the routing key", field="source")
    destination = _extension(event, "destination", required=True)
    if destination != key.destination:
        raise Unacceptable(Reason.FORGED, "contradicts the routing key", field="destination")
    if (kind[1], kind[2]) != (key.aggregate, key.verb):
        raise Unacceptable(Reason.WRONG_KEY, "contradicts the routing key", field="type")
    classification, data = _data(event)
    return Envelope(
        id=event.id,
        source=event.source,
        organisation=source[1],
        name=key.name,
        version=int(kind[3]),
        subject=event.subject or "",
        time=event.time,
        destination=destination or ALL,
        classification=classification,
        data=data,
        sequence=_sequence(event),
        correlation=_reference(event, "correlationid"),
        causation=_reference(event, "causationid"),
        traceparent=_trace(event),
        tracestate=_extension(event, "tracestate", required=False),
    )


def _match(pattern: re.Pattern[str], value: str | None, field: str, rule: str) -> re.Match[str]:
    match = pattern.match(value or "")
    if not match:
        raise Unacceptable(Reason.PROFILE, rule, field=field)
    return match


def _extension(event: CloudEvent, name: str, *, required: bool) -> str | None:
    value = event.extensions.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value:
        raise Unacceptable(Reason.PROFILE, "must be a text that is not empty", field=name)
    return value


def _reference(event: CloudEvent, name: str) -> str | None:
    value = _extension(event, name, required=False)
    if value is not None:
        _match(_SUBJECT, value, name, "must be 1 to 200 characters without spaces")
    return value


def _sequence(event: CloudEvent) -> int | None:
    value = event.extensions.get("sequence")
    if value is None:
        return None
    if not isinstance(value, str) or not _SEQUENCE.match(value) or int(value) > MAX_SEQUENCE:
        rule = "must be a text of 1 to 19 digits, for a number that fits 64 bits"
        raise Unacceptable(Reason.PROFILE, rule, field="sequence")
    return int(value)


def _trace(event: CloudEvent) -> str | None:
    value = _extension(event, "traceparent", required=False)
    if value is not None:
        _match(
            _TRACE, value, "traceparent", "must be a W3C trace context of version 00, with ids that are not all zeros"
        )
    return value


def _data(event: CloudEvent) -> tuple[Classification, Any]:
    try:
        classification = Classification(_extension(event, "dataclassification", required=True) or "")
    except ValueError as error:
        if isinstance(error, Unacceptable):
            raise
        rule = "must be public, pseudonymous or personal"
        raise Unacceptable(Reason.PROFILE, rule, field="dataclassification") from None
    data = event.data
    if classification is not Classification.PERSONAL:
        if isinstance(data, bytes):
            raise Unacceptable(Reason.PROFILE, "must be JSON", field="data")
        return classification, data
    if isinstance(data, bytes):
        data = data.decode("ascii", "replace")
    if not isinstance(data, str) or not _JWE.match(data):
        raise Unacceptable(Reason.SEALED, "personal data must be one compact JWE", field="data")
    return classification, data
