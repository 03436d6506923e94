"""How a copy of the catalogue begins: what it reads from another copy, what it skips, and what it does without one."""

from __future__ import annotations

import http.server
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
from catalogue_examples import offering, wire

from catalogue.adapters.copy import Copy, CopyAway, CopyWrong
from catalogue.beginning import PAGE, Beginning, Line
from catalogue.service import Catalogue, Settings
from chassis.decision import Classification
from chassis.incoming import Settled
from chassis.remembered import Remembered, arrival
from chassis.settings import Wrong
from chassis.testing_live import Place, Publisher, Running, Workshop, event, eventually, running

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OWN = "urn:viisikko:kunta:catalogue"
SEDU = "urn:viisikko:sedu:catalogue"


def line(number: int = 1, **fields: Any) -> Line:
    given: dict[str, Any] = {
        "source": SEDU, "subject": f"sedu.{number:06}", "sequence": 3, "time": NOW, "data": {"provider": "sedu"},
    }  # fmt: skip
    return Line(**given | fields)


class Other:
    """Another copy, which breaks off after so many lines."""

    def __init__(self, lines: Sequence[Line], breaks_after: int | None = None) -> None:
        self.kept = lines
        self.breaks_after = breaks_after
        self.asked: list[str | None] = []

    def lines(self, after: str | None) -> Iterator[Line]:
        self.asked.append(after)
        for count, one in enumerate(one for one in self.kept if after is None or one.subject > after):
            if count == self.breaks_after:
                raise CopyAway("broke off")
            yield one


class Notes:
    def __init__(self) -> None:
        self.noted: dict[str, object] = {}

    def beginning(self) -> Mapping[str, object]:
        return self.noted

    def note_beginning(self, **fields: object) -> None:
        self.noted |= fields


class Taker:
    """This copy: what it knows, and what it takes."""

    def __init__(self, other: Other, known: Mapping[str, tuple[str, int | None, datetime]] | None = None) -> None:
        self.taken: list[Line] = []
        self.notes = Notes()
        self.beginning = Beginning(
            copy=other,
            notes=self.notes,
            known=lambda _ids: known or {},
            take=self.taken.extend,
            longest=timedelta(hours=1),
        )


def test_a_new_copy_reads_all_and_then_only_after_it_was_long_away() -> None:
    taker = Taker(Other([line(1), line(2)]))
    new = taker.beginning.is_due(NOW)

    report = taker.beginning.read(NOW)

    assert (report.read, report.taken, report.refused) == (2, 2, 0)
    due = [taker.beginning.is_due(NOW + timedelta(minutes=minutes)) for minutes in (0, 60, 61)]
    assert (new, due) == (True, [False, False, True])


def test_a_reading_that_broke_off_goes_on_after_the_last_page_that_was_taken() -> None:
    other = Other([line(number) for number in range(3 * PAGE)], breaks_after=2 * PAGE + 5)
    taker = Taker(other)
    with pytest.raises(CopyAway):
        taker.beginning.read(NOW)
    due = taker.beginning.is_due(NOW)
    other.breaks_after = None

    taker.beginning.read(NOW + timedelta(minutes=5))

    assert due
    assert other.asked == [None, f"sedu.{2 * PAGE - 1:06}"]
    assert [one.subject for one in taker.taken] == [one.subject for one in other.kept]


def test_a_reading_that_broke_off_long_ago_begins_anew() -> None:
    other = Other([line(number) for number in range(2 * PAGE)], breaks_after=PAGE)
    taker = Taker(other)
    with pytest.raises(CopyAway):
        taker.beginning.read(NOW)

    with pytest.raises(CopyAway):
        taker.beginning.read(NOW + timedelta(hours=2))

    assert other.asked == [None, None]


