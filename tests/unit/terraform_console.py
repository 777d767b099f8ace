"""Terraform's own answer to an expression, for tests that compare with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

asks_terraform = pytest.mark.skipif(not shutil.which("terraform"), reason="asks Terraform")


class Refused(Exception):
    """It does not take the expression."""


def console(folder: Path, *expressions: str) -> list[Any]:
    """What they come to in that root module, all in one console: each start takes a third of a second. Raises Refused."""
    ended = subprocess.run(
        ["terraform", "console"],
        input=f"jsonencode([{', '.join(expressions)}])\n",
        text=True,
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": "/dev/null"},
    )
    if ended.returncode:
        raise Refused(ended.stderr)
    found: list[Any] = json.loads(json.loads(ended.stdout.replace("$${", "${").replace("%%{", "%{")))
    return found
