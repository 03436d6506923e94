"""`viisikko clients`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.commands.options import DEFAULT_FOLDER, FolderOption, OrganisationOption
from console.commands.reached import reach
from console.commands.told import SOME_REFUSED, err, out, told

app = typer.Typer(no_args_is_help=True, help="Clients of a home.")


@app.command("import")
def import_clients(
    file: Annotated[Path, typer.Argument(help="A coach's spreadsheet, CSV or XLSX.", exists=True, dir_okay=False)],
    organisation: OrganisationOption = "kunta",
    back: Annotated[
        Path | None, typer.Option("--back", help="Write the sheet here, with reference or error in a column.")
    ] = None,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Import a coach's spreadsheet. Wrong rows are told with row, column and rule; the others are kept."""
    with told():
        api = reach(folder).api(organisation, "intake", "coach")
        content = file.read_bytes()
        report = api.upload("/v1/imports", content, content_type="application/octet-stream").json()
        for refusal in report["refused"]:
            err.print(f"row {refusal['row']}, {refusal['column']}: {refusal['message']} ({refusal['rule']})")
        out.print(f"{report['accepted']} of {report['rows']} rows taken.")
        if back:
            answer = api.upload(
                "/v1/imports", content, content_type="application/octet-stream", accept="application/octet-stream"
            )
            back.write_bytes(answer.content)
            out.print(f"The sheet is in {back}, with a reference or an error in each row.")
        if report["refused"]:
            raise typer.Exit(SOME_REFUSED)


@app.command("template")
def client_template(file: Annotated[Path, typer.Argument(help="Where to write it, .csv or .xlsx.")]) -> None:
    """Write an empty spreadsheet with the headings that an import knows."""
    with told():
        from console.sheets import write_sheet
        from intake.adapters.columns import template

        write_sheet(file, [template("fi")])
        out.print(f"The template is in {file}.")
