"""The test service with routes that are slow, fail, or break while they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import eventlet
from nameko.extensions import DependencyProvider
from pymongo.errors import AutoReconnect, OperationFailure
from thing import Things

from chassis.web import Request, Stream, get


class Slow(Things):
    @get("/v1/slow")
    def slow(self, _request: Request) -> dict[str, Any]:
        eventlet.sleep(5)
        return {}

    @get("/v1/store/{how}")
    def fail_in_store(self, request: Request) -> dict[str, Any]:
        raise AutoReconnect if request.path["how"] == "away" else OperationFailure("secret value")

    @get("/v1/broken")
    def break_off(self, _request: Request) -> Stream:
        def lines() -> Iterator[Mapping[str, Any]]:
            yield from ({"id": n} for n in range(2000))
            raise RuntimeError("secret value")

        return Stream(lines())


class Death(DependencyProvider):
    """Ends the container, as a fault in any thread that nameko manages does, when a test puts a file there."""

    def start(self) -> None:
        self.container.spawn_managed_thread(self.wait)

    def wait(self) -> None:
        clock = self.container.config["floor"].home.settings.clock
        while not clock.with_name("die").exists():
            eventlet.sleep(0.05)
        raise RuntimeError("secret value")


class Dying(Things):
    death = Death()
