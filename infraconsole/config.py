"""The settings: `infraconsole.toml`, read strictly. Every default follows the guide's names.

A wrong file is an error that names the file, the key, what was expected and what was found.
"""

from __future__ import annotations

import getpass
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infraconsole import clock, files, naming, text
from infraconsole.errors import ConfigError, PrerequisiteMissing, UnknownName
from infraconsole.target import Target
from infraconsole.window import Window

FILE_NAME = "infraconsole.toml"
CONFIG_VARIABLE = "INFRACONSOLE_CONFIG"
STATE_VARIABLE = "INFRACONSOLE_STATE"
_WEEK_MINUTES = 7 * 24 * 60.0
LEAST_SETTLE_SECONDS = 30.0
"""Against AWS."""
KEEP_FILES = ("delete", "encrypt", "keep")
UNPROTECTED = ("dev", "development", "staging", "stage", "test", "qa", "sandbox")
"""Environments, alone or with a hyphen behind, in which a change needs no more than a yes unless `protected` says so."""


@dataclass(frozen=True)
class EnvironmentSettings:
    """One environment. None means: not set, and what needs it says so."""

    name: str
    profile: str | None = None
    """AWS profile; None leaves the resolution to boto3."""
    region: str | None = None
    """None: the configuration's region, else the one of the AWS configuration."""
    account: str | None = None
    """Twelve digits; a run refuses to begin where the credentials belong to another account."""
    state_bucket: str | None = None
    state_key: str = naming.STATE_KEY
    use_lockfile: bool | None = None
    """None: on, where Terraform can (1.10 or newer) and neither lock_table nor the code's backend names another lock."""
    lock_table: str | None = None
    approvers: tuple[str, ...] = ()
    """Who must approve a deploy; the guide's, unless set."""
    rollback_approvers: tuple[str, ...] = ()
    """Second persons for rollbacks and failovers; nobody, unless set."""
    window: Window | None = None
    """When deploys may run; None is any time."""
    health_path: str = naming.HEALTH_PATH
    protected: bool | None = None
    """Whether changes need the typed name and a reason; None: unless the name says that it is for trying things out."""

    @property
    def is_prod(self) -> bool:
        """Whether it is guarded as prod is. A name that says nothing is taken for prod's."""
        if self.protected is not None:
            return self.protected
        return not any(self.name == known or self.name.startswith(f"{known}-") for known in UNPROTECTED)


@dataclass(frozen=True)
class ServiceSettings:
    name: str
    path: Path | None = None
    """The Terraform root of the application repository."""
    terraform: str | None = None
    """The program for this repository alone, as `binary` of [terraform]."""


@dataclass(frozen=True)
class EngineSettings:
    settle_seconds: float = 30.0
    """How long after an unanswered changing call AWS may still carry it out, or not show it; only then `not done` is believed.
    At least 30, except against an emulator on this machine."""
    visible_seconds: float = 300.0
    """How long a run looks again where AWS does not show yet what it was told, before it ends, resumable."""
    watch_minutes: float = 20.0
    """How long a rollout is watched before the step fails."""
    health_checks: int = 3
    """How many healthy answers in a row end a verification."""
    poll_seconds: float = 2.0
    """Between two looks at a rollout."""
    credentials_minutes: float = 60.0
    """How long a run waits for renewed credentials before it stops, resumable."""
    keep_files: str = "delete"
    """What becomes of plans and Terraform's records when a run is over: one of KEEP_FILES."""
    files_key: Path | None = None
    """The file with the key for "encrypt"; None: one of the user's configuration folder, made when it is needed."""


@dataclass(frozen=True)
class AwsSettings:
    calls_per_second: float = 5.0
    """What the console may send to one account and region by itself, to keep up to date what it shows."""


@dataclass(frozen=True)
class ExportSettings:
    """One `[[exports]]`: what an export has to look like, beyond the guide's table or in place of a line of it.

    None means: as the guide's line for that name says, else the default of the table. What the words may be is checked
    where they are understood, in checks/export_rules.py; `place` is how complaints call this table.
    """

    place: str
    name: str
    """Relative to the export root; {service} and {env} stand for any service and environment."""
    type: str | None = None
    shape: str | None = None
    points_at: str | None = None
    required: bool | str | None = None
    """true, false or "together": all exports of its folder, or none."""
    owner: str | None = None
    """The module of the infrastructure repository that writes it."""
    why: str | None = None
    """What it is for."""


