"""Whatever is done to a run, the laws hold. A failure names its seed: `ATTACK_SEED=7 pytest tests/attacks` repeats it."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks import laws
from tests.attacks.attack import Attack, Story
from tests.attacks.grounds import Field
from tests.attacks.plan import Plan, drawn

LANES = 2
"""How many attack at the same time, each on a world of its own, where pytest runs on several processors."""
SECONDS = float(os.environ.get("ATTACK_SECONDS", "50"))
"""For each lane; an attack that has begun is carried out."""
SEED = os.environ.get("ATTACK_SEED", "")
"""These seeds and no others, with commas between them; `random` draws new ones until the time is over."""
KINDS = tuple(filter(None, os.environ.get("ATTACK_KINDS", "").split(",")))
"""Kinds of hits that the plans are made of; else all that are not known to be open."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 300)]


def seeds(lane: int) -> Iterator[int]:
    if SEED and SEED != "random":
        return iter([int(seed) for seed in SEED.split(",")][lane::LANES])
    if SEED:
        return iter(lambda: random.randrange(1_000_000), -1)  # noqa: S311 - any will do
    return itertools.count(lane + 1, LANES)


@pytest.mark.parametrize("lane", range(LANES))
def test_the_laws_hold_under_attack(field: Field, tmp_path: Path, lane: int) -> None:
    deadline = time.monotonic() + SECONDS
    failures: list[str] = []
    number = 0
    for seed in seeds(lane):
        if time.monotonic() >= deadline and not (SEED and SEED != "random"):
            break
        began = time.monotonic()
        story, how = attacked(drawn(seed, KINDS), field, tmp_path / str(seed))
        number += 1
        print(f"{time.monotonic() - began:5.1f} s  {story.record.outcome or '-':<12} {story.plan}", flush=True)
        if how:
            failures.append("\n  ".join([*how, f"repeat: {_again(seed)}", str(story)]))
            print(failures[-1], flush=True)
    print(f"{number} attacks, {len(failures)} of them broke a law")
    assert not failures, "\n\n".join(failures)


def _again(seed: int) -> str:
    kinds = f"ATTACK_KINDS={','.join(KINDS)} " if KINDS else ""
    return f"ATTACK_SEED={seed} {kinds}pytest tests/attacks"


def attacked(plan: Plan, field: Field, folder: Path) -> tuple[Story, list[str]]:
    """What happened, and which laws were broken."""
    attack = Attack(plan, field, folder)
    try:
        story = attack.carry_out()
        return story, laws.broken(story)
    finally:
        attack.close()
