"""The profiles and regions that can be chosen, as rows of a list and as names to type. Blocks: for threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from infraconsole.errors import ConfigError
from infraconsole.screens.looking import CONFIGURED, Looking
from infraconsole.screens.places import Names
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import DIM, STRONG

if TYPE_CHECKING:
    from infraconsole.config import Config

PROFILE_COLUMNS = (
    Column("mark", "", 1),
    Column("name", "profile (configured for)", 24, stretch=True),
    Column("account", "account", 12),
    Column("role", "role", 14, rank=1, stretch=True),
    Column("how", "credentials", 16, rank=2, stretch=True),
)
REGION_COLUMNS = (
    Column("mark", "", 1),
    Column("name", "region (configured for)", 24, stretch=True),
    Column("where", "where", 28, rank=1, stretch=True),
)


def near(config: Config) -> str:
    """A region of the partition that the configuration is in."""
    return next((region for name in config.environments if (region := config.known_region(name))), "")


def names_known(config: Config) -> Names:
    from infraconsole.aws import profiles, regions

    codes = tuple(region.code for region in regions.known(near(config)))
    try:
        return Names(tuple(profile.name for profile in profiles.known()), codes)
    except ConfigError:
        return Names(None, codes)


def profile_rows(config: Config, looking: Looking) -> tuple[Row, ...]:
    """`config` is the one as it was read. Raises ConfigError where the files cannot be read."""
    from infraconsole.aws import profiles

    rows = [_configured(looking.profile)]
    for profile in profiles.known():
        used = [name for name, each in config.environments.items() if profiles.effective(each.profile) == profile.name]
        rows.append(
            Row(
                profile.name,
                {
                    "mark": _mark(profile.name == looking.profile),
                    "name": _name(profile.name, used, looking.profile),
                    "account": Cell(profile.account or "-"),
                    "role": Cell(profile.role or "-"),
                    "how": Cell(profile.how or "not said", DIM),
                },
                more=profile.region,
            )
        )
    return tuple(rows)


def region_rows(config: Config, looking: Looking) -> tuple[Row, ...]:
    from infraconsole.aws import regions

    rows = [_configured(looking.region)]
    for region in regions.known(near(config)):
        used = [name for name in config.environments if config.known_region(name) == region.code]
        rows.append(
            Row(
                region.code,
                {
                    "mark": _mark(region.code == looking.region),
                    "name": _name(region.code, used, looking.region),
                    "where": Cell(region.name, DIM),
                },
            )
        )
    return tuple(rows)


def _configured(chosen: str) -> Row:
    return Row(CONFIGURED, {"mark": _mark(not chosen), "name": Cell("as configured", "" if chosen else STRONG)})


def _name(name: str, used: Sequence[str], chosen: str) -> Cell:
    """With the environments that have it in the configuration."""
    return Cell(f"{name} ({', '.join(used)})" if used else name, STRONG if name == chosen else "")


def _mark(chosen: bool) -> Cell:
    return Cell("•" if chosen else "", STRONG, searched=False)
