"""What was being made when an apply was cut off: it may exist, and its id is not known. What stood at its address before the
apply is not it, though a replacement leaves that in the state until the new object is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from infraconsole import files
from infraconsole.engine.kept_files import PLAN_DOCUMENT
from infraconsole.terraform import plan
from infraconsole.terraform.claims import NO_IDENTITY, Claim, Stray
from infraconsole.terraform.inventory import Inventory


def strays(
    cut_off: Iterable[Claim], stored: Inventory, earlier: Sequence[Inventory], folder: Path | None
) -> list[Stray]:
    """Those of `cut_off` that `stored` does not have. `earlier` are states from before the apply; `folder` is its run's, whose plan
    tells also of what a refresh found gone and of what the plan moves to the address."""
    begun = list(cut_off)
    planned = _planned(folder) if folder and begun else {}
    found = []
    for claim in begun:
        address = claim.resource.address
        before = {*planned.get(address, ()), *(id_ for each in earlier for id_ in each.ids_at(claim))}
        if before.issuperset(stored.ids_at(claim)):
            found.append(Stray(address, claim.resource.type, cut_off=True, before=tuple(sorted(before))))
    return found


def _planned(folder: Path) -> dict[str, set[str]]:
    """By address, the ids of what stood there, or was to be moved there, as the plan in `folder` says."""
    try:
        document = plan.read(files.read(folder / PLAN_DOCUMENT, files.MOST_STATE_BYTES))
    except (OSError, plan.PlanUnreadable):
        return {}
    found: dict[str, set[str]] = {}
    for change in (*document.changes, *document.drift):
        if not change.is_data and change.kind is not plan.Kind.CREATE:
            told = next((value for key in ("id", "name") if isinstance(value := change.before(key), str)), "")
            found.setdefault(change.address, set()).add("" if told in NO_IDENTITY else told)
    return found
