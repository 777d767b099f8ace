"""The embedded world from the command line: with the console on it, or by itself."""

from __future__ import annotations

import itertools
import textwrap

from infraconsole import config
from infraconsole.cli.console import console
from infraconsole.cli.ending import FIRST_SIGNAL_CODE
from infraconsole.cli.output import program, tell
from infraconsole.errors import UnknownName, UsageError
from infraconsole.screens.desk import Scene, Scenes
from infraconsole.world import folder, process
from infraconsole.world.process import World
from infraconsole.world.scenarios import DEFAULT, SCENARIOS

_FACTOR = 4.0
"""World seconds per second: a rollout of some minutes takes half a minute."""


def demo(action: str, *, fresh: bool, scenario: str | None, factor: float | None) -> int:
    if scenario is not None and scenario not in SCENARIOS:
        raise UnknownName("scenario", scenario, SCENARIOS)
    if factor is not None and not 0.1 <= factor <= 10_000:
        raise UsageError(f"A factor of {factor:g} is not possible.", mend="Give one from 0.1 to 10000.")
    root = process.default_directory()
    match action:
        case "down":
            tell("The world is down." if process.stop(root) else "No world is up.")
            return 0
        case "env":
            program(_running().shell_exports())
            return 0
        case "renew":
            _running().renew()
            tell("The world gave out new credentials.")
            return 0
    if fresh:
        process.stop(root)
    world = process.running(root)
    if world is not None and (scenario not in (None, world.scenario) or factor is not None):
        raise UsageError(
            f"A world is up already: {world.scenario}.",
            mend="End it first with --fresh or `infraconsole demo down`; the palette (ctrl+p) changes its scenario.",
        )
    if action == "up":
        world = world or _new_world(scenario or DEFAULT, factor or _FACTOR, linger=True)
        tell(f"The world is up: {world.scenario}, {world.endpoint}")
        tell(f'Use it in a shell: eval "$({world.call("demo", "env")})"')
        return 0
    return _with_console(world, scenario or DEFAULT, factor or _FACTOR)


def _with_console(world: World | None, scenario: str, factor: float) -> int:
    """A world that was up before stays up. One that was started here ends with the console, when its runs need it no more; where
    the console is killed, or its terminal goes away, world and runs stay for the next `demo`."""
    if world is not None:
        tell(f"This world is up: {world.scenario}. {_going_on()}".rstrip())
        code = _console_on(world)
        if code < FIRST_SIGNAL_CODE:
            tell(f"The world stays up. End it: {world.call('demo', 'down')}")
        return code
    tell("Starting the world…")
    ours = _new_world(scenario, factor, linger=False)
    try:
        ours.outlive()
        code = _console_on(ours)
        if code < FIRST_SIGNAL_CODE:
            _leave(ours)
        return code
    except BaseException:
        _abandon(ours)
        raise


def _console_on(world: World) -> int:
    world.apply()
    return console(world=world.scenario, scenes=scenes(world))


def _leave(ours: World) -> None:
    runs = process.resumable_runs(config.state_folder())
    ours.linger()
    if runs:
        minutes = process.LINGER_SECONDS / 60
        tell(
            f"The world stays up for {', '.join(runs)}: while a run is under way, and {minutes:.0f} minutes for one that"
        )
        tell(f"can be resumed. Back to it: {ours.call('demo')}; end it: {ours.call('demo', 'down')}")


def _abandon(ours: World) -> None:
    """The console has failed, so nobody ends this world later. Runs under way do not fail with it."""
    if process.resumable_runs(ours.dir / folder.STATE):
        ours.linger()
    else:
        ours.stop()


def _going_on() -> str:
    runs = process.resumable_runs(process.default_directory() / folder.STATE)
    return f"Not over yet: {', '.join(runs)}." if runs else ""


def scenes(world: World) -> Scenes:
    return Scenes(
        tuple(Scene(one.name, one.title, one.summary) for one in SCENARIOS.values()), change=world.change_scenario
    )


def scenarios_told() -> str:
    """For `demo --help`: each with a sentence."""
    width = max(map(len, SCENARIOS))
    lines = [
        textwrap.fill(
            scenario.summary,
            100,
            initial_indent=f"  {scenario.name:<{width}}  ",
            subsequent_indent=" " * (width + 4),
        )
        for scenario in SCENARIOS.values()
    ]
    return "\n".join([f"scenarios (--scenario, {DEFAULT} unless given):", *lines])


def _new_world(scenario: str, factor: float, *, linger: bool) -> World:
    """A world with a journal of its own: what earlier worlds' journals tell of is gone with them, so they are put aside."""
    root = process.default_directory()
    state = root / folder.STATE
    if state.exists():
        aside = next(path for number in itertools.count(1) if not (path := root / f"state.{number}").exists())
        state.rename(aside)
    return process.start(root, scenario, factor, linger)


def _running() -> World:
    world = process.running(process.default_directory())
    if world is None:
        raise UsageError("No world is up.", mend="Start one: infraconsole demo up")
    return world
