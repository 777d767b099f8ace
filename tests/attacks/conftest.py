"""One world for all attacks of a process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.attacks.grounds import Field
from tests.world.conftest import worlds

FACTOR = 120.0


@pytest.fixture(scope="session")
def shared_field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    with worlds(tmp_path_factory.mktemp("world")) as make:
        yield Field(make("healthy", FACTOR))


@pytest.fixture
def field(shared_field: Field, monkeypatch: pytest.MonkeyPatch) -> Field:
    """The environment is for one test: what comes after it in this process would have that world's time of day."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in shared_field.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", os.devnull)
    return shared_field
