"""Which lock protects the state of a target: what the settings, the code and its newest `init` say of it, put together in one
place for runbooks, doctor and board."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infraconsole import config as settings
from infraconsole import naming
from infraconsole.checks.findings import Finding
from infraconsole.config import Config
from infraconsole.errors import InfraconsoleError, PrerequisiteMissing
from infraconsole.terraform import backend, binary, locking
from infraconsole.terraform.backend import Found, S3Backend
from infraconsole.terraform.declared import declared_in
from infraconsole.terraform.locking import UNLOCKED, Lock, LockSettings, Protection


@dataclass(frozen=True)
class Backing:
    """Where a root's state is to be and how it is to be locked. `wanted` has its lock decided, None where the settings name no
    bucket; `declared` is the backend that the code names, None where that is not known."""

    folder: Path
    data: Path
    settings: LockSettings
    wanted: S3Backend | None
    declared: Found | None
    version: tuple[int, ...]

    @property
    def init_arguments(self) -> tuple[str, ...]:
        if self.wanted is not None:
            return self.wanted.arguments(self.version)
        return locking.arguments_beside(self.settings, self.declared, self.version)

    @property
    def protection(self) -> Protection:
        return locking.protection(self.settings, self.wanted, self.declared, self.version, self._told())

    def _told(self) -> Found | None:
        """What `init` has set up, where it has not to run again before the next command."""
        found = self._found()
        if found is None or backend.why_init(self.folder, self.data, self.init_arguments):
            return None
        return found

    def _found(self) -> Found | None:
        try:
            return backend.found_in(self.data)
        except InfraconsoleError:
            return None


def backing(
    config: Config,
    service: str,
    environment: str,
    environ: Mapping[str, str],
    version: Sequence[int],
) -> Backing:
    """Of a service, or of an infrastructure module; `environment` is "" for one that serves all. `environ` is Terraform's,
    `version` () where there is none. Raises UnknownName, ConfigError, PrerequisiteMissing."""
    is_module = config.is_module(service)
    ruling = environment or config.guarding_environment()
    target = config.target(service, ruling)
    folder = config.root_of(target)
    of = backend.of_module if is_module else backend.of_service
    about = config.environment(target.environment)
    place = of(config, service, environment, environ)
    declared = declared_in(folder, tofu=binary.reads_tofu(config.program_of(service), environ))
    return Backing(
        folder,
        backend.data_dir(settings.state_folder(), folder, environment),
        LockSettings(about.use_lockfile, about.lock_table, f"[environments.{about.name}]"),
        locking.with_default(place, declared, version) if place else None,
        declared,
        tuple(version),
    )


def of_view(
    config: Config, service: str, environment: str, environ: Mapping[str, str], version: Sequence[int]
) -> Protection:
    """As far as it can be told without running anything, also where the code is not at hand."""
    shared = config.is_module(service) and not config.has_environments(service)
    about = config.environment(config.target(service, environment).environment)
    named = LockSettings(about.use_lockfile, about.lock_table, f"[environments.{about.name}]")
    of = backend.of_module if config.is_module(service) else backend.of_service
    try:
        found = backing(config, service, "" if shared else environment, environ, version)
        if found.declared is not None and not shared and not _has_variables(config, service, environment):
            return Protection(Lock.UNKNOWN, "It has no variables for this environment.")
        return found.protection
    except PrerequisiteMissing:
        wanted = of(config, service, "" if shared else environment, environ)
        return locking.protection(named, wanted, None, version)


def roots(config: Config) -> Iterator[tuple[str, str]]:
    """Every root whose code is at hand, as service or module and environment, "" for a module that serves all."""
    for name in (*config.services, *(module for module in config.modules() if config.is_module(module))):
        shared = config.is_module(name) and not config.has_environments(name)
        for environment in [""] if shared else config.environments:
            if shared or _has_variables(config, name, environment):
                yield name, environment


def _has_variables(config: Config, name: str, environment: str) -> bool:
    """Whether it is deployed to that environment at all, as far as the code at hand tells."""
    path = config.infrastructure / name if config.infrastructure and config.is_module(name) else None
    folder = path or (config.service(name).path if name in config.services else None)
    return folder is not None and (folder / naming.tfvars_path(environment)).is_file()


def findings(
    config: Config, environ: Mapping[str, str], version_of: Callable[[str], Sequence[int]]
) -> Iterator[Finding]:
    """An error for each state without a lock, a warning for each of which it is not known; the others in one line. `version_of`
    says which version of Terraform works for a service or module, () where there is none."""
    locked: list[str] = []
    for service, environment in roots(config):
        name = f"{service} {environment}".strip()
        try:
            found = backing(config, service, environment, environ, version_of(service)).protection
        except InfraconsoleError as error:
            found = Protection(Lock.UNKNOWN, error.title, error.mend)
        file = str(config.file) if config.file else None
        if found.is_missing:
            mend = f"{found.mend} {found.rights}".strip()
            yield Finding("state-unlocked", "error", name, f"{UNLOCKED} {found.why}", mend, file=file)
        elif found.lock is Lock.UNKNOWN:
            message = f"Whether a lock protects its state is not known. {found.why}"
            yield Finding("state-lock-unknown", "warning", name, message, found.mend)
        else:
            locked.append(f"{name} ({found.lock.value})")
    if locked:
        yield Finding("state-locks", "info", "state locks", f"Locked: {', '.join(locked)}.")
