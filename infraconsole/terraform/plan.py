"""What a saved plan would do, from the document of `terraform show -json PLAN`: no Terraform and no AWS.

Almost nothing is done for a change before somebody looks at it, since plans of thousands of changes are read on a screen.
The format is Terraform's JSON output format, major version 1 (Terraform 1.1 and later).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from infraconsole.collector import uncollected
from infraconsole.errors import InfraconsoleError
from infraconsole.redaction import MASK, Redactor
from infraconsole.secret_places import names_a_secret
from infraconsole.terraform import documents, known_secrets, sensitive, write_only
from infraconsole.terraform.attributes import (
    AttributeChange,
    Path,
    differences,
    marked_texts,
    passwords_in,
    path_name,
)
from infraconsole.terraform.plan_actions import Action, action_of
from infraconsole.terraform.plan_parts import FLAGS, unknown_parts
from infraconsole.text import moment

FORMAT_MAJOR = "1"
_ABSENT = msgspec.Raw(b"null")
_EPHEMERAL = "ephemeral"


class PlanUnreadable(InfraconsoleError):
    """Bytes that are no plan in JSON, or one in a format that is not known here."""


_MOVING: Mapping[str, frozenset[str]] = {
    "aws_db_instance": frozenset({"latest_restorable_time", "status"}),
}
"""What AWS changes by itself, every few minutes or while it takes a backup (DescribeDBInstances): nobody's drift."""


