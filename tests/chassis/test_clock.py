"""The clock: moved by a file, and never stopped by one that is broken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chassis.clock import Clock, set_offset

HOUR = timedelta(hours=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clock"


def offset(clock: Clock) -> timedelta:
    """How far the clock is moved, to the minute."""
    return timedelta(minutes=round((clock.now() - datetime.now(UTC)) / timedelta(minutes=1)))


def test_it_follows_the_file_while_it_runs(file: Path) -> None:
    clock = Clock(file)
    seen = [offset(clock)]
    for moved in (HOUR, -HOUR, timedelta(days=20)):
        set_offset(file, moved)
        seen.append(offset(clock))
    file.unlink()
    seen.append(offset(clock))

    assert seen == [timedelta(), HOUR, -HOUR, timedelta(days=20), timedelta()]


@pytest.mark.parametrize("broken", ["abc", "", "inf", "nan", "1e300", "-1e11", "1e11", "\x00", "3600 3600"])
def test_a_broken_file_leaves_it_as_it_was_and_is_told_once(file: Path, broken: str) -> None:
    clock = Clock(file)
    set_offset(file, HOUR)
    before = offset(clock)

    with capture_logs() as lines:
        file.write_text(broken)
        seen = [offset(clock) for _ in range(3)]
        set_offset(file, 2 * HOUR)
        mended = offset(clock)

    assert (before, seen, mended) == (HOUR, [HOUR] * 3, 2 * HOUR)
    assert [line["event"] for line in lines] == ["clock.broken"]


def test_a_folder_in_its_place_is_told_as_well(file: Path) -> None:
    file.mkdir()

    with capture_logs() as lines:
        assert offset(Clock(file)) == timedelta()

    assert [line["event"] for line in lines] == ["clock.broken"]


@given(st.binary(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_the_file_holds_there_is_a_time(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    with capture_logs():
        assert Clock(file).now().tzinfo is UTC
