"""How hard laws are tried: the same modest examples in every run of the suite, and as many new ones as somebody asks for."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_ASKED = int(os.environ.get("LAW_EXAMPLES", "0"))
"""`LAW_EXAMPLES=5000 pytest -k laws`: so many examples of each law, and others every time."""


def tried(examples: int) -> settings:
    return settings(
        max_examples=_ASKED or examples,
        derandomize=not _ASKED,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
