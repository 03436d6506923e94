"""`viisikko catalogue`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.commands.options import DEFAULT_FOLDER, FolderOption, OrganisationOption
from console.commands.reached import reach
from console.commands.told import SOME_REFUSED, err, out, told

app = typer.Typer(no_args_is_help=True, help="Offerings of the schools.")


@app.command("import")
def import_catalogue(
    files: Annotated[
        list[Path],
        typer.Argument(help="Kouta JSON, Open Education API JSON, CSV or XLSX.", exists=True, dir_okay=False),
    ],
    organisation: OrganisationOption,
    form: Annotated[str | None, typer.Option(help="kouta, ooapi or csv; by default as the file's name says.")] = None,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Import a school's offerings; only what changed is published, and what is gone is withdrawn.

    A member's file goes to its own catalogue; for a guest, the command publishes as the guest's own user.
    """
    with told():
        from console.offerings import form_of, import_offerings

        done = import_offerings(reach(folder), organisation, files, form_of(files[0], form))
        for refusal in done.refused:
            err.print(f"row {refusal['row']}, {refusal['field'] or 'row'}: {refusal['message']} ({refusal['rule']})")
        out.print(
            f"{done.rows} rows: {done.published} published, {done.changed} changed, {done.unchanged} unchanged, "
            f"{done.withdrawn} withdrawn, {len(done.refused)} refused."
        )
        if done.refused:
            raise typer.Exit(SOME_REFUSED)
