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
    """Of one screen."""

    def __init__(self) -> None:
        self._by_environment: dict[str, Problem] = {}

    def met(self, environment: str, problem: Problem) -> None:
        self._by_environment[environment] = problem

    def over(self, environment: str) -> bool:
        """Whether there was one."""
        return self._by_environment.pop(environment, None) is not None

    def shown(self, environment: str, *, of_all: bool) -> Problem | None:
        """That of this environment, else, where all are read, that of another: one that a login mends comes first."""
        own = self._by_environment.get(environment)
        if own is not None or not of_all:
            return own
        others = sorted(self._by_environment.values(), key=lambda problem: not problem.renewable)
        return next(iter(others), None)
