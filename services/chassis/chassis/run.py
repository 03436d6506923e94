"""Runs one service: ``python -m chassis.run referral``. Its own runner, since nameko's needs pkg_resources."""

from __future__ import annotations

import warnings

# Whoever starts a service can do nothing about it, and it would stand before the settings to mend.
warnings.filterwarnings("ignore", message="\\s*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()

# Everything below is imported after the sockets are green.
import ctypes  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator, Mapping, Sequence  # noqa: E402
from importlib import import_module  # noqa: E402
from importlib.metadata import entry_points  # noqa: E402
from typing import Any  # noqa: E402

from eventlet import hubs  # noqa: E402
from eventlet.event import Event  # noqa: E402
from nameko.containers import ServiceContainer  # noqa: E402

from chassis import logs, network, secrets, settings  # noqa: E402
from chassis.decision import Network  # noqa: E402
from chassis.floor import Floor  # noqa: E402
from chassis.logs import log  # noqa: E402
from chassis.service import Service  # noqa: E402
from chassis.settings import Settings  # noqa: E402
from chassis.subscriber import Subscriber  # noqa: E402

WORKERS = 20
"""Requests and batches worked on at the same time; further ones wait."""

WRONG_SETTINGS = 2
DIED = 1
BACKLOG = 128
LARGE_BYTES = 128 * 1024
"""From here on memory comes from the system and goes back to it: glibc's own limit at the start."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


class Container(ServiceContainer):
    """nameko's container, which ends by whatever one of its threads ends with.

    nameko looks for exceptions only; a thread that ends by something else, such as a time limit, would leave whoever
    waits for its result waiting for ever.
    """

    def _handle_thread_exited(self, gt: Any) -> None:
        try:
            super()._handle_thread_exited(gt)
        except BaseException as error:  # noqa: BLE001 - see above
            ended = RuntimeError(f"a thread ended by {type(error).__name__}")
            self.kill((RuntimeError, ended, None))


def find(name: str) -> type[Service]:
    """The service of a name among the installed ones, or of ``module:Class``.

    Raises:
        LookupError: There is none.
    """
    if ":" in name:
        return _import(name)
    found = {entry.name: entry for entry in entry_points(group="viisikko.services")}
    if name not in found:
        raise LookupError(f"there is no service {name}; installed are {', '.join(sorted(found))}")
    service: type[Service] = found[name].load()
    return service


def _import(name: str) -> type[Service]:
    module, _, attribute = name.partition(":")
    try:
        found: type[Service] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise LookupError(f"there is no service {name}: {error}") from None
    return found


def build(service: type[Service]) -> Floor:
    """The floor of a service, from the environment.

    Raises:
        Wrong: Settings, the network's file or the folder of secrets are missing or wrong; all is told.
    """
    kinds = {"chassis": Settings} | ({"own": service.settings} if service.settings else {})
    read = settings.read(kinds, check=lambda values: _check(service.name, values["chassis"]))
    return Floor(service, read["chassis"], read.get("own"))


def _check(service: str, values: Mapping[str, Any]) -> Iterator[str]:
    if "secrets" in values:
        try:
            secrets.read(values["secrets"])
        except ValueError as error:
            yield str(error)
    if "network" in values:
        try:
            found = network.read(values["network"]).network
        except network.WrongNetwork as error:
            yield str(error)
        else:
            yield from _check_member(service, values.get("organisation"), found)


def _check_member(service: str, code: str | None, found: Network) -> Iterator[str]:
    if code is None:
        return
    if code not in found.organisations:
        known = ", ".join(sorted(found.organisations))
        yield f"VIISIKKO_ORGANISATION must be an organisation of VIISIKKO_NETWORK: {known}"
    # A service that is given as module:Class stands in no network's file.
    elif service in network.SERVICES and service not in found.organisations[code].runs:
        yield f"VIISIKKO_ORGANISATION must be one that runs {service}: list it at organisations.{code}.runs"


def listen(host: str, port: int) -> Any:
    """A socket that listens.

    Raises:
        OSError: The port is taken, or the host is none of this machine.
    """
    family, _kind, _protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # Without sharing: two services at one port would each get some of the requests.
    return eventlet.listen(address, family, backlog=BACKLOG, reuse_port=False)


def serve(service: type[Service], floor: Floor, listener: Any) -> int:
    """Run a service until SIGTERM or SIGINT, then drain it.

    Args:
        service: The service's class.
        floor: What it runs on.
        listener: The socket of its HTTP.

    Returns:
        The exit code: not 0 where the service ended by itself.
    """
    _tell_faults()
    config = {"floor": floor, "listener": listener, "max_workers": WORKERS}
    container = Container(service, config)
    floor.subscriber = next(e for e in container.entrypoints if isinstance(e, Subscriber))
    stop = Event()

    def asked(_number: int, _frame: Any) -> None:
        eventlet.spawn(_send, stop, 0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)
    floor.open()
    container.start()
    eventlet.spawn(_watch, container, stop)
    log.info("service.started", http="{}:{}".format(*floor.home.settings.http))
    code: int = stop.wait()
    _drain(container, floor)
    log.info("service.stopped", code=code)
    return code


def _drain(container: ServiceContainer, floor: Floor) -> None:
    """Finish what was begun, within the one limit that a stop has, and say what is left where that was too short."""
    with eventlet.Timeout(floor.home.settings.drain_seconds, exception=False):
        container.stop()
        floor.duties.drain()
    left = floor.left()
    if any(left.values()):
        log.warning("service.left", **left)
    floor.close()


def _tell_faults() -> None:
    # eventlet would write the trace of a green thread that ends by an error, with the values that it worked on.
    hub = hubs.get_hub()

    def by_time(_timer: Any, fault: Any) -> None:
        log.error("thread.failed", error=fault[1])

    def by_socket(descriptor: int, fault: Any) -> None:
        log.error("thread.failed", error=fault[1])
        hub.remove_descriptor(descriptor)

    hub.squelch_timer_exception, hub.squelch_exception = by_time, by_socket


def _watch(container: ServiceContainer, stop: Event) -> None:
    # A process whose container has died would answer nobody; whoever runs it can only start another when it ends.
    try:
        container.wait()
    except Exception as error:  # noqa: BLE001 - whatever ended it
        log.error("service.died", error=error)
    _send(stop, DIED)


def _send(stop: Event, code: int) -> None:
    if not stop.ready():
        stop.send(code)


def _return_large_buffers() -> None:
    """Let glibc give large buffers back to the system at once (mallopt(3)); other libraries are left as they are.

    By default it raises its own limit with each large buffer that it frees, so that a batch's documents of a few
    hundred KiB end up between small objects, and resident memory grows for as long as the service works.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, LARGE_BYTES)


def main(arguments: Sequence[str]) -> int:
    """Run the service that the first argument names; the exit code."""
    _return_large_buffers()
    try:
        service = find(arguments[0] if arguments else "")
        floor = build(service)
    except LookupError as error:
        sys.stderr.write(f"chassis.run: {error}\n")
        return WRONG_SETTINGS
    except ValueError as error:
        sys.stderr.write(f"{arguments[0]} cannot start; mend this and start it again:\n{error}\n")
        return WRONG_SETTINGS
    home = floor.home
    logs.configure(home.settings.log_level, organisation=home.organisation, service=home.service)
    try:
        listener = listen(*home.settings.http)
    except OSError as error:
        host, port = home.settings.http
        sys.stderr.write(f"{service.name} cannot listen on {host}:{port}: {error.strerror}; set VIISIKKO_HTTP\n")
        return WRONG_SETTINGS
    return serve(service, floor, listener)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
