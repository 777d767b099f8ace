"""From places to screens, and from wishes to runs: the one module that knows all screens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from textual.screen import Screen

from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.places import LOGS, SCREENS, Place, ResumeRun, StartRun


def screen_for(desk: Desk, place: Place) -> ConsoleScreen:
    screen = _screen_for(desk, place)
    screen.came_by = place
    return screen


def here(stack: Sequence[Screen[Any]]) -> Place | None:
    """Where one is now: as the screen was opened, but of the service and environment that it is at by now. None on the board."""
    known = (screen for screen in reversed(stack) if isinstance(screen, ConsoleScreen) and screen.came_by)
    screen = next(known, None)
    if screen is None or screen.came_by is None:
        return None
    place, band = screen.came_by, screen.band
    return replace(
        place,
        service=(place.service and band.service) or place.service,
        environment=(place.environment and band.environment) or place.environment,
        detail="" if place.screen == LOGS else place.detail,  # the task is of what was looked at before
    )


def _screen_for(desk: Desk, place: Place) -> ConsoleScreen:
    # Imported when they are first opened, so that the board is painted without waiting for them.
    match place.screen:
        case "containers":
            from infraconsole.screens.containers import ContainersScreen

            return ContainersScreen(desk, place.service, place.environment)
        case "logs":
            from infraconsole.screens.logs import LogsScreen

            return LogsScreen(desk, place.service, place.environment, place.detail)
        case "run":
            from infraconsole.screens.run import RunScreen

            return RunScreen(desk, place.run)
        case "exports":
            from infraconsole.screens.exports import ExportsScreen

            return ExportsScreen(desk, place.environment)
        case "export":
            from infraconsole.screens.exports import ExportScreen

            return ExportScreen(desk, place.environment, place.detail)
        case "plan":
            from infraconsole.screens.plan.screen import PlanScreen

            return PlanScreen(desk, place.run)
        case "state":
            from infraconsole.screens.state import StateScreen

            return StateScreen(desk, place.service, place.environment)
        case "environments":
            from infraconsole.screens.environments import EnvironmentsScreen

            return EnvironmentsScreen(desk, place.service)
        case "journal":
            from infraconsole.screens.journal import JournalScreen

            return JournalScreen(desk)
    raise ValueError(f"no screen {place.screen}; there are {', '.join(SCREENS)}")


def begin(desk: Desk, wish: StartRun) -> str:
    """The new run's id. Blocks: for a thread. Raises InfraconsoleError."""
    from infraconsole.engine import launch
    from infraconsole.engine.catalogue import runbook

    return launch.begin(
        desk.journal,
        runbook(wish.runbook),
        desk.own,
        service=wish.service,
        environment=wish.environment,
        inputs=dict(wish.inputs),
        interactive=True,
        operator=desk.operator,
        profile=desk.looking.profile,
        region=desk.looking.region,
    )


def resume(desk: Desk, wish: ResumeRun) -> str:
    """The run's id. Blocks: for a thread. Raises InfraconsoleError."""
    from infraconsole.engine import launch

    launch.resume(desk.journal, wish.run, desk.own, interactive=True)
    return wish.run
