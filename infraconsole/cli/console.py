"""The full-screen console, put together: configuration, journal, AWS access and operator are handed in from here."""

from __future__ import annotations

import asyncio
import gc
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from infraconsole import config
from infraconsole.cli import ending
from infraconsole.errors import UsageError

if TYPE_CHECKING:
    from infraconsole.app import ConsoleApp
    from infraconsole.aws.access import AwsAccess
    from infraconsole.screens.desk import Scenes


def console(*, start_run: str | None = None, world: str | None = None, scenes: Scenes | None = None) -> int:
    """Returns when the person quits, or the console was told to end (`ending`). Raises UsageError without a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The console needs a terminal.",
            cause="Standard input or output is not one.",
            mend="In a script: infraconsole run, attach --json, journal --json.",
        )
    # Nothing of what is made on the way to the first frame can be thrown away: the app collects again once it stands.
    gc.disable()
    from infraconsole.app import ConsoleApp
    from infraconsole.engine.journal import Journal

    settings = config.load()
    for environment in settings.environments:
        settings.region_of(environment)

    def access_with(looked_with: config.Config) -> Callable[[str], AwsAccess]:
        def access_for(environment: str) -> AwsAccess:
            from infraconsole.aws.access import ViewingAccess  # after the first paint

            profile = looked_with.environment(environment).profile
            return ViewingAccess(region=looked_with.region_of(environment), profile=profile)

        return access_for

    with Journal(config.state_folder()) as journal:
        app = ConsoleApp(
            settings,
            journal,
            access_with(settings),
            config.operator_name(settings),
            world=world,
            scenes=scenes,
            access_with=access_with,
            start_run=journal.resolve(start_run) if start_run else None,
        )
        asyncio.run(_run(app))
        return int(app.return_code or 0)


async def _run(app: ConsoleApp) -> None:
    with ending.watched(app.leave):
        # The size as Textual's driver tells it later: its first frame would be drawn for another one where it is not known.
        await app.run_async(size=shutil.get_terminal_size())
