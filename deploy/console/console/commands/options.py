"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FolderOption = Annotated[
    Path, typer.Option("--folder", help="Where the network keeps everything.", envvar="VIISIKKO_FOLDER")
]
NetworkOption = Annotated[
    Path,
    typer.Option(
        "--network",
        help="The file that says who is in the network.",
        exists=True,
        dir_okay=False,
        envvar="VIISIKKO_NETWORK",
    ),
]
OrganisationOption = Annotated[str, typer.Option("--organisation", "-o", help="Code of the organisation.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]

DEFAULT_FOLDER = Path(".viisikko")
DEFAULT_NETWORK = Path("deploy/network.toml")
