"""Another copy's offerings, read over HTTP: what a catalogue begins with that is new, restored or was long away.

A line of ``GET /v1/offerings`` is one offering with the source, sequence and time of its latest event, in the order of
the ids, so that a reading that broke off goes on after the last id that was taken.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from marshmallow import ValidationError

from catalogue.beginning import Line
from catalogue.schemas import OfferingLine, OfferingRead, OfferingWithdrawn
from chassis import strictjson
from chassis.cloudevents import NotACloudEvent
from chassis.incoming import Arrival
from chassis.reasons import Unacceptable
from chassis.remembered import Remembered, arrival

WAIT_SECONDS = 30
CHUNK_BYTES = 64 * 1024
MAX_LINE_BYTES = 128 * 1024
"""An event has 64 KiB at the most; a line is its data beside four attributes, with every default written out."""

MAX_LINES = 1_000_000
_REFUSALS = frozenset({401, 403})
_LINE, _OFFERED, _WITHDRAWN = OfferingLine(), OfferingRead(), OfferingWithdrawn()


class CopyAway(OSError):  # noqa: N818 - errors name the fact
    """The copy does not answer, or broke off; asking again later may help."""


class CopyWrong(OSError):  # noqa: N818 - errors name the fact
    """The copy refuses the token, or answers something else than offerings; the text says the next step."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Where another copy is.

    Attributes:
        url: Its address.
        token: File with the token that it takes, read anew at each reading.
        authority: PEM file of authorities whose certificate it may show besides the system's, or None.
    """

    url: str
    token: Path
    authority: Path | None = None

    def lines(self, after: str | None) -> Iterator[Line]:
        """Its offerings, withdrawn ones included, in the order of their ids.

        Args:
            after: Id after which they begin, or None for all.

        Raises:
            CopyAway: It does not answer, or broke off.
            CopyWrong: It answers something else.
        """
        connection = self._connection()
        try:
            for count, line in enumerate(_split(self._answer(connection, after))):
                if count >= MAX_LINES:
                    raise CopyWrong(f"{self.url} has more than {MAX_LINES:,} offerings: see that it is a catalogue")
                yield self._line(line)
        except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
            raise CopyAway(f"{self.url} does not answer, or broke off: {type(error).__name__}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            trusted = ssl.create_default_context()
            if self.authority:
                trusted.load_verify_locations(self.authority)
            return http.client.HTTPSConnection(host, parts.port, timeout=WAIT_SECONDS, context=trusted)
        return http.client.HTTPConnection(host, parts.port, timeout=WAIT_SECONDS)

    def _answer(self, connection: http.client.HTTPConnection, after: str | None) -> http.client.HTTPResponse:
        query = {"withdrawn": "true"} | ({} if after is None else {"after": after})
        path = f"{urlsplit(self.url).path.rstrip('/')}/v1/offerings?{urlencode(query)}"
        headers = {"Authorization": f"Bearer {self._token()}"}
        try:
            connection.request("GET", path, headers=headers)
        except OSError as error:
            raise CopyAway(f"{self.url} cannot be reached: {type(error).__name__}") from error
        answer = connection.getresponse()
        if answer.status in _REFUSALS:
            raise CopyWrong(f"{self.url} refuses the token in {self.token.name}: ask its operator for a new one")
        if answer.status >= http.client.INTERNAL_SERVER_ERROR:
            raise CopyAway(f"{self.url} answers with {answer.status}")
        if answer.status != http.client.OK:
            raise CopyWrong(f"{self.url} answers with {answer.status}: it must be the address of a catalogue")
        return answer

    def _token(self) -> str:
        try:
            return self.token.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CopyWrong(f"the token for {self.url} cannot be read from {self.token.name}") from error

    def _line(self, line: bytes) -> Line:
        try:
            read = _LINE.load(strictjson.loads(line))
        except (strictjson.NotStrict, ValidationError):
            raise CopyWrong(
                f"{self.url} sends a line that is no offering: it must be the address of a catalogue"
            ) from None
        made = Line(**read)
        return replace(made, good=_is_good(made))


def arrived(line: Line) -> Arrival:
    """The event that says what a line says, as it would have arrived.

    Raises:
        Unacceptable: It breaks a rule of the network's envelope.
        NotACloudEvent: It breaks a rule of CloudEvents.
    """
    return arrival(
        Remembered(
            name=line.name,
            source=line.source,
            subject=line.subject,
            data=line.data,
            time=line.time,
            sequence=line.sequence,
        )
    )


def _split(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    rest = b""
    # A chunk that is cut off is an error only where it is read so, and not line by line.
    while chunk := answer.read(CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > MAX_LINE_BYTES:
            raise CopyWrong(f"a line of the copy has more than {MAX_LINE_BYTES // 1024} KiB")
    if rest:
        raise http.client.IncompleteRead(rest)


def _is_good(line: Line) -> bool:
    """Whether it keeps the rules of its event; what does not would be parked, and its provider be told."""
    provider = line.data.get("provider")
    if line.source.split(":")[2:3] != [provider] or not line.subject.startswith(f"{provider}."):
        return False
    try:
        # Validating alone would leave out the rules between fields, which come with the loading.
        (_WITHDRAWN if line.data.get("withdrawn") else _OFFERED).load(line.data)
        arrived(line)
    except (ValidationError, Unacceptable, NotACloudEvent):
        return False
    return True