@dataclass(frozen=True)
class ModuleStates:
    """Where the states of the infrastructure repository's modules lie."""

    bucket: str | None = None
    """Of modules that serve all environments; None: prod's bucket."""
    key: str = naming.MODULE_STATE_KEY


@dataclass(frozen=True)
class JournalSettings:
    """Where `journal anchor` writes the head of the journal to."""

    anchor: str | None = None
    """`s3://BUCKET/PREFIX` or `ssm:/PARAMETER/NAME`; None: what the command line says."""
    environment: str | None = None
    """Whose account and region it is written to; None: prod's, as for what all environments share."""
    retain_days: int = 400
    """How long a bucket with object lock keeps each anchor from being removed."""
    name: str | None = None
    """Tells this journal from others that are anchored at the same place; None: the operator's and the machine's name."""


@dataclass(frozen=True)
class Program:
    """A program that the settings name in [`where`]; None where they name none. `is_own`: for one repository alone."""

    binary: str | None = None
    where: str = "terraform"
    is_own: bool = False

    @property
    def is_tofu(self) -> bool:
        """By its name; what it says of itself counts once it was asked."""
        return self.binary is not None and "tofu" in Path(self.binary).name


@dataclass(frozen=True)
class Config:
    file: Path | None
    region: str | None
    dr_region: str
    export_root: str
    infrastructure: Path | None
    services: Mapping[str, ServiceSettings]
    environments: Mapping[str, EnvironmentSettings]
    engine: EngineSettings = field(default_factory=EngineSettings)
    aws: AwsSettings = field(default_factory=AwsSettings)
    exports: tuple[ExportSettings, ...] = ()
    """What the team's own exports have to look like."""
    operator: str | None = None
    """Who runs the console; None: the login name."""
    read_only: bool = False
    module_states: ModuleStates = field(default_factory=ModuleStates)
    journal: JournalSettings = field(default_factory=JournalSettings)
    terraform: str | None = None
    """The program that is used as Terraform: a name on the PATH, as `tofu`, or a path; None: `terraform`."""
    infrastructure_terraform: str | None = None
    """The same, of the infrastructure repository alone."""

    def program_of(self, name: str) -> Program:
        """What is used as Terraform for a service, or for a module of the infrastructure repository; "" for neither."""
        own = (
            self.services[name].terraform if name in self.services else self.infrastructure_terraform if name else None
        )
        where = f"services.{name}.terraform" if name in self.services else "infrastructure.terraform"
        return Program(own, where, is_own=True) if own else Program(self.terraform, "terraform")

    def environment(self, name: str) -> EnvironmentSettings:
        if name not in self.environments:
            raise UnknownName("environment", name, self.environments)
        return self.environments[name]

    def service(self, name: str) -> ServiceSettings:
        if name not in self.services:
            mend = "" if self.services else f"Name the services in {FILE_NAME}: [services.<name>]."
            raise UnknownName("service", name, self.services, mend=mend)
        return self.services[name]

    def region_of(self, environment: str) -> str:
        """The region of an environment: its own, the file's, AWS_REGION or AWS_DEFAULT_REGION; else ConfigError."""
        region = self.known_region(environment)
        if not region:
            raise ConfigError(
                f"No region is set for {environment}.",
                cause="Neither the configuration nor AWS_REGION names one; a profile's own region is not taken.",
                mend=f'Write region = "{naming.PRIMARY_REGION}" into {self.file or FILE_NAME}.',
            )
        return region

    def known_region(self, environment: str) -> str:
        """As `region_of`; "" where there is none."""
        own = self.environment(environment).region or self.region
        return own or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""

    def seen_with(self, profile: str | None = None, region: str | None = None) -> Config:
        """The same with another profile, or another region, in all environments: for looking."""
        changed = {
            name: replace(each, profile=profile or each.profile, region=region or each.region)
            for name, each in self.environments.items()
        }
        return replace(self, environments=changed)

    def run_with(self, environment: str, profile: str) -> Config:
        """The same with another profile for a run in this environment. Those that share its profile and region go on sharing them:
        what is written there is theirs as well."""

        def place(name: str) -> tuple[str | None, str]:
            return self.environment(name).profile, self.known_region(name)

        changed = {
            name: replace(each, profile=profile) if place(name) == place(environment) else each
            for name, each in self.environments.items()
        }
        return replace(self, environments=changed)

    def target(self, service: str, environment: str, account: str = "") -> Target:
        """`service` may also be a module of the infrastructure repository: `network`, `ecr/fileflow`."""
        is_module = self.is_module(service)
        if not is_module and service not in self.services:
            if modules := self.modules():
                raise UnknownName("service or module", service, (*self.services, *modules))
            self.service(service)
        self.environment(environment)
        if is_module and not self.has_environments(service):
            # Its state is prod's, and every environment stands on it: prod's policy, account and lock hold, whoever asks.
            environment = self.guarding_environment() or environment
        account = account or self.environment(environment).account or ""
        return Target(service, environment, self.region_of(environment), account, is_module)

    def is_module(self, name: str) -> bool:
        """Whether it names a module of the infrastructure repository, and no service."""
        return name not in self.services and name in self.modules()

    def environments_of(self, module: str) -> tuple[str, ...]:
        """The environments that a module can be named with: of one that serves all, the one whose rules hold for it."""
        guarding = self.guarding_environment()
        return (guarding,) if guarding and not self.has_environments(module) else tuple(self.environments)

    def has_environments(self, module: str) -> bool:
        """Whether a module is applied once for each environment; else once for all."""
        return self.infrastructure is not None and (self.infrastructure / module / "environments").is_dir()

    def guarding_environment(self) -> str:
        """The environment whose rules hold for what all of them share: prod, else the first that is guarded; "" without any."""
        named = [name for name in self.environments if name == "prod" or name.startswith("prod-")]
        guarded = [name for name, about in self.environments.items() if about.is_prod]
        return next(iter([*named, *guarded]), "")

    def modules(self) -> tuple[str, ...]:
        """The root modules of the infrastructure repository, in the order in which they build on each other."""
        root = self.infrastructure
        if root is None or not root.is_dir():
            return ()
        found = [
            folder.relative_to(root).as_posix()
            for form in ("*/", "*/*/")
            for folder in root.glob(form)
            if not any(part.startswith(".") for part in folder.relative_to(root).parts) and has_code(folder)
        ]
        return tuple(sorted((name for name in found if name.partition("/")[0] != "modules"), key=_building_order))

    def root_of(self, target: Target) -> Path:
        """The folder of the target's Terraform code. Raises PrerequisiteMissing where the configuration names none."""
        path = self.infrastructure if target.is_module else self.service(target.service).path
        if path is None:
            raise PrerequisiteMissing(
                f"The Terraform code of {target.service} is not known.",
                cause=f"[services.{target.service}] has no path.",
                mend=f'Write path = "…/infrastructure/terraform" into {self.file or FILE_NAME}.',
            )
        return path / target.service if target.is_module else path

    def targets(self) -> tuple[Target, ...]:
        return tuple(
            self.target(service, environment) for service in self.services for environment in self.environments
        )

    def state_key_of(self, service: str, environment: str) -> str:
        return self.environment(environment).state_key.format(service=service, environment=environment)

    def state_place_of(self, name: str, environment: str) -> tuple[str, str]:
        """Bucket and key of the state of a service, or of an infrastructure module; the bucket is "" where none is known."""
        if not self.is_module(name):
            return self.environment(environment).state_bucket or "", self.state_key_of(name, environment)
        return self.module_state_of(name, environment if self.has_environments(name) else "") or ("", "")

    def module_state_of(self, module: str, environment: str = "") -> tuple[str, str] | None:
        """Bucket and key of a module's state: of one environment, or "" of all; None where no bucket is known."""
        key = self.module_states.key.format(module=module, environment=environment)
        if environment:
            bucket = self.environment(environment).state_bucket
        else:
            guarding = self.environments.get(self.guarding_environment())
            bucket = self.module_states.bucket or (guarding.state_bucket if guarding else None)
        return (bucket, key) if bucket else None

    def tfvars_of(self, service: str, environment: str) -> Path | None:
        root = self.service(service).path
        return root / naming.tfvars_path(environment) if root else None


