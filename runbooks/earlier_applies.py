"""What earlier commands from here have left of a root module, from the records that they keep in the runs' folders: Terraform's
own state tells only that something is not as it was, and not why."""

from __future__ import annotations

import json
from pathlib import Path

from infraconsole import files
from infraconsole.runbooks.terraform_root import RESTORED_FILE, Root
from infraconsole.terraform import events, runner
from infraconsole.terraform.tail import Tail

RECENT = 10
"""How many applies are looked at: what an older one left, somebody has found by now."""


def unfinished(runs: Path, root: Root) -> tuple[str, ...]:
    """The addresses on which an apply of this root from here failed, or was at work when it ended, and that no later one has
    finished. `runs` is the folder of all runs."""
    ended: dict[str, bool] = {}
    for record in records(runs, root, "apply")[:RECENT]:
        ended = _ended(record) | ended
    return tuple(address for address, well in ended.items() if not well)


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


def records(runs: Path, root: Root, *names: str) -> list[Path]:
    """Of the commands of these names, newest first."""
    found = []
    for file in (file for name in names for file in runs.glob(f"*/*-{name}/{runner.COMMAND}")):
        try:
            told = json.loads(files.read(file))
            # The environments of one root share its folder: what tells them apart is where `init` put its data.
            if (told["folder"], told["data_dir"]) == (str(root.folder), root.terraform.environ.get("TF_DATA_DIR")):
                found.append((file.stat().st_mtime_ns, file.parent))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [record for _, record in sorted(found, reverse=True)]


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
