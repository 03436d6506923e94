"""Traces: one over every hop within an organisation, anew and linked at the border; spans only where asked for."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from collector import Collected, Collector, collecting
from hypothesis import given
from hypothesis import strategies as st
from process import SERVICE, keyed

from chassis import secrets, settings, tracing
from chassis.incoming import Trace
from chassis.profile import Envelope
from chassis.testing_live import Place, Publisher, Workshop, event, eventually, running

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
SEAMK = "urn:viisikko:seamk:register"


def traced(one: Envelope, traceparent: str = TRACEPARENT, tracestate: str | None = None) -> Envelope:
    return replace(one, traceparent=traceparent, tracestate=tracestate)


def parts(told: dict[str, Any]) -> list[str]:
    """Version, trace, span and flags of an event."""
    found: list[str] = told["traceparent"].split("-")
    return found


# ── what is read and passed on ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}z-{SPAN}-01",
    ],
)
def test_a_broken_context_is_as_good_as_none(header: str) -> None:
    assert tracing.read(header, "a=1") is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert tracing.read(f"cc-{TRACE}-{SPAN}-ff-what-comes-later") == Trace(trace=TRACE, span=SPAN, flags=0x03)


@pytest.mark.parametrize("state", ["ä=1", "a=1\n", "a=" + "x" * 520, ",".join(f"a{n}=1" for n in range(33))])
def test_a_broken_state_is_dropped_and_the_trace_kept(state: str) -> None:
    assert tracing.read(TRACEPARENT, state) == Trace(trace=TRACE, span=SPAN, flags=1)


@given(st.text(), st.text())
def test_whatever_is_sent_is_no_reason_to_fail(traceparent: str, tracestate: str) -> None:
    found = tracing.read(traceparent, tracestate)

    assert found is None or tracing.read(found.parent) is not None


def test_each_hop_is_a_span_of_its_own_in_the_same_trace() -> None:
    caller = tracing.read(TRACEPARENT, "vendor=1")

    first = tracing.begin("urn:viisikko:kunta:intake", "1", caller)
    second = tracing.begin("urn:viisikko:kunta:referral", "1", caller)
    again = tracing.begin("urn:viisikko:kunta:referral", "1", caller, turn="1/")

    assert {hop.trace for hop in (first, second, again)} == {TRACE}
    assert len({SPAN, first.span, second.span, again.span}) == 4
    assert first == tracing.begin("urn:viisikko:kunta:intake", "1", caller)
    assert first.state == "vendor=1"


# ── through the outbox ───────────────────────────────────────────────────────────────────────────────────────────────


def test_what_follows_from_an_own_event_stays_in_its_trace(workshop: Workshop) -> None:
    workshop.take(traced(event("thing.made", {"amount": 1}), f"00-{TRACE}-{SPAN}-00", "vendor=1"))

    counted = workshop.sent()[0]
    version, trace, span, flags = parts(counted)
    assert (version, trace, flags, counted["tracestate"]) == ("00", TRACE, "00", "vendor=1")
    assert span != SPAN


def test_what_a_service_tells_itself_stays_in_the_trace(workshop: Workshop) -> None:
    workshop.take(traced(event("thing.told", {"amount": 1}), tracestate="vendor=1"))

    told = workshop.sent()[0]
    assert (parts(told)[1], told["tracestate"]) == (TRACE, "vendor=1")
    assert parts(told)[2] != SPAN


def test_the_trace_of_another_organisation_ends_at_the_border(workshop: Workshop) -> None:
    workshop.take(traced(event("thing.made", {"amount": 1}, source=SEAMK), tracestate="vendor=1"))

    counted = workshop.sent()[0]
    assert TRACE not in counted["traceparent"]
    assert "tracestate" not in counted


def test_what_leaves_says_nothing_of_the_trace_inside(workshop: Workshop, offline_place: Place) -> None:
    secrets.make(offline_place.folder / "seamk", offline_place.folder / "keys", "seamk")
    workshop.take(traced(event("thing.abroad", {"amount": 1}, subject="c.aaaa"), tracestate="vendor=1"))

    sent = workshop.sent()
    assert [parts(told)[1] for told in sent] == [told["id"].replace("-", "") for told in sent]
    assert [told for told in sent if TRACE in str(told) or "vendor" in str(told)] == []
    assert None not in [tracing.read(told["traceparent"]) for told in sent]


def test_a_command_goes_on_in_its_callers_trace(workshop: Workshop) -> None:
    headers = {"Traceparent": TRACEPARENT, "TraceState": "vendor=1"}

    workshop.order("make", {"amount": 1}, trace=tracing.of_headers(headers))

    counted = workshop.sent()[0]
    assert (parts(counted)[1], counted["tracestate"]) == (TRACE, "vendor=1")


def test_an_effects_result_stays_in_the_trace_of_what_asked_for_it(workshop: Workshop) -> None:
    workshop.take(traced(event("thing.worked", {"amount": 1})))

    effect = workshop.floor.home.database["effects"].find_one()

    assert effect is not None
    assert effect["traceparent"].split("-")[1] == TRACE
    assert workshop.floor.duties._effects._trace(effect).trace == TRACE


# ── spans ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def sends_to(place: Place, collector: Collector) -> Place:
    return replace(
        place, more={**place.more, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    )


def span(collector: Collector, name: str, **attributes: str) -> Collected:
    found = eventually(lambda: collector.named(name, **attributes), what=f"the span {name}")
    assert len(found) == 1
    return found[0]


def test_a_trace_is_seen_over_every_hop_and_linked_at_the_border(thing_place: Place, collector: Collector) -> None:
    secrets.make(thing_place.folder / "seamk", thing_place.folder / "keys", "seamk")
    publisher = Publisher(thing_place.amqp)
    with running(SERVICE, sends_to(thing_place, collector)) as service:
        _follows_a_command(service, collector)
        publisher.send(traced(event("thing.worked", {"amount": 1}, subject="w"), tracestate="vendor=1"))
        _follows_an_effect(collector)
        publisher.send(traced(event("thing.told", {"amount": 1}, subject="t")))
        _follows_a_tell(collector)
        publisher.send(traced(event("thing.abroad", {"amount": 1}, subject="c.aaaa")))
        _links_what_leaves(collector)
        publisher.send(traced(event("thing.owned", {"amount": 1}, subject="o", source=SEAMK)))
        _links_what_arrives(collector)
        publisher.send(event("thing.timed", {"amount": 0}, subject="r"))
        _begins_with_a_timer(collector)
        publisher.send(traced(event("thing.made", {"amount": 1}), f"00-{TRACE}-{SPAN}-00"))
        publisher.send(event("thing.read", {"amount": 99}))
        assert span(collector, "process thing.read").error
        assert collector.named("process thing.made") == []
    publisher.close()
    assert {(s.organisation, s.service) for s in collector.spans()} == {("kunta", "test")}


def _follows_a_command(service: Any, collector: Collector) -> None:
    headers = {"Authorization": f"Bearer {service.place.token()}", "traceparent": TRACEPARENT, **keyed()}

    httpx.post(f"{service.url}/v1/things", json={"amount": 1}, headers=headers, timeout=20).raise_for_status()

    ordered = span(collector, "command make")
    assert (ordered.trace, ordered.parent, ordered.error) == (TRACE, SPAN, False)


def _follows_an_effect(collector: Collector) -> None:
    asked, tried, result = (span(collector, name) for name in ("process thing.worked", "effect work", "result work"))
    assert {asked.trace, tried.trace, result.trace} == {TRACE}
    assert (asked.parent, tried.parent, result.parent) == (SPAN, asked.span, tried.span)
    assert {asked.state, tried.state, result.state} == {"vendor=1"}


def _follows_a_tell(collector: Collector) -> None:
    told, heard = (span(collector, name) for name in ("process thing.told", "process thing.heard"))
    assert (told.trace, heard.trace, heard.parent) == (TRACE, TRACE, told.span)


def _links_what_leaves(collector: Collector) -> None:
    decided = span(collector, "process thing.abroad")
    left = span(collector, "publish thing.counted")
    assert (left.parent, left.links) == ("", ((TRACE, decided.span),))
    assert left.trace == left.attributes["messaging.message.id"].replace("-", "")


def _links_what_arrives(collector: Collector) -> None:
    arrived = span(collector, "process thing.owned")
    assert (arrived.parent, arrived.links) == ("", ((TRACE, SPAN),))
    assert arrived.trace != TRACE


def _begins_with_a_timer(collector: Collector) -> None:
    fired, asked = span(collector, "timer remind"), span(collector, "process thing.timed")
    assert (fired.parent, fired.links) == ("", ())
    assert fired.trace != asked.trace


def test_a_collector_that_is_away_changes_nothing(thing_place: Place) -> None:
    with collecting() as closed:
        pass
    publisher = Publisher(thing_place.amqp)
    with running(SERVICE, sends_to(thing_place, closed)) as service:
        publisher.send(*(event("thing.made", {"amount": 1}, subject=f"s-{n}") for n in range(100)))

        settled = 'viisikko_settled_total{how="applied"} 100.0'
        eventually(lambda: settled in httpx.get(f"{service.url}/metrics").text, what="100 events")
        assert service.stop() == 0
    publisher.close()


def test_without_a_collector_opentelemetry_is_not_even_imported() -> None:
    program = "import chassis.run, sys; print([m for m in sys.modules if m.startswith('opentelemetry')])"

    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert ended.stdout == "[]\n"


def test_a_collector_without_opentelemetry_is_told_at_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda _name: None)
    place = Place(folder=tmp_path, organisation="kunta", network=tmp_path, amqp="amqp://a", mongo="mongodb://a")
    environment = place.environment(1) | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}

    with pytest.raises(settings.Wrong, match=r"OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry: install viisikko"):
        settings.read({"chassis": settings.Settings}, environment)


def test_ids_that_a_trace_takes_from_an_event_are_those_of_a_trace() -> None:
    cause = Trace(trace=TRACE, span=SPAN, flags=1)

    assert tracing.read(tracing.leaving(str(uuid.uuid4()), cause).parent) is not None