class Kind(StrEnum):
    """What happens to one object. IMPORT and MOVED are imports and moves that change nothing else; an update of what is
    imported or moved is an UPDATE that has its `importing_id` or `previous_address`."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DESTROY = "destroy"
    READ = "read"
    NO_OP = "no-op"
    FORGET = "forget"
    IMPORT = "import"
    MOVED = "moved"
    OTHER = "other"
    """Actions that this console does not know: never to be taken for harmless."""


_KINDS: Mapping[tuple[str, ...], Kind] = {
    ("create",): Kind.CREATE,
    ("update",): Kind.UPDATE,
    ("delete", "create"): Kind.REPLACE,
    ("create", "delete"): Kind.REPLACE,
    ("create", "forget"): Kind.REPLACE,
    ("forget", "create"): Kind.REPLACE,
    ("delete",): Kind.DESTROY,
    ("read",): Kind.READ,
    ("open",): Kind.READ,
    ("no-op",): Kind.NO_OP,
    ("forget",): Kind.FORGET,
}

_REASONS: Mapping[str, str] = {
    "replace_because_tainted": "it is tainted: an earlier apply did not finish it",
    "replace_because_cannot_update": "the provider cannot change this in place",
    "replace_by_request": "asked for with -replace",
    "replace_by_triggers": "something in its replace_triggered_by changes",
    "delete_because_no_resource_config": "it is no longer in the code",
    "delete_because_no_module": "its module is no longer in the code",
    "delete_because_wrong_repetition": "count or for_each was added to it or taken away",
    "delete_because_count_index": "its number is beyond the count",
    "delete_because_each_key": "its key is no longer in for_each",
    "delete_because_no_move_target": "it was moved to an address that is not in the code",
    "read_because_config_unknown": "its arguments are known only during apply",
    "read_because_dependency_pending": "something that it depends on changes first",
    "read_because_check_nested": "it is read for a check",
}

_DEFERRED: Mapping[str, str] = {
    "instance_count_unknown": "its count or for_each is not known yet",
    "resource_config_unknown": "its arguments are not known yet",
    "provider_config_unknown": "its provider's configuration is not known yet",
    "deferred_prereq": "something that it depends on is put off",
    "absent_prereq": "something that it depends on is not there yet",
}

_MODULE_STEP = re.compile(r'module\.[^.\[\]"]+(?:\["(?:[^"\\]|\\.)*"\]|\[\d+\])?')


class _Entry(msgspec.Struct, gc=False):
    """A member of `resource_changes`, whose `change` is left as the bytes it is: nine tenths of a plan, of which hardly
    anything is ever looked at."""

    address: Any = None
    previous_address: Any = None
    module_address: Any = None
    mode: Any = None
    type: Any = None
    name: Any = None
    index: Any = None
    deposed: Any = None
    provider_name: Any = None
    action_reason: Any = None
    change: msgspec.Raw = _ABSENT


class _Head(msgspec.Struct, gc=False):
    """What of a `change` is looked at for all of them."""

    actions: Any = None
    importing: Any = None
    replace_paths: Any = None


_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRIES = msgspec.json.Decoder(list[_Entry])
_ENTRY = msgspec.json.Decoder(_Entry)
_HEAD = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What happens to one resource or data source. Its values are in clear in here, and masked in all that comes out."""

    address: str
    kind: Kind
    actions: tuple[str, ...]
    """As Terraform says it, in the order in which it will be done."""
    importing_id: str
    """What is taken into the state, by the id that it has in AWS; "" where nothing is."""
    replace_paths: tuple[Path, ...]
    """What forces the replacement; empty for a tainted one and one that was asked for."""
    _entry: _Entry = field(repr=False)

    @property
    def module(self) -> str:
        """`module.network.module.tier["data"]`; "" for the root module."""
        return _as_text(self._entry.module_address)

    @property
    def type(self) -> str:
        return _as_text(self._entry.type)

    @property
    def name(self) -> str:
        return _as_text(self._entry.name)

    @property
    def index(self) -> int | str | None:
        """The number of `count`, the key of `for_each`, None without either."""
        index = self._entry.index
        return index if isinstance(index, int | str) else None

    @property
    def deposed(self) -> str:
        """The key of an object that was replaced and waits to be destroyed; else ""."""
        return _as_text(self._entry.deposed)

    @property
    def is_data(self) -> bool:
        return bool(self._entry.mode == "data")

    @property
    def is_ephemeral(self) -> bool:
        """Whether it is opened for the plan and the apply alone, and stored nowhere."""
        return bool(self._entry.mode == _EPHEMERAL)

    @property
    def provider(self) -> str:
        """`registry.terraform.io/hashicorp/aws`."""
        return _as_text(self._entry.provider_name)

    @property
    def creates_first(self) -> bool:
        """Of a replacement: whether the new one is there before the old one goes."""
        return self.kind is Kind.REPLACE and self.actions[:1] == ("create",)

    @property
    def forgets(self) -> bool:
        """Whether an object stays in AWS that Terraform no longer manages afterwards."""
        return "forget" in self.actions

    @property
    def destroys(self) -> bool:
        return "delete" in self.actions

    @property
    def previous_address(self) -> str:
        """Where a moved object was before; "" for others."""
        return _as_text(self._entry.previous_address)

    @property
    def reason(self) -> str:
        """Why Terraform does it, in words; "" where it does not say."""
        code = self.reason_code
        return _REASONS.get(code, code.replace("_", " "))

    @property
    def reason_code(self) -> str:
        return _as_text(self._entry.action_reason)

    @property
    def forced_by(self) -> tuple[str, ...]:
        return tuple(path_name(path) for path in self.replace_paths)

    def attributes(self) -> tuple[AttributeChange, ...]:
        """What changes in it, computed anew each time. Of what is created or destroyed, all that is not empty."""
        return _attributes(self._change, self.replace_paths)

    def secrets(self) -> Iterator[str]:
        """As of the plan, of this change alone."""
        change = self._change
        for side in ("before", "after"):
            values = change.get(side)
            learned = sensitive.without_plain_parameters(self.type, values) if isinstance(values, dict) else values
            yield from marked_texts(learned, change.get(f"{side}_sensitive"))
            yield from passwords_in(values)

    def drifted(self) -> tuple[AttributeChange, ...]:
        """Of drift: what somebody has changed. Not what only looks different, and not what AWS moves by itself."""
        moving = _MOVING.get(self.type, frozenset())
        return tuple(
            each for each in self.attributes() if each.counts and not (moving and each.path and each.path[0] in moving)
        )

    @property
    def only_fills(self) -> bool:
        """Of drift: whether all that differs had no value in the state, as after an import or with a newer provider. Empty text,
        lists and maps are values: what stands in their place now, somebody has put there."""
        before = self._change.get("before")
        counting = self.drifted()
        return (
            self.kind is Kind.UPDATE
            and isinstance(before, dict)
            and bool(counting)
            and all(attribute.path and before.get(attribute.path[0]) is None for attribute in counting)
        )

    def before(self, attribute: str) -> Any:
        """One attribute as it is now: None where there is none, masked where it is sensitive, JSON in text as what it holds."""
        return self._value("before", attribute)

    def after(self, attribute: str) -> Any:
        """One attribute as it will be: None where there is none or where it is not known yet, else masked as above."""
        return self._value("after", attribute)

    def is_unknown(self, attribute: str) -> bool:
        """Whether the attribute, as a whole, is known only after apply."""
        unknown = self._change.get("after_unknown")
        return unknown is True or (isinstance(unknown, dict) and unknown.get(attribute) is True)

    @property
    def _change(self) -> Mapping[str, Any]:
        """Read anew each time, which takes microseconds."""
        change = documents.load(bytes(self._entry.change))
        return change if isinstance(change, dict) else {}

    def _value(self, side: str, attribute: str) -> Any:
        change = self._change
        values = change.get(side)
        if not isinstance(values, dict) or attribute not in values:
            return None
        value = values[attribute]
        marks = [change.get(key) for key in ("before_sensitive", "after_sensitive")]
        if value is None or isinstance(value, bool):
            marked = any(each is True or (isinstance(each, dict) and each.get(attribute) is True) for each in marks)
            return MASK if marked and value is not None else value
        sides = [change.get(key) for key in ("before", "after")]
        alone = differences(
            None,
            {attribute: value},
            before_sensitive=marks[0],
            after_sensitive=marks[1],
            secrets={text for side in sides for each in marks for text in marked_texts(side, each)},
        )
        # What is empty is no difference from nothing, and no secret either.
        return alone[0].after if alone else value


