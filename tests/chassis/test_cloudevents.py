"""The codec takes every valid event in each of its forms, refuses every invalid one, and raises nothing else."""

from __future__ import annotations

import json
import math
import string
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, cast

import pytest
from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.v1.event import CloudEvent as SdkEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis import cloudevents
from chassis.cloudevents import BATCHED, MAX_BYTES, PREFIXES, STRUCTURED, CloudEvent, NotACloudEvent
from chassis.strictjson import MAX_DEPTH

MINIMAL: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "urn:a:b", "type": "a.b"}
CORE = (
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "specversion",
    "data",
    "data_base64",
)

texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=30)
sources = st.from_regex(r"[a-z][a-z0-9+.-]{0,5}:[a-z0-9:/._~%-]{1,20}", fullmatch=True).filter(
    lambda s: "%" not in s and "://" not in s
)
names = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20).filter(lambda n: n not in CORE)
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=offsets)  # noqa: DTZ001 - the offset is drawn
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
events = st.builds(
    CloudEvent,
    id=texts,
    source=sources,
    type=texts,
    subject=st.none() | texts,
    time=st.none() | times,
    datacontenttype=st.sampled_from([None, "application/json", "text/plain; charset=utf-8", 'a/b;c="d e"']),
    dataschema=st.none() | sources,
    extensions=st.dictionaries(names, texts | st.booleans() | st.integers(-(2**31), 2**31 - 1), max_size=4),
    data=json_values | st.binary(max_size=30),
)


def made(**fields: Any) -> CloudEvent:
    return CloudEvent(**{"id": "1", "source": "urn:a:b", "type": "a.b"} | fields)


def structured(**members: Any) -> CloudEvent:
    return cloudevents.decode(json.dumps(MINIMAL | members).encode(), STRUCTURED, {})


def binary(
    prefix: str, attributes: Mapping[str, Any], body: bytes = b"", content_type: str | None = None
) -> CloudEvent:
    return cloudevents.decode(body, content_type, {prefix + name: value for name, value in attributes.items()})


