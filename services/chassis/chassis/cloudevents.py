"""CloudEvents 1.0: a strict codec for structured mode, binary mode and batches.

Sources: the CloudEvents specification 1.0.2, its JSON event format and its AMQP binding. The Python SDK invents a
missing ``id``, ``time`` and ``specversion`` and accepts events that the official fixtures call invalid; here an event
that breaks a rule is refused with the attribute and the rule, never with the value.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis import strictjson

MAX_BYTES = 64 * 1024
"""The largest event (contract.md)."""

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
PREFIXES = ("ce-", "cloudEvents_", "cloudEvents:")
"""Header prefixes of binary mode: HTTP's, and both of the AMQP binding's; partners use all three."""

_REQUIRED = ("id", "source", "type")
_OPTIONAL = ("subject", "time", "datacontenttype", "dataschema")
_CORE = frozenset((*_REQUIRED, *_OPTIONAL, "specversion", "data", "data_base64"))
_NAME = re.compile(r"[a-z0-9]+\Z")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)\Z", re.ASCII)
_MEDIA = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+\s*(;\s*[\w!#$&^.+-]+=([\w!#$&^.+-]+|\"[^\"]*\")\s*)*\Z", re.ASCII)
_INT32 = 2**31
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME_LENGTH = 20
"""How long an extension's name should be at the most (specification, Naming Conventions). Longer ones are taken, but
no error repeats them."""


def _run(characters: str) -> str:
    # Unrolled, so that there is one way to match a text and a refusal takes no longer than its length.
    return rf"[{characters}]*(?:%[0-9A-Fa-f]{{2}}[{characters}]*)*"


# RFC 3986, 4.1: a URI, or a relative reference, whose first segment holds no colon.
_UNRESERVED = r"A-Za-z0-9\-._~!$&'()*+,;="
_URI = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*):|(?![^/?#]*:))"
    rf"(?://(?:{_run(_UNRESERVED + ':')}@)?(?:\[[0-9A-Fa-fv.:]+\]|{_run(_UNRESERVED)})(?::[0-9]*)?(?=[/?#]|\Z)|(?!//))"
    rf"{_run(_UNRESERVED + ':@/')}(?:\?{_run(_UNRESERVED + ':@/?')})?(?:#{_run(_UNRESERVED + ':@/?')})?\Z"
)
# The specification's String type forbids control characters and what Unicode calls non-characters: 32 in one row, and
# the last two of each of the 17 planes.
_LAST_TWO = "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
_FORBIDDEN = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_LAST_TWO}]")


class NotACloudEvent(ValueError):  # noqa: N818 - errors name the fact
    """The bytes are no valid CloudEvent.

    Attributes:
        attribute: The attribute that breaks a rule, or None where the whole is none.
        rule: The rule, with the kind of value and never the value.
    """

    def __init__(self, attribute: str | None, rule: str) -> None:
        """Keep both parts; the text joins them."""
        super().__init__(f"{attribute}: {rule}" if attribute else rule)
        self.attribute = attribute
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """One event.

    Attributes:
        id: Unique within `source`.
        source: URI reference.
        type: What happened.
        subject: What it happened to.
        time: When, with offset, in UTC where it was read; microseconds at the finest.
        datacontenttype: RFC 2046 media type of `data`.
        dataschema: Absolute URI.
        extensions: Name → text, 32-bit integer or truth value; no name of the specification's own.
        data: JSON value, or bytes; None where there is none or where it is JSON's null.
    """

    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)
    data: Any = None


def decode(body: bytes, content_type: str | None, headers: Mapping[str, object]) -> CloudEvent:
    """Read an event in structured mode or, where the headers carry its attributes, in binary mode.

    A body that merely looks like an event under ``application/json`` is none: the media type is what says so.

    Args:
        body: As received.
        content_type: As received, parameters included.
        headers: As received; only those of binary mode are read.

    Raises:
        NotACloudEvent: It breaks a rule of the specification, or is over `MAX_BYTES`.
    """
    if len(body) > MAX_BYTES:
        raise NotACloudEvent(None, f"{len(body)} bytes, and an event has {MAX_BYTES} at the most")
    if is_structured(content_type):
        return from_json(_json(body))
    attributes = _binary(headers)
    if not attributes:
        raise NotACloudEvent(None, f"neither the content type {STRUCTURED} nor the headers of binary mode")
    return _with_body(attributes, body, content_type)


def is_structured(content_type: str | None) -> bool:
    """Whether all of an event stands in its body: attributes and data."""
    return (content_type or "").partition(";")[0].strip().lower() == STRUCTURED


def decode_batch(body: bytes) -> Sequence[CloudEvent]:
    """Read a JSON batch: an array of events in structured mode.

    Raises:
        NotACloudEvent: It is no array, or one of its events is invalid.
    """
    events = _json(body)
    if not isinstance(events, list):
        raise NotACloudEvent(None, "a batch is a JSON array")
    return tuple(from_json(event) for event in events)


def encode(event: CloudEvent) -> bytes:
    """Write an event in structured mode, as compact UTF-8 JSON.

    Raises:
        NotACloudEvent: The event itself breaks a rule.
    """
    if not _CORE.isdisjoint(event.extensions):
        raise NotACloudEvent("extension", "must not bear the name of one of the specification's own attributes")
    members: dict[str, Any] = {"specversion": "1.0"}
    for name in (*_REQUIRED, *_OPTIONAL):
        value = getattr(event, name)
        if value is not None:
            members[name] = _written(value) if isinstance(value, datetime) else value
    members.update(event.extensions)
    if isinstance(event.data, bytes):
        members["data_base64"] = base64.b64encode(event.data).decode("ascii")
    elif event.data is not None:
        members["data"] = event.data
    from_json(members)
    return _json_text(members)


def from_json(members: Any) -> CloudEvent:
    """The event in a JSON object that was read already.

    Raises:
        NotACloudEvent: It breaks a rule of the specification.
    """
    if not isinstance(members, dict):
        raise NotACloudEvent(None, f"an event is a JSON object, not {_kind(members)}")
    if "data_base64" not in members:
        return _event(members, members.get("data"))
    if "data" in members:
        raise NotACloudEvent("data_base64", "stands beside data, and only one of them may")
    return _event(members, _bytes(members["data_base64"]))


def _event(members: Mapping[str, Any], data: Any) -> CloudEvent:
    if members.get("specversion") != "1.0":
        raise NotACloudEvent("specversion", "must be the text 1.0")
    values = {name: _text(members, name, required=True) for name in _REQUIRED}
    values |= {name: _text(members, name, required=False) for name in _OPTIONAL}
    _uris(values)
    extensions = {
        name: _extension(name, value) for name, value in members.items() if name not in _CORE and value is not None
    }
    if values["datacontenttype"] is not None and not _MEDIA.match(values["datacontenttype"]):
        raise NotACloudEvent("datacontenttype", "must be a media type (RFC 2046)")
    time = None if values["time"] is None else _read_time(values["time"])
    return CloudEvent(**{**values, "time": time}, extensions=extensions, data=data)


def _text(members: Mapping[str, Any], name: str, *, required: bool) -> Any:
    value = members.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value:
        raise NotACloudEvent(name, f"must be a text that is not empty, not {_kind(value)}")
    if not _clean(value):
        raise NotACloudEvent(name, "must not hold control characters or non-characters")
    return value


def _clean(text: str) -> bool:
    # Nearly every text is plain ASCII, which is seen in a tenth of the time.
    return (text.isascii() and text.isprintable()) or not _FORBIDDEN.search(text)


def _uris(values: Mapping[str, Any]) -> None:
    if not _URI.match(values["source"]):
        raise NotACloudEvent("source", "must be a URI reference (RFC 3986)")
    schema = values["dataschema"]
    if schema is None:
        return
    match = _URI.match(schema)
    if match is None or match["scheme"] is None:
        raise NotACloudEvent("dataschema", "must be an absolute URI (RFC 3986)")


def _extension(name: str, value: Any) -> str | int | bool:
    if not _NAME.match(name):
        raise NotACloudEvent("extension", "a name must be of the letters a to z and digits only")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -_INT32 <= value < _INT32:
            raise NotACloudEvent(_shown(name), "an integer must fit 32 bits")
        return value
    if not isinstance(value, str):
        raise NotACloudEvent(_shown(name), f"must be a text, an integer or a truth value, not {_kind(value)}")
    if not _clean(value):
        raise NotACloudEvent(_shown(name), "must not hold control characters or non-characters")
    return value


def _shown(name: str) -> str:
    """The name for an error, unless it could be anything: it comes from outside."""
    return name if len(name) <= _NAME_LENGTH and _NAME.match(name) else "extension"


def _read_time(text: str) -> datetime:
    match = _TIME.match(text)
    if not match:
        raise NotACloudEvent("time", "must be a date and time with offset (RFC 3339)")
    day, clock, fraction, offset = match.group(1, 2, 3, 4)
    micros = (fraction or ".0")[1:7].ljust(6, "0")
    zone = "+00:00" if offset in "Zz" else offset
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{micros}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotACloudEvent("time", "must be a date and time that exist, in the years 1 to 9999 of UTC") from None


def _written(time: datetime) -> str:
    if time.utcoffset() is None:
        raise NotACloudEvent("time", "must have an offset")
    try:
        return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise NotACloudEvent("time", "must lie in the years 1 to 9999 of UTC") from None


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise NotACloudEvent("data_base64", f"must be a text, not {_kind(value)}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise NotACloudEvent("data_base64", "must be base64 (RFC 4648)") from None


def _json(body: bytes, *, depth: int = strictjson.MAX_DEPTH) -> Any:
    try:
        return strictjson.loads(body, depth=depth)
    except strictjson.NotStrict as error:
        raise NotACloudEvent(None, str(error)) from None


def _json_text(members: Mapping[str, Any]) -> bytes:
    try:
        return strictjson.dumps(members)
    except strictjson.NotStrict as error:
        raise NotACloudEvent(None, str(error)) from None
    except TypeError:
        raise NotACloudEvent("data", "must be of JSON's values, or bytes") from None


def _binary(headers: Mapping[str, object]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for header, value in headers.items():
        prefix = next((p for p in PREFIXES if header[: len(p)].lower() == p.lower()), None)
        if prefix is None:
            continue
        name = header[len(prefix) :].lower()
        if name in attributes:
            raise NotACloudEvent(_shown(name), "stands in the headers twice")
        attributes[name] = _header(name, value)
    return attributes


def _header(name: str, value: object) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise NotACloudEvent(_shown(name), "must be UTF-8") from None
    if isinstance(value, datetime):
        return _written(value if value.tzinfo else value.replace(tzinfo=UTC))
    if name == "time" and type(value) is int:
        return _written(_at(value))
    return value


def _at(milliseconds: int) -> datetime:
    # The Python SDK's AMQP binding writes a timestamp as a whole number: AMQP 1.0 counts milliseconds since 1970.
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise NotACloudEvent("time", "must lie in the years 1 to 9999 of UTC") from None


def _with_body(attributes: dict[str, Any], body: bytes, content_type: str | None) -> CloudEvent:
    for name in ("data", "data_base64", "datacontenttype"):
        if name in attributes:
            raise NotACloudEvent(name, "is no header of binary mode")
    if content_type:
        attributes["datacontenttype"] = content_type
    media = (content_type or "").partition(";")[0].strip().lower()
    json_body = media.endswith(("/json", "+json"))
    data: Any = None
    if body:
        # In structured mode it stands one level deeper, and what is read here must be writable there.
        data = _json(body, depth=strictjson.MAX_DEPTH - 1) if json_body else body
    return _event(attributes, data)


def _kind(value: Any) -> str:
    kinds = {str: "a text", bool: "a truth value", int: "an integer", float: "a number", list: "an array"}
    return "nothing" if value is None else kinds.get(type(value), "an object")
