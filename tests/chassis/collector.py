"""An OpenTelemetry collector that keeps what it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Collected:
    """One span as it came over the wire."""

    organisation: str
    service: str
    name: str
    trace: str
    span: str
    parent: str
    links: tuple[tuple[str, str], ...]
    state: str
    error: bool
    attributes: dict[str, str] = field(hash=False)


class Collector:
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.bodies: list[bytes] = []

    def spans(self) -> list[Collected]:
        return [span for body in list(self.bodies) for span in _spans(body)]

    def named(self, name: str, **attributes: str) -> list[Collected]:
        return [s for s in self.spans() if s.name == name and attributes.items() <= s.attributes.items()]


def _spans(body: bytes) -> Iterator[Collected]:
    request = ExportTraceServiceRequest.FromString(body)
    for group in request.resource_spans:
        resource = _texts(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Collected(
                    organisation=resource["service.namespace"],
                    service=resource["service.name"],
                    name=span.name,
                    trace=span.trace_id.hex(),
                    span=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    state=span.trace_state,
                    error=span.status.code == span.status.STATUS_CODE_ERROR,
                    attributes=_texts(span.attributes),
                )


def _texts(pairs: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
