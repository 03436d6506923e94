"""The envelope's second check: what the network asks beyond CloudEvents, refused with a reason, a field and a rule."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.bindings import rabbitmq
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis import profile
from chassis.cloudevents import MAX_BYTES, NotACloudEvent
from chassis.decision import Classification
from chassis.profile import CONTENT_TYPE, Address, Envelope
from chassis.reasons import Reason, Unacceptable

KEY = "referral.accepted.seamk.kunta"
JWE = "eyJhIjoxfQ..aXY.Y2lwaGVy.dGFn"
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"

MEMBERS: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "urn:viisikko:seamk:referral",
    "type": "fi.viisikko.referral.accepted.v1",
    "subject": "r-1",
    "time": "2026-11-24T12:00:00Z",
    "datacontenttype": "application/json",
    "destination": "kunta",
    "dataclassification": "pseudonymous",
    "data": {"offering": "o-1"},
}

words = st.from_regex(r"[a-z]{1,8}(-[a-z]{1,8})?", fullmatch=True)
codes = st.from_regex(r"[a-z]{1,10}", fullmatch=True)
references = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=200)


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    organisation, personal = draw(codes), draw(st.booleans())
    plain = draw(st.sampled_from([Classification.PUBLIC, Classification.PSEUDONYMOUS]))
    return Envelope(
        id=draw(references),
        source=f"urn:viisikko:{organisation}:{draw(codes)}",
        organisation=organisation,
        name=f"{draw(words)}.{draw(words)}",
        version=draw(st.integers(1, 9999)),
        subject=draw(references),
        time=draw(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
        destination=draw(codes),
        classification=Classification.PERSONAL if personal else plain,
        data=JWE if personal else draw(st.dictionaries(words, st.integers(0, 9) | words)),
        sequence=draw(st.none() | st.integers(0, 2**63 - 1)),
        correlation=draw(st.none() | references),
        causation=draw(st.none() | references),
        traceparent=draw(st.none() | st.just(TRACE)),
        tracestate=draw(st.none() | st.just("a=b")),
    )


def admit(key: str = KEY, **members: Any) -> Envelope:
    """Admit `MEMBERS` with some of them changed, or left out where they are None."""
    changed = {name: value for name, value in (MEMBERS | members).items() if value is not None}
    return profile.admit(json.dumps(changed).encode(), CONTENT_TYPE, {}, key)


def refusal(key: str = KEY, **members: Any) -> tuple[Reason, str | None]:
    with pytest.raises(Unacceptable) as refused:
        admit(key, **members)
    return refused.value.reason, refused.value.field


@settings(deadline=None)
@given(envelopes())
def test_what_is_composed_is_admitted_as_it_was(envelope: Envelope) -> None:
    body = profile.compose(envelope)

    assert profile.admit(body, CONTENT_TYPE, {}, envelope.routing_key) == envelope


@settings(deadline=None)
@given(envelopes(), st.sampled_from(["ce-", "cloudEvents_", "cloudEvents:"]))
def test_binary_mode_is_admitted_like_structured_mode(envelope: Envelope, prefix: str) -> None:
    members = json.loads(profile.compose(envelope))
    content_type, data = members.pop("datacontenttype"), members.pop("data")
    body = data.encode() if envelope.classification is Classification.PERSONAL else json.dumps(data).encode()
    headers = {prefix + name: value for name, value in members.items()} | {"nameko.call_id_stack": 5}

    admitted = profile.admit(body, content_type, profile.safe_headers(headers), envelope.routing_key)

    assert admitted == envelope


@settings(deadline=None)
@given(envelopes())
def test_the_sdk_reads_what_is_composed(envelope: Envelope) -> None:
    message = rabbitmq.RabbitMQMessage(headers={}, content_type=CONTENT_TYPE, body=profile.compose(envelope))

    read = rabbitmq.from_rabbitmq_event(message)

    assert (read.get_id(), read.get_source(), read.get_type()) == (envelope.id, envelope.source, envelope.type)
    assert read.get_extension("destination") == envelope.destination
    assert read.get_data() == envelope.data


@settings(deadline=None)
@given(st.binary(max_size=100), st.text(max_size=30), st.none() | st.text(max_size=40))
def test_random_bytes_are_refused(body: bytes, key: str, content_type: str | None) -> None:
    for routing_key in (key, KEY):
        with pytest.raises(Unacceptable):
            profile.admit(body, content_type, {}, routing_key)


wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
EXTENSIONS = ("sequence", "correlationid", "causationid", "traceparent", "tracestate", "data_base64")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from((*MEMBERS, *EXTENSIONS)), wild))
def test_random_members_are_admitted_or_refused(members: dict[str, Any]) -> None:
    try:
        envelope = admit(**members)
    except Unacceptable:
        return

    assert profile.admit(profile.compose(envelope), CONTENT_TYPE, {}, KEY) == envelope


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a.b.c",
        "a.b.c.d.e",
        "A.b.c.d",
        "a.b.c.d1",
        "a..c.d",
        "a.b-.c.d",
        "a.b.c-d.e",
        "a.b.c.d\n",
        "ä.b.c.d",
        "*.b.c.d",
    ],
)
def test_a_routing_key_that_is_not_of_four_words_is_refused(key: str) -> None:
    assert refusal(key) == (Reason.WRONG_KEY, "routing key")


def test_a_routing_key_is_taken_apart_and_put_together() -> None:
    address = profile.address("need-of-skill.became-unmet.kunta.all")

    assert address == Address("need-of-skill", "became-unmet", "kunta", "all")
    assert address.name == "need-of-skill.became-unmet"
    assert str(address) == "need-of-skill.became-unmet.kunta.all"


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"source": "urn:viisikko:seamk"}, "source"),
        ({"source": "https://seamk.fi"}, "source"),
        ({"source": "urn:viisikko:SEAMK:referral"}, "source"),
        ({"type": "referral.accepted"}, "type"),
        ({"type": "fi.viisikko.referral.accepted.v0"}, "type"),
        ({"type": "fi.viisikko.referral.accepted.v10000"}, "type"),
        ({"subject": None}, "subject"),
        ({"subject": "a b"}, "subject"),
        ({"subject": "a" * 201}, "subject"),
        ({"time": None}, "time"),
        ({"id": "a" * 201}, "id"),
        ({"destination": None}, "destination"),
        ({"destination": 5}, "destination"),
        ({"destination": ""}, "destination"),
        ({"dataclassification": None}, "dataclassification"),
        ({"dataclassification": "secret"}, "dataclassification"),
        ({"correlationid": "a b"}, "correlationid"),
        ({"causationid": "a" * 201}, "causationid"),
        ({"data": None, "data_base64": "YQ=="}, "data"),
    ],
)
def test_what_breaks_the_profile_is_refused_with_its_field(members: dict[str, Any], field: str) -> None:
    assert refusal(**members) == (Reason.PROFILE, field)


def test_what_is_no_cloudevent_is_refused_as_such() -> None:
    assert refusal(specversion="0.3") == (Reason.NOT_AN_EVENT, "specversion")
    assert refusal(time="lunchtime") == (Reason.NOT_AN_EVENT, "time")
    assert refusal(time="0001-01-01T00:00:00+01:00") == (Reason.NOT_AN_EVENT, "time")


def test_another_organisation_in_source_or_destination_is_forged() -> None:
    assert refusal(source="urn:viisikko:sedu:referral") == (Reason.FORGED, "source")
    assert refusal(destination="all") == (Reason.FORGED, "destination")


def test_a_type_that_contradicts_the_key_is_refused() -> None:
    assert refusal(type="fi.viisikko.referral.rejected.v1") == (Reason.WRONG_KEY, "type")


@pytest.mark.parametrize(
    "sequence", ["9223372036854775808", "9999999999999999999", "0" * 20, "", "-1", "1.0", "٣", 3, "1 "]
)
def test_a_sequence_that_does_not_fit_64_bits_or_is_no_number_is_refused(sequence: Any) -> None:
    assert refusal(sequence=sequence) == (Reason.PROFILE, "sequence")


@pytest.mark.parametrize(("sequence", "number"), [("0", 0), ("0000000003", 3), ("9223372036854775807", 2**63 - 1)])
def test_a_sequence_is_compared_as_a_number(sequence: str, number: int) -> None:
    assert admit(sequence=sequence).sequence == number


@pytest.mark.parametrize(
    "trace",
    [
        f"01-{'a' * 32}-{'b' * 16}-01",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01-c",
        f"00-{'a' * 31}-{'b' * 16}-01",
        "00",
    ],
)
def test_a_trace_of_another_version_or_with_zero_ids_is_refused(trace: str) -> None:
    assert refusal(traceparent=trace) == (Reason.PROFILE, "traceparent")


@pytest.mark.parametrize("trace", [TRACE, f"00-{'0' * 31}1-{'0' * 15}1-00"])
def test_a_trace_of_version_00_is_kept(trace: str) -> None:
    assert admit(traceparent=trace).traceparent == trace


@pytest.mark.parametrize("data", [None, {}, "a.b.c", "a.b.c.d.e.f", f"{JWE} ", "a..c..e", 5])
def test_personal_data_that_is_no_compact_jwe_is_refused(data: Any) -> None:
    assert refusal(dataclassification="personal", data=data) == (Reason.SEALED, "data")


def test_an_event_over_64_kib_is_neither_admitted_nor_composed() -> None:
    large = {"a": "b" * MAX_BYTES}
    envelope = admit()

    assert refusal(data=large) == (Reason.TOO_LARGE, None)
    with pytest.raises(Unacceptable) as refused:
        profile.compose(replace(envelope, data=large))
    assert refused.value.reason is Reason.TOO_LARGE


def test_an_event_that_nobody_could_read_is_not_composed() -> None:
    for data in ({"a": float("nan")}, "\ud800", 2**64, {1, 2}):
        with pytest.raises(NotACloudEvent):
            profile.compose(replace(admit(), data=data))


def test_a_time_is_composed_in_utc() -> None:
    local = datetime(2026, 11, 24, 14, tzinfo=timezone(timedelta(hours=2)))

    body = profile.compose(replace(admit(), time=local))

    assert json.loads(body)["time"] == "2026-11-24T12:00:00Z"


def test_only_headers_of_the_network_and_of_binary_mode_are_read() -> None:
    headers = {"ce-id": "1", "cloudEvents:id": "2", "CLOUDEVENTS_ID": "3", "x-viisikko-attempts": 1, "x-death": []}

    safe = profile.safe_headers(headers | {"call_id_stack": 5, "nameko.locale": "fi", "X-Death": 1, "traceparent": "a"})

    assert safe == headers
    assert profile.safe_headers(None) == {}
