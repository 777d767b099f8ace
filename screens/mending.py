"""The runs that the palette offers beside the keys: what mends a state, and all modules of the infrastructure in order.

They are needed seldom, and at night; nobody should have to remember their names. Nothing is changed by beginning one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual.message import Message

from infraconsole.screens import deploying
from infraconsole.screens.places import StartInOrder, StartRun

if TYPE_CHECKING:
    from infraconsole.screens.console_screen import ConsoleScreen

_OF_A_STATE = (
    (
        "digest-repair",
        "Repair the digest of the state",
        "Where Terraform says that it does not have the expected content",
    ),
    ("state-undelete", "Bring back a deleted or broken state", "Takes away what lies on the last whole version"),
    ("state-unlock", "Release the state's lock", "Where its holder is gone"),
    ("state-recover", "Recover errored.tfstate", "Pushes or dismisses what an apply could not store"),
    ("strays-dismiss", "Dismiss what is in no state", "Shows what applies made and no state has"),
)
_ASKS = "looks first, and asks before anything changes"


def offered(screen: ConsoleScreen, modules: Sequence[str]) -> Iterator[tuple[str, str, Message]]:
    """Name, what it is for, and the message that begins it, of what the screen is about; `modules` are the infrastructure's."""
    config, band = screen.desk.config, screen.band
    service, environment = band.service, band.environment
    if config.read_only or environment not in config.environments:
        return
    if service in config.services or service in modules:
        for runbook, name, told in _OF_A_STATE:
            if deploying.offers(runbook):
                yield f"{name}: {service} {environment}", f"{told}; {_ASKS}", StartRun(runbook, service, environment)
    if modules and deploying.offers("deploy"):
        wishes = [StartRun("deploy", module, environment) for module in modules]
        told = f"{len(modules)} runs, one after the other, from {modules[0]} to {modules[-1]}; each {_ASKS}; "
        told += "those that serve all environments by the rules of prod"
        yield f"Deploy all infrastructure modules in order: {environment}", told, StartInOrder(wishes)
