"""The private authority: when a server's certificate stays, and when it is made anew."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest

from console.authority import Authority, Certificate

HOSTS = ("localhost", "127.0.0.1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "authority"


@pytest.fixture
def made(folder: Path) -> Certificate:
    return Authority(folder).server("broker", HOSTS)


def is_whole(files: Certificate) -> bool:
    """Whether certificate and key belong together, as OpenSSL sees it."""
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files.certificate, files.key)
    except ssl.SSLError:
        return False
    return True


def test_a_good_certificate_stays(folder: Path, made: Certificate) -> None:
    before = made.certificate.read_bytes()

    Authority(folder).server("broker", HOSTS)

    assert made.certificate.read_bytes() == before


def test_a_certificate_for_other_hosts_is_made_anew(folder: Path, made: Certificate) -> None:
    before = made.certificate.read_bytes()

    Authority(folder).server("broker", ("hub.example",))

    assert made.certificate.read_bytes() != before


def test_what_another_authority_of_the_same_name_has_signed_is_made_anew(
    folder: Path, made: Certificate, tmp_path: Path
) -> None:
    before = made.certificate.read_bytes()
    other = Authority(tmp_path / "other")
    for name in ("ca.pem", "ca.key"):
        shutil.copyfile(other.certificate.with_name(name), folder / name)

    Authority(folder).server("broker", HOSTS)

    assert made.certificate.read_bytes() != before


def test_a_certificate_beside_another_key_is_made_anew(folder: Path, made: Certificate) -> None:
    shutil.copyfile(Authority(folder).server("another", HOSTS).key, made.key)
    assert not is_whole(made)

    Authority(folder).server("broker", HOSTS)

    assert is_whole(made)
