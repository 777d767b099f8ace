"""Every finding about the exports: what is missing, what is not as the table says, what points at nothing, and what is not
what Terraform wrote. Pure: the parameters, AWS's answers and the states come in, findings go out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from infraconsole import text
from infraconsole.aws.ssm import SECURE, Parameter
from infraconsole.checks.export_databases import database_findings
from infraconsole.checks.export_facts import PointedAt
from infraconsole.checks.export_keys import key_findings
from infraconsole.checks.export_network import network_findings
from infraconsole.checks.export_repositories import repository_findings
from infraconsole.checks.export_rules import ExportRules, Match
from infraconsole.checks.export_values import Export, lacks_port, listed, read_export, sentences, shown
from infraconsole.checks.findings import Finding, by_weight
from infraconsole.terraform.state_exports import StateExport

_CONVENTION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?:/[a-z0-9]+(?:-[a-z0-9]+)*)+")
# Two exports of the same subnets or key are told by the checks of those, which know which of the two is wrong.
_UNIQUE = frozenset({"vpc", "ecr-url", "ecr-arn", "rds-endpoint", "rds-identifier", "security-group", "secret"})


def check_exports(
    parameters: Sequence[Parameter],
    rules: ExportRules,
    facts: PointedAt | None,
    *,
    root: str,
    services: Sequence[str],
    environments: Sequence[str],
    state: Mapping[str, StateExport] | None,
) -> tuple[Finding, ...]:
    """The findings about these parameters, which are all that there are under `root`, errors first.

    Each finding's subject is an export's full name. Without `facts` only what the values say by themselves is checked;
    without `state`, or for what is in no state, not whether a value is still what Terraform wrote.
    """
    exports = [read_export(parameter, rules) for parameter in parameters]
    twins = _name_twins(exports, root)
    found = [
        *_missing(exports, rules.expected(services, environments), state or {}),
        *(finding for export in exports for finding in _by_itself(export)),
        *_names(exports, twins, root),
        *network_findings(exports, facts),
        *key_findings(exports, facts),
        *repository_findings(exports, facts, services),
        *database_findings(exports, facts),
    ]
    wrong = {finding.subject for finding in found if finding.level == "error"}
    found += _same_values([export for export in exports if export.name not in wrong and export.name not in twins])
    if state is not None:
        found += _stale(exports, state, root, {finding.subject for finding in found if finding.id == "export-missing"})
    return by_weight(dict.fromkeys(found))


# Missing


def _missing(
    exports: Sequence[Export], expected: Sequence[Match], state: Mapping[str, StateExport]
) -> Iterator[Finding]:
    there = {export.name for export in exports}
    near = {_folded(export.name): export.name for export in exports}
    sets = _sets(expected)
    for match in expected:
        if match.name in there or match.rule.required == "never":
            continue
        if match.rule.required == "together":
            members = sets[match.folder]
            begun = [one.name for one in members if one.name in there or one.rule.required == "always"]
            if not begun:
                if match is members[0]:
                    yield _absent_set(members)
                continue
            because = f"{listed(begun)} {'is' if len(begun) == 1 else 'are'} there, and half a set is of no use"
        else:
            because = ""
        similar = near.get(_folded(match.name))
        hints = (
            f"There is {similar} instead" if similar else "",
            f"By the Terraform state {state[match.name].address} wrote it: it was deleted since"
            if match.name in state
            else "",
        )
        message = sentences("The export does not exist", because, match.rule.why, *hints)
        yield Finding("export-missing", "error", match.name, message, _write_it(match))


def _sets(expected: Sequence[Match]) -> Mapping[str, Sequence[Match]]:
    """The exports of each folder in which some are wanted together."""
    folders = {match.folder for match in expected if match.rule.required == "together"}
    return {folder: [match for match in expected if match.folder == folder] for folder in folders}


def _absent_set(members: Sequence[Match]) -> Finding:
    first = members[0]
    names = listed([match.name.rpartition("/")[2] for match in members])
    message = f"None of {names} exists under {first.folder}: nothing is shared there, which is allowed."
    mend = f"Nothing, unless a service needs it: then apply the module {first.owner} of the infrastructure repository."
    return Finding("export-missing", "info", first.name, message, mend)


def _write_it(match: Match) -> str:
    return (
        f"Apply the module {match.owner} of the infrastructure repository, which writes it; "
        "a parameter written by hand is lost to Terraform."
    )


# One export by itself


def _by_itself(export: Export) -> Iterator[Finding]:
    """Its type and its shape. A wrong type is one complaint: what follows from it is not told as well."""
    rule, kind = export.rule, export.parameter.type
    if rule and kind != rule.type:
        message = f"The type is {kind}; it has to be {rule.type}{_TYPE_MATTERS[rule.type]}. {export.why}"
        mend = export.mend(f'Set type = "{rule.type}"')
        yield export.finding("export-wrong-type", "error", message, mend)
    elif export.faults and not lacks_port(export):  # the databases' own check says that
        faults = "; ".join(export.faults)
        message = f"The value cannot be used: {faults}. {export.why}"
        yield export.finding("export-wrong-shape", "error", message)


_TYPE_MATTERS = {
    "StringList": ", so that Parameter Store and everybody who reads it know it for a list",
    "SecureString": ", since what is in it must not be readable for everybody who may read parameters",
    "String": "",
}


# Names and duplicates


def _folded(name: str) -> str:
    return name.lower().replace("_", "-")


def follows_convention(name: str, root: str) -> bool:
    """Whether a full name is `<root>/{category}/{resource-name}` in lower case with hyphens; further folders may come."""
    return name.startswith(f"{root}/") and _CONVENTION.fullmatch(name[len(root) + 1 :]) is not None


def _name_twins(exports: Sequence[Export], root: str) -> Mapping[str, str]:
    """Names that differ from another's only in case or in _ for -, and that other: the one that follows the convention."""
    groups: dict[str, list[str]] = {}
    for export in exports:
        groups.setdefault(_folded(export.name), []).append(export.name)
    twins = {}
    for names in groups.values():
        right = next((name for name in names if follows_convention(name, root)), names[0])
        twins.update({name: right for name in names if name != right})
    return twins


