"""The exports of one environment's account, joined: the parameters, the table, what they point at, and the code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infraconsole import config as settings
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ssm import Parameter, ParameterVersion, Ssm
from infraconsole.checks.export_facts import read_facts
from infraconsole.checks.export_rules import ExportRules, load_rules
from infraconsole.checks.exports import check_exports
from infraconsole.checks.findings import Finding, by_weight
from infraconsole.checks.trace import check_trace
from infraconsole.config import Config
from infraconsole.exports import last_visit, listing
from infraconsole.exports.listing import Update
from infraconsole.exports.pace import Pace
from infraconsole.exports.written import Written, written_exports
from infraconsole.terraform.exports import Trace, trace


@dataclass(frozen=True)
class Expected:
    """What the table says of a name."""

    owner: str = ""
    type: str = "String"


@dataclass(frozen=True)
class Checked:
    findings: tuple[Finding, ...]
    expected: Mapping[str, Expected]

    @property
    def by_subject(self) -> Mapping[str, tuple[Finding, ...]]:
        found: dict[str, list[Finding]] = defaultdict(list)
        for finding in self.findings:
            found[finding.subject].append(finding)
        return {subject: tuple(findings) for subject, findings in found.items()}


class Survey:
    """Of the account and region that `environment` lies in. Every method may block; all are safe in threads."""

    def __init__(self, config: Config, environment: str, access: AwsAccess) -> None:
        self.config = config
        self.environment = environment
        self.environments = sharing(config, environment)
        self.root = config.export_root
        self.rules: ExportRules = load_rules(config)
        self._access = access
        self._ssm = Ssm(access)
        self._pace = Pace(self._ssm.has_high_throughput)

    @property
    def file(self) -> Path:
        """Where the last visit is kept."""
        profile = self.config.environment(self.environment).profile
        return last_visit.file_for(settings.state_folder(), profile=profile, region=self._access.region, root=self.root)

    def read(self, known: Sequence[str] = ()) -> Generator[Update]:
        """As `listing.read`."""
        return listing.read(self._ssm, self._pace, self.root, known)

    def whole(self) -> tuple[Parameter, ...]:
        """Every export, sorted by name. Raises AwsError."""
        return listing.whole(self._ssm, self._pace, self.root)

    def history(self, name: str) -> tuple[ParameterVersion, ...]:
        """Newest first. Raises AwsError."""
        return self._ssm.history(name)

    def trace(self) -> Trace:
        """The code on both sides, from the repositories that the configuration names."""
        return trace(self.config, settings.state_folder() / "cache")

    def check(self, parameters: Sequence[Parameter], code: Trace | None, *, look: bool = True) -> Checked:
        """All findings, the worst first; `look` asks AWS about what the exports point at, and reads the modules' states.

        Nothing that AWS refuses is raised: what could not be checked is a finding.
        """
        services = tuple(self.config.services)
        facts = read_facts(self._access, parameters, self.rules) if look else None
        names = [parameter.name for parameter in parameters]
        written = written_exports(self.config, self._access, self.rules, names) if look else Written({})
        found = check_exports(
            parameters,
            self.rules,
            facts,
            root=self.root,
            services=services,
            environments=self.environments,
            state=written.exports,
        )
        found = (*found, *written.findings)
        if code is not None:
            live = {parameter.name for parameter in parameters}
            found = (*found, *check_trace(code, live, root=self.root, environments=self.environments))
        expected = {name: self._expected(name) for name in {*names, *(finding.subject for finding in found)}}
        return Checked(by_weight(found), expected)

    def concerns(self, service: str | None, environment: str | None) -> Callable[[str], bool]:
        """Whether an export is one that this service or environment has to do with: not another one's own."""

        def holds(name: str) -> bool:
            match = self.rules.match(name)
            if match is None:
                return True
            return not (
                (service and match.service and match.service != service)
                or (environment and match.environment and match.environment != environment)
            )

        return holds

    def _expected(self, name: str) -> Expected:
        rule = self.rules.rule_for(name)
        return Expected(self.rules.owner(name) or "", rule.type if rule else "String")


def sharing(config: Config, environment: str) -> tuple[str, ...]:
    """The environments whose account and region are the same as this one's, as far as the configuration tells."""

    def place(name: str) -> tuple[str | None, str]:
        return config.environment(name).profile, config.region_of(name)

    return tuple(name for name in config.environments if place(name) == place(environment))


def separate(config: Config) -> tuple[str, ...]:
    """One environment for each account and region."""
    found: dict[tuple[str, ...], str] = {}
    for name in config.environments:
        found.setdefault(sharing(config, name), name)
    return tuple(found.values())
