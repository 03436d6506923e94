"""`viisikko vocabulary`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.commands.options import DEFAULT_FOLDER, FolderOption, OrganisationOption
from console.commands.reached import reach
from console.commands.told import err, out, told

app = typer.Typer(no_args_is_help=True, help="The skills vocabulary.")


@app.command("import")
def import_vocabulary(
    source: Annotated[Path, typer.Argument(help="Folder in ESCO's form.", exists=True, file_okay=False)],
    organisation: OrganisationOption = "kunta",
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Upload a full ESCO vocabulary to an organisation's assessment service; it replaces the small one."""
    with told():
        from console.vocabulary import upload

        with err.status("reading") as progress:
            api = reach(folder).api(organisation, "assessment", "operator")
            counts = upload(api, source, lambda sent: progress.update(f"{sent:,} records sent"))
        out.print_json(data=counts)