def has_code(folder: Path) -> bool:
    """Whether Terraform or OpenTofu would find a root module there."""
    try:
        with os.scandir(folder) as entries:
            return any(naming.is_code(entry.name) and not entry.is_dir() for entry in entries)
    except OSError:
        return False


def _building_order(module: str) -> tuple[int, str]:
    first = module.partition("/")[0]
    known = naming.MODULE_ORDER
    return (known.index(first) if first in known else len(known), module)


def find(start: Path | None = None) -> Path | None:
    """INFRACONSOLE_CONFIG, else the file found upwards from `start`, else the user's configuration folder's; None without any."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    user = user_folder() / FILE_NAME
    return user if user.is_file() else None


def user_folder() -> Path:
    """The user's configuration folder."""
    import platformdirs

    return Path(platformdirs.user_config_dir("infraconsole"))


def state_folder() -> Path:
    """Where the journal and its locks live: INFRACONSOLE_STATE, else the user's state folder."""
    named = os.environ.get(STATE_VARIABLE)
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_state_dir("infraconsole"))


def operator_name(config: Config) -> str:
    """Who is recorded as the operator: the configuration's, else INFRACONSOLE_OPERATOR, else the login name."""
    return text.storable(config.operator or os.environ.get("INFRACONSOLE_OPERATOR") or getpass.getuser())


