"""What git says of a repository: the commit that a plan is made from, and the one that was current at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from infraconsole import programs, text

SECONDS = 20.0


@dataclass(frozen=True)
class Commit:
    """`id` is "" where the folder lies in no repository, or git is not there. `dirty` are the changed files, at most twenty.
    `ahead` and `behind` count the commits that its upstream lacks, and that it lacks of its upstream's, as last fetched."""

    id: str = ""
    branch: str = ""
    subject: str = ""
    at: str = ""
    dirty: tuple[str, ...] = ()
    ahead: int = 0
    behind: int = 0

    @property
    def short(self) -> str:
        return self.id[:10] or "no commit"


def current(folder: Path) -> Commit:
    """The commit that is checked out there, and which of the folder's files differ from it."""
    said = _git(folder, "log", "-1", "--format=%H%x00%s%x00%cI")
    if said is None:
        return Commit()
    id_, subject, at = (*said.split("\0"), "", "")[:3]
    branch = (_git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "").strip()
    dirty = (_git(folder, "status", "--porcelain", "--", ".") or "").splitlines()
    counted = (_git(folder, "rev-list", "--left-right", "--count", "@{upstream}...HEAD") or "0 0").split()
    behind, ahead = (
        (int(each) for each in counted) if len(counted) == 2 and all(map(str.isdecimal, counted)) else (0, 0)
    )
    return Commit(id_, branch, subject, at.strip(), tuple(dirty[:20]), ahead, behind)


def name(folder: Path) -> str:
    """The commit as it is bound to an approval: another file that changes makes it another one. One call, since it is asked for
    between what was approved and what is done."""
    said = (_git(folder, "status", "--porcelain=v2", "--branch", "--", ".") or "").splitlines()
    id_ = next((line.split()[-1] for line in said if line.startswith("# branch.oid ")), "")
    known = id_ if id_ and not id_.startswith("(") else "no commit"
    return f"{known}{'' if all(line.startswith('#') for line in said) else ' with changed files'}"


def at(folder: Path, moment: datetime) -> Commit:
    """The newest commit of the current branch that is not younger than `moment`."""
    said = _git(folder, "log", "-1", f"--before={text.utc(moment)}", "--format=%H%x00%s%x00%cI")
    if not said or not said.strip():
        return Commit()
    id_, subject, when = (*said.split("\0"), "", "")[:3]
    return Commit(id_, "", subject, when.strip())


def _git(folder: Path, *arguments: str) -> str | None:
    """What it prints; None where it cannot say."""
    command = ("git", "--no-optional-locks", "-C", str(folder), "--no-pager", *arguments)
    try:
        said = programs.ask(command, seconds=SECONDS)
    except (OSError, ValueError, programs.Unheard):
        return None
    return None if said.code else said.output.decode(errors="replace")
