"""The HTTP side of the world's process: WSGI over HTTP/1.1 with connections that stay open, as AWS's do. werkzeug's own
handler closes after each answer, which would make every call of the console pay for a new connection."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

LOG = logging.getLogger("infraconsole.world")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

_BODILESS = (204, 304)


class Dispatcher(DomainDispatcherApplication):  # type: ignore[misc]
    """moto's dispatcher, remembering which service a host is: moto looks through its folders for it at every call."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._known: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        # Called with the dispatcher's lock held.
        if host not in self._known:
            self._known[host] = super().get_backend_for_host(host)
        return self._known[host]


class ConnectionCut(Exception):
    """Raised by an application that wants the connection closed without an answer."""


class ConnectionDrips(Exception):
    """Raised by an application whose answer comes byte by byte, and never whole."""

    def __init__(self, status: str, headers: list[tuple[str, str]]) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


class KeepAliveHandler(MotoRequestHandler):  # type: ignore[misc]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 300

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        # The whole body is taken from the connection first, else its rest would be read as the next request.
        if environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read()
            del environ["wsgi.input_terminated"]
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            environ["CONTENT_LENGTH"] = str(len(body))
        else:
            body = self.rfile.read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            status, headers, answer = collect(self.server.app, environ)
        except ConnectionCut:
            self.close_connection = True
            return
        except ConnectionDrips as drips:
            self.close_connection = True
            self.drip(drips)
            return
        except Exception:
            LOG.exception("%s %s", self.command, self.path)
            status, headers, answer = "500 Internal Server Error", [], b"the world broke; see world.log"
        self.send(int(status[:3]), status[4:], headers, answer)

    def drip(self, answer: ConnectionDrips) -> None:
        head = [f"HTTP/1.1 {answer.status}", *(f"{name}: {value}" for name, value in answer.headers)]
        kept = [line for line in head if not line.lower().startswith(("content-length:", "connection:"))]
        with suppress(OSError):
            self.wfile.write("\r\n".join([*kept, "Transfer-Encoding: chunked", "", ""]).encode("latin-1"))
            while True:
                self.wfile.write(b"1\r\n \r\n")
                time.sleep(0.1)

    def send(self, code: int, phrase: str, headers: list[tuple[str, str]], body: bytes) -> None:
        lines = [f"HTTP/1.1 {code} {phrase}"]
        names = set()
        for name, value in headers:
            lower = name.lower()
            if lower in ("connection", "transfer-encoding") or (lower == "content-length" and self.command != "HEAD"):
                continue
            names.add(lower)
            lines.append(f"{name}: {value}")
        if "date" not in names:
            lines.append(f"Date: {self.date_time_string()}")
        if self.command != "HEAD" and code not in _BODILESS:
            lines.append(f"Content-Length: {len(body)}")
        elif "content-length" not in names and code not in _BODILESS:
            lines.append("Content-Length: 0")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        bare = self.command == "HEAD" or code in _BODILESS
        self.wfile.write(head if bare else head + body)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        LOG.debug(message, *args)


def collect(app: WsgiApp, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
    """Call a WSGI application and take its whole answer: status line, headers, body."""
    seen: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        seen.append((status, headers))
        return lambda data: None

    answer = app(environ, start_response)
    try:
        body = b"".join(answer)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    status, headers = seen[-1]
    return status, headers, body


def serve(app: WsgiApp, port: int = 0) -> BaseWSGIServer:
    """A server on the loopback interface, one thread per connection; `serve_forever` is the caller's."""
    return make_server("127.0.0.1", port, app, threaded=True, request_handler=KeepAliveHandler)
