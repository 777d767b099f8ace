from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.conftest import Figures, median_seconds

pytestmark = pytest.mark.bench


def test_version(figures: Figures) -> None:
    def bare() -> None:
        subprocess.run([sys.executable, "-c", "pass"], check=True)

    def version() -> None:
        console = Path(sys.executable).parent / "infraconsole"
        subprocess.run([console, "--version"], check=True, stdout=subprocess.DEVNULL)

    python, ours = median_seconds(bare, times=15), median_seconds(version, times=15)
    figures.add("`infraconsole --version`, against `python -c pass`", f"{ours / python:.1f} ×", "at most 5 ×")
    assert ours / python <= 5
