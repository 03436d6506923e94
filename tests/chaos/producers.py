"""Producers: threads that publish with confirms, and repeat under the same id whatever was not confirmed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle, islice
from queue import SimpleQueue
from typing import Any

import amqp
import httpx
import kombu
from chaos.ledger import Ledger
from chaos.plan import Plan
from chaos.posts import Post, Writer

from chassis.amqp import BROKER_ERRORS
from chassis.profile import CONTENT_TYPE
from chassis.topology import EVENTS

AT_ONCE = 25
"""Events that one producer has on the way together."""

CONFIRM_SECONDS = 10.0
ANSWER_SECONDS = 5.0
"""Shorter than a service is frozen: an answer that comes too late is one that is lost."""

RETRY_SECONDS = 0.2
PERSISTENT = 2


class Stream:
    """The plan's events in their order, handed out to all producers, and held back where the run asks for it."""

    def __init__(self, plan: Plan) -> None:
        """Begin at the first event; nothing may go yet."""
        self._order = plan.order()
        self._may_go = threading.Condition()
        self._limit = 0
        self._held = False
        self.position = 0
        self.ended = False

    def until(self, limit: int, *, held: bool = False) -> None:
        """Let go all before a position; none where they are held."""
        with self._may_go:
            self._limit, self._held = limit, held
            self._may_go.notify_all()

    def take(self) -> list[int]:
        """The next events; none at the end."""
        with self._may_go:
            while not self.ended and (self._held or self.position >= self._limit):
                self._may_go.wait()
            taken = list(islice(self._order, min(AT_ONCE, self._limit - self.position)))
            self.position += len(taken)
            self.ended = self.ended or not taken
            if self.ended:
                self._may_go.notify_all()
            return taken

    def end(self) -> None:
        """Hand out no more."""
        with self._may_go:
            self.ended = True
            self._may_go.notify_all()


class Clerk(threading.Thread):
    """Gives commands over HTTP to whichever replica answers, with the same key until one has taken it."""

    def __init__(self, urls: Sequence[str], token: Callable[[], str], ledger: Ledger) -> None:
        """Describe it; `start` starts it.

        Args:
            urls: Where the replicas listen.
            token: Makes a token; asked again when one has expired, as the clock's steps make it.
            ledger: Where what was taken is written down.
        """
        super().__init__(name="clerk", daemon=True)
        self._urls = cycle(urls)
        self._make_token = token
        self._ledger = ledger
        self._asked: SimpleQueue[tuple[int, Post] | None] = SimpleQueue()

    def ask(self, number: int, post: Post) -> None:
        """Give a command later."""
        self._asked.put((number, post))

    def end(self) -> None:
        """End when all commands are taken."""
        self._asked.put(None)

    def run(self) -> None:
        """Give commands one after the other."""
        with httpx.Client(timeout=ANSWER_SECONDS) as client:
            token = self._make_token()
            while (asked := self._asked.get()) is not None:
                number, post = asked
                while (status := self._given(client, post, token)) is None or not httpx.codes.is_success(status):
                    if status == httpx.codes.UNAUTHORIZED:
                        token = self._make_token()
                    time.sleep(RETRY_SECONDS)
                self._ledger.confirmed(self.name, [number])

    def _given(self, client: httpx.Client, post: Post, token: str) -> int | None:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": post.id, "Content-Type": "application/json"}
        try:
            return client.post(next(self._urls) + post.key, content=post.body, headers=headers).status_code
        except httpx.HTTPError:
            return None


class Producer(threading.Thread):
    """One producer with a connection of its own."""

    def __init__(  # noqa: PLR0917 - each is another thing that it works with
        self, name: str, uri: Callable[[], str], stream: Stream, writer: Writer, ledger: Ledger, clerk: Clerk
    ) -> None:
        """Describe it; `start` starts it. Commands go to the clerk; each connection asks for its address."""
        super().__init__(name=name, daemon=True)
        self._uri = uri
        self._stream = stream
        self._writer = writer
        self._ledger = ledger
        self._clerk = clerk
        self._line: _Line | None = None

    def run(self) -> None:
        """Publish until the stream ends."""
        while numbers := self._stream.take():
            for confirmed in self._sent(dict(self._events(numbers))):
                self._ledger.confirmed(self.name, confirmed)
        if self._line is not None:
            self._line.close()

    def _events(self, numbers: Sequence[int]) -> Iterator[tuple[int, Post]]:
        for number in numbers:
            post = self._writer.post(number)
            if self._writer.is_command(number):
                self._clerk.ask(number, post)
            else:
                yield number, post

    def _sent(self, posts: dict[int, Post]) -> Iterator[list[int]]:
        """Send until all is confirmed; what was, each time."""
        while posts:
            try:
                if self._line is None:
                    self._line = _Line(self._uri())
                self._line.send(posts)
            except BROKER_ERRORS:
                confirmed = self._line.confirmed if self._line is not None else []
                self._give_up()
                time.sleep(RETRY_SECONDS)
            else:
                confirmed = self._line.confirmed
            for number in confirmed:
                del posts[number]
            if confirmed:
                yield confirmed

    def _give_up(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None


class _Line:
    """A connection with a channel in confirm mode."""

    def __init__(self, uri: str) -> None:
        self.confirmed: list[int] = []
        self._waiting: dict[int, int] = {}
        self._tag = 0
        self._connection = kombu.Connection(uri, connect_timeout=CONFIRM_SECONDS)
        self._channel: Any = self._connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)

    def send(self, posts: dict[int, Post]) -> None:
        self.confirmed = []
        self._waiting = {}
        for number, post in posts.items():
            self._tag += 1
            self._waiting[self._tag] = number
            message = amqp.Message(
                post.body, content_type=CONTENT_TYPE, delivery_mode=PERSISTENT, application_headers=dict(post.headers)
            )
            self._channel.basic_publish(message, EVENTS, post.key)
        deadline = time.monotonic() + CONFIRM_SECONDS
        while self._waiting:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the broker does not confirm")
            self._connection.drain_events(timeout=left)

    def close(self) -> None:
        # It may be given up because it is broken.
        with suppress(Exception):
            self._connection.close()

    def _acked(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - the library's signature
        self.confirmed += self._settled(tag, multiple)

    def _nacked(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - the library's signature
        # What is neither confirmed nor waits is sent again with the next.
        self._settled(tag, multiple)

    def _settled(self, tag: int, multiple: bool) -> list[int]:  # noqa: FBT001 - the same
        tags = [waiting for waiting in self._waiting if waiting <= tag] if multiple else [tag]
        return [self._waiting.pop(waiting) for waiting in tags if waiting in self._waiting]
