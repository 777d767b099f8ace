"""One world for all attacks of a process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.attacks.grounds import Field
from tests.world.conftest import worlds

FACTOR = 120.0


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    with worlds(tmp_path_factory.mktemp("world")) as make, pytest.MonkeyPatch.context() as patch:
        found = Field(make("healthy", FACTOR))
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in found.environ.items():
            patch.setenv(name, value)
        patch.setenv("TF_CLI_CONFIG_FILE", os.devnull)
        yield found