def _names(exports: Sequence[Export], twins: Mapping[str, str], root: str) -> Iterator[Finding]:
    for export in exports:
        if right := twins.get(export.name):
            message = f"The name differs from {right} only in case or in _ for -: one of them is read by mistake."
            mend = f"Have every consumer read {right}, then remove this one from the module that writes it."
            yield export.finding("export-duplicate", "warning", message, mend)
        elif not follows_convention(export.name, root):
            message = (
                f"The name is not {root}/{{category}}/{{resource-name}} in lower case with hyphens: "
                "nobody who follows the guide finds it."
            )
            mend = (
                f"Export it by a name such as {_proposed(export.name, root)}, move the consumers, then remove this one."
            )
            yield export.finding("export-name", "warning", message, mend)


def _proposed(name: str, root: str) -> str:
    """The name as the convention would write it."""
    inside = name[len(root) + 1 :] if name.startswith(f"{root}/") else name.strip("/")
    inside = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", inside).lower()
    parts = [re.sub(r"[^a-z0-9]+", "-", part).strip("-") for part in inside.split("/")]
    parts = [part for part in parts if part]
    return "/".join([root, *(parts if len(parts) > 1 else ["{category}", *parts])])


def _same_values(exports: Sequence[Export]) -> Iterator[Finding]:
    holders: dict[tuple[str, str], list[Export]] = {}
    for export in exports:
        if export.target in _UNIQUE and export.items:
            holders.setdefault((export.target, export.item), []).append(export)
    for (_, value), (first, *others) in holders.items():
        for export in others:
            message = f"The value is that of {first.name} too: {shown(value)}. One of them names the wrong thing. {export.why}"
            yield export.finding("export-duplicate", "warning", message)


# Stale


def _stale(
    exports: Sequence[Export], state: Mapping[str, StateExport], root: str, missing: set[str]
) -> Iterator[Finding]:
    for export in exports:
        if export.name in state:
            yield from _differs(export, state[export.name])
    there = {export.name for export in exports} | missing
    for name, written in state.items():
        if name.startswith(f"{root}/") and name not in there:
            message = f"By the Terraform state {written.address} wrote it, but it does not exist: it was deleted since."
            mend = "Apply the module whose state has it; a parameter written by hand is lost to Terraform."
            yield Finding("export-stale", "error", name, message, mend)


def _differs(export: Export, written: StateExport) -> Iterator[Finding]:
    parameter = export.parameter
    by = f", by {text.line(parameter.modified_by)}" if parameter.modified_by else ""
    when = f" {parameter.modified_at:%Y-%m-%d %H:%M} UTC" if parameter.modified_at else ""
    changed = f"Version {parameter.version} was written{when}{by}" if parameter.version else ""
    module = export.match.owner if export.match else "whose state has it"
    mend = f"Plan the module {module}: it shows the difference. Apply it, or bring the code up to date."
    secret = written.is_sensitive or parameter.type == SECURE
    if not secret and written.value is not None and parameter.value not in (None, written.value):
        message = (
            f"The value is {shown(parameter.value or '')}, but {written.address} wrote {shown(written.value)}: "
            "consumers get what the code does not say, until the next apply takes it away."
        )
        yield export.finding("export-stale", "error", sentences(message, changed), mend)
    elif written.type and written.type != parameter.type:
        message = f"The type is {parameter.type}, but {written.address} wrote {written.type}"
        yield export.finding("export-stale", "error", sentences(message, changed), mend)
    elif written.version and parameter.version and written.version != parameter.version:
        message = (
            f"The version is {parameter.version}, but {written.address} wrote version {written.version}: "
            "something else than Terraform writes this export, too"
        )
        yield export.finding("export-stale", "warning", sentences(message, changed), mend)
