"""The subscriber: takes raw messages in batches, hands each batch to one worker, and acknowledges after the commit."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import eventlet
from amqp.exceptions import AccessRefused
from eventlet.event import Event
from nameko.extensions import Entrypoint

from chassis import metrics
from chassis.admission import Admitted, Portion, admit, ahead
from chassis.amqp import BROKER_ERRORS, RETRY_SECONDS, Weather, connect, hang_up
from chassis.duties import Wake
from chassis.incoming import Delivery, Replay
from chassis.killswitch import Failing
from chassis.logs import log
from chassis.profile import ATTEMPTS_HEADER, KEY_HEADER, REPLAY_HEADER
from chassis.topology import dead, own_exchange, queue, service_bindings, service_queues

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.home import Home
    from chassis.transaction import Transaction

READ_SECONDS = 0.5
"""How often the reader looks whether it is to stop."""

WAIT_SECONDS = 0.05
"""How often it looks whether it may take messages."""

TURN_MESSAGES = 4
"""Messages after which the reader lets others run."""


class _Line:
    """One connection to the broker and what it has delivered but not had acknowledged."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._queue = queue(home.organisation, home.service)
        self.pending: deque[tuple[int, int, Admitted]] = deque()
        self.wake = Wake()
        self.connection = connect(home, "subscriber")
        self.channel: Any = self.connection.channel()
        # The body is the codec's business; the library would decode it by a header of the publisher's.
        self.channel.auto_decode = False
        self._declare()
        self.channel.basic_qos(0, home.settings.prefetch, a_global=False)
        self.consuming = False
        self.broken = False
        self._taken = self._acknowledged = 0
        self._names = frozenset(home.handlers.event_names())

    def consume(self) -> None:
        self.consuming = True
        # A consumer's tag is its queue's name, so that each delivery tells where it came from.
        for name in (self._queue, dead(self._queue)):
            self.channel.basic_consume(name, consumer_tag=name, callback=self._take)

    def ack(self, tag: int) -> None:
        self.channel.basic_ack(tag, multiple=True)
        self._acknowledged = tag

    @property
    def unacknowledged(self) -> int:
        """How many messages it has delivered that are not acknowledged; a channel counts its deliveries from 1 on."""
        return self._taken - self._acknowledged

    def give_up(self) -> None:
        """Take nothing more, so that all that is not acknowledged comes again on the next connection."""
        self.broken = True
        self.pending.clear()

    def cancel(self) -> None:
        for name in (self._queue, dead(self._queue)):
            self.channel.basic_cancel(name)

    def close(self) -> None:
        hang_up(self.connection)

    def _declare(self) -> None:
        channel = self.connection.channel()
        try:
            self._declare_on(channel)
        except AccessRefused:
            # A real network's user may declare nothing: the definitions of its broker have it all.
            log.debug("subscriber.declared_by_definitions")
        else:
            channel.close()

    def _declare_on(self, channel: Any) -> None:
        # A queue may dead-letter only into an exchange that is there.
        channel.exchange_declare(own_exchange(self._home.organisation), "direct", durable=True, auto_delete=False)
        for name, arguments in service_queues(self._home.organisation, self._home.service).items():
            channel.queue_declare(name, durable=True, auto_delete=False, arguments=dict(arguments))
        events = self._home.handlers.event_names()
        for binding in service_bindings(self._home.organisation, self._home.service, events):
            channel.queue_bind(binding.queue, binding.exchange, binding.key)

    def _take(self, message: Any) -> None:
        if self.broken:
            return
        headers = message.properties.get("application_headers") or {}
        info = message.delivery_info
        # An event from the hub comes to an own part by another exchange still, and its headers are a stranger's.
        own = info["exchange"] == own_exchange(self._home.organisation)
        key = headers.get(KEY_HEADER) if own else None
        attempts = headers.get(ATTEMPTS_HEADER) if own else 0
        body = message.body
        delivery = Delivery(
            body=body.encode() if isinstance(body, str) else bytes(body),
            routing_key=key if isinstance(key, str) else info["routing_key"],
            queue=info["consumer_tag"],
            content_type=message.properties.get("content_type"),
            headers=headers,
            own=own,
            attempts=attempts if isinstance(attempts, int) and attempts > 0 else 0,
            replay=Replay.read(headers.get(REPLAY_HEADER)) if own else None,
        )
        metrics.RECEIVED.labels(self._known_name(delivery)).inc()
        # Admitted here, while the worker waits for the store: this part depends on nothing that is stored.
        self.pending.append((message.delivery_tag, len(delivery.body), admit(self._home, delivery)))
        self.wake.up()
        # A full socket would keep the reader busy for a whole batch, and the worker's answers waiting.
        self._taken += 1
        if self._taken % TURN_MESSAGES == 0:
            eventlet.sleep(0)

    def _known_name(self, delivery: Delivery) -> str:
        # A metric's labels are bounded: names come from the register, never from outside.
        name = ".".join(delivery.routing_key.split(".", 2)[:2])
        return name if name in self._names else "other"


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """What a worker is settling, and what is to be acknowledged then."""

    line: _Line
    tag: int
    portion: Portion
    thread: Any


