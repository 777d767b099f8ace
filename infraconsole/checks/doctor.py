"""The doctor: tools, credentials, permissions, network, configuration, journal and terminal, before they are needed at night.

`run` collects facts and every other function turns facts into findings, so that each can be tested without the world.
What is fine is said as well: a doctor that is silent about something may not have looked.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from infraconsole import text
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.errors import SKEW_TOLERATED, clock_skew
from infraconsole.aws.sts import account_alias
from infraconsole.checks import permissions, state_protection, tools
from infraconsole.checks.findings import Finding, Level, by_weight
from infraconsole.checks.programs import Programs
from infraconsole.config import FILE_NAME, Config, EnvironmentSettings, find
from infraconsole.errors import AwsError, ConfigError, InfraconsoleError

NEWEST_EVENTS = 20_000
"""Of the journal, so that the doctor takes no longer for a long one."""
PYTHON_REQUIRED = (3, 11)
SKEW_WORTH_SAYING = timedelta(seconds=30)
COLUMNS, ROWS = 100, 30
REGISTRY = ("registry.terraform.io", 443)
CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 8.0
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)$")  # the words of tomllib's errors


@dataclass(frozen=True)
class Terminal:
    """What the console would be shown on."""

    columns: int
    rows: int
    is_terminal: bool
    kind: str
    encoding: str
    colours: str = ""


@dataclass(frozen=True)
class Account:
    """What AWS said when an environment's credentials were tried: `error`, or the rest. `ahead` is this machine's clock."""

    environments: tuple[EnvironmentSettings, ...]
    region: str
    profile: str | None
    account: str = ""
    alias: str = ""
    arn: str = ""
    source: str = ""
    ahead: timedelta | None = None
    error: InfraconsoleError | None = None
    permissions: tuple[permissions.Answer, ...] = field(default=())


def run(
    config: Config | ConfigError,
    environ: Mapping[str, str] | None = None,
    *,
    journal: Callable[[], Sequence[str]] | None = None,
    terminal: Terminal | None = None,
    reachable: Callable[[str, int], bool] | None = None,
) -> tuple[Finding, ...]:
    """Everything that is found, errors first. Takes some seconds; asks AWS only for reading, and raises nothing of AWS's.

    `config` may be what is wrong with it: then AWS is not asked, since whom to ask as stands in it. `environ` stands in for
    the process's environment, `journal` gives what is wrong with the journal in words.
    """
    variables = os.environ if environ is None else environ
    with ThreadPoolExecutor(5) as pool:
        named = None if isinstance(config, ConfigError) else config.terraform
        asked_tools = pool.submit(tools.ask_all, variables, terraform=named)
        asked_aws = None if isinstance(config, ConfigError) else pool.submit(accounts, config, environ)
        asked_locks = None if isinstance(config, ConfigError) else pool.submit(code_findings, config, variables)
        asked_registry = pool.submit(registry_findings, variables, reachable or _reachable)
        findings = [
            *python_findings(sys.version_info[:3]),
            *configuration_findings(config),
            *journal_findings(journal),
            *terminal_findings(terminal or this_terminal(variables)),
        ]
        for account in asked_aws.result() if asked_aws else ():
            findings.extend(account_findings(account))
        findings.extend(tools.findings(asked_tools.result()))
        findings.extend(asked_locks.result() if asked_locks else ())
        findings.extend(asked_registry.result())
    return by_weight(findings)


def python_findings(version: tuple[int, ...]) -> Iterator[Finding]:
    written = ".".join(map(str, version))
    if version < PYTHON_REQUIRED:
        needed = ".".join(map(str, PYTHON_REQUIRED))
        yield Finding(
            "python-too-old", "error", "python", f"{written}; {needed} or newer is needed.", "Install a newer one."
        )
    else:
        yield Finding("python", "info", "python", f"{written} at {sys.executable}.")


def configuration_findings(config: Config | ConfigError) -> Iterator[Finding]:
    """The file, and whether what it names is there."""
    if isinstance(config, ConfigError):
        yield from _broken_configuration(config)
        return
    file = str(config.file) if config.file else None
    if file is None:
        message = "No configuration file; the guide's names and environments are assumed, and no service is known."
        yield Finding(
            "no-configuration", "warning", "configuration", message, f"Write {FILE_NAME} beside your repositories."
        )
    else:
        counts = f"{len(config.services)} services, {len(config.environments)} environments"
        yield Finding("configuration", "info", "configuration", f"{file}: {counts}.", file=file)
        if not config.services:
            message = "No service is named, so there is nothing to show."
            yield Finding("no-services", "warning", "configuration", message, "Add [services.<name>].", file=file)
    paths: list[tuple[str, Path | None]] = [("infrastructure", config.infrastructure)]
    paths += [(f"services.{name}", service.path) for name, service in config.services.items()]
    for key, path in paths:
        if path is not None and not path.is_dir():
            message = f"{path} is not a folder."
            yield Finding(
                "path-missing", "error", f"{key}.path", message, "Clone the repository there, or fix the path.", file
            )


def _broken_configuration(error: ConfigError) -> Iterator[Finding]:
    file = find()
    place = _TOML_LINE.search(error.cause)
    yield Finding(
        "configuration-wrong",
        "error",
        "configuration",
        f"{error.title} {error.cause}".strip(),
        error.mend,
        file=str(file) if file else None,
        line=int(place[1]) if place else None,
    )
    message = "Not tried: which profiles and regions they are for stands in the configuration."
    yield Finding("credentials-not-tried", "info", "credentials", message)


def journal_findings(journal: Callable[[], Sequence[str]] | None) -> Iterator[Finding]:
    if journal is None:
        return
    try:
        problems = [str(problem) for problem in journal()]
    except InfraconsoleError as error:
        problems = [" ".join(str(error).splitlines())]
    for problem in problems:
        mend = "See all of it: infraconsole journal verify; keep the file as it is, it is evidence."
        yield Finding("journal-damaged", "error", "journal", problem, mend)
    if not problems:
        yield Finding(
            "journal",
            "info",
            "journal",
            f"Of the newest {NEWEST_EVENTS:,} events each follows from the one before. All: infraconsole journal verify",
        )


def this_terminal(environ: Mapping[str, str]) -> Terminal:
    size = shutil.get_terminal_size()
    return Terminal(
        columns=size.columns,
        rows=size.lines,
        is_terminal=sys.stdout.isatty(),
        kind=environ.get("TERM", ""),
        encoding=sys.stdout.encoding or "",
        colours=environ.get("COLORTERM", ""),
    )


def terminal_findings(terminal: Terminal) -> Iterator[Finding]:
    """Size, encoding and colours; nothing of it matters where the output is not a terminal."""
    if not terminal.is_terminal:
        yield Finding(
            "terminal", "info", "terminal", "The output is not a terminal; commands work, the console does not."
        )
        return
    sound = True
    if terminal.kind in {"", "dumb"}:
        sound = False
        message = f"TERM is {terminal.kind or 'not set'}, so nothing can be placed on the screen."
        yield Finding("terminal-dumb", "warning", "terminal", message, "export TERM=xterm-256color")
    if terminal.columns < COLUMNS or terminal.rows < ROWS:
        sound = False
        message = f"{terminal.columns} × {terminal.rows} characters; {COLUMNS} × {ROWS} show everything."
        yield Finding("terminal-small", "warning", "terminal", message, "Enlarge the window.")
    if terminal.encoding.lower().replace("-", "") != "utf8":
        sound = False
        message = f"The encoding is {terminal.encoding or 'unknown'}; lines and signs will be missing."
        yield Finding("terminal-encoding", "warning", "terminal", message, "export LANG=C.UTF-8")
    if sound:
        full = terminal.colours in {"truecolor", "24bit"}
        colours = "full colour" if full else "256 colours" if "256" in terminal.kind else "few colours"
        message = f"{terminal.columns} × {terminal.rows}, {terminal.encoding}, {colours} ({terminal.kind})."
        yield Finding("terminal", "info", "terminal", message)


def accounts(config: Config, environ: Mapping[str, str] | None = None) -> tuple[Account, ...]:
    """Try the credentials of every environment, side by side; environments that share region and profile only once."""
    groups: dict[tuple[str, str | None], list[EnvironmentSettings]] = {}
    unset: list[Account] = []
    for name, settings in config.environments.items():
        try:
            region = config.region_of(name)
        except InfraconsoleError as error:
            unset.append(Account((settings,), "", settings.profile, error=error))
        else:
            groups.setdefault((region, settings.profile), []).append(settings)
    if not groups:
        return tuple(unset)
    with ThreadPoolExecutor(min(len(groups), 8)) as pool:
        tried = [
            pool.submit(_try, region, profile, tuple(settings), environ)
            for (region, profile), settings in groups.items()
        ]
        return (*unset, *(account.result() for account in tried))


def _try(
    region: str,
    profile: str | None,
    environments: tuple[EnvironmentSettings, ...],
    environ: Mapping[str, str] | None,
) -> Account:
    access = AwsAccess(
        region=region,
        profile=profile,
        environ=environ,
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=READ_TIMEOUT_SECONDS,
    )
    try:
        answer = access.call("sts", "GetCallerIdentity")
        source = access.credentials_source()
    except AwsError as error:
        return Account(environments, region, profile, error=error)
    arn = str(answer.get("Arn") or "")
    headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    return Account(
        environments=environments,
        region=region,
        profile=profile,
        account=str(answer.get("Account") or ""),
        alias=_alias(access),
        arn=arn,
        source=source,
        ahead=clock_skew(headers),
        permissions=permissions.ask(access, arn, environments),
    )


def _alias(access: AwsAccess) -> str:
    try:
        return account_alias(access) or ""
    except AwsError:
        return ""


def account_findings(account: Account) -> Iterator[Finding]:
    """Credentials, the account they belong to, the clock, and what they may do."""
    subject = ", ".join(settings.name for settings in account.environments)
    if account.error is not None:
        yield _failed(subject, account.error)
        return
    who = account.arn.rsplit(":", 1)[-1]
    alias = f" ({account.alias})" if account.alias else ""
    through = f"profile {account.profile}" if account.profile else account.source or "no profile"
    message = f"Account {account.account}{alias} in {account.region}, as {who}, through {through}."
    yield Finding("credentials", "info", subject, message)
    for settings in account.environments:
        if settings.account and settings.account != account.account:
            message = f"These credentials belong to account {account.account}; {settings.name} is {settings.account}."
            mend = f"Name the right profile under [environments.{settings.name}], or fix its account."
            yield Finding("wrong-account", "error", settings.name, message, mend)
    if account.ahead is not None:
        yield clock_finding(account.ahead, subject)
    yield from permission_findings(account.permissions, subject)


def _failed(subject: str, error: InfraconsoleError) -> Finding:
    """An error as a finding: `CredentialsExpired` is the rule `credentials-expired`."""
    rule = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()
    message = f"{error.title} {error.cause}".strip()
    return Finding(rule, "error", subject, message, error.mend)


def clock_finding(ahead: timedelta, subject: str) -> Finding:
    """AWS refuses signatures that are more than five minutes off. The answer's header is exact to the second."""
    off = text.duration(abs(ahead).total_seconds())
    direction = "ahead of" if ahead > timedelta() else "behind"
    mend = "sudo timedatectl set-ntp true (macOS: sudo sntp -sS time.apple.com)"
    if abs(ahead) > SKEW_TOLERATED:
        message = f"This machine's clock is {off} {direction} AWS's, which will refuse its signatures."
        return Finding("clock-skew", "error", subject, message, mend)
    if abs(ahead) > SKEW_WORTH_SAYING:
        return Finding("clock-skew", "warning", subject, f"This machine's clock is {off} {direction} AWS's.", mend)
    return Finding("clock", "info", subject, "This machine's clock agrees with AWS's.")


