"""What each kind of member must not do, tried for real; each act is refused by the broker or by the services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from broker_acts import broker_acts
from event_acts import Forger, discard_all, event_acts, outcomes, send
from forbidden import Member, Outcome, attempt, entered, members, table
from parts import Parts
from replay_acts import replays
from tally import Tally

KINDS = ("guest", "member on the hub", "own part, at the hub", "own part, at home")
LEAST = 40
"""Acts that each kind of member tries at the least."""


@pytest.fixture(scope="module")
def tried(whole: Parts, tally: Tally) -> Iterator[list[Outcome]]:
    """What came of all acts; told to the tally."""
    found: list[Outcome] = []
    yield found
    discard_all(whole)
    tally.forbidden(sum(one.refused for one in found), len(found))
    tally.note(table(found))


@pytest.fixture(scope="module")
def everybody(whole: Parts) -> dict[str, Member]:
    found = members(whole, guest="epky", part="sedu", other="seamk", hosted="verkko")
    return {member.kind: member for member in found}


@pytest.mark.parametrize("kind", KINDS)
def test_the_broker_refuses_what_is_forbidden(kind: str, everybody: dict[str, Member], tried: list[Outcome]) -> None:
    with entered(everybody[kind]) as entry:
        found = list(attempt(entry, broker_acts(everybody[kind])))

    tried += found
    assert [one for one in found if not one.refused] == []
    assert len(found) >= LEAST


@pytest.mark.parametrize("kind", KINDS)
def test_the_services_park_what_the_broker_lets_pass(
    kind: str, whole: Parts, everybody: dict[str, Member], tried: list[Outcome]
) -> None:
    forgeries = list(event_acts(Forger(whole, everybody[kind])))

    with entered(everybody[kind]) as entry:
        send(entry, forgeries)
    found = outcomes(whole, everybody[kind], forgeries)

    tried += found
    assert [one for one in found if not one.refused] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_old_changes_nothing_when_it_comes_again(
    kind: str, whole: Parts, everybody: dict[str, Member], tried: list[Outcome]
) -> None:
    with entered(everybody[kind]) as entry:
        found = replays(whole, Forger(whole, everybody[kind]), entry)

    tried += found
    assert [one for one in found if not one.refused] == []
