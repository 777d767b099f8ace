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
from infraconsole.aws.access import AwsAccess, ChangingAccess
from infraconsole.engine.journal import Journal
from infraconsole.screens.board import BoardScreen
from infraconsole.world import process
from infraconsole.world.company import load

PATIENCE_SECONDS = 180.0
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

        await pilot.pause(6)
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
        await pilot.press("escape", "escape")
        await go(pilot, "exports prod")
        await until(pilot, lambda: bool(getattr(app.screen, "_checked", False)), "the checks of the exports")
        await pilot.press("n")
        await pilot.pause(1)
        picture("exports")
        await pilot.press("n", "enter")
        await pilot.pause(6)
        picture("export")
        await pilot.press("escape", "escape")
        await go(pilot, "state fileflow prod")
        await pilot.pause(4)
        await pilot.press("j")
        await pilot.pause(1)
        picture("state")
        await pilot.press("escape")
        if has_provider():
            await deploy(pilot, journal, gate)
            picture("plan")


async def go(pilot: Pilot[Any], where: str) -> None:
    await pilot.press("colon", *where, "enter")
    await pilot.pause(2)


async def deploy(pilot: Pilot[Any], journal: Journal, gate: Callable[[], str]) -> None:
    """To the gate of a deploy that changes something, and to its plan."""
    board = pilot.app.screen
    assert isinstance(board, BoardScreen)
    board.board.move_to("fileflow-dev")
    await pilot.press("D")
    await pilot.pause(2)
    await pilot.press(*load().tag("fileflow", "dev", 6), "enter")
    await until(pilot, lambda: gate() == "confirm", "the plan")
    await pilot.pause(1)
    await pilot.press("ctrl+o")
    await pilot.pause(4)


def has_provider() -> bool:
    """Plans of the world's code need the AWS provider: from a mirror that Terraform's CLI configuration names."""
    return bool(os.environ.get("INFRACONSOLE_PROVIDER_MIRROR"))


def spoil(region: str) -> None:
    """Two exports as a bad night leaves them."""
    access = ChangingAccess(region=region)
    access.change("ssm", "DeleteParameter", Name="/shared/ecr/authhub-repository-url")
    wrong = {"Name": "/shared/rds/staging/endpoint", "Value": "staging-shared-mysql-old.example.com:3306"}
    access.change("ssm", "PutParameter", **wrong, Type="String", Overwrite=True)


def with_mirror(folder: Path) -> None:
    """A CLI configuration of our own: the user's is neither read nor written."""
    mirror = os.environ.get("INFRACONSOLE_PROVIDER_MIRROR")
    if mirror:
        file = folder / "terraform.tfrc"
        file.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
        os.environ["TF_CLI_CONFIG_FILE"] = str(file)


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [(int(size.split("x")[0]), int(size.split("x")[1])) for size in arguments[1:]] or SIZES
    os.environ.pop("NO_COLOR", None)
    for size in sizes:
        with tempfile.TemporaryDirectory() as root:
            world = process.start(Path(root), "bad-image", 20.0)
            world.apply()
            with_mirror(Path(root))
            spoil(world.region)
            try:
                with Journal(config.state_folder()) as journal:
                    asyncio.run(walk(folder, size, journal))
            finally:
                world.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