def fixtures(data: Path, name: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", json.loads((data / "cloudevents" / name).read_text("utf-8"))["tests"])


# The official fixtures


def test_every_valid_official_event_is_read(data: Path) -> None:
    for test in fixtures(data, "valid-events.json"):
        event = cloudevents.decode(json.dumps(test["event"]).encode(), STRUCTURED, {})

        assert event.id == test["event"]["id"], test["id"]
        assert cloudevents.decode(cloudevents.encode(event), STRUCTURED, {}) == event, test["id"]


def test_official_spellings_of_one_moment_are_one_time(data: Path) -> None:
    read = {
        cloudevents.from_json(test["event"]).time
        for test in fixtures(data, "valid-events.json")
        if test["sampleId"] == "minimalWithTime"
    }

    assert read == {datetime(2018, 4, 5, 17, 31, tzinfo=UTC)}


def test_every_invalid_official_event_is_refused(data: Path) -> None:
    taken = []
    for test in fixtures(data, "invalid-events.json"):
        try:
            cloudevents.decode(json.dumps(test["event"]).encode(), STRUCTURED, {})
        except NotACloudEvent:
            continue
        taken.append(test["id"])

    assert taken == []


def test_every_valid_official_batch_is_read(data: Path) -> None:
    for test in fixtures(data, "valid-batches.json"):
        batch = cloudevents.decode_batch(json.dumps(test["batch"]).encode())

        assert [event.id for event in batch] == [event["id"] for event in test["batch"]], test["id"]


def test_every_invalid_official_batch_is_refused(data: Path) -> None:
    for test in fixtures(data, "invalid-batches.json"):
        with pytest.raises(NotACloudEvent):
            cloudevents.decode_batch(json.dumps(test["batch"]).encode())


# Round trips


@settings(deadline=None)
@given(events)
def test_what_is_written_in_structured_mode_is_read_as_it_was(event: CloudEvent) -> None:
    assert cloudevents.decode(cloudevents.encode(event), STRUCTURED, {}) == event


@settings(deadline=None)
@given(st.lists(events, max_size=3))
def test_a_batch_is_read_as_its_events(written: list[CloudEvent]) -> None:
    body = b"[" + b",".join(cloudevents.encode(event) for event in written) + b"]"

    assert list(cloudevents.decode_batch(body)) == written


@pytest.mark.parametrize("prefix", PREFIXES)
@settings(deadline=None)
@given(event=events)
def test_binary_mode_says_the_same_in_each_of_its_spellings(prefix: str, event: CloudEvent) -> None:
    members = json.loads(cloudevents.encode(event))
    content_type = members.pop("datacontenttype", None)
    data = members.pop("data", None)
    members.pop("data_base64", None)
    is_json = content_type == "application/json" and not isinstance(event.data, bytes)
    body = json.dumps(data).encode() if is_json else b"bytes"

    read = binary(prefix, members, body, content_type if is_json else "a/b")

    assert (read.id, read.source, read.type, read.subject) == (event.id, event.source, event.type, event.subject)
    assert (read.time, read.dataschema, read.extensions) == (event.time, event.dataschema, event.extensions)
    assert read.data == (event.data if is_json else b"bytes")


# The SDK as a peer


@settings(deadline=None)
@given(events)
def test_the_sdk_reads_what_is_written_here(event: CloudEvent) -> None:
    message = rabbitmq.RabbitMQMessage(headers={}, content_type=STRUCTURED, body=cloudevents.encode(event))

    read = rabbitmq.from_rabbitmq_event(message)

    assert (read.get_id(), read.get_source(), read.get_type()) == (event.id, event.source, event.type)
    assert read.get_subject() == event.subject
    # The SDK invents a time where there is none.
    assert event.time is None or read.get_time() == event.time
    assert {name: read.get_extension(name) for name in event.extensions} == event.extensions
    assert read.get_data() == event.data


def sdk_event() -> SdkEvent:
    return SdkEvent(
        {
            "id": "1",
            "source": "urn:viisikko:seamk:referral",
            "type": "fi.viisikko.referral.accepted.v1",
            "subject": "r-1",
            "time": datetime(2026, 11, 24, 12, 0, 0, 123000, UTC),
            "datacontenttype": "application/json",
            "destination": "kunta",
        },
        {"offering": "åäö"},
    )


def assert_read(event: CloudEvent) -> None:
    assert (event.id, event.source, event.type) == (
        "1",
        "urn:viisikko:seamk:referral",
        "fi.viisikko.referral.accepted.v1",
    )
    assert (event.subject, event.time) == ("r-1", datetime(2026, 11, 24, 12, 0, 0, 123000, UTC))
    assert (event.datacontenttype, event.extensions) == ("application/json", {"destination": "kunta"})
    assert event.data == {"offering": "åäö"}


def test_the_sdks_structured_mode_is_read() -> None:
    message = rabbitmq.to_structured_event(sdk_event())

    assert_read(cloudevents.decode(message.body, message.content_type, message.headers))


def test_the_sdks_binary_mode_for_rabbitmq_is_read() -> None:
    message = rabbitmq.to_binary_event(sdk_event())

    assert_read(cloudevents.decode(message.body, message.content_type, message.headers))


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
def test_the_sdks_binary_mode_for_amqp_is_read_with_its_time_in_milliseconds(prefix: str) -> None:
    message = amqp.to_binary_event(sdk_event())
    headers = {name.replace("cloudEvents_", prefix): value for name, value in message.application_properties.items()}

    assert_read(cloudevents.decode(message.application_data, message.properties["content-type"], headers))


# Nothing else is raised


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([STRUCTURED, BATCHED, "application/json", "", None]))
def test_random_bytes_are_refused(body: bytes, content_type: str | None) -> None:
    with pytest.raises(NotACloudEvent):
        cloudevents.decode(body, content_type, {})


wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
wild_members = st.dictionaries(st.sampled_from((*CORE, "x", "X", "a.b")), wild, max_size=11)


@settings(deadline=None)
@given(wild_members, st.booleans())
def test_random_json_is_read_or_refused(members: dict[str, Any], complete: bool) -> None:  # noqa: FBT001 - drawn
    body = json.dumps((MINIMAL if complete else {}) | members, default=str).encode()

    try:
        event = cloudevents.decode(body, STRUCTURED, {})
    except NotACloudEvent:
        return

    assert cloudevents.decode(cloudevents.encode(event), STRUCTURED, {}) == event