@pytest.mark.parametrize(
    ("known", "taken"),
    [
        ((SEDU, 3, NOW), 0),
        ((SEDU, 4, NOW), 0),
        ((SEDU, 2, NOW + timedelta(days=1)), 1),
        (("urn:viisikko:sedu:console", 9, NOW), 1),
        ((SEDU, None, NOW), 0),
        ((SEDU, None, NOW - timedelta(seconds=1)), 1),
    ],
)
def test_only_what_is_newer_than_what_is_known_is_taken(known: tuple[str, int | None, datetime], taken: int) -> None:
    taker = Taker(Other([line(1)]), {line(1).subject: known})

    assert taker.beginning.read(NOW).taken == taken == len(taker.taken)


def test_a_line_that_breaks_a_rule_is_counted_and_left_out() -> None:
    taker = Taker(Other([line(1, good=False), line(2)]))

    report = taker.beginning.read(NOW)

    assert (report.read, report.taken, report.refused) == (2, 1, 1)


# Over HTTP

Answering = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Answering], str]]:
    """Starts a server that answers each GET in a way of the test's; its address."""
    over: list[bool] = []

    def start(answering: Answering) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answering(self)

            def log_message(self, *_args: object) -> None:
                """Nothing is said of requests."""

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        server.timeout = 0.05

        def work() -> None:
            # Its own way to stop waits on a lock, which does not wake the main thread where eventlet has made it green.
            with server:
                while not over:
                    server.handle_request()

        threading.Thread(target=work, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    over.append(True)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("secret-token\n")
    return file


def status(code: int) -> Answering:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.send_header("Location", "http://127.0.0.1:1/elsewhere")
        handler.end_headers()

    return answer


def chunks(*parts: bytes, whole: bool = True) -> Answering:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        # One that has seen enough hangs up.
        with suppress(ConnectionError):
            for part in (*parts, *([b""] if whole else [])):
                handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        handler.close_connection = True

    return answer


def written(**fields: Any) -> bytes:
    given = {
        "source": SEDU, "subject": "sedu.1", "sequence": 3, "time": NOW.isoformat(), "data": wire(offering()),
    }  # fmt: skip
    return json.dumps(given | fields).encode() + b"\n"


def test_lines_come_whole_whatever_chunks_they_come_in(serve: Callable[[Answering], str], token: Path) -> None:
    both = written() + written(subject="sedu.2", sequence=None, addedLater=1)

    lines = list(Copy(serve(chunks(*(both[n : n + 7] for n in range(0, len(both), 7)))), token).lines(None))

    assert [(one.subject, one.sequence, one.good, one.name) for one in lines] == [
        ("sedu.1", 3, True, "offering.published"), ("sedu.2", None, True, "offering.published"),
    ]  # fmt: skip


def test_the_token_and_the_place_to_go_on_from_are_sent(serve: Callable[[Answering], str], token: Path) -> None:
    asked: list[tuple[str, str | None]] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked.append((handler.path, handler.headers["Authorization"]))
        chunks()(handler)

    list(Copy(serve(answer), token).lines("sedu.ä 1"))

    assert asked == [("/v1/offerings?withdrawn=true&after=sedu.%C3%A4+1", "Bearer secret-token")]


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "urn:viisikko:seamk:catalogue"},
        {"source": "sedu"},
        {"subject": "seamk.1"},
        {"data": {"provider": "sedu", "names": 5}},
        {"data": {}},
        {"data": {"provider": ["sedu"]}},
        {"source": "urn:viisikko:sedu"},
        {"sequence": -1},
        {"data": wire(offering()) | {"names": {"fi": "<b>x</b>"}}},
    ],
)
def test_a_line_that_its_event_could_not_have_said_is_not_good(
    serve: Callable[[Answering], str], token: Path, fields: dict[str, Any]
) -> None:
    (one,) = Copy(serve(chunks(written(**fields))), token).lines(None)

    assert not one.good


def test_the_longest_id_of_an_offering_is_good(serve: Callable[[Answering], str], token: Path) -> None:
    longest = "sedu." + "x" * 195

    (one,) = Copy(serve(chunks(written(subject=longest))), token).lines(None)

    assert one.good


