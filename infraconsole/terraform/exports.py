"""Exports as the code has them: which module makes each, which data source reads it in which service, and which resources
see its value, over locals and one level of module calls. Nothing is asked of AWS."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache as once
from importlib import resources
from pathlib import Path

from infraconsole.config import Config
from infraconsole.terraform.evaluate import Scope, Unknown, Value, instances
from infraconsole.terraform.flow import Flow, Origin, Sink
from infraconsole.terraform.hcl import Attribute
from infraconsole.terraform.modules import ENVIRONMENT_NAMES, Callees, Located, Module, root_modules
from infraconsole.terraform.reader import Problem, Tree, read_trees

INFRASTRUCTURE = "infrastructure"
PARAMETER = "aws_ssm_parameter"
REMOTE_STATE = "terraform_remote_state"


@dataclass(frozen=True)
class Producer:
    """A resource that makes an export. `name` is the expression's text where it is not `resolved`; `environment` is ""
    where the name does not depend on it. `module` is the folder below the infrastructure root; `type` and `value` are
    the expressions' texts. `certain` is False where only Terraform knows whether there is such a resource at all; `why`
    says why a name is not resolved."""

    name: str
    resolved: bool
    environment: str
    module: str
    address: str
    type: str
    value: str
    file: str
    line: int
    certain: bool = True
    why: str = ""


@dataclass(frozen=True)
class Use:
    """An attribute that sees an export's value, `line` being where it does. `type` is the resource's, or the source of a
    module that cannot be looked into. `replaces`: changing it makes Terraform replace the resource; False is not known."""

    address: str
    attribute: str
    file: str
    line: int
    replaces: bool
    type: str = ""


@dataclass(frozen=True)
class Consumer:
    """A data source that reads an export. `service` is `infrastructure/<module>` where the infrastructure repository reads
    its own exports; `locals` are the names it is mapped to, `local.vpc_id`."""

    name: str
    resolved: bool
    service: str
    environment: str
    address: str
    file: str
    line: int
    locals: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class RemoteState:
    """A data source that reads another project's state instead of exports."""

    service: str
    address: str
    file: str
    line: int
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Trace:
    """`roots_missing` are configured folders that are not there. `unread` names whose code is not known, in whole or in
    part: services without a path or with files that cannot be read, and `infrastructure`."""

    producers: tuple[Producer, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    remote_states: tuple[RemoteState, ...] = ()
    problems: tuple[Problem, ...] = ()
    roots_missing: tuple[Path, ...] = ()
    unread: frozenset[str] = field(default_factory=frozenset)

    def producers_of(self, name: str) -> tuple[Producer, ...]:
        return tuple(producer for producer in self.producers if producer.resolved and producer.name == name)

    def consumers_of(self, name: str) -> tuple[Consumer, ...]:
        return tuple(consumer for consumer in self.consumers if consumer.resolved and consumer.name == name)


def trace(config: Config, cache: Path) -> Trace:
    """Read the infrastructure repository and those of all services. `cache` is the folder for what was read before.

    Blocks: for seconds at the first time. Never raises for what stands in the repositories.
    """
    producers: list[Producer] = []
    consumers: list[Consumer] = []
    remote_states: list[RemoteState] = []
    problems: dict[Problem, None] = {}
    callees = Callees(cache)
    unread = {service for service, settings in config.services.items() if settings.path is None}
    roots = {service: settings.path for service, settings in config.services.items() if settings.path}
    if config.infrastructure is None:
        unread.add(INFRASTRUCTURE)
    else:
        roots = {INFRASTRUCTURE: config.infrastructure, **roots}
    missing = {owner: root for owner, root in roots.items() if not root.is_dir()}
    unread |= missing.keys()
    there = {owner: root for owner, root in roots.items() if owner not in missing}
    for (owner, root), tree in zip(there.items(), read_trees(tuple(there.values()), cache), strict=True):
        problems |= dict.fromkeys(tree.problems)
        if not tree.is_whole:
            unread.add(owner)
        is_infrastructure = root == config.infrastructure
        for module in root_modules(tree):
            place = module.folder.relative_to(tree.root).as_posix()
            reader = f"{INFRASTRUCTURE}/{place}" if is_infrastructure else owner
            project = _Project(module, tree, callees, reader, config, "" if is_infrastructure else owner)
            if is_infrastructure:
                producers += project.producers(place)
            consumers += project.consumers()
            remote_states += project.remote_states()
    return Trace(
        tuple(sorted(producers, key=lambda each: (each.name, each.environment, each.file, each.line))),
        tuple(sorted(consumers, key=lambda each: (each.name, each.environment, each.service, each.file, each.line))),
        tuple(remote_states),
        tuple(problems | dict.fromkeys(callees.problems)),
        tuple(missing.values()),
        frozenset(unread),
    )


@dataclass(frozen=True)
class _Found:
    """A parameter's resource or data source, as often as it is there, in one environment."""

    flow: Flow
    located: Located
    index: str
    prefix: str
    name: Value
    type: Value
    value: Value
    certain: bool

    @property
    def address(self) -> str:
        return f"{self.prefix}{self.located.address}{self.index}"

    @property
    def resolved(self) -> bool:
        return isinstance(self.name, str)

    @property
    def shown_name(self) -> str:
        if isinstance(self.name, Unknown):
            return self.name.text
        return str(self.name)

    @property
    def why(self) -> str:
        return self.name.why if isinstance(self.name, Unknown) else "" if self.resolved else "it is no text"

    @property
    def line(self) -> int:
        return self.located.block.line


class _Project:
    """A root module in all the environments that it is applied to."""

    def __init__(self, module: Module, tree: Tree, callees: Callees, reader: str, config: Config, service: str) -> None:
        self.module = module
        self.reader = reader
        self.root = config.export_root
        self.service = service
        self.environments = module.environments(config.environments)
        calls = {call.name: callees.find(module, call, tree) for call in module.of_kind("module")}
        self.flow = Flow(module, {name: Flow(inner) for name, inner in calls.items() if inner})
        self.sinks = tuple(self.flow.sinks())

    def producers(self, place: str) -> Iterator[Producer]:
        for found, environment in self._everywhere("resource"):
            yield Producer(
                name=found.shown_name,
                resolved=found.resolved,
                environment=environment,
                module=place,
                address=found.address,
                type=_shown(found.type, found.located.block.attribute("type")),
                value=_shown_value(found),
                file=found.located.file,
                line=found.line,
                certain=found.certain,
                why=found.why,
            )

    def consumers(self) -> Iterator[Consumer]:
        for found, environment in self._everywhere("data"):
            key = found.index.strip('[]"')

            def is_it(origin: Origin, found: _Found = found, key: str = key) -> bool:
                return (
                    origin.flow is found.flow
                    and origin.type == PARAMETER
                    and origin.name == found.located.name
                    and (not key or origin.key in ("", "*", key))
                )

            yield Consumer(
                name=found.shown_name,
                resolved=found.resolved,
                service=self.reader,
                environment=environment,
                address=found.address,
                file=found.located.file,
                line=found.line,
                locals=tuple(name for name, origins in found.flow.local_origins().items() if any(map(is_it, origins))),
                uses=_uses(sink for sink in self.sinks if any(map(is_it, sink.origins))),
                why=found.why,
            )

    def remote_states(self) -> Iterator[RemoteState]:
        for prefix, flow in (("", self.flow), *((f"module.{name}.", inner) for name, inner in self.flow.inner.items())):
            for located in flow.module.of_kind("data"):
                if located.type == REMOTE_STATE:
                    origin = (flow, REMOTE_STATE, located.name)
                    uses = _uses(
                        sink
                        for sink in self.sinks
                        if any((each.flow, each.type, each.name) == origin for each in sink.origins)
                    )
                    yield RemoteState(self.reader, prefix + located.address, located.file, located.block.line, uses)

    def _everywhere(self, kind: str) -> Iterator[tuple[_Found, str]]:
        """Each parameter with its environment. What is the same in all of them is there once, with "" for the environment,
        unless its name has an environment in it that never changes, or its folder is that of one environment."""
        by_environment = {environment: tuple(self._found(kind, environment)) for environment in self.environments}
        seen: dict[object, list[tuple[str, _Found]]] = {}
        for environment, all_found in by_environment.items():
            for found in all_found:
                key = (found.located.file, found.line, found.address, found.shown_name, found.certain)
                seen.setdefault(key, []).append((environment, found))
        for places in seen.values():
            if len(places) == len(by_environment):
                yield places[0][1], self._constant_environment(places[0][1], places[0][0])
            else:
                for environment, found in places:
                    yield found, environment

    def _constant_environment(self, found: _Found, environment: str) -> str:
        """The environment of what is the same wherever the module is applied; "" where it does not hang on one."""
        if self.module.folder.name == environment:
            return environment
        name = found.located.block.attribute("name")
        if found.flow is not self.flow or not name or not found.resolved:
            return ""
        for variable in found.flow.variables_in(name):
            if variable in ENVIRONMENT_NAMES:
                value = self.module.scope(environment, self.service).variables.get(variable)
                return value if isinstance(value, str) else ""
        return ""

    def _found(self, kind: str, environment: str) -> Iterator[_Found]:
        scope = self.module.scope(environment, self.service)
        yield from self._found_in(kind, self.flow, scope, "", True)
        for call in self.module.of_kind("module"):
            inner = self.flow.inner.get(call.name)
            if inner is None:
                continue
            for instance in instances(call.block, scope):
                arguments = {
                    each.path: instance.scope.evaluate(node)
                    for each in call.block.attributes
                    if (node := each.node) and each.path != "source"
                }
                prefix = f"module.{call.name}{instance.index}."
                inner_scope = inner.module.called_with(arguments)
                yield from self._found_in(kind, inner, inner_scope, prefix, instance.certain)

    def _found_in(self, kind: str, flow: Flow, scope: Scope, prefix: str, certain: bool) -> Iterator[_Found]:
        for located in flow.module.of_kind(kind):
            if located.type != PARAMETER:
                continue
            for instance in instances(located.block, scope):
                name, kind_of_value, value = (
                    _evaluated(located.block.attribute(path), instance.scope) for path in ("name", "type", "value")
                )
                if _may_be_below(self.root, name):
                    sure = certain and instance.certain
                    yield _Found(flow, located, instance.index, prefix, name, kind_of_value, value, sure)


def _evaluated(attribute: Attribute | None, scope: Scope) -> Value:
    if attribute is None:
        return Unknown("", "it is not given")
    node = attribute.node
    return scope.evaluate(node) if node else Unknown(attribute.text, "it is not evaluated")


def _may_be_below(root: str, name: Value) -> bool:
    """Whether a parameter is an export, or may be one for all that is known of its name."""
    below = f"{root}/"
    if isinstance(name, Unknown):
        return name.prefix.startswith(below) or below.startswith(name.prefix)
    return isinstance(name, str) and name.startswith(below)


def _shown(value: Value, attribute: Attribute | None) -> str:
    """A value that comes from `each` as what it is there; else the expression as it is written."""
    written = attribute.text if attribute else ""
    if "each." in written and isinstance(value, Unknown | str):
        return value.text if isinstance(value, Unknown) else value
    return written.strip('"') if written.count('"') == 2 and "${" not in written else written


def _shown_value(found: _Found) -> str:
    """A secret that is written down in the code is not shown: neither directly nor by way of `each`."""
    attribute = found.located.block.attribute("value")
    if found.type in ("String", "StringList"):
        return _shown(found.value, attribute)
    if attribute is None or attribute.node is None or attribute.node[0] in ("lit", "tpl"):
        return "(not shown)"
    return attribute.text


def _uses(sinks: Iterable[Sink]) -> tuple[Use, ...]:
    """One for each attribute, at the first line that sees the value."""
    found: dict[tuple[str, str], Use] = {}
    for sink in sinks:
        replaces = sink.attribute in _replacements().get(sink.type, ()) and not sink.ignored
        use = Use(sink.address, sink.attribute, sink.file, sink.line, replaces, sink.type)
        found.setdefault((sink.address, sink.attribute), use)
    return tuple(found.values())


@once
def _replacements() -> Mapping[str, Iterable[str]]:
    text = (resources.files("infraconsole") / "assets" / "replacements.toml").read_text("utf-8")
    return {kind: frozenset(attributes) for kind, attributes in tomllib.loads(text).items()}
