"""How a fuzzer's bytes become what a target takes: texts that a mutation can change without breaking the whole."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

ROUTING_KEY = "offering.published.sedu.all"
STRUCTURED = "application/cloudevents+json; charset=utf-8"

_PARTS = {
    "[Content_Types].xml": """<?xml version="1.0"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>""",
    "_rels/.rels": """<?xml version="1.0"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/>
</Relationships>""",
    "xl/workbook.xml": """<?xml version="1.0"?>
<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
<sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": """<?xml version="1.0"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>
</Relationships>""",
}
SHEET = "xl/worksheets/sheet1.xml"


@dataclass(frozen=True)
class Delivered:
    """An event as a broker gives it."""

    key: str
    content_type: str | None
    headers: Mapping[str, object]
    body: bytes


def delivered(data: bytes) -> Delivered:
    """Lines of key, media type and headers (``name<TAB>kind<TAB>value``), an empty line, and the body."""
    head, _, body = data.partition(b"\n\n")
    key, media, *headers = [*head.decode("utf-8", "replace").split("\n"), ""][:40]
    found = dict(_header(line) for line in headers if line)
    return Delivered(key, media or None, found, body)


def structured(event: bytes, key: str = ROUTING_KEY) -> bytes:
    """The input of an event in structured mode."""
    return f"{key}\n{STRUCTURED}\n\n".encode() + event


def binary(headers: Mapping[str, str], body: bytes, key: str = ROUTING_KEY, media: str = "application/json") -> bytes:
    """The input of an event in binary mode."""
    lines = [key, media, *(f"{name}\ts\t{value}" for name, value in headers.items())]
    return "\n".join(lines).encode() + b"\n\n" + body


def workbook(data: bytes) -> bytes:
    """An XLSX file whose one sheet is the input, so that a fuzzer need not learn to deflate."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _PARTS.items():
            archive.writestr(name, text)
        archive.writestr(SHEET, data)
    return target.getvalue()


def sealed(data: bytes) -> str:
    """A compact JWE: the input itself, or a header in clear and the four other parts, a line each, after ``H``."""
    if not data.startswith(b"H\n"):
        return data.decode("utf-8", "replace")
    header, *parts = data[2:].split(b"\n")
    first = base64.urlsafe_b64encode(header).decode().rstrip("=")
    return ".".join([first, *(part.decode("utf-8", "replace") for part in parts)])


def _header(line: str) -> tuple[str, object]:
    name, kind, value = [*line.split("\t", 2), "", ""][:3]
    read = _KINDS.get(kind, str)
    try:
        return name, read(value)
    except (ValueError, OverflowError):
        return name, value


@dataclass
class _Odd:
    """A value of a type that no codec knows."""

    value: str = field(repr=False)


# What amqp reads from a message's table of headers: texts, bytes, numbers, truth values, times, nothing, lists, tables.
_KINDS: Mapping[str, Callable[[str], object]] = {
    "s": str,
    "b": lambda text: text.encode("utf-8", "surrogateescape"),
    "i": int,
    "f": float,
    "t": lambda text: datetime.fromtimestamp(int(text), UTC).replace(tzinfo=None),
    "v": lambda text: text == "1",
    "n": lambda _text: None,
    "l": lambda text: text.split(","),
    "d": lambda text: {"a": text},
    "o": _Odd,
}
