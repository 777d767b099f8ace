"""What every screen is given: the settings, the journal, the loaders, who the operator is. No Textual, no globals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from infraconsole import clock
from infraconsole.screens.looking import Looking

if TYPE_CHECKING:
    from infraconsole.config import Config
    from infraconsole.engine.journal import Journal
    from infraconsole.overview import Overview


@dataclass(frozen=True)
class Scene:
    """A situation that the embedded world can be put into."""

    name: str
    title: str
    summary: str


@dataclass(frozen=True)
class Scenes:
    """What the embedded world can be asked for; `change` takes a scene's name and blocks. Raises InfraconsoleError."""

    all: tuple[Scene, ...] = ()
    change: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Desk:
    """`config` is what the screens look with; runs go by `own`, which is as it was read."""

    config: Config
    journal: Journal
    overview: Overview
    operator: str
    world: str | None = None
    scenes: Scenes = field(default_factory=Scenes)
    now: Callable[[], datetime] = field(default=clock.now)
    looking: Looking = field(default_factory=Looking)
    configured: Config | None = None
    """Where `looking` overrides something: the configuration as it was read."""

    @property
    def own(self) -> Config:
        return self.configured or self.config

    def region_of(self, environment: str) -> str:
        """The environment's region; "" where none is set, which the loads then say in full."""
        from infraconsole.errors import ConfigError

        try:
            return self.config.region_of(environment)
        except ConfigError:
            return ""

    def is_prod(self, environment: str) -> bool:
        return self.config.environment(environment).is_prod
