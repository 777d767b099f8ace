"""Exports as the code has them: which module or service makes each, which data source reads it in which service, and which
resources see its value, over locals and module calls. Nothing is asked of AWS."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache as once
from importlib import resources
from pathlib import Path

from infraconsole.config import Config
from infraconsole.terraform import binary, provider_places, ssm_names
from infraconsole.terraform.evaluate import instances
from infraconsole.terraform.flow import Flow, Origin, Sink
from infraconsole.terraform.modules import ENVIRONMENT_NAMES, Callees, Located, Module, NotRead, root_modules, source_of
from infraconsole.terraform.parameters import (
    BY_PATH,
    PARAMETER,
    Found,
    There,
    found_in,
    may_be_below,
    names_given,
    shown,
    shown_value,
    without_index,
)
from infraconsole.terraform.plan import module_steps
from infraconsole.terraform.provider_places import Place
from infraconsole.terraform.reader import Problem, Tree, read_trees
from infraconsole.terraform.ssm_names import SsmName

INFRASTRUCTURE = "infrastructure"
REMOTE_STATE = "terraform_remote_state"
MOST_CALLS = 2_000
"""Of modules below one root: those that call each other twice, level by level, never come to an end."""
_TOO_MANY = f"too many modules are called, more than {MOST_CALLS:,}"


@dataclass(frozen=True)
class Producer:
    """A resource that makes an export. `name` is the expression's text where it is not `resolved`; `environment` is ""
    where the name does not depend on it. `owner` is INFRASTRUCTURE or a service, `module` the folder below the infrastructure
    root, or the service with the folder below its own; `type` and `value` are the expressions' texts.
    `certain` is False where only Terraform knows whether there is such a resource at all; `why` says why a name is not resolved,
    `elsewhere` in which other account or region it is made."""

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
    owner: str = INFRASTRUCTURE
    elsewhere: str = ""


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
    its own exports; `locals` are the names it is mapped to, `local.vpc_id`. `selector` is the version or label that it asks
    for. With `by_path` the name is a path, and all below it is read, with `recursive` at any depth. `elsewhere` says which other
    account or region it reads in; where it is not `certain`, only Terraform knows whether it reads at all, and one that only
    `warns` stands in a check."""

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
    selector: str = ""
    by_path: bool = False
    recursive: bool = False
    elsewhere: str = ""
    certain: bool = True
    warns: bool = False

    @property
    def asked(self) -> str:
        """The name as AWS is asked for it: of a version or label that only Terraform knows, the parameter has to be there."""
        return f"{self.name}:{self.selector}" if self.selector and not ssm_names.is_open(self.selector) else self.name

    @property
    def must_be_there(self) -> bool:
        """Whether every plan fails where the export does not exist."""
        return self.resolved and self.certain and not (self.by_path or self.elsewhere or self.warns)

    def reads(self, name: str) -> bool:
        """Whether it is known to read the export of that name."""
        if not self.resolved or not self.by_path:
            return self.resolved and name == self.name
        path = self.name.rstrip("/") + "/"
        return name.startswith(path) and (self.recursive or "/" not in name.removeprefix(path))


