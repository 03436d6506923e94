"""Links, the hub, a school's broker and store are away under load, for longer than retries last."""

from __future__ import annotations

import time
from pathlib import Path

from load import Load
from parts import Parts
from tally import Tally

from chassis.testing_live import eventually

AWAY_SECONDS = 12
"""Longer than the four steps of the ladder together, as conftest.py sets them."""


def away() -> None:
    """The time for which something is away."""
    time.sleep(AWAY_SECONDS)


def test_nothing_is_lost_or_applied_twice_whatever_is_away(whole: Parts, tally: Tally, tmp_path: Path) -> None:
    sites = whole.region.sites
    load = Load(whole, tmp_path, "outages")
    load.start()
    eventually(lambda: load.confirmed > 20, what="the load")

    for code in ("seamk", "sedu"):
        whole.cables[code].cut()
    away()
    for code in ("seamk", "sedu"):
        whole.cables[code].mend()

    sites.hub.broker.stop()
    away()
    sites.hub.broker.start()

    # Until both ends miss each other's heartbeats and give up.
    whole.cables["kunta"].hang()
    sites.parts["seamk"].broker.kill()
    away()
    sites.parts["seamk"].broker.start()

    sites.parts["sedu"].store.kill()
    away()
    sites.parts["sedu"].store.start()

    for running in whole.region.services:
        if running.service in {"referral", "catalogue"}:
            running.process.kill()
            running.process.start()
    whole.cables["kunta"].mend()
    for _ in range(5):
        for cable in whole.cables.values():
            cable.jolt()
        time.sleep(1)

    load.stop()
    verdict = load.judge()
    tally.ledger(len(verdict.lost), len(verdict.twice), len(verdict.stuck))
    tally.note(f"outages: {verdict.sent:,} events and commands confirmed, each compared with the stores")
    assert verdict.texts == [], "\n".join(verdict.texts)
