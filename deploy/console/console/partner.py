"""What a partner's own program does: publish events in its name, and read what waits in its mailbox."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import kombu
from amqp.exceptions import AccessRefused

from chassis import profile, strictjson
from chassis.amqp import tls
from chassis.crypto import KeyRing
from chassis.decision import Classification
from chassis.profile import CONTENT_TYPE, SIGNATURE_HEADER, Envelope
from chassis.topology import EVENTS, mailbox

CONFIRM_SECONDS = 30


class NotAllowed(RuntimeError):  # noqa: N818 - errors name the fact
    """The broker refuses what this user wants to publish or read."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One event from a mailbox, its data opened where it was sealed."""

    envelope: Envelope
    data: Any


class Partner:
    """One organisation's connection to the hub's broker."""

    def __init__(  # noqa: PLR0913 - a connection and two sets of keys
        self,
        code: str,
        amqp: str,
        *,
        private: Path,
        public: Path,
        system: str = "console",
        authority: Path | None = None,
    ) -> None:
        """Connect.

        Args:
            code: The organisation's code, also its user.
            amqp: The broker's address with that user.
            private: JWK set of its private keys.
            public: Folder of everybody's public keys.
            system: Last part of its events' source.
            authority: PEM file of the authority that is trusted, where the address is of ``amqps``.
        """
        self.code = code
        self._source = f"urn:viisikko:{code}:{system}"
        self._keys = KeyRing(private, public)
        self._connection = kombu.Connection(amqp, ssl=tls(amqp, authority), transport_options={"confirm_publish": True})
        self._channel: Any = self._connection.channel()
        self._channel.auto_decode = False

    def __enter__(self) -> Self:
        """Connected already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._connection.close()

    def publish(  # noqa: PLR0913 - an envelope is made of these
        self,
        name: str,
        subject: str,
        data: Mapping[str, Any],
        *,
        to: str,
        classification: Classification = Classification.PSEUDONYMOUS,
        correlation: str | None = None,
        version: int = 1,
    ) -> str:
        """Publish one event, signed, and wait until the broker has it; its id.

        Raises:
            NotAllowed: The broker refuses it: another's name, or a destination that network.toml does not allow.
            Unacceptable: It is over 64 KiB.
        """
        identifier = str(uuid.uuid4())
        envelope = Envelope(
            id=identifier,
            source=self._source,
            organisation=self.code,
            name=name,
            version=version,
            subject=subject,
            time=datetime.now(UTC),
            destination=to,
            classification=classification,
            data=self._sealed(data, identifier, subject, to, classification),
            correlation=correlation,
        )
        body = profile.compose(envelope)
        self.publish_raw(body, envelope.routing_key, headers={SIGNATURE_HEADER: self._keys.sign(body)})
        return identifier

    def publish_raw(
        self, body: bytes, key: str, content_type: str = CONTENT_TYPE, headers: Mapping[str, str] | None = None
    ) -> None:
        """Publish bytes under a routing key and wait until the broker has them.

        Raises:
            NotAllowed: The broker refuses it.
        """
        message = self._channel.prepare_message(
            body, content_type=content_type, headers=dict(headers or {}), properties={"delivery_mode": 2}
        )
        try:
            self._channel.basic_publish(message, EVENTS, key, confirm_timeout=CONFIRM_SECONDS)
        except AccessRefused:
            raise NotAllowed(
                f"the broker lets {self.code} publish only in its own name and to whom network.toml allows, not {key}"
            ) from None

    def fetch(self) -> Iterable[Mail]:
        """Take what waits in the mailbox, each acknowledged after it was handed over.

        Raises:
            NotAllowed: The mailbox is another's.
            Unacceptable: Something in it is no event of the network.
        """
        while (message := self._channel.basic_get(mailbox(self.code))) is not None:
            body = message.body.encode() if isinstance(message.body, str) else bytes(message.body)
            key = message.delivery_info["routing_key"]
            envelope = profile.admit(body, message.properties.get("content_type"), {}, key)
            yield Mail(envelope, self._opened(envelope))
            message.channel.basic_ack(message.delivery_tag)

    def _sealed(
        self, data: Mapping[str, Any], identifier: str, subject: str, to: str, classification: Classification
    ) -> Any:
        if classification is not Classification.PERSONAL:
            return dict(data)
        return self._keys.seal(
            strictjson.dumps(dict(data)), to, event_id=identifier, source=self._source, subject=subject
        )

    def _opened(self, envelope: Envelope) -> Any:
        if envelope.classification is not Classification.PERSONAL:
            return envelope.data
        plain = self._keys.open(envelope.data, event_id=envelope.id, source=envelope.source, subject=envelope.subject)
        return strictjson.loads(plain)
