"""What holds for every test: it leaves the environment of its process as it was. The next one would talk to another world."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

_GIVEN = pytest.StashKey[dict[str, str]]()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_GIVEN] = _environment()


@pytest.fixture(autouse=True)
def _environment_stays(pytestconfig: pytest.Config) -> Iterator[None]:
    yield
    assert _environment() == pytestconfig.stash[_GIVEN]
