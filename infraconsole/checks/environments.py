"""A service's environments side by side: what their variables say, what is missing, what no variable declares, and what runs.

Pure: from the Terraform code as read and from what runs. Secrets are masked on the way out, and still compared.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from infraconsole.checks import image_drift
from infraconsole.secret_places import MASK, masked, names_a_secret
from infraconsole.terraform import variables
from infraconsole.terraform.attributes import differences, same, shown
from infraconsole.terraform.evaluate import Scope, Unknown
from infraconsole.terraform.hcl import Attribute
from infraconsole.terraform.modules import Module, root_modules
from infraconsole.terraform.reader import Tree


class Standing(StrEnum):
    """How the environments stand to each other in one line; the worst comes first."""

    MISSING = "missing"
    """An environment gives a variable no value, and it has no default: Terraform asks, or fails."""
    UNDECLARED = "undeclared"
    """A value for a name that no `variable` declares: Terraform ignores it."""
    DRIFTED = "drifted"
    """What runs is not what the variables say."""
    DIFFERS = "differs"
    SAME = "same"


_ORDER = list(Standing)


class Origin(StrEnum):
    GIVEN = "given"
    DEFAULT = "default"
    MISSING = "missing"
    NO_FILE = "no file"
    """The environment has no variables in this code."""
    UNKNOWN = "unknown"
    """Of what runs: not read, or not there."""


@dataclass(frozen=True)
class Declared:
    """A `variable` of the code. `default` counts only where `has_default`; `place` is its file and line."""

    has_default: bool = False
    default: Any = None
    sensitive: bool = False
    description: str = ""
    place: str = ""


@dataclass(frozen=True)
class Given:
    """What a variables' file says."""

    value: Any
    place: str = ""


@dataclass(frozen=True)
class Side:
    """One environment in one line. `words` are for the outside; `note` says what is wrong with this side alone."""

    words: str
    origin: Origin = Origin.GIVEN
    place: str = ""
    note: str = ""


@dataclass(frozen=True)
class Line:
    """`hint` is a sentence, "" mostly. Of what runs `place` is ""."""

    name: str
    standing: Standing
    sides: Mapping[str, Side]
    secret: bool = False
    description: str = ""
    place: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Running:
    """What runs in one environment: `cpu` in units, `memory` in MiB, as ECS writes them."""

    image_tag: str
    revision: str
    cpu: str
    memory: str
    running: int
    desired: int
    image: str = ""
    """Its whole reference, "" where that is not known."""
    names: tuple[str, ...] = ()
    """Of the service, its environment and container: they tell which variable brings the image."""


@dataclass(frozen=True)
class Comparison:
    """`lines` with the worst first. `without_file`: environments that have no variables. `problems`: what could not be read."""

    environments: tuple[str, ...]
    lines: tuple[Line, ...]
    without_file: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """By environment and name, in clear: to compare with what runs."""

    def count(self, standing: Standing) -> int:
        return sum(line.standing is standing for line in self.lines)


Typed = Callable[[str, Any], Any]
"""What a variable is when it is given a value; values are shown as they are written, and compared as Terraform takes them."""


def compare_code(tree: Tree, environments: Sequence[str]) -> Comparison:
    """Of the module at the root of `tree`."""
    module = next((each for each in root_modules(tree) if each.folder == tree.root), None)
    problems = tuple(f"{each.message} {each.mend}".strip() for each in tree.problems if each.level == "error")
    if module is None:
        return Comparison(tuple(environments), (), tuple(environments), problems)
    always = _given(module.tfvars)
    given = {
        name: {**always, **_given(module.environment_tfvars[name])} if name in module.environment_tfvars else None
        for name in environments
    }
    found = compare(environments, _declared(module), given, _typed(module))
    return Comparison(found.environments, found.lines, found.without_file, problems, found.values)


def compare(
    environments: Sequence[str],
    declared: Mapping[str, Declared],
    given: Mapping[str, Mapping[str, Given] | None],
    typed: Typed = lambda name, value: value,
) -> Comparison:
    """`given`: by environment, None for one that has no variables' file. Without any declaration nothing is undeclared."""
    names = dict.fromkeys([*declared, *(name for values in given.values() for name in values or ())])
    lines = [_line(name, environments, declared.get(name), given, typed, known=declared) for name in names]
    values: dict[str, dict[str, Any]] = {}
    for environment in environments:
        file = given.get(environment)
        if file is None:
            continue
        defaults = {name: each.default for name, each in declared.items() if each.has_default}
        written = {**defaults, **{name: each.value for name, each in file.items()}}
        values[environment] = {name: typed(name, value) for name, value in written.items()}
    return Comparison(
        tuple(environments),
        tuple(sorted(lines, key=_weight)),
        tuple(name for name in environments if given.get(name) is None),
        values=values,
    )


def _weight(line: Line) -> tuple[int, str]:
    return _ORDER.index(line.standing), line.name


