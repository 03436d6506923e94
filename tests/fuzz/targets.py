"""What is fuzzed: each target takes any bytes, and ends with the documented errors or with a promise kept."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from xml.sax.saxutils import escape

import inputs
from joserfc.jwk import OKPKey

from assessment.adapters import upload
from catalogue.adapters import drafts, offerings
from catalogue.adapters.plain import plain
from catalogue.domain import _TAG as TAG
from catalogue.events import OfferingPublished
from catalogue.imports import Draft
from catalogue.schemas import OfferingRead
from chassis import cloudevents, crypto, profile, strictjson
from chassis.cloudevents import CloudEvent, NotACloudEvent
from chassis.decision import Invalid
from chassis.identity import find_identity_code
from chassis.reasons import Reason, Unacceptable
from intake.adapters import files, sheet
from intake.schemas import ClientBody

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
PROCESSOR_SECONDS = 1.0
"""An input of a few kilobytes that takes longer is a way to stop a service."""

LONG = 60_000
"""Characters of a long text; larger ones come in imports, and 64 KiB in events."""

IDS = {"event_id": "e-1", "source": "urn:viisikko:sedu:register", "subject": "s-1"}
PLAINTEXT = b'{"given":"Aino"}'


class TooSlow(AssertionError):  # noqa: N818 - errors name the fact
    """An input took more of the processor than `PROCESSOR_SECONDS`."""


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed.

    Attributes:
        name: What it is called on the command line.
        take: Takes one input; whatever leaves it is a finding.
        seeds: Good inputs to begin with.
        most: Bytes of an input at the most.
    """

    name: str
    take: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    most: int = 4096


def timed(target: Target, data: bytes) -> None:
    """Take an input, and measure it; the processor's time, since other programs share the machine."""
    started = time.process_time()
    target.take(data)
    spent = time.process_time() - started
    if spent > PROCESSOR_SECONDS:
        raise TooSlow(f"{len(data)} bytes took {spent:.1f} s of the processor")


def take_event(data: bytes) -> None:
    """Whatever is decoded can be written, and reads back as the same; so can whatever is admitted."""
    got = inputs.delivered(data)
    try:
        event = cloudevents.decode(got.body, got.content_type, got.headers)
        _same_event(event)
    except NotACloudEvent:
        event = None
    try:
        envelope = profile.admit(got.body, got.content_type, profile.safe_headers(got.headers), got.key)
    except Unacceptable:
        return
    assert event is not None, "the profile admits what the codec refuses"
    try:
        written = profile.compose(envelope)
    except Unacceptable as error:
        # Headers of binary mode become members, and bytes become base64: some grow over the limit of 64 KiB.
        if error.reason is not Reason.TOO_LARGE:
            raise
    else:
        assert profile.admit(written, profile.CONTENT_TYPE, {}, envelope.routing_key) == envelope


def take_batch(data: bytes) -> None:
    """A batch is a sequence of events, each of which can be written."""
    try:
        events = cloudevents.decode_batch(data)
    except NotACloudEvent:
        return
    for event in events:
        _same_event(event)


def take_json(data: bytes) -> None:
    """What is read strictly is what Python reads, and is written and read back as the same."""
    try:
        value = strictjson.loads(data)
    except strictjson.NotStrict:
        return
    assert value == json.loads(data)
    assert strictjson.loads(strictjson.dumps(value)) == value
    find_identity_code(value)


def importing(form: str, wrap: Callable[[bytes], bytes] = bytes) -> Callable[[bytes], None]:
    """A target of one of catalogue's forms: each draft can be published and is read as the same by its readers."""

    def take(data: bytes) -> None:
        try:
            drafted = [item for item in offerings(form, wrap(data), "sedu", AT) if isinstance(item, Draft)]
        except drafts.Unreadable:
            return
        for draft in drafted:
            said = OfferingPublished().dump(draft.offering)
            assert OfferingRead().load(strictjson.loads(strictjson.dumps(said))) == draft.offering

    return take


def clients(wrap: Callable[[bytes], bytes] = bytes) -> Callable[[bytes], None]:
    """A target of a coach's sheet: good rows pass the schema, and the sheet that goes back can be sent again."""

    def take(data: bytes) -> None:
        try:
            found = sheet.read(wrap(data))
        except files.NotASheet:
            return
        for row in found.rows:
            assert ClientBody().validate(row.data) == {}, "a row that was taken breaks the schema"
        again = sheet.read(sheet.Report(found).sheet())
        assert [row.data for row in again.rows] == [row.data for row in found.rows]

    return take


