"""What applies made and no state has: kept as a follow-up of the state, shown before every later apply on it, and closed by
itself as soon as the stored state has it.

A follow-up and no file of the run's, since the journal outlives the folders of runs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from infraconsole.engine.gate import ERROR, WARNING
from infraconsole.engine.runbook import OpenFollowUp, StepContext, command_line
from infraconsole.runbooks.recovery import run_line
from infraconsole.runbooks.terraform_root import Root
from infraconsole.terraform import commands
from infraconsole.terraform.claims import Stray
from infraconsole.terraform.inventory import Inventory

_FOLLOW_UP = "in-no-state-"
"""Before the run whose apply it was: another one may find what that left."""
_SHOWN = 20
_HINTS = (
    "Some types are imported by another text than their id: the provider's documentation says which.",
    "Where the state has another object at the address, only one of the two can stay there.",
)


def place_of(root: Root) -> str:
    """Where the state is, as the follow-up keeps it: folders and names of services change, and two environments share a folder."""
    return f"s3://{root.state.bucket}/{root.state.key}" if root.state else str(root.data)


def keep(context: StepContext, root: Root, strays: Sequence[Stray], run: str) -> None:
    """Open or renew the follow-up of what an apply of `run` made, together with what an earlier apply of it left."""
    id_ = f"{_FOLLOW_UP}{run}"
    kept = [each for known in context.open_strays(place_of(root)) if known.id == id_ for each in known.strays]
    together = tuple(dict.fromkeys((*kept, *strays)))
    if len(together) == len(kept):
        return
    context.keep_strays(
        id_,
        f"Bring back into the state of {context.target.name} what the apply of run {run} left in none",
        detail="\n".join(detail_lines(context, root, together, run)),
        place=place_of(root),
        strays=together,
    )


def review(context: StepContext, root: Root, stored: bytes) -> tuple[OpenFollowUp, ...]:
    """Those that are open still, each with what the stored state does not have yet. What it has is recorded as done.
    Raises StateUnreadable."""
    known_ones = context.open_strays(place_of(root))
    if not known_ones:
        return ()
    inventory, left = Inventory(stored), []
    for known in known_ones:
        missing = tuple(each for each in known.strays if not inventory.knows(each))
        if not missing:
            found = ", ".join(each.address for each in known.strays[:_SHOWN])
            context.close_follow_up(known, f"the stored state, serial {inventory.serial}, has {found}")
            context.note(f"What the apply of run {made_by(known)} left in no state is in the state by now: {found}.")
            for each in known.strays:
                if each.cut_off:
                    context.note(
                        f"{each.address} is in the state by now. If run {made_by(known)} made one as well before it was cut off, "
                        "that one is in no state: look for it.",
                        warning=True,
                    )
            continue
        left.append(OpenFollowUp(known.title, known.detail, known.run, known.id, missing))
    return tuple(left)


def gate_lines(
    context: StepContext, root: Root, left: Sequence[OpenFollowUp], to_be_made: Collection[str]
) -> list[str]:
    """For the gate of an apply. What the plan is about to make a second time is wrong, as a review would say it."""
    lines: list[str] = []
    for known in left:
        for stray in known.strays[:_SHOWN]:
            again = not stray.cut_off and stray.address in to_be_made
            parts = [sentence(stray, made_by(known)), "This plan makes another one." if again else ""]
            parts.append(import_command(context, root, stray) if stray.id else "")
            lines.append(f"{ERROR if again else WARNING}{' '.join(filter(None, parts))}")
        if (rest := len(known.strays) - _SHOWN) > 0:
            lines.append(f"{WARNING}… and {rest:,} more of run {made_by(known)}: infraconsole journal lists them")
    return lines


def sentence(stray: Stray, run: str) -> str:
    named = f"{stray.type}, {f'id {stray.id}' if stray.id else 'no id known'}"
    if stray.cut_off:
        there = ", ".join(filter(None, stray.before))
        old = f" What the state had there before (id {there}) is not it." if there else ""
        begun = f"{stray.address} ({named}) was being made by run {run} when it was cut off"
        return f"{begun}: it may exist, and is in no state.{old}"
    by = f"an apply that ran at the same time as run {run}" if stray.by_another else f"run {run}"
    return f"{stray.address} ({named}) was made by {by}, and is in no state."


def made_by(known: OpenFollowUp) -> str:
    return known.id.removeprefix(_FOLLOW_UP)


def detail_lines(context: StepContext, root: Root, strays: Sequence[Stray], run: str) -> list[str]:
    """What is missing, and how a person brings it back: by commands, or by blocks in the code."""
    lines = [sentence(each, run) for each in strays]
    if named := [each for each in strays if each.id]:
        lines += ["By commands:", *(import_command(context, root, each) for each in named)]
        lines += ["Or by blocks in the code:", *(import_block(each) for each in named), *_HINTS]
    dismiss = f"{run_line(context, 'strays-dismiss')} --set run={run}"
    return [*lines, f"Where it is gone, or is to stay out of this state: {dismiss}"]


def import_command(context: StepContext, root: Root, stray: Stray) -> str:
    return command_line(root.by_hand(commands.import_(stray.address, stray.id, var_files=root.var_files)))


def import_block(stray: Stray) -> str:
    quoted = json.dumps(stray.id, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    return f"import {{\n  to = {stray.address}\n  id = {quoted}\n}}"
