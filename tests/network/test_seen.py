"""What the whole run goes by when it looks for personal data and for what two events have in common."""

from __future__ import annotations

import base64
import json

import pytest
from personal import in_clear
from seen import longest_common, opaque

TEXT = "Olen hoitanut äitiäni kotona"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("latin-1"),
        TEXT.encode("utf-16-le"),
        json.dumps({"words": TEXT}).encode(),
        *(base64.b64encode(b"x" * before + TEXT.encode() + b"more") for before in range(4)),
        *(base64.urlsafe_b64encode(b"x" * before + TEXT.encode() + b"more") for before in range(4)),
    ],
)
def test_a_text_is_found_in_clear_however_it_is_written(content: bytes) -> None:
    assert in_clear(b"\x00\x01" + content + b"\xff", [TEXT, "another"]) == [TEXT]


def test_a_name_is_found_where_it_is_alone_in_a_field_and_not_in_a_description() -> None:
    assert in_clear(b'{"given":"Aino"}', ['"Aino"']) == ['"Aino"']
    assert in_clear(b'{"fi":"Aino Kallaksen runoja"}', ['"Aino"']) == []


def test_what_may_stand_for_a_client_is_every_text_that_not_all_events_share() -> None:
    event = {"id": "i", "type": "t", "data": {"status": "s", "referral": "r", "basedOn": ["b"], "level": 3}}

    assert list(opaque(event)) == ["i", "r", "b"]


def test_the_longest_common_text_is_measured() -> None:
    assert longest_common("r.abcdef", "x.cdefgh") == 4
    assert longest_common("abc", "xyz") == 0
