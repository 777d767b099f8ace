"""Where values come from within a module: from a data source over locals, maps, `for` and module calls to the
attributes that see them. Maps are followed key by key: who takes one of seven keys does not see the other six."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infraconsole.terraform.hcl import Attribute, Block
from infraconsole.terraform.modules import Located, Module, source_of
from infraconsole.terraform.nodes import Node, name_of, names_in, substituted

_VALUES = {
    "aws_ssm_parameter": ("value", "insecure_value", "*"),
    "aws_ssm_parameters_by_path": ("values", "*"),
    "terraform_remote_state": (),
}
"""The data sources, lasting or ephemeral, that are followed, and the attributes that are their value; of a state everything is."""
_READERS = ("data", "ephemeral")
_NO_SINKS = frozenset(("locals", "variable", "terraform", "moved", "removed", "import"))
_NO_ATTRIBUTES = ("depends_on", "lifecycle.ignore_changes", "lifecycle.replace_triggered_by")

_NONE: frozenset[Origin] = frozenset()


@dataclass(frozen=True)
class Origin:
    """The data source that a value comes from. `key` is its instance; "" without any, "*" where it may be each of them."""

    flow: Flow
    kind: str
    """`data` or `ephemeral`."""
    type: str
    name: str
    key: str


@dataclass(frozen=True)
class Sink:
    """A place in an attribute that sees values. `type` is the resource's; of a module call `module:` and its source.
    `ignored`: the resource ignores changes of it."""

    address: str
    attribute: str
    file: str
    line: int
    type: str
    origins: frozenset[Origin]
    ignored: bool = False


class Flow:
    """Of one module; `inner` are those that it calls and that can be read, by the name of the call."""

    def __init__(self, module: Module, inner: Mapping[str, Flow] | None = None) -> None:
        self.module = module
        self.inner = dict(inner or {})
        self.caller: tuple[Flow, Block] | None = None
        calls = {located.name: located.block for located in module.of_kind("module")}
        for name, flow in self.inner.items():
            flow.caller = (self, calls[name])
        self._data = {
            (kind, each.type, each.name): each.block
            for kind in _READERS
            for each in module.of_kind(kind)
            if each.type in _VALUES
        }
        self._locals = module.locals()
        self._outputs = {each.name: each.block for each in module.of_kind("output")}
        self._known: dict[tuple[str, ...], frozenset[Origin]] = {}
        self._under_way: set[tuple[str, ...]] = set()

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Flow]]:
        """This one and all that it calls, each with its address, `module.a.module.b.`; "" for the root."""
        yield prefix, self
        for name, inner in self.inner.items():
            yield from inner.walk(f"{prefix}module.{name}.")

    def sinks(self) -> Iterator[Sink]:
        """Every place that sees the value of a data source, also in the modules called."""
        inner_sinks = {name: tuple(flow.sinks()) for name, flow in self.inner.items()}
        for located in self.module.blocks:
            kind = located.block.kind
            if kind in _NO_SINKS or (kind == "output" and self.caller):
                continue
            seen_inside = frozenset(
                origin for sink in inner_sinks.get(located.name, ()) for origin in sink.origins if kind == "module"
            )
            for sink in self._sinks_of(located):
                if not sink.origins & seen_inside:
                    yield sink
        for name, sinks in inner_sinks.items():
            for sink in sinks:
                yield Sink(
                    f"module.{name}.{sink.address}",
                    sink.attribute,
                    sink.file,
                    sink.line,
                    sink.type,
                    sink.origins,
                    sink.ignored,
                )

    def local_origins(self) -> Mapping[str, frozenset[Origin]]:
        """What each local is made of, as `local.vpc_id`; of a map key by key, as `local.keys.rds`."""
        found = {}
        for name, attribute in self._locals.items():
            node = attribute.node
            keys = [str(key[1]) for key, _ in node[1] if key[0] == "lit"] if node and node[0] == "map" else []
            paths: list[tuple[str, ...]] = [(name, key) for key in keys]
            for path in paths or [(name,)]:
                if origins := self.origins(("local", *path)):
                    found[".".join(("local", *path))] = origins
        return found

    def origins(self, parts: Sequence[str], block: Block | None = None) -> frozenset[Origin]:
        """Of what a name stands for; `block` is where it stands, for `each`."""
        key = tuple(parts)
        if key[0] == "each":  # means another thing in each block
            return self._of_each(key[1:], block)
        if key not in self._known:
            if key in self._under_way:
                return _NONE
            self._under_way.add(key)
            found = self._of_name(key[0], key[1:])
            self._under_way.discard(key)
            self._known[key] = found
        return self._known[key]

    def variables_in(self, attribute: Attribute) -> frozenset[str]:
        """The variables that an expression hangs on, over locals too."""
        found: set[str] = set()
        pending, been = [attribute], {attribute.path}
        while pending:
            for reference in pending.pop().references:
                root, *rest = reference.parts
                if root == "var" and rest:
                    found.add(rest[0])
                elif root == "local" and rest and rest[0] in self._locals and rest[0] not in been:
                    been.add(rest[0])
                    pending.append(self._locals[rest[0]])
        return frozenset(found)

    def _sinks_of(self, located: Located) -> Iterator[Sink]:
        block = located.block
        kind = f"module:{source_of(located)}" if block.kind == "module" else located.type
        ignored = block.attribute("lifecycle.ignore_changes")
        ignores = re.findall(r"[\w.]+", ignored.text) if ignored else []
        for attribute in block.attributes:
            if attribute.path in _NO_ATTRIBUTES:
                continue
            is_ignored = any(
                name == "all" or attribute.path == name or attribute.path.startswith(f"{name}.") for name in ignores
            )
            for reference in attribute.references:
                if origins := self.origins(reference.parts, block):
                    yield Sink(located.address, attribute.path, located.file, reference.line, kind, origins, is_ignored)

    def _of_name(self, root: str, rest: tuple[str, ...]) -> frozenset[Origin]:
        if root in _READERS and len(rest) > 1 and (root, rest[0], rest[1]) in self._data:
            return self._of_data(root, rest[0], rest[1], rest[2:])
        if root == "local" and rest and rest[0] in self._locals:
            return self._of_attribute(self._locals[rest[0]], rest[1:], None)
        if root == "var" and rest and self.caller:
            flow, call = self.caller
            argument = call.attribute(rest[0])
            return flow._of_attribute(argument, rest[1:], call) if argument else _NONE
        if root == "module" and rest and rest[0] in self.inner:
            inner = self.inner[rest[0]]
            for at, part in enumerate(rest[1:3], 2):  # the output's name, after the instance where there are several
                value = inner._outputs[part].attribute("value") if part in inner._outputs else None
                if value:
                    return inner._of_attribute(value, rest[at:], None)
        return _NONE

    def _of_data(self, kind: str, type_: str, name: str, rest: tuple[str, ...]) -> frozenset[Origin]:
        block = self._data[kind, type_, name]
        key = ""
        if block.attribute("for_each") or block.attribute("count"):
            key, rest = (rest[0], rest[1:]) if rest else ("*", ())
        values = _VALUES[type_]
        if values and rest and rest[0] not in values:
            return _NONE  # its name, its version: not its value
        return frozenset((Origin(self, kind, type_, name, key),))

    def _of_each(self, rest: tuple[str, ...], block: Block | None) -> frozenset[Origin]:
        repeated = block.attribute("for_each") if block else None
        node = repeated.node if repeated else None
        if repeated is None or node is None or (rest[:1] == ("key",) and node[:2] != ["call", "toset"]):
            return _NONE  # a map's keys are not its values
        return self._of_attribute(repeated, ("*", *rest[1:]) if rest[:1] == ("value",) else (), block)

    def _of_attribute(self, attribute: Attribute, rest: tuple[str, ...], block: Block | None) -> frozenset[Origin]:
        node = attribute.node if rest else None
        if node:
            return self._at(node, rest, block)
        return _union(self.origins(reference.parts, block) for reference in attribute.references)

    def _at(self, node: Node, rest: tuple[str, ...], block: Block | None) -> frozenset[Origin]:
        """Of what `rest` leads to within an expression: as narrow as its form tells, and everything in it otherwise."""
        if not rest:
            return self._in(node, block)
        kind = node[0]
        if kind == "ref":
            return self.origins((*name_of(node), *rest), block)
        if kind == "map":
            return _union(
                self._at(value, rest[1:], block)
                for key, value in node[1]
                if rest[0] == "*" or key[0] != "lit" or str(key[1]) == rest[0]
            )
        if kind == "list" and rest[0].isdigit():
            return _union(self._at(item, rest[1:], block) for item in node[1][int(rest[0]) : int(rest[0]) + 1])
        if kind == "list":
            return _union(self._at(item, rest[1:], block) for item in node[1])
        if kind == "if":
            return self._in(node[1], block) | self._at(node[2], rest, block) | self._at(node[3], rest, block)
        if kind == "call" and node[1] in ("merge", "try", "tomap"):
            return _union(self._at(argument, rest, block) for argument in node[2])
        if kind == "for" and node[1] == "map":
            return self._at_key(node, rest, block)
        return self._in(node, block)

    def _at_key(self, node: Node, rest: tuple[str, ...], block: Block | None) -> frozenset[Origin]:
        """One item of `{ for key, value in collection : key => … }`, where its key is that of the collection."""
        _, _, key_name, value_name, collection, key, value, _ = node
        index: Node = ["idx", ["lit", rest[0]]]
        if key_name and key == ["ref", [key_name]] and collection[0] == "ref":
            names = {key_name: index[1], value_name: ["ref", [*collection[1], index]]}
        elif not key_name and key == ["ref", [value_name]]:
            names = {value_name: index[1]}
        else:
            return self._in(node, block)
        return self._at(substituted(value, names), rest[1:], block)

    def _in(self, node: Node, block: Block | None) -> frozenset[Origin]:
        return _union(self.origins(name, block) for name in names_in(node))


def _union(parts: Iterator[frozenset[Origin]]) -> frozenset[Origin]:
    return frozenset(origin for part in parts for origin in part)
