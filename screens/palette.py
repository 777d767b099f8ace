"""The command palette: every key of the screen one is on, what has no key, every place one can go to, the embedded
world's scenarios, every theme."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider

from infraconsole.screens import deploying, mending
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.help import is_command, key_name, weight
from infraconsole.screens.places import ChangeScene, GoTo, known_places, parse
from infraconsole.screens.settling import Settling
from infraconsole.screens.threads import in_thread

if TYPE_CHECKING:
    from infraconsole.screens.desk import Desk


class Palette(Settling, CommandPalette):
    """Textual's own, as it is."""


Command = tuple[str, str, Callable[[], object]]


class Commands(Provider):
    """What can be done now: greyed-out keys are left out."""

    async def startup(self) -> None:
        self._places: tuple[Command, ...] = ()
        self._runs: tuple[Command, ...] = ()
        self._scenes: tuple[Command, ...] = ()
        screen = self.screen
        if isinstance(screen, ConsoleScreen):
            desk = screen.desk
            deploying.learn_runbooks(screen)
            runs, modules = await in_thread(lambda: (desk.journal.run_ids(), desk.config.modules()), "places")
            self._places = tuple(self._place_commands(screen, desk, runs[:50], modules))
            found = mending.offered(screen, modules)
            self._runs = tuple((name, told, partial(screen.post_message, begins)) for name, told, begins in found)
            self._scenes = tuple(
                (f"Scenario {scene.name}: {scene.title}", scene.summary, partial(self._change, screen, scene.name))
                for scene in desk.scenes.all
            )
        self._of_the_app = tuple(
            (command.title, command.help, command.callback) for command in self.app.get_system_commands(screen)
        )

    @staticmethod
    def _change(screen: ConsoleScreen, name: str) -> None:
        screen.post_message(ChangeScene(name))

    def _place_commands(
        self, screen: ConsoleScreen, desk: Desk, runs: Sequence[str], modules: Sequence[str]
    ) -> Iterable[Command]:
        for words in known_places(desk.config, runs, modules):
            place = parse(words, desk.config, runs, modules)
            yield f"Go to {words}", f"As :{words}", partial(screen.post_message, GoTo(place))

    def _key_commands(self) -> Iterable[Command]:
        seen: set[str] = set()
        found = (active for active in self.screen.active_bindings.values() if is_command(active.binding))
        for node, binding, enabled, tooltip in sorted(found, key=lambda active: weight(active.binding)):
            if not enabled or binding.id is None or binding.action in seen or not binding.description:
                continue
            seen.add(binding.action)
            run = partial(self.app.run_action, binding.action, node)
            yield f"{binding.description} ({key_name(binding.key)})", tooltip or binding.tooltip, run

    async def discover(self) -> Hits:
        least = (*self._scenes, *self._of_the_app)
        for name, told, run in (*self._key_commands(), *self._runs, *self._places[:2], *least):
            yield DiscoveryHit(name, run, help=told or None)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        every = (*self._key_commands(), *self._runs, *self._places, *self._scenes, *self._of_the_app)
        for name, told, run in every:
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, help=told or None)
