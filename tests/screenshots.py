"""Pictures of every screen, from the real console on the embedded world: `make screenshots`.

python -m tests.screenshots FOLDER [COLUMNSxROWS]…
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from infraconsole import config
from infraconsole.app import ConsoleApp
from infraconsole.aws.access import AwsAccess
from infraconsole.engine.journal import Journal
from infraconsole.world import process

PATIENCE_SECONDS = 60.0
SIZES = ((120, 40),)


async def until(pilot: Pilot[Any], condition: Callable[[], bool], what: str) -> None:
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        if condition():
            await pilot.pause(0.6)
            return
        await pilot.pause(0.1)
    raise TimeoutError(f"waited {PATIENCE_SECONDS:.0f} s for {what}")


async def walk(folder: Path, size: tuple[int, int], journal: Journal) -> None:
    settings = config.load()

    def access_for(environment: str) -> AwsAccess:
        return AwsAccess(region=settings.region_of(environment))

    def gate() -> str:
        run = journal.run_ids()[0] if journal.run_ids() else ""
        events = journal.events(run, brief=True) if run else []
        return events[-1].data["gate"]["id"] if events and events[-1].kind == "gate-opened" else ""

    def finished() -> bool:
        return journal.events(journal.run_ids()[0])[-1].kind == "run-finished"

    app = ConsoleApp(settings, journal, access_for, "kim", world="bad-image")
    async with app.run_test(size=size) as pilot:

        def picture(name: str) -> None:
            suffix = "" if size == SIZES[0] else f"-{size[0]}x{size[1]}"
            saved = Path(app.save_screenshot(f"{name}{suffix}.svg", path=str(folder)))
            saved.write_text(saved.read_text().replace(str(journal.folder.parent), "~/world"))

        await pilot.pause(5)
        await pilot.press("j", "j")
        await pilot.pause(1)
        picture("board")
        await pilot.press("enter")
        await pilot.pause(3)
        picture("containers")
        await pilot.press("R")
        await until(pilot, lambda: gate() == "revision", "the revisions")
        await pilot.pause(1)
        picture("choose")
        await pilot.press("enter")
        await until(pilot, lambda: gate() == "in-flight", "the deployment in flight")
        await pilot.pause(1)
        await pilot.press("enter")
        for name, answer in (("reason", "prod answers 503"), ("type-target", "fileflow-prod")):
            await until(pilot, lambda name=name: gate() == name, name)  # type: ignore[misc]
            await pilot.pause(1)
            await pilot.press("tab", *answer)
            if name == "type-target":
                picture("gate")
            await pilot.press("enter")
        await pilot.pause(3)
        picture("run")
        await until(pilot, finished, "the run to finish")
        await pilot.pause(1)
        picture("done")
        await pilot.press("escape", "escape", "h")
        await pilot.pause(2)
        picture("journal")
        await pilot.press("question_mark")
        await pilot.pause(1)
        picture("help")


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [(int(size.split("x")[0]), int(size.split("x")[1])) for size in arguments[1:]] or SIZES
    os.environ.pop("NO_COLOR", None)
    for size in sizes:
        with tempfile.TemporaryDirectory() as root:
            world = process.start(Path(root), "bad-image", 20.0)
            world.apply()
            try:
                with Journal(config.state_folder()) as journal:
                    asyncio.run(walk(folder, size, journal))
            finally:
                world.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
