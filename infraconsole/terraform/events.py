"""Terraform's machine-readable output (`plan -json`, `apply -json`) as dataclasses, one line at a time.

The format is Terraform's internal/command/views/json (documented as "machine-readable UI", versions 1.0 to 1.3). It
grows: types that are not known here come out as Unknown, members that are missing or of another shape as empty. All
texts are other people's; whoever shows them makes them harmless.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True)
class Text:
    """A line that is not of this format: plain words among the events."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """`message` is Terraform's own wording; `at` is aware, None where it was not understood."""

    message: str
    at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Unknown(Event):
    type: str


@dataclass(frozen=True, kw_only=True)
class Version(Event):
    terraform: str
    ui: str


@dataclass(frozen=True, kw_only=True)
class Log(Event):
    level: str


@dataclass(frozen=True)
class Resource:
    """One instance. `module` is "" for the root; `key` is its count index or for_each key, None without."""

    address: str
    module: str
    type: str
    name: str
    key: str | int | None


@dataclass(frozen=True, kw_only=True)
class Change(Event):
    """`action`: noop, create, read, update, replace, delete, move, import, remove (forgotten); `reason` why it is replaced,
    deleted or read, "" mostly; `previous` where it was moved from; `import_id` where it is imported."""

    resource: Resource
    action: str
    reason: str
    previous: Resource | None
    import_id: str


@dataclass(frozen=True, kw_only=True)
class PlannedChange(Change):
    pass


@dataclass(frozen=True, kw_only=True)
class ResourceDrift(Change):
    """Changed outside of Terraform."""


@dataclass(frozen=True, kw_only=True)
class ChangeSummary(Event):
    """`operation` is plan, apply or destroy."""

    operation: str
    add: int
    change: int
    remove: int
    imported: int
    invoked: int = 0
    failed_actions: int = 0


@dataclass(frozen=True, kw_only=True)
class Apply(Event):
    """What all four have in common. `elapsed_seconds` is 0 at the start. `id_value` is the attribute `id_key`: of an object that is
    destroyed, only its start tells it; both are "" where none is known."""

    resource: Resource
    action: str
    id_key: str
    id_value: str
    elapsed_seconds: float


@dataclass(frozen=True, kw_only=True)
class ApplyStart(Apply):
    pass


@dataclass(frozen=True, kw_only=True)
class ApplyProgress(Apply):
    """Every ten seconds."""


@dataclass(frozen=True, kw_only=True)
class ApplyComplete(Apply):
    pass


@dataclass(frozen=True, kw_only=True)
class ApplyErrored(Apply):
    """The why comes at the end, as a Diagnostic with this address."""


@dataclass(frozen=True, kw_only=True)
class Refresh(Event):
    resource: Resource
    id_value: str
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Provision(Event):
    """`output` is a line of the provisioner's, only in progress."""

    resource: Resource
    provisioner: str
    phase: Literal["start", "progress", "complete", "errored"]
    output: str


@dataclass(frozen=True, kw_only=True)
class ActionEvent(Event):
    """Of an action (1.14 and later). `on` is the resource that triggered it, "" where it was asked for by name; `words` are its
    progress or its error."""

    address: str
    on: str
    phase: Literal["planned", "start", "progress", "complete", "errored"]
    words: str


@dataclass(frozen=True, kw_only=True)
class EphemeralOp(Event):
    """Of an ephemeral resource, which is in no plan and no state. `action` is open, renew or close."""

    resource: Resource
    action: str
    phase: Literal["start", "progress", "complete", "errored"]


@dataclass(frozen=True)
class Snippet:
    """`code` are the lines from `start_line` on, of which the characters `highlight_start` to `highlight_end` are meant;
    `context` is the block they stand in; `values` what the expressions in them were."""

    code: str
    context: str
    start_line: int
    highlight_start: int
    highlight_end: int
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Diagnostic(Event):
    """`severity` is error or warning; `address` the resource, "" where none; `file` relative to the root, `line` from 1,
    "" and 0 where it concerns no place in the code."""

    severity: str
    summary: str
    detail: str
    address: str
    file: str
    line: int
    snippet: Snippet | None

    @property
    def is_error(self) -> bool:
        return self.severity != "warning"


