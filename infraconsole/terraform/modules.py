"""Folders of Terraform files as modules: what they declare, which of them are applied by themselves, in which environments,
and what their names mean there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from infraconsole import naming
from infraconsole.terraform import backend, pins
from infraconsole.terraform.evaluate import Scope, Value
from infraconsole.terraform.hcl import Attribute, Block
from infraconsole.terraform.installed_modules import Installed, installed_in, is_of, kind_of
from infraconsole.terraform.reader import Problem, TerraformFile, Tree, read_tree
from infraconsole.terraform.variables import Declared, declared, evaluated

MODULES = "modules"
"""The folder of what is only called, never applied by itself."""

ENVIRONMENT_NAMES = frozenset(("env", "environment"))
_SPELLINGS = (
    ("env", "environment"),
    ("service", "service_name"),
    ("db_name", "database_name"),
    ("desired_count", "ecs_desired_count"),
)
"""The guide spells these both ways."""
_OTHER_SPELLING = dict(_SPELLINGS) | {b: a for a, b in _SPELLINGS}


_TYPED = ("resource", "data", "ephemeral")


@dataclass(frozen=True)
class Located:
    """A block and the file it stands in. `type` is what a resource or data source is one of, else ""."""

    block: Block
    file: str

    @property
    def type(self) -> str:
        return self.block.labels[0] if self.block.kind in _TYPED and self.block.labels else ""

    @property
    def name(self) -> str:
        return self.block.labels[-1] if self.block.labels else ""

    @property
    def address(self) -> str:
        """As Terraform writes it, within its module: `aws_vpc.main`, `data.aws_vpc.main`, `module.redis`, `output.id`."""
        words = self.block.labels if self.block.kind == "resource" else (self.block.kind, *self.block.labels)
        return ".".join(words)


@dataclass(frozen=True)
class Module:
    """One folder. `tfvars` are the values that always hold, `environment_tfvars` those by environment."""

    folder: Path
    blocks: tuple[Located, ...]
    tfvars: Mapping[str, Attribute] = field(default_factory=dict)
    environment_tfvars: Mapping[str, Mapping[str, Attribute]] = field(default_factory=dict)

    def of_kind(self, kind: str) -> tuple[Located, ...]:
        return tuple(located for located in self.blocks if located.block.kind == kind)

    def locals(self) -> Mapping[str, Attribute]:
        return {each.path: each for located in self.of_kind("locals") for each in located.block.attributes}

    def environments(self, known: Iterable[str]) -> tuple[str, ...]:
        """Where it is applied: the environments that it has a terraform.tfvars for, if for any; else the one whose name its
        folder has; else all the known ones."""
        names = tuple(known)
        if self.folder.name in names:
            return (self.folder.name,)
        return tuple(name for name in names if name in self.environment_tfvars) or names

    def scope(self, environment: str, service: str = "") -> Scope:
        """What names mean when it is applied to `environment`. The variables that the guide spells in two ways are looked
        for in both, and the environment's name and the service's stand in where the files give them no value."""
        given = {**self.tfvars, **self.environment_tfvars.get(environment, {})}
        values = {name: evaluated(attribute) for name, attribute in given.items()}
        fallbacks: dict[str, Value] = {"env": environment, "environment": environment}
        if service:
            fallbacks |= {"service": service, "service_name": service}
        variables: dict[str, Value] = {}
        defaults = {name: declared.default for name, declared in self._declared.items() if declared.has_default}
        for name in {*defaults, *fallbacks, *values}:
            variables[name] = _first(values, defaults, name, _OTHER_SPELLING.get(name, ""), fallbacks)
        return self._scope({name: value for name, value in variables.items() if value is not _NOTHING})

    def called_with(self, arguments: Mapping[str, Value]) -> Scope:
        """What names mean when it is called by another module."""
        defaults = {name: declared.default for name, declared in self._declared.items() if declared.has_default}
        return self._scope({**defaults, **arguments})

    def _scope(self, variables: Mapping[str, Value]) -> Scope:
        nodes = {name: attribute.node for name, attribute in self.locals().items()}
        values = {
            name: self._declared[name].taken(value) if name in self._declared else value
            for name, value in variables.items()
        }
        return Scope(values, {name: node for name, node in nodes.items() if node})

    @cached_property
    def _declared(self) -> Mapping[str, Declared]:
        return {located.name: declared(located.block) for located in self.of_kind("variable")}


_NOTHING = object()


def _first(
    given: Mapping[str, Value], defaults: Mapping[str, Value], name: str, other: str, fallbacks: Mapping[str, Value]
) -> Value:
    """What Terraform itself would take comes first."""
    for values, key in ((given, name), (defaults, name), (given, other), (defaults, other), (fallbacks, name)):
        if key in values:
            return values[key]
    return _NOTHING


def root_modules(tree: Tree) -> tuple[Module, ...]:
    """The folders of `tree` that are applied by themselves: not those below a `modules` folder, nor any that is called."""
    found = {
        folder: module
        for folder in tree.folders
        if MODULES not in folder.relative_to(tree.root).parts and (module := module_in(tree, folder)).blocks
    }
    called = {
        os.path.realpath(folder / source)
        for folder, module in found.items()
        for call in module.of_kind("module")
        if is_local(source := source_of(call))
    }
    return tuple(module for folder, module in found.items() if os.path.realpath(folder) not in called)


@dataclass(frozen=True)
class NotRead:
    """Why the code of a call is not known here: `registry`, `git`, or a sentence's end."""

    why: str


