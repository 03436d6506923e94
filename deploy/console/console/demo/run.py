"""Plays the day in a folder of its own, and says how it ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from chassis import network as networks
from chassis.topology import UNDELIVERABLE
from console import interrupts
from console.api import Refused, TimeUp
from console.demo import journeys
from console.demo.day import Day
from console.demo.journeys import Home
from console.demo.show import Show, Witness
from console.folder import Folder
from console.reach import Reach
from console.region import Region

FOLDER = Path(".viisikko/demo")

JOURNEY = ("client", "skills", "gaps", "suggestions", "mails", "referrals")
"""What a journey's JSON has; the table shows more."""

NEXT = """
What to try next:
  make up                                           the same network, running until `make down`
  .venv/bin/viisikko tail -o kunta                  its events as they pass
  .venv/bin/viisikko clients template sheet.xlsx    the coach's spreadsheet, to fill and import
  the mails are in .viisikko/demo/mail/maildir, the contract for partners in deploy/contract"""


class Missing(RuntimeError):  # noqa: N818 - errors name the fact
    """Something of the day did not come about; the text names it."""


def play(file: Path, data: Path | None, *, quiet: bool) -> dict[str, Any]:
    """Play one day on real parts; nothing is left running, whatever happens.

    Args:
        file: network.toml.
        data: Folder of real data, or None.
        quiet: Print nothing.

    Returns:
        The result, as `viisikko demo --json` prints it.

    Raises:
        Missing: A client, event or mail is missing, or something was parked.
        NotReady: A part did not come up.
    """
    interrupts.listen()
    folder = Folder(FOLDER)
    folder.empty()
    show = Show(silent=quiet)
    started = time.monotonic()
    region = Region(networks.read(file).network, file, folder, lambda step: show.step(f"starting: {step}"))
    show.chapter("The network starts")
    try:
        region.start()
        result = _played(region, folder, data, show)
    except (TimeUp, Refused) as error:
        raise Missing(f"{error}; the logs are in {FOLDER}/logs") from None
    finally:
        interrupts.clean_up_undisturbed()
        show.chapter("The network stops")
        region.stop()
    result["seconds"] = round(time.monotonic() - started, 1)
    _last_words(show, result)
    return {
        **{name: result[name] for name in ("clients", "rejected_rows", "events", "parked", "seconds")},
        "journeys": [{name: journey[name] for name in JOURNEY} for journey in result["journeys"]],
    }


def _played(region: Region, folder: Folder, data: Path | None, show: Show) -> dict[str, Any]:
    reach = Reach.of(folder)
    witness = Witness(region.broker.uri(), show)
    witness.start()
    try:
        return _told(region, reach, data, show, witness)
    finally:
        # Before the broker goes away, which it would otherwise meet in the middle of a word.
        witness.stop()


def _told(region: Region, reach: Reach, data: Path | None, show: Show, witness: Witness) -> dict[str, Any]:
    day = Day(reach, region.network, show)
    clients = day.play(data)
    show.chapter("Every journey, read back over HTTP")
    home = Home.of(reach)
    found = [journeys.read(home, client) for client in clients]
    show.journeys(found)
    parked = [f"{name} parked {g['count']} × {g['type']}: {g['reason']}" for name, g in reach.parked() if g]
    faults = [*journeys.faults(found, Path(reach.state["mail"])), *parked, *_undelivered(region)]
    if faults:
        raise Missing("; ".join(faults))
    return {
        "clients": len(clients),
        "rejected_rows": len({refusal["row"] for refusal in day.refused}),
        "events": witness.total,
        "parked": len(parked),
        "journeys": found,
        "counts": day.counts,
    }


def _undelivered(region: Region) -> list[str]:
    with region.broker.client() as client:
        waiting = client.get(f"/api/queues/%2F/{UNDELIVERABLE}").json().get("messages", 0)
    return [f"{waiting} events were addressed to nobody's queue"] if waiting else []


def _last_words(show: Show, result: dict[str, Any]) -> None:
    show.last(
        f"\n[bold green]{result['clients']} clients, each with an accepted referral[/] · {result['events']} events · "
        f"{result['parked']} parked · {result['seconds']} s"
    )
    show.last(NEXT)
    counts = result["counts"]
    if counts:
        show.last(
            f"data: skills {counts['skills']:,} · occupations {counts['occupations']:,} · "
            f"offerings {counts['offerings']:,}"
        )
