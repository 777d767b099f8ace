"""Whatever is done to a run, the laws hold. A failure names its seed: `ATTACK_SEED=7 pytest tests/attacks` repeats it."""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks import laws
from tests.attacks.attack import Attack, Story
from tests.attacks.grounds import Field
from tests.attacks.plan import KINDS, SHAPES, Hit, Moment, Plan, drawn


def _listed(name: str) -> tuple[str, ...]:
    return tuple(filter(None, os.environ.get(name, "").split(",")))


LANES = 2
"""How many attack at the same time, each on a world of its own, where pytest runs on several processors."""
SECONDS = float(os.environ.get("ATTACK_SECONDS", "45"))
"""For each lane; an attack that has begun is carried out."""
SEEDS = _listed("ATTACK_SEED")
"""These and no others; `random` draws new ones until the time is over."""
ONLY_RUNBOOKS = _listed("ATTACK_RUNBOOKS")
"""These alone are attacked; else all."""
ONLY_KINDS = _listed("ATTACK_KINDS")
"""Kinds of hits that the plans are made of; else all that are not known to be open."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 300 * max(1, len(SEEDS)))]


def seeds(lane: int) -> Iterator[int]:
    if SEEDS == ("random",):
        return iter(lambda: random.randrange(1_000_000), -1)  # noqa: S311 - any will do
    return iter([int(seed) for seed in SEEDS][lane::LANES]) if SEEDS else itertools.count(lane + 1, LANES)


@pytest.mark.parametrize("lane", range(LANES))
def test_the_laws_hold_under_attack(field: Field, tmp_path: Path, lane: int) -> None:
    deadline = time.monotonic() + SECONDS
    repeats = SEEDS not in ((), ("random",))
    failures: list[str] = []
    number = 0
    for seed in seeds(lane):
        if time.monotonic() >= deadline and not repeats:
            break
        began = time.monotonic()
        story, how = attacked(drawn(seed, ONLY_KINDS, ONLY_RUNBOOKS), field, tmp_path / str(seed))
        number += 1
        tell(f"{time.monotonic() - began:5.1f} s  {story.record.outcome or 'no end':<12} {story.plan}")
        if how:
            failures.append(f"{how[0][:300]}\n  repeat: {_again(seed)}")
            tell("\n  ".join(["BROKEN", *how, str(story)]))
    tell(f"{number} attacks, {len(failures)} of them broke a law")
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)


def test_the_laws_notice_a_run_that_sends_twice(field: Field, tmp_path: Path) -> None:
    """An executor that does not look up what was done is killed between the call and its answer."""
    hit = Hit("kill-executor", Moment(event="before:call-done:update"))
    _, how = attacked(Plan(0, "ecs-rollback", "dev", False, False, (hit,)), field, tmp_path, blind="update")
    assert any(each.startswith("nothing is sent twice: sent 2 times") for each in how), how


def test_a_seed_is_one_plan_and_every_kind_is_drawn() -> None:
    plans = [drawn(seed, KINDS) for seed in range(1, 600)]
    assert plans == [drawn(seed, KINDS) for seed in range(1, 600)]
    assert {plan.runbook for plan in plans} == set(SHAPES)
    assert {hit.kind for plan in plans for hit in plan.hits} == set(KINDS)


def attacked(plan: Plan, field: Field, folder: Path, *, blind: str = "") -> tuple[Story, list[str]]:
    """What happened, and which laws were broken. `blind` is a step of which the executor never finds that it was
    done."""
    attack = Attack(plan, field, folder, blind=blind)
    try:
        story = attack.carry_out()
        return story, laws.broken(story)
    finally:
        attack.close()


def tell(words: str) -> None:
    """Past pytest-xdist, which keeps what its workers print until the test is over."""
    print(words, file=sys.stderr, flush=True)


def _again(seed: int) -> str:
    narrowed = {"ATTACK_RUNBOOKS": ONLY_RUNBOOKS, "ATTACK_KINDS": ONLY_KINDS}
    more = "".join(f"{name}={','.join(values)} " for name, values in narrowed.items() if values)
    return f"ATTACK_SEED={seed} {more}pytest tests/attacks"