@dataclass(frozen=True, slots=True)
class OutputChange:
    """An output of the root module. Masked where it is sensitive or its name says so."""

    name: str
    kind: Kind
    before: Any
    after: Any
    unknown: bool
    sensitive: bool


@dataclass(frozen=True, slots=True)
class Check:
    """A `check` block, or a condition of a resource or output: pass, fail, error or unknown, and what it says."""

    address: str
    status: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Deferred:
    """A change that Terraform puts off to a later plan, and why, in words."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class Totals:
    """How many objects of each kind. `imported` and `moved` count those that are changed besides as well; `outputs`, `actions`,
    what is `deferred` and `unknown_parts` are the plan's, and 0 for a part of it."""

    kinds: Mapping[Kind, int]
    imported: int = 0
    moved: int = 0
    outputs: int = 0
    actions: int = 0
    deferred: int = 0
    unknown_parts: int = 0

    def of(self, kind: Kind) -> int:
        return self.kinds.get(kind, 0)

    @property
    def to_add(self) -> int:
        """As in Terraform's own last line, where a replacement is both added and destroyed."""
        return self.of(Kind.CREATE) + self.of(Kind.REPLACE)

    @property
    def to_change(self) -> int:
        return self.of(Kind.UPDATE)

    @property
    def to_destroy(self) -> int:
        return self.of(Kind.DESTROY) + self.of(Kind.REPLACE)

    @property
    def changing(self) -> int:
        """Everything but no-op and read; also the actions, and what is not known here."""
        objects = sum(count for kind, count in self.kinds.items() if kind not in (Kind.NO_OP, Kind.READ))
        return objects + self.actions + self.unknown_parts

    def words(self) -> str:
        """`2 to create, 1 to replace, 1 to destroy`; `nothing to do`."""
        parts = [f"{self.of(kind):,} to {verb}" for kind, verb in _VERBS if self.of(kind)]
        parts += [f"{self.imported:,} to import"] * bool(self.imported) + [f"{self.moved:,} moved"] * bool(self.moved)
        parts += [f"{self.outputs:,} {'output' if self.outputs == 1 else 'outputs'}"] * bool(self.outputs)
        parts += [f"{self.actions:,} {'action' if self.actions == 1 else 'actions'} to invoke"] * bool(self.actions)
        parts += [f"{self.deferred:,} put off to a later plan"] * bool(self.deferred)
        parts += [f"{self.unknown_parts:,} of a kind that is not known here"] * bool(self.unknown_parts)
        return ", ".join(parts) or "nothing to do"


_VERBS = (
    (Kind.DESTROY, "destroy"),
    (Kind.REPLACE, "replace"),
    (Kind.CREATE, "create"),
    (Kind.UPDATE, "update"),
    (Kind.FORGET, "forget"),
    (Kind.READ, "read"),
    (Kind.OTHER, "change in a way that is not known here"),
)


