"""Runs one service: ``python -m chassis.run referral``. Its own runner, since nameko's needs pkg_resources."""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

# Everything below is imported after the sockets are green.
import logging  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from importlib import import_module  # noqa: E402
from importlib.metadata import entry_points  # noqa: E402
from typing import Any  # noqa: E402

from eventlet.event import Event  # noqa: E402
from nameko.containers import ServiceContainer  # noqa: E402

from chassis import logs, settings  # noqa: E402
from chassis.floor import Floor  # noqa: E402
from chassis.logs import log  # noqa: E402
from chassis.network import WrongNetwork  # noqa: E402
from chassis.service import Service  # noqa: E402
from chassis.settings import Settings  # noqa: E402
from chassis.subscriber import Subscriber  # noqa: E402

WORKERS = 20
"""Requests and batches worked on at the same time; further ones wait."""

WRONG_SETTINGS = 2


def find(name: str) -> type[Service]:
    """The service of a name among the installed ones, or of ``module:Class``.

    Raises:
        LookupError: There is none.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        given: type[Service] = getattr(import_module(module), attribute)
        return given
    found = {entry.name: entry for entry in entry_points(group="viisikko.services")}
    if name not in found:
        raise LookupError(f"there is no service {name}; installed are {', '.join(sorted(found))}")
    service: type[Service] = found[name].load()
    return service


def build(service: type[Service]) -> Floor:
    """The floor of a service, from the environment.

    Raises:
        Wrong: Settings are missing or wrong; all are told.
        WrongNetwork: The network's file is wrong.
        ValueError: The folder of secrets is wrong.
    """
    kinds = {"chassis": Settings} | ({"own": service.settings} if service.settings else {})
    read = settings.read(kinds)
    return Floor(service, read["chassis"], read.get("own"))


def serve(service: type[Service], floor: Floor) -> None:
    """Run a service until SIGTERM or SIGINT, then drain it.

    Raises:
        OSError: The port is taken.
    """
    # nameko's own log would hold exceptions with their values; what matters is told by the chassis.
    logging.getLogger("nameko").setLevel(logging.CRITICAL)
    container = ServiceContainer(service, {"floor": floor, "max_workers": WORKERS})
    floor.subscriber = next(e for e in container.entrypoints if isinstance(e, Subscriber))
    stop = Event()

    def asked(number: int, _frame: Any) -> None:
        if not stop.ready():
            eventlet.spawn(stop.send, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)
    floor.open()
    container.start()
    log.info("service.started", http="{}:{}".format(*floor.home.settings.http))
    stop.wait()
    container.stop()
    floor.duties.stop()
    floor.close()
    log.info("service.stopped")


def main(arguments: Sequence[str]) -> int:
    """Run the service that the first argument names; the exit code."""
    try:
        service = find(arguments[0] if arguments else "")
        floor = build(service)
    except LookupError as error:
        sys.stderr.write(f"chassis.run: {error}\n")
        return WRONG_SETTINGS
    except (settings.Wrong, WrongNetwork, ValueError) as error:
        sys.stderr.write(f"{arguments[0]} cannot start; mend this and start it again:\n{error}\n")
        return WRONG_SETTINGS
    home = floor.home
    logs.configure(home.settings.log_level, organisation=home.organisation, service=home.service)
    try:
        serve(service, floor)
    except OSError as error:
        host, port = home.settings.http
        sys.stderr.write(f"{service.name} cannot listen on {host}:{port}: {error.strerror}; set VIISIKKO_HTTP\n")
        return WRONG_SETTINGS
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