def permission_findings(answers: Sequence[permissions.Answer], subject: str) -> Iterator[Finding]:
    """Each permission that is denied; those that are there in one line, and those that could not be seen in one a reason."""
    unseen: dict[str, list[str]] = {}
    for answer in answers:
        yield from answer.defects
        need = answer.need
        if answer.allowed is False:
            message = f"{need.action} is denied; it is needed for {need.what_for}."
            mend = answer.error.mend if answer.error is not None else f"Have {need.action} allowed."
            level: Level = "error" if need.essential else "info" if need.optional else "warning"
            yield Finding("permission-missing", level, subject, message, mend)
        elif answer.allowed is None:
            why = answer.error.title if answer.error is not None else answer.remark
            unseen.setdefault(why, []).append(need.action)
    for why, actions in unseen.items():
        message = f"Whether these are allowed could not be seen: {', '.join(actions)}. {why}"
        yield Finding("permission-unknown", "info", subject, message)
    allowed = dict.fromkeys(answer.need.action for answer in answers if answer.allowed)
    if allowed:
        yield Finding("permissions", "info", subject, f"Allowed: {', '.join(allowed)}.")


def code_findings(config: Config, environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """Which Terraform works where and is not the one that the code asks for, and which states no lock protects with it."""
    programs = Programs(config, environ)
    return (*programs.findings(), *state_protection.findings(config, environ, programs.version_of))


def registry_findings(environ: Mapping[str, str], reachable: Callable[[str, int], bool]) -> Iterator[Finding]:
    """Whether Terraform can fetch its providers. Through a proxy or a mirror it does so in ways not seen from here."""
    host, port = REGISTRY
    through = next((name for name in ("HTTPS_PROXY", "https_proxy", "TF_CLI_CONFIG_FILE") if environ.get(name)), None)
    if through:
        yield Finding("registry", "info", host, f"Not tried, since {through} is set.")
    elif reachable(host, port):
        yield Finding("registry", "info", host, f"Port {port} answers.")
    else:
        message = f"No connection to port {port}; terraform init cannot fetch providers that are not in its cache."
        yield Finding(
            "registry-unreachable", "warning", host, message, "Open it, or set a provider mirror in ~/.terraformrc."
        )


def _reachable(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_SECONDS):
            return True
    except OSError:
        return False


def worst(findings: Iterable[Finding]) -> Level:
    """The heaviest level among them; info for none."""
    return next((finding.level for finding in by_weight(findings)), "info")