def test_a_withdrawn_offering_is_good_without_its_names(serve: Callable[[Answering], str], token: Path) -> None:
    gone = {"provider": "sedu", "withdrawn": True}

    (one,) = Copy(serve(chunks(written(data=gone))), token).lines(None)

    assert (one.good, one.name) == (True, "offering.withdrawn")


@pytest.mark.parametrize(
    ("answering", "error", "text"),
    [
        (status(401), CopyWrong, "refuses the token in token: ask its operator for a new one"),
        (status(403), CopyWrong, "refuses the token"),
        (status(404), CopyWrong, "must be the address of a catalogue"),
        (status(302), CopyWrong, "answers with 302"),
        (status(503), CopyAway, "answers with 503"),
        (chunks(written(), whole=False), CopyAway, "broke off"),
        (chunks(written()[:-1]), CopyAway, "broke off"),
        (chunks(b"<html>\n"), CopyWrong, "sends a line that is no offering"),
        (chunks(b"[]\n"), CopyWrong, "sends a line that is no offering"),
        (chunks(b"x" * 300_000), CopyWrong, "a line of the copy has more than 128 KiB"),
    ],
)
def test_what_is_wrong_with_the_copy_is_told(
    serve: Callable[[Answering], str], token: Path, answering: Answering, error: type[OSError], text: str
) -> None:
    with pytest.raises(error, match=text):
        list(Copy(serve(answering), token).lines(None))


def test_a_copy_that_is_not_there_is_away_and_a_token_that_is_not_there_is_told(token: Path) -> None:
    with pytest.raises(CopyAway, match="cannot be reached"):
        list(Copy("http://127.0.0.1:1", token).lines(None))
    with pytest.raises(CopyWrong, match="cannot be read from nothing"):
        list(Copy("http://127.0.0.1:1", token.with_name("nothing")).lines(None))


def test_an_address_without_a_token_is_refused_at_start() -> None:
    with pytest.raises(Wrong, match="VIISIKKO_CATALOGUE_COPY_TOKEN_FILE is missing"):
        Settings(copy="http://copy.example")


# What was said before the store was lost


@pytest.fixture
def workshop(offline_place: Place) -> Iterator[Workshop]:
    made = Workshop(Catalogue, offline_place)
    yield made
    made.close()


def remembered(sequence: int, **fields: Any) -> Any:
    data = wire(offering(provider="kunta")) | fields
    return arrival(
        Remembered(name="offering.published", source=OWN, subject="kunta.1", data=data, time=NOW, sequence=sequence)
    )


def test_an_own_offering_that_was_lost_goes_on_after_what_others_know_of_it(workshop: Workshop) -> None:
    (outcome,) = workshop.floor.transaction.apply([remembered(17)])
    workshop.order("keep-offering", wire(offering(provider="kunta")) | {"capacity": 4})

    (said,) = workshop.sent()
    assert (outcome.settled, outcome.version) == (Settled.APPLIED, 17)
    assert (said["type"], said["sequence"]) == ("fi.viisikko.offering.changed.v1", "0000000018")


def test_an_own_offering_that_was_restored_from_before_is_brought_up_to_what_was_said(workshop: Workshop) -> None:
    workshop.order("keep-offering", wire(offering(provider="kunta")))

    (outcome,) = workshop.floor.transaction.apply([remembered(5, capacity=9)])

    assert (outcome.settled, outcome.version) == (Settled.APPLIED, 5)
    assert workshop.state("offering", "kunta.1").offering.capacity == 9


def test_a_guests_offering_that_has_no_sequence_is_taken_however_old_it_is(workshop: Workshop) -> None:
    old = Remembered(
        name="offering.published",
        source="urn:viisikko:epky:console",
        subject="epky.1",
        data=wire(offering(provider="epky")),
        time=NOW - timedelta(days=900),
        sequence=None,
    )

    (outcome,) = workshop.floor.transaction.apply([arrival(old)])

    assert outcome.settled is Settled.APPLIED


