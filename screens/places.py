"""Where one can go, how it is typed after `:`, and the messages by which screens ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual.message import Message

from infraconsole.errors import InfraconsoleError, UnknownName, UsageError
from infraconsole.screens.looking import CONFIGURED, PROFILE, REGION

if TYPE_CHECKING:
    from infraconsole.config import Config

BOARD, CONTAINERS, LOGS, RUN, JOURNAL = "board", "containers", "logs", "run", "journal"
EXPORTS, EXPORT = "exports", "export"
PLAN, STATE, ENVIRONMENTS = "plan", "state", "environments"
QUIT = "quit"
_QUIT_WORDS = frozenset((QUIT, "q", "q!", "quit!", "qa", "qa!", "wq", "x", "exit"))
"""As k9s and vi have them. Nothing is unsaved here, so that they all mean the same, and all ask where runs go on."""
ALL = "all"
LOGIN = "login"
OF_CREDENTIALS = (PROFILE, REGION, LOGIN)
"""No screens of a service: what one looks with, and getting credentials for it."""
SCREENS = (BOARD, CONTAINERS, LOGS, STATE, ENVIRONMENTS, EXPORTS, JOURNAL, RUN, PLAN)


@dataclass(frozen=True)
class Names:
    """What can be named that no configuration of ours knows: profiles and regions. `profiles` None: they could not be read."""

    profiles: Sequence[str] | None = ()
    regions: Sequence[str] = ()


@dataclass(frozen=True)
class Place:
    """A screen and what it is about. `detail` is the task of a log, "" for all of the service, or an export's full name, or
    what the board shows: an environment or `all`, "" for what it shows already; or a profile's or region's name."""

    screen: str
    service: str = ""
    environment: str = ""
    run: str = ""
    detail: str = ""


_NOBODY = Names()


class GoTo(Message):
    """Somebody wants to be somewhere else. `replace` leaves the present screen first."""

    def __init__(self, place: Place, *, replace: bool = False) -> None:
        super().__init__()
        self.place = place
        self.replace = replace


@dataclass
class StartRun(Message):
    """Somebody wants a run begun; its gates ask before anything changes."""

    runbook: str
    service: str
    environment: str
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass
class StartInOrder(Message):
    """Somebody wants these runs, each once the one before is done."""

    wishes: Sequence[StartRun]


@dataclass
class LogIn(Message):
    """Somebody wants new credentials for a profile, None for what is used where none is configured. `named`: its name was typed."""

    profile: str | None
    named: bool = False


@dataclass
class ResumeRun(Message):
    run: str


@dataclass
class Copied(Message):
    """Something was sent to the terminal's clipboard."""

    name: str


@dataclass
class ShowPlainly(Message):
    """Somebody wants a text without anything around it, to select it with the mouse."""

    name: str
    content: str


@dataclass
class ChangeScene(Message):
    """Somebody wants the embedded world to be in another situation."""

    name: str


class Failed(Message):
    """Something that was asked for could not be done."""

    def __init__(self, error: InfraconsoleError) -> None:
        super().__init__()
        self.error = error


def parse(
    words: str, config: Config, runs: Iterable[str] = (), modules: Iterable[str] = (), names: Names = _NOBODY
) -> Place:
    """The place that was typed: `fileflow prod`, `containers fileflow prod`, `journal`, `run k3m9`. Raises UsageError.

    `modules` are those of the infrastructure, which have a state and no containers.
    """
    parts = words.replace(":", " ").split()
    if not parts:
        raise UsageError("Where to?", mend="For example: fileflow prod, journal, board.")
    head, rest = parts[0].lower(), parts[1:]
    if is_of_credentials(words, config):
        return Place(head, detail=_named(head, _after(words, parts[0]), names))
    if head in _QUIT_WORDS and not rest and head not in config.services:
        return Place(QUIT)
    if not rest and parts[0] not in config.services and parts[0] in (ALL, *config.environments):
        return Place(BOARD, detail=parts[0])
    if head == BOARD and rest:
        return Place(BOARD, detail=ALL if rest == [ALL] else _one_environment(rest, config))
    if head in (BOARD, JOURNAL):
        if rest:
            raise UsageError(f"{head} takes nothing after it.", cause=f"Found {' '.join(rest)!r}.")
        return Place(head)
    if head in (RUN, PLAN):
        return Place(head, run=_run(rest, runs))
    if head == ENVIRONMENTS:
        return Place(ENVIRONMENTS, _one_service(rest, config))
    if head == EXPORTS or head.startswith(f"{config.export_root}/"):
        return _of_exports(rest if head == EXPORTS else parts, config)
    if head == STATE:
        return _of_state(rest, config, tuple(modules))
    screen = head if head in (CONTAINERS, LOGS) else CONTAINERS
    return _of_service(screen, rest if head == screen else parts, config)


def is_of_credentials(words: str, config: Config) -> bool:
    """Whether that is `:profile`, `:region` or `:login`. A service of that name goes first."""
    head = next(iter(words.replace(":", " ").lower().split()), "")
    return head in OF_CREDENTIALS and head not in config.services


