"""The viisikko command as people use it, on one network that runs in the background."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openpyxl import load_workbook

from chassis.decision import Classification
from chassis.testing_live import eventually
from console.folder import Folder
from console.reach import Reach

ROOT = Path(__file__).parent.parent.parent
VIISIKKO = str(Path(sys.executable).with_name("viisikko"))
HEADINGS = (
    "asiakasnumero;etunimi;sukunimi;kieli;kunta;tavoiteammatti;omin sanoin;suostumus;suostumuspäivä;omavalmentaja"
)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    def viisikko(*words: str, timeout: float = 150) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin", "COLUMNS": "200", "VIISIKKO_FOLDER": str(folder)}
        return subprocess.run(
            [VIISIKKO, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    started = viisikko("up")
    assert started.returncode == 0, started.stderr + (folder / "supervisor.log").read_text()
    yield viisikko
    pids = json.loads((folder / "network.json").read_text())["processes"].values()
    stopped = viisikko("down")
    assert stopped.returncode == 0, stopped.stderr
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


@pytest.fixture
def reach(run: Run, folder: Path) -> Reach:  # noqa: ARG001 - the network must run before it is reached
    return Reach.of(Folder(folder))


def offered(reach: Reach, copy: str, provider: str) -> int:
    """How many offerings of a provider a copy has."""
    return len(list(reach.api(copy, "catalogue", "operator").lines("/v1/offerings", provider=provider)))


def test_status_shows_every_service_as_ready(run: Run) -> None:
    shown = run("status").stdout

    assert shown.count("yes") == 9
    assert "parked" not in shown


def test_up_again_says_that_it_runs_already(run: Run) -> None:
    again = run("up")

    assert again.returncode == 0
    assert "runs already" in again.stdout


@pytest.mark.parametrize("organisation", ["kunta", "epky"])
def test_the_doctor_finds_nothing_wrong_with_who_is_well(run: Run, organisation: str) -> None:
    found = run("doctor", "-o", organisation)

    assert found.returncode == 0, found.stdout
    assert "✓ logged in" in found.stdout
    assert "✗" not in found.stdout


def test_the_doctor_without_facts_says_which_are_missing(run: Run) -> None:
    found = run("doctor")

    assert found.returncode == 1
    assert "VIISIKKO_HUB_URI is missing" in found.stderr


def test_a_package_is_written_for_who_joins(run: Run, tmp_path: Path) -> None:
    said = run("join", "epky", "--to", str(tmp_path / "epky"))

    assert said.returncode == 0, said.stderr
    assert "To open: outwards to localhost" in said.stdout
    assert (tmp_path / "epky" / "hub-uri").read_text().startswith("amqps://epky:")


def test_applying_a_file_that_has_not_changed_removes_and_restarts_nothing(run: Run, folder: Path) -> None:
    before = json.loads((folder / "network.json").read_text())["processes"]

    said = run("apply")

    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() == "The network is as network.toml says."
    assert json.loads((folder / "network.json").read_text())["processes"] == before


@pytest.mark.parametrize(("organisation", "name"), [("seamk", "seamk.json"), ("epky", "epky.csv")])
def test_a_second_import_of_offerings_sends_only_what_changed(
    run: Run, reach: Reach, organisation: str, name: str
) -> None:
    file = str(ROOT / "deploy" / "demo" / "offerings" / name)

    first = run("catalogue", "import", "-o", organisation, file)
    published = int(re.findall(r"(\d+) published", first.stdout)[0])
    for copy in ("kunta", "seamk"):
        eventually(lambda copy=copy: offered(reach, copy, organisation) == published)
    second = run("catalogue", "import", "-o", organisation, file)

    assert published > 10
    assert f" 0 published, 0 changed, {published} unchanged, 0 withdrawn, 0 refused" in second.stdout


def test_what_is_gone_from_a_guests_file_is_withdrawn(run: Run, reach: Reach, tmp_path: Path) -> None:
    lines = (ROOT / "deploy" / "demo" / "offerings" / "opisto.csv").read_bytes().splitlines(keepends=True)
    whole, shorter = tmp_path / "whole.csv", tmp_path / "shorter.csv"
    whole.write_bytes(b"".join(lines))
    shorter.write_bytes(b"".join(lines[:-1]))
    run("catalogue", "import", "-o", "opisto", str(whole))
    api = reach.api("kunta", "catalogue", "operator")
    eventually(lambda: len(list(api.lines("/v1/offerings", provider="opisto"))) == len(lines) - 1)

    done = run("catalogue", "import", "-o", "opisto", str(shorter))

    assert "1 withdrawn" in done.stdout
    eventually(lambda: len(list(api.lines("/v1/offerings", provider="opisto"))) == len(lines) - 2)


def test_a_sheet_with_wrong_rows_says_so_in_its_exit_code_and_comes_back(run: Run, tmp_path: Path) -> None:
    sheet, back = tmp_path / "sheet.csv", tmp_path / "back.csv"
    good = "T-1;Aino;Esimerkki;suomi;Seinäjoki;hitsaaja;Olen hitsannut.;kartoitus;1.11.2026;kunta-1"
    bad = "T-2;Eero;Malli;suomi;Atlantis;;;;;"
    sheet.write_text(f"{HEADINGS}\n{good}\n{bad}\n", "utf-8")

    done = run("clients", "import", str(sheet), "--back", str(back))

    assert done.returncode == 3
    assert "1 of 2 rows taken" in done.stdout
    assert "row 3, kunta" in done.stderr
    assert "Atlantis" not in done.stderr
    assert "unknown" in back.read_text("utf-8-sig") or "kunta:" in back.read_text("utf-8-sig")


def test_the_template_is_a_sheet_that_an_import_knows(run: Run, tmp_path: Path) -> None:
    template = tmp_path / "template.xlsx"

    run("clients", "template", str(template))
    done = run("clients", "import", str(template))

    headings = [cell.value for cell in next(load_workbook(template).active.iter_rows())]
    assert "asiakasnumero" in headings
    assert "no row below its headings" in done.stderr


def test_a_guest_publishes_the_contracts_own_example_and_every_copy_takes_it(run: Run, reach: Reach) -> None:
    file = "deploy/contract/examples/fi.viisikko.offering.published.v1.json"

    checked, published = run("validate", file), run("publish", "-o", "sedu", file)

    assert (checked.returncode, published.returncode) == (0, 0), checked.stderr + published.stderr
    api = reach.api("kunta", "catalogue", "operator")
    eventually(lambda: "sedu.42" in [o["subject"] for o in api.lines("/v1/offerings", provider="sedu")])


def test_publishing_in_anothers_name_is_refused_with_the_reason(run: Run) -> None:
    done = run("publish", "-o", "sedu", "deploy/contract/examples/fi.viisikko.referral.accepted.v1.json")

    assert done.returncode == 1
    assert "source names seamk" in done.stderr


def test_tail_follows_events_and_shows_no_payload(reach: Reach, folder: Path, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "VIISIKKO_FOLDER": str(folder), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    shown = tmp_path / "shown"
    asked = {"offering": "seamk.1", "starts": None}

    def follows() -> bool:
        # Asked again and again, since nobody can say when the tail has begun to listen.
        partner.publish("capacity.asked", str(uuid.uuid4()), asked, to="seamk", classification=Classification.PUBLIC)
        return "capacity.asked" in shown.read_text("utf-8")

    with shown.open("w") as target, reach.partner("kunta") as partner:
        tail = subprocess.Popen([VIISIKKO, "tail", "-o", "seamk"], cwd=ROOT, env=environment, stdout=target)
        try:
            eventually(follows, seconds=30)
        finally:
            tail.terminate()
            tail.wait(20)

    assert "kunta → seamk" in shown.read_text("utf-8")
    assert "seamk.1" not in shown.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["catalogue", "import", "-o", "nobody", "deploy/demo/offerings/ucs.json"], "nobody"),
        (["catalogue", "import", "-o", "seamk", "README.md"], "--form"),
        (["clients", "import", "README.md"], "asiakasnumero"),
        (["clients", "import", "absent.csv"], "absent.csv"),
        (["catalogue", "import", "-o", "ucs", "absent.json"], "absent.json"),
        (["tail", "-o", "nobody"], "nobody"),
        (["publish", "-o", "sedu", "README.md"], "valid"),
    ],
)
def test_an_error_is_one_sentence_with_the_next_step(run: Run, words: list[str], said: str) -> None:
    done = run(*words)

    assert done.returncode not in (0, 3)
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_without_a_network_the_next_step_is_up(tmp_path: Path) -> None:
    done = subprocess.run(
        [VIISIKKO, "status", "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "viisikko up" in done.stderr
