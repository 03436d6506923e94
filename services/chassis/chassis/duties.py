"""What a replica does besides taking messages: lease, relay, timers and effects, each in a green thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import eventlet
from eventlet.queue import Empty, Full, LightQueue
from pymongo.errors import PyMongoError

from chassis.amqp import BROKER_ERRORS, RETRY_SECONDS
from chassis.leader import Leader
from chassis.logs import log
from chassis.relay import Relay
from chassis.transaction import StoreAway

if TYPE_CHECKING:
    from chassis.amqp import Weather
    from chassis.effects import Effects
    from chassis.home import Home
    from chassis.timers import Timers

POLL_SECONDS = 1.0
"""How often timers and effects are looked for, and the outbox where no commit woke the relay."""

BRISK_SECONDS = 0.02
"""How often the outbox is looked at while it was not empty just now: what another replica commits wakes nobody here."""

BRISK_FOR_SECONDS = 1.0


class Wake:
    """Wakes one waiting green thread; several wakes before it looks are one."""

    def __init__(self) -> None:
        """Asleep."""
        self._queue: LightQueue = LightQueue(1)

    def up(self) -> None:
        """Wake whoever waits, or the next who will."""
        try:
            self._queue.put_nowait(None)
        except Full:
            return

    def wait(self, seconds: float) -> None:
        """Wait until woken, or for so long."""
        try:
            self._queue.get(timeout=seconds)
        except Empty:
            return


class _Duty:
    """One duty in a green thread of its own, which does a step, waits as long as that says, and does the next."""

    def __init__(self, step: Callable[[], float]) -> None:
        self._step = step
        self._running = False
        self._thread: eventlet.greenthread.GreenThread | None = None
        self.wake = Wake()

    def start(self) -> None:
        self._running = True
        self._thread = eventlet.spawn(self._loop)

    def finish(self) -> None:
        """End after the step that it is at, and wait for that."""
        self._running = False
        self.wake.up()
        if self._thread is not None:
            self._thread.wait()

    def kill(self) -> None:
        if self._thread is not None:
            self._thread.kill()

    def _loop(self) -> None:
        while self._running:
            try:
                wait = self._step()
                if wait:
                    self.wake.wait(wait)
                else:
                    eventlet.sleep(0)
            # A time limit is no Exception, and one that an adapter leaves behind may strike while this waits.
            except (Exception, eventlet.Timeout) as error:  # noqa: BLE001 - a dead thread would end the duty (trap 4)
                log.error("duty.failed", error=error)


class Duties:
    """Lease, relay, timers and effects of one replica; the last three run while it leads."""

    def __init__(
        self, home: Home, timers: Timers, effects: Effects, *, store: Weather, may_decide: Callable[[], bool]
    ) -> None:
        """Put the parts together; `start` starts them.

        Args:
            home: The service.
            timers: Its timers.
            effects: Its effects.
            store: The process's word on its store; the duties only ever say that it is away.
            may_decide: Whether what decisions read is there; until then only the relay runs.
        """
        self._may_decide = may_decide
        self._leader = Leader(home.database, home.settings.lease_seconds)
        self._relay = Relay(home, leads=lambda: self._leader.leads)
        self._sent = 0.0
        self._timers = timers
        self._effects = effects
        self._store = store
        # The lease waits for none of the others: a relay that a blocked broker holds up must not cost it.
        steps = (self._lease_step, self._relay_step, self._timers_step, self._effects_step)
        duties = [_Duty(partial(self._stepped, step)) for step in steps]
        self._leading, self._relaying, self._timing, self._effecting = duties

    def start(self) -> None:
        """Start the green threads."""
        for duty in (self._leading, self._relaying, self._timing, self._effecting):
            duty.start()

    def committed(self) -> None:
        """A batch was committed: there may be something to send and to do."""
        self._relaying.wake.up()
        self._effecting.wake.up()

    def ready(self) -> dict[str, bool]:
        """Whether the broker takes events, and the other end of each effect is there, as far as this replica knows."""
        return {"publishing": not self._relay.alarm.away, **self._effects.ready()}

    @property
    def leads(self) -> bool:
        """Whether this replica leads."""
        return self._leader.leads

    @property
    def in_hand(self) -> int:
        """How many effects are being tried at this moment."""
        return self._effects.in_hand

    def drain(self) -> None:
        """Finish timers and effects, then send what waits; it takes as long as that takes."""
        for duty in (self._timing, self._effecting, self._relaying):
            duty.finish()
        try:
            while self._leader.leads and self._relay.run_once():
                pass
        except (PyMongoError, *BROKER_ERRORS) as error:
            log.warning("relay.left", error=error)

    def close(self) -> None:
        """End whatever still runs, and free the lease, so that the standby need not wait."""
        for duty in (self._timing, self._effecting, self._relaying, self._leading):
            duty.kill()
        try:
            self._leader.give_up()
        except PyMongoError as error:
            log.warning("leader.left", error=error)
        # Last, since a broker that is blocked or hangs takes no leave.
        self._relay.close()

    def _lease_step(self) -> float:
        led = self._leader.leads
        if self._leader.tick() and not led:
            self.committed()
            self._timing.wake.up()
        return self._leader.renew_seconds

    def _relay_step(self) -> float:
        if not self._leader.leads:
            self._relay.close()
            return POLL_SECONDS
        if self._relay.run_once():
            self._sent = time.monotonic()
            return 0
        self._relay.idle()
        return BRISK_SECONDS if time.monotonic() - self._sent < BRISK_FOR_SECONDS else POLL_SECONDS

    def _timers_step(self) -> float:
        return 0 if self._decides() and self._timers.run_once() else POLL_SECONDS

    def _effects_step(self) -> float:
        return 0 if self._decides() and self._effects.run_once() else POLL_SECONDS

    def _decides(self) -> bool:
        return self._leader.leads and self._may_decide()

    def _stepped(self, step: Callable[[], float]) -> float:
        try:
            return step()
        except (PyMongoError, StoreAway) as error:
            self._store.gone(error)
        except BROKER_ERRORS as error:
            self._relay.weather.gone(error)
        except (Exception, eventlet.Timeout) as error:  # noqa: BLE001 - see _Duty
            log.error("duty.failed", duty=step.__name__, error=error)
        return RETRY_SECONDS
