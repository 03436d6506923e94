"""The contract for partners, generated from the services' schemas: AsyncAPI, examples, OpenAPI, a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from marshmallow import Schema

from chassis.decision import ALL, Classification, Contract
from chassis.profile import SIGNATURE_HEADER
from chassis.service import Service
from chassis.topology import EVENTS
from console import openapi
from console.jsonschemas import json_schema

VERSION = "1.0.0"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "https://viisikko.fi/contract/schemas"
"""Base of the schemas' identifiers; a name, not a place to fetch them from."""

_SIGNATURE = "Of an organisation that signs: a detached JWS over the raw body (RFC 7515, appendix F)."

ANSWERS = frozenset(
    {
        "capacity.answered",
        *(
            f"referral.{v}"
            for v in ("accepted", "rejected", "started", "held", "resumed", "completed", "failed", "progressed")
        ),
    }
)
"""Events whose examples are said by the one who was asked."""


@dataclass(frozen=True, slots=True)
class Promised:
    """One event type and the service that owns it."""

    contract: Contract
    schema: type[Schema]
    owner: str

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return f"fi.viisikko.{self.contract.name}.v{self.contract.version}"

    @property
    def key(self) -> str:
        """Its name among the AsyncAPI document's messages: the first version has no number there."""
        version = self.contract.version
        return self.contract.name if version == 1 else f"{self.contract.name}.v{version}"


class Unpromised(ValueError):  # noqa: N818 - errors name the fact
    """A handler reads an event that no service's events.py owns."""


def promised() -> list[Promised]:
    """Every event type that the installed services publish or accept, by name.

    Raises:
        Unpromised: A handler reads one that nobody owns.
    """
    services = installed()
    found = {p.key: p for name in ("chassis.parking", *(f"{s}.events" for s in services)) for p in _in(name)}
    read = {event for service in services.values() for event in service.handlers.event_names()}
    unknown = sorted(read - {p.contract.name for p in found.values()})
    if unknown:
        raise Unpromised(f"handlers read events that no events.py owns: {', '.join(unknown)}")
    return sorted(found.values(), key=lambda p: (p.contract.name, p.contract.version))


def installed() -> dict[str, type[Service]]:
    """The installed services' classes, by name."""
    return {entry.name: entry.load() for entry in sorted(entry_points(group="viisikko.services"))}


def files() -> dict[str, str]:
    """Path below deploy/contract → content of every generated file."""
    events = promised()
    written = {
        "asyncapi.json": _json(asyncapi(events)),
        "README.md": page(events),
    }
    for event in events:
        written[f"schemas/{event.type}.json"] = _json(schema(event))
        written[f"examples/{event.type}.json"] = _json(example(event))
    for name, service in installed().items():
        written[f"openapi/{name}.json"] = _json(openapi.describe(service))
    return written


def build(folder: Path, *, check: bool) -> list[str]:
    """Write the files, or say which differ.

    Args:
        folder: deploy/contract.
        check: Write nothing.

    Returns:
        Names of the files that differ from what is generated, those that should not be there included.
    """
    wanted = files()
    present = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    differ = [name for name, text in wanted.items() if name not in present or present[name].read_text("utf-8") != text]
    extra = [name for name in present if name not in wanted]
    if not check:
        for name in differ:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name], "utf-8")
        for name in extra:
            present[name].unlink()
    return sorted(differ + extra)


def schema(event: Promised) -> dict[str, Any]:
    """The JSON Schema of an event's data; of a personal event, of what is inside the JWE."""
    inner = _data_schema(event.schema)
    return {"$schema": DIALECT, "$id": f"{ID}/{event.type}.json", "title": event.type, **inner}


def example(event: Promised) -> dict[str, Any]:
    """One whole event as it stands on the wire; of a personal event, with the data before it is sealed."""
    personal = event.contract.classification is Classification.PERSONAL
    public = event.contract.classification is Classification.PUBLIC
    organisation, system, subject, destination = _said(event)
    return {
        "specversion": "1.0",
        "id": "01938a2e-7c1b-7d3e-9b1f-6a5d4c3b2a10",
        "source": f"urn:viisikko:{organisation}:{system}",
        "type": event.type,
        "subject": subject,
        "time": "2026-11-24T10:00:00Z",
        "datacontenttype": "application/jose" if personal else "application/json",
        "destination": destination,
        "sequence": "0000000001",
        **({} if public else {"correlationid": "r.7ugfimbte27yo4jdrrslqq57gtsho275"}),
        "dataclassification": str(event.contract.classification),
        "data": event.contract.example,
    }


def _said(event: Promised) -> tuple[str, str, str, str]:
    """Who says an example, from which system, about what, to whom: such as a partner could send it as it is."""
    name = event.contract.name
    provider = event.contract.example.get("provider")
    if name.startswith("offering."):
        return str(provider), "register", f"{provider}.42", ALL
    if name in ANSWERS:
        return "seamk", "register", "01938a2e-7c1b-7d3e-8b1f-000000000001", "kunta"
    system = event.owner if event.owner != "chassis" else "referral"
    return "kunta", system, "01938a2e-7c1b-7d3e-8b1f-000000000001", "seamk"


def asyncapi(events: list[Promised]) -> dict[str, Any]:
    """The AsyncAPI 3 document: one channel for each event, all on the one exchange."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Viisikko",
            "version": VERSION,
            "description": "Client and referral events of the continuous-learning network.",
            "license": {"name": "EUPL-1.2"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {event.contract.name: _channel(event, events) for event in events},
        "operations": {
            f"{kind}.{e.contract.name}": _operation(kind, e) for e in events for kind in ("send", "receive")
        },
        "components": {
            "messages": {event.key: _message(event) for event in events},
            "schemas": {event.key: _data_schema(event.schema) for event in events},
        },
    }


_PROGRAM = f"""\
## A program of your own