@dataclass(frozen=True, slots=True, eq=False)
class TypeGroup:
    """The changes of one module that have one resource type, by address."""

    type: str
    changes: tuple[Change, ...]

    def totals(self) -> Totals:
        return count(self.changes)


@dataclass(frozen=True, slots=True, eq=False)
class ModuleNode:
    """A module, what changes in it by type, and the modules in it. `path` is its address, `name` the last step of it."""

    path: str
    types: tuple[TypeGroup, ...]
    modules: tuple[ModuleNode, ...]

    @property
    def name(self) -> str:
        steps = module_steps(self.path)
        return steps[-1] if steps else ""

    def changes(self) -> Iterator[Change]:
        """Its own and those of all modules in it."""
        for group in self.types:
            yield from group.changes
        for module in self.modules:
            yield from module.changes()

    def totals(self) -> Totals:
        return count(self.changes())


class Dangerous(NamedTuple):
    """A change that ends something; `lost` says what goes with it, "" where the thing holds no state and no traffic."""

    change: Change
    lost: str


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A plan as read. `is_applyable`, `is_complete` and `is_errored` are None where Terraform is too old to say (1.8)."""

    format_version: str
    terraform_version: str
    changes: tuple[Change, ...] = field(repr=False)
    """Also those that are no-op, in Terraform's order."""
    is_applyable: bool | None
    is_complete: bool | None
    is_errored: bool | None
    at: datetime | None
    _parts: Mapping[str, msgspec.Raw] = field(repr=False)
    """Each of the document as the bytes it is."""

    @property
    def drift(self) -> tuple[Change, ...]:
        """What was found changed or gone since the last apply. `before` is what the state said, `after` what AWS says."""
        return tuple(_read_change(entry) for entry in map(_as_entry, _entries(self._parts, "resource_drift")))

    @property
    def real_drift(self) -> tuple[Change, ...]:
        """The drift in which somebody has changed something: providers also report null turned into empty."""
        return tuple(each for each in self.drift if each.kind is not Kind.UPDATE or each.drifted())

    @property
    def deferred(self) -> tuple[Deferred, ...]:
        found = []
        for entry in _entries(self._parts, "deferred_changes"):
            inner = entry.get("resource_change")
            code = _text(entry, "reason")
            if isinstance(inner, dict):
                found.append(Deferred(_read_change(_as_entry(inner)), _deferred_words(code)))
        return tuple(found)

    @property
    def actions(self) -> tuple[Action, ...]:
        """What providers are asked to do beside the changes, in Terraform's order."""
        return tuple(action_of(entry) for entry in _entries(self._parts, "action_invocations"))

    @property
    def deferred_actions(self) -> tuple[Action, ...]:
        return tuple(
            action_of(inner, _deferred_words(_text(entry, "reason")))
            for entry in _entries(self._parts, "deferred_action_invocations")
            if isinstance(inner := entry.get("action_invocation"), dict)
        )

    @property
    def unknown_parts(self) -> tuple[str, ...]:
        """The names of what a newer Terraform has put into the plan and nobody here knows, or not in that shape."""
        return tuple(unknown_parts(self._parts))

    def write_only(self) -> Mapping[str, tuple[str, ...]]:
        """By address, the write-only arguments whose values are sent: of what is created, and where their version changes."""
        raw = self._parts.get("configuration")
        if raw is None or b'_wo"' not in bytes(raw):
            return {}
        declared = write_only.declared(_part(self._parts, "configuration"))
        found = {}
        for change in self.changes:
            names = declared.get(write_only.place_of(change.module, change.type, change.name), ())
            if change.kind is Kind.UPDATE:
                changed = {each.path[0] for each in change.attributes() if each.path} if names else set()
                names = tuple(name for name in names if write_only.version_of(name) in changed)
            if names and change.kind in (Kind.CREATE, Kind.REPLACE, Kind.UPDATE):
                found[change.address] = names
        return found

    @property
    def outputs(self) -> tuple[OutputChange, ...]:
        """The outputs that change, by name."""
        table = _part(self._parts, "output_changes")
        return tuple(
            each
            for name, change in sorted(table.items() if isinstance(table, dict) else ())
            if isinstance(change, dict) and (each := _output(name, change)).kind is not Kind.NO_OP
        )

    @property
    def checks(self) -> tuple[Check, ...]:
        """One for each object that a check applies to."""
        return tuple(each for entry in _entries(self._parts, "checks") for each in _checks(entry))

    @property
    def has_managed_before(self) -> bool:
        """Whether the state managed anything before. The data sources that the plan has read stand in it, too."""
        state = _part(self._parts, "prior_state")
        values = state.get("values") if isinstance(state, dict) else None
        return isinstance(values, dict) and _has_managed(values.get("root_module"))

    def addresses(self) -> frozenset[str]:
        """Of all that is in the plan, without changes too, or was in the state before, data sources among them."""
        state = _part(self._parts, "prior_state")
        values = state.get("values") if isinstance(state, dict) else None
        known = _addresses(values.get("root_module")) if isinstance(values, dict) else ()
        changed = (name for each in self.changes for name in (each.address, each.previous_address) if name)
        return frozenset((*changed, *known))

    def variables(self) -> Mapping[str, Any]:
        """The root module's variables; masked where they are declared as sensitive or named as a secret."""
        given = _part(self._parts, "variables")
        configuration = _part(self._parts, "configuration")
        root = configuration.get("root_module") if isinstance(configuration, dict) else None
        declared = root.get("variables") if isinstance(root, dict) else None
        found: dict[str, Any] = {}
        for name, entry in sorted(given.items() if isinstance(given, dict) else ()):
            declaration = declared.get(name) if isinstance(declared, dict) else None
            sensitive = not isinstance(declaration, dict) or bool(declaration.get("sensitive")) or names_a_secret(name)
            value = entry.get("value") if isinstance(entry, dict) else None
            found[name] = MASK if sensitive and value is not None else Redactor().data(value)
        return found

    def secrets(self) -> Iterator[str]:
        """The texts that Terraform marks as sensitive, also in what stays as it is, and the passwords in URLs, in clear: for
        redaction to learn, and nothing else."""
        for change in self.changes:
            yield from change.secrets()
        for action in (*self.actions, *self.deferred_actions):
            yield from action.secrets()
        for deferred in self.deferred:
            yield from deferred.change.secrets()
        yield from known_secrets.of_plan(
            {name: _part(self._parts, name) for name in ("configuration", "variables", "output_changes")}
        )

    def totals(self) -> Totals:
        table = _part(self._parts, "output_changes")
        outputs = [each for each in table.values() if isinstance(each, dict)] if isinstance(table, dict) else []
        return replace(
            count(self.changes),
            outputs=sum(_actions(each.get("actions")) != ("no-op",) for each in outputs),
            actions=len(self.actions),
            deferred=len(self.deferred) + len(self.deferred_actions),
            unknown_parts=len(self.unknown_parts),
        )

    def tree(self, *, with_no_op: bool = False) -> ModuleNode:
        """The changes by module, then by type; the root module is the root."""
        return _tree(self.changes if with_no_op else [each for each in self.changes if each.kind is not Kind.NO_OP])

    def dangerous(self, stateful: Mapping[str, str]) -> tuple[Dangerous, ...]:
        """Everything that is destroyed, replaced or changed in an unknown way: what `stateful` names (type, and what is
        lost with it) first, then as in the plan."""
        ending = [each for each in self.changes if each.destroys or each.kind is Kind.OTHER]
        named = [Dangerous(each, "" if each.is_data else stateful.get(each.type, "")) for each in ending]
        return tuple(sorted(named, key=lambda each: (not each.lost, each.change.kind is not Kind.DESTROY)))


