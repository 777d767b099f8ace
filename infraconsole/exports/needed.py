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

_CHECKED_SECONDS = 300.0
"""For so long the check holds: what exports name changes with an apply, and asking about it takes a call for each."""


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

    def facts(self, service: str, environment: str) -> ExportFacts:
        access = self._access_for(environment)
        with self._lock:
            missing = self._missing.setdefault(id(access), _Shared())
            checked = self._checked.setdefault(id(access), _Shared())
        root = self.config.export_root
        required = naming.required_exports(service, root)
        with missing.unless_read_since(clock.seconds()) as has_to:
            if has_to:
                every = dict.fromkeys(
                    name for known in self.config.services for name in naming.required_exports(known, root)
                )
                missing.names = frozenset(Ssm(access).parameters(tuple(every))[1])
        survey = Survey(self.config, environment, access)
        asked_at = clock.seconds()
        # An error is asked about again by the next reading.
        since = asked_at if checked.error else asked_at - _CHECKED_SECONDS
        with checked.unless_read_since(since) as has_to:
            if has_to:
                checked.findings = survey.check(survey.whole(), None).findings
        return ExportFacts(
            required,
            tuple(name for name in required if name in missing.names),
            _concerning(checked.findings, survey, service, environment, required),
        )


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
