"""What the parts of the seed have in common."""

from __future__ import annotations

import json
import random
from typing import Any

from infraconsole.world.wire import Wire

Tags = dict[str, str]


def listed(tags: Tags, *, lower: bool = False) -> list[Tags]:
    key, value = ("key", "value") if lower else ("Key", "Value")
    return [{key: name, value: text} for name, text in tags.items()]


def password(text: str) -> str:
    """A password of nothing: the databases behind it do not exist."""
    letters = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    dice = random.Random(text)  # noqa: S311 - the same each time, on purpose
    return "".join(dice.choice(letters) for _ in range(32))


def make_secret(wire: Wire, name: str, value: dict[str, Any], tags: Tags, key: str) -> str:
    """Its ARN; `key` is that of the KMS key."""
    made = wire.json(
        "secretsmanager",
        "CreateSecret",
        Name=name,
        SecretString=json.dumps(value),
        KmsKeyId=key,
        Tags=listed(tags),
    )
    return str(made["ARN"])
