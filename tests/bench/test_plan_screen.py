"""A plan of 5,000 changes on the screen, against the time that Python's own JSON reader takes for its document.

What is timed is all of it: from the wish to be there until the frame with the rows is made. What any plan's screen costs to
open stands beside it, measured with a plan of one change.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path

import pytest
from rich.console import RenderableType
from textual._compositor import CompositorUpdate
from textual.screen import Screen

from infraconsole.app import ConsoleApp
from infraconsole.aws.access import AwsAccess
from infraconsole.config import parse
from infraconsole.engine.journal import Journal
from infraconsole.screens.places import GoTo, Place
from infraconsole.screens.plan.files import document_of
from infraconsole.screens.plan.screen import PlanScreen
from tests.bench.conftest import Figures, seconds
from tests.bench.test_plan_and_state import CHANGES, large_plan, reading_seconds

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

TIMES = 7


def write(journal: Journal, run: str, document: bytes) -> None:
    file = document_of(journal.folder, run)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(document)


def small_plan(document: bytes) -> bytes:
    whole = json.loads(document)
    return json.dumps({**whole, "resource_changes": whole["resource_changes"][:1]}).encode()


class Watched(ConsoleApp):
    """Makes of each frame the bytes that a terminal would get, as an app with one does, and knows when rows were among them."""

    rows_at = 0.0

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if isinstance(renderable, CompositorUpdate) and "▾" in renderable.render_segments(self.console):
            self.rows_at = time.perf_counter()
        super()._display(screen, renderable)


async def opened(app: Watched, run: str) -> float:
    """Seconds from the wish to be there until the frame with the rows is made."""
    app.rows_at = 0.0
    began = time.perf_counter()
    app.on_go_to(GoTo(Place("plan", run=run)))
    while not app.rows_at:
        assert time.perf_counter() - began < 30, "the plan was never shown"
        await asyncio.sleep(0.001)
    assert isinstance(app.screen, PlanScreen)
    assert app.screen.run_id == run
    return app.rows_at - began


async def left(app: ConsoleApp) -> None:
    app.screen.dismiss(None)
    while isinstance(app.screen, PlanScreen):
        await asyncio.sleep(0.005)
    await asyncio.sleep(1.5)  # for what is given back, and for what the screen below does anew


async def test_a_large_plan_is_on_the_screen(figures: Figures, tmp_path: Path) -> None:
    document = large_plan()
    theirs = reading_seconds(tmp_path, document)
    with Journal(tmp_path) as journal:
        write(journal, "large", document)
        write(journal, "small", small_plan(document))
        app = Watched(parse({}, None), journal, lambda _: AwsAccess(region="ap-northeast-2"), "woken")
        large: list[float] = []
        small: list[float] = []
        async with app.run_test(size=(120, 40)):
            for attempt in range(TIMES + 1):
                for run, times in (("small", small), ("large", large)):
                    took = await opened(app, run)
                    await left(app)
                    if attempt:  # the first of each imports what it needs
                        times.append(took)
    ours, any_plan = statistics.median(large), statistics.median(small)
    figures.add(
        f"a plan of {CHANGES:,} changes on the screen, against json.loads of its document",
        f"{ours / theirs:.2f} ×",
        "at most 1.5 ×",
        f"{len(document) / 1e6:.0f} MB; medians of {TIMES}: {ours * 1000:.0f} ms from key to rows, "
        f"of which {any_plan * 1000:.0f} ms for any plan's screen, and {theirs * 1000:.0f} ms",
    )
    assert ours / theirs <= 1.5


async def test_keys_in_a_large_plan(figures: Figures, tmp_path: Path) -> None:
    """What each key costs before its frame is drawn, which costs the same for twenty rows as for thousands."""
    with Journal(tmp_path) as journal:
        write(journal, "large", large_plan())
        app = Watched(parse({}, None), journal, lambda _: AwsAccess(region="ap-northeast-2"), "woken")
        async with app.run_test(size=(120, 40)) as pilot:
            await opened(app, "large")
            screen = app.screen
            assert isinstance(screen, PlanScreen)
            while screen._reading:
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