@dataclass(frozen=True)
class UnreadModule:
    """A module call whose code is not known here, so that nobody can say what it makes and reads. `owner` and `place` are as a
    Producer's owner and module; `names` are those of exports that it is given."""

    owner: str
    place: str
    address: str
    source: str
    why: str
    file: str
    line: int
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.address} in {self.place} ({self.source or 'no plain source'}; {self.why})"


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
    part: services without a path or with files that cannot be read, and `infrastructure`; `unread_modules` those that are called
    in what was read."""

    producers: tuple[Producer, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    remote_states: tuple[RemoteState, ...] = ()
    problems: tuple[Problem, ...] = ()
    roots_missing: tuple[Path, ...] = ()
    unread: frozenset[str] = field(default_factory=frozenset)
    unread_modules: tuple[UnreadModule, ...] = ()

    def producers_of(self, name: str) -> tuple[Producer, ...]:
        return tuple(producer for producer in self.producers if producer.resolved and producer.name == name)

    def consumers_of(self, name: str) -> tuple[Consumer, ...]:
        return tuple(consumer for consumer in self.consumers if consumer.reads(name))

    def not_read(self) -> tuple[str, ...]:
        """All the code that nobody looked at, in words, for whoever says what was not found."""
        owners = (f"the code of {owner}" if owner == INFRASTRUCTURE else owner for owner in sorted(self.unread))
        return (*owners, *dict.fromkeys(str(module) for module in self.unread_modules))


def trace(config: Config, cache: Path) -> Trace:
    """Read the infrastructure repository and those of all services. `cache` is the folder for what was read before, in the
    console's own.

    Blocks: for seconds at the first time. Never raises for what stands in the repositories.
    """
    producers: dict[object, Producer] = {}
    consumers: list[Consumer] = []
    remote_states: list[RemoteState] = []
    unread_modules: list[UnreadModule] = []
    problems: dict[Problem, None] = {}
    callees = Callees(cache, cache.parent)
    unread = {service for service, settings in config.services.items() if settings.path is None}
    roots = {service: settings.path for service, settings in config.services.items() if settings.path}
    if config.infrastructure is None:
        unread.add(INFRASTRUCTURE)
    else:
        roots = {INFRASTRUCTURE: config.infrastructure, **roots}
    missing = {owner: root for owner, root in roots.items() if not root.is_dir()}
    unread |= missing.keys()
    there = {owner: root for owner, root in roots.items() if owner not in missing}
    read = ((root, binary.reads_tofu(config.program_of(owner))) for owner, root in there.items())
    for owner, tree in zip(there, read_trees(tuple(read), cache), strict=True):
        problems |= dict.fromkeys(tree.problems)
        if not tree.is_whole:
            unread.add(owner)
        for module in root_modules(tree):
            project = _Project(module, tree, callees, owner, config)
            for producer in project.producers():
                # Of folders that two owners share, the first has it.
                place = (producer.file, producer.line, producer.address, producer.name, producer.environment)
                producers.setdefault(place, producer)
            consumers += project.consumers()
            remote_states += project.remote_states()
            unread_modules += project.unread()
    return Trace(
        tuple(sorted(producers.values(), key=lambda each: (each.name, each.environment, each.file, each.line))),
        tuple(sorted(consumers, key=lambda each: (each.name, each.environment, each.service, each.file, each.line))),
        tuple(remote_states),
        tuple(problems | dict.fromkeys(callees.problems)),
        tuple(missing.values()),
        frozenset(unread),
        tuple(unread_modules),
    )


class _Project:
    """A root module in all the environments that it is applied to. `owner` is INFRASTRUCTURE or the service whose code it is;
    `unread` are the modules below it that nobody could look into."""

    def __init__(self, module: Module, tree: Tree, callees: Callees, owner: str, config: Config) -> None:
        self.module = module
        self.owner = owner
        self.config = config
        self.root = config.export_root
        self.service = "" if owner == INFRASTRUCTURE else owner
        folder = module.folder.relative_to(tree.root).as_posix()
        if owner == INFRASTRUCTURE:
            self.place, self.reader = folder, f"{INFRASTRUCTURE}/{folder}"
        else:
            self.place, self.reader = owner if folder == "." else f"{owner}/{folder}", owner
        self.environments = module.environments(config.environments)
        self._not_read: dict[tuple[str, ...], tuple[Located, str]] = {}
        self._usual_places: dict[str, Place] = {}
        self._known_instances: dict[str, Sequence[There]] = {}
        self._callees, self._tree = callees, tree
        self._calls = 0
        self.flow = self._flow(module, (), frozenset())
        self.sinks = tuple(self.flow.sinks())

    def _flow(self, module: Module, path: tuple[str, ...], above: frozenset[str]) -> Flow:
        """The module with all that it calls, at any depth. `above` are the folders that the call stands in: what calls itself is
        refused by Terraform, and not followed here."""
        inner: dict[str, Flow] = {}
        here = above | {os.path.realpath(module.folder)}
        for call in module.of_kind("module"):
            self._calls += 1
            there = (*path, call.name)
            found: Module | NotRead = NotRead(_TOO_MANY)
            if self._calls <= MOST_CALLS:
                found = self._callees.find(module, call, self._tree, self.module.folder, ".".join(there))
            if isinstance(found, NotRead):
                self._not_read[there] = (call, found.why)
                continue
            if self._callees.is_partial(found):
                self._not_read[there] = (call, f"not all of {found.folder} can be read")
            if os.path.realpath(found.folder) not in here:
                inner[call.name] = self._flow(found, there, here)
        return Flow(module, inner)

    def unread(self) -> Iterator[UnreadModule]:
        """Those that are there in some environment, as far as count and for_each tell."""
        given: dict[tuple[str, ...], dict[str, None]] = {}
        everywhere = [there for environment in self.environments for there in self._instances(environment)]
        for there in everywhere if self._not_read else ():
            path = tuple(without_index(step) for step in module_steps(there.prefix.rstrip(".")))
            for call in there.flow.module.of_kind("module"):
                if (*path, call.name) in self._not_read and instances(call.block, there.scope):
                    names = given.setdefault((*path, call.name), {})
                    names |= dict.fromkeys(names_given(call, there.scope, self.root))
        for path, names in given.items():
            call, why = self._not_read[path]
            address = ".".join(f"module.{name}" for name in path)
            yield UnreadModule(
                self.owner, self.place, address, source_of(call), why, call.file, call.block.line, tuple(names)
            )

    def producers(self) -> Iterator[Producer]:
        for found, environment in self._everywhere(("resource",)):
            yield Producer(
                name=found.shown_name,
                resolved=found.place is not None,
                environment=environment,
                module=self.place,
                address=found.address,
                type=shown(found.type, found.located.block.attribute("type")),
                value=shown_value(found),
                file=found.located.file,
                line=found.line,
                certain=found.certain,
                why=found.why,
                owner=self.owner,
                elsewhere=found.elsewhere,
            )

    def consumers(self) -> Iterator[Consumer]:
        for found, environment in self._everywhere(("data", "ephemeral")):
            key = found.index.strip('[]"')

            def is_it(origin: Origin, found: Found = found, key: str = key) -> bool:
                return (
                    origin.flow is found.flow
                    and (origin.kind, origin.type) == (found.located.block.kind, found.located.type)
                    and origin.name == found.located.name
                    and (not key or origin.key in ("", "*", key))
                )

            place = found.place
            yield Consumer(
                name=found.shown_name,
                resolved=place is not None,
                service=self.reader,
                environment=environment,
                address=found.address,
                file=found.located.file,
                line=found.line,
                locals=tuple(name for name, origins in found.flow.local_origins().items() if any(map(is_it, origins))),
                uses=_uses(sink for sink in self.sinks if any(map(is_it, sink.origins))),
                why=found.why,
                selector=place.selector if place else "",
                by_path=found.by_path,
                recursive=found.recursive,
                elsewhere=found.elsewhere,
                certain=found.certain,
                warns=bool(found.located.block.within),
            )

    def _elsewhere(self, written: SsmName | None, place: Place, environment: str) -> str:
        """The account and region that a parameter is in, where they are not the environment's, or only Terraform knows them; those
        of an ARN come first."""
        usual = self._usual(environment)
        ours = self.config.environment(environment).account or usual.account or ""
        here = self.config.known_region(environment) or usual.region or ""
        account = _or_open(written.account if written and written.account else place.account)
        region = _or_open(written.region if written and written.region else place.region)
        if account in ("", ours) and region in ("", here):
            return ""
        return f"account {account or ours or '?'}, region {region or here or '?'}"

    def _usual(self, environment: str) -> Place:
        """Where the root's provider without an alias works."""
        if environment not in self._usual_places:
            providers = provider_places.of_root(self.module, self.module.scope(environment, self.service))
            self._usual_places[environment] = providers.get("aws", provider_places.HERE)
        return self._usual_places[environment]

    def remote_states(self) -> Iterator[RemoteState]:
        for prefix, flow in self.flow.walk():
            for located in flow.module.of_kind("data"):
                if located.type == REMOTE_STATE:
                    origin = (flow, REMOTE_STATE, located.name)
                    uses = _uses(
                        sink
                        for sink in self.sinks
                        if any((each.flow, each.type, each.name) == origin for each in sink.origins)
                    )
                    yield RemoteState(self.reader, prefix + located.address, located.file, located.block.line, uses)

    def _everywhere(self, kinds: tuple[str, ...]) -> Iterator[tuple[Found, str]]:
        """Each parameter with its environment. What is the same in all of them is there once, with "" for the environment,
        unless its name has an environment in it that never changes, or its folder is that of one environment."""
        by_environment = {environment: tuple(self._found(kinds, environment)) for environment in self.environments}
        seen: dict[object, list[tuple[str, Found]]] = {}
        for environment, all_found in by_environment.items():
            for found in all_found:
                key = (found.located.file, found.line, found.address, found.text, found.certain, found.elsewhere)
                seen.setdefault(key, []).append((environment, found))
        for places in seen.values():
            if len(places) == len(by_environment):
                yield places[0][1], self._constant_environment(places[0][1], places[0][0])
            else:
                for environment, found in places:
                    yield found, environment

    def _constant_environment(self, found: Found, environment: str) -> str:
        """The environment of what is the same wherever the module is applied; "" where it does not hang on one."""
        if self.module.folder.name == environment:
            return environment
        name = found.located.block.attribute("name")
        if found.flow is not self.flow or not name or found.place is None:
            return ""
        for variable in found.flow.variables_in(name):
            if variable in ENVIRONMENT_NAMES:
                value = self.module.scope(environment, self.service).variables.get(variable)
                return value if isinstance(value, str) else ""
        return ""

    def _instances(self, environment: str) -> Sequence[There]:
        """The root and every module call below it as often as it is there. Calls that are left out count as not read."""
        if environment not in self._known_instances:
            scope = self.module.scope(environment, self.service)
            found = [There(self.flow, scope, provider_places.of_root(self.module, scope))]
            for there in found:  # which grows
                for call in there.flow.module.of_kind("module"):
                    if inner := there.flow.inner.get(call.name):
                        found += self._called(there, call, inner, MOST_CALLS + 1 - len(found))
            self._known_instances[environment] = found
        return self._known_instances[environment]

    def _called(self, there: There, call: Located, inner: Flow, most: int) -> Iterator[There]:
        for number, instance in enumerate(instances(call.block, there.scope)):
            if number >= most:
                path = (*(without_index(step) for step in module_steps(there.prefix.rstrip("."))), call.name)
                self._not_read[path] = (call, _TOO_MANY)
                return
            yield there.called(call, inner, instance)

    def _found(self, kinds: tuple[str, ...], environment: str) -> Iterator[Found]:
        for there in self._instances(environment):
            for kind in kinds:
                yield from self._found_in(kind, there, environment)

    def _found_in(self, kind: str, there: There, environment: str) -> Iterator[Found]:
        for located in there.flow.module.of_kind(kind):
            if located.type not in (PARAMETER, BY_PATH):
                continue
            for instance in instances(located.block, there.scope):
                found = found_in(there, located, instance)
                if may_be_below(self.root, found):
                    place = provider_places.of_block(located.block, there.providers, instance.scope)
                    yield replace(found, elsewhere=self._elsewhere(found.place, place, environment))


def _or_open(part: str | None) -> str:
    return "known only to Terraform" if part is None or ssm_names.is_open(part) else part


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