class Callees:
    """The modules that are called, where they can be read: folders, and what an `init` has fetched. Those that were not read with
    a tree (outside of it, hidden, installed) are read when asked for, and what is wrong with them is in `problems`. `cache` is as
    in `read_tree`; `state` is the console's own folder, below which its `init` installs."""

    def __init__(self, cache: Path, state: Path | None = None) -> None:
        self.problems: list[Problem] = []
        self._cache = cache
        self._state = state
        self._outside: dict[tuple[Path, bool], Module] = {}
        self._partial: set[Path] = set()
        self._installed: dict[Path, Mapping[str, Installed]] = {}

    def find(self, caller: Module, call: Located, tree: Tree, root: Path, path: str) -> Module | NotRead:
        """What `call` calls, `path` being the names of the calls from the root module in `root` down to it (`vpc.parameters`)."""
        source = source_of(call)
        if is_local(source):
            target = Path(os.path.realpath(caller.folder / source))
            if (folder := tree.real_folders.get(target)) is not None:
                return module_in(tree, folder)
            if not target.is_dir():
                return NotRead(f"there is no folder {target}")
            return self._read(target, tree.tofu)
        installed = self._installed_of(root).get(path)
        wanted = _literal(call, "version")
        if installed is not None and installed.version and wanted and pins.meets(installed.version, wanted) is False:
            return NotRead(f"{kind_of(source)}; {installed.version} is here, the code wants {wanted}")
        if installed is not None and is_of(installed, source) and installed.folder.is_dir():
            return self._read(Path(os.path.realpath(installed.folder)), tree.tofu)
        return NotRead(kind_of(source))

    def is_partial(self, module: Module) -> bool:
        """Whether a part of what was found outside a tree could not be read."""
        return module.folder in self._partial

    def _read(self, target: Path, tofu: bool) -> Module | NotRead:
        if (target, tofu) not in self._outside:
            outside = read_tree(target, self._cache, below=False, tofu=tofu)
            self.problems += outside.problems
            if not outside.is_whole:
                self._partial.add(target)
            self._outside[target, tofu] = module_in(outside, target)
        module = self._outside[target, tofu]
        return module if module.blocks else NotRead(f"{target} holds no code that can be read")

    def _installed_of(self, root: Path) -> Mapping[str, Installed]:
        if root not in self._installed:
            ours = backend.data_dir(self._state, root, "").parent.glob("*") if self._state else ()
            self._installed[root] = installed_in(root, [*sorted(ours), root / ".terraform"])
        return self._installed[root]


def source_of(call: Located) -> str:
    """A module call's source; "" where it is not a plain text."""
    return _literal(call, "source")


def _literal(call: Located, name: str) -> str:
    attribute = call.block.attribute(name)
    node = attribute.node if attribute else None
    return str(node[1]) if node and node[0] == "lit" else ""


def is_local(source: str) -> bool:
    return source.startswith(("./", "../"))


def module_in(tree: Tree, folder: Path) -> Module:
    """The folder as a module; without blocks where there is nothing that can be read."""
    files = tree.folders.get(folder, ())
    tfvars: dict[str, Attribute] = {}
    for file in sorted((each for each in files if _always_read(each.path.name)), key=_tfvars_order):
        tfvars |= _assignments(file)
    environments = {}
    for place in tree.variable_folders.get((folder / naming.tfvars_path("-")).parent.parent, ()):
        by_environment: dict[str, Attribute] = {}
        for file in tree.folders.get(
            place, ()
        ):  # none where they cannot be read: the environment is there all the same
            if file.path.name in ("terraform.tfvars", "terraform.tfvars.json"):
                by_environment |= _assignments(file)
        environments[place.name] = by_environment
    return Module(folder, _merged(files, tofu=tree.tofu), tfvars, environments)


def _always_read(name: str) -> bool:
    return name in ("terraform.tfvars", "terraform.tfvars.json") or name.endswith((".auto.tfvars", ".auto.tfvars.json"))


def _tfvars_order(file: TerraformFile) -> tuple[bool, str]:
    """terraform.tfvars first, then the others by name: the later one wins."""
    return (not file.path.name.startswith("terraform.tfvars"), file.path.name)


def _assignments(file: TerraformFile) -> dict[str, Attribute]:
    return {each.path: each for block in file.digest.blocks if not block.kind for each in block.attributes}


def _merged(files: Sequence[TerraformFile], *, tofu: bool) -> tuple[Located, ...]:
    """The blocks of a folder, with those of its override files laid over them, as Terraform does."""
    names = naming.code_files((file.path.name for file in files), tofu=tofu)
    code = [file for file in files if file.path.name in names]
    found: list[Located] = []
    for file in (each for each in code if not _overrides(each.path.name)):
        found += [Located(block, str(file.path)) for block in file.digest.blocks if block.kind]
    for file in (each for each in code if _overrides(each.path.name)):
        for block in file.digest.blocks:
            same = (block.kind, block.labels)
            at = next((n for n, each in enumerate(found) if (each.block.kind, each.block.labels) == same), None)
            if at is None or block.kind == "locals":
                found.append(Located(block, str(file.path)))
            else:
                found[at] = Located(_overlaid(found[at].block, block), found[at].file)
    return tuple(found)


def _overrides(name: str) -> bool:
    stem = name.removesuffix(".json").removesuffix(".tf").removesuffix(".tofu")
    return stem == "override" or stem.endswith("_override")


def _overlaid(below: Block, above: Block) -> Block:
    replaced = {attribute.path.split(".")[0] for attribute in above.attributes}
    kept = tuple(each for each in below.attributes if each.path.split(".")[0] not in replaced)
    return Block(below.kind, below.labels, below.line, kept + above.attributes)
