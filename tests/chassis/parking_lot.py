"""What the tests of a parking lot share: an operator, and a look into the lot."""

from __future__ import annotations

from typing import Any

from chassis.parked import Asker
from chassis.selection import ActionSchema
from chassis.testing_live import Workshop

ANN = Asker(person="kunta-operator", key="k-1")


def act(workshop: Workshop, what: str, asker: Asker = ANN, **body: Any) -> dict[str, Any]:
    return getattr(workshop.floor.parked, what)(ActionSchema().load(body or {"all": True}), asker)  # type: ignore[no-any-return]


def lot(workshop: Workshop) -> list[dict[str, Any]]:
    return list(workshop.floor.home.database["parked"].find().sort([("first", 1), ("_id", 1)]))


def audit(workshop: Workshop) -> list[tuple[str, str | None, str | None]]:
    lines = workshop.floor.home.database["parked_audit"].find().sort([("at", 1), ("_id", 1)])
    return [(line["what"], line["person"], line.get("how")) for line in lines]
