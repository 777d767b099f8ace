"""What earlier commands from here have left of a root module, from the records that they keep in the runs' folders: Terraform's
own state tells only that something is not as it was, and not why.

Of an apply that has ended, one small file in its record says all that later runs need (`DIGEST`); its output is read only where
nobody came to write that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from infraconsole.runbooks.terraform_root import RESTORED_FILE, Root, write_private
from infraconsole.terraform import events, past_commands, runner
from infraconsole.terraform.runner import Each, Ended
from infraconsole.terraform.tail import Tail

RECENT = 10
"""How many applies are looked at: what an older one left, somebody has found by now."""
DIGEST = "digest.json"
"""`ended`: by address, whether the apply finished what it did there; `read_back`: the state was compared with what it did."""


def unfinished(runs: Path, root: Root) -> tuple[str, ...]:
    """The addresses on which an apply of this root from here failed, or was at work when it ended, and that no later one has
    finished. `runs` is the folder of all runs."""
    ended: dict[str, bool] = {}
    for record in _recent(runs, root):
        digest = _digest(record)
        ended = (_ended(record) if digest is None else digest["ended"]) | ended
    return tuple(address for address, well in ended.items() if not well)


def note_read_back(record: Path) -> None:
    """Keep what later runs need of an apply that has ended, and whose state was read back."""
    write_private(record / DIGEST, json.dumps({"ended": _ended(record), "read_back": True}).encode())


def unread(runs: Path, root: Root) -> tuple[Path, ...]:
    """The records of applies that have ended and whose state nobody has read back, the oldest first."""
    found = [record for record in _recent(runs, root) if _digest(record) is None]
    return tuple(record for record in reversed(found) if _has_ended(record))


def replayed(record: Path, each: Each) -> Ended | None:
    """How the command ended, with all it said given to `each`; None where nobody saw how."""
    running = runner.Running(record)
    try:
        running.wait(each)
        return running.ended()
    except runner.Lost:
        return None


def is_put_back(runs: Path, root: Root) -> bool:
    """Whether an earlier version of the state was put back, and nothing applied since: then it is the state that is not what AWS
    has, and nobody need have changed anything."""
    for record in records(runs, root, "apply", "state-push"):
        running = runner.Running(record)
        is_rollback = Path(running.command[-1]).name == RESTORED_FILE
        if not (is_rollback and _has_failed(running)):
            return is_rollback
    return False


def _has_failed(running: runner.Running) -> bool:
    try:
        return bool(running.poll())
    except runner.Lost:  # the run itself finds out whether it was stored
        return False


def _has_ended(record: Path) -> bool:
    """False too for one that never began."""
    running = runner.Running(record)
    try:
        return running.pid != 0 and running.poll() is not None
    except runner.Lost:
        return True


def records(runs: Path, root: Root, *names: str) -> Iterator[Path]:
    """Of the commands of these names, newest first."""
    return past_commands.records(runs, root.folder, root.terraform.environ, *names)


def _recent(runs: Path, root: Root) -> list[Path]:
    return list(islice(records(runs, root, "apply"), RECENT))


def _digest(record: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((record / DIGEST).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("ended"), dict) else None


def _ended(record: Path) -> dict[str, bool]:
    """By address, whether the apply finished what it did there. What was destroyed and not made again may have been destroyed for
    its replacement: then it did not."""
    ended: dict[str, bool] = {}
    made: set[str] = set()
    tail = Tail(runner.Running(record).stdout)
    while lines := tail.new(True):
        for line in lines:
            match events.parse(line):
                case events.Apply(action="read"):
                    pass
                case events.ApplyComplete(resource=resource, action=action):
                    if action != "delete":
                        made.add(resource.address)
                    ended[resource.address] = resource.address in made
                case events.ApplyStart(resource=resource) | events.ApplyErrored(resource=resource):
                    ended[resource.address] = False
    return ended
