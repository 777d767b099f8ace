"""What git says of a repository: the commit that a plan is made from, and the one that was current at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from infraconsole import text

SECONDS = 20.0


@dataclass(frozen=True)
class Commit:
    """`id` is "" where the folder lies in no repository, or git is not there. `dirty` are the changed files, at most twenty."""

    id: str = ""
    branch: str = ""
    subject: str = ""
    at: str = ""
    dirty: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        return self.id[:10] or "no commit"

    @property
    def name(self) -> str:
        """As bound to an approval: another file that changes makes it another one."""
        return f"{self.id or 'no commit'}{' with changed files' if self.dirty else ''}"


def current(folder: Path) -> Commit:
    """The commit that is checked out there, and which of the folder's files differ from it."""
    said = _git(folder, "log", "-1", "--format=%H%x00%s%x00%cI")
    if said is None:
        return Commit()
    id_, subject, at = (*said.split("\0"), "", "")[:3]
    branch = (_git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "").strip()
    dirty = (_git(folder, "status", "--porcelain", "--", ".") or "").splitlines()
    return Commit(id_, branch, subject, at.strip(), tuple(dirty[:20]))


def at(folder: Path, moment: datetime) -> Commit:
    """The newest commit of the current branch that is not younger than `moment`."""
    said = _git(folder, "log", "-1", f"--before={text.utc(moment)}", "--format=%H%x00%s%x00%cI")
    if not said or not said.strip():
        return Commit()
    id_, subject, when = (*said.split("\0"), "", "")[:3]
    return Commit(id_, "", subject, when.strip())


def _git(folder: Path, *arguments: str) -> str | None:
    """What it prints; None where it cannot say."""
    import sh

    try:
        command = sh.Command("git")
        done = command("-C", str(folder), "--no-pager", *arguments, _timeout=SECONDS, _tty_out=False, _in="")
    except (sh.CommandNotFound, sh.ErrorReturnCode, sh.TimeoutException, sh.ForkException):
        return None
    return str(done)
