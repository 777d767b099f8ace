"""The one error tree. Every error names the thing, the reason and the mend, and knows its exit code.

InfraconsoleError                1
├── UsageError                   2   a wrong argument or input
│   ├── UnknownName              2   names what exists instead
│   └── ConfigError              2   file, key, what was expected, what was found
├── GateRefused                  3   a gate was not answered, or wrongly
├── Interrupted                  4   stopped on request; can be resumed
├── StepFailed                   1   a step did not reach its end
│   └── HeldUp                   1   by something that others take away: 5 and resumable once the run has begun
├── JournalError                 1   the journal cannot be written, or is damaged
├── TerraformError               1   a terraform command failed: the command, its return code, the end of its output
│   └── TerraformHeldUp          1   also a HeldUp
└── PrerequisiteMissing          5
    ├── ToolMissing              5
    ├── TargetBusy               5   another run holds the target
    ├── NotVisibleYet            5   AWS does not show yet what it was told; a resume looks again
    └── AwsError                 5   what was tried, AWS's code, AWS's words
        ├── CredentialsMissing
        ├── CredentialsExpired
        ├── SsoLoginNeeded
        ├── AccessDenied             which action
        ├── AwsNotFound
        ├── Throttled
        ├── NetworkUnreachable       connection, DNS, proxy, time-out: the call may or may not have been carried out
        ├── ClockSkew
        ├── AwsFault                 AWS answered 5xx: the call may or may not have been carried out
        ├── UnexpectedAnswer         something else than AWS documents: the call may or may not have been carried out
        └── AwsRefused               any other refusal by AWS (4xx)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_GATE_REFUSED = 3
EXIT_INTERRUPTED = 4
EXIT_PREREQUISITE = 5


class InfraconsoleError(Exception):
    """Base of all our errors: `title` names the thing, `cause` the reason, `mend` what to do next (either may be empty)."""

    exit_code = EXIT_FAILED

    def __init__(self, title: str, *, cause: str = "", mend: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.cause = cause
        self.mend = mend

    def __str__(self) -> str:
        return "\n".join(part for part in (self.title, self.cause, self.mend) if part)


class UsageError(InfraconsoleError):
    exit_code = EXIT_USAGE


class UnknownName(UsageError):
    """`name` is no known `kind`; says what exists instead and which of those was probably meant."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "", mend: str = "") -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1)
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        guess = f" Did you mean {close[0]}?" if close else ""
        super().__init__(
            f"There is no {kind} {name!r}{' ' + where if where else ''}.",
            cause=f"Known: {shown}.{guess}" if names else f"No {kind} is known.",
            mend=mend,
        )
        self.kind = kind
        self.name = name
        self.known = tuple(names)


class OtherTool(UsageError):
    """A runbook cannot do this for its target, and no retry changes that: `mend` names what does."""


class ConfigError(UsageError):
    pass


class GateRefused(InfraconsoleError):
    exit_code = EXIT_GATE_REFUSED


class Interrupted(InfraconsoleError):
    exit_code = EXIT_INTERRUPTED


class StepFailed(InfraconsoleError):
    pass


class HeldUp(StepFailed):
    """Something outside of the run is in its way: a lock, a state that is stored nowhere. A run that has begun goes on once that
    is gone."""


class JournalError(InfraconsoleError):
    pass


class TerraformError(InfraconsoleError):
    """A terraform command that did not do what it was asked for.

    `command` is its arguments, `code` the return code (None where nobody saw it end), `words` the end of what it said.
    """

    def __init__(
        self, title: str, *, command: Iterable[str] = (), code: int | None = None, words: str = "", mend: str = ""
    ) -> None:
        self.command = tuple(command)
        self.code = code
        self.words = words
        ended = f"{' '.join(self.command)} ended with code {code}." if code is not None and self.command else ""
        super().__init__(title, cause="\n".join(part for part in (ended, words) if part), mend=mend)


class TerraformHeldUp(TerraformError, HeldUp):
    """Terraform could not begin, by what stands in the way of other runs as well: the lock, or the digest."""


class PrerequisiteMissing(InfraconsoleError):
    exit_code = EXIT_PREREQUISITE


class ToolMissing(PrerequisiteMissing):
    pass


class TargetBusy(PrerequisiteMissing):
    pass


class NotVisibleYet(PrerequisiteMissing):
    """AWS does not show yet whether something was done: a run that ends with it is resumed, and looks again."""


class NotSent(PrerequisiteMissing):
    """A call was held up on this machine until what it rests on was old, and was not sent: a run that ends with it is resumed, and
    looks again."""


class AwsError(PrerequisiteMissing):
    """An AWS call that did not succeed.

    `operation` is `service:Operation` as IAM writes it, `code` AWS's error code ("" where no answer came), `words` AWS's
    own message, whole. `maybe_done` is true where the call may have been carried out although no success was seen. `profile` is
    whose credentials it was to be signed with, None where no profile was named.
    """

    maybe_done = False
    profile: str | None = None

    def __init__(self, title: str, *, operation: str, code: str = "", words: str = "", mend: str = "") -> None:
        answer = f"{code}: {words}" if code and words else code or words
        super().__init__(title, cause=f"{operation} answered {answer}" if answer else f"{operation} failed", mend=mend)
        self.operation = operation
        self.code = code
        self.words = words


class CredentialsMissing(AwsError):
    pass


class CredentialsExpired(AwsError):
    pass


class SsoLoginNeeded(CredentialsExpired):
    pass


class AccessDenied(AwsError):
    pass


class AwsNotFound(AwsError):
    pass


class Throttled(AwsError):
    pass


class NetworkUnreachable(AwsError):
    maybe_done = True


class ClockSkew(AwsError):
    pass


class AwsFault(AwsError):
    maybe_done = True


class UnexpectedAnswer(AwsError):
    maybe_done = True


class AwsRefused(AwsError):
    pass
