"""Publishing events as a partner does, checking them, and following them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from console.commands.options import DEFAULT_FOLDER, FolderOption, OrganisationOption
from console.commands.reached import reach
from console.commands.told import FAILED, err, out, told

app = typer.Typer()


@app.command()
def publish(
    organisation: OrganisationOption,
    file: Annotated[
        Path, typer.Argument(help="A CloudEvent as JSON, as in deploy/contract/examples.", exists=True, dir_okay=False)
    ],
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Publish an event in an organisation's name, as its own program would. Its id and time are made new."""
    with told():
        from chassis.decision import Classification

        event = _event(file)
        system = _system(event["source"], organisation)
        with reach(folder).partner(organisation, system) as partner:
            identifier = partner.publish(
                event["type"].removeprefix("fi.viisikko.").rpartition(".")[0],
                event["subject"],
                event["data"],
                to=event["destination"],
                classification=Classification(event["dataclassification"]),
                correlation=event.get("correlationid"),
            )
        out.print(f"The broker has it: {identifier}")


@app.command()
def validate(file: Annotated[Path, typer.Argument(help="A CloudEvent as JSON.", exists=True, dir_okay=False)]) -> None:
    """Check an event against the contract before you publish it; every broken rule is named."""
    with told():
        from console.validate import problems

        found = problems(file.read_bytes())
        for problem in found:
            err.print(f"[red]✗[/] {problem}")
        if found:
            raise typer.Exit(FAILED)
        out.print("The event is valid.")


@app.command()
def tail(
    organisation: Annotated[str, typer.Option("--organisation", "-o", help="Whose events to follow.")] = "kunta",
    seconds: Annotated[float | None, typer.Option(help="Stop after so long; by default at Ctrl-C.")] = None,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Follow the events that an organisation may read, as they pass: who, what, from → to. Payloads are not shown."""
    with told():
        from console.links import as_reader
        from console.tail import follow, keys_of

        amqp = as_reader(reach(folder).amqp(organisation))
        deadline = time.monotonic() + seconds if seconds else float("inf")
        until = lambda: time.monotonic() > deadline  # noqa: E731 - one condition, named where it is used
        for seen in follow(amqp, keys=keys_of(organisation), until=until, owner=organisation):
            out.print(seen.line)


def _event(file: Path) -> dict[str, Any]:
    from console.validate import problems

    body = file.read_bytes()
    found = problems(body)
    if found:
        raise RuntimeError(f"{file} is no valid event: {'; '.join(found)}")
    event: dict[str, Any] = json.loads(body)
    return event


def _system(source: str, organisation: str) -> str:
    """The system in an event's source, where it is the speaker's own."""
    _urn, _viisikko, named, system = source.split(":", 3)
    if named != organisation:
        raise RuntimeError(f"source names {named}, and you speak as {organisation}: each speaks in its own name only")
    return system