def _line(
    name: str,
    environments: Sequence[str],
    declaration: Declared | None,
    given: Mapping[str, Mapping[str, Given] | None],
    typed: Typed,
    *,
    known: Mapping[str, Declared],
) -> Line:
    secret = names_a_secret(name) or bool(declaration and declaration.sensitive)
    sides: dict[str, Side] = {}
    values: list[Any] = []
    for environment in environments:
        file = given.get(environment)
        if file is None:
            sides[environment] = Side("", Origin.NO_FILE)
        elif name in file:
            sides[environment] = Side(_words(name, file[name].value, secret), Origin.GIVEN, file[name].place)
            values.append(file[name].value)
        elif declaration is None:
            sides[environment] = Side("", Origin.MISSING)
        elif declaration.has_default:
            words = _words(name, declaration.default, secret)
            sides[environment] = Side(words, Origin.DEFAULT, declaration.place)
            values.append(declaration.default)
        else:
            sides[environment] = Side("", Origin.MISSING, note="no value, and the variable has no default")
    missing = [place for place, side in sides.items() if side.origin is Origin.MISSING]
    standing, hint = Standing.SAME, ""
    if declaration is None and known:
        standing, hint = Standing.UNDECLARED, _undeclared(name, known)
    elif missing and declaration is not None:
        standing = Standing.MISSING
        hint = f"{' and '.join(missing)} give{'s' * (len(missing) == 1)} it no value, and it has no default."
    elif missing or any(not _same(typed(name, values[0]), typed(name, value)) for value in values[1:]):
        standing = Standing.DIFFERS
    return Line(
        name,
        standing,
        sides,
        secret,
        declaration.description if declaration else "",
        declaration.place if declaration else "",
        hint,
    )


def _undeclared(name: str, known: Mapping[str, Declared]) -> str:
    like = difflib.get_close_matches(name, known, 1)
    meant = f" Is {like[0]} meant?" if like else ""
    return f"No variable declares {name}, so Terraform ignores it.{meant}"


def _words(name: str, value: Any, secret: bool) -> str:
    if isinstance(value, Unknown):
        return MASK if secret else masked(value.text)
    plain = _plain(value)
    if secret and plain not in (None, ""):
        return MASK
    alone = differences(None, {name: plain})  # masks what is named as a secret inside of it
    return shown(alone[0].after if len(alone) == 1 else plain) or '""'


def _plain(value: Any) -> Any:
    """What cannot be evaluated as its text, so that JSON can be made of the whole."""
    if isinstance(value, Unknown):
        return value.text
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _same(one: Any, other: Any) -> bool:
    return same(_plain(one), _plain(other))


# --- The code ----------------------------------------------------------------------------------------------------------


def _declared(module: Module) -> Mapping[str, Declared]:
    found = {}
    for located in module.of_kind("variable"):
        block = located.block
        default, sensitive, description = (block.attribute(name) for name in ("default", "sensitive", "description"))
        found[located.name] = Declared(
            has_default=default is not None,
            default=_evaluated(default) if default else None,
            sensitive=bool(sensitive) and _evaluated(sensitive) is not False,
            description=str(_evaluated(description)) if description else "",
            place=f"{located.file}:{block.line}",
        )
    return found


def _typed(module: Module) -> Typed:
    declared = {located.name: variables.declared(located.block) for located in module.of_kind("variable")}

    def typed(name: str, value: Any) -> Any:
        taken = declared[name].taken(value) if name in declared else value
        return value if isinstance(taken, Unknown) else taken

    return typed


def _given(attributes: Mapping[str, Attribute]) -> Mapping[str, Given]:
    return {name: Given(_evaluated(each), f"line {each.line}") for name, each in attributes.items()}


def _evaluated(attribute: Attribute | None) -> Any:
    if attribute is None:
        return None
    node = attribute.node
    return Scope({}, {}).evaluate(node) if node else Unknown(attribute.text, "it is not read")


# --- What runs ---------------------------------------------------------------------------------------------------------

_IN_CODE: Mapping[str, tuple[str, ...]] = {
    "cpu": ("ecs_task_cpu", "task_cpu", "cpu"),
    "memory": ("ecs_task_memory", "task_memory", "memory"),
}
"""What runs → the variables that the guide's code takes it from. The number of tasks is left out: scaling changes it."""


def running_lines(
    running: Mapping[str, Running | None], environments: Sequence[str], code: Comparison | None
) -> tuple[Line, ...]:
    """What runs in each environment; None where it is not known. Compared with the variables where there is code."""
    table: tuple[tuple[str, Mapping[str, str]], ...] = tuple(
        (name, {place: told(each) for place, each in running.items() if each is not None})
        for name, told in (
            ("image", lambda each: each.image_tag),
            ("revision", lambda each: each.revision),
            ("tasks", lambda each: f"{each.running} of {each.desired}"),
            ("cpu", lambda each: each.cpu),
            ("memory", lambda each: each.memory),
        )
    )
    return tuple(_running_line(name, values, running, environments, code) for name, values in table)


def _running_line(
    name: str,
    values: Mapping[str, str],
    running: Mapping[str, Running | None],
    environments: Sequence[str],
    code: Comparison | None,
) -> Line:
    sides = {}
    drifted = []
    for environment in environments:
        if environment not in values:
            sides[environment] = Side("", Origin.UNKNOWN)
            continue
        meant = _meant(name, environment, running.get(environment), code)
        note = f"the variables say {meant}" if meant and meant != values[environment] else ""
        if note:
            drifted.append(f"{environment} runs {values[environment]}, {note}")
        sides[environment] = Side(values[environment], note=note)
    known = list(values.values())
    standing = Standing.SAME if len(set(known)) <= 1 else Standing.DIFFERS
    if drifted:
        hint = f"{'; '.join(drifted)}: the next deploy brings what the variables say."
        return Line(name, Standing.DRIFTED, sides, hint=hint)
    return Line(name, standing, sides)


def _meant(name: str, environment: str, running: Running | None, code: Comparison | None) -> str:
    """What the variables say of it; "" where they do not. Of the image: only where that is another one."""
    values = code.values.get(environment, {}) if code else {}
    if name == "image":
        other = image_drift.meant(values, running.image, running.names) if running and running.image else None
        return other.value if other else ""
    found: Iterable[Any] = (values[each] for each in _IN_CODE.get(name, ()) if each in values)
    value = next(iter(found), None)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
