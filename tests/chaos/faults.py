"""The faults of processes, carried out on the stage, and put right again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from chaos.plan import Blow, Fault
from chaos.stage import Replica, Stage

from chassis.clock import set_offset

OUTAGE_SECONDS = 0.7
"""How long the store is away before a service that waits for it is killed."""

FREEZE_SECONDS = (1.0, 8.0)
"""Shorter and longer than the broker waits for a heartbeat, and a standby for the lease."""

STALL_SECONDS = (0.5, 3.0)
MAIL_SECONDS = (1.0, 5.0)
STEP = timedelta(minutes=60)
"""Width of the clock's steps, half of it back and half of it forth."""

AT_THE_END = timedelta(hours=2)
"""Beyond every step: all timers are due then, and every wait is over."""


class Faults:
    """Carries faults out, one after the other; some are put right only later."""

    def __init__(self, stage: Stage, told: Callable[[str], None]) -> None:
        """Act on a stage.

        Args:
            stage: The parts.
            told: Hears a line about each thing that was done.
        """
        self._stage = stage
        self._told = told
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._blows: dict[Blow, Callable[[float], str]] = {
            Blow.SERVICE: self._service,
            Blow.OUTAGE: self._outage,
            Blow.BROKER: self._broker,
            Blow.STORE: self._store,
            Blow.CONNECTIONS: self._connections,
            Blow.FREEZE: self._freeze,
            Blow.STALL: self._stall,
            Blow.CLOCK: self._clock,
            Blow.MAIL: self._mail,
        }

    def carry_out(self, fault: Fault) -> None:
        """Do it; on return it is put right, or will be."""
        began, since = datetime.now(UTC).isoformat(), time.monotonic()
        whom = self._blows[fault.blow](fault.choice)
        self._told(f"{began} fault {fault.blow} at {fault.position}: {whom}, {time.monotonic() - since:.1f} s")

    def put_right(self, *, all_of_them: bool = False) -> None:
        """Put right what is due, or everything."""
        now = time.monotonic()
        due = [one for one in self._later if all_of_them or one[0] <= now]
        self._later = [one for one in self._later if one not in due]
        for _when, mend in due:
            mend()
        if all_of_them:
            set_offset(self._stage.clock, AT_THE_END)

    def revive(self) -> list[str]:
        """Start again what has ended by itself, as whoever runs it would; the names."""
        ended = [replica for replica in self._stage.replicas if not replica.process.running]
        for replica in ended:
            self._told(
                f"{datetime.now(UTC).isoformat()} {replica.name} ended by itself with {replica.process.exit_code}"
            )
            replica.process.start()
        return [replica.name for replica in ended]

    def _service(self, choice: float) -> str:
        victim = self._victim(choice)
        victim.process.kill()
        victim.process.start()
        return f"{victim.name} killed and started"

    def _outage(self, _choice: float) -> str:
        # Whatever a service has taken and cannot commit now must come again.
        self._stage.store.kill()
        time.sleep(OUTAGE_SECONDS)
        victims = self._stage.of("first", "second")
        for victim in victims:
            victim.process.kill()
        self._stage.store.start()
        for victim in victims:
            victim.process.start()
        return "store away, first and second killed meanwhile"

    def _broker(self, _choice: float) -> str:
        self._stage.broker.kill()
        self._stage.broker.start()
        return "broker killed and started"

    def _store(self, _choice: float) -> str:
        self._stage.store.kill()
        self._stage.store.start()
        return "store killed and started"

    def _connections(self, _choice: float) -> str:
        return f"{self._stage.queues.close_connections()} connections closed"

    def _freeze(self, choice: float) -> str:
        victim = self._victim(choice)
        seconds = _between(FREEZE_SECONDS, choice * 10 % 1)
        victim.process.signal(signal.SIGSTOP)
        self._after(seconds, lambda: victim.process.signal(signal.SIGCONT))
        return f"{victim.name} frozen for {seconds:.1f} s"

    def _stall(self, choice: float) -> str:
        node, name = (self._stage.store, "store") if choice < 0.5 else (self._stage.broker, "broker")
        os.kill(node.pid, signal.SIGSTOP)
        time.sleep(_between(STALL_SECONDS, choice * 10 % 1))
        os.kill(node.pid, signal.SIGCONT)
        return f"{name} frozen"

    def _clock(self, choice: float) -> str:
        offset = STEP * (choice - 0.5)
        set_offset(self._stage.clock, offset)
        return f"clock {offset.total_seconds():+.0f} s"

    def _mail(self, choice: float) -> str:
        seconds = _between(MAIL_SECONDS, choice)
        self._stage.mail.stop()
        self._after(seconds, self._stage.mail.start)
        return f"mail away for {seconds:.1f} s"

    def _victim(self, choice: float) -> Replica:
        # The two replicas of one service are hit as often as all the others together.
        first, others = self._stage.of("first"), self._stage.of("second", "referral", "notify")
        return _chosen(first, choice * 2) if choice < 0.5 else _chosen(others, choice * 2 - 1)

    def _after(self, seconds: float, mend: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, mend))


def _chosen(replicas: list[Replica], choice: float) -> Replica:
    return replicas[min(int(choice * len(replicas)), len(replicas) - 1)]


def _between(range_of: tuple[float, float], choice: float) -> float:
    return range_of[0] + choice * (range_of[1] - range_of[0])