def read(data: bytes, name: str = "The plan") -> Plan:
    """The plan in the document of `terraform show -json`, `name` being how errors call it. Raises PlanUnreadable."""
    with uncollected():
        return _read(data, name)


def _read(data: bytes, name: str) -> Plan:
    try:
        parts = _PARTS.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        _refuse(data, name)
        raise PlanUnreadable(f"{name} is not a Terraform plan.", cause=str(error), mend=_MEND) from error
    version = _part(parts, "format_version")
    if not isinstance(version, str) or not ("resource_changes" in parts or "planned_values" in parts):
        what = "a state" if "values" in parts or "lineage" in parts else f"JSON with {_keys(parts)}"
        raise PlanUnreadable(f"{name} is not a Terraform plan.", cause=f"It is {what}.", mend=_MEND)
    if version.partition(".")[0] != FORMAT_MAJOR:
        raise PlanUnreadable(
            f"{name} has the plan format {version}, not {FORMAT_MAJOR}.x.",
            cause="Terraform before 1.1 wrote 0.x; a newer format is not known here.",
            mend="Have Terraform itself show it: terraform show PLAN",
        )
    try:
        entries = _ENTRIES.decode(changes) if (changes := parts.get("resource_changes", _ABSENT)) != _ABSENT else []
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise PlanUnreadable(f"{name} has no valid list of changes.", cause=str(error), mend=_MEND) from error
    flags = [value if isinstance(value := _part(parts, key), bool) else None for key in FLAGS]
    return Plan(
        format_version=version,
        terraform_version=_as_text(_part(parts, "terraform_version")),
        changes=tuple(map(_read_change, entries)),
        is_applyable=flags[0],
        is_complete=flags[1],
        is_errored=flags[2],
        at=moment(_as_text(_part(parts, "timestamp"))),
        _parts=parts,
    )


