"""`viisikko parked` on services that run: what operators see of the parking lots, and what they do with them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pymongo
import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from chassis.testing_live import Place, Publisher, event, eventually, running
from console import parked
from console.folder import Folder
from console.main import app
from console.nodes.broker import RabbitNode
from console.nodes.store import StoreNode
from console.parked import Lot, NothingMeant, WrongAge
from console.parked_tables import of_rows

ROOT = Path(__file__).parents[2]
ORGANISATIONS = ("kunta", "seamk")


@pytest.fixture(scope="module")
def network(
    tmp_path_factory: pytest.TempPathFactory,
    broker: RabbitNode,
    store: StoreNode,
    new_vhost: Callable[[], AbstractContextManager[str]],
) -> Iterator[Place]:
    """The chassis's test service at two organisations, in a folder as `viisikko up` leaves it."""
    folder = Folder(tmp_path_factory.mktemp("network"))
    with ExitStack() as stack:
        amqp = broker.uri(vhost=stack.enter_context(new_vhost()))
        services = {}
        for organisation in ORGANISATIONS:
            place = Place(
                folder=folder.path,
                organisation=organisation,
                network=ROOT / "deploy" / "network.toml",
                amqp=amqp,
                mongo=store.uri,
                more={"PYTHONPATH": str(ROOT / "tests" / "chassis")},
            )
            folder.credentials(organisation)
            services[f"{organisation}.test"] = stack.enter_context(running("thing:Things", place)).url
        folder.state.write_text(json.dumps({"supervisor": os.getpid(), "services": services}))
        yield place
    with pymongo.MongoClient[dict[str, Any]](store.uri) as client:
        for organisation in ORGANISATIONS:
            client.drop_database(f"{organisation}_test")
            client.drop_database(f"{organisation}_test_keys")


@pytest.fixture
def databases(network: Place) -> Iterator[dict[str, Any]]:
    """Each organisation's database, without anything parked."""
    with pymongo.MongoClient[dict[str, Any]](network.mongo) as client:
        found = {organisation: client[f"{organisation}_test"] for organisation in ORGANISATIONS}
        for database in found.values():
            database["parked"].delete_many({})
        yield found
        for database in found.values():
            on_their_way = database["parked"].count_documents
            eventually(lambda count=on_their_way: count({"status": "replaying"}) == 0, what="the end of the replays")  # type: ignore[misc]


@pytest.fixture
def bad(network: Place, databases: dict[str, Any]) -> Iterator[None]:
    """Two bad events parked at kunta, one of them at seamk as well."""
    publisher = Publisher(network.amqp)
    publisher.send(event("thing.made", {"amount": "x"}), event("thing.made", {"amount": 1001}, to="all"))
    eventually(lambda: databases["kunta"]["parked"].count_documents({}) == 2, what="two at kunta")
    eventually(lambda: databases["seamk"]["parked"].count_documents({}) == 1, what="one at seamk")
    yield
    publisher.close()


@pytest.fixture
def run(network: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "240")
    return lambda *arguments: CliRunner().invoke(app, ["parked", *arguments, "--folder", str(network.folder)])


