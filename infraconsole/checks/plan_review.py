"""What a person has to know of a plan before it is applied, as findings: pure, from the plan and the table of stateful types.

What the plan's JSON does not tell is not guessed: `prevent_destroy` is not in it (a plan against it fails instead).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from infraconsole.checks.costs import CostEffect, CostLine, CostTable, cost_effect
from infraconsole.checks.findings import Finding, Level, by_weight
from infraconsole.terraform.attributes import AttributeChange
from infraconsole.terraform.plan import Change, Kind, Plan

__all__ = ["CostEffect", "CostLine", "CostTable", "cost_effect", "images_brought", "review"]

_TASK = "aws_ecs_task_definition"
_SERVICE = "aws_ecs_service"
_MANY = 5
"""So many destroys at least, and more than half of what there is, look like the wrong state or the wrong variables."""

_PROTECTIONS: Mapping[str, tuple[Any, str]] = {
    "deletion_protection": (True, "deletion protection"),
    "deletion_protection_enabled": (True, "deletion protection"),
    "enable_deletion_protection": (True, "deletion protection"),
    "skip_final_snapshot": (False, "the final snapshot"),
    "force_destroy": (False, "the refusal to delete what is not empty"),
    "force_delete": (False, "the refusal to delete what is not empty"),
    "storage_encrypted": (True, "encryption of the storage"),
}
"""Attribute → the value that protects, and what it protects with."""

_WINDOWS: Mapping[str, str] = {
    "deletion_window_in_days": "a waiting time of {} days",
    "recovery_window_in_days": "a recovery window of {} days",
}


def review(
    plan: Plan,
    stateful: Mapping[str, str],
    *,
    expected_destroys: Collection[str] = (),
    running_images: Mapping[str, str] | None = None,
    image_tag: str = "",
    failed: Collection[str] = (),
    put_back: bool = False,
) -> tuple[Finding, ...]:
    """Errors first. `stateful`: type → what is lost (`stateful.load`). `expected_destroys`: addresses that the operator
    named, which then are no surprise; what is stateful stays an error all the same. `running_images`: container → image
    as AWS runs it now, None where nobody asked. `image_tag`: the tag that is to be deployed, "" where no image is. `failed`:
    addresses on which an earlier apply from here failed, so that what drifted there may be its own doing. `put_back`:
    the state was put back to an earlier version, so that AWS is ahead of it, and nobody need have changed anything."""
    findings = [
        *_whole(plan),
        *_dangers(plan, stateful),
        *_destroys(plan, stateful, expected_destroys),
        *_weakened(plan),
        *_forgotten(plan, stateful),
        *_unknown(plan),
        *_actions(plan),
        *_write_only(plan),
        *_images(plan, running_images, image_tag, failed, put_back),
        *(_ahead(plan) if put_back else _drift(plan, failed)),
        *_checks(plan),
    ]
    return by_weight(findings)


def _whole(plan: Plan) -> Iterator[Finding]:
    if plan.is_errored:
        yield Finding(
            "plan-errored", "error", "plan", "Terraform made this plan only in part: it ended in an error.", _REPLAN
        )
    elif plan.is_applyable is False and plan.totals().changing:
        yield Finding(
            "plan-not-applyable", "error", "plan", "Terraform says that this plan cannot be applied.", _REPLAN
        )
    if plan.is_complete is False:
        yield Finding(
            "plan-incomplete",
            "warning",
            "plan",
            "Not everything is in this plan: it was aimed at targets, or changes were put off.",
            "Make another plan, without targets, when this one is applied.",
        )
    existing = [each for each in plan.changes if not each.is_data and each.kind is not Kind.CREATE]
    destroyed = sum(each.kind is Kind.DESTROY for each in existing)
    if destroyed >= _MANY and destroyed * 2 > len(existing):
        yield Finding(
            "mass-destroy",
            "error",
            "plan",
            f"{destroyed:,} of {len(existing):,} objects are destroyed.",
            "Look whether workspace, state, variables and folder are the right ones.",
        )
    created = sum(each.kind is Kind.CREATE for each in plan.changes)
    if created and not existing and not plan.has_managed_before:
        yield Finding(
            "empty-state",
            "error",
            "plan",
            f"The state has no resources, so everything ({created:,}) is created.",
            "If this environment exists already, the state's bucket or key is wrong: do not apply.",
        )


_REPLAN = "Mend what the plan's output says and make another plan; this one is not to be applied."


def _dangers(plan: Plan, stateful: Mapping[str, str]) -> Iterator[Finding]:
    for change, lost in plan.dangerous(stateful):
        if change.kind is Kind.OTHER:
            yield Finding(
                "unknown-action",
                "error",
                change.address,
                f"Terraform would do {' and '.join(change.actions) or 'something'}, which this console does not know.",
                "Look at terraform show PLAN before anything else.",
            )
        elif lost and change.deposed:
            yield Finding(
                "stateful-deposed",
                "error",
                change.address,
                f"What is left of an earlier replacement ({change.deposed}) is destroyed. This loses {lost}.",
            )
        elif lost:
            what = "destroyed" if change.kind is Kind.DESTROY else "replaced"
            why = _why(change)
            protection = _protection(change)
            yield Finding(
                f"stateful-{what}",
                "error",
                change.address,
                f"It is {what}{f': {why}' if why else ''}. This loses {lost}.{protection}",
                _mend(change),
            )


def _why(change: Change) -> str:
    if not change.forced_by:
        return change.reason
    return f"{', '.join(change.forced_by)} cannot be changed in place"


def _mend(change: Change) -> str:
    if change.kind is Kind.REPLACE and change.forced_by:
        return f"Leave {', '.join(change.forced_by)} as it is, or move the data first."
    if change.reason_code in ("delete_because_no_resource_config", "delete_because_no_module"):
        return "If it only has another name now, say so with a moved block; if it is to stay, with a removed block."
    return "Take a backup that can be restored, and have somebody else look at it, before this is applied."


def _protection(change: Change) -> str:
    """What stands between the apply and the loss, as a sentence or two; "" where the plan does not say."""
    said = []
    for name, (protecting, words) in _PROTECTIONS.items():
        value = change.before(name)
        if not isinstance(value, bool) or name == "storage_encrypted":
            continue
        if value is protecting and protecting is True:
            said.append(f"{words[:1].upper()}{words[1:]} is on: AWS refuses until it is off.")
        elif value is protecting:
            said.append(f"{words[:1].upper()}{words[1:]} is kept ({name} is {str(value).lower()}).")
        else:
            said.append(f"Nothing holds it back: {name} is {str(value).lower()}.")
    for name, words in _WINDOWS.items():
        days = change.before(name)
        if isinstance(days, int) and not isinstance(days, bool):
            said.append(f"There is {words.format(days)}." if days else f"There is no way back: {name} is 0.")
    return "".join(f" {sentence}" for sentence in dict.fromkeys(said))


def _destroys(plan: Plan, stateful: Mapping[str, str], expected: Collection[str]) -> Iterator[Finding]:
    """Destroys of what holds nothing: still a surprise unless they were asked for. Replacements are told by their cause."""
    for change in plan.changes:
        if change.is_data or not change.destroys or change.type in stateful:
            continue
        if change.kind is Kind.DESTROY:
            is_expected = change.address in expected or bool(change.deposed)
            reason = f": {change.reason}" if change.reason else ""
            yield Finding(
                "destroyed" if is_expected else "unexpected-destroy",
                "info" if is_expected else "warning",
                change.address,
                f"It is destroyed{reason}.",
                "" if is_expected else _mend_destroy(change),
            )
        elif change.replace_paths and all(change.is_unknown(str(path[0])) for path in change.replace_paths if path):
            yield Finding(
                "replaced-for-unknown",
                "warning",
                change.address,
                f"It is replaced only because {', '.join(change.forced_by)} is not known before apply.",
                "Apply what the value comes from first; perhaps it turns out to be the same.",
            )
        else:
            why = _why(change)
            yield Finding("replaced", "info", change.address, f"It is replaced{f': {why}' if why else ''}.")


def _mend_destroy(change: Change) -> str:
    if change.reason_code == "delete_because_no_resource_config":
        return "If it was only renamed, say so with a moved block, and it stays."
    if change.reason_code in ("delete_because_count_index", "delete_because_each_key"):
        return "Look whether the variable that count or for_each reads is the right one for this environment."
    return "Look whether the code is on the right branch and the variables are those of this environment."


def _weakened(plan: Plan) -> Iterator[Finding]:
    for change in plan.changes:
        if change.kind is not Kind.UPDATE or change.is_data:
            continue
        for name, (protecting, words) in _PROTECTIONS.items():
            if change.before(name) is protecting and change.after(name) is (not protecting):
                yield Finding(
                    "protection-removed",
                    "warning",
                    change.address,
                    f"It loses {words}: {name} becomes {str(change.after(name)).lower()}.",
                    "Meant as the step before a destroy? Then say so; otherwise leave it.",
                )
        kept, keeps = change.before("backup_retention_period"), change.after("backup_retention_period")
        if isinstance(kept, int) and isinstance(keeps, int) and kept > 0 and keeps == 0:
            yield Finding(
                "protection-removed",
                "warning",
                change.address,
                "It loses its automated backups: backup_retention_period becomes 0, and those there are go at once.",
                "Keep at least one day.",
            )


def _forgotten(plan: Plan, stateful: Mapping[str, str]) -> Iterator[Finding]:
    for change in plan.changes:
        if change.forgets:
            level: Level = "warning" if change.type in stateful else "info"
            message = "Terraform forgets it: it stays in AWS, costs on, and is managed by nobody."
            yield Finding("forgotten", level, change.address, message)


def _unknown(plan: Plan) -> Iterator[Finding]:
    for deferred in plan.deferred:
        yield Finding(
            "unknown-at-plan",
            "warning",
            deferred.change.address,
            f"It is not in this plan: {deferred.reason}.",
            _REPLAN_LATER,
        )

    for name in plan.unknown_parts:
        yield Finding(
            "unknown-part",
            "error",
            "plan",
            f"The plan has a part {name!r}, which this console does not know, or not in that form: what it does is not shown here.",
            "Look at terraform show PLAN before anything else, and use a newer infraconsole.",
        )


def _actions(plan: Plan) -> Iterator[Finding]:
    for action in plan.actions:
        yield Finding(
            "action-invoked",
            "warning",
            action.address,
            f"It is invoked {action.when}. An action is in no state: no later plan shows it, and a rollback does not undo it.",
        )
    for action in plan.deferred_actions:
        yield Finding(
            "unknown-at-plan", "warning", action.address, f"It is not in this plan: {action.deferred}.", _REPLAN_LATER
        )


def _write_only(plan: Plan) -> Iterator[Finding]:
    for address, names in plan.write_only().items():
        yield Finding(
            "write-only-sent",
            "info",
            address,
            f"{', '.join(names)} is sent and stored nowhere: neither this plan nor the state can show what it is.",
        )


_REPLAN_LATER = "Apply this plan, then make another one and read that as carefully."


def _images(
    plan: Plan, running: Mapping[str, str] | None, image_tag: str, failed: Collection[str], put_back: bool
) -> Iterator[Finding]:
    tasks = [each for each in plan.changes if each.type == _TASK and not (each.is_data or each.deposed)]
    coming = {each.address: _containers(each.after("container_definitions")) for each in tasks}
    known = {address: images for address, images in coming.items() if images}
    is_missing = bool(image_tag) and not any(
        _tag(image) == image_tag for each in known.values() for image in each.values()
    )
    for change in tasks:
        if is_missing and change.address in known:
            yield Finding(
                "image-not-asked-for",
                "error",
                change.address,
                f"The tag {image_tag} was asked for, and this has {', '.join(known[change.address].values())}.",
                "Look where the code takes the image from: image_tag in the tfvars, or a fixed text.",
            )
        # What a state that was put back says of an image is what ran once: what runs now, this plan does not tell.
        elif change.kind not in (Kind.NO_OP, Kind.READ, Kind.MOVED) and not (put_back and running is None):
            yield from _changed_images(change, coming[change.address], running, image_tag)
    if not (image_tag or put_back):
        for change in plan.changes:
            if change.type == _SERVICE and change.kind is Kind.UPDATE and not change.is_data:
                yield from _service_back(plan, change, failed)


def _changed_images(
    change: Change, coming: Mapping[str, str], running: Mapping[str, str] | None, image_tag: str
) -> Iterator[Finding]:
    before = _containers(change.before("container_definitions")) if running is None else running
    for name, image in coming.items():
        now = before.get(name)
        if now is None or now == image or (image_tag and _tag(image) == image_tag):
            continue
        has = "has" if running is None else "runs"
        if image_tag:
            message = f"Container {name} {has} {now}; this plan puts {image} there, which is not the tag asked for."
            yield Finding("image-changes-too", "info", change.address, message)
        else:
            yield Finding(
                "image-brought-back",
                "warning",
                change.address,
                f"Container {name} {has} {now}; this plan puts {image} there.",
                "After a rollback, pin image_tag in the environment's tfvars to what runs; otherwise deploy it on purpose.",
            )


def _service_back(plan: Plan, change: Change, failed: Collection[str]) -> Iterator[Finding]:
    """A service that AWS runs on another revision than the code's: most often a rollback that Terraform would undo, also
    where it followed an apply that failed."""
    found = next((each for each in plan.drift if each.address == change.address), None)
    before, after = change.before("task_definition"), change.after("task_definition")
    if found is None or found.after("task_definition") != before or found.before("task_definition") == before:
        return
    target = after if isinstance(after, str) else "the one of this plan"
    why = "was changed outside of Terraform to"
    if change.address in failed:
        why = "is, since an earlier apply failed on it,"
    yield Finding(
        "image-brought-back",
        "warning",
        change.address,
        f"Its task definition {why} {before}; this plan puts {target} there.",
        "After a rollback, pin image_tag in the environment's tfvars to what runs, then plan again.",
    )


def images_brought(plan: Plan) -> tuple[tuple[str, str], ...]:
    """The images that task definitions of this plan name and did not name before, each with the address: as far as they are
    known before the apply."""
    found: dict[tuple[str, str], None] = {}
    for change in plan.changes:
        if change.type == _TASK and not change.is_data and change.kind in (Kind.CREATE, Kind.UPDATE, Kind.REPLACE):
            before = _containers(change.before("container_definitions")).values()
            after = _containers(change.after("container_definitions")).values()
            found |= {(change.address, image): None for image in after if image not in before}
    return tuple(found)


def _containers(definitions: Any) -> Mapping[str, str]:
    items = definitions if isinstance(definitions, list) else []
    return {
        item["name"]: item["image"]
        for item in items
        if isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get("image"), str)
    }


def _tag(image: str) -> str:
    last = image.rpartition("/")[2]
    return last.partition(":")[2] if "@" not in last else last.partition("@")[2]


def _drift(plan: Plan, failed: Collection[str]) -> Iterator[Finding]:
    planned = {each.address: each for each in plan.changes if each.kind is not Kind.NO_OP}
    for drift in plan.real_drift:
        change = planned.get(drift.address)
        if drift.kind is Kind.DESTROY:
            again = ", and this plan recreates it" if change is not None and change.kind is Kind.CREATE else ""
            yield Finding(
                "gone",
                "warning",
                drift.address,
                f"It was deleted outside of Terraform{again}.",
                "Find out who removed it: the audit trail says.",
            )
            continue
        touched = drift.drifted()
        back, unknown = _put_back(touched, change)
        names = ", ".join(back or dict.fromkeys(_top(each) for each in touched))
        does = "puts it back"
        if set(back) & unknown:
            does = "puts something there that is known only after the apply"
        if back and drift.address in failed:
            yield Finding(
                "apply-left",
                "info",
                drift.address,
                f"An earlier apply failed on it, and {names} is not what the state says; this plan {does}.",
            )
        elif back:
            yield Finding(
                "drift-put-back",
                "warning",
                drift.address,
                f"Somebody changed {names} outside of Terraform; this plan {does}.",
                "If it was changed on purpose, write it into the code first.",
            )
        else:
            does = "recreates all of it" if change is not None and change.kind is Kind.REPLACE else "leaves it"
            what = "had no value in the state" if drift.only_fills else "changed outside of Terraform"
            yield Finding("drift", "info", drift.address, f"{names} {what}; this plan {does}.")


def _ahead(plan: Plan) -> Iterator[Finding]:
    """The drift of a state that was put back."""
    planned = {each.address: each for each in plan.changes if each.kind is not Kind.NO_OP}
    for drift in plan.real_drift:
        change = planned.get(drift.address)
        if drift.kind is Kind.DESTROY:
            again = ", and this plan recreates it" if change is not None and change.kind is Kind.CREATE else ""
            message = f"The state that was put back has it, and it is not there: it was removed later{again}."
            yield Finding("state-is-older", "warning" if again else "info", drift.address, message)
            continue
        touched = drift.drifted()
        back, _ = _put_back(touched, change)
        names = ", ".join(back or dict.fromkeys(_top(each) for each in touched))
        does = "this plan changes it" if back else "this plan leaves it as it is there"
        message = f"AWS is ahead of the state that was put back in {names}: {does}."
        yield Finding("state-is-older", "info", drift.address, message)


def _put_back(touched: Sequence[AttributeChange], change: Change | None) -> tuple[tuple[str, ...], frozenset[str]]:
    """What of the drift the plan changes again, and what the plan does not know yet. Of what is made anew, all that AWS itself
    sets is unknown: that somebody changed it, this does not say."""
    if change is None or change.kind not in (Kind.UPDATE, Kind.REPLACE):
        return (), frozenset()
    counting = [each for each in change.attributes() if each.counts]
    unknown = frozenset(_top(each) for each in counting if each.unknown)
    planned = {_top(each) for each in counting if change.kind is Kind.UPDATE or not each.unknown}
    return tuple(dict.fromkeys(name for each in touched if (name := _top(each)) in planned)), unknown


def _top(change: AttributeChange) -> str:
    return str(change.path[0]) if change.path else "a value"


def _checks(plan: Plan) -> Iterator[Finding]:
    for check in plan.checks:
        if check.status in ("fail", "error"):
            problems = " ".join(check.problems) or "Its condition does not hold."
            yield Finding("check-failed", "warning", check.address, problems, "Fix it, or fix the check.")
