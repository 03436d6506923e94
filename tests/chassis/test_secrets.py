"""The folder of secrets: readable by its owner only, whole, and each fault named with the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis import secrets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return secrets.make(tmp_path / "kunta", tmp_path / "keys", "kunta").folder


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_what_is_made_is_its_owners_alone_even_in_a_folder_that_was_open(tmp_path: Path) -> None:
    folder = tmp_path / "kunta"
    folder.mkdir(mode=0o755)

    secrets.make(folder, tmp_path / "keys", "kunta")

    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == dict.fromkeys(
        ("reference.key", "ids.key", "keys.json"), 0o600
    )


def test_making_again_keeps_what_is_there(folder: Path, tmp_path: Path) -> None:
    before = secrets.read(folder)

    assert secrets.make(folder, tmp_path / "keys", "kunta") == before


@pytest.mark.parametrize("name", ["reference.key", "ids.key", "keys.json", "tokens.json"])
def test_a_file_that_others_may_read_is_refused_with_the_next_step(folder: Path, name: str) -> None:
    (folder / name).touch()
    (folder / name).chmod(0o640)

    with pytest.raises(ValueError, match=rf"^{folder / name} may be read or written by others .*: chmod 600 "):
        secrets.read(folder)


def test_all_that_is_missing_or_wrong_is_told_at_once(folder: Path) -> None:
    (folder / "reference.key").write_text("00")
    (folder / "ids.key").write_bytes(b"\xff")
    (folder / "keys.json").unlink()

    with pytest.raises(ValueError, match="must hold") as wrong:
        secrets.read(folder)

    assert str(wrong.value).splitlines() == [
        f"{folder}/reference.key must hold 64 bytes in hex",
        f"{folder}/ids.key must be a text",
        f"{folder}/keys.json is missing: {secrets.NEXT}",
    ]


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "kunta").touch()

    with pytest.raises(ValueError, match=r"reference\.key cannot be read: Not a directory"):
        secrets.read(tmp_path / "kunta")


def test_writing_replaces_a_file_whole_and_takes_it_from_others(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    with file.open() as reader:
        secrets.write_private(file, "new")

        assert reader.read() == "old"
    assert (file.read_text(), mode(file)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]