def load(file: Path | None = None) -> Config:
    """Read the settings; without a file the guide's defaults hold and no service is known. Raises ConfigError."""
    path = file or find()
    if path is None:
        return parse({}, None)
    try:
        raw = files.read(path)
    except OSError as error:
        raise files.unread(error, f"The configuration {path}", ConfigError) from error
    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"The configuration {path} is not TOML.", cause=str(error), mend="Fix that line.") from error
    settings = parse(document, path)
    settle = settings.engine.settle_seconds
    if settle < LEAST_SETTLE_SECONDS and not clock.is_emulator(os.environ.get("AWS_ENDPOINT_URL", "")):
        raise ConfigError(
            f"engine.settle_seconds is {settle:g} in {path}.",
            cause="AWS may carry out a call, or show it, later than that: the call might be sent twice.",
            mend=f"Set it to {LEAST_SETTLE_SECONDS:g} or more, or leave it out. Less is for an emulator on this machine.",
        )
    return settings


_DEFAULT_POLICY: Mapping[str, Mapping[str, Any]] = {
    "staging": {"approvers": ["platform-team"], "window": "Mon-Fri 09:00-18:00 Asia/Seoul"},
    "prod": {"approvers": ["platform-lead", "cto"], "window": "Tue,Thu 10:00-11:00 Asia/Seoul"},
}


def parse(document: Mapping[str, Any], file: Path | None) -> Config:
    """Turn a parsed TOML document into a Config. Paths are relative to the file. Raises ConfigError."""
    base = file.absolute().parent if file else Path.cwd()
    top = _Table(document, file, "")
    known = {
        "region",
        "dr_region",
        "export_root",
        "operator",
        "read_only",
        "infrastructure",
        "services",
        "environments",
        "engine",
        "aws",
        "exports",
        "journal",
        "terraform",
    }
    top.only(known)
    infrastructure = top.table("infrastructure")
    infrastructure.only({"path", "state_bucket", "state_key", "terraform"})
    path = infrastructure.text("path")
    services = {name: _service(name, table, base) for name, table in top.tables("services").items()}
    tables = top.tables("environments")
    names = tables if tables else dict.fromkeys(naming.ENVIRONMENTS, _Table({}, file, "environments"))
    environments = {name: _environment(name, table) for name, table in names.items()}
    return Config(
        file=file,
        region=top.text("region"),
        dr_region=top.text("dr_region") or naming.DR_REGION,
        export_root=_export_root(top),
        infrastructure=base / path if path else None,
        services=services,
        environments=environments,
        engine=_engine(top.table("engine"), base),
        aws=_aws(top.table("aws")),
        exports=tuple(_export(table) for table in top.list_of_tables("exports")),
        operator=top.text("operator"),
        read_only=top.flag("read_only"),
        journal=_journal(top.table("journal"), environments),
        terraform=_program(top.table("terraform"), base),
        infrastructure_terraform=_program(infrastructure.table("terraform"), base),
        module_states=ModuleStates(
            infrastructure.text("state_bucket"), _state_key(infrastructure, naming.MODULE_STATE_KEY, "module")
        ),
    )


