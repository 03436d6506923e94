"""deploy/network.toml: what is read from it, and that each mistake is named with its place and the rule."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis import network
from chassis.network import WrongNetwork

ROOT = Path(__file__).parents[2]
HOME = 'joins = "member"\nnames = { fi = "Kunta" }\nruns = ["assessment"]\n'

TEXTS = st.text(max_size=8) | st.sampled_from(["fi", "member", "guest", "kunta", "seamk", "assessment", "all", "743"])
SCALARS = TEXTS | st.integers() | st.booleans() | st.floats() | st.dates()
NAMES = st.sampled_from(
    [
        "hub", "keys", "timers", "organisations", "kunta", "seamk", "names", "joins", "runs", "addresses", "assessor",
        "reads", "municipality", "technical", "signs", "fi", "remind_working_days", "expire_working_days",
    ]
) | st.text(max_size=4)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=20
)
ORGANISATION = st.dictionaries(NAMES, VALUES, max_size=9)
FILES = st.dictionaries(NAMES, VALUES, max_size=5) | st.fixed_dictionaries(
    {"organisations": st.dictionaries(st.sampled_from(["kunta", "seamk", "all", "É"]), ORGANISATION, max_size=3)}
)


def written(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(name, ensure_ascii=False)} = {written(inner)}" for name, inner in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    return value.isoformat() if isinstance(value, date) else repr(value)


def read(folder: Path, text: str) -> network.NetworkFile:
    file = folder / "network.toml"
    file.write_text(text, "utf-8", "surrogatepass")
    return network.read(file)


@given(FILES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
def test_whatever_the_file_holds_it_is_read_or_its_mistakes_are_told(tmp_path: Path, content: dict[str, Any]) -> None:
    text = "".join(f"{json.dumps(name, ensure_ascii=False)} = {written(value)}\n" for name, value in content.items())

    with suppress(WrongNetwork):
        found = read(tmp_path, text)

        assert found.network.organisations


@given(st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_bytes_stand_in_the_file_only_its_mistakes_are_raised(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "network.toml"
    file.write_bytes(content)

    with pytest.raises(WrongNetwork):
        network.read(file)


def test_the_networks_own_file_is_read() -> None:
    found = network.read(ROOT / "deploy" / "network.toml")

    kunta = found.network.organisations["kunta"]
    assert (found.network.hub, found.keys, kunta.assessor, kunta.expire_working_days) == (
        "verkko", ".viisikko/keys", "kunta", 14,
    )  # fmt: skip


def test_an_organisation_signs_only_where_the_file_says_so_and_the_hub_may_run_services(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        f"[organisations.kunta]\n{HOME}signs = true\n[organisations.sedu]\n{HOME}".replace("member", "own")
        + f"[organisations.verkko]\n{HOME}",
    )

    organisations = found.network.organisations
    assert {code: (o.joins, o.signs) for code, o in organisations.items()} == {
        "kunta": ("own", True), "sedu": ("own", False), "verkko": ("member", False),
    }  # fmt: skip
    assert found.network.hub in organisations


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "organisations: there must be at least one"),
        ("organisations = []", "organisations: must be a table"),
        ("[organisations]\nkunta = 5", "organisations.kunta: must be a table"),
        (f"hub = 5\n[organisations.kunta]\n{HOME}", "hub: must be a code of the letters a to z, as a text"),
        (
            f'hub = "kunta"\n[organisations.kunta]\n{HOME}'.replace("member", "own"),
            "organisations.kunta.joins: must be member",
        ),
        (f'[organisations.kunta]\n{HOME}signs = "yes"', "organisations.kunta.signs: must be true or false"),
        (f"keys = []\n[organisations.kunta]\n{HOME}", "keys: must be the path of a folder, as a text"),
        (f"colour = 1\n[organisations.kunta]\n{HOME}", "colour: is no setting of a network"),
        (f"timers = 5\n[organisations.kunta]\n{HOME}", "timers: must be a table"),
        (f"[timers]\nremind_working_days = true\n[organisations.kunta]\n{HOME}", "timers.remind_working_days: must be"),
        (f"[organisations.kunta]\n{HOME}timers.escalate_working_days = 2", "organisations.kunta.timers: must grow"),
        (f"[organisations.all]\n{HOME}", "organisations.all: a code is of the letters"),
        (f"[organisations.Kunta]\n{HOME}", "organisations.Kunta: a code is of the letters"),
        (f"[organisations.kunta]\n{HOME}colour = 1", "organisations.kunta.colour: is no setting"),
        (f"[organisations.kunta]\n{HOME}municipality = 743", "organisations.kunta.municipality: must be three digits"),
        (f"[organisations.kunta]\n{HOME}technical = [1]", "organisations.kunta.technical: must be a staff id"),
        (f'[organisations.kunta]\n{HOME}assessor = ["a"]', "organisations.kunta.assessor: must be an organisation's"),
        (f'[organisations.kunta]\n{HOME}assessor = "nobody"', "kunta.assessor: there is no organisation nobody"),
        (f'[organisations.kunta]\n{HOME}addresses = ["nobody"]', "kunta.addresses: there is no organisation nobody"),
        (f'[organisations.kunta]\n{HOME}addresses = "seamk"', "kunta.addresses: must be a list of texts"),
        (f'[organisations.kunta]\n{HOME}reads = ["offering"]', "kunta.reads: must be like offering.published"),
        ('[organisations.kunta]\njoins = "member"\nnames = { fi = 5 }', "kunta.names: must have fi"),
        ('[organisations.kunta]\njoins = "member"\nnames = { fi = "K", de = "K" }', "kunta.names: must have fi"),
        (
            '[organisations.kunta]\njoins = ["member"]\nnames = { fi = "K" }',
            "kunta.joins: must be guest, member or own",
        ),
        (
            '[organisations.kunta]\njoins = "member"\nnames = { fi = "K" }\nruns = ["x"]',
            "kunta.runs: there is no service x",
        ),
        ('[organisations.kunta]\njoins = "guest"\nnames = { fi = "K" }\nruns = ["notify"]', "kunta.runs: a guest runs"),
        (
            '[organisations.kunta]\njoins = "member"\nnames = { fi = "K" }\nassessor = "kunta"',
            "kunta.assessor: kunta does not run assessment",
        ),
        ("a = " + "9" * 5000, "is no TOML"),
        ("a = " + "[" * 5000, "is no TOML"),
    ],
)
def test_a_mistake_is_told_once_with_its_place_and_the_rule(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(WrongNetwork) as wrong:
        read(tmp_path, text)

    told = str(wrong.value).split("\n")
    assert [rule in line for line in told] == [True]
    assert told[0].startswith(f"{tmp_path / 'network.toml'}")


def test_all_mistakes_are_told_at_once_and_none_follows_from_another(tmp_path: Path) -> None:
    text = (
        f'[organisations.kunta]\n{HOME}addresses = ["seamk"]\ntechnical = 5\n'
        '[organisations.seamk]\njoins = "none"\nnames = { fi = "S" }\n'
    )

    with pytest.raises(WrongNetwork) as wrong:
        read(tmp_path, text)

    assert [line.split(": ")[1] for line in str(wrong.value).split("\n")] == [
        "organisations.kunta.technical", "organisations.seamk.joins",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["", "nothing"])
def test_a_file_that_is_missing_or_a_folder_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongNetwork, match=r"is missing|cannot be read"):
        network.read(tmp_path / name)