@dataclass(frozen=True)
class Output:
    """`value` is None where it is sensitive or not known yet; `action` is "" after an apply."""

    name: str
    sensitive: bool
    value: Any
    action: str


@dataclass(frozen=True, kw_only=True)
class Outputs(Event):
    outputs: tuple[Output, ...]


def parse(line: str) -> Event | Text:
    """The event in one line of output; Text where it is none. Raises nothing."""
    if not line.startswith("{"):
        return Text(line)
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return Text(line)
    if "@message" not in raw:
        return Text(line)
    kind = _text(raw, "type")
    common: _Common = {"message": _text(raw, "@message"), "at": _time(raw)}
    reader = _READERS.get(kind)
    return reader(raw, common) if reader else Unknown(**common, type=kind)


def diagnostics(document: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """Those of a whole document, as `validate -json` writes one."""
    listed = document.get("diagnostics")
    return tuple(
        _diagnostic({"diagnostic": raw}, {"message": _text(raw, "summary"), "at": None})
        for raw in (listed if isinstance(listed, list) else ())
        if isinstance(raw, dict)
    )


_Raw = Mapping[str, Any]
_Common = dict[str, Any]


def _version(raw: _Raw, common: _Common) -> Version:
    return Version(**common, terraform=_text(raw, "terraform"), ui=_text(raw, "ui"))


def _log(raw: _Raw, common: _Common) -> Log:
    return Log(**common, level=_text(raw, "@level"))


def _change(kind: type[PlannedChange] | type[ResourceDrift]) -> Callable[[_Raw, _Common], Event]:
    def read(raw: _Raw, common: _Common) -> Event:
        change = _table(raw, "change")
        previous = _table(change, "previous_resource")
        return kind(
            **common,
            resource=_resource(change),
            action=_text(change, "action"),
            reason=_text(change, "reason"),
            previous=_resource(change, "previous_resource") if previous else None,
            import_id=_text(_table(change, "importing"), "id"),
        )

    return read


def _summary(raw: _Raw, common: _Common) -> ChangeSummary:
    changes = _table(raw, "changes")
    return ChangeSummary(
        **common,
        operation=_text(changes, "operation"),
        add=_whole(changes, "add"),
        change=_whole(changes, "change"),
        remove=_whole(changes, "remove"),
        imported=_whole(changes, "import"),
        invoked=_whole(changes, "action_invocation"),
        failed_actions=_whole(changes, "action_fail"),
    )


def _apply(
    kind: type[ApplyStart] | type[ApplyProgress] | type[ApplyComplete] | type[ApplyErrored],
) -> Callable[[_Raw, _Common], Event]:
    def read(raw: _Raw, common: _Common) -> Event:
        hook = _table(raw, "hook")
        return kind(
            **common,
            resource=_resource(hook),
            action=_text(hook, "action"),
            id_key=_text(hook, "id_key"),
            id_value=_text(hook, "id_value"),
            elapsed_seconds=_number(hook, "elapsed_seconds"),
        )

    return read


def _refresh(complete: bool) -> Callable[[_Raw, _Common], Event]:
    def read(raw: _Raw, common: _Common) -> Event:
        hook = _table(raw, "hook")
        return Refresh(**common, resource=_resource(hook), id_value=_text(hook, "id_value"), complete=complete)

    return read


def _action(phase: Literal["start", "progress", "complete", "errored"]) -> Callable[[_Raw, _Common], Event]:
    def read(raw: _Raw, common: _Common) -> Event:
        hook = _table(raw, "hook")
        return ActionEvent(
            **common,
            address=_text(_table(hook, "action"), "addr"),
            on=_text(_table(_table(hook, "lifecycle"), "resource"), "addr"),
            phase=phase,
            words=_text(hook, "message") or _text(hook, "error"),
        )

    return read


def _planned_action(raw: _Raw, common: _Common) -> ActionEvent:
    invocation = _table(raw, "invocation")
    trigger = _table(invocation, "lifecycle_trigger")
    return ActionEvent(
        **common,
        address=_text(_table(invocation, "action_addr"), "addr"),
        on=_text(_table(trigger, "triggering_resource"), "addr"),
        phase="planned",
        words="",
    )


def _ephemeral(phase: Literal["start", "progress", "complete", "errored"]) -> Callable[[_Raw, _Common], Event]:
    def read(raw: _Raw, common: _Common) -> Event:
        hook = _table(raw, "hook")
        return EphemeralOp(**common, resource=_resource(hook), action=_text(hook, "action"), phase=phase)

    return read


def _provision(phase: Literal["start", "progress", "complete", "errored"]) -> Callable[[_Raw, _Common], Event]:
    def read(raw: _Raw, common: _Common) -> Event:
        hook = _table(raw, "hook")
        return Provision(
            **common,
            resource=_resource(hook),
            provisioner=_text(hook, "provisioner"),
            phase=phase,
            output=_text(hook, "output"),
        )

    return read


def _diagnostic(raw: _Raw, common: _Common) -> Diagnostic:
    about = _table(raw, "diagnostic")
    place = _table(about, "range")
    return Diagnostic(
        **common,
        severity=_text(about, "severity"),
        summary=_text(about, "summary"),
        detail=_text(about, "detail"),
        address=_text(about, "address"),
        file=_text(place, "filename"),
        line=_whole(_table(place, "start"), "line"),
        snippet=_snippet(_table(about, "snippet")),
    )


def _snippet(raw: _Raw) -> Snippet | None:
    if not raw:
        return None
    values = raw.get("values")
    return Snippet(
        code=_text(raw, "code"),
        context=_text(raw, "context"),
        start_line=_whole(raw, "start_line"),
        highlight_start=_whole(raw, "highlight_start_offset"),
        highlight_end=_whole(raw, "highlight_end_offset"),
        values=tuple(
            (_text(value, "traversal"), _text(value, "statement"))
            for value in (values if isinstance(values, list) else ())
            if isinstance(value, dict)
        ),
    )


def _outputs(raw: _Raw, common: _Common) -> Outputs:
    found = _table(raw, "outputs")
    return Outputs(
        **common,
        outputs=tuple(
            Output(
                name=name,
                sensitive=_table(found, name).get("sensitive") is True,
                value=_table(found, name).get("value"),
                action=_text(_table(found, name), "action"),
            )
            for name in found
        ),
    )


_READERS: Mapping[str, Callable[[_Raw, _Common], Event]] = {
    "version": _version,
    "log": _log,
    "planned_change": _change(PlannedChange),
    "resource_drift": _change(ResourceDrift),
    "change_summary": _summary,
    "apply_start": _apply(ApplyStart),
    "apply_progress": _apply(ApplyProgress),
    "apply_complete": _apply(ApplyComplete),
    "apply_errored": _apply(ApplyErrored),
    "refresh_start": _refresh(complete=False),
    "refresh_complete": _refresh(complete=True),
    "planned_action_invocation": _planned_action,
    "action_start": _action("start"),
    "action_progress": _action("progress"),
    "action_complete": _action("complete"),
    "action_errored": _action("errored"),
    "ephemeral_op_start": _ephemeral("start"),
    "ephemeral_op_progress": _ephemeral("progress"),
    "ephemeral_op_complete": _ephemeral("complete"),
    "ephemeral_op_errored": _ephemeral("errored"),
    "provision_start": _provision("start"),
    "provision_progress": _provision("progress"),
    "provision_complete": _provision("complete"),
    "provision_errored": _provision("errored"),
    "diagnostic": _diagnostic,
    "outputs": _outputs,
}


def _resource(raw: _Raw, member: str = "resource") -> Resource:
    found = _table(raw, member)
    key = found.get("resource_key")
    return Resource(
        address=_text(found, "addr"),
        module=_text(found, "module"),
        type=_text(found, "resource_type"),
        name=_text(found, "resource_name"),
        key=key if isinstance(key, str | int) and not isinstance(key, bool) else None,
    )


def _table(raw: _Raw, key: str) -> _Raw:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def _text(raw: _Raw, key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""


def _number(raw: _Raw, key: str) -> float:
    value = raw.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _whole(raw: _Raw, key: str) -> int:
    value = raw.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _time(raw: _Raw) -> datetime | None:
    try:
        at = datetime.fromisoformat(_text(raw, "@timestamp"))
    except ValueError:
        return None
    return at if at.tzinfo else None