@settings(deadline=None)
@given(wild_members | st.dictionaries(st.text(), wild), st.sampled_from(PREFIXES), st.binary(max_size=20), texts)
def test_random_headers_are_read_or_refused(
    members: dict[str, Any], prefix: str, body: bytes, content_type: str
) -> None:
    try:
        event = binary(prefix, MINIMAL | members, body, content_type)
    except NotACloudEvent:
        return

    assert event.id


@settings(deadline=None)
@given(wild_members, wild)
def test_random_events_are_written_readably_or_refused(members: dict[str, Any], data: Any) -> None:
    extensions = {name: value for name, value in members.items() if name not in CORE[:7]}
    fields = {name: value for name, value in members.items() if name in CORE[:7] and name != "time"}
    try:
        body = cloudevents.encode(made(**fields, extensions=extensions, data=data))
    except NotACloudEvent:
        return

    assert cloudevents.decode(body, STRUCTURED, {}).id


# Time


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-00:01"])
def test_a_time_outside_the_years_of_utc_is_refused(time: str) -> None:
    with pytest.raises(NotACloudEvent, match=r"time: must be a date and time that exist"):
        structured(time=time)


@pytest.mark.parametrize(
    "time",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-1))),
        10**18,
        -(10**18),
    ],
)
def test_a_header_with_a_time_outside_the_years_of_utc_is_refused(time: object) -> None:
    with pytest.raises(NotACloudEvent, match=r"time: must lie in the years"):
        binary("ce-", MINIMAL | {"time": time})


def test_an_event_with_a_time_outside_the_years_of_utc_is_not_written() -> None:
    with pytest.raises(NotACloudEvent, match=r"time: must lie in the years"):
        cloudevents.encode(made(time=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))))


class Nowhere(tzinfo):
    """A zone that does not say how far it is from UTC."""

    def utcoffset(self, _at: datetime | None) -> None:
        return None

    dst = utcoffset

    def tzname(self, _at: datetime | None) -> None:
        return None


@pytest.mark.parametrize("zone", [None, Nowhere()])
def test_a_time_without_offset_is_not_written(zone: tzinfo | None) -> None:
    with pytest.raises(NotACloudEvent, match=r"time: must have an offset"):
        cloudevents.encode(made(time=datetime(2026, 11, 24, tzinfo=zone)))


def test_a_time_is_read_in_utc() -> None:
    event = structured(time="2026-11-24t14:00:00.1234567+02:00")

    assert event.time == datetime(2026, 11, 24, 12, 0, 0, 123456, UTC)
    assert event.time.tzinfo is UTC


def test_a_timestamp_of_amqp_without_offset_is_utc() -> None:
    event = binary("ce-", MINIMAL | {"time": datetime(2026, 11, 24, 12)})  # noqa: DTZ001 - as the AMQP library reads it

    assert event.time == datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "time",
    [
        "2026-02-30T00:00:00Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z",
        "٢٠٢٦-01-01T00:00:00Z",
    ],
)
def test_a_time_that_does_not_exist_or_is_spelled_otherwise_is_refused(time: str) -> None:
    with pytest.raises(NotACloudEvent) as refused:
        structured(time=time)

    assert refused.value.attribute == "time"


# What is not written


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_not_written(number: float) -> None:
    with pytest.raises(NotACloudEvent, match="not finite"):
        cloudevents.encode(made(data={"a": [number]}))


@pytest.mark.parametrize(
    "fields", [{"data": "\ud800"}, {"data": {"\udfff": 1}}, {"extensions": {"a": "\ud800"}}, {"id": "\ud800"}]
)
def test_half_a_character_is_not_written(fields: dict[str, Any]) -> None:
    with pytest.raises(NotACloudEvent):
        cloudevents.encode(made(**fields))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**50])
def test_an_integer_beyond_64_bits_is_not_written(number: int) -> None:
    with pytest.raises(NotACloudEvent, match="beyond 64 bits"):
        cloudevents.encode(made(data={"a": [number]}))


