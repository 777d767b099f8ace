"""The embedded world from the command line: with the console on it, or by itself."""

from __future__ import annotations

import itertools

from infraconsole import config
from infraconsole.cli.console import console
from infraconsole.cli.output import program, tell
from infraconsole.errors import UnknownName, UsageError
from infraconsole.world import process
from infraconsole.world.process import World
from infraconsole.world.scenarios import DEFAULT, SCENARIOS

_FACTOR = 4.0
"""World seconds per second: a rollout of some minutes takes half a minute."""


def demo(action: str, *, fresh: bool, scenario: str | None, factor: float | None) -> int:
    if scenario is not None and scenario not in SCENARIOS:
        raise UnknownName("scenario", scenario, SCENARIOS)
    if factor is not None and not 0.1 <= factor <= 10_000:
        raise UsageError(f"A factor of {factor:g} is not possible.", mend="Give one from 0.1 to 10000.")
    folder = process.default_directory()
    match action:
        case "down":
            tell("The world is down." if process.stop(folder) else "No world is up.")
            return 0
        case "env":
            program(_running().shell_exports())
            return 0
        case "renew":
            _running().renew()
            tell("The world gave out new credentials.")
            return 0
    if fresh:
        process.stop(folder)
    world = process.running(folder)
    if world is not None and (scenario not in (None, world.scenario) or factor is not None):
        raise UsageError(
            f"A world is up already: {world.scenario}.", mend="End it first with --fresh or `infraconsole demo down`."
        )
    if action == "up":
        world = world or _new_world(scenario or DEFAULT, factor or _FACTOR, linger=True)
        tell(f"The world is up: {world.scenario}, {world.endpoint}")
        tell(f'Use it in a shell: eval "$({world.call("demo", "env")})"')
        return 0
    return _with_console(world, scenario or DEFAULT, factor or _FACTOR)


def _with_console(world: World | None, scenario: str, factor: float) -> int:
    """A world that was up before stays up; one that was started here ends with the console, or when its runs need it no
    more."""
    ours = None
    if world is None:
        tell("Starting the world…")
        world = ours = _new_world(scenario, factor, linger=False)
    world.apply()
    try:
        code = console(world=world.scenario)
    except BaseException:
        if ours is not None:
            ours.stop()
        raise
    if ours is not None:
        runs = process.resumable_runs(config.state_folder())
        ours.linger()
        if runs:
            minutes = process.LINGER_SECONDS / 60
            stays = f"The world stays up for {', '.join(runs)}, at most {minutes:.0f} minutes."
            tell(f"{stays} End it: {ours.call('demo', 'down')}")
    return code


def _new_world(scenario: str, factor: float, *, linger: bool) -> World:
    """A world with a journal of its own: what earlier worlds' journals tell of is gone with them, so they are put aside."""
    folder = process.default_directory()
    state = folder / "state"
    if state.exists():
        aside = next(path for number in itertools.count(1) if not (path := folder / f"state.{number}").exists())
        state.rename(aside)
    return process.start(folder, scenario, factor, linger)


def _running() -> World:
    world = process.running(process.default_directory())
    if world is None:
        raise UsageError("No world is up.", mend="Start one: infraconsole demo up")
    return world