The hub's operator gives you an address `amqps://<code>:<password>@<host>:5671`, the certificate of the authority to
trust, and everybody's public keys, a JWK set (RFC 7517) for each organisation.

- **Publish** to `{EVENTS}`, persistent and with confirms, as `application/cloudevents+json`. `source` is
  `urn:viisikko:<code>:<system>`; `destination` and the key's last word are a code or `all`; `dataclassification` is
  `public`, `pseudonymous` or `personal`, as the table says. Send the same event again with the same `id`. A newer event
  of the same subject has a higher `sequence` (digits as a text) or, without any, a later `time`. An event has 64 KiB at
  the most. The broker answers 403 to another's name, and to whom you may not address.
- **Read** the queue `<code>.mailbox`, and acknowledge what you have kept. An event may come twice: know it by `source`
  and `id`. `source` and `destination` must agree with the third and the fourth word of the routing key.
- An answer to a referral has its `subject`; its data may be `{{}}`, or hold no more than a `reason`.
- **Sealed data** is one compact JWE (`alg` ECDH-ES with a key of curve X25519, `enc` A256GCM, `kid` of a key with `use`
  enc). Its protected header repeats the event's `id`, `source` and `subject`; where one differs, refuse it.
- `event.refused` in your mailbox names an event of yours that was parked, and why.
- Your user declares nothing. For a queue of your own, to follow what you may read, there is the user `<code>-reader`
  with the same password: it may declare what is named `<code>.reader.<anything>`.""".split("\n")


def page(events: list[Promised]) -> str:
    """The page that partners read."""
    lines = [
        "# The network's events",
        "",
        "Generated by `viisikko contract build`; do not edit. Every event is a CloudEvent 1.0 in structured mode on",
        f"the exchange `{EVENTS}`, under the routing key `<aggregate>.<verb>.<source organisation>.<destination>`.",
        "",
        "- P: public. Y: pseudonymous: a reference that only your pair of organisations knows. X: personal: `data` is",
        "  one compact JWE for the destination, and the schema applies to what is inside.",
        f"- An organisation that signs puts a detached JWS over the raw body into the header `{SIGNATURE_HEADER}`",
        "  (RFC 7515, appendix F; `alg` Ed25519 or EdDSA; `kid` of a key with `use` sig in its key set). Of such an",
        "  organisation, what is unsigned, wrongly signed or in binary mode is parked as `forged`.",
        "- Schemas are in [schemas](schemas), whole example events in [examples](examples), all of it for machines in",
        "  [asyncapi.json](asyncapi.json).",
        "- The services' HTTP, for an organisation's own programs, is described in [openapi](openapi).",
        "",
        *_PROGRAM,
        "",
        "| type | | from → to | says |",
        "|---|---|---|---|",
    ]
    letters = {Classification.PUBLIC: "P", Classification.PSEUDONYMOUS: "Y", Classification.PERSONAL: "X"}
    for event in events:
        c = event.contract
        lines.append(
            f"| [`{event.type}`](schemas/{event.type}.json) | {letters[c.classification]} | {c.route} | {c.says} |"
        )
    return "\n".join(lines) + "\n"


def _channel(event: Promised, events: Iterable[Promised]) -> dict[str, Any]:
    versions = [other.key for other in events if other.contract.name == event.contract.name]
    return {
        "address": f"{event.contract.name}.{{source}}.{{destination}}",
        "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in versions},
        "parameters": {
            "source": {"description": "Code of the organisation that speaks."},
            "destination": {"description": "Code of the organisation that is addressed, or all."},
        },
        "bindings": {"amqp": {"is": "routingKey", "exchange": {"name": EVENTS, "type": "topic", "durable": True}}},
    }


def _operation(kind: str, event: Promised) -> dict[str, Any]:
    return {
        "action": kind,
        "channel": {"$ref": f"#/channels/{event.contract.name}"},
        "summary": event.contract.says,
        "description": event.contract.route,
    }


def _message(event: Promised) -> dict[str, Any]:
    personal = event.contract.classification is Classification.PERSONAL
    sealed = {"type": "string", "description": "Compact JWE; its plaintext follows the schema of this event."}
    return {
        "name": event.type,
        "title": event.contract.name,
        "summary": event.contract.says,
        "contentType": "application/cloudevents+json",
        "headers": {"type": "object", "properties": {SIGNATURE_HEADER: {"type": "string", "description": _SIGNATURE}}},
        "payload": {
            "type": "object",
            "required": [
                "specversion",
                "id",
                "source",
                "type",
                "subject",
                "time",
                "destination",
                "dataclassification",
                "data",
            ],
            "properties": {
                "specversion": {"const": "1.0"},
                "type": {"const": event.type},
                **{name: {"type": "string"} for name in ("id", "source", "subject", "destination", "sequence")},
                "time": {"type": "string", "format": "date-time"},
                "dataclassification": {"const": str(event.contract.classification)},
                "data": sealed if personal else {"$ref": f"#/components/schemas/{event.key}"},
            },
        },
        "examples": [{"name": event.contract.name, "payload": example(event)}],
    }


def _data_schema(schema_class: type[Schema]) -> dict[str, Any]:
    # An older reader must take a newer event, so that further members are always allowed.
    return {**json_schema(schema_class), "additionalProperties": True}


def _in(module: str) -> Iterator[Promised]:
    owner = module.partition(".")[0]
    for value in vars(import_module(module)).values():
        contract = vars(value).get("contract") if isinstance(value, type) else None
        if isinstance(contract, Contract):
            yield Promised(contract, value, owner)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
