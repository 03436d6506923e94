"""`viisikko parked`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.options import DEFAULT_FOLDER, FolderOption, JsonOption
from console.commands.reached import reach
from console.commands.told import err, out, told, write_json
from console.parked_options import InOption, Meant, Request, ServiceOption, with_meant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from console.parked import Lot

app = typer.Typer(no_args_is_help=True, help="Events that could not be taken: the parking lots of the services.")


@app.command("list")
@with_meant
def list_parked(
    meant: Meant,
    each: Annotated[bool, typer.Option("--each", help="One line an event instead of one a group.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="With --each: so many in a service.")] = 200,
    as_json: JsonOption = False,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Show what is parked: in groups of reason, type and publisher, or each event."""
    with told():
        from console import parked as lots

        found, query = meant.lots(reach(folder)), meant.filters()
        rows = list(lots.entries(found, {**query, "limit": limit})) if each else lots.groups(found, query)
        _print_parked(rows, as_json=as_json)


@app.command("show")
def show_parked(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Its id, or at least 8 characters of it.")],
    organisation: InOption = None,
    service: ServiceOption = None,
    as_json: JsonOption = False,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Show one parked event, and who did what with it. Nothing personal is opened."""
    with told():
        from console import parked as lots

        entry = lots.show(lots.lots(reach(folder), organisation, service), identifier)
        if as_json:
            write_json(entry)
        else:
            from console.parked_tables import of_entry

            out.print(of_entry(entry))


@app.command("replay")
@with_meant
def replay_parked(
    meant: Request,
    rate: Annotated[
        int | None, typer.Option("--rate", min=1, help="So many in a second; a service's own limit stays.")
    ] = None,
    as_json: JsonOption = False,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Let services take parked events after all, and try dead effects anew; what fails again is parked again."""
    _do("replay", meant, {"perSecond": rate} if rate else {}, folder, as_json=as_json)


@app.command("discard")
@with_meant
def discard_parked(meant: Request, as_json: JsonOption = False, folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Throw parked events away for good; only their lines in the audit stay. Try it with --dry-run first."""
    _do("discard", meant, {}, folder, as_json=as_json)


def _do(what: str, meant: Request, more: dict[str, Any], folder: Path, *, as_json: bool) -> None:
    with told():
        from console import parked as lots
        from console.parked_tables import of_done, of_plan

        request = meant.body() | more
        found = meant.lots(reach(folder))
        if meant.dry_run:
            planned = lots.plan(found, what, request)
            _print_result(planned, of_plan(what, planned), as_json=as_json)
        else:
            done = _acted(found, what, request, meant.limit)
            _print_result(done, of_done(what, done), as_json=as_json)


def _acted(found: Sequence[Lot], what: str, request: dict[str, Any], limit: int | None) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from console import parked as lots

    with err.status(what) as progress:
        told = lambda lot, count: progress.update(f"{what}: {lot} {count:,}")  # noqa: E731 - named where it is used
        return [asdict(one) for one in lots.act(found, what, request, limit=limit, say=told)]


def _print_result(result: list[dict[str, Any]], lines: Iterator[Any], *, as_json: bool) -> None:
    if as_json:
        write_json(result)
    else:
        for line in lines:
            out.print(line)


def _print_parked(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    from console.parked_tables import of_rows

    if as_json:
        write_json(rows)
    else:
        out.print(of_rows(rows) if rows else "Nothing is parked that fits.")
