"""Files that are replaced as a whole: a reader sees the old one or the new one, never half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_PUBLIC = 0o644


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    _replace(path, text, None)


def write_public(path: Path, text: str) -> None:
    """Write a file that everybody may read; one that says the same already stays untouched."""
    if not path.exists() or path.read_text("utf-8") != text:
        _replace(path, text, _PUBLIC)


def _replace(path: Path, text: str, mode: int | None) -> None:
    opened, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(opened, "w", encoding="utf-8") as new:
            new.write(text)
        if mode is not None:
            Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