# Two copies that run


def listed(process: Running) -> dict[str, int | None]:
    headers = {"Authorization": f"Bearer {process.place.token()}"}
    text = httpx.get(f"{process.url}/v1/offerings", headers=headers, params={"withdrawn": "true"}, timeout=20).text
    return {one["subject"]: one["sequence"] for one in map(json.loads, text.splitlines())}


def imported(process: Running, *rows: str) -> None:
    headers = {"Authorization": f"Bearer {process.place.token()}", "Idempotency-Key": str(uuid.uuid4())}
    sheet = "Tunnus;Nimi;Jatkuva ilmoittautuminen\r\n" + "".join(f"{row};kyllä\r\n" for row in rows)
    url = f"{process.url}/v1/imports?form=csv"
    httpx.post(url, content=sheet.encode(), headers=headers, timeout=20).raise_for_status()


def drop(place: Place) -> None:
    with pymongo.MongoClient[dict[str, Any]](place.mongo) as client:
        client.drop_database(f"{place.organisation}_catalogue")


def following(place: Place, url: str, other: Place) -> Place:
    file = place.folder / "copy-token"
    file.write_text(other.token("system"))
    more = {
        "VIISIKKO_CATALOGUE_COPY": url,
        "VIISIKKO_CATALOGUE_COPY_TOKEN_FILE": str(file),
        "VIISIKKO_CATALOGUE_COPY_SECONDS": "0.2",
    }
    return replace(place, more=more)


def test_a_catalogue_that_lost_its_store_reads_the_other_copy_and_is_heard_again(place: Place) -> None:
    seamk = replace(place, organisation="seamk")
    with running("catalogue", seamk) as other:
        own = following(place, other.url, seamk)
        with running("catalogue", own) as catalogue:
            imported(catalogue, "1;Hitsaus", "2;Kahvila")
            imported(other, "1;Koodi")
            imported(catalogue, "1;Hitsaus", "2;Kahvila ja keittiö")
            publisher = Publisher(place.amqp)
            guest = wire(offering(provider="epky"))
            said = event("offering.published", guest, source="urn:viisikko:epky:console", to="all", subject="epky.1")
            publisher.send(replace(said, classification=Classification.PUBLIC))
            publisher.close()
            eventually(lambda: len(listed(other)) == len(listed(catalogue)) == 4, what="four offerings at both")
            eventually(lambda: listed(other) == listed(catalogue), what="the same sequences at both")
            before = listed(other)
        drop(own)

        with running("catalogue", own) as catalogue:
            eventually(lambda: listed(catalogue) == before, what="all offerings with their sequences")
            imported(catalogue, "1;Hitsaus", "2;Kahvila, keittiö ja sali")

            eventually(lambda: listed(other)["kunta.2"] == listed(catalogue)["kunta.2"], what="the change at the other")
            assert listed(other)["kunta.2"] > before["kunta.2"]  # type: ignore[operator] - own events have a sequence
            with pymongo.MongoClient[dict[str, Any]](place.mongo) as client:
                assert client["kunta_catalogue"]["parked"].count_documents({}) == 0


def test_where_the_copy_is_away_a_catalogue_goes_on_alone_and_reads_it_when_it_is_there(place: Place) -> None:
    seamk = replace(place, organisation="seamk")
    with running("catalogue", seamk) as other:
        imported(other, "1;Koodi")
        url = other.url
        other.stop()
        drop(replace(place, organisation="kunta"))

        with running("catalogue", following(place, url, seamk)) as catalogue:
            imported(catalogue, "1;Hitsaus")
            assert set(listed(catalogue)) >= {"kunta.1"}
            assert "copy.alone" in catalogue.log.read_text()

            other.start()

            eventually(lambda: set(listed(catalogue)) == {"kunta.1", "seamk.1"}, seconds=40, what="the copy's")
            eventually(lambda: "copy.back" in catalogue.log.read_text(), what="its return")