def told(result: Result) -> Any:
    """What a command prints as JSON."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.usefixtures("bad")
def test_a_list_groups_what_is_parked_in_every_lot(run: Callable[..., Result]) -> None:
    everywhere = told(run("list", "--json"))
    here = told(run("list", "-o", "kunta", "-s", "test", "--reason", "schema", "--publisher", "kunta", "--json"))
    table = run("list")

    assert sorted((g["lot"], g["count"], g["reason"]) for g in everywhere) == [
        ("kunta.test", 2, "schema"),
        ("seamk.test", 1, "schema"),
    ]
    assert [(g["lot"], g["count"], g["type"]) for g in here] == [("kunta.test", 2, "thing.made")]
    assert table.stdout.count("thing.made") == 2


@pytest.mark.usefixtures("bad")
def test_each_event_is_listed_and_shown_by_the_beginning_of_its_id(run: Callable[..., Result]) -> None:
    entries = told(run("list", "--each", "--newer-than", "1h", "--json"))
    table = run("list", "--each")
    shown = told(run("show", entries[0]["id"][:12], "--json"))
    page = run("show", entries[0]["id"])

    assert len(entries) == 3
    assert entries[0]["id"][:12] in table.stdout
    assert (shown["lot"], shown["id"], shown["data"].keys()) == (entries[0]["lot"], entries[0]["id"], {"amount"})
    assert "thing.made" in page.stdout
    assert told(run("list", "--each", "--older-than", "1h", "--json")) == []


@pytest.mark.usefixtures("bad")
def test_a_dry_run_changes_nothing(run: Callable[..., Result], databases: dict[str, Any]) -> None:
    before = list(databases["kunta"]["parked"].find())

    result = run("replay", "--all", "--dry-run")
    planned = told(run("discard", "--reason", "schema", "--dry-run", "--json"))

    assert "Would replay 3; nothing is changed." in result.stdout
    assert sorted((one["lot"], one["matched"]) for one in planned) == [("kunta.test", 2), ("seamk.test", 1)]
    assert list(databases["kunta"]["parked"].find()) == before


@pytest.mark.usefixtures("bad")
def test_a_paced_replay_goes_through_all_once_and_stops(run: Callable[..., Result], databases: dict[str, Any]) -> None:
    done = told(run("replay", "--type", "thing.made", "--rate", "1", "--json"))

    assert sorted((one["lot"], len(one["ids"])) for one in done) == [("kunta.test", 2), ("seamk.test", 1)]
    again = {"status": "parked", "attempts": 2}
    eventually(lambda: databases["kunta"]["parked"].count_documents(again) == 2, what="both parked again")
    lines = databases["kunta"]["parked_audit"].find({"what": "replay", "id": {"$in": done[0]["ids"]}})
    assert [line["person"] for line in lines] == ["kunta-operator"] * 2


@pytest.mark.usefixtures("bad")
def test_ids_are_replayed_where_they_are_and_paced_too(run: Callable[..., Result], databases: dict[str, Any]) -> None:
    entries = told(run("list", "--each", "--json"))

    done = run("replay", *(entry["id"][:16] for entry in entries), "--rate", "1")

    assert (done.exit_code, "kunta.test: 2 sent again." in done.stdout) == (0, True)
    eventually(lambda: databases["seamk"]["parked"].find_one({"attempts": 2}), what="the one parked again")


def test_a_dead_effect_is_shown_replayed_and_discarded_like_an_event(
    network: Place, run: Callable[..., Result], databases: dict[str, Any]
) -> None:
    lot, publisher = databases["kunta"]["parked"], Publisher(network.amqp)
    publisher.send(event("thing.worked", {"amount": 7, "text": "nobody-can"}, subject="dead"))
    (one,) = eventually(lambda: list(lot.find({"attempts": 1})), what="the dead effect in the lot")

    listed = told(run("list", "--reason", "effect", "--type", "work", "--json"))
    shown = run("show", one["_id"][:12])
    replayed = run("replay", "--reason", "effect")
    eventually(lambda: lot.find_one({"attempts": 2}), what="its second failure")
    discarded = run("discard", "--reason", "effect")
    publisher.close()

    assert [(g["lot"], g["count"], g["error"]) for g in listed] == [("kunta.test", 1, "amount: nobody can do seven")]
    assert ("thing/dead/work/nobody-can" in shown.stdout, "may be personal" in shown.stdout) == (True, True)
    assert ("1 sent again" in replayed.stdout, "1 discarded" in discarded.stdout) == (True, True)
    assert databases["kunta"]["effects"].count_documents({"dead": True}) == 0


@pytest.mark.usefixtures("bad")
def test_a_discard_takes_no_more_than_its_limit_and_what_is_gone_has_its_lines(
    run: Callable[..., Result], databases: dict[str, Any]
) -> None:
    (first,) = told(run("discard", "-o", "kunta", "--all", "--limit", "1", "--json"))
    said = run("discard", "-o", "kunta", "--all")
    nothing = run("discard", "-o", "kunta", "--all")
    gone = told(run("show", *first["ids"], "-o", "kunta", "--json"))

    assert (len(first["ids"]), "1 discarded" in said.stdout, "Nothing was done" in nothing.stdout) == (1, True, True)
    assert (gone["status"], gone["audit"][-1]["what"], gone["audit"][-1]["person"]) == (
        "gone",
        "discard",
        "kunta-operator",
    )
    assert (databases["kunta"]["parked"].count_documents({}), databases["seamk"]["parked"].count_documents({})) == (
        0,
        1,
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["discard"], "say which events"),
        (["discard", "--all", "--reason", "schema"], "say which events"),
        (["list", "--older-than", "soon"], "must be a number and one of s, m, h, d"),
        (["list", "--reason", "typo"], "reason: Must be one of"),
        (["show", "0123456789"], "stands nowhere"),
        (["replay", "0123456789"], "stands nowhere"),
        (["list", "-s", "nothing"], "nobody runs nothing"),
        (["list", "-o", "kunta", "-s", "nothing"], "kunta runs no nothing"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run: Callable[..., Result], arguments: list[str], text: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 1
    assert text in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("age", "expected"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800)])
def test_an_age_is_a_number_and_a_unit(age: str, expected: int) -> None:
    assert parked.seconds(age) == expected


@pytest.mark.parametrize("age", ["", "5", "m", "-1h", "1w", "1h ", "1.5h", "٣h"])
def test_any_other_age_is_refused(age: str) -> None:
    with pytest.raises(WrongAge, match="must be a number"):
        parked.seconds(age)


def test_ids_and_filters_may_stand_together_but_all_stands_alone() -> None:
    assert parked.wanted(["0123abcd"], {"reason": "schema"}, everything=False) == {
        "reason": "schema",
        "ids": ["0123abcd"],
    }
    with pytest.raises(NothingMeant):
        parked.wanted(["0123abcd"], {}, everything=True)


class Slow:
    """A service that does one entry a request, and says how long to wait."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)
        self.asked: list[dict[str, Any]] = []

    def post(self, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(dict(body))
        done, self.ids = self.ids[:1], self.ids[1:]
        rest = {"replaying": len(self.asked) - 1, "withoutBody": 0, "before": "2026-01-01T00:00:00+00:00"}
        return {"ids": done, "left": len(self.ids), "retryAfterSeconds": 0, **rest}


def test_every_later_request_means_only_what_was_parked_before_the_first() -> None:
    api = Slow("a", "b", "c")

    (done,) = parked.act([Lot("kunta.test", api)], "replay", {"all": True}, limit=None, say=lambda _lot, _n: None)  # type: ignore[arg-type]

    assert (done.ids, done.replaying) == (("a", "b", "c"), 0)
    assert ["before" in body for body in api.asked] == [False, True, True]


def test_a_limit_holds_over_all_lots() -> None:
    lots = [Lot("a.test", Slow("a", "b")), Lot("b.test", Slow("c", "d"))]  # type: ignore[arg-type]

    done = parked.act(lots, "discard", {"all": True}, limit=3, say=lambda _lot, _n: None)

    assert [one.ids for one in done] == [("a", "b"), ("c",)]


def test_what_came_from_outside_cannot_speak_to_the_terminal() -> None:
    row = {"lot": "kunta.test", "id": "0" * 64, "status": "parked", "reason": "schema", "rule": None, "attempts": 1}
    row |= {
        "type": "[red]x[/]\x1b[2J",
        "publisher": None,
        "first": "2026-01-01T00:00:00",
        "last": "2026-01-01T00:00:00",
    }
    console = Console(width=240)

    with console.capture() as captured:
        console.print(of_rows([row]))

    assert "[red]x[/]" in captured.get()
    assert "\x1b[2J" not in captured.get()
