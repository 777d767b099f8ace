"""Terraform's command lines as argument lists, without the program in front. Pure, so that what is shown to a person, what
is recorded and what is run is one and the same list.

`-no-color` everywhere and `-json` wherever Terraform has it. Nothing secret is ever an argument: every user of the
machine can read those. `-auto-approve`, `-lock=false` and `state push -force` are not to be had here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

LOCK_TIMEOUT_SECONDS = 30
"""Terraform's own default is not to wait at all."""

Arguments = tuple[str, ...]


def init(
    backend_config: Iterable[str] = (),
    *,
    upgrade: bool = False,
    lock_file_readonly: bool = False,
    lock_timeout_seconds: int = LOCK_TIMEOUT_SECONDS,
) -> Arguments:
    """`backend_config` are `name=value` pairs. Always `-reconfigure`: a state is never copied from one backend to another.

    `lock_file_readonly` fails rather than write new provider hashes into `.terraform.lock.hcl`. Where providers come
    from is left to the user's CLI configuration. Plain text: `init` has `-json` only from 1.9 on.
    """
    return (
        "init",
        "-no-color",
        "-input=false",
        "-reconfigure",
        *(("-lockfile=readonly",) if lock_file_readonly else ()),
        *(("-upgrade",) if upgrade else ()),
        _waiting(lock_timeout_seconds),
        *(f"-backend-config={pair}" for pair in backend_config),
    )


def validate() -> Arguments:
    return ("validate", "-no-color", "-json")


def fmt_check(*paths: Path, recursive: bool = True) -> Arguments:
    """Lists the files that are not formatted, and changes none; exit code 3 where there are any."""
    return (
        "fmt",
        "-no-color",
        "-check",
        "-list=true",
        "-write=false",
        *(("-recursive",) if recursive else ()),
        *map(_path, paths),
    )


def plan(
    out: Path,
    *,
    var_files: Iterable[Path] = (),
    variables: Mapping[str, str] | None = None,
    targets: Iterable[str] = (),
    refresh_only: bool = False,
    lock: bool = True,
    lock_timeout_seconds: int = LOCK_TIMEOUT_SECONDS,
) -> Arguments:
    """Exit code 0: nothing to change, 1: failed, 2: changes. `variables` win over `var_files`, the later over the former.
    Without `lock` it writes nothing at all to the backend, and may read a state that is being replaced."""
    return (
        "plan",
        "-no-color",
        "-json",
        "-input=false",
        "-detailed-exitcode",
        _waiting(lock_timeout_seconds) if lock else "-lock=false",
        *(("-refresh-only",) if refresh_only else ()),
        *(f"-var-file={_path(file)}" for file in var_files),
        *(f"-var={name}={value}" for name, value in (variables or {}).items()),
        *(f"-target={address}" for address in targets),
        f"-out={_path(out)}",
    )


def show_plan(file: Path) -> Arguments:
    return ("show", "-no-color", "-json", _path(file))


def apply(file: Path, *, lock_timeout_seconds: int = LOCK_TIMEOUT_SECONDS) -> Arguments:
    """Applies exactly that plan; there is no other apply here."""
    return ("apply", "-no-color", "-json", "-input=false", _waiting(lock_timeout_seconds), _path(file))


def output() -> Arguments:
    return ("output", "-no-color", "-json")


def state_pull() -> Arguments:
    """The stored state on standard output, which is secret; empty where there is none. Takes no lock.

    Encoded anew by this Terraform, and one line feed longer: equal in content to what is stored, not in bytes.
    """
    return ("state", "pull", "-no-color")


def state_push(file: Path, *, lock_timeout_seconds: int = LOCK_TIMEOUT_SECONDS) -> Arguments:
    """Refused by Terraform unless the file has the stored state's lineage and a newer serial."""
    return ("state", "push", "-no-color", _waiting(lock_timeout_seconds), _path(file))


def import_(address: str, id_: str, *, var_files: Iterable[Path] = ()) -> Arguments:
    """For a person: nothing is imported from here."""
    return ("import", *(f"-var-file={_path(file)}" for file in var_files), "--", address, id_)


def force_unlock(lock_id: str) -> Arguments:
    """`-force` only means that Terraform does not ask: whoever runs this has asked."""
    return ("force-unlock", "-no-color", "-force", "--", lock_id)


def version() -> Arguments:
    return ("version", "-json")


def by_hand(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """The line that a person types in the root module to do the same, with the data folder of the environment."""
    data_dir = environ.get("TF_DATA_DIR")
    prefix = f"TF_DATA_DIR={shlex.quote(data_dir)} " if data_dir else ""
    return prefix + shlex.join(["terraform", *arguments])


def _waiting(seconds: int) -> str:
    return f"-lock-timeout={seconds}s"


def _path(path: Path) -> str:
    """Absolute, so that no name can be taken for an option, and the working directory does not matter."""
    return str(path.absolute())


_READS_ONLY = frozenset(
    {"init", "validate", "fmt", "show", "version", "providers", "output", "get", "graph", "workspace"}
)


def writes(arguments: Sequence[str]) -> bool:
    """Whether a command may write to the backend, if only its lock. What is not known is taken to."""
    match tuple(arguments):
        case ("plan", *rest):
            return "-lock=false" not in rest
        case ("state", "pull" | "list" | "show", *_):
            return False
        case (command, *_):
            return command not in _READS_ONLY
    return False
