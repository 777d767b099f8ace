"""What the code on both sides says of the exports: who reads what nobody makes, who makes what nobody reads, which key is
used for the wrong kind of resource. Functions from a Trace to findings; what AWS holds comes in as a set of names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any, TypeVar

from infraconsole import naming
from infraconsole.checks.findings import Finding, Level, by_weight
from infraconsole.terraform.exports import INFRASTRUCTURE, Consumer, Producer, Trace, UnreadModule, Use
from infraconsole.terraform.ssm_names import beginning


@dataclass(frozen=True)
class ImpactLine:
    """A place that sees the value of an export. `environment` is "" where it is so in all of them; `replaces`: a change
    makes Terraform replace the resource."""

    service: str
    environment: str
    address: str
    attribute: str
    file: str
    line: int
    replaces: bool


def check_trace(
    trace: Trace,
    live: Set[str] | None,
    *,
    root: str = naming.EXPORT_ROOT,
    environments: Collection[str] | None = None,
) -> tuple[Finding, ...]:
    """All findings, errors first. `live` are the names that AWS holds below `root`; None where AWS was not asked. Where they
    are those of some environments only, since the others lie in another account, `environments` says of which."""
    return by_weight(
        (
            *unreadable_terraform(trace),
            *modules_not_read(trace),
            *consumed_not_exported(trace, live, environments),
            *duplicate_producers(trace),
            *wrong_kms_keys(trace, root=root),
            *remote_states(trace),
            *exported_not_consumed(trace),
            *unresolved_names(trace),
        )
    )


def impact(trace: Trace, name: str) -> tuple[ImpactLine, ...]:
    """Who sees it when the value of the export `name` changes: what is replaced comes first."""
    lines = {
        ImpactLine(consumer.service, consumer.environment, use.address, use.attribute, use.file, use.line, use.replaces)
        for consumer in trace.consumers_of(name)
        for use in consumer.uses
    }
    return tuple(
        sorted(lines, key=lambda at: (not at.replaces, at.service, at.environment, at.file, at.line, at.address))
    )


def unreadable_terraform(trace: Trace) -> Iterator[Finding]:
    for problem in trace.problems:
        yield Finding(
            "unreadable-terraform",
            problem.level,
            problem.file,
            problem.message,
            problem.mend,
            file=problem.file,
            line=problem.line,
        )
    for missing in trace.roots_missing:
        yield Finding(
            "unreadable-terraform",
            "error",
            str(missing),
            f"The configuration names the Terraform folder {missing}, but there is no such folder.",
            "Clone the repository to there, or fix the path in infraconsole.toml.",
        )


def modules_not_read(trace: Trace) -> Iterator[Finding]:
    """Once for each repository: what such a module makes and reads is seen by nobody here."""
    by_owner: dict[str, list[UnreadModule]] = {}
    for module in trace.unread_modules:
        by_owner.setdefault(module.owner, []).append(module)
    for owner, modules in by_owner.items():
        many = f"{len(modules)} modules" if len(modules) > 1 else "a module"
        yield Finding(
            "module-not-read",
            "info",
            owner,
            f"{owner} calls {many} whose code is not known here in full: nobody sees which other exports are made and read there: "
            f"{_few(list(map(str, modules)))}.",
            "Run terraform init in its folder: what that fetches is read.",
            file=modules[0].file,
            line=modules[0].line,
        )


def consumed_not_exported(
    trace: Trace, live: Set[str] | None, environments: Collection[str] | None = None
) -> Iterator[Finding]:
    """Nothing is said where neither the infrastructure's code nor AWS was looked at; where only a part of the code could be read
    and AWS was not asked, it is a warning. What reads a whole path, or in another account, misses nothing here."""
    made = {producer.name for producer in trace.producers if producer.resolved}
    open_names = tuple(producer for producer in trace.producers if not producer.resolved)
    blind = INFRASTRUCTURE in trace.unread
    for consumer in trace.consumers:
        if not consumer.resolved or consumer.by_path or consumer.elsewhere or consumer.name in made:
            continue
        if environments is not None and consumer.environment and consumer.environment not in environments:
            continue
        if live is None and blind and not trace.producers:
            continue
        if live is not None and consumer.name in live:
            finding = None if blind else _made_by_nobody(trace, consumer)
        elif live is not None:
            finding = _missing(trace, consumer, open_names)
        else:
            finding = _not_found(trace, consumer, open_names)
        if finding is not None:
            yield finding


def _reading(consumer: Consumer) -> str:
    return f"{consumer.service}{_in(consumer)} reads {consumer.name} ({consumer.address})"


def _made_by_nobody(trace: Trace, consumer: Consumer) -> Finding | None:
    """Of what AWS has."""
    if _given(trace, consumer.name):
        return None
    if not_read := trace.not_read():
        return _at(
            consumer,
            "consumed-not-exported",
            "info",
            f"{_reading(consumer)}. It is there in AWS; what makes it was not found in the code that was read. "
            f"Not read: {_few(not_read)}.",
            _READ_IT,
        )
    return _at(
        consumer,
        "consumed-not-exported",
        "warning",
        f"{_reading(consumer)}. It is there in AWS, but no resource in the code of the infrastructure and the services makes it: "
        "nothing keeps it right, and nobody will know that it is needed.",
        f"Declare it in {_owner(consumer.name)}, and import the parameter there.",
    )


def _missing(trace: Trace, consumer: Consumer, open_names: tuple[Producer, ...]) -> Finding:
    """Of what AWS was asked for and does not have."""
    if consumer.must_be_there:
        then = f"every plan of {consumer.service} fails with ParameterNotFound"
    elif consumer.warns:
        then = "its check fails, and Terraform warns of it"
    else:
        then = f"where that is read at all, which only Terraform knows, a plan of {consumer.service} fails with ParameterNotFound"
    if module := _given(trace, consumer.name):
        maker = f" {module} is given this name and probably makes it."
        mend = f"Apply {module.place}, or fix the name."
    else:
        perhaps = _may_be(open_names, consumer.name)
        not_read = trace.not_read()
        maker = (
            f" {perhaps.address} in {perhaps.module} may make it."
            if perhaps
            else f" What makes it was not found in the code that was read. Not read: {_few(not_read)}."
            if not_read
            else " No resource in the code makes it."
        )
        mend = f"Export it from {_owner(consumer.name)} and apply that module, or fix the name."
    level: Level = "error" if consumer.must_be_there else "warning"
    return _at(
        consumer,
        "consumed-not-exported",
        level,
        f"{_reading(consumer)}, and AWS does not have it: {then}.{maker}",
        mend,
    )


def _not_found(trace: Trace, consumer: Consumer, open_names: tuple[Producer, ...]) -> Finding | None:
    """Of what AWS was not asked for."""
    if _given(trace, consumer.name):
        return None
    if perhaps := _may_be(open_names, consumer.name):
        return _at(
            consumer,
            "consumed-not-exported",
            "warning",
            f"{_reading(consumer)}. Whether it is made is not known: {perhaps.address} in {perhaps.module} may make it, but its "
            f"name is only known when Terraform runs ({perhaps.why}).",
            "Ask AWS, or give the variables in that name a value in terraform.tfvars.",
        )
    if not_read := trace.not_read():
        return _at(
            consumer,
            "consumed-not-exported",
            "warning",
            f"{_reading(consumer)}. What makes it was not found in the code that could be read. Not read: {_few(not_read)}.",
            _READ_IT,
        )
    return _at(
        consumer,
        "consumed-not-exported",
        "error" if consumer.must_be_there else "warning",
        f"{_reading(consumer)}, but no resource in the code makes it: unless somebody made it by hand, every plan of "
        f"{consumer.service} fails with ParameterNotFound.",
        f"Export it from {_owner(consumer.name)} and apply that module, or fix the name.",
    )


_READ_IT = "Run terraform init where a module is not read, and name the folders of all services in infraconsole.toml."


def _given(trace: Trace, name: str) -> UnreadModule | None:
    """A module that could not be read and is given that name."""
    return next((module for module in trace.unread_modules if name in module.names), None)


_FEW = 3


def _few(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _FEW} more" if len(texts) > _FEW else ""
    return f"{', '.join(texts[:_FEW])}{more}"


def exported_not_consumed(trace: Trace) -> Iterator[Finding]:
    """Each name once. A service whose code is not known may be the one that reads it, and the message says so."""
    unread = sorted(trace.unread - {INFRASTRUCTURE})
    open_names = tuple(consumer for consumer in trace.consumers if not consumer.resolved)
    by_path = tuple(consumer for consumer in trace.consumers if consumer.by_path)
    read = {consumer.name for consumer in trace.consumers if consumer.resolved and not consumer.by_path}
    seen: set[str] = set()
    for producer in trace.producers:
        name = producer.name
        if not producer.resolved or name in read or name in seen or any(each.reads(name) for each in by_path):
            continue
        if _may_be(open_names, name) or _given(trace, name):
            continue
        seen.add(name)
        but = f" The code of {', '.join(unread)} is not known in full." if unread else ""
        if trace.unread_modules:
            but += f" Not read: {_few(list(map(str, trace.unread_modules)))}."
        yield _at(
            producer,
            "exported-not-consumed",
            "info",
            f"{name} is exported by {producer.module} ({producer.address}), and nothing in the code that was read reads it.{but}",
            "Ask who needs it before it is removed: scripts and other accounts are not seen here.",
        )


def duplicate_producers(trace: Trace) -> Iterator[Finding]:
    by_name: dict[tuple[str, str], list[Producer]] = {}
    for producer in trace.producers:
        if producer.resolved:
            by_name.setdefault((producer.name, producer.elsewhere), []).append(producer)
    for (name, _), producers in by_name.items():
        first, *others = {(each.module, each.address): each for each in producers}.values()
        for other in others:
            if first.environment and other.environment and first.environment != other.environment:
                continue  # each in its own account, or the environment would be part of the name
            certain = first.certain and other.certain and not other.elsewhere
            yield _at(
                other,
                "duplicate-producer",
                "error" if certain else "warning",
                f"{name} is made twice{'' if certain else ', if both are there'}: by {first.module} ({first.address}, "
                f"{first.file}:{first.line}) and by {other.module} ({other.address}). The second apply fails, or with "
                "overwrite each apply undoes the other's value.",
                "Keep the one in the module that owns the value; remove the other from code and state.",
            )


def remote_states(trace: Trace) -> Iterator[Finding]:
    for state in trace.remote_states:
        seen = ", ".join(f"{use.address}.{use.attribute}" for use in state.uses[:3])
        more = f" and {len(state.uses) - 3} more" if len(state.uses) > 3 else ""
        yield Finding(
            "remote-state",
            "warning",
            state.address,
            f"{state.service} reads another project's state ({state.address}){f', used by {seen}{more}' if seen else ''}. "
            "That ties it to where that state lies and how it is laid out, and lets it read every secret in it.",
            "Export the value as a parameter and read that with a data source.",
            file=state.file,
            line=state.line,
        )


def wrong_kms_keys(trace: Trace, *, root: str = naming.EXPORT_ROOT) -> Iterator[Finding]:
    """Where several keys may come in, say by a condition, one that fits is enough for nothing to be said."""
    used: dict[tuple[str, int, str, str], tuple[Use, dict[str, Consumer]]] = {}
    for consumer in trace.consumers:
        if consumer.resolved and (kind := kms_kind(consumer.name, root)):
            for use in consumer.uses:
                # A second line of the same attribute is the same attribute.
                place = (use.file, 0, use.address, use.attribute)
                used.setdefault(place, (use, {}))[1].setdefault(kind, consumer)
    for use, consumers in used.values():
        wanted, forbidden = _wanted(use)
        if wanted in consumers or (not wanted and not consumers.keys() <= forbidden):
            continue
        if not wanted and not forbidden:
            continue
        kind, consumer = next(iter(consumers.items()))
        right = f"{root}/kms/{wanted}-key-arn" if wanted else ""
        yield Finding(
            "wrong-kms-key",
            "error",
            consumer.name,
            f"{consumer.service}: {use.address}.{use.attribute} uses the key of kind {kind}"
            + (f"; it belongs to {wanted}. " if wanted else f", which must not be used for {use.type}. ")
            + f"Whoever may use the one key can read the other kind's data, and a policy made for {kind} may refuse this one.",
            f"Use {right}." if right else "Use a key of its own, or the one of what it carries.",
            file=use.file,
            line=use.line,
        )


def unresolved_names(trace: Trace) -> Iterator[Finding]:
    seen: set[tuple[str, int]] = set()
    found: tuple[Producer | Consumer, ...] = (*trace.producers, *trace.consumers)
    for each in found:
        if each.resolved or (each.file, each.line) in seen:
            continue
        seen.add((each.file, each.line))
        does = "makes" if isinstance(each, Producer) else "reads"
        yield _at(
            each,
            "unresolved-name",
            "info",
            f"{each.address} {does} a parameter whose name is only known when Terraform runs: {each.name} ({each.why}). It is "
            "left out of what is compared here.",
            "Give the variables in it a value in terraform.tfvars, or write the name out.",
        )


def kms_kind(name: str, root: str = naming.EXPORT_ROOT) -> str:
    """The kind whose key an export is: `rds` for /shared/kms/rds-key-arn; "" for any other export."""
    start, end = f"{root}/kms/", "-key-arn"
    kind = name.removeprefix(start).removesuffix(end)
    return kind if name == f"{start}{kind}{end}" and kind in naming.KMS_KINDS else ""


def _wanted(use: Use) -> tuple[str, frozenset[str]]:
    """The kind that an attribute needs, or else the kinds that it must not have; "" and nothing where there is no rule."""
    table = _table()
    if use.type.startswith("module:"):
        folder = PurePosixPath(use.type.removeprefix("module:").split("?")[0]).name
        return (table["modules"].get(folder, "") if "kms" in use.attribute else ""), frozenset()
    wanted = table["resources"].get(use.type, {}).get(use.attribute, "")
    return wanted, frozenset(table["forbidden"].get(use.type, {}).get(use.attribute, ()))


_Open = TypeVar("_Open", Producer, Consumer)


def _may_be(open_names: Iterable[_Open], name: str) -> _Open | None:
    """One of those whose names are not resolved that may turn out to be `name`: begins and ends as it does. A path has more
    behind it."""
    for each in open_names:
        written = beginning(each.name) if each.name.startswith("arn:") else each.name
        begins, ends = re.split(r"[$%]\{", written)[0], written.rpartition("}")[2]
        is_template = begins != written
        if isinstance(each, Consumer) and each.by_path:
            ends = ""
        ends = ends.partition(":")[0]
        if not is_template or (name.startswith(begins) and name.endswith(ends)):
            return each
    return None


def _in(consumer: Consumer) -> str:
    return f" in {consumer.environment}" if consumer.environment else ""


def _owner(name: str) -> str:
    """The module that an export belongs to, by the guide's naming: the part after the root."""
    parts = name.strip("/").split("/")
    return f"the infrastructure module {parts[1]}" if len(parts) > 2 else "the infrastructure repository"


def _at(each: Producer | Consumer, rule: str, level: Level, message: str, mend: str) -> Finding:
    subject = each.name if each.resolved else each.address
    return Finding(rule, level, subject, message, mend, file=each.file, line=each.line)


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads((resources.files("infraconsole") / "assets" / "kms_kinds.toml").read_text("utf-8"))
