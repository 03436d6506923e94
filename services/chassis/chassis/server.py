"""The HTTP server below the routes: its limits, its connections, and what it answers where there is no route."""

from __future__ import annotations

import errno
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

import eventlet
from eventlet import wsgi
from nameko.web.server import HttpOnlyProtocol, WebServer
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Request

from chassis.logs import log
from chassis.problems import Problem

if TYPE_CHECKING:
    from chassis.floor import Floor

LINE_BYTES = 8192
SOCKET_SECONDS = 30
LINGER_SECONDS = 2
"""How long a connection that ends with a body unread is read on, so that the client gets to see the answer."""

ACCEPT_SECONDS = 0.2
"""How long a server that cannot take connections waits before it tries again."""

_CLOSE = "viisikko.close"
_DISCARD_BYTES = 64 * 1024
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class _Wsgi(wsgi.Server):
    """Counts the requests that are being answered."""

    answering = 0


class Protocol(HttpOnlyProtocol):
    """HTTP on one connection, which an answer may end; what the client still sends is then read for a little while."""

    def handle_one_response(self) -> None:
        """Answer one request; a stop waits until it is sent."""
        self.server.answering += 1
        try:
            super().handle_one_response()
        finally:
            self.server.answering -= 1

    def get_environ(self) -> Any:
        """The request, with a way to end its connection."""
        environ = super().get_environ()
        environ[_CLOSE] = self._close
        return environ

    def finish(self) -> None:
        """End the connection; data that nobody read would reset it, and the client might lose the answer."""
        if self.__dict__.get("_lingers"):
            with eventlet.Timeout(LINGER_SECONDS, exception=False), suppress(OSError):
                self.connection.shutdown(SHUT_WR)
                while self.connection.recv(_DISCARD_BYTES):
                    pass
        super().finish()

    def _close(self) -> None:
        self.close_connection = True
        self._lingers = True


class Server(WebServer):
    """nameko's web server with limits, one form of error, and no way for a request to end the container."""

    _gt: Any
    _is_accepting: bool

    @property
    def floor(self) -> Floor:
        """The service's floor."""
        floor: Floor = self.container.config["floor"]
        return floor

    def start(self) -> None:
        """Serve the socket that is bound already: a port that is taken is known before anything else starts."""
        if self._gt is None:
            self._sock = self.container.config["listener"]
            self._serv = _Wsgi(
                self._sock,
                self._sock.getsockname(),
                # Errors of routing are problems as well.
                partial(self._answered, self.make_url_map()),
                protocol=Protocol,
                debug=False,
                log_output=False,
                url_length_limit=LINE_BYTES,
                socket_timeout=SOCKET_SECONDS,
            )
            self._gt = self.container.spawn_managed_thread(self.run)

    def end(self) -> None:
        """Take no more connections; those that are there end with their next answer."""
        if self._is_accepting:
            self._is_accepting = False
            self._gt.kill()
            self._sock.close()

    def stop(self) -> None:
        """End, and wait for the answers that are on their way: what was done must also be told."""
        self.end()
        super().stop()
        while self._serv.answering:
            eventlet.sleep(ACCEPT_SECONDS / 10)

    def _answered(self, routes: Any, environ: Any, start_response: Any) -> Any:
        if not self._is_accepting:
            environ[_CLOSE]()
        return _application(routes, environ, start_response)

    def run(self) -> None:
        """Take connections; where there are no file descriptors, wait for some instead of going deaf for ever."""
        waits = False
        while self._is_accepting:
            try:
                sock, address = self._sock.accept()
            except OSError as error:
                if error.errno == errno.EBADF:
                    raise
                if not waits:
                    log.error("http.accept", error=error, reason=errno.errorcode.get(error.errno or 0))
                waits = True
                eventlet.sleep(ACCEPT_SECONDS)
                continue
            waits = False
            sock.settimeout(SOCKET_SECONDS)
            self.container.spawn_managed_thread(partial(self.process_request, sock, address))

    def process_request(self, sock: Any, address: Any) -> None:
        """Serve one connection; whatever happens to it ends it alone (trap 4)."""
        try:
            super().process_request(sock, address)
        except Exception as error:  # noqa: BLE001 - see above
            log.warning("http.connection", error=error)


def _application(routes: Any, environ: Any, start_response: Any) -> Any:
    adapter = routes.bind_to_environ(environ)
    try:
        route, values = adapter.match()
        response = route.answer(Request(environ), values)
    except (NotFound, RequestRedirect):
        # werkzeug would send a doubled slash elsewhere; a partner's program should learn that its path is wrong.
        response = Problem(HTTPStatus.NOT_FOUND, "no-route", "There is nothing at this path.").response()
    except MethodNotAllowed as error:
        allowed = ", ".join(error.valid_methods or ())
        detail = f"This path takes {allowed} only."
        headers = {"Allow": allowed}
        response = Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method", detail, headers=headers).response()
    except HTTPException:
        response = Problem(HTTPStatus.BAD_REQUEST, "request", "The request cannot be read.").response()
    response.headers.extend(_HEADERS)
    if response.status_code == HTTPStatus.UNAUTHORIZED or _is_unread(environ["eventlet.input"]):
        environ[_CLOSE]()
    return response(environ, start_response)


def _is_unread(body: Any) -> bool:
    # A body that was refused unread may be endless: the connection ends instead of reading it for the next request.
    if body.chunked_input:
        return bool(body.chunk_length)
    return bool(body.position < body.content_length)
