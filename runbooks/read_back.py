"""What is stored after an apply, compared with what Terraform said that it did: an exit code says that Terraform ended well,
and only the stored state says what it knows from now on.

An apply may end without its state being stored (killed, out of memory), and another one that ran at the same time may have stored
its own over it. Both leave things that exist and that no state has; each is named here with its type, address and id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infraconsole.engine.runbook import StepContext
from infraconsole.runbooks import cut_off, state_history
from infraconsole.runbooks.state_history import History, Version
from infraconsole.runbooks.terraform_root import Root, stored_state
from infraconsole.terraform.claims import Claim, Claims, Stray
from infraconsole.terraform.expected import NOTHING_EXPECTED, Expectations
from infraconsole.terraform.inventory import Inventory, Object, place_of, twins_of

_NAMED = 10


@dataclass(frozen=True)
class ReadBack:
    """`before` is the serial that the plan was made from, `serial` the stored one. `strays` are in no state; `still_there` are
    addresses whose object was destroyed, and the stored state has it. `overwritten` are versions that the next one was not made
    from, `undone` what such a version had changed and the stored one has not. `stored_since`: what was applied was stored, and
    somebody has changed some of it since."""

    before: int
    serial: int
    other: str = ""
    """Why what is stored is another state than the plan was made from."""
    strays: tuple[Stray, ...] = ()
    still_there: tuple[str, ...] = ()
    overwritten: tuple[Version, ...] = ()
    undone: tuple[str, ...] = ()
    stored_since: tuple[str, ...] = ()
    unsure: tuple[Stray, ...] = ()
    """What was changed, and the stored state may not know it: it is no newer than the plan, or has the old values."""
    left: tuple[str, ...] = ()
    """What errored.tfstate has, which the apply could not store."""
    being_changed: tuple[str, ...] = ()
    """Addresses of which a change was begun and no end was told."""

    @property
    def is_whole(self) -> bool:
        """Whether the state knows all that was done."""
        missing = self.strays or self.still_there or self.overwritten or self.left or self.being_changed
        return not (self.other or missing or self.unsure)

    def sentences(self) -> tuple[str, ...]:
        """What is not as it should be, the worst first; or that all is."""
        sure = [each for each in self.strays if not (each.cut_off or each.by_another)]
        others = [each for each in self.strays if each.by_another]
        unsure = [each.address for each in self.strays if each.cut_off]
        told = [
            (self.other, self.other),
            (
                self.overwritten,
                f"Two applies stored at the same time: the next state was not made from {_versions(self.overwritten)}",
            ),
            (sure, f"Made, and in no state: {_listed(map(_named, sure))}"),
            (others, f"Made by the other apply, and in no state: {_listed(map(_named, others))}"),
            (unsure, f"Was being made, may exist, and is in no state: {_listed(unsure)}"),
            (
                self.being_changed,
                f"Was being changed or destroyed, and the stored state may not say what it is now: {_listed(self.being_changed)}",
            ),
            (self.left, f"Not in the stored state, and in errored.tfstate: {_listed(self.left)}"),
            (self.still_there, f"Destroyed, and still in the state: {_listed(self.still_there)}"),
            (self.unsure, f"Changed, and the stored state may not know it: {_listed(map(_named, self.unsure))}"),
            (
                self.undone,
                f"Changed by the one that was taken away, as the stored state does not know: {_listed(self.undone)}",
            ),
        ]
        found = tuple(f"{words}." for is_so, words in told if is_so)
        return (*found, f"The stored state: {self.moved}.")

    @property
    def moved(self) -> str:
        """From which serial to which."""
        if self.serial == self.before:
            return f"serial {self.serial}, as before the apply"
        back = ", which is older than before the apply" if self.serial < self.before else ""
        return f"serial {self.before} → {self.serial}{back}"


def read_back(
    context: StepContext,
    root: Root,
    plan: Mapping[str, Any],
    claims: Claims,
    *,
    ended_by_itself: bool,
    expected: Expectations = NOTHING_EXPECTED,
    folder: Path | None = None,
) -> ReadBack:
    """`plan` is the result of the step that made the plan, `expected` what it says of the state, `folder` the run's whose apply it
    was; `ended_by_itself`: Terraform came to an end of its own, so that it stored what it knew of what failed. Raises AwsError,
    StateUnreadable, TerraformError."""
    bound = plan["bound"]
    stored = Inventory(stored_state(context, root) or b"")
    still_there = [claim.resource.address for claim in claims.gone if stored.still_holds(claim)]
    history = state_history.since(context, root, plan.get("version", ""), bound["serial"])
    earlier = [stored] if stored.serial == bound["serial"] else []
    if not claims.is_empty and history is not None and history.base:
        earlier.append(state_history.inventory(context, history.base))
    twins = twins_of(claims.there, earlier)
    strays = [_stray(claim, twins[claim]) for claim in claims.there if not stored.holds(claim, twins[claim])]
    stored_since: tuple[str, ...] = ()
    overwritten: tuple[Version, ...] = ()
    undone: tuple[str, ...] = ()
    if history is not None and not history.is_one_line:
        overwritten = history.overwritten
        taken, undone = _taken_away(context, history, stored)
        strays = list({(each.address, each.id): each for each in (*taken, *strays)}.values())
    elif history is not None and (strays or still_there) and _was_stored(context, history, claims, twins):
        stored_since = (*(each.address for each in strays), *still_there)
        strays, still_there = [], []
    begun = claims.being_made if ended_by_itself else (*claims.being_made, *claims.failed_to_be_made)
    strays += cut_off.strays(begun, stored, earlier, folder)
    other = _other(stored, bound["lineage"])
    told = {*(each.address for each in strays), *still_there, *undone, *stored_since}
    unsure = () if other else _unsure(context, claims, expected, stored, bound["serial"], history)
    named = [_stray(each) for each in dict.fromkeys(unsure) if each.resource.address not in told]
    if not other and claims.is_finished and stored.serial <= bound["serial"]:
        named += [Stray(f"output.{name}", "") for name in expected.outputs]
    return ReadBack(
        bound["serial"],
        stored.serial,
        other,
        tuple(strays),
        tuple(still_there),
        overwritten,
        undone,
        stored_since,
        tuple(named),
        being_changed=() if ended_by_itself else tuple(each.resource.address for each in claims.being_changed),
    )


def _unsure(
    context: StepContext,
    claims: Claims,
    expected: Expectations,
    stored: Inventory,
    before: int,
    history: History | None,
) -> tuple[Claim, ...]:
    """What was changed, and the stored state may not know.

    Terraform counts the serial up with every state that differs from the stored one. Where it is not higher, only an update whose
    new values are stored all the same is known to have changed nothing: of something that was put back to what the state had.
    """
    if stored.serial <= before:
        return tuple(each for each in claims.done if not _is_met(expected, each, stored))
    missed = tuple(each for each in claims.done if _is_missed(expected, each, stored))
    if not missed:
        return ()
    # A state that has some of a finished apply has all of it, as does one that was made from such a state. What is as it was then
    # did not change: AWS keeps some values as they are, whatever it is asked for, and the plan shows them each time.
    if claims.is_finished and any(_is_known(expected, each, stored) for each in claims.done):
        return ()
    if history is not None and history.is_one_line and history.since:
        later = (state_history.inventory(context, version) for version in reversed(history.since))
        if any(not any(_is_missed(expected, each, one) for each in missed) for one in later):
            return ()  # it was stored, and somebody has changed it back since
    return missed


def _is_met(expected: Expectations, claim: Claim, stored: Inventory) -> bool:
    wanted, there = expected.updates.get(place_of(claim)), stored.at(place_of(claim))
    return claim.action == "update" and wanted is not None and there is not None and wanted.is_met_by(there)


def _is_missed(expected: Expectations, claim: Claim, stored: Inventory) -> bool:
    wanted, there = expected.updates.get(place_of(claim)), stored.at(place_of(claim))
    return claim.action == "update" and wanted is not None and there is not None and wanted.is_missed_by(there)


def _is_known(expected: Expectations, claim: Claim, stored: Inventory) -> bool:
    """Whether the state has it as only this apply made it."""
    if claim.action == "create":
        return bool(claim.id) and stored.holds(claim)
    return _is_met(expected, claim, stored)


def _other(stored: Inventory, lineage: str) -> str:
    if not lineage or stored.lineage == lineage:
        return ""
    if not stored.serial:
        return "Nothing is stored any more"
    return f"The stored state is another one: its lineage is {stored.lineage}, the plan's {lineage}"


def _stray(claim: Claim, twins: Collection[str] = frozenset()) -> Stray:
    return Stray(claim.resource.address, claim.resource.type, claim.id, twins=tuple(sorted(twins)))


def _was_stored(context: StepContext, history: History, claims: Claims, twins: Mapping[Claim, Collection[str]]) -> bool:
    """Whether a state that was stored since the plan had all of it: then what came later was made from that one, on purpose."""
    for version in reversed(history.since):
        found = state_history.inventory(context, version)
        if all(found.holds(each, twins[each]) for each in claims.there) and not any(
            map(found.still_holds, claims.gone)
        ):
            return True
    return False


def _taken_away(context: StepContext, history: History, stored: Inventory) -> tuple[list[Stray], tuple[str, ...]]:
    """What states had that were stored since the plan, and the stored one has not: objects, and addresses of changed ones."""
    base = state_history.inventory(context, history.base) if history.base else Inventory(b"")
    strays: dict[tuple[str, ...], Stray] = {}
    undone: dict[str, None] = {}
    for version in history.since:
        found = state_history.inventory(context, version)
        for each in found.added_to(base):
            stray = each.as_stray(by_another=True)
            if not _is_there(stored, each, stray):
                strays[(each.type, each.id or each.address, each.provider, each.arn)] = stray
        changed = found.changed_from(base)
        undone |= dict.fromkeys(each.address for each in changed if stored.has_as_it_was(each, base))
    return list(strays.values()), tuple(undone)


def _is_there(stored: Inventory, each: Object, stray: Stray) -> bool:
    return stored.knows(stray) if stray.id else stored.has_place(each.place)


def _named(stray: Stray) -> str:
    if not stray.type:  # an output
        return stray.address
    return f"{stray.address} ({stray.type}, {f'id {stray.id}' if stray.id else 'no id known'})"


def _versions(versions: Sequence[Version]) -> str:
    return _listed(f"version {each.id} (serial {each.serial})" for each in versions)


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED:,} more" if len(listed) > _NAMED else ""
    return f"{', '.join(listed[:_NAMED])}{more}"
