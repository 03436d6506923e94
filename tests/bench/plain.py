"""What a program without any checks does with the events: the state that they lead to, and the event that follows.

The floor writes it in the chassis's own layout; the rivals write the state and a mark.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bench.workload import OTHER, OWN, SOURCE, Published, decoded

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Document = dict[str, Any]


def state_after(state: Document | None, event: Document) -> Document:
    """A referral's state after an event; None is a referral that is not there yet."""
    data = event["data"]
    if state is not None:
        return state | {"business_status": data["businessStatus"]}
    return {
        "id": event["subject"],
        "sender": data["sender"],
        "receiver": data["receiver"],
        "client": event["correlationid"],
        "offering": data["offering"],
        "offering_names": {},
        "goal": data["goal"],
        "language": "fi",
        "confirmed_skills": [],
        "sender_staff": data["responsible"]["sender"],
        "receiver_staff": "kunta-1",
        "status": "accepted",
        "ended_by": None,
        "business_status": None,
        "reason": None,
        "reason_text": None,
        "outcomes": [],
        "based_on": [],
        "note": None,
        "rerouted_to": None,
        "next": None,
        "contact": None,
    }


def answer(event: Document, state: Document, version: int) -> tuple[str, bytes]:
    """Routing key and body of the event that follows."""
    verb = "accepted" if version == 1 else "progressed"
    made = uuid.uuid4()
    body = {
        "specversion": "1.0",
        "id": str(made),
        "source": f"urn:viisikko:{OWN}:referral",
        "type": f"fi.viisikko.referral.{verb}.v1",
        "subject": state["id"],
        "time": _now().isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "destination": OTHER,
        "dataclassification": "pseudonymous",
        "sequence": f"{version:010d}",
        "correlationid": state["client"],
        "causationid": event["id"],
        "traceparent": f"00-{made.hex}-{made.hex[16:]}-01",
        "data": {
            "sender": state["sender"],
            "receiver": state["receiver"],
            "offering": state["offering"],
            "offeringNames": state["offering_names"],
            "goal": state["goal"],
            "language": state["language"],
            "confirmedSkills": state["confirmed_skills"],
            "responsible": {"sender": state["sender_staff"], "receiver": state["receiver_staff"]},
            "status": state["status"],
            "businessStatus": state["business_status"],
            "reason": state["reason"],
            "reasonText": state["reason_text"],
            "outcomes": state["outcomes"],
            "basedOn": state["based_on"],
            "note": state["note"],
        },
    }
    return f"referral.{verb}.{OWN}.{OTHER}", json.dumps(body, separators=(",", ":")).encode()


def identifier(event: Document) -> str:
    """The id of the document that an event is about."""
    return f"{event['data']['sender']}/{event['subject']}"


def document_after(stored: Document | None, event: Document) -> Document:
    """The referral's document in the chassis's layout after an event."""
    now = _now()
    version = stored["version"] + 1 if stored else 1
    entry = {
        "at": now.isoformat(),
        "name": event["type"].removeprefix("fi.viisikko.").removesuffix(".v1"),
        "by": OTHER,
        "event": event["id"],
        "version": version,
    }
    micros = int(datetime.fromisoformat(event["time"]).timestamp() * 1_000_000)
    return {
        "_id": identifier(event),
        "schema": 1,
        "version": version,
        "state": state_after(stored["state"] if stored else None, event),
        "history": [*(stored["history"] if stored else ()), entry],
        "timers": {},
        "seen": {**(stored["seen"] if stored else {}), _mark(SOURCE, event["id"]): (now - EPOCH).days},
        "streams": {
            _mark(SOURCE, f"{event['subject']}\0referral"): {"t": micros, "n": int(event["sequence"])},
        },
    }


def entry_of(event: Document, document: Document) -> Document:
    """The entry in the outbox for the event that follows."""
    key, body = answer(event, document["state"], document["version"])
    return {
        "exchange": "network.events",
        "key": key,
        "body": body,
        "aggregate": f"referral/{document['_id']}",
        "version": document["version"],
        "origin": "",
    }


def documents_of(events: Iterable[Published]) -> list[Document]:
    """The documents that the first events of some referrals lead to."""
    return [document_after(None, decoded(event.body)) for event in events]


def _mark(source: str, text: str) -> str:
    return hashlib.sha256(f"{source}\0{text}".encode()).digest()[:12].hex()


def _now() -> datetime:
    return datetime.now(UTC)
