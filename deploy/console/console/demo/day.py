"""The script of the day: staff, offerings, clients, skills, plans, suggestions, referrals, mails."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chassis.decision import Network
from console.api import Api, eventually
from console.demo import journeys, people
from console.demo.journeys import EVERYBODY_HEARS, HOME, Home
from console.demo.schools import WHY, schools
from console.demo.show import Show
from console.offerings import import_offerings
from console.reach import Reach
from console.vocabulary import upload

FORMS = {
    "seamk": ("seamk.json", "kouta"),
    "sedu": ("sedu.json", "kouta"),
    "ucs": ("ucs.json", "ooapi"),
    "epky": ("epky.csv", "csv"),
    "opisto": ("opisto.csv", "csv"),
    "kansalaisopisto": ("kansalaisopisto.csv", "csv"),
}
"""School → its example file and the form that such a school has."""

DUMPS_OF = "sedu"
"""The school under which the offerings of the dumps are imported."""

DUMPS = ("toteutus-kouta-*.json", "koulutus-kouta-[0-9]*.json", "hakukohde-kouta-*.json", "haku-kouta-*.json")
ADDED = {"fi": "ongelmanratkaisu", "sv": "problemlösning", "en": "solve problems"}
"""What each client adds of their own accord, as they would search for it."""

LONG_SECONDS = 300


class Day:
    """One day of a running network."""

    def __init__(
        self, reach: Reach, network: Network, show: Show, forms: Mapping[str, tuple[str, str]] = MappingProxyType(FORMS)
    ) -> None:
        """Begin.

        Args:
            reach: The running network.
            network: Who is in it.
            show: Where it is shown.
            forms: The schools that take part, each with its example file and that file's form.
        """
        self._reach = reach
        self._network = network
        self._show = show
        self._forms = forms
        self._home = Home.of(reach)
        self.refused: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}
        self._asked: Counter[str] = Counter()

    def play(self, data: Path | None) -> list[str]:
        """Play the day; the ids of its clients, in the sheet's order.

        Raises:
            TimeUp: Something did not come.
            Refused: A service refused what the script asks for.
        """
        self._show.chapter("Staff")
        self._show.step(f"{people.keep_staff(self._reach)} people in the directories of kunta and seamk")
        if data:
            self._vocabulary(data)
        self._offerings(data)
        clients = self._clients()
        self._assess(clients)
        self._refer([client["client"] for client in clients])
        self._mails(clients)
        return [client["client"] for client in clients]

    def _vocabulary(self, data: Path) -> None:
        self._show.chapter("The full ESCO vocabulary")
        api = self._reach.api(HOME, "assessment", "operator")
        upload(api, data / "esco", lambda sent: self._show.step(f"{sent:,} records"))
        wanted = eventually(lambda: _full(api.get("/v1/vocabulary")), what="the full vocabulary", seconds=LONG_SECONDS)
        self.counts |= {"skills": wanted["skills"], "occupations": wanted["occupations"]}
        self._show.step(f"{wanted['skills']:,} skills, {wanted['occupations']:,} occupations")

    def _offerings(self, data: Path | None) -> None:
        self._show.chapter("Offerings of the schools, each in the form that it has")
        total = 0
        for code, (name, form) in self._forms.items():
            done = import_offerings(self._reach, code, [people.FOLDER / "offerings" / name], form)
            total += done.published
            refused = f", {len(done.refused)} refused" if done.refused else ""
            self._show.step(f"{self._network.name(code, 'en')}: {done.published} from {name} ({form}){refused}")
        if data:
            total += self._dumps(data)
        for copy in self._reach.runs("catalogue"):
            api = self._reach.api(copy, "catalogue", "operator")
            self._wait_for_copy(api, copy, total)
            self._show.step(f"{total} offerings stand in the copy of {copy}")

    def _wait_for_copy(self, api: Api, copy: str, total: int) -> None:
        def complete() -> bool:
            return sum(1 for _ in api.lines("/v1/offerings")) >= total

        eventually(complete, what=f"all {total} offerings at {copy}", seconds=LONG_SECONDS)

    def _dumps(self, data: Path) -> int:
        example = people.FOLDER / "offerings" / FORMS[DUMPS_OF][0]
        dumps = [path for pattern in DUMPS for path in sorted((data / "opintopolku").glob(pattern))]
        # With the example beside them, so that what is not in the dumps is not taken for gone.
        done = import_offerings(self._reach, DUMPS_OF, [example, *dumps], FORMS[DUMPS_OF][1])
        self.counts["offerings"] = done.published
        self._show.step(
            f"the dumps of Opintopolku: {done.rows:,} rows, {done.published:,} offerings, {len(done.refused)} refused"
        )
        return done.published

    def _clients(self) -> list[dict[str, Any]]:
        self._show.chapter("A coach's spreadsheet")
        sheet = people.coach_sheet(self._reach.folder.path / "asiakkaat.xlsx")
        report = self._home.intake.upload(
            "/v1/imports", sheet.read_bytes(), content_type="application/octet-stream"
        ).json()
        self.refused = report["refused"]
        for refusal in self.refused:
            self._show.step(f"row {refusal['row']}, {refusal['column']}: {refusal['message']} ({refusal['rule']})")
        self._show.step(f"{report['accepted']} of {report['rows']} rows taken, each with a reference")
        found: list[dict[str, Any]] = report["clients"]
        return found

    def _assess(self, clients: Sequence[dict[str, Any]]) -> None:
        self._show.chapter("Skills from the client's own words, and the client's answer")
        for client in clients:
            self._answer(client["client"], client["reference"])
        for client in clients:
            self._planned(client["client"])

    def _answer(self, client: str, reference: str) -> None:
        path = f"/v1/clients/{client}/proposals"
        proposals = eventually(lambda: self._home.intake.get(path, why=WHY), what=f"proposals for client {reference}")
        skills = [proposal["skill"] for proposal in proposals]
        rejected = skills[-1:] if len(skills) > 1 else []
        added = self._search(client, skills)
        answer = {
            "confirmed": [{"skill": skill, "level": 3} for skill in skills if skill not in rejected],
            "rejected": rejected,
            "added": [{"skill": skill, "level": 2} for skill in added],
        }
        self._home.intake.post(f"/v1/clients/{client}/answers", answer)
        said = ", ".join(f"“{word}”" for proposal in proposals[:2] for word in proposal["words"][:1])
        self._show.step(f"{reference}: {len(skills)} proposed, the first from {said}; confirmed, rejected, added")

    def _search(self, client: str, known: Sequence[str]) -> list[str]:
        language = next(c["language"] for c in self._home.intake.lines("/v1/clients") if c["id"] == client)
        found = self._home.assessment.get("/v1/skills", text=ADDED[language], language=language)
        return [skill["skill"] for skill in found if skill["skill"] not in known][:1]

    def _planned(self, client: str) -> None:
        def plan() -> dict[str, Any] | None:
            found: dict[str, Any] | None = self._home.assessment.find(f"/v1/plans/{client}")
            return found if found and found["confirmed"] else None

        made = eventually(plan, what=f"the plan of client {client}")

        def match() -> bool:
            found = self._home.catalogue.find(f"/v1/matches/{client}")
            return bool(found and found["planVersion"] >= made["planVersion"] and found["suggestions"])

        eventually(match, what=f"suggestions for client {client}")

    def _refer(self, clients: Sequence[str]) -> None:
        self._show.chapter("Referrals: the coach refers, the schools answer")
        answering = schools(self._reach, list(self._forms))
        for place, client in enumerate(clients):
            referral, receiver = self._request(client)
            if place == 0:
                # One school has no room, and the client goes to the next with the history.
                answering[receiver].reject(referral, "no-capacity")
                self._settled(referral, "rejected")
                referral, receiver = self._reroute(referral)
            answering[receiver].accept(referral)
            self._settled(referral, "accepted")
            name = answering[receiver].contact(referral)
            self._show.step(f"{self._network.name(receiver, 'en')} has the name and contact ({len(name)} letters)")

    def _request(self, client: str) -> tuple[str, str]:
        def journey() -> dict[str, Any] | None:
            found: dict[str, Any] | None = self._home.referral.find(f"/v1/journeys/{client}")
            return found if found and found["planVersion"] and found["suggestions"] else None

        suggestions = eventually(journey, what=f"the journey of client {client}")["suggestions"]
        # Of what fits, the school that was asked least so far, so that the day shows all of them.
        chosen = min(suggestions, key=lambda suggestion: self._asked[suggestion["provider"]])
        self._asked[chosen["provider"]] += 1
        body = {"client": client, "offering": chosen["offering"], "receiver": chosen["provider"]}
        made = self._home.referral.post("/v1/referrals", body, key=str(uuid.uuid4()))
        return made["id"].partition("/")[2] or made["id"], chosen["provider"]

    def _reroute(self, referral: str) -> tuple[str, str]:
        done = self._home.referral.post(f"/v1/referrals/{HOME}/{referral}/reroute")
        following = done["reroutedTo"]
        path = f"/v1/referrals/{HOME}/{following}"
        found = eventually(lambda: self._home.referral.find(path), what=f"re-routed referral {following}")
        return following, found["receiver"]

    def _settled(self, referral: str, status: str) -> None:
        path = f"/v1/referrals/{HOME}/{referral}"

        def stands() -> bool:
            return bool(self._home.referral.get(path)["status"] == status)

        eventually(stands, what=f"referral {referral} {status} at home")

    def _mails(self, clients: Sequence[dict[str, Any]]) -> None:
        self._show.chapter("Mails: each step reaches the right person")
        for place, client in enumerate(clients):
            steps = [*EVERYBODY_HEARS, *(["referral-rejected"] if place == 0 else [])]
            journeys.delivered(self._home, client["client"], steps)


def _full(counts: dict[str, Any]) -> dict[str, Any] | None:
    return counts if counts["occupations"] > 1000 else None  # noqa: PLR2004 - the small vocabulary has 25