def _aws(table: _Table) -> AwsSettings:
    table.only(AwsSettings.__dataclass_fields__)
    default = AwsSettings()
    return AwsSettings(table.number("calls_per_second", default.calls_per_second, low=0.5, high=100.0))


def _engine(table: _Table, base: Path) -> EngineSettings:
    table.only(EngineSettings.__dataclass_fields__)
    key = table.text("files_key")
    default = EngineSettings()
    return EngineSettings(
        settle_seconds=table.number("settle_seconds", default.settle_seconds, low=0.0, high=3600.0),
        visible_seconds=table.number("visible_seconds", default.visible_seconds, low=0.0, high=_WEEK_MINUTES * 60),
        watch_minutes=table.number("watch_minutes", default.watch_minutes, low=0.01, high=_WEEK_MINUTES),
        health_checks=table.count("health_checks", default.health_checks, high=1000),
        poll_seconds=table.number("poll_seconds", default.poll_seconds, low=0.05, high=600.0),
        credentials_minutes=table.number(
            "credentials_minutes", default.credentials_minutes, low=0.0, high=_WEEK_MINUTES
        ),
        keep_files=_one_of(table, "keep_files", KEEP_FILES, default.keep_files),
        files_key=base / os.path.expanduser(key) if key else None,  # noqa: PTH111 - Path's own fails for unknown users
    )


def _one_of(table: _Table, key: str, known: tuple[str, ...], default: str) -> str:
    value = table.text(key) or default
    if value not in known:
        raise table.wrong(key, f"one of {', '.join(known)}", value)
    return value


def _journal(table: _Table, environments: Mapping[str, EnvironmentSettings]) -> JournalSettings:
    table.only(set(JournalSettings.__dataclass_fields__))
    environment, name = table.text("environment"), table.text("name")
    if environment is not None and environment not in environments:
        raise table.wrong("environment", f"one of {', '.join(environments)}", environment)
    if name is not None and not _JOURNAL_NAME.fullmatch(name):
        raise table.wrong("name", "letters, digits and . _ @ -, at most 64", name)
    days = table.count("retain_days", JournalSettings.retain_days, high=36_500)
    return JournalSettings(table.text("anchor"), environment, days, name)


_JOURNAL_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


def _export_root(top: _Table) -> str:
    root = top.text("export_root") or naming.EXPORT_ROOT
    if not root.startswith("/") or root.endswith("/"):
        raise top.wrong("export_root", "a path that begins with / and does not end with one", root)
    return root


_EXPORT_NAME = re.compile(r"[A-Za-z0-9_.{}-]+(/[A-Za-z0-9_.{}-]+)*")


def _export(table: _Table) -> ExportSettings:
    table.only(set(ExportSettings.__dataclass_fields__) - {"place"})
    name = table.text("name")
    if name is None or not _EXPORT_NAME.fullmatch(name):
        raise table.wrong(
            "name",
            'a name below the export root without a / at its ends, as "network/vpc-id"',
            table.values.get("name"),
        )
    required = table.values.get("required")
    if required is not None and not isinstance(required, bool) and required != "together":
        raise table.wrong("required", 'true, false or "together"', required)
    return ExportSettings(
        place=table.where,
        name=name,
        type=table.text("type"),
        shape=table.text("shape"),
        points_at=table.text("points_at"),
        required=required,
        owner=table.text("owner"),
        why=table.text("why"),
    )


def _service(name: str, table: _Table, base: Path) -> ServiceSettings:
    table.only({"path", "terraform"})
    path = table.text("path")
    return ServiceSettings(name, base / path if path else None, _program(table.table("terraform"), base))


def _program(table: _Table, base: Path) -> str | None:
    """`binary` of a table; a path is relative to the file, a plain name is looked for on the PATH."""
    table.only({"binary"})
    written = table.text("binary")
    if written is None or "/" not in written:
        return written
    return str(base / os.path.expanduser(written))  # noqa: PTH111 - Path's own fails for unknown users


