"""What one replica does besides taking messages: relay, timers and effects, each in a green thread of its own."""

from __future__ import annotations

from collections.abc import Callable
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

DRAIN_SECONDS = 10.0


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


class Duties:
    """Relay, timers and effects of one replica; they run while it leads."""

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
        self._timers = timers
        self._effects = effects
        self._store = store
        self._running = False
        self._threads: list[eventlet.greenthread.GreenThread] = []
        self.relay_wake, self.effects_wake = Wake(), Wake()
        self._timers_wake = Wake()

    def start(self) -> None:
        """Start the green threads."""
        self._running = True
        self._threads = [
            eventlet.spawn(self._loop, self._relay_step, self.relay_wake),
            eventlet.spawn(self._loop, self._timers_step, self._timers_wake),
            eventlet.spawn(self._loop, self._effects_step, self.effects_wake),
        ]

    def committed(self) -> None:
        """A batch was committed: there may be something to send and to do."""
        self.relay_wake.up()
        self.effects_wake.up()

    def ready(self) -> dict[str, bool]:
        """Whether the other end of each effect is there, as far as this replica has needed it."""
        return self._effects.ready()

    def stop(self) -> None:
        """Send what can be sent, then stop and free the lease."""
        self._running = False
        self.committed()
        self._timers_wake.up()
        with eventlet.Timeout(DRAIN_SECONDS, exception=False):
            for thread in self._threads:
                thread.wait()
        for thread in self._threads:
            thread.kill()
        self._finish()

    def _finish(self) -> None:
        try:
            while self._leader.leads and self._relay.run_once():
                pass
            self._leader.give_up()
        except (PyMongoError, *BROKER_ERRORS) as error:
            log.warning("relay.left", error=error)
        self._relay.close()

    def _relay_step(self) -> float:
        if not self._leader.tick():
            self._relay.close()
            return self._leader.renew_seconds
        if self._relay.run_once():
            return 0
        self._relay.idle()
        return POLL_SECONDS

    def _timers_step(self) -> float:
        return 0 if self._decides() and self._timers.run_once() else POLL_SECONDS

    def _effects_step(self) -> float:
        return 0 if self._decides() and self._effects.run_once() else POLL_SECONDS

    def _decides(self) -> bool:
        return self._leader.leads and self._may_decide()

    def _loop(self, step: Callable[[], float], wake: Wake) -> None:
        while self._running:
            try:
                self._turn(step, wake)
            # A time limit is no Exception, and one that an adapter leaves behind may strike while this waits.
            except (Exception, eventlet.Timeout) as error:  # noqa: BLE001 - a dead thread would end the duty (trap 4)
                log.error("duty.failed", duty=step.__name__, error=error)

    def _turn(self, step: Callable[[], float], wake: Wake) -> None:
        wait = self._stepped(step)
        # A leader must renew its lease in time, however long the step wants to wait.
        if wait:
            wake.wait(min(wait, self._leader.renew_seconds))
        else:
            eventlet.sleep(0)

    def _stepped(self, step: Callable[[], float]) -> float:
        try:
            return step()
        except (PyMongoError, StoreAway) as error:
            self._store.gone(error)
        except BROKER_ERRORS as error:
            self._relay.weather.gone(error)
        except (Exception, eventlet.Timeout) as error:  # noqa: BLE001 - see _loop
            log.error("duty.failed", duty=step.__name__, error=error)
        return RETRY_SECONDS
