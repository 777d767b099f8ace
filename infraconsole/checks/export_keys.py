"""Exports of KMS keys: is the key there, usable and rotating, does it go by the name of its kind, and is it one kind's only."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from infraconsole import naming
from infraconsole.checks.export_facts import PointedAt
from infraconsole.checks.export_values import Export, listed, of_target, place, shown
from infraconsole.checks.findings import Finding

_GOING = ("PendingDeletion", "PendingReplicaDeletion")
_USABLE = ("Enabled", "Updating")


def key_findings(exports: Sequence[Export], facts: PointedAt | None) -> Iterator[Finding]:
    """Without facts only what the values say by themselves: one key for two kinds."""
    keys = of_target(exports, "kms")
    kinds = {*naming.KMS_KINDS, *(export.detail for export in keys)}
    shared = _shared(keys)
    for group in shared.values():
        yield from _shared_findings(group, kinds, facts)
    if facts is not None:
        for export in keys:
            yield from _key(export, kinds, facts, alone=export.item not in shared)


def _key(export: Export, kinds: Collection[str], facts: PointedAt, *, alone: bool) -> Iterator[Finding]:
    arn = export.item
    if facts.is_elsewhere(arn):
        region, account = place(arn)
        what = f"The key is in account {account}, region {region}; these exports are of {facts.here}"
        yield export.points_at_nothing(what)
        return
    if error := facts.keys.error(arn):
        yield export.not_checked("this key exists and can be used", error)
        return
    key = facts.keys.get(arn)
    if key is None:
        yield export.points_at_nothing(f"There is no such KMS key in {facts.here}")
        return
    if key.state in _GOING:
        when = f" on {key.deletion_at:%Y-%m-%d}" if key.deletion_at else ""
        what = f"The key is scheduled for deletion{when} and cannot be used; with it goes what it encrypted"
        mend = f"Keep it: aws kms cancel-key-deletion --key-id {key.id}, then aws kms enable-key --key-id {key.id}. "
        mend += export.mend("Or make and export another key")
        yield export.finding("export-points-at-nothing", "error", f"{what}. {export.why}", mend)
    elif key.state not in _USABLE:
        message = f"The key's state is {key.state}: nothing can be encrypted or read with it. {export.why}"
        mend = export.mend(f"Enable it (aws kms enable-key --key-id {key.id}), and see that is_enabled is not false")
        yield export.finding("kms-key-disabled", "error", message, mend if key.state == "Disabled" else "")
    elif error := facts.rotation.error(arn):
        yield export.not_checked("this key rotates", error)
    elif facts.rotation.get(arn) is False:
        message = "The key does not rotate: what it encrypts stays under the same material for ever."
        mend = export.mend("Set enable_key_rotation = true")
        yield export.finding("kms-key-not-rotating", "warning", message, mend)
    if alone:
        yield from _alias(export, kinds, facts)


def _alias(export: Export, kinds: Collection[str], facts: PointedAt) -> Iterator[Finding]:
    if error := facts.aliases.error(export.item):
        yield export.not_checked(f"this key goes by an alias for {export.detail}", error)
        return
    aliases = facts.aliases.get(export.item) or ()
    own = [alias for alias in aliases if names_kind(alias, export.detail)]
    others = [
        (alias, kind)
        for alias in aliases
        if alias not in own and (kind := next((kind for kind in sorted(kinds) if names_kind(alias, kind)), ""))
    ]
    mend = export.mend(f"Name it alias/{export.detail}, or export the key that has that name,")
    if others:
        said = listed([f"{shown(alias)}, the name for {kind}" for alias, kind in others])
        message = f"Exported for {export.detail}, but the key goes by {said}: it may be another kind's key."
        yield export.finding("kms-alias", "warning", message, mend)
    elif not own:
        said = f"goes by {listed([shown(alias) for alias in aliases])}" if aliases else "has no alias"
        message = f"The key {said}: nothing says that it is the one for {export.detail}."
        yield export.finding("kms-alias", "warning", message, mend)


def names_kind(alias: str, kind: str) -> bool:
    """Whether an alias has the kind's name in it, as whole words: `alias/prod/s3_key` names s3."""
    words = re.sub(r"[^a-z0-9]+", "-", alias.removeprefix("alias/").lower())
    return f"-{kind}-" in f"-{words}-"


def _shared(keys: Sequence[Export]) -> dict[str, list[Export]]:
    """The keys that are exported for more than one kind, with those exports."""
    holders: dict[str, list[Export]] = {}
    for export in keys:
        holders.setdefault(export.item, []).append(export)
    return {arn: group for arn, group in holders.items() if len({export.detail for export in group}) > 1}


def _shared_findings(group: Sequence[Export], kinds: Collection[str], facts: PointedAt | None) -> Iterator[Finding]:
    """On the exports whose kind the key's aliases do not name; on all where these do not tell."""
    aliases = (facts.aliases.get(group[0].item) if facts else None) or ()
    right = [export for export in group if any(names_kind(alias, export.detail) for alias in aliases)]
    # Both named or none named: the aliases do not tell.
    wrong = [export for export in group if export not in right] or group
    for export in wrong:
        others = listed([one.name for one in group if one.detail != export.detail])
        message = f"This is also the key of {others}: whoever may use one kind's key reads the other kind's data. {export.why}"
        yield export.finding("kms-key-shared", "error", message)
