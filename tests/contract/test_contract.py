"""Where producers and consumers meet: each producer's example loads in each consumer, and partners read the truth."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from chassis import profile, strictjson
from chassis.decision import Classification, Handler
from console import contract, generated
from console.contract import Promised
from console.validate import problems

ROOT = Path(__file__).parent.parent.parent
PROMISED = contract.promised()
CONSUMERS = [
    (promised, handler)
    for promised in PROMISED
    for entry in sorted(entry_points(group="viisikko.services"), key=lambda entry: entry.name)
    for handler in entry.load().handlers.all()
    if handler.kind == "event"
    and handler.name == promised.contract.name
    and promised.contract.version in {handler.version, *handler.older}
]


def consumer_name(case: Any) -> str:
    return case.contract.name if isinstance(case, Promised) else case.aggregate.handlers.service


def read(handler: Handler, promised: Promised, data: dict[str, Any]) -> Any:
    return handler.load(data, promised.contract.version, lambda schema, plain: schema().load(plain))


@pytest.mark.parametrize(("promised", "handler"), CONSUMERS, ids=consumer_name)
def test_each_producers_example_loads_in_each_consumer(promised: Promised, handler: Handler) -> None:
    read(handler, promised, json.loads(json.dumps(promised.contract.example)))


@pytest.mark.parametrize(("promised", "handler"), CONSUMERS, ids=consumer_name)
def test_a_consumer_takes_a_newer_event_with_members_that_it_does_not_know(
    promised: Promised, handler: Handler
) -> None:
    read(handler, promised, {**promised.contract.example, "addedLater": {"by": "anybody"}})


@pytest.mark.parametrize("promised", PROMISED, ids=lambda promised: promised.contract.name)
def test_an_example_follows_its_schema(promised: Promised) -> None:
    jsonschema.validate(
        json.loads(json.dumps(promised.contract.example)),
        contract.schema(promised),
        cls=jsonschema.Draft202012Validator,
    )


@pytest.mark.parametrize("promised", PROMISED, ids=lambda promised: promised.contract.name)
def test_an_example_is_a_valid_event(promised: Promised) -> None:
    example = json.dumps(contract.example(promised)).encode()

    assert problems(example) == []


@pytest.mark.parametrize("promised", PROMISED, ids=lambda promised: promised.contract.name)
def test_an_example_is_far_below_the_largest_event(promised: Promised) -> None:
    assert len(json.dumps(contract.example(promised))) < 16 * 1024


def test_what_is_personal_is_marked_so() -> None:
    personal = {p.contract.name for p in PROMISED if p.contract.classification is Classification.PERSONAL}

    assert personal == {"client.referred", "words.given", "client.disclosed"}


@pytest.mark.parametrize(("promised", "handler"), CONSUMERS, ids=consumer_name)
def test_a_consumer_takes_what_is_personal_only_where_it_came_sealed(promised: Promised, handler: Handler) -> None:
    assert handler.sealed == (promised.contract.classification is Classification.PERSONAL)


@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
def test_the_asyncapi_document_follows_its_specification(data: Path, version: str) -> None:
    schema = json.loads((data / "asyncapi" / f"{version}.json").read_text())
    document = {**contract.asyncapi(PROMISED), "asyncapi": version}

    jsonschema.Draft7Validator(schema).validate(document)


def test_the_generated_files_are_fresh() -> None:
    assert generated.build(ROOT / "deploy", check=True) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": "fi.viisikko.nothing.known.v1"}, "type"),
        ({"source": "urn:other:kunta:x"}, "source"),
        ({"time": "yesterday"}, "time"),
        ({"data": {}}, "data."),
        ({"data": {"text": "131052-308T"}}, "identity code"),
    ],
)
def test_validate_names_what_is_wrong(change: dict[str, Any], named: str) -> None:
    requested = next(p for p in PROMISED if p.contract.name == "referral.requested")
    event = {**contract.example(requested), **change}

    found = problems(json.dumps(event).encode())

    assert any(named in problem for problem in found), found
    assert "131052" not in " ".join(found)


def test_the_routing_key_of_an_example_is_of_four_words() -> None:
    for promised in PROMISED:
        if promised.contract.classification is Classification.PERSONAL:
            continue
        event = contract.example(promised)
        key = f"{promised.contract.name}.{event['source'].split(':')[2]}.{event['destination']}"
        admitted = profile.admit(strictjson.dumps(event), profile.CONTENT_TYPE, {}, key)
        assert admitted.routing_key == key
