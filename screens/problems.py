"""What stands in the way of reading, by the environment it was met in: credentials, the network, throttling. It leaves with the
next reading there that succeeds."""

from __future__ import annotations

import os
from dataclasses import dataclass

from infraconsole.aws.errors import RENEW_VARIABLE
from infraconsole.errors import (
    AwsError,
    ClockSkew,
    CredentialsExpired,
    CredentialsMissing,
    NetworkUnreachable,
    SsoLoginNeeded,
    Throttled,
)

LOGIN_KEY = "L"
_STANDS_IN_THE_WAY = (CredentialsMissing, CredentialsExpired, NetworkUnreachable, ClockSkew, Throttled)
"""Errors that concern everything, not one cell: they go on the band."""


@dataclass(frozen=True)
class Problem:
    """`profile` is the one whose login would help, None for that of the environment; only where it is `renewable`."""

    words: str
    renewable: bool = False
    profile: str | None = None


def problem_of(error: Exception) -> Problem | None:
    """None where it concerns only what was read."""
    if not isinstance(error, AwsError) or not isinstance(error, _STANDS_IN_THE_WAY):
        return None
    mend = error.mend.splitlines()[0] if error.mend else ""
    if not is_renewable(error):
        return Problem(f"{error.title} {mend}".strip())
    elsewhere = mend.partition(": ")[2] or mend
    return Problem(f"{error.title} {LOGIN_KEY} logs in here; elsewhere: {elsewhere}", True, error.profile)


def is_renewable(error: AwsError) -> bool:
    """Whether the console can run what gets new credentials: SSO, or the team's own tool where the error names it."""
    if isinstance(error, SsoLoginNeeded):
        return names_login(error.mend)
    return (
        isinstance(error, CredentialsExpired | CredentialsMissing) and bool(_own_tool()) and _own_tool() in error.mend
    )


def names_login(words: str) -> bool:
    """Whether what is to be done about expired credentials is something that the console can run."""
    return "aws sso login" in words or (bool(_own_tool()) and _own_tool() in words)


def _own_tool() -> str:
    return os.environ.get(RENEW_VARIABLE, "")


class Problems:
    """Of one screen, by environment, with the readings that met them."""

    def __init__(self) -> None:
        self._problems: dict[str, Problem] = {}
        self._met: dict[str, set[str]] = {}

    def met(self, environment: str, reading: str, problem: Problem) -> None:
        self._problems[environment] = problem
        self._met.setdefault(environment, set()).add(reading)

    def over(self, environment: str, reading: str) -> bool:
        """Whether there was one, and now is none: a reading that has succeeded may not have asked AWS at all, unless it had failed
        before."""
        if reading not in self._met.get(environment, ()):
            return False
        del self._met[environment], self._problems[environment]
        return True

    def shown(self, environment: str, *, of_all: bool) -> Problem | None:
        """That of this environment, else, where all are read, that of another: one that a login mends comes first."""
        own = self._problems.get(environment)
        if own is not None or not of_all:
            return own
        others = sorted(self._problems.values(), key=lambda problem: not problem.renewable)
        return next(iter(others), None)
