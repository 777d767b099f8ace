"""What an expression of Terraform's comes to, as far as the files alone tell: variables, locals, templates and the plain
functions. Whatever hangs on AWS, on a provider or on a function that is not here comes out Unknown, with its text: a name
is never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infraconsole.terraform.conversions import united
from infraconsole.terraform.functions import (
    LENIENT,
    OPERATIONS,
    STRICT,
    as_index,
    as_number,
    as_text,
    negative,
    plain_number,
)
from infraconsole.terraform.hcl import TEXT_LIMIT, Block
from infraconsole.terraform.kinds import ListOf, SetOf, equal
from infraconsole.terraform.kinds import Unknown as Unknown
from infraconsole.terraform.nodes import Node, text_of

MOST_CHARACTERS = 10_000
MOST_ITEMS = 2_000
MOST_STEPS = 100_000
"""For one expression. Files may say anything, also what doubles itself until no memory is left."""
MOST_INSTANCES = 1_000


Value = Any
"""str, int, float, bool, None, a collection of values as in `kinds`, or Unknown, also within collections."""


class Scope:
    """What names mean in one module: `variables` are values, `local_nodes` expressions, evaluated once each when asked for."""

    def __init__(self, variables: Mapping[str, Value], local_nodes: Mapping[str, Node]) -> None:
        self.variables = variables
        self.local_nodes = local_nodes
        self.bound: Mapping[str, Value] = {}
        """`each`, `count`, and what `for` expressions bind."""
        self._locals: dict[str, Value] = {}
        self._under_way: set[str] = set()
        self._steps = [0]

    def binding(self, **names: Value) -> Scope:
        """This scope with some more names in it. What was evaluated so far is shared."""
        inner = Scope(self.variables, self.local_nodes)
        inner.bound = {**self.bound, **names}
        inner._locals, inner._under_way, inner._steps = self._locals, self._under_way, self._steps
        return inner

    def evaluate(self, node: Node) -> Value:
        """The value, or an Unknown. Never raises for what a file says."""
        self._steps[0] = 0
        try:
            return self.value(node)
        except _Exhausted:
            return Unknown(text_of(node), "it takes too many steps to evaluate")

    def value(self, node: Node) -> Value:
        """As `evaluate`, for a part of what is being evaluated."""
        self._steps[0] += 1
        if self._steps[0] > MOST_STEPS:
            raise _Exhausted
        try:
            value = _KINDS[node[0]](self, node)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            return Unknown(text_of(node), f"it is not valid here ({error})")
        except RecursionError:
            return Unknown(text_of(node), "it is nested too deeply")
        if isinstance(value, str) and len(value) > MOST_CHARACTERS:
            return Unknown(text_of(node), "it becomes too long")
        if isinstance(value, list | dict) and len(value) > MOST_ITEMS:
            return Unknown(text_of(node), "it becomes too large")
        return value

    def local(self, name: str) -> Value:
        if name in self._locals:
            return self._locals[name]
        if name not in self.local_nodes:
            return Unknown(f"local.{name}", f"there is no local.{name}")
        if name in self._under_way:
            return Unknown(f"local.{name}", f"local.{name} is made of itself")
        self._under_way.add(name)
        try:
            self._locals[name] = self._without_bindings().value(self.local_nodes[name])
        finally:
            self._under_way.discard(name)
        return self._locals[name]

    def _without_bindings(self) -> Scope:
        outside = self.binding()
        outside.bound = {}
        return outside


class _Exhausted(Exception):
    """The steps are used up."""


@dataclass(frozen=True)
class Instance:
    """One of what a block makes. `index` is as in addresses: "", `[0]`, `["key"]`; `certain` is False where only Terraform
    knows whether, or how often, there is one."""

    index: str
    scope: Scope
    certain: bool = True


def instances(block: Block, scope: Scope) -> tuple[Instance, ...]:
    """What a block's `count` or `for_each` comes to in `scope`; none for a count of nought. What cannot be told is one
    instance that is not certain."""
    count, for_each = block.attribute("count"), block.attribute("for_each")
    if count and count.node:
        number = scope.evaluate(count.node)
        if isinstance(number, str) and number.isdigit():
            number = int(number)
        if isinstance(number, int) and not isinstance(number, bool) and number <= MOST_INSTANCES:
            return tuple(Instance(f"[{index}]", scope.binding(count={"index": index})) for index in range(number))
        return (Instance("", scope, certain=False),)
    if for_each and for_each.node:
        items = scope.evaluate(for_each.node)
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            items = {item: item for item in items}
        if isinstance(items, dict) and len(items) <= MOST_INSTANCES:
            return tuple(
                Instance(f'["{key}"]', scope.binding(each={"key": key, "value": items[key]})) for key in sorted(items)
            )
        return (Instance("", scope, certain=False),)
    return (Instance("", scope),)


def is_known(value: Value) -> bool:
    """Through and through."""
    if isinstance(value, list):
        return all(map(is_known, value))
    if isinstance(value, dict):
        return all(map(is_known, value.values()))
    return not isinstance(value, Unknown)


# --- The kinds of nodes ------------------------------------------------------------------------------------------------


def _literal(scope: Scope, node: Node) -> Value:
    return plain_number(node[1]) if isinstance(node[1], float) else node[1]


def _template(scope: Scope, node: Node) -> Value:
    written = ""
    for number, part in enumerate(node[1]):
        value = part if isinstance(part, str) else scope.value(part)
        if isinstance(value, Unknown):
            filled = _filled(scope, node[1])
            return Unknown(filled, value.why, written + (value.prefix if number == 0 else ""), filled)
        written += as_text(value)
    return written


def _filled(scope: Scope, parts: Sequence[Any]) -> str:
    """A template with what is known put in: `/shared/rds/prod/${aws_db_instance.x.id}`."""
    shown = ""
    for part in parts:
        value = part if isinstance(part, str) else scope.value(part)
        if not isinstance(part, str) and part[0] == "raw":
            shown += part[1]
        elif isinstance(value, str | int | float):
            shown += as_text(value)
        else:
            shown += "${" + (value.text if isinstance(value, Unknown) else text_of(part)) + "}"
        if len(shown) > TEXT_LIMIT:
            return shown[: TEXT_LIMIT - 1] + "…"
    return shown


def _reference(scope: Scope, node: Node) -> Value:
    root, *steps = node[1]
    if root in scope.bound:
        return _stepped(scope, scope.bound[root], steps, node)
    if root == "var" and steps and isinstance(steps[0], str):
        missing = Unknown(text_of(node), f"var.{steps[0]} has no value in the files")
        return _stepped(scope, scope.variables.get(steps[0], missing), steps[1:], node)
    if root == "local" and steps and isinstance(steps[0], str):
        return _stepped(scope, scope.local(steps[0]), steps[1:], node)
    return Unknown(text_of(node), f"{text_of(node)} is known only when Terraform runs")


def _get(scope: Scope, node: Node) -> Value:
    return _stepped(scope, scope.value(node[1]), node[2], node)


def _stepped(scope: Scope, value: Value, steps: Sequence[Any], node: Node) -> Value:
    for number, step in enumerate(steps):
        if isinstance(value, Unknown):
            return Unknown(text_of(node), value.why)
        if isinstance(step, str):
            value = value[step]
        elif step[0] == "*":
            return _splat(scope, value, steps[number + 1 :], node)
        else:
            index = scope.value(step[1])
            if isinstance(index, Unknown):
                return Unknown(text_of(node), index.why)
            value = value[as_index(value, index)] if isinstance(value, list) else value[as_text(index)]
    return value


def _splat(scope: Scope, value: Value, steps: Sequence[Any], node: Node) -> Value:
    """Null has no items, and what is no list is one item."""
    items = [] if value is None else value if isinstance(value, list) else [value]
    made = [_stepped(scope, item, steps, node) for item in items]
    return ListOf(made) if isinstance(value, ListOf | SetOf) else made


def _call(scope: Scope, node: Node) -> Value:
    _, name, argument_nodes, expands = node
    if name == "try":  # only its first argument can be judged: whether Terraform fails on it is not known here
        value = scope.value(argument_nodes[0])
        return value if is_known(value) else Unknown(text_of(node), _why(value))
    arguments = [scope.value(each) for each in argument_nodes]
    if expands:
        last = arguments.pop()
        if not isinstance(last, list):
            return Unknown(text_of(node), _why(last))
        arguments += last
    if name in LENIENT:
        unknown = next((each for each in arguments if isinstance(each, Unknown)), None)
        return Unknown(text_of(node), unknown.why) if unknown else LENIENT[name](*arguments)
    if name not in STRICT:
        return Unknown(text_of(node), f"the function {name} is not evaluated")
    if not is_known(arguments):
        prefix = re.split("%", arguments[0])[0] if name == "format" and isinstance(arguments[0], str) else ""
        return Unknown(text_of(node), _why(arguments), prefix)
    return STRICT[name](*arguments)


def _conditional(scope: Scope, node: Node) -> Value:
    condition = scope.value(node[1])
    if isinstance(condition, Unknown):
        return Unknown(text_of(node), condition.why)
    taken, other = (node[2], node[3]) if _truth(condition) else (node[3], node[2])
    return united(scope.value(taken), scope.value(other))


def _operator(scope: Scope, node: Node) -> Value:
    _, operator, left_node, right_node = node
    left = scope.value(left_node)
    if operator in ("&&", "||") and not isinstance(left, Unknown):
        if _truth(left) == (operator == "||"):
            return operator == "||"
        right = scope.value(right_node)
        return right if isinstance(right, Unknown) else _truth(right)
    right = scope.value(right_node)
    if not is_known([left, right]):
        return Unknown(text_of(node), _why([left, right]))
    if operator in ("==", "!="):
        return equal(left, right) == (operator == "==")
    return OPERATIONS[operator](as_number(left), as_number(right))


def _not(scope: Scope, node: Node) -> Value:
    value = scope.value(node[1])
    return Unknown(text_of(node), value.why) if isinstance(value, Unknown) else not _truth(value)


def _negative(scope: Scope, node: Node) -> Value:
    value = scope.value(node[1])
    return Unknown(text_of(node), value.why) if isinstance(value, Unknown) else negative(value)


def _list(scope: Scope, node: Node) -> Value:
    return [scope.value(each) for each in node[1]]


def _map(scope: Scope, node: Node) -> Value:
    found = {}
    for key_node, value_node in node[1]:
        key = scope.value(key_node)
        if isinstance(key, Unknown):
            return Unknown(text_of(node), key.why)
        found[as_text(key)] = scope.value(value_node)
    return found


def _for(scope: Scope, node: Node) -> Value:
    _, kind, key_name, value_name, collection_node, key_node, value_node, condition_node = node
    collection = scope.value(collection_node)
    if isinstance(collection, dict):
        items: list[tuple[Any, Any]] = sorted(collection.items())
    elif isinstance(collection, SetOf):
        items = [(each, each) for each in collection]
    elif isinstance(collection, list):
        items = list(enumerate(collection))
    else:
        return Unknown(text_of(node), _why(collection))
    as_list, as_map = [], {}
    for key, value in items:
        inner = scope.binding(**({key_name: key} if key_name else {}), **{value_name: value})
        wanted = inner.value(condition_node) if condition_node else True
        if isinstance(wanted, Unknown):
            return Unknown(text_of(node), wanted.why)
        if not _truth(wanted):
            continue
        if kind == "list":
            as_list.append(inner.value(value_node))
            continue
        made = inner.value(key_node)
        if isinstance(made, Unknown):
            return Unknown(text_of(node), made.why)
        if (name := as_text(made)) in as_map:
            raise ValueError(f"the key {name} comes twice")
        as_map[name] = inner.value(value_node)
    return as_list if kind == "list" else as_map


def _raw(scope: Scope, node: Node) -> Value:
    return Unknown(text_of(node), "template directives are not evaluated")


_KINDS: Mapping[str, Callable[[Scope, Node], Value]] = {
    "lit": _literal,
    "tpl": _template,
    "ref": _reference,
    "get": _get,
    "call": _call,
    "if": _conditional,
    "op": _operator,
    "not": _not,
    "neg": _negative,
    "list": _list,
    "map": _map,
    "for": _for,
    "raw": _raw,
}


# --- Values ------------------------------------------------------------------------------------------------------------


def _why(value: Value) -> str:
    """Of the first Unknown in a value."""
    if isinstance(value, Unknown):
        return value.why
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if not is_known(each):
            return _why(each)
    return "it is of another type than is needed here"


def _truth(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise TypeError("neither true nor false")
