"""Starting, watching, changing and ending a network on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from console.commands.options import DEFAULT_FOLDER, DEFAULT_NETWORK, FolderOption, NetworkOption
from console.commands.reached import alive, is_running, reach
from console.commands.told import FAILED, USAGE, err, out, told, write_json

if TYPE_CHECKING:
    from console.folder import Folder
    from console.reach import Standing

START_SECONDS = 150
APPLY_SECONDS = 600

app = typer.Typer()


@app.command()
def up(network: NetworkOption = DEFAULT_NETWORK, folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Start the whole network of network.toml on this machine, in the background."""
    with told():
        from console.folder import Folder

        kept = Folder(folder)
        if kept.state.exists() and alive(kept.state):
            out.print(f"The network in {folder} runs already; see [bold]viisikko status[/].")
            return
        _wait_for_start(kept, _spawn(network, folder), folder / "supervisor.log")
        _show_status(kept)
        out.print(
            "\nNext: [bold]viisikko catalogue import -o seamk FILE[/], [bold]viisikko tail[/]; "
            "stop with [bold]viisikko down[/]."
        )


@app.command()
def down(folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Stop the network that `up` started; nothing of it is left running, and its data stays."""
    with told():
        pid = reach(folder).state["supervisor"]
        os.kill(pid, signal.SIGTERM)
        with err.status("stopping"):
            while is_running(pid):
                time.sleep(0.1)
        out.print("The network is stopped; `viisikko up` starts it again with the same data.")


@app.command()
def status(folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Show every service: where it listens, whether it is ready, and what is parked."""
    with told():
        from console.folder import Folder

        _show_status(Folder(folder))


@app.command()
def apply(folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Make the running network what its network.toml says now: who joins, leaves, or may address whom."""
    with told():
        network = reach(folder)
        network.folder.applied.unlink(missing_ok=True)
        os.kill(network.state["supervisor"], signal.SIGHUP)
        deadline = time.monotonic() + APPLY_SECONDS
        with err.status("applying"):
            while not network.folder.applied.exists():
                if time.monotonic() > deadline or not alive(network.folder.state):
                    raise RuntimeError(f"the change did not end in time: read {folder / 'supervisor.log'}")
                time.sleep(0.1)
        answer = json.loads(network.folder.applied.read_text("utf-8"))
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        for line in answer["done"]:
            out.print(line, highlight=False)
        out.print("The network is as network.toml says.")


@app.command()
def demo(
    data: Annotated[
        str | None, typer.Option("--data", help="Folder of real data: the full vocabulary and all its offerings.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    network: NetworkOption = DEFAULT_NETWORK,
) -> None:
    """Play one working day of the region on real parts: from a coach's spreadsheet to accepted referrals."""
    with told():
        from console.demo.run import Missing, play

        absent = [part for part in ("", "esco", "opintopolku") if data is not None and not Path(data, part).is_dir()]
        if data is not None and absent:
            missing_folder = Path(data, absent[0])
            err.print(f"viisikko demo: there is no folder {missing_folder}: DATA names one with esco/ and opintopolku/")
            raise typer.Exit(USAGE)
        try:
            result = play(network, Path(data) if data else None, quiet=as_json)
        except Missing as missing:
            err.print(f"[bold red]The day did not end well:[/] {missing}")
            raise typer.Exit(FAILED) from None
        if as_json:
            write_json(result)


def _spawn(network: Path, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-W", "ignore", "-m", "console.supervise", str(network), str(folder)]
    with (folder / "supervisor.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - this project's own module
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _wait_for_start(kept: Folder, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with err.status("starting broker, store, mail and services"):
        while not kept.state.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text().strip().splitlines() or ["it said nothing"]
                raise RuntimeError(f"the network did not start: {lines[-1]} (all of it is in {log})")
            time.sleep(0.1)


def _show_status(kept: Folder) -> None:
    from console.reach import Reach

    network = Reach.of(kept)
    standings = network.standings()
    table = Table("organisation", "service", "address", "ready")
    for one in standings:
        table.add_row(one.organisation, one.service, one.url, _shown(one))
    out.print(table)
    for name, group in network.parked(asked={one.url for one in standings if one.ready}):
        if group is None:
            out.print(f"parked at {name}: not known, since the service is not ready")
            continue
        publisher = f" of {group['publisher']}" if group["publisher"] else ""
        out.print(f"parked at {name}: {group['count']} × {group['type']}{publisher}: {group['reason']}")


def _shown(one: Standing) -> str:
    if one.ready:
        return "[green]yes[/]"
    return f"[yellow]no: {', '.join(one.lacks)}[/]" if one.answers else "[red]away[/]"
