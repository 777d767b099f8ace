"""What each service needs of an account's exports: which are missing, and what their own check says. All services of an account
share nearly all of them: whoever comes first reads for those who wait meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from infraconsole import clock, naming
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ssm import Ssm
from infraconsole.checks.findings import Finding
from infraconsole.checks.judgement import NOT_CHECKED
from infraconsole.checks.row_facts import ExportFacts
from infraconsole.config import Config
from infraconsole.errors import InfraconsoleError
from infraconsole.exports.survey import Survey
from infraconsole.fleet.plan import CHECKED_SECONDS


@dataclass
class _Shared:
    """What was read of one account and region, and when (monotonic seconds). An error holds for those who waited for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    names: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    error: InfraconsoleError | None = None
    read_at: float = float("-inf")

    @contextmanager
    def unless_read_since(self, when: float) -> Generator[bool]:
        """Whether it has to be read, which is then done inside."""
        with self.lock:
            if self.read_at < when:
                self.error = None
                try:
                    yield True
                except InfraconsoleError as error:
                    self.error = error
                self.read_at = clock.seconds()
            else:
                yield False
            if self.error is not None:
                raise self.error


class Needed:
    """Safe in threads; every method may block. Raises InfraconsoleError."""

    def __init__(self, config: Config, access_for: Callable[[str], AwsAccess]) -> None:
        self.config = config
        self._access_for = access_for
        self._lock = threading.Lock()
        self._missing: dict[int, _Shared] = {}
        self._checked: dict[int, _Shared] = {}
        self._surveys: dict[tuple[str, int], Survey] = {}
        self._concerning: dict[tuple[str, str], tuple[tuple[Finding, ...], tuple[Finding, ...]]] = {}
        """By service and environment: of which findings it was told last, and what."""

    def facts(self, service: str, environment: str) -> ExportFacts:
        self.read_names(environment)
        checked = self._shared(environment)[1]
        # An error is asked about again by the next reading.
        self.read_check(environment, since_seconds=0.0 if checked.error else CHECKED_SECONDS)
        return self._facts(service, environment)

    def read_names(self, environment: str) -> None:
        """Which of all services' exports are there, in the environment's account and region."""
        missing, _ = self._shared(environment)
        root = self.config.export_root
        with missing.unless_read_since(clock.seconds()) as has_to:
            if has_to:
                every = dict.fromkeys(
                    name for known in self.config.services for name in naming.required_exports(known, root)
                )
                missing.names = frozenset(Ssm(self._access_for(environment)).parameters(tuple(every))[1])

    def read_check(self, environment: str, *, since_seconds: float = 0.0) -> None:
        """What is wrong with them, unless that was looked up `since_seconds` ago or later."""
        _, checked = self._shared(environment)
        survey = self._survey(environment)
        with checked.unless_read_since(clock.seconds() - since_seconds) as has_to:
            if has_to:
                checked.findings = survey.check(survey.whole(), None).findings

    def known(self, service: str, environment: str) -> ExportFacts | None:
        """As it was read last, without asking; None while one half of it was never read, or could not be."""
        if any(shared.read_at < 0 or shared.error is not None for shared in self._shared(environment)):
            return None
        return self._facts(service, environment)

    def _facts(self, service: str, environment: str) -> ExportFacts:
        missing, checked = self._shared(environment)
        required = naming.required_exports(service, self.config.export_root)
        with self._lock:
            findings, told = self._concerning.get((service, environment), (None, ()))
        if findings is not checked.findings:
            findings = checked.findings
            told = _concerning(findings, self._survey(environment), service, environment, required)
            with self._lock:
                self._concerning[service, environment] = (findings, told)
        return ExportFacts(required, tuple(name for name in required if name in missing.names), told)

    def _shared(self, environment: str) -> tuple[_Shared, _Shared]:
        key = id(self._access_for(environment))
        with self._lock:
            return self._missing.setdefault(key, _Shared()), self._checked.setdefault(key, _Shared())

    def _survey(self, environment: str) -> Survey:
        access = self._access_for(environment)
        with self._lock:
            known = self._surveys.get((environment, id(access)))
        if known is None:
            known = Survey(self.config, environment, access)
            with self._lock:
                self._surveys[environment, id(access)] = known
        return known


def _concerning(
    findings: tuple[Finding, ...], survey: Survey, service: str, environment: str, required: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Errors, what could not be checked, and warnings of what the service needs by name."""
    concerns = survey.concerns(service, environment)
    own = {*required, *naming.rds_exports(environment, survey.root)}

    def is_told(each: Finding) -> bool:
        if each.id == "export-missing" and each.subject in required:
            return False  # asked for by name, and told by that
        if each.level == "warning":
            return each.id == NOT_CHECKED or each.subject in own
        return each.level == "error"

    return tuple(each for each in findings if concerns(each.subject) and is_told(each))
