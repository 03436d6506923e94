"""Tokens: minted by several at once, read while they are written, and never lost to a broken file."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from chassis.tokens import Bearer, Tokens, mint, renew

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def bearer(person: str = "kunta-1", *, expires: datetime = NOW + timedelta(hours=1)) -> Bearer:
    return Bearer(organisation="kunta", person=person, roles=frozenset({"coach"}), expires=expires)


def test_a_minted_token_is_known_until_it_expires_and_stands_nowhere_in_clear(file: Path) -> None:
    token = mint(file, [bearer()])[0]
    tokens = Tokens(file)

    assert tokens.bearer(token, NOW) == bearer()
    assert tokens.bearer(token, NOW + timedelta(hours=1)) is None
    assert tokens.bearer("another", NOW) is None
    assert token not in file.read_text()


def test_renewed_tokens_stand_beside_the_old_ones_until_these_end_and_others_stay(file: Path) -> None:
    old, soon, other = mint(
        file, [bearer("kunta-1"), bearer("kunta-2", expires=NOW + timedelta(minutes=1)), bearer("kunta-3")]
    )

    new = renew(file, [old, soon], [bearer("kunta-1")], NOW + timedelta(minutes=30))[0]

    tokens = Tokens(file)
    minutes = {"old": old, "soon": soon, "other": other, "new": new}
    ends = {name: known.expires - NOW for name, token in minutes.items() if (known := tokens.bearer(token, NOW))}
    assert ends == {
        "old": timedelta(minutes=30),
        "soon": timedelta(minutes=1),
        "other": timedelta(hours=1),
        "new": timedelta(hours=1),
    }


def test_many_may_mint_at_once_and_no_token_is_lost(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        minted = list(pool.map(lambda n: mint(file, [bearer(f"kunta-{n}")])[0], range(40)))

    tokens = Tokens(file)
    known = [tokens.bearer(token, NOW) for token in minted]
    assert known == [bearer(f"kunta-{n}") for n in range(40)]
    assert [path.name for path in file.parent.iterdir()] == ["tokens.json"]


def test_a_running_service_learns_new_tokens_and_forgets_those_taken_away(file: Path) -> None:
    first = mint(file, [bearer()])[0]
    tokens = Tokens(file)
    before = tokens.bearer(first, NOW)
    second = mint(file, [bearer("kunta-2")])[0]
    both = [tokens.bearer(token, NOW) for token in (first, second)]
    file.unlink()

    assert (before, both) == (bearer(), [bearer(), bearer("kunta-2")])
    assert tokens.bearer(second, NOW) is None


@pytest.mark.parametrize(
    "broken",
    [
        "",
        '{"half',
        "[]",
        '{"x": 5}',
        '{"x": {}}',
        "[" * 5000,
        json.dumps({"x": {"organisation": "kunta", "person": "k", "roles": [], "expires": "2030-01-01T00:00:00"}}),
        json.dumps({"x": {"organisation": "kunta", "person": "k", "roles": 5, "expires": "2030-01-01T00:00:00Z"}}),
    ],
)
def test_a_broken_file_locks_nobody_out_and_is_told_once(file: Path, broken: str) -> None:
    token = mint(file, [bearer()])[0]
    tokens = Tokens(file)
    tokens.bearer(token, NOW)

    with capture_logs() as lines:
        file.write_text(broken)
        os.utime(file, ns=(1, 1))
        seen = [tokens.bearer(token, NOW) for _ in range(3)]

    assert seen == [bearer()] * 3
    assert [line["event"] for line in lines] == ["tokens.broken"]


def test_nothing_is_minted_into_a_broken_file(file: Path) -> None:
    file.write_text('{"half')

    with pytest.raises(ValueError, match=r"tokens\.json must hold tokens"):
        mint(file, [bearer()])

    assert file.read_text() == '{"half'