def take_vocabulary(data: bytes) -> None:
    """Every record of an upload is checked, and a wrong line is told as such."""
    try:
        for record in upload.read(data):
            strictjson.dumps(record)
    except Invalid:
        return


def take_seal(data: bytes) -> None:
    """Whatever was changed in a seal is noticed: it opens to what was sealed, or not at all."""
    try:
        opened = _ring().open(inputs.sealed(data), **IDS)
    except Unacceptable:
        return
    assert opened == PLAINTEXT


def take_text(data: bytes) -> None:
    """A text that repeats itself takes no longer than its length, whatever looks at it."""
    text = data.decode("utf-8", "replace") or " "
    long = (text * (LONG // len(text) + 1))[:LONG]
    assert not TAG.search(plain(long)), "a tag is left in what is plain"
    find_identity_code(long)
    drafts.link(long, f"https://{long}")
    with suppress(NotACloudEvent):
        cloudevents.from_json({"specversion": "1.0", "id": "a", "type": "b", "source": long, "dataschema": f"a:{long}"})


def take_reference(data: bytes) -> None:
    """A reference is turned back only as it was made, and any other text stays as it is."""
    references = crypto.References(bytes(range(64)))
    text = data.decode("utf-8", "replace")
    arrived = references.arrive(text, "sedu")
    assert arrived == text or references.leave(arrived, "sedu") == text
    read = crypto.read_short_reference(text)
    assert read is None or crypto.read_short_reference(read) == read


def target(name: str) -> Target:
    """The target of a name.

    Raises:
        KeyError: There is none.
    """
    return {one.name: one for one in TARGETS}[name]


def _same_event(event: CloudEvent) -> None:
    try:
        written = cloudevents.encode(event)
    except NotACloudEvent as error:
        raise AssertionError(f"what was read cannot be written: {error}") from None
    if len(written) <= cloudevents.MAX_BYTES:
        assert cloudevents.decode(written, cloudevents.STRUCTURED, {}) == event


@cache
def _ring() -> crypto.KeyRing:
    folder = Path(mkdtemp(prefix="viisikko-fuzz-"))
    key = OKPKey.generate_key("X25519", {"kid": "kunta.fuzz"})
    for file, private in (("private.json", True), ("kunta.json", False)):
        members = dict(key.as_dict(private=private))
        (folder / file).write_text(json.dumps({"keys": [members]}), "utf-8")
    return crypto.KeyRing(folder / "private.json", folder)


def _events() -> Iterator[bytes]:
    for file in sorted((ROOT / "deploy/contract/examples").glob("*.json")):
        event = json.loads(file.read_text("utf-8"))
        name = ".".join(event["type"].split(".")[2:4])
        key = f"{name}.{event['source'].split(':')[2]}.{event['destination']}"
        yield inputs.structured(file.read_bytes(), key)
        attributes = {k: v for k, v in event.items() if k not in {"data", "datacontenttype"}}
        for prefix in cloudevents.PREFIXES:
            headers = {f"{prefix}{k}": str(v) for k, v in attributes.items()}
            yield inputs.binary(headers, json.dumps(event["data"]).encode(), key)
    yield from _official()


def _official() -> Iterator[bytes]:
    """CloudEvents' own fixtures, valid and invalid, where the folder of real data is at hand."""
    folder = Path(os.environ.get("VIISIKKO_DATA", ROOT / ".." / "shared" / "data")) / "cloudevents"
    for file in sorted(folder.glob("*valid-events.json")):
        for test in json.loads(file.read_text("utf-8"))["tests"]:
            yield inputs.structured(json.dumps(test["event"]).encode())


def _batches() -> Iterator[bytes]:
    events = [json.loads(f.read_bytes()) for f in sorted((ROOT / "deploy/contract/examples").glob("*.json"))[:2]]
    yield json.dumps(events).encode()
    yield b'[{"specversion":"1.0","id":"a","source":"/a","type":"b","data_base64":"AAAA"}]'


def _values() -> Iterator[bytes]:
    yield b'{"a":[1,-2.5e3,true,null,"\\u00e4\\ud83d\\ude00"],"b":{"c":{}},"131052-308T":"x"}'
    yield b"9223372036854775807"
    yield b"[" * 30 + b"]" * 30


def _kouta() -> Iterator[bytes]:
    found = json.loads((ROOT / "deploy/demo/offerings/seamk.json").read_text("utf-8"))
    yield json.dumps(_short(found), ensure_ascii=False).encode()
    yield _lines(ROOT / "deploy/demo/offerings/sedu.json", 2)


def _ooapi() -> Iterator[bytes]:
    pages = json.loads((ROOT / "deploy/demo/offerings/ucs.json").read_text("utf-8"))
    yield json.dumps([_short(page) for page in pages], ensure_ascii=False).encode()


def _short(found: Any) -> Any:
    """The same with one record a list, so that it is small enough to be mutated well."""
    if isinstance(found, list):
        return [_short(one) for one in found[:1]]
    return {name: _short(inner) for name, inner in found.items()} if isinstance(found, Mapping) else found


def _tables() -> Iterator[bytes]:
    for name in ("opisto", "epky", "kansalaisopisto"):
        yield _lines(ROOT / f"deploy/demo/offerings/{name}.csv", 3)


def _lines(file: Path, most: int) -> bytes:
    return b"".join(file.read_bytes().splitlines(keepends=True)[:most])


def _client_tables() -> Iterator[bytes]:
    yield _lines(ROOT / "deploy/demo/clients.csv", 3)


def _sheets(tables: Callable[[], Iterable[bytes]]) -> Callable[[], Iterator[bytes]]:
    def seeds() -> Iterator[bytes]:
        for table in tables():
            yield inline(list(files.read_rows(table)))

    return seeds


def inline(rows: Iterable[Iterable[str]]) -> bytes:
    """A sheet's XML with its texts in it, and a date, a number, a truth value and a formula behind them."""
    more = (
        '<c t="n"><v>46000.5</v></c><c t="d"><v>2027-02-01T00:00:00</v></c><c t="b"><v>1</v></c>'
        '<c t="e"><v>#N/A</v></c><c><f>1+1</f><v>2</v></c>'
    )
    lines = [
        f"<row>{''.join(_cell(text) for text in row)}{more if number else ''}</row>" for number, row in enumerate(rows)
    ]
    head = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    return f"{head}{''.join(lines)}</sheetData></worksheet>".encode()


def _cell(text: str) -> str:
    return f'<c t="inlineStr"><is><t>{escape(text)}</t></is></c>'


def _vocabulary() -> Iterator[bytes]:
    skill = "http://data.europa.eu/esco/skill/2475cd27-8d6c-4318-a364-21395b23acba"
    occupation = "http://data.europa.eu/esco/occupation/e3d3a3d9-1c5b-4d4b-9f0c-0d8d2a8b7f10"
    records = [
        {"kind": "begin", "source": "ESCO 1.1.1"},
        {"kind": "skill", "uri": skill, "labels": {"fi": "hitsata"}, "alternatives": {"fi": ["hitsannut"]}},
        {"kind": "occupation", "uri": occupation, "labels": {"fi": "hitsaaja"}, "essential": [skill]},
        {"kind": "complete", "counts": {"skills": 1, "occupations": 1}},
    ]
    yield "\n".join(json.dumps(record) for record in records).encode()


def _seals() -> Iterator[bytes]:
    whole = _ring().seal(PLAINTEXT, "kunta", **IDS)
    yield whole.encode()
    header, *parts = whole.split(".")
    clear = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
    yield b"\n".join([b"H", clear, *(part.encode() for part in parts)])


def _texts() -> Iterator[bytes]:
    yield b"<p>Opit <b>MIG</b>-hitsausta &amp; enemm&auml;n <!-- x --> 3 < 4</p>"
    yield b"<a href='https://sedu.fi/?a=%20b'>131052-308T</a>"


def _references() -> Iterator[bytes]:
    yield crypto.References(bytes(range(64))).leave("c.abcdefgh234567", "sedu").encode()
    yield crypto.short_reference("c.abcdefgh234567").encode()


TARGETS = (
    Target("events", take_event, _events),
    Target("batches", take_batch, _batches),
    Target("json", take_json, _values),
    Target("kouta", importing("kouta"), _kouta, 8192),
    Target("ooapi", importing("ooapi"), _ooapi, 8192),
    Target("offerings-csv", importing("csv"), _tables),
    Target("offerings-xlsx", importing("csv", inputs.workbook), _sheets(_tables), 16384),
    Target("clients-csv", clients(), _client_tables),
    Target("clients-xlsx", clients(inputs.workbook), _sheets(_client_tables), 16384),
    Target("vocabulary", take_vocabulary, _vocabulary),
    Target("texts", take_text, _texts, 256),
    Target("seals", take_seal, _seals),
    Target("references", take_reference, _references, 512),
)
