"""Settings: what is read, and that everything wrong has one line with its rule and never its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis import settings
from chassis.amqp import address
from chassis.settings import Settings, Wrong


@pytest.fixture
def good(tmp_path: Path) -> dict[str, str]:
    network = tmp_path / "network.toml"
    network.touch()
    return {
        "VIISIKKO_ORGANISATION": "kunta",
        "VIISIKKO_AMQP_URI": "amqp://kunta:s%40cret@127.0.0.1:5672/%2F",
        "VIISIKKO_MONGO_URI": "mongodb://a:1,b:2/?replicaSet=viisikko",
        "VIISIKKO_HTTP": "127.0.0.1:8000",
        "VIISIKKO_NETWORK": str(network),
        "VIISIKKO_SECRETS": str(tmp_path),
        "VIISIKKO_KEYS": str(tmp_path),
    }


def read(environment: dict[str, str]) -> Settings:
    found: Settings = settings.read({"chassis": Settings}, environment)["chassis"]
    return found


def test_what_is_there_is_read_and_the_rest_has_its_default(good: dict[str, str]) -> None:
    found = read(good | {"VIISIKKO_LOG_LEVEL": "DEBUG", "VIISIKKO_CLOCK": ""})

    assert (found.http, found.log_level, found.clock, found.prefetch) == (("127.0.0.1", 8000), "debug", None, 600)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORGANISATION", "Kunta"),
        ("AMQP_URI", "http://127.0.0.1"),
        ("AMQP_URI", "memory://"),
        ("AMQP_URI", "amqp://"),
        ("AMQP_URI", "amqp://user:pä ss@@:x/%"),
        ("AMQP_URI", "amqp://host:99999/"),
        ("AMQP_URI", "amqp://[::1/"),
        ("MONGO_URI", "mongodb://"),
        ("MONGO_URI", "mongodb://a b:c d/?x=y"),
        ("MONGO_URI", "mongodb://127.0.0.1/?nothing=known"),
        ("HTTP", "8000"),
        ("HTTP", ":8000"),
        ("HTTP", "localhost:0"),
        ("HTTP", "localhost:65536"),
        ("HTTP", "localhost:²"),
        ("HTTP", "localhost:" + "9" * 5000),
        ("HTTP", "::1:80"),
        ("NETWORK", ""),
        ("NETWORK", "/"),
        ("SECRETS", "/nowhere/at/all"),
        ("KEYS", ""),
        ("LOG_LEVEL", "loud"),
        ("PREFETCH", "many"),
        ("PREFETCH", "1.5"),
        ("PREFETCH", "inf"),
        ("LINGER_SECONDS", "nan"),
    ],
)
def test_what_is_wrong_is_named_with_its_rule_in_one_line(good: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(Wrong) as wrong:
        read(good | {f"VIISIKKO_{name}": value})

    text = str(wrong.value)
    assert text.startswith(f"VIISIKKO_{name} must ")
    assert "\n" not in text
    assert "pä ss" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[::1]:80", ("::1", 80)), ("0.0.0.0:8000", ("0.0.0.0", 8000)), ("host.example:1", ("host.example", 1))],  # noqa: S104
)
def test_an_address_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert settings.address(text) == expected


def test_everything_missing_is_told_at_once_together_with_what_a_check_finds() -> None:
    with pytest.raises(Wrong) as wrong:
        settings.read(
            {"chassis": Settings}, {"VIISIKKO_HTTP": "[::1]:1"}, check=lambda values: [str(values["chassis"])]
        )

    lines = str(wrong.value).splitlines()
    missing = ("ORGANISATION", "AMQP_URI", "MONGO_URI", "NETWORK", "SECRETS", "KEYS")
    assert lines == [*(f"VIISIKKO_{name} is missing" for name in missing), "{'http': ('::1', 1)}"]


def test_a_value_may_stand_in_a_file(good: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "amqp-uri"
    file.write_text("amqp://broker.example\n")

    assert read(good | {"VIISIKKO_AMQP_URI_FILE": str(file)}).amqp == "amqp://broker.example"


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_holds_no_value_is_named_by_its_setting(
    good: dict[str, str], tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "amqp-uri"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(Wrong, match=r"^VIISIKKO_AMQP_URI .* in|from the file that VIISIKKO_AMQP_URI_FILE names"):
        read(good | {"VIISIKKO_AMQP_URI_FILE": str(file)})


def test_the_brokers_address_is_read_anew_at_each_connection_and_a_broken_file_changes_nothing(
    good: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "amqp-uri"
    file.write_text("amqp://kunta:old@broker.example\n")
    found = read(good | {"VIISIKKO_AMQP_URI_FILE": str(file)})

    seen = [address(found)]
    for text in ("amqp://kunta:new@broker.example\n", "nothing", ""):
        file.write_text(text)
        seen.append(address(found))
    file.unlink()

    old, new = "amqp://kunta:old@broker.example", "amqp://kunta:new@broker.example"
    assert [*seen, address(found)] == [old, new, old, old, old]
    assert address(read(good)) == good["VIISIKKO_AMQP_URI"]