def _deferred_words(code: str) -> str:
    return _DEFERRED.get(code, code.replace("_", " "))


def count(changes: Iterable[Change]) -> Totals:
    kinds: Counter[Kind] = Counter()
    imported = moved = 0
    for change in changes:
        kinds[change.kind] += 1
        imported += bool(change.importing_id)
        moved += bool(change.previous_address)
    return Totals(kinds, imported, moved)


def module_steps(path: str) -> tuple[str, ...]:
    """`module.a["x.y"].module.b` → (`module.a["x.y"]`, `module.b`)."""
    steps = tuple(_MODULE_STEP.findall(path))
    return steps if ".".join(steps) == path else (path,)


_MEND = "Read it with: terraform show -json PLAN"


def _refuse(data: bytes, name: str) -> None:
    """Says what is wrong with bytes that the quick reader does not take; does nothing if it cannot find anything."""
    if not data.strip():
        raise PlanUnreadable(f"{name} is empty.", cause=f"{len(data)} bytes.", mend=_MEND)
    try:
        document = documents.load(data)
    except UnicodeDecodeError as error:
        cause = "It is the plan file itself." if data.startswith(b"PK") else f"Byte {error.start:,} is not UTF-8."
        raise PlanUnreadable(f"{name} is not JSON.", cause=cause, mend=_MEND) from error
    except json.JSONDecodeError as error:
        raise _broken(error, len(data), name) from error
    except (RecursionError, ValueError) as error:  # nested without end, or a number of thousands of digits
        raise PlanUnreadable(f"{name} is not a Terraform plan.", cause=str(error), mend=_MEND) from error
    if not isinstance(document, dict):
        kind = type(document).__name__
        raise PlanUnreadable(f"{name} is not a Terraform plan.", cause=f"It is a JSON {kind}.", mend=_MEND)


def _broken(error: json.JSONDecodeError, size_bytes: int, name: str) -> PlanUnreadable:
    cause = f"{error.msg} in line {error.lineno:,}; it has {size_bytes:,} bytes."
    if error.doc.startswith("PK"):
        return PlanUnreadable(f"{name} is not JSON.", cause="It is the plan file itself.", mend=_MEND)
    if error.msg == "Extra data" and error.doc.lstrip().startswith('{"@level"'):
        cause = "It is the event stream of terraform plan -json, which is another thing."
        return PlanUnreadable(f"{name} is not a Terraform plan.", cause=cause, mend=_MEND)
    at_end = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
    kind = "is cut off" if at_end and error.doc.lstrip().startswith("{") else "is not JSON"
    return PlanUnreadable(f"{name} {kind}.", cause=cause, mend=_MEND)


def _read_change(entry: _Entry) -> Change:
    try:
        head = _HEAD.decode(entry.change)
    except msgspec.ValidationError:  # no object
        head = _Head()
    actions = _actions(head.actions)
    kind = Kind.READ if entry.mode == _EPHEMERAL else _KINDS.get(actions, Kind.OTHER)
    if kind is Kind.NO_OP:
        if isinstance(head.importing, dict):
            kind = Kind.IMPORT
        elif entry.previous_address:
            kind = Kind.MOVED
    return Change(
        _as_text(entry.address),
        kind,
        actions,
        _importing_id(head.importing),
        _replace_paths(head.replace_paths),
        entry,
    )


def _importing_id(importing: Any) -> str:
    if not isinstance(importing, dict):
        return ""
    identity = importing.get("identity")
    return _text(importing, "id") or (json.dumps(identity) if identity else "(known after apply)")