def test_data_in_binary_mode_nests_no_deeper_than_structured_mode_can_say() -> None:
    headers = {f"ce-{name}": value for name, value in MINIMAL.items()}
    bodies = [b"[" * depth + b"]" * depth for depth in (MAX_DEPTH - 1, MAX_DEPTH)]

    read = cloudevents.decode(bodies[0], "application/json", headers)

    assert cloudevents.decode(cloudevents.encode(read), STRUCTURED, {}) == read
    with pytest.raises(NotACloudEvent, match="nests deeper"):
        cloudevents.decode(bodies[1], "application/json", headers)


@pytest.mark.parametrize("depth", [MAX_DEPTH, 5_000])
def test_data_that_nests_too_deep_is_not_written(depth: int) -> None:
    data: Any = 1
    for _ in range(depth):
        data = [data]

    with pytest.raises(NotACloudEvent, match="nests deeper"):
        cloudevents.encode(made(data=data))


def test_data_that_holds_itself_is_not_written() -> None:
    data: list[Any] = []
    data.append(data)

    with pytest.raises(NotACloudEvent):
        cloudevents.encode(made(data=data))


@pytest.mark.parametrize("data", [{1, 2}, object(), datetime(2026, 1, 1, tzinfo=UTC), {("a",): 1}, [b"x"]])
def test_data_that_is_not_jsons_is_not_written(data: Any) -> None:
    with pytest.raises(NotACloudEvent, match="data: must be of JSON's values, or bytes"):
        cloudevents.encode(made(data=data))


@pytest.mark.parametrize("name", CORE)
def test_an_extension_cannot_bear_the_name_of_an_attribute(name: str) -> None:
    with pytest.raises(NotACloudEvent, match="extension: must not bear the name"):
        cloudevents.encode(made(extensions={name: "a"}))


@pytest.mark.parametrize(
    "fields",
    [{"id": ""}, {"id": 5}, {"source": "a b"}, {"time": 5}, {"extensions": {"a": 1.5}}, {"extensions": {"A": "a"}}],
)
def test_an_event_that_breaks_a_rule_is_not_written(fields: dict[str, Any]) -> None:
    with pytest.raises(NotACloudEvent):
        cloudevents.encode(made(**fields))


# Texts and URIs


FORBIDDEN = ["\x00", "\x1f", "\x7f", "\x9f", "\ufdd0", "\ufdef", "\ufffe", "\uffff", "\U0001fffe", "\U0010ffff"]


@pytest.mark.parametrize("character", FORBIDDEN)
@pytest.mark.parametrize("name", ["id", "type", "subject", "ext"])
def test_control_and_non_characters_are_refused_on_every_plane(name: str, character: str) -> None:
    with pytest.raises(NotACloudEvent, match="control characters"):
        structured(**{name: f"a{character}"})


@pytest.mark.parametrize("text", ["Ääkköset", "\U0001f600", "\U0010fffd", " ", "\xa0"])
def test_other_characters_are_kept(text: str) -> None:
    assert structured(subject=text).subject == text


@pytest.mark.parametrize(
    "source",
    [
        "%zz",
        "a%",
        "a%4",
        "#a#b",
        "a#b#c",
        "a b",
        "ä",
        "1a:b",
        ":a",
        "a[b]",
        "//[::1",
        "//a@b@c/",
        "<a>",
        'a"',
        "a\\b",
        "//h:port",
    ],
)
def test_a_source_that_is_no_uri_reference_is_refused(source: str) -> None:
    with pytest.raises(NotACloudEvent, match="source: must be a URI reference"):
        structured(source=source)


@pytest.mark.parametrize(
    "source",
    [
        "urn:viisikko:kunta:intake",
        "https://user:secret@example.fi:8443/a/b;c?d=e/?f#g?/h",
        "//authority/path",
        "//[2001:db8::1]:80/",
        "file:///a",
        "../a/b:c",
        "#fragment",
        "?a",
        "a%C3%A4",
        "mailto:a@example.fi",
    ],
)
def test_a_source_may_be_any_uri_reference(source: str) -> None:
    assert structured(source=source).source == source