def _after(words: str, head: str) -> str:
    """As it was typed: the name of a profile may hold blanks and colons."""
    return words.partition(head)[2].lstrip(" :").rstrip()


def _named(head: str, name: str, names: Names) -> str:
    """Raises UnknownName; where profiles could not be read, the next step says why."""
    known = names.regions if head == REGION else names.profiles
    if name and name != CONFIGURED and known is not None and name not in known:
        raise UnknownName("AWS region" if head == REGION else "AWS profile", name, known)
    return name


def _of_state(words: list[str], config: Config, modules: Sequence[str]) -> Place:
    """Of a service, or of an infrastructure module; one that all environments stand on is where its rules come from."""
    if not words or words[0] in config.services or words[0] not in modules:
        return _of_service(STATE, words, config, modules)
    environment = config.environment(words[1]).name if len(words) > 1 else usual_environment(config)
    there = config.environments_of(words[0])
    return Place(STATE, words[0], environment if environment in there else there[0])


def _of_exports(words: list[str], config: Config) -> Place:
    """`exports`, `exports prod`, `exports prod /shared/network/vpc-id`; without an environment it is prod's account."""
    names = [word for word in words if word.startswith("/")]
    others = [word for word in words if not word.startswith("/")]
    if len(names) > 1 or len(others) > 1:
        raise UsageError("exports takes an environment and a name.", cause=f"Found {' '.join(words)!r}.")
    environment = config.environment(others[0]).name if others else usual_environment(config)
    if names:
        return Place(EXPORT, environment=environment, detail=names[0])
    return Place(EXPORTS, environment=environment)


def usual_environment(config: Config) -> str:
    environments = list(config.environments)
    return next((name for name in environments if config.environment(name).is_prod), environments[0])


def _run(rest: list[str], runs: Iterable[str]) -> str:
    known = list(runs)
    named = rest[0] if rest else ""
    found = [run for run in known if run == named] or [run for run in known if named and run.startswith(named)]
    if len(found) != 1:
        raise UnknownName("run", named, known, mend="The journal lists the runs: journal")
    return found[0]


def _one_environment(words: list[str], config: Config) -> str:
    if len(words) > 1:
        raise UsageError("board takes an environment.", cause=f"Found {' '.join(words)!r}.")
    return config.environment(words[0]).name


def _one_service(words: list[str], config: Config) -> str:
    if len(words) > 1:
        raise UsageError("environments takes a service.", cause=f"Found {' '.join(words)!r}.")
    return config.service(words[0]).name if words else config.service(next(iter(config.services), "")).name


def _of_service(screen: str, words: list[str], config: Config, modules: Sequence[str] = ()) -> Place:
    if len(words) == 1 and words[0] not in config.services:
        words = [*_split(words[0], config)]
    if not words:
        raise UsageError(f"{screen} of which service?", mend=f"For example: {screen} {_example(config)}")
    if words[0] not in config.services and words[0] not in SCREENS:
        what = "service or module" if modules else "screen or service"
        raise UnknownName(what, words[0], [*(modules or SCREENS), *config.services])
    service = config.service(words[0]).name
    if len(words) == 1:
        return Place(screen, service, usual_environment(config))
    return Place(screen, service, config.environment(words[1]).name)


def _split(word: str, config: Config) -> list[str]:
    """`fileflow-prod` as `fileflow prod`, where both are known."""
    for environment in config.environments:
        service = word.removesuffix(f"-{environment}")
        if service != word and service in config.services:
            return [service, environment]
    return [word]


def _example(config: Config) -> str:
    return f"{next(iter(config.services), 'fileflow')} {next(iter(config.environments), 'prod')}"


def known_places(
    config: Config, runs: Iterable[str] = (), modules: Iterable[str] = (), names: Names = _NOBODY
) -> tuple[str, ...]:
    """Everything that can be typed after `:`, for completion and for the palette; `modules` as for `parse`."""
    of_modules = [
        f"{STATE} {module} {environment}"
        for module in modules
        if module not in config.services
        for environment in config.environments_of(module)
    ]
    of_credentials = (
        *OF_CREDENTIALS,
        *(f"{PROFILE} {name}" for name in names.profiles or ()),
        *(f"{REGION} {code}" for code in names.regions),
        *(f"{LOGIN} {name}" for name in names.profiles or ()),
    )
    targets = [f"{service} {environment}" for service in config.services for environment in config.environments]
    return (
        BOARD,
        JOURNAL,
        EXPORTS,
        *(f"{BOARD} {environment}" for environment in (ALL, *config.environments)),
        *targets,
        *(f"{CONTAINERS} {target}" for target in targets),
        *(f"{LOGS} {target}" for target in targets),
        *(f"{STATE} {target}" for target in targets),
        *of_modules,
        *(f"{ENVIRONMENTS} {service}" for service in config.services),
        *(f"{EXPORTS} {environment}" for environment in config.environments),
        *(f"{RUN} {run}" for run in runs),
        *(f"{PLAN} {run}" for run in runs),
        *(words for words in of_credentials if is_of_credentials(words, config)),
    )
