"""`viisikko contract`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.commands.told import FAILED, err, out, told

app = typer.Typer(no_args_is_help=True, help="The contract for partners.")


@app.command("build")
def build_contract(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a file is not fresh.")] = False,
) -> None:
    """Write what is generated below deploy/: the contract, the broker's definitions, the scrape settings."""
    with told():
        from console.generated import build

        differ = build(Path("deploy"), check=check)
        if check and differ:
            for name in differ:
                err.print(f"not fresh: deploy/{name}")
            err.print("Run `viisikko contract build` and commit what it writes.")
            raise typer.Exit(FAILED)
        out.print("All generated files are fresh." if not differ else f"{len(differ)} files written.")
