"""From the spawn of the process to the first frame on the terminal: Python, imports, configuration and journal included."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import pytest

from tests.bench.conftest import Figures
from tests.bench.terminals import opened
from tests.world.conftest import worlds

pytestmark = pytest.mark.bench

CONSOLE = Path(sys.executable).parent / "infraconsole"
BARE = (
    "from textual.app import App\n"
    "from textual.widgets import Static\n"
    "class Bare(App):\n"
    "    def compose(self):\n"
    "        yield Static('a bare app')\n"
    "Bare().run()\n"
)


def test_first_paint(figures: Figures, tmp_path: Path) -> None:
    """Both in the same terminal, in turns; the console on a world that runs, with its configuration and its journal."""
    script = tmp_path / "bare.py"
    script.write_text(BARE)
    bare, console, listed = [], [], []
    with worlds(tmp_path) as make:
        environment = make("healthy", 1.0).applied()
        for attempt in range(14):
            with opened([sys.executable, script], environment) as terminal:
                bare.append(terminal.wait_for("a bare app") - terminal.began)
            with opened([CONSOLE], environment) as terminal:
                console.append(terminal.wait_for("rollout") - terminal.began)
                listed.append(terminal.wait_for("crawler prod") - terminal.began)
            if not attempt:  # the first one compiles, and fills the page cache
                bare, console, listed = [], [], []
    ours, theirs = statistics.median(console), statistics.median(bare)
    figures.add(
        "first paint of the console, against a bare Textual app's",
        f"{ours / theirs:.2f} ×",
        "at most 1.5 ×",
        f"medians of {len(bare)} in turns: {ours:.3f} s against {theirs:.3f} s; best against best "
        f"{min(console) / min(bare):.2f} ×; the board's nine names {statistics.median(listed):.3f} s",
    )
    assert ours / theirs <= 1.5
