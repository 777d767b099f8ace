"""What answers behind the load balancers: /actuator/health on a loopback port of its own per load balancer, according to
the tasks that serve. Without it the world's services could be described but not called."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/actuator/health"


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]
    revision: str = ""


class HealthPorts:
    """The listening sockets; opened while the world is seeded, answered once it is served, gone with its process."""

    def __init__(self) -> None:
        self._servers: list[ThreadingHTTPServer] = []

    def open(self, answer: Callable[[], Answer]) -> int:
        """Listen on a free loopback port; returns the port."""

        class Handler(_HealthHandler):
            health = staticmethod(answer)

        server = _listening(("127.0.0.1", 0), Handler)
        self._servers.append(server)
        return int(server.server_port)

    def move(self, address: str) -> None:
        """Listen on the same ports of another loopback address: for a process that was forked off the one that opened them."""
        for number, server in enumerate(self._servers):
            self._servers[number] = _listening((address, server.server_port), server.RequestHandlerClass)
            server.socket.close()

    def serve(self) -> None:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, name=f"health-{server.server_port}", daemon=True).start()


def _listening(address: tuple[str, int], handler: Any) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(address, handler)
    server.daemon_threads = True
    return server


class _HealthHandler(BaseHTTPRequestHandler):
    health: Callable[[], Answer]
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        if self.path.split("?")[0] == PATH:
            answer = self.health()
        else:
            answer = Answer(404, {"status": 404, "error": "Not Found", "path": self.path})
        body = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/vnd.spring-boot.actuator.v3+json")
        self.send_header("Content-Length", str(len(body)))
        if answer.revision:
            self.send_header("X-Revision", answer.revision)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass
