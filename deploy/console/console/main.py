"""The `viisikko` command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from console.parked_options import InOption, Meant, ServiceOption, with_meant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.parked import Lot
    from console.reach import Reach

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Runs, feeds and watches a network. Begin with `viisikko demo`, or `viisikko up` and `viisikko status`.",
)
clients = typer.Typer(no_args_is_help=True, help="Clients of a home.")
catalogue = typer.Typer(no_args_is_help=True, help="Offerings of the schools.")
contract = typer.Typer(no_args_is_help=True, help="The contract for partners.")
parked = typer.Typer(no_args_is_help=True, help="Events that could not be taken: the parking lots of the services.")
vocabulary = typer.Typer(no_args_is_help=True, help="The skills vocabulary.")
app.add_typer(clients, name="clients")
app.add_typer(catalogue, name="catalogue")
app.add_typer(contract, name="contract")
app.add_typer(parked, name="parked")
app.add_typer(vocabulary, name="vocabulary")

out = Console()
err = Console(stderr=True)

FAILED, USAGE, SOME_REFUSED = 1, 2, 3
START_SECONDS = 150
APPLY_SECONDS = 600

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

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of entries, or at least 8 characters of each.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Everything, where nothing else says what is meant.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Tell what it would do, and change nothing.")]
AtMostOption = Annotated[int | None, typer.Option("--limit", min=1, help="So many at the most, the oldest first.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]

DEFAULT_FOLDER = Path(".viisikko")
DEFAULT_NETWORK = Path("deploy/network.toml")


@app.command()
def up(network: NetworkOption = DEFAULT_NETWORK, folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Start the whole network of network.toml on this machine, in the background."""
    with _told():
        from console.folder import Folder

        kept = Folder(folder)
        if kept.state.exists() and _alive(kept.state):
            out.print(f"The network in {folder} runs already; see [bold]viisikko status[/].")
            return
        _wait_for_start(kept, _spawn(network, folder), folder / "supervisor.log")
        _show_status(kept)
        out.print(
            "\nNext: [bold]viisikko catalogue import -o seamk FILE[/], [bold]viisikko tail[/]; "
            "stop with [bold]viisikko down[/]."
        )


