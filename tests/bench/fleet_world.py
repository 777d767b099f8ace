"""A company of any number of services, each in three environments, in the embedded world: `fleet(folder, services)` serves one, and
`python -m tests.bench.fleet_world <services> <the world's own arguments>` is its process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from infraconsole.world import process
from infraconsole.world.process import Order, World, server_environment

HERE = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def fleet(folder: Path, services: int) -> Iterator[World]:
    def launch(order: Order, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.bench.fleet_world", str(services), "--dir", str(order.root)]
        return subprocess.Popen(
            [*command, "--scenario", order.scenario],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=HERE,
            env=server_environment(order.root),
            start_new_session=True,
        )

    process.START_SECONDS, usual = 900.0, process.START_SECONDS
    try:
        world = process.start(folder, "healthy", 1.0, launch=launch)
    finally:
        process.START_SECONDS = usual
    try:
        yield world
    finally:
        world.stop()


def main() -> int:
    from moto.ec2.models.security_groups import SecurityGroupBackend

    from infraconsole.world import company, health, history, server

    services, arguments = int(sys.argv[1]), sys.argv[2:]
    small = company.load()
    pattern = next(iter(small.services.values()))
    names = [*small.services, *(f"service{number:03}" for number in range(len(small.services), services))][:services]
    large = replace(small, services={name: small.services.get(name) or replace(pattern, name=name) for name in names})
    company.load = lambda: large  # type: ignore[assignment]
    health.HealthPorts.serve = lambda self: None  # type: ignore[method-assign]  # three hundred threads that nobody calls
    history.commit = lambda *_: None  # nor does anybody ask for the history of the code
    # All services use one database here, whose security group AWS would have to raise the limit of.
    SecurityGroupBackend._verify_group_will_respect_rule_count_limit = lambda *_, **__: None
    return server.main(arguments)


if __name__ == "__main__":
    import os

    code = main()
    os._exit(code)
