"""A plan of 5,000 changes on the screen, against the time that Python's own JSON reader takes for its document.

Both in one process, in turns, at the same size of terminal. What is timed is the plan itself: from the screen's first look at
the file until the frame with its rows is drawn; what any screen costs to open is measured beside it, with a plan of one change.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.aws.access import AwsAccess
from infraconsole.config import parse
from infraconsole.engine.journal import Journal
from infraconsole.screens.places import GoTo, Place
from infraconsole.screens.plan.files import document_of
from infraconsole.screens.plan.screen import PlanScreen
from infraconsole.screens.widgets.rows import Rows
from tests.bench.conftest import Figures, seconds
from tests.bench.test_plan_and_state import CHANGES, large_plan

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

TIMES = 7


def write(journal: Journal, run: str, document: bytes) -> None:
    file = document_of(journal.folder, run)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(document)


def small_plan(document: bytes) -> bytes:
    whole = json.loads(document)
    return json.dumps({**whole, "resource_changes": whole["resource_changes"][:1]}).encode()


async def opened(app: ConsoleApp, run: str) -> float:
    """Seconds from the wish to be there until the rows are drawn."""
    began = time.perf_counter()
    app.on_go_to(GoTo(Place("plan", run=run)))
    while True:
        screen = app.screen
        if isinstance(screen, PlanScreen) and screen.run_id == run and screen.is_mounted:
            rows = screen.query("#changes").first(Rows) if screen.query("#changes") else None
            if rows is not None and rows.shown and rows.size.height and "▾" in drawn(app):
                return time.perf_counter() - began
        assert time.perf_counter() - began < 30, "the plan was never shown"
        await asyncio.sleep(0.001)


def drawn(app: ConsoleApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips()[:12])


async def left(app: ConsoleApp) -> None:
    app.screen.dismiss(None)
    while isinstance(app.screen, PlanScreen):
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.2)


async def test_a_large_plan_is_on_the_screen(figures: Figures, tmp_path: Path) -> None:
    document = large_plan()
    with Journal(tmp_path) as journal:
        write(journal, "large", document)
        write(journal, "small", small_plan(document))
        app = ConsoleApp(parse({}, None), journal, lambda _: AwsAccess(region="ap-northeast-2"), "woken")
        large: list[float] = []
        small: list[float] = []
        read: list[float] = []
        async with app.run_test(size=(120, 40)):
            for attempt in range(TIMES + 1):
                for run, times in (("small", small), ("large", large)):
                    took = await opened(app, run)
                    await left(app)
                    if attempt:  # the first of each imports what it needs
                        times.append(took)
                read.append(seconds(lambda: json.loads(document)))
    ours, theirs = statistics.median(large), statistics.median(read)
    plan = ours - statistics.median(small)
    figures.add(
        f"a plan of {CHANGES:,} changes on the screen, against json.loads of its document",
        f"{plan / theirs:.2f} ×",
        "at most 1.5 ×",
        f"{len(document) / 1e6:.0f} MB; medians of {TIMES} in turns: {ours * 1000:.0f} ms from key to rows, of which "
        f"{statistics.median(small) * 1000:.0f} ms for any plan's screen, and {theirs * 1000:.0f} ms; whole {ours / theirs:.2f} ×",
    )
    assert plan / theirs <= 1.5


async def test_keys_in_a_large_plan(figures: Figures, tmp_path: Path) -> None:
    """What each key costs before its frame is drawn, which costs the same for twenty rows as for thousands."""
    with Journal(tmp_path) as journal:
        write(journal, "large", large_plan())
        app = ConsoleApp(parse({}, None), journal, lambda _: AwsAccess(region="ap-northeast-2"), "woken")
        async with app.run_test(size=(120, 40)) as pilot:
            await opened(app, "large")
            screen = app.screen
            assert isinstance(screen, PlanScreen)
            while screen._reviewed is None:
                await asyncio.sleep(0.05)
            unfold = seconds(screen.action_fold_all)
            await pilot.pause(0.5)
            following = statistics.median(seconds(lambda: screen.action_ending(1)) for _ in range(20))
            letter = seconds(lambda: screen.narrow("r49"))
            await pilot.pause(0.5)
            another = seconds(lambda: screen.narrow("r499"))
    figures.add(
        f"a plan of {CHANGES:,} changes: next destroy, and another letter in the filter",
        f"{following * 1000:.0f} ms, {another * 1000:.0f} ms",
        "within 50 ms",
        f"besides the frame; the filter's first letter {letter * 1000:.0f} ms, everything unfolded {unfold * 1000:.0f} ms",
    )
    assert following < 0.05
    assert another < 0.05