@app.command()
def down(folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Stop the network that `up` started; nothing of it is left running, and its data stays."""
    with _told():
        reach = _reach(folder)
        pid = reach.state["supervisor"]
        os.kill(pid, signal.SIGTERM)
        with err.status("stopping"):
            while Path(f"/proc/{pid}").exists() and not _is_zombie(pid):
                time.sleep(0.1)
        out.print("The network is stopped; `viisikko up` starts it again with the same data.")


@app.command()
def status(folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Show every service: where it listens, whether it is ready, and what is parked."""
    with _told():
        from console.folder import Folder

        _show_status(Folder(folder))


@app.command()
def rotate(
    code: Annotated[str, typer.Argument(help="Code of the organisation.")],
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only make the next keys known; a later rotate uses them.")
    ] = False,
    network: NetworkOption = DEFAULT_NETWORK,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Give an organisation new keys, tokens and passwords while everything runs.

    Where others hold the public keys in files of their own, begin with `--prepare`, send them the organisation's key
    set, and rotate when they have it.
    """
    with _told():
        from chassis import network as networks
        from console.folder import Folder
        from console.rotate import Rotation

        rotation = Rotation(Folder(folder), networks.read(network).network, code)
        if prepare:
            out.print(f"Held and known, and not used yet: {', '.join(rotation.prepare())}")
            out.print(f"Next: send {folder / 'keys' / code}.json to everybody; then [bold]viisikko rotate {code}[/].")
            return
        if used := rotation.keys():
            out.print(f"Used from now on: {', '.join(used)}")
        steps = rotation.passwords()
        out.print("Passwords are new; connections that are open stay, and new ones take the new password.")
        if until := rotation.tokens():
            out.print(f"HTTP tokens are new; the old ones end at {until:%Y-%m-%d %H:%M} UTC.")
        for step in steps:
            out.print(f"Next: {step}", highlight=False)


@app.command()
def apply(folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Make the running network what its network.toml says now: who joins, leaves, or may address whom."""
    with _told():
        reach = _reach(folder)
        reach.folder.applied.unlink(missing_ok=True)
        os.kill(reach.state["supervisor"], signal.SIGHUP)
        deadline = time.monotonic() + APPLY_SECONDS
        with err.status("applying"):
            while not reach.folder.applied.exists():
                if time.monotonic() > deadline or not _alive(reach.folder.state):
                    raise RuntimeError(f"the change did not end in time: read {folder / 'supervisor.log'}")
                time.sleep(0.1)
        answer = json.loads(reach.folder.applied.read_text("utf-8"))
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        for line in answer["done"]:
            out.print(line, highlight=False)
        out.print("The network is as network.toml says.")


@app.command()
def doctor(
    organisation: Annotated[
        str | None,
        typer.Option("--organisation", "-o", help="Whose part of the network that `up` started; else by environment."),
    ] = None,
    mend: Annotated[
        bool, typer.Option("--mend", help="Remove bindings that shut the link down, and restart links.")
    ] = False,
    as_json: JsonOption = False,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Say what works between an organisation and the network, what does not, and the next step."""
    with _told():
        from dataclasses import asdict

        from chassis import settings
        from console.doctor.findings import Facts
        from console.doctor.visit import mend as mend_links
        from console.doctor.visit import visit

        environment = os.environ if organisation is None else _reach(folder).facts(organisation)
        facts = settings.read({"doctor": Facts}, environment)["doctor"]
        for done in mend_links(facts) if mend else ():
            err.print(done)
        findings = list(visit(facts))
        if as_json:
            _write_json([asdict(finding) for finding in findings])
        for finding in () if as_json else findings:
            mark = "[green]✓[/]" if finding.well else "[red]✗[/]"
            out.print(f"{mark} [bold]{finding.what}[/]: {escape(finding.text)}", highlight=False, soft_wrap=True)
            if not finding.well:
                out.print(f"    next: {escape(finding.next_step)}", highlight=False, soft_wrap=True)
        if not all(finding.well for finding in findings):
            raise typer.Exit(FAILED)


@app.command()
def demo(
    data: Annotated[
        str | None, typer.Option("--data", help="Folder of real data: the full vocabulary and all its offerings.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    network: NetworkOption = DEFAULT_NETWORK,
) -> None:
    """Play one working day of the region on real parts: from a coach's spreadsheet to accepted referrals."""
    with _told():
        from console.demo.run import Missing, play

        absent = [part for part in ("", "esco", "opintopolku") if data is not None and not Path(data, part).is_dir()]
        if data is not None and absent:
            missing_folder = Path(data, absent[0])
            err.print(f"viisikko demo: there is no folder {missing_folder}: DATA names one with esco/ and opintopolku/")
            raise typer.Exit(USAGE)
        try:
            result = play(network, Path(data) if data else None, quiet=as_json)
        except Missing as missing:
            err.print(f"[bold red]The day did not end well:[/] {missing}")
            raise typer.Exit(FAILED) from None
        if as_json:
            sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")


@app.command()
def prepare(
    broker: Annotated[str, typer.Option("--broker", help="host:port under which the services reach the broker.")],
    definitions: Annotated[Path, typer.Option("--definitions", help="Folder for what the broker reads.")],
    host: Annotated[
        list[str] | None, typer.Option("--host", help="Name under which others reach the hub, for its certificate.")
    ] = None,
    network: NetworkOption = DEFAULT_NETWORK,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Make keys, tokens, passwords and the hub's definitions for containers; what is there already stays."""
    with _told():
        from console.prepare import prepare as make

        make(network, folder, broker, definitions, host or ["localhost"])
        out.print(f"Keys and each organisation's secrets are in {folder}, what the broker reads in {definitions}.")


@app.command("prepare-part")
def prepare_own_part(
    code: Annotated[str, typer.Argument(help="Code of the organisation.")],
    package: Annotated[Path, typer.Option("--package", help="Folder that `viisikko join` wrote.", file_okay=False)],
    broker: Annotated[str, typer.Option("--broker", help="Host under which the services reach the own broker.")],
    definitions: Annotated[Path, typer.Option("--definitions", help="Folder for what the broker reads.")],
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Make keys, tokens, passwords and the definitions of an own part; what is there already stays."""
    with _told():
        from console.prepare import prepare_part

        prepare_part(code, package, folder, broker, definitions)
        out.print(f"Send {folder / 'keys' / code}.json, your public keys, to the hub's operator.", soft_wrap=True)


@app.command()
def join(
    code: Annotated[str, typer.Argument(help="Code of the organisation.")],
    host: Annotated[
        str | None, typer.Option("--host", help="host:port of the hub as others reach it; by default as it runs here.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder to write; by default joined/CODE.")] = None,
    network: NetworkOption = DEFAULT_NETWORK,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Write the package that a new organisation needs, and say what it does with it. Run it where the hub runs."""
    with _told():
        from console.join import PLACE, pack

        for line in pack(code, network, folder, host, to or PLACE / code):
            out.print(line, soft_wrap=True, highlight=False)


@app.command()
def publish(
    organisation: OrganisationOption,
    file: Annotated[
        Path, typer.Argument(help="A CloudEvent as JSON, as in deploy/contract/examples.", exists=True, dir_okay=False)
    ],
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Publish an event in an organisation's name, as its own program would. Its id and time are made new."""
    with _told():
        from chassis.decision import Classification

        event = _event(file)
        system = _system(event["source"], organisation)
        with _reach(folder).partner(organisation, system) as partner:
            identifier = partner.publish(
                event["type"].removeprefix("fi.viisikko.").rpartition(".")[0],
                event["subject"],
                event["data"],
                to=event["destination"],
                classification=Classification(event["dataclassification"]),
                correlation=event.get("correlationid"),
            )
        out.print(f"The broker has it: {identifier}")


@app.command()
def validate(file: Annotated[Path, typer.Argument(help="A CloudEvent as JSON.", exists=True, dir_okay=False)]) -> None:
    """Check an event against the contract before you publish it; every broken rule is named."""
    with _told():
        from console.validate import problems

        found = problems(file.read_bytes())
        for problem in found:
            err.print(f"[red]✗[/] {problem}")
        if found:
            raise typer.Exit(FAILED)
        out.print("The event is valid.")


@app.command()
def tail(
    organisation: Annotated[str, typer.Option("--organisation", "-o", help="Whose events to follow.")] = "kunta",
    seconds: Annotated[float | None, typer.Option(help="Stop after so long; by default at Ctrl-C.")] = None,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Follow the events that an organisation may read, as they pass: who, what, from → to. Payloads are not shown."""
    with _told():
        from console.links import as_reader
        from console.tail import follow, keys_of

        amqp = as_reader(_reach(folder).amqp(organisation))
        deadline = time.monotonic() + seconds if seconds else float("inf")
        until = lambda: time.monotonic() > deadline  # noqa: E731 - one condition, named where it is used
        for seen in follow(amqp, keys=keys_of(organisation), until=until, owner=organisation):
            out.print(seen.line)


@clients.command("import")
def import_clients(
    file: Annotated[Path, typer.Argument(help="A coach's spreadsheet, CSV or XLSX.", exists=True, dir_okay=False)],
    organisation: OrganisationOption = "kunta",
    back: Annotated[
        Path | None, typer.Option("--back", help="Write the sheet here, with reference or error in a column.")
    ] = None,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Import a coach's spreadsheet. Wrong rows are told with row, column and rule; the others are kept."""
    with _told():
        api = _reach(folder).api(organisation, "intake", "coach")
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


@clients.command("template")
def client_template(file: Annotated[Path, typer.Argument(help="Where to write it, .csv or .xlsx.")]) -> None:
    """Write an empty spreadsheet with the headings that an import knows."""
    with _told():
        from console.sheets import write_sheet
        from intake.adapters.columns import template

        write_sheet(file, [template("fi")])
        out.print(f"The template is in {file}.")


@catalogue.command("import")
def import_catalogue(
    files: Annotated[
        list[Path],
        typer.Argument(help="Kouta JSON, Open Education API JSON, CSV or XLSX.", exists=True, dir_okay=False),
    ],
    organisation: OrganisationOption,
    form: Annotated[str | None, typer.Option(help="kouta, ooapi or csv; by default as the file's name says.")] = None,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Import a school's offerings; only what changed is published, and what is gone is withdrawn.

    A member's file goes to its own catalogue; for a guest, the command publishes as the guest's own user.
    """
    with _told():
        from console.offerings import form_of, import_offerings

        done = import_offerings(_reach(folder), organisation, files, form_of(files[0], form))
        for refusal in done.refused:
            err.print(f"row {refusal['row']}, {refusal['field'] or 'row'}: {refusal['message']} ({refusal['rule']})")
        out.print(
            f"{done.rows} rows: {done.published} published, {done.changed} changed, {done.unchanged} unchanged, "
            f"{done.withdrawn} withdrawn, {len(done.refused)} refused."
        )
        if done.refused:
            raise typer.Exit(SOME_REFUSED)


@vocabulary.command("import")
def import_vocabulary(
    source: Annotated[Path, typer.Argument(help="Folder in ESCO's form.", exists=True, file_okay=False)],
    organisation: OrganisationOption = "kunta",
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Upload a full ESCO vocabulary to an organisation's assessment service; it replaces the small one."""
    with _told():
        from console.vocabulary import upload

        with err.status("reading") as progress:
            api = _reach(folder).api(organisation, "assessment", "operator")
            counts = upload(api, source, lambda sent: progress.update(f"{sent:,} records sent"))
        out.print_json(data=counts)


@contract.command("build")
def build_contract(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a file is not fresh.")] = False,
) -> None:
    """Write what is generated below deploy/: the contract, the broker's definitions, the scrape settings."""
    with _told():
        from console.generated import build

        differ = build(Path("deploy"), check=check)
        if check and differ:
            for name in differ:
                err.print(f"not fresh: deploy/{name}")
            err.print("Run `viisikko contract build` and commit what it writes.")
            raise typer.Exit(FAILED)
        out.print("All generated files are fresh." if not differ else f"{len(differ)} files written.")


@parked.command("list")
@with_meant
def list_parked(
    meant: Meant,
    each: Annotated[bool, typer.Option("--each", help="One line an event instead of one a group.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="With --each: so many in a service.")] = 200,
    as_json: JsonOption = False,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Show what is parked: in groups of reason, type and publisher, or each event."""
    with _told():
        from console import parked as lots

        found, query = meant.lots(_reach(folder)), meant.filters()
        rows = list(lots.entries(found, {**query, "limit": limit})) if each else lots.groups(found, query)
        _print_parked(rows, as_json=as_json)


@parked.command("show")
def show_parked(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Its id, or at least 8 characters of it.")],
    organisation: InOption = None,
    service: ServiceOption = None,
    as_json: JsonOption = False,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Show one parked event, and who did what with it. Nothing personal is opened."""
    with _told():
        from console import parked as lots

        entry = lots.show(lots.lots(_reach(folder), organisation, service), identifier)
        if as_json:
            _write_json(entry)
        else:
            from console.parked_tables import of_entry

            out.print(of_entry(entry))


@parked.command("replay")
@with_meant
def replay_parked(  # noqa: PLR0913, PLR0917 - the options of a command, which are given by name
    meant: Meant,
    ids: IdsArgument = None,
    everything: AllOption = False,
    dry_run: DryRunOption = False,
    rate: Annotated[
        int | None, typer.Option("--rate", min=1, help="So many in a second; a service's own limit stays.")
    ] = None,
    limit: AtMostOption = None,
    as_json: JsonOption = False,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Let services take parked events after all, and try dead effects anew; what fails again is parked again."""
    with _told():
        from console import parked as lots

        request = lots.wanted(ids or [], meant.filters(), everything=everything)
        request |= {"perSecond": rate} if rate else {}
        act = _plan_parked if dry_run else _act_on_parked
        act(meant.lots(_reach(folder)), "replay", request, limit, as_json=as_json)


@parked.command("discard")
@with_meant
def discard_parked(  # noqa: PLR0913, PLR0917 - the options of a command, which are given by name
    meant: Meant,
    ids: IdsArgument = None,
    everything: AllOption = False,
    dry_run: DryRunOption = False,
    limit: AtMostOption = None,
    as_json: JsonOption = False,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Throw parked events away for good; only their lines in the audit stay. Try it with --dry-run first."""
    with _told():
        from console import parked as lots

        request = lots.wanted(ids or [], meant.filters(), everything=everything)
        act = _plan_parked if dry_run else _act_on_parked
        act(meant.lots(_reach(folder)), "discard", request, limit, as_json=as_json)


def _plan_parked(
    found: Sequence[Lot], what: str, request: dict[str, Any], _limit: int | None, *, as_json: bool
) -> None:
    from console import parked as lots
    from console.parked_tables import of_plan

    planned = lots.plan(found, what, request)
    _print_result(planned, of_plan(what, planned), as_json=as_json)


def _act_on_parked(
    found: Sequence[Lot], what: str, request: dict[str, Any], limit: int | None, *, as_json: bool
) -> None:
    from dataclasses import asdict

    from console import parked as lots
    from console.parked_tables import of_done

    with err.status(what) as progress:
        told = lambda lot, count: progress.update(f"{what}: {lot} {count:,}")  # noqa: E731 - named where it is used
        done = [asdict(one) for one in lots.act(found, what, request, limit=limit, say=told)]
    _print_result(done, of_done(what, done), as_json=as_json)


def _print_result(result: list[dict[str, Any]], lines: Iterator[Any], *, as_json: bool) -> None:
    if as_json:
        _write_json(result)
    else:
        for line in lines:
            out.print(line)


def _print_parked(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    from console.parked_tables import of_rows

    if as_json:
        _write_json(rows)
    else:
        out.print(of_rows(rows) if rows else "Nothing is parked that fits.")


def _write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def _event(file: Path) -> dict[str, Any]:
    from console.validate import problems

    body = file.read_bytes()
    found = problems(body)
    if found:
        raise RuntimeError(f"{file} is no valid event: {'; '.join(found)}")
    event: dict[str, Any] = json.loads(body)
    return event


def _system(source: str, organisation: str) -> str:
    """The system in an event's source, where it is the speaker's own."""
    _urn, _viisikko, named, system = source.split(":", 3)
    if named != organisation:
        raise RuntimeError(f"source names {named}, and you speak as {organisation}: each speaks in its own name only")
    return system


def _reach(folder: Path) -> Reach:
    from console.folder import Folder
    from console.reach import NotUp, Reach

    kept = Folder(folder)
    if kept.state.exists() and not _alive(kept.state):
        raise NotUp(f"the network in {folder} has ended without `viisikko down`: start it with `viisikko up`")
    return Reach.of(kept)


def _spawn(network: Path, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-W", "ignore", "-m", "console.supervise", str(network), str(folder)]
    with (folder / "supervisor.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - this project's own module
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _wait_for_start(kept: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with err.status("starting broker, store, mail and services"):
        while not kept.state.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text().strip().splitlines() or ["it said nothing"]
                raise RuntimeError(f"the network did not start: {lines[-1]} (all of it is in {log})")
            time.sleep(0.1)


def _show_status(kept: Any) -> None:
    from console.reach import Reach

    reach = Reach.of(kept)
    table = Table("organisation", "service", "address", "ready")
    for name, url in reach.state["services"].items():
        organisation, _, service = name.partition(".")
        table.add_row(organisation, service, url, _ready(url))
    out.print(table)
    for name, group in reach.parked(ready=lambda url: "yes" in _ready(url)):
        if group is None:
            out.print(f"parked at {name}: not known, since the service is not ready")
            continue
        publisher = f" of {group['publisher']}" if group["publisher"] else ""
        out.print(f"parked at {name}: {group['count']} × {group['type']}{publisher}: {group['reason']}")


def _ready(url: str) -> str:
    try:
        answer = httpx.get(f"{url}/health/ready", timeout=5)
    except httpx.HTTPError:
        return "[red]away[/]"
    if answer.is_success:
        return "[green]yes[/]"
    return f"[yellow]no: {', '.join(part for part, there in answer.json().items() if not there)}[/]"


def _alive(state: Path) -> bool:
    pid = json.loads(state.read_text("utf-8"))["supervisor"]
    return Path(f"/proc/{pid}").exists() and not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


@contextmanager
def _told() -> Iterator[None]:
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
