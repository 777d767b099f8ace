"""The budget over HTTP: AWS's own throttling answer slows the console's reads down, and each attempt at the API is charged."""

from __future__ import annotations

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.budget import Budget, Lane, reading
from infraconsole.errors import Throttled
from infraconsole.world.process import World
from tests.world.conftest import WorldFactory


@pytest.fixture
def access(world_factory: WorldFactory) -> tuple[World, AwsAccess]:
    world = world_factory("healthy", 1.0, apply=True)
    made = AwsAccess(region=world.region)
    made.budget = Budget(0.5)
    return world, made


def test_a_throttled_answer_slows_down_and_every_attempt_is_charged(access: tuple[World, AwsAccess]) -> None:
    world, made = access
    budget = made.budget
    assert budget is not None
    with reading(Lane.BACKGROUND) as spent:
        made.call("sts", "GetCallerIdentity")
        assert (spent.calls, budget.slowed) == (1, None)
        before = world.counted_calls("ListClusters")
        world.fault("throttle", service="ecs")
        with pytest.raises(Throttled):
            made.call("ecs", "ListClusters")
        attempts = world.counted_calls("ListClusters") - before
        world.clear_faults()
    slowed = budget.slowed
    assert slowed is not None
    assert slowed.per_second < 0.5
    assert attempts > 1, "botocore tries again"
    assert spent.calls == 2
    assert budget.wait_seconds() > 0, "nothing is left of what was saved up"
    before = len(world.calls())
    made.call("sts", "GetCallerIdentity")
    assert len(world.calls()) == before + 1, "what a person asks for is sent all the same"
