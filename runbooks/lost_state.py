"""A state that an apply could store nowhere, neither in the backend nor as errored.tfstate: Terraform prints it as its last resort.

It is taken out of the recorded output and becomes the errored.tfstate that Terraform could not write, so that everything waits
for it and `state-recover` takes over, as if Terraform had written it.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from infraconsole import files
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import HeldUp
from infraconsole.runbooks import earlier_applies
from infraconsole.runbooks.terraform_root import Root, write_private
from infraconsole.terraform import backend, supervise
from infraconsole.terraform.state import StateTooNew, StateUnreadable, dumped, summary

COPY = "lost.tfstate"
"""In the folder of the command's record, where it cannot become errored.tfstate."""
_DONE = "lost.tfstate.kept"


def keep(root: Root, stdout: Path) -> Path | None:
    """Where the state stands from now on that an apply printed to `stdout`: errored.tfstate, a copy in the run's folder, or that
    output alone. None where it printed none, and where that became errored.tfstate already: it may have been put away since."""
    record = stdout.parent
    try:
        body = None if (record / _DONE).exists() else dumped(files.read(stdout, files.MOST_STATE_BYTES))
    except OSError:
        return None
    if body is None:
        return None
    left = root.folder / backend.ERRORED_STATE
    if _written(left, body):
        _written(record / _DONE, b"")
        return left
    return record / COPY if _written(record / COPY, body) else stdout


def refuse(context: StepContext, root: Root) -> None:
    """Make errored.tfstate of what an apply of this or another run has left, where nobody came to that: killed, or the folder
    would not take it. Raises HeldUp where it still does not."""
    left = root.folder / backend.ERRORED_STATE
    for record in islice(earlier_applies.records(context.folder.parent, root, "apply"), earlier_applies.RECENT):
        kept = keep(root, record / supervise.STDOUT)
        if kept not in (None, left):
            raise HeldUp(
                f"{kept} holds a state that could not be stored.",
                cause=f"An apply changed things that the stored state does not know of, and {left} cannot be written.",
                mend=f"Make it possible to write {left}, and try again: it is written then, and state-recover pushes it.",
            )


def _written(file: Path, body: bytes) -> bool:
    """Whether it holds `body` now. A whole state that stands there is another apply's, and is left alone; what Terraform itself
    began to write there is none."""
    try:
        if file.exists():
            there = files.read(file, files.MOST_STATE_BYTES)
            if there == body or _is_state(there):
                return there == body
        write_private(file, body)
    except OSError:
        return False
    return True


def _is_state(body: bytes) -> bool:
    try:
        summary(body)
    except StateTooNew:  # nothing is wrong with it, as with one that OpenTofu has encrypted
        return True
    except StateUnreadable:
        return False
    return True