@pytest.mark.parametrize("schema", ["a", "//a/b", "/a", "#a", "https://a/%zz", "https://a/#b#c", "1:a"])
def test_a_dataschema_that_is_no_absolute_uri_is_refused(schema: str) -> None:
    with pytest.raises(NotACloudEvent, match="dataschema: must be an absolute URI"):
        structured(dataschema=schema)


def test_a_long_source_is_refused_in_time_that_grows_with_its_length_only() -> None:
    for source in ("a" * 60_000 + "%zz", "//" + "a:" * 30_000 + " ", "a:" + "%41" * 20_000 + "%", "//" + "@" * 60_000):
        with pytest.raises(NotACloudEvent):
            cloudevents.from_json(MINIMAL | {"source": source})


# Data


@pytest.mark.parametrize("data", [None, "text", 0])
@pytest.mark.parametrize("base64", [None, "YQ=="])
def test_data_never_stands_beside_data_base64(data: Any, base64: Any) -> None:
    with pytest.raises(NotACloudEvent, match="data_base64: stands beside data"):
        structured(data=data, data_base64=base64)


@pytest.mark.parametrize("value", [None, 5, "YQ", "Y Q==", "ä", "YQ==\n"])
def test_data_base64_that_is_no_base64_is_refused(value: Any) -> None:
    with pytest.raises(NotACloudEvent, match="data_base64: must be"):
        structured(data_base64=value)


def test_no_data_and_null_are_both_none() -> None:
    assert structured().data is None
    assert structured(data=None).data is None


# Modes


@pytest.mark.parametrize("content_type", ["application/json", BATCHED, "application/cloudevents", "", None])
def test_the_media_type_alone_says_that_it_is_structured_mode(content_type: str | None) -> None:
    with pytest.raises(NotACloudEvent, match="neither the content type"):
        cloudevents.decode(json.dumps(MINIMAL).encode(), content_type, {})


@pytest.mark.parametrize("content_type", [STRUCTURED + "; charset=utf-8", STRUCTURED.upper(), f" {STRUCTURED} "])
def test_the_media_type_may_have_parameters_and_capitals(content_type: str) -> None:
    assert cloudevents.decode(json.dumps(MINIMAL).encode(), content_type, {}).id == "1"


def test_an_event_over_the_limit_is_refused() -> None:
    with pytest.raises(NotACloudEvent, match=f"{MAX_BYTES + 1} bytes"):
        cloudevents.decode(b" " * (MAX_BYTES + 1), STRUCTURED, {})


def test_one_attribute_under_two_prefixes_is_refused() -> None:
    headers = {f"ce-{name}": value for name, value in MINIMAL.items()} | {"cloudEvents:id": "2"}

    with pytest.raises(NotACloudEvent, match="id: stands in the headers twice"):
        cloudevents.decode(b"", None, headers)


@pytest.mark.parametrize("name", ["data", "data_base64", "datacontenttype"])
def test_what_belongs_to_the_body_is_no_header(name: str) -> None:
    with pytest.raises(NotACloudEvent, match=f"{name}: is no header"):
        binary("ce-", MINIMAL | {name: "a"})


def test_headers_of_bytes_are_utf8() -> None:
    assert binary("ce-", MINIMAL | {"subject": "ä".encode()}).subject == "ä"
    with pytest.raises(NotACloudEvent, match="subject: must be UTF-8"):
        binary("ce-", MINIMAL | {"subject": b"\xff"})


# Errors


@pytest.mark.parametrize("name", ["a" * 21, "A", "010190-123X", "ä"])
def test_no_error_repeats_a_long_or_odd_name_from_outside(name: str) -> None:
    with pytest.raises(NotACloudEvent) as refused:
        structured(**{name: 1.5})

    assert refused.value.attribute == "extension"
    assert name not in refused.value.rule


@pytest.mark.parametrize("name", ["specversion", "time", "datacontenttype", "dataschema", "data_base64", "x"])
@pytest.mark.parametrize("secret", ["Aino Virtanen \x00", {"Aino Virtanen": 1}])
def test_no_error_repeats_a_value(name: str, secret: Any) -> None:
    with pytest.raises(NotACloudEvent) as refused:
        structured(**{name: secret})

    assert "Aino" not in str(refused.value)
