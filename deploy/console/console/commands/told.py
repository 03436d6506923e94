"""How commands speak: to people in whole sentences, to programs in JSON and exit codes."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

out = Console()
err = Console(stderr=True)

FAILED, USAGE, SOME_REFUSED = 1, 2, 3
"""Exit codes."""


def write_json(value: Any) -> None:
    """Print JSON, and nothing else."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


@contextmanager
def told() -> Iterator[None]:
    """Errors that people can do something about are one sentence, and never a stack trace."""
    try:
        yield
    except typer.Exit:
        # Typer's own way of ending with a code is an error to Python, but to nobody else.
        raise
    except KeyboardInterrupt:
        err.print("Stopped.")
        raise typer.Exit(130) from None
    except (RuntimeError, ValueError, OSError, ExceptionGroup, httpx.HTTPError) as error:
        err.print(f"[bold red]viisikko:[/] {error}", highlight=False)
        raise typer.Exit(FAILED) from None
    except Exception as error:
        from chassis.logs import kind_of

        if os.environ.get("VIISIKKO_DEBUG"):
            raise
        err.print(f"[bold red]viisikko failed:[/] {kind_of(error)}; VIISIKKO_DEBUG=1 shows where it came from")
        raise typer.Exit(FAILED) from None