def _environment(name: str, table: _Table) -> EnvironmentSettings:
    table.only(set(EnvironmentSettings.__dataclass_fields__) - {"name"})
    table = table.with_defaults(_DEFAULT_POLICY.get(name, {}))
    account = table.text("account")
    if account is not None and not (len(account) == 12 and account.isdigit()):
        raise table.wrong("account", "twelve digits in quotes", account)
    health_path = table.text("health_path") or naming.HEALTH_PATH
    if not health_path.startswith("/"):
        raise table.wrong("health_path", "a path that begins with /", health_path)
    state_key = _state_key(table, naming.STATE_KEY, "service")
    written = table.text("window")
    try:
        window = Window.parse(written) if written else None
    except ValueError as error:
        raise table.wrong("window", str(error), written) from error
    return EnvironmentSettings(
        name=name,
        profile=table.text("profile"),
        region=table.text("region"),
        account=account,
        state_bucket=table.text("state_bucket"),
        state_key=state_key,
        use_lockfile=table.flag("use_lockfile") if "use_lockfile" in table.values else None,
        lock_table=table.text("lock_table"),
        approvers=table.texts("approvers"),
        rollback_approvers=table.texts("rollback_approvers"),
        window=window,
        health_path=health_path,
        protected=table.flag("protected") if "protected" in table.values else None,
    )


def wrong_value(file: Path | None, key: str, expected: str, found: object) -> ConfigError:
    """The complaint about one value, also of those that are only understood further up."""
    return ConfigError(
        f"{file or 'configuration'}: {key} is wrong.",
        cause=f"Expected {expected}; found {found!r}.",
        mend="Mend the value, or remove the line to get the default.",
    )


def _state_key(table: _Table, default: str, of: str) -> str:
    """`of` is what the key may name besides the environment."""
    state_key = table.text("state_key") or default
    try:
        state_key.format(**{of: "x", "environment": "x"})
    except (KeyError, IndexError, ValueError) as error:
        raise table.wrong("state_key", f"a key with {{{of}}} and {{environment}} at most", state_key) from error
    return state_key


class _Table:
    """A TOML table that knows where it stands, so that every complaint can name file and key."""

    def __init__(self, values: Mapping[str, Any], file: Path | None, where: str) -> None:
        self.values = values
        self.file = file
        self.where = where

    def wrong(self, key: str, expected: str, found: object) -> ConfigError:
        return wrong_value(self.file, f"{self.where}.{key}" if self.where else key, expected, found)

    def only(self, known: Mapping[str, object] | set[str]) -> None:
        for key in self.values:
            if key not in known:
                where = f"in [{self.where}] of {self.file}" if self.where else f"in {self.file}"
                unknown = UnknownName("configuration key", key, known, where=where)
                raise ConfigError(unknown.title, cause=unknown.cause, mend="Rename or remove the line.")

    def with_defaults(self, defaults: Mapping[str, Any]) -> _Table:
        return _Table({**defaults, **self.values}, self.file, self.where)

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong(key, "a text in quotes", value)
        return value or None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.wrong(key, "a list of texts", value)
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        value = self.values.get(key, default)
        # A comparison with what is not a number is false, so it is this way round.
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.wrong(key, f"a number of at least {low:g} and at most {high:g}", value)
        return float(value)

    def count(self, key: str, default: int, *, high: int) -> int:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
            raise self.wrong(key, f"a whole number of at least 1 and at most {high}", value)
        return value

    def table(self, key: str) -> _Table:
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, f"a table: [{key}]", value)
        return _Table(value, self.file, f"{self.where}.{key}" if self.where else key)

    def list_of_tables(self, key: str) -> list[_Table]:
        """The tables of `[[key]]`, counted from 1 in complaints."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"tables: [[{key}]]", value)
        return [_Table(item, self.file, f"{key}[{number}]") for number, item in enumerate(value, start=1)]

    def tables(self, key: str) -> dict[str, _Table]:
        """The tables under `key`, whose names must be valid service or environment names."""
        found = self.table(key)
        for name in found.values:
            if not naming.is_valid_name(name):
                raise found.wrong(
                    name, "a name of lower-case letters, digits and hyphens, beginning with a letter", name
                )
        return {name: found.table(name) for name in found.values}