class Subscriber(Entrypoint):
    """nameko's entrypoint for the events of the network: one worker for each batch."""

    def setup(self) -> None:
        """Prepare; called by nameko before anything starts."""
        floor = self.container.config["floor"]
        self.home: Home = floor.home
        self._may_decide: Callable[[], bool] = floor.may_decide
        self._transaction: Transaction = floor.transaction
        self._store: Weather = floor.store
        self._is_full: Callable[[], bool] = floor.is_full
        self.failing = Weather("decisions")
        self._line: _Line | None = None
        self._under_way: _UnderWay | None = None
        self._running = False
        self._weather = Weather("broker")
        self._threads: list[Any] = []

    def start(self) -> None:
        """Begin to take messages; called by nameko."""
        self._running = True
        self._threads = [eventlet.spawn(self._read)]
        self._threads.append(eventlet.spawn(self._work))

    def stop(self) -> None:
        """Stop taking, finish what was taken, acknowledge it, and only then close; called by nameko.

        It takes as long as that takes: the runner says when a stop has taken too long.
        """
        self._running = False
        for thread in self._threads:
            thread.wait()
        if self._line is not None:
            self._line.close()

    def left(self) -> int:
        """How many messages it has taken and not acknowledged; the broker gives them to the next."""
        return self._line.unacknowledged if self._line is not None else 0

    def connected(self) -> bool:
        """Whether messages can come."""
        return self._line is not None

    def _read(self) -> None:
        while self._running:
            try:
                self._read_line()
            except BROKER_ERRORS as error:
                self._weather.gone(error)
            except Exception as error:  # noqa: BLE001 - a green thread that dies would end the container (trap 4)
                log.error("subscriber.failed", error=error)
            if self._running:
                self._lost()
                eventlet.sleep(RETRY_SECONDS)

    def _read_line(self) -> None:
        line = _Line(self.home)
        self._line = line
        metrics.BROKER_CONNECTED.set(1)
        self._weather.back()
        log.info("subscriber.ready", queue=queue(self.home.organisation, self.home.service))
        while self._running and not line.broken:
            if not line.consuming and self._may_decide():
                line.consume()
            try:
                line.connection.drain_events(timeout=READ_SECONDS if line.consuming else WAIT_SECONDS)
            except TimeoutError:
                line.connection.heartbeat_check()
        if line.broken or not line.consuming:
            return
        # Only the reader may read the answer; what is on its way until then still comes and is worked on.
        line.cancel()
        line.wake.up()

    def _lost(self) -> None:
        metrics.BROKER_CONNECTED.set(0)
        line, self._line = self._line, None
        if line is not None:
            line.give_up()
            line.close()

    def _work(self) -> None:
        reader = self._threads[0]
        while self._running or not reader.dead or self._under_way or (self._line and self._line.pending):
            line = self._line
            try:
                self._step(line)
            except Exception as error:  # noqa: BLE001 - see _read
                log.error("subscriber.batch", error=error)
                # An acknowledgement takes all before it along, so that nothing after this batch may be acknowledged.
                if line is not None:
                    line.give_up()

    def _step(self, line: _Line | None) -> None:
        if line is not None and line.pending and not line.broken:
            self._batch(line)
        elif self._under_way:
            self._finish()
        elif line is None or line.broken:
            eventlet.sleep(RETRY_SECONDS / 10)
        else:
            line.wake.wait(READ_SECONDS)

    def _batch(self, line: _Line) -> None:
        """Decide a batch while the one before is being written, and hand it to a worker when that is settled."""
        if self._is_full():
            self._finish()
            self._wait_for_relay(line)
        self._gather(line)
        tag, admitted = self._next(line)
        if not admitted:
            return
        metrics.BATCH_MESSAGES.observe(len(admitted))
        portion = ahead(self._transaction, admitted, self._under_way.portion if self._under_way else None)
        self._finish()
        # Where it is, the broker gives them again on the next connection.
        if not line.broken:
            thread = eventlet.spawn(self._settled, portion)
            thread.link(lambda _thread: line.wake.up())
            self._under_way = _UnderWay(line, tag, portion, thread)

    def _gather(self, line: _Line) -> None:
        """Wait for half a batch while another is being written, or a moment where none is.

        So a batch is decided ahead only where many messages wait; otherwise they gather while the store works, and the
        first of them has waited long enough.
        """
        settings = self.home.settings
        until = time.monotonic() + settings.linger_seconds
        enough = settings.batch_messages if self._under_way is None else settings.batch_messages // 2
        while self._running and not line.broken and len(line.pending) < enough:
            if self._under_way is None:
                left = until - time.monotonic()
            else:
                left = 0 if self._under_way.thread.dead else READ_SECONDS
            if left <= 0:
                break
            line.wake.wait(left)
        if self._under_way is not None and self._under_way.thread.dead:
            self._finish()

    def _finish(self) -> None:
        """Wait until what is under way is settled, and acknowledge it."""
        done, self._under_way = self._under_way, None
        if done is None:
            return
        if not done.thread.wait():
            done.line.give_up()
        # After a reconnection the broker sends the batch again, and its marks tell that it is known.
        elif done.line is self._line:
            done.line.ack(done.tag)

    def _next(self, line: _Line) -> tuple[int, list[Admitted]]:
        settings = self.home.settings
        admitted: list[Admitted] = []
        size, tag = 0, 0
        while line.pending and len(admitted) < settings.batch_messages:
            size += line.pending[0][1]
            if admitted and size > settings.batch_bytes:
                break
            tag, _size, one = line.pending.popleft()
            admitted.append(one)
        return tag, admitted

    def _wait_for_relay(self, line: _Line) -> None:
        """Take nothing more while the outbox is full; a stop does not wait, since what was taken is to be finished."""
        while self._running and not line.broken and self._is_full():
            metrics.CONSUMER_PAUSED.labels("outbox").set(1)
            eventlet.sleep(RETRY_SECONDS)
        metrics.CONSUMER_PAUSED.labels("outbox").set(0)

    def _settled(self, portion: Portion) -> bool:
        """Apply a batch until it is settled; false where a stop comes while it has to wait."""
        while True:
            held = self._in_worker(portion)
            failing = isinstance(held, Failing)
            metrics.CONSUMER_PAUSED.labels("failing").set(int(failing))
            metrics.CONSUMER_PAUSED.labels("store").set(int(held is not None and not failing))
            if held is None:
                self.failing.back()
                return True
            # Nothing is parked meanwhile: the same batch is tried again.
            (self.failing if failing else self._store).gone(held)
            if not self._wait(self.home.settings.probe_seconds if failing else RETRY_SECONDS):
                return False

    def _wait(self, seconds: float) -> bool:
        """Wait for so long; false as soon as the service is to stop."""
        until = time.monotonic() + seconds
        while self._running and (left := until - time.monotonic()) > 0:
            eventlet.sleep(min(left, READ_SECONDS))
        return self._running

    def _in_worker(self, portion: Portion) -> Exception | None:
        done = Event()

        def finished(_context: Any, result: Any, failure: Any) -> tuple[Any, Any]:
            done.send((result, failure))
            return result, None

        self.container.spawn_worker(self, (portion,), {}, handle_result=finished)
        held: Exception | None
        held, failure = done.wait()
        if failure is not None:
            raise failure[1]
        return held


subscribe = Subscriber.decorator
