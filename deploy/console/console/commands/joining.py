"""How an organisation joins, what it and the hub prepare, what it rotates, and the doctor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from console.commands.options import DEFAULT_FOLDER, DEFAULT_NETWORK, FolderOption, JsonOption, NetworkOption
from console.commands.reached import reach
from console.commands.told import FAILED, err, out, told, write_json

app = typer.Typer()


@app.command()
def join(
    code: Annotated[str, typer.Argument(help="Code of the organisation.")],
    host: Annotated[
        str | None, typer.Option("--host", help="host:port of the hub as others reach it; by default as it runs here.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder to write; by default joined/CODE.")] = None,
    network: NetworkOption = DEFAULT_NETWORK,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Write the package that a new organisation needs, and say what it does with it. Run it where the hub runs."""
    with told():
        from console.join import PLACE, pack

        for line in pack(code, network, folder, host, to or PLACE / code):
            out.print(line, soft_wrap=True, highlight=False)


@app.command()
def prepare(
    broker: Annotated[str, typer.Option("--broker", help="host:port under which the services reach the broker.")],
    definitions: Annotated[Path, typer.Option("--definitions", help="Folder for what the broker reads.")],
    host: Annotated[
        list[str] | None, typer.Option("--host", help="Name under which others reach the hub, for its certificate.")
    ] = None,
    network: NetworkOption = DEFAULT_NETWORK,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Make keys, tokens, passwords and the hub's definitions for containers; what is there already stays."""
    with told():
        from console.prepare import prepare as make

        make(network, folder, broker, definitions, host or ["localhost"])
        out.print(f"Keys and each organisation's secrets are in {folder}, what the broker reads in {definitions}.")


@app.command("prepare-part")
def prepare_own_part(
    code: Annotated[str, typer.Argument(help="Code of the organisation.")],
    package: Annotated[Path, typer.Option("--package", help="Folder that `viisikko join` wrote.", file_okay=False)],
    broker: Annotated[str, typer.Option("--broker", help="Host under which the services reach the own broker.")],
    definitions: Annotated[Path, typer.Option("--definitions", help="Folder for what the broker reads.")],
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Make keys, tokens, passwords and the definitions of an own part; what is there already stays."""
    with told():
        from console.prepare import prepare_part

        prepare_part(code, package, folder, broker, definitions)
        out.print(f"Send {folder / 'keys' / code}.json, your public keys, to the hub's operator.", soft_wrap=True)


@app.command()
def rotate(
    code: Annotated[str, typer.Argument(help="Code of the organisation.")],
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only make the next keys known; a later rotate uses them.")
    ] = False,
    network: NetworkOption = DEFAULT_NETWORK,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Give an organisation new keys, tokens and passwords while everything runs.

    Where others hold the public keys in files of their own, begin with `--prepare`, send them the organisation's key
    set, and rotate when they have it.
    """
    with told():
        from chassis import network as networks
        from console.folder import Folder
        from console.rotate import Rotation

        rotation = Rotation(Folder(folder), networks.read(network).network, code)
        if prepare:
            out.print(f"Held and known, and not used yet: {', '.join(rotation.prepare())}")
            out.print(f"Next: send {folder / 'keys' / code}.json to everybody; then [bold]viisikko rotate {code}[/].")
            return
        if used := rotation.keys():
            out.print(f"Used from now on: {', '.join(used)}")
        steps = rotation.passwords()
        out.print("Passwords are new; connections that are open stay, and new ones take the new password.")
        if until := rotation.tokens():
            out.print(f"HTTP tokens are new; the old ones end at {until:%Y-%m-%d %H:%M} UTC.")
        for step in steps:
            out.print(f"Next: {step}", highlight=False)


@app.command()
def doctor(
    organisation: Annotated[
        str | None,
        typer.Option("--organisation", "-o", help="Whose part of the network that `up` started; else by environment."),
    ] = None,
    mend: Annotated[
        bool, typer.Option("--mend", help="Remove bindings that shut the link down, and restart links.")
    ] = False,
    as_json: JsonOption = False,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Say what works between an organisation and the network, what does not, and the next step."""
    with told():
        from dataclasses import asdict

        from chassis import settings
        from console.doctor.findings import Facts
        from console.doctor.visit import mend as mend_links
        from console.doctor.visit import visit

        environment = os.environ if organisation is None else reach(folder).facts(organisation)
        facts = settings.read({"doctor": Facts}, environment)["doctor"]
        for done in mend_links(facts) if mend else ():
            err.print(done)
        findings = list(visit(facts))
        if as_json:
            write_json([asdict(finding) for finding in findings])
        for finding in () if as_json else findings:
            mark = "[green]✓[/]" if finding.well else "[red]✗[/]"
            out.print(f"{mark} [bold]{finding.what}[/]: {escape(finding.text)}", highlight=False, soft_wrap=True)
            if not finding.well:
                out.print(f"    next: {escape(finding.next_step)}", highlight=False, soft_wrap=True)
        if not all(finding.well for finding in findings):
            raise typer.Exit(FAILED)
