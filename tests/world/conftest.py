"""Worlds for tests: real processes, ended at teardown whatever happens. `world_factory(scenario=…, factor=…)` starts one of
its own; `world` is a fresh one per test; `shared_world` is one for the whole session, for tests that change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import boto3
import pytest
from botocore.config import Config

from infraconsole.world import process
from infraconsole.world.process import World
from tests.world.nursery import nursery

FACTOR = 60.0


class WorldFactory(Protocol):
    def __call__(self, scenario: str = ..., factor: float = ..., linger: bool = ..., apply: bool = ...) -> World: ...


def client(world: World, service: str, *, attempts: int = 1, region: str = "") -> Any:
    """A boto3 client on the world; without retries, unless asked for."""
    session: Any = boto3.Session()
    credentials = read_credentials(world)
    return session.client(
        service,
        region_name=region or world.region,
        endpoint_url=world.endpoint,
        aws_access_key_id=credentials["aws_access_key_id"],
        aws_secret_access_key=credentials["aws_secret_access_key"],
        aws_session_token=credentials["aws_session_token"],
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}, proxies={}),
    )


def read_credentials(world: World) -> dict[str, str]:
    lines = (world.dir / "aws/credentials").read_text("utf-8").splitlines()[1:]
    return {name: value for name, _, value in (line.partition(" = ") for line in lines)}


@contextlib.contextmanager
def worlds(root: Path, setenv: Callable[[World], None] | None = None) -> Iterator[WorldFactory]:
    """A factory whose worlds are all ended when the block is left."""
    started: list[World] = []

    def make(scenario: str = "bad-image", factor: float = FACTOR, linger: bool = False, apply: bool = False) -> World:
        world = process.start(root / f"world-{len(started)}", scenario, factor, linger, nursery().launch)
        started.append(world)
        if apply and setenv is not None:
            setenv(world)
        return world

    try:
        yield make
    finally:
        for world in started:
            world.stop()


@pytest.fixture
def world_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorldFactory]:
    """With `apply=True` this process's environment is the world's until the test ends."""
    import os

    def apply(world: World) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in world.environment().items():
            monkeypatch.setenv(name, value)

    with worlds(tmp_path, apply) as make:
        yield make


@pytest.fixture
def world(world_factory: WorldFactory) -> World:
    """The default scenario, sixty times as fast as real time."""
    return world_factory()


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For tests that only read, or that put back what they change. Its clock runs at real time."""
    with worlds(tmp_path_factory.mktemp("worlds")) as make:
        yield make("healthy", 1.0)
