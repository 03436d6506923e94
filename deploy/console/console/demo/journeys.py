"""Every client's journey, read back over HTTP from the home's services, and checked."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.api import Api, eventually
from console.reach import Reach

HOME = "kunta"
EVERYBODY_HEARS = ("profile-proposed", "plan-", "match-suggested", "referral-accepted")
"""Steps of which each client's coach must have had a mail."""


@dataclass(frozen=True, slots=True)
class Home:
    """The home's services, as its coach reaches them."""

    intake: Api
    assessment: Api
    catalogue: Api
    referral: Api
    notify: Api

    @classmethod
    def of(cls, reach: Reach) -> Home:
        """The home's services of a running network."""
        return cls(*(reach.api(HOME, s, "coach") for s in ("intake", "assessment", "catalogue", "referral", "notify")))


def read(home: Home, client: str) -> dict[str, Any]:
    """One client's journey, from all five services."""
    summary = next(c for c in home.intake.lines("/v1/clients") if c["id"] == client)
    language = summary["language"]
    plan = home.assessment.get(f"/v1/plans/{client}")
    match = home.catalogue.get(f"/v1/matches/{client}", language=language)
    referrals = home.referral.get("/v1/referrals", client=client)
    return {
        "client": client,
        "reference": summary["reference"],
        "language": language,
        "goal": _worded((plan.get("goal") or {}).get("labels"), language),
        "skills": [_worded(skill["labels"], language) for skill in plan["confirmed"]],
        "gaps": [_worded(gap["labels"], language) for gap in plan["gaps"]],
        "suggestions": [_suggestion(suggestion, language) for suggestion in match["suggestions"]],
        "mails": [letter for letter in _letters(home, client) if letter["status"] == "delivered"],
        "referrals": [{"to": r["receiver"], "status": r["status"], "reason": r.get("reason")} for r in referrals],
    }


def delivered(home: Home, client: str, steps: Sequence[str]) -> bool:
    """Wait until every step's mail is delivered; whether it was."""

    def missing() -> list[str]:
        done = [letter["template"] for letter in _letters(home, client) if letter["status"] == "delivered"]
        return [step for step in steps if not any(template.startswith(step) for template in done)]

    return bool(eventually(lambda: not missing(), what=f"the mails of client {client}"))


def faults(journeys: Sequence[Mapping[str, Any]], maildir: Path) -> Iterator[str]:
    """What is missing from the journeys: an acceptance, a skill, a suggestion, a mail."""
    subjects = [str(mail["Subject"]) for mail in mailbox.Maildir(maildir, create=False)]
    for journey in journeys:
        name = f"client {journey['reference']}"
        if not any(referral["status"] == "accepted" for referral in journey["referrals"]):
            yield f"{name} has no accepted referral"
        for part in ("skills", "suggestions"):
            if not journey[part]:
                yield f"{name} has no {part}"
        sent = [mail["template"] for mail in journey["mails"]]
        steps = [*EVERYBODY_HEARS, *(["referral-rejected"] if _rejected(journey) else [])]
        for step in steps:
            if not any(template.startswith(step) for template in sent):
                yield f"{name}: nobody had a mail about {step}"
        arrived = sum(journey["reference"] in subject for subject in subjects)
        if arrived < len(sent):
            yield f"{name}: {len(sent)} mails were sent and {arrived} arrived"


def _letters(home: Home, client: str) -> list[dict[str, Any]]:
    return [
        {"template": notification["template"], "to": letter["to"], "status": letter["status"]}
        for notification in home.notify.get("/v1/notifications", client=client)
        for letter in notification["letters"]
    ]


def _rejected(journey: Mapping[str, Any]) -> bool:
    return any(referral["status"] == "rejected" for referral in journey["referrals"])


def _suggestion(suggestion: Mapping[str, Any], language: str) -> str:
    return f"{_worded(suggestion['names'], language)} ({suggestion['provider']})"


def _worded(labels: Mapping[str, str] | None, language: str) -> str:
    known = labels or {}
    return next((known[code] for code in (language, "fi", "sv", "en") if known.get(code)), "")
