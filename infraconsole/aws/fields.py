"""Fields of AWS's answers as plain values: what is missing is empty, whatever form AWS gives it in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text_of(raw: Mapping[str, Any], key: str) -> str:
    return str(raw.get(key) or "")


def number_of(raw: Mapping[str, Any], key: str) -> int:
    """ECS gives a task's cpu and memory as text, its containers' as numbers, and a missing one not at all."""
    value = str(raw.get(key) or "0")
    return int(value) if value.isascii() and value.isdecimal() else 0
