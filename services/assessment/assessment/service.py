"""The nameko class of assessment: wiring only; what it does stands in handlers.py."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import eventlet
from werkzeug.wrappers import Response

from assessment import events, handlers, store
from assessment.adapters import page, upload
from assessment.domain import ATTRIBUTION, Case, NoCase, NoPlan, Plan
from assessment.handlers import Reads
from assessment.schemas import (
    OccupationFound,
    PlanQuery,
    ProfileQuery,
    SearchQuery,
    SkillFound,
    UploadShown,
    VocabularyShown,
)
from assessment.vocabulary import Counts, Found
from chassis.logs import log
from chassis.service import Service
from chassis.settings import count, setting
from chassis.web import NDJSON, Answer, Request, command, get, post

TEXT = "text/plain; charset=utf-8"

PAGE_BYTES = 16 * 2**20
"""A page of an uploaded vocabulary at the most."""

FOLLOW_SECONDS = 5
"""How often it is looked whether another replica has taken in another vocabulary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of assessment besides the chassis's."""

    review_days: int = setting("VIISIKKO_REVIEW_DAYS", count, default=90)


class Assessment(Service):
    """Turns clients' own words into skills, and their answers into a plan."""

    name = "assessment"
    handlers = handlers.on
    queries = store.Queries
    settings = Settings

    def reads(self) -> Reads:
        """The view of one batch."""
        return Reads(
            network=self.network,
            vocabulary=self.store.vocabulary(),
            review_days=self.own_settings.review_days,
        )

    def opened(self) -> None:
        """Keep the vocabulary in memory the one that the store says is in use."""
        eventlet.spawn(self._follow)

    revise_plan = command("POST", "/v1/plans/{client}", name="revise-plan", roles={"coach", "assessor"})

    @get(
        "/v1/plans/{client}",
        roles={"coach", "assessor"},
        query=PlanQuery,
        answers=[Answer(schema=events.PlanShown), Answer(media=TEXT)],
    )
    def show_plan(self, request: Request) -> Any:
        """The newest plan, or the version in ``?version=``; as JSON, or as a page where text/plain is asked for."""
        case = self._case(request)
        plan = _version(case, request.query.get("version"))
        told = events.told(case, plan, self.store.vocabulary())
        if "text/plain" in request.headers.get("Accept", ""):
            labels = {
                step.skill: events.labels(step.skill, self.store.vocabulary()) for step in plan.steps if step.skill
            }
            return Response(page.write(told, labels), content_type=TEXT)
        versions = [*(one.version for one in case.earlier), *([case.plan.version] if case.plan else [])]
        return {**events.PlanSaid().dump(told), "made": plan.made.isoformat(), "versions": versions}

    @get(
        "/v1/profiles/{client}",
        roles={"coach", "assessor"},
        personal=True,
        query=ProfileQuery,
        answers=[Answer(schema=events.ProfileShown)],
    )
    def show_profile(self, request: Request) -> Mapping[str, Any]:
        """What was found in the client's words, each with the words quoted, and what the client said to it."""
        case = self._case(request)
        proposed = events.ProfileProposed().dump(events.proposed(case, self.store.vocabulary()))
        for proposal in proposed["proposals"]:
            proposal["words"] = [
                (case.words or "")[place["offset"] : place["offset"] + place["length"]]
                for place in proposal["evidence"]
            ]
        confirmed = [asdict(one) for one in case.confirmed]
        return {**proposed, "answered": case.answered, "confirmed": confirmed, "rejected": list(case.rejected)}

    @get("/v1/skills", query=SearchQuery, answers=[Answer(schema=SkillFound, many=True)])
    def find_skills(self, request: Request) -> list[Mapping[str, Any]]:
        """Skills for ``?text=&language=``, best first."""
        found = self.store.vocabulary().find_skills(**request.query)
        return [_found("skill", one) for one in found]

    @get("/v1/occupations", query=SearchQuery, answers=[Answer(schema=OccupationFound, many=True)])
    def find_occupations(self, request: Request) -> list[Mapping[str, Any]]:
        """Occupations for ``?text=&language=``, best first."""
        found = self.store.vocabulary().find_occupations(**request.query)
        return [_found("occupation", one) for one in found]

    @get("/v1/vocabulary", answers=[Answer(schema=VocabularyShown)])
    def show_vocabulary(self, _request: Request) -> Mapping[str, Any]:
        """How much the vocabulary in use holds, and where it comes from."""
        return _counted(self.store.vocabulary().counts)

    @post(
        "/v1/vocabulary",
        roles={"operator"},
        limit=PAGE_BYTES,
        body=NDJSON,
        answers=[Answer(schema=UploadShown)],
    )
    def upload_vocabulary(self, request: Request) -> Mapping[str, Any]:
        """Take in one page of another vocabulary; with the last one it is in use before the answer comes."""
        generation = hashlib.sha256(request.key.encode()).hexdigest()[:16]
        progress = self.store.receive(upload.read(request.body), generation)
        if progress.complete:
            return {**_counted(self.store.refresh().counts), "complete": True}
        return {"received": progress.received, "complete": False}

    def _follow(self) -> None:
        while True:
            try:
                self.store.refresh()
            except Exception as error:  # noqa: BLE001 - whatever it is, the vocabulary in memory serves on
                log.warning("vocabulary.refresh", error=error)
            eventlet.sleep(FOLLOW_SECONDS)

    def _case(self, request: Request) -> Case:
        """The case of a path's client, of ``?home=`` or of the own organisation.

        Raises:
            NoCase: There is none.
        """
        home = request.query.get("home", self.organisation)
        found: Case | None = self.state("case", handlers.case_id(home, request.path["client"]))
        if found is None:
            raise NoCase("client: nothing is known here of this client; another home's client is found with ?home=")
        return found


def _version(case: Case, wanted: int | None) -> Plan:
    """The newest plan, or the version that is asked for.

    Raises:
        NoPlan: There is none, or not in that version.
    """
    plans = [*case.earlier, case.plan] if case.plan else []
    found = plans[-1:] if wanted is None else [one for one in plans if one.version == wanted]
    if not found:
        versions = (
            f"versions are {', '.join(str(one.version) for one in plans)}" if plans else "the client has not answered"
        )
        raise NoPlan(f"plan: there is none; {versions}")
    return found[0]


def _found(kind: str, one: Found) -> Mapping[str, Any]:
    return {kind: one.uri, "labels": dict(one.labels), "score": round(one.score, 2)}


def _counted(counts: Counts) -> Mapping[str, Any]:
    return {**asdict(counts), "attribution": ATTRIBUTION}
