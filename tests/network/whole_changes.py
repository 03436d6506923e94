"""An organisation joins, others rotate, and it leaves, while load runs."""

from __future__ import annotations

from pathlib import Path

from load import Load
from parts import Parts
from tally import Tally
from typer.testing import CliRunner

from chassis import network
from chassis.testing_live import eventually
from console.main import app

UCS = """
[organisations.ucs]
names = { fi = "Seinäjoen yliopistokeskus" }
joins = "own"
runs = ["catalogue"]
addresses = ["kunta"]
municipality = "743"
"""


def become(whole: Parts, text: str) -> list[str]:
    """Let the running network be what another file says."""
    whole.file.write_text(text)
    return whole.region.change(network.read(whole.file).network)


def rotate(whole: Parts, code: str) -> None:
    """New keys, tokens and passwords for one organisation, as its administrator asks for them."""
    told = CliRunner().invoke(
        app, ["rotate", code, "--folder", str(whole.region.folder.path), "--network", str(whole.file)]
    )
    assert told.exit_code == 0, told.output


def test_nothing_is_lost_while_an_organisation_joins_others_rotate_and_it_leaves(
    whole: Parts, tally: Tally, tmp_path: Path
) -> None:
    before = whole.file.read_text()
    load = Load(whole, tmp_path, "changes")
    load.start()
    eventually(lambda: load.confirmed > 20, what="the load")

    become(whole, before + UCS)
    api = whole.reach.api("ucs", "catalogue", "operator")
    eventually(lambda: any(api.lines("/v1/offerings", provider="sedu")), seconds=60, what="offerings at the new part")
    for code in ("sedu", "seamk", "epky", "kunta"):
        rotate(whole, code)
    for cable in whole.cables.values():
        # A password that a link does not have would only be missed at its next connection.
        cable.jolt()
    done = become(whole, before)

    load.stop()
    verdict = load.judge()
    tally.ledger(len(verdict.lost), len(verdict.twice), len(verdict.stuck))
    tally.note(f"join, rotate, leave: {verdict.sent:,} events and commands confirmed, each compared with the stores")
    assert "ucs: leaves, and its last events are at the hub" in done
    assert "ucs: what waited for it at the hub lies on its own broker now, unread" in done
    assert verdict.texts == [], "\n".join(verdict.texts)
