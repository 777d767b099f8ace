"""How fast secrets are masked: 2,000 of them, in all their forms, in output as Terraform writes it."""

from __future__ import annotations

import random
import string
from time import process_time

import pytest

from infraconsole.redaction import MASK, Redactor
from tests.bench.conftest import Figures

pytestmark = pytest.mark.bench

_ALPHABET = string.ascii_letters + string.digits + "!@#$%^&*()-_=+/."
_BYTES = 20_000_000


def test_masking_2000_secrets_costs_little_more_than_masking_20(figures: Figures) -> None:
    chance = random.Random(1)  # noqa: S311
    secrets = ["".join(chance.choices(_ALPHABET, k=chance.randint(12, 40))) for _ in range(2_000)]
    lines = [
        f"aws_instance.web[{n}]: Still creating... [id=i-0{chance.getrandbits(60):x}, {n % 100}s elapsed] "
        f"tags={{Name=web, env=prod}} arn:aws:ecs:eu-west-1:123456789012:service/x"
        for n in range(20_000)
    ]
    lines[::500] = [f"password={secret}" for secret in secrets[: len(lines[::500])]]
    part = "\n".join(lines)
    text = "\n".join([part] * (_BYTES // len(part)))
    speeds = {}
    for count in (20, 2_000):
        redactor = Redactor()
        redactor.learn(*secrets[-count:])
        redactor.text("made ready")
        begun = process_time()
        assert MASK in redactor.text(text)
        speeds[count] = len(text) / (process_time() - begun) / 1e6
    ratio = speeds[20] / speeds[2_000]
    figures.add(
        "masking 2,000 secrets, to 20", f"{ratio:.1f} ×", "< 8 ×", f"{speeds[2_000]:.0f} and {speeds[20]:.0f} MB/s"
    )
    assert ratio < 8
