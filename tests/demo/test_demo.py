"""The main job as one test: the whole day on real parts, and what it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chassis.testing_live import eventually

ROOT = Path(__file__).parent.parent.parent
VIISIKKO = str(Path(sys.executable).with_name("viisikko"))
STATUSES = {"requested", "accepted", "rejected", "cancelled", "in-progress", "on-hold", "completed", "failed"}


def left_running(folder: Path) -> list[str]:
    """Command lines of processes that still know a demo's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in told and entry.name != str(os.getpid()):
            found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that has deploy/ as a clone has, so that the demo plays in a .viisikko of its own."""
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    return tmp_path


@pytest.mark.timeout(240)
def test_a_whole_day_ends_with_an_accepted_referral_for_every_client(place: Path) -> None:
    ended = subprocess.run(
        [VIISIKKO, "demo", "--json"], cwd=place, capture_output=True, text=True, timeout=220, check=False
    )

    assert ended.returncode == 0, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    assert set(result) == {"clients", "rejected_rows", "events", "parked", "seconds", "journeys"}
    assert (result["clients"], result["rejected_rows"], result["parked"]) == (12, 2, 0)
    assert len(result["journeys"]) == 12
    for journey in result["journeys"]:
        assert journey["skills"]
        assert journey["suggestions"]
        assert journey["mails"]
        assert {r["status"] for r in journey["referrals"]} <= STATUSES
        assert "accepted" in [r["status"] for r in journey["referrals"]]
    rerouted = [j["referrals"] for j in result["journeys"] if len(j["referrals"]) > 1]
    assert [(r[0]["status"], r[0]["reason"], r[1]["status"]) for r in rerouted] == [
        ("rejected", "no-capacity", "accepted")
    ]
    assert len({r["to"] for j in result["journeys"] for r in j["referrals"]}) == 6
    assert left_running(place) == []


@pytest.mark.timeout(120)
def test_an_interrupted_day_leaves_nothing_behind(place: Path) -> None:
    process = subprocess.Popen([VIISIKKO, "demo"], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually((place / ".viisikko" / "demo" / "logs").exists, seconds=60, what="the first service's log")

    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 130
    assert left_running(place) == []


def test_a_missing_folder_of_data_is_an_error_with_the_next_step(place: Path) -> None:
    ended = subprocess.run(
        [VIISIKKO, "demo", "--data", "nowhere"], cwd=place, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 2
    assert "nowhere" in ended.stderr
    assert "Traceback" not in ended.stderr
