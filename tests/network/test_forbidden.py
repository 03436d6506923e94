"""What guests and own parts must not do at a broker, in the short network; `make network` tries it in the whole one."""

from __future__ import annotations

import pytest
from broker_acts import broker_acts
from forbidden import Member, Outcome, attempt, entered, members, table
from parts import Parts


@pytest.fixture
def everybody(parts: Parts) -> dict[str, Member]:
    return {member.kind: member for member in members(parts, guest="epky", part="sedu", other="verkko")}


@pytest.mark.parametrize("kind", ["guest", "own part, at the hub", "own part, at home"])
def test_the_broker_refuses_what_is_forbidden(kind: str, everybody: dict[str, Member]) -> None:
    with entered(everybody[kind]) as entry:
        found = list(attempt(entry, broker_acts(everybody[kind])))

    assert [one for one in found if not one.refused] == [], table(found)


def test_the_table_names_each_act_with_its_answers_and_who_got_them() -> None:
    no_act = "publish in another's name"
    refused = [Outcome(kind, no_act, refused=True, answer="403 ACCESS_REFUSED") for kind in ("guest", "own part")]

    told = table([*refused, Outcome("guest", "purge", refused=False, answer="nothing refused it")])

    rows = [line for line in told.splitlines() if no_act in line or "purge" in line]
    assert ["all kinds" in rows[0], "ACCESS_REFUSED" in rows[0]] == [True, True]
    assert ["guest" in rows[1], "NOT REFUSED" in rows[1]] == [True, True]