def _as_entry(entry: Mapping[str, Any]) -> _Entry:
    return _ENTRY.decode(documents.text(entry, ensure_ascii=True))


def _replace_paths(paths: Any) -> tuple[Path, ...]:
    return tuple(tuple(path) for path in paths if isinstance(path, list)) if isinstance(paths, list) else ()


def _attributes(change: Mapping[str, Any], replace_paths: Sequence[Path] = ()) -> tuple[AttributeChange, ...]:
    return differences(
        change.get("before"),
        change.get("after"),
        unknown=change.get("after_unknown"),
        before_sensitive=change.get("before_sensitive"),
        after_sensitive=change.get("after_sensitive"),
        replace_paths=replace_paths,
    )


def _output(name: str, change: Mapping[str, Any]) -> OutputChange:
    marks = [change.get("before_sensitive"), change.get("after_sensitive")]
    if True in marks:
        marks = [True, True]
    unknown = change.get("after_unknown")
    # Each side by itself and whole, in a list of one: an output is read as one value, whatever differs in it.
    before = differences([change.get("before")], None, before_sensitive=[marks[0]], name=name)
    after = differences(None, [change.get("after")], unknown=[unknown], after_sensitive=[marks[1]], name=name)
    return OutputChange(
        name,
        _KINDS.get(_actions(change.get("actions")), Kind.OTHER),
        before[0].before[0] if before else None,
        after[0].after[0] if after and unknown is not True else None,
        unknown=any(each.unknown for each in after),
        sensitive=any(each.sensitive for each in (*before, *after)),
    )


def _checks(entry: Mapping[str, Any]) -> Iterator[Check]:
    instances = list(_entries(entry, "instances")) or [entry]
    for instance in instances:
        places = (instance.get("address"), entry.get("address"))
        address = next(
            (text for place in places if isinstance(place, dict) and (text := _text(place, "to_display"))), ""
        )
        problems = tuple(_text(problem, "message") for problem in _entries(instance, "problems"))
        yield Check(address, _text(instance, "status") or "unknown", problems)


def _addresses(module: Any) -> Iterator[str]:
    if not isinstance(module, dict):
        return
    for resource in module.get("resources") or ():
        yield _text(resource, "address")
    for child in module.get("child_modules") or ():
        yield from _addresses(child)


def _has_managed(module: Any) -> bool:
    if not isinstance(module, dict):
        return False
    resources, inner = module.get("resources"), module.get("child_modules")
    own = resources if isinstance(resources, list) else []
    below = inner if isinstance(inner, list) else []
    return any(isinstance(each, dict) and each.get("mode") == "managed" for each in own) or any(
        map(_has_managed, below)
    )


def _tree(changes: Sequence[Change]) -> ModuleNode:
    grouped: dict[str, dict[str, list[Change]]] = {"": {}}
    for change in changes:
        grouped.setdefault(change.module, {}).setdefault(change.type, []).append(change)
    inner: dict[str, set[str]] = {}
    for path in grouped:
        steps = module_steps(path)
        for depth in range(len(steps), 0, -1):  # also the modules that have only modules in them
            inner.setdefault(".".join(steps[: depth - 1]), set()).add(".".join(steps[:depth]))

    def node(path: str) -> ModuleNode:
        types = grouped.get(path, {})
        return ModuleNode(
            path=path,
            types=tuple(TypeGroup(type_, tuple(types[type_])) for type_ in sorted(types)),
            modules=tuple(node(child) for child in sorted(inner.get(path, ()))),
        )

    return node("")


def _actions(actions: Any) -> tuple[str, ...]:
    return tuple(actions) if isinstance(actions, list) and all(isinstance(each, str) for each in actions) else ()


def _part(parts: Mapping[str, msgspec.Raw], key: str) -> Any:
    """Of the document, read anew each time; None where there is none."""
    return documents.load(bytes(parts[key])) if key in parts else None


def _entries(parts: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    entries = parts.get(key)
    if isinstance(entries, msgspec.Raw):
        entries = documents.load(bytes(entries))
    return (each for each in entries if isinstance(each, dict)) if isinstance(entries, list) else iter(())


def _keys(document: Mapping[str, Any]) -> str:
    names = [repr(name) for name in list(document)[:5]]
    return f"the keys {', '.join(names)}" if names else "no keys"


def _text(document: Mapping[str, Any], key: str) -> str:
    return _as_text(document.get(key))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""
