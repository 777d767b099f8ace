"""Worlds for tests in a fraction of the time: a world is seeded once, and each test gets a copy, forked off.

Importing the emulator and building the company takes seconds of processor time, and a test run wants hundreds of worlds.
One process, the nursery, imports it; for each scenario it forks off a template, which builds the company and stops its clock; each
world is forked off a template and goes on from there. A world that has to be a process of its own from the start, since a test
is about just that, is made with `infraconsole.world.process.start` alone.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

from infraconsole.world import procs
from infraconsole.world.folder import LOG_FILE
from infraconsole.world.process import Order, server_environment

TEMPLATE_SECONDS = 600.0
"""A world's time is that of its template, as if it stood still in between: so much may it lie behind, and no more."""
_MESSAGE = 65536


class Nursery:
    """The nursery's process; it ends when this one does."""

    def __init__(self) -> None:
        self._here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.world.nursery", str(there.fileno())],
                pass_fds=(there.fileno(),),
                stdin=subprocess.DEVNULL,
                cwd=Path(__file__).resolve().parents[2],
                env=server_environment(Path("/nonexistent")),
                start_new_session=True,
            )

    def launch(self, order: Order, errors: IO[bytes]) -> Nursling:
        read, write = os.pipe()
        told = json.dumps([str(order.root), order.scenario, order.factor, order.linger]).encode()
        socket.send_fds(self._here, [told], [read, errors.fileno()])
        os.close(read)
        pid = int(self._here.recv(_MESSAGE) or b"0")
        if order.linger:
            os.close(write)
        return Nursling(pid, None if order.linger else os.fdopen(write, "wb", buffering=0))

    def close(self) -> None:
        self._here.close()
        self._process.wait(30)


class Nursling:
    """A world's process that is no child of this one. How it ended cannot be told, only that it did."""

    def __init__(self, pid: int, stdin: IO[bytes] | None) -> None:
        self.pid = pid
        self.stdin = stdin
        self._mark = procs.start_mark(pid) or "gone"

    def poll(self) -> int | None:
        return None if procs.is_alive(self.pid, self._mark) else 0

    def wait(self, timeout: float | None = None) -> int:
        if not procs.wait_until(lambda: self.poll() is not None, 60.0 if timeout is None else timeout):
            raise subprocess.TimeoutExpired("world", timeout or 60.0)
        return 0

    def kill(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


@functools.cache
def nursery() -> Nursery:
    """One for this process, made when it is first asked for."""
    made = Nursery()
    atexit.register(made.close)
    return made


def _served(tests: socket.socket) -> None:
    """The nursery: hands each order to the scenario's template."""
    from infraconsole.world import company, server

    os.environ["MOTO_ACCOUNT_ID"] = company.load().account
    templates: dict[str, tuple[socket.socket, float]] = {}
    while True:
        told, fds, _, _ = socket.recv_fds(tests, _MESSAGE, 2)
        if not told:
            return
        scenario = json.loads(told)[1]
        template, made = templates.get(scenario, (None, 0.0))
        if template is None or time.monotonic() - made > TEMPLATE_SECONDS:
            if template is not None:
                template.close()
            template = _template(server, scenario, tests, *(known for known, _ in templates.values()))
            templates[scenario] = (template, time.monotonic())
        socket.send_fds(template, [told], fds)
        for fd in fds:
            os.close(fd)
        tests.send(template.recv(_MESSAGE))


def _template(server: Any, scenario: str, *others: Any) -> socket.socket:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        there.close()
        return here
    for other in (here, *others):
        other.close()
    try:
        _be_template(server, scenario, there)
    finally:
        os._exit(1)


def _be_template(server: Any, scenario: str, nursery: socket.socket) -> None:
    from infraconsole.world import scenarios

    world = server.WorldServer(Path("/nonexistent"), scenarios.scenario(scenario), 1.0)
    world.seed()
    world.clock.stand_still()
    gc.collect()
    gc.freeze()
    while True:
        told, fds, _, _ = socket.recv_fds(nursery, _MESSAGE, 2)
        if not told:
            os._exit(0)
        pid = os.fork()
        if not pid:
            nursery.close()
            _be_world(server, world, Order(Path(json.loads(told)[0]), *json.loads(told)[1:]), *fds)
        for fd in fds:
            os.close(fd)
        nursery.send(str(pid).encode())


def _be_world(server: Any, world: Any, order: Order, stdin: int, errors: int) -> None:
    code = 1
    try:
        os.setsid()
        os.dup2(stdin, 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(errors, 2)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(order.root)
        os.environ.clear()
        os.environ.update(server_environment(order.root))
        logging.basicConfig(filename=order.root / LOG_FILE, level=logging.WARNING)
        watch = server.Watch(order.root, linger=order.linger)
        watch.calls = world.calls.count
        watch.begin()
        _make_its_own(world, order)
        code = server.live(world, watch, linger=order.linger)
    except BaseException:  # noqa: BLE001 - the edge of the process
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _make_its_own(world: Any, order: Order) -> None:
    """What no two worlds may share: names that are drawn, the key, the ports of the load balancers."""
    from moto.backends import get_backend
    from moto.moto_api._internal import mock_random

    random.seed()
    mock_random.seed(int.from_bytes(os.urandom(8)))
    world.root = order.root
    world.clock.go_on(order.factor)
    world.credentials.issue()
    pid = os.getpid()
    address = f"127.{1 + pid // 65536 % 254}.{pid // 256 % 256}.{pid % 256}"
    world.health.move(address)
    for backend in get_backend("elbv2")[world.company.account].values():
        for balancer in backend.load_balancers.values():
            if balancer.dns_name == "localhost":
                balancer.dns_name = address


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for templates and worlds here
    with socket.socket(fileno=int(sys.argv[1])) as tests:
        _served(tests)
