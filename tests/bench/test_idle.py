"""The console left alone on its board: what it costs the machine, with the reads every fifteen seconds and between them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tests.bench.conftest import Figures
from tests.bench.terminals import opened
from tests.world.conftest import worlds

pytestmark = pytest.mark.bench

CONSOLE = Path(sys.executable).parent / "infraconsole"
SETTLING = 12.0
WATCHED = 60.0
"""One round of the board's reads: three times the quick ones, once all of them."""


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int, line: str = "VmRSS") -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(found.split()[1]) for found in status if found.startswith(line)) / 1024


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_idle(figures: Figures, tmp_path: Path) -> None:
    with worlds(tmp_path) as make:
        world = make("healthy", 1.0)
        with opened([CONSOLE], world.applied()) as terminal:
            terminal.wait_for("All 9 services run as they should")
            terminal.drain(SETTLING)
            last = world.calls()[-1]["seq"]
            quiet, reading, reads = [0.0, 0.0], [0.0, 0.0], 0
            at, spent = time.monotonic(), processor_seconds(terminal.pid)
            ends = at + WATCHED
            while at < ends:
                terminal.drain(1.0)
                now, used = time.monotonic(), processor_seconds(terminal.pid)
                calls = world.calls(since=last)
                kind = reading if calls else quiet
                kind[0] += used - spent
                kind[1] += now - at
                reads += len(calls)
                last = calls[-1]["seq"] if calls else last
                at, spent = now, used
            memory, most = resident_megabytes(terminal.pid), resident_megabytes(terminal.pid, "VmHWM")
    between = quiet[0] / quiet[1]
    including = (quiet[0] + reading[0]) / (quiet[1] + reading[1])
    figures.add(
        "console idle on the board of 9 services: processor, reads every 15 s included",
        f"{including:.1%} of a core",
        "under 2%",
        f"{quiet[1] + reading[1]:.0f} s, {reads} AWS calls; seconds without a call {between:.1%}",
    )
    figures.add(
        "console idle on the board of 9 services: memory",
        f"{memory:.0f} MB",
        "under 150 MB",
        f"resident after {SETTLING + WATCHED:.0f} s; at most {most:.0f} MB",
    )
    assert between < 0.02
    assert including < 0.02
    assert memory < 150
