"""Logging in to SSO by the AWS CLI, whose cache botocore reads: how it is run, what address and code it names, how it ended."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from infraconsole import programs
from infraconsole.aws.profiles import Renewal
from infraconsole.errors import Interrupted, PrerequisiteMissing

MOST_SECONDS = 15 * 60.0
"""For a login. AWS's codes hold for ten minutes."""
_URL = re.compile(r"https://[^\s\"'<>]+")
_CODE = re.compile(r"\s*([A-Z0-9]{4}-[A-Z0-9]{4})\s*")
_UNKNOWN_OPTION = re.compile(r"unknown option|unrecognized argument|no such option", re.IGNORECASE)
_NO_LOGIN = re.compile(r"invalid choice", re.IGNORECASE)
_KEPT_LINES = 200


@dataclass(frozen=True)
class Prompt:
    """What a person needs from the command's output; "" for what it has not said yet."""

    url: str = ""
    code: str = ""

    @property
    def only_here(self) -> bool:
        """Whether the browser has to run on this machine: the address leads back to it."""
        return "redirect_uri=http://127.0.0.1" in unquote(self.url)


def prompt_of(lines: Sequence[str]) -> Prompt:
    """The newest code, and the address that has it in it already, else the newest one."""
    code = next((found[1] for line in reversed(lines) if (found := _CODE.fullmatch(line))), "")
    urls = [found[0].rstrip(".,") for line in lines for found in _URL.finditer(line)]
    whole = [url for url in urls if code and code in url]
    return Prompt(next(reversed(whole or urls), ""), code)


def log_in(
    renewal: Renewal,
    tell: Callable[[Sequence[str]], None],
    *,
    stopped: Callable[[], bool],
    environ: Mapping[str, str] | None = None,
    seconds: float = MOST_SECONDS,
) -> None:
    """Returns once the command has ended well. Blocks for as long as the person needs, at most `seconds`. Raises Interrupted where
    `stopped` says so, else PrerequisiteMissing."""
    # An old AWS CLI opens a browser, whatever it is told: this one is there everywhere, and does nothing.
    here = {**(os.environ if environ is None else environ), "BROWSER": "true", "AWS_PAGER": ""}
    command, told = list(renewal.command), list[str]()

    def heard(lines: Sequence[str]) -> None:
        told.extend(lines)
        del told[:-_KEPT_LINES]
        tell(lines)

    while True:
        told.clear()
        tell([f"$ {shlex.join(command)}" if renewal.optional else f"$ {renewal.by_hand}"])
        code = _followed(command, heard, stopped, here, seconds)
        if code == 0:
            return
        unknown = _unknown(command, renewal.optional, told)
        if not unknown:
            raise _failure(renewal, code, told)
        command = [each for each in command if each not in unknown]


def _followed(
    command: Sequence[str],
    tell: Callable[[Sequence[str]], None],
    stopped: Callable[[], bool],
    environ: Mapping[str, str],
    seconds: float,
) -> int:
    try:
        return programs.follow(command, tell, seconds=seconds, stopped=stopped, environ=environ)
    except programs.Stopped:
        raise Interrupted("The login was cancelled.") from None
    except programs.Unheard as error:
        raise PrerequisiteMissing(
            f"The login was ended: it {error}.", cause=f"{command[0]} was still running."
        ) from None
    except OSError as error:
        raise PrerequisiteMissing(f"{command[0]} cannot be started.", cause=str(error.strerror or error)) from error


def _unknown(command: Sequence[str], optional: Sequence[str], told: Sequence[str]) -> set[str]:
    """The options that this program says it does not know."""
    complaints = [line for line in told if _UNKNOWN_OPTION.search(line)]
    return {each for each in optional if each in command and any(each in line for line in complaints)}


def _failure(renewal: Renewal, code: int, told: Sequence[str]) -> PrerequisiteMissing:
    if renewal.optional and any(_NO_LOGIN.search(line) for line in told):
        return PrerequisiteMissing(
            "This aws program cannot log in to SSO.",
            cause="The AWS CLI knows `aws sso login` from version 2 on.",
            mend="Install version 2, or put it first on the PATH. Its login, to run elsewhere:",
        )
    words = next((line.strip() for line in reversed(told) if line.strip()), "")
    how = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    return PrerequisiteMissing(f"The login failed ({how}).", cause=words)
