"""The secrets that can be known before a Terraform command starts: from the environment, the variables, the stored state. In
clear: for redaction to learn, and nothing else."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from infraconsole.secret_places import is_secret, names_a_secret, url_passwords
from infraconsole.terraform import code_secrets, documents, sensitive
from infraconsole.terraform.attributes import marked_texts
from infraconsole.terraform.evaluate import Scope, Unknown
from infraconsole.terraform.given import digests_of, json_variables, of_command, parsed_json
from infraconsole.terraform.given import values as given_values
from infraconsole.terraform.hcl import Attribute, Block, Digest
from infraconsole.terraform.reader import Tree, read_tree

_Part = TypeVar("_Part")
_MISSHAPEN = (ValueError, LookupError, AttributeError, TypeError, RecursionError)

_CREDENTIALS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_HOST, _MARKS = "TF_TOKEN_", ("sensitive", "ephemeral")
_FALSE = (False, "false", "0", None)
_PLAIN_NAMES = ("PWD", "OLDPWD", "AWS_ACCESS_KEY_ID")
_WORD = re.compile(r"[A-Za-z]+(?:[ _.\-][A-Za-z]+)*|/[\w./\-]*")
"""What in a state is no secret even under the name of one, but a word or the name of something."""


def of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        known = name in _CREDENTIALS or name.startswith(_HOST)
        if known or (name not in _PLAIN_NAMES and is_secret(name, value) and not value.startswith("/")):
            yield value
        yield from url_passwords(value)


def of_variables(folder: Path, cache: Path, environ: Mapping[str, str], arguments: Sequence[str] = ()) -> Iterator[str]:
    """The values of all variables that some module declares as sensitive, or whose name says secret, wherever one is given: files,
    defaults, the environment, `-var`, calls of modules. `folder` is the root module, `cache` as in `read_tree`."""
    tree = read_tree(folder, cache)
    given = of_command(folder, environ, arguments)
    outside = {file.parent for file in given.files}
    trees = [tree, *(read_tree(place, cache, below=False) for place in outside if not place.is_relative_to(folder))]
    read = {file.path for each in trees for file in each.files}
    unusual = Digest(
        tuple(
            block
            for digest in digests_of([each for each in given.files if each not in read])
            for block in digest.blocks
        )
    )
    declared = {name for each in trees for name in _declared(each)}

    def of_one(pair: tuple[str, Any]) -> Iterator[str]:
        name, value = pair
        yield from _of_variable(name, _value(value) if isinstance(value, Attribute) else value, name in declared)

    digests = [*(file.digest for each in trees for file in each.files), unusual]
    yield from _of_each(of_one, (pair for digest in digests for pair in _given(digest)))
    yield from _of_each(code_secrets.of_block, (block for digest in digests for block in digest.blocks))
    paths = {*read, *given.files, *(Path(problem.file) for each in trees for problem in each.problems)}
    in_json = [
        json_variables(path) for path in sorted(paths) if path.name.endswith(".tfvars.json") or path in given.files
    ]
    yield from _of_each(of_one, (pair for each in in_json for pair in each.items()))
    values = given_values([text for _, text in given.texts])
    yield from _of_each(of_one, ((name, values[text]) for name, text in given.texts))
    yield from (text for name, text in given.texts if name in declared)


def of_state(body: bytes) -> Iterator[str]:
    """What is sensitive in a state by its own marks, by the resource's type or by name. Raises ValueError for what is no JSON."""
    document = documents.load(body)
    outputs = document.get("outputs")
    for name, output in outputs.items() if isinstance(outputs, dict) else ():
        if isinstance(output, dict):
            if output.get("sensitive") is True or names_a_secret(name):
                yield from _leaves(output.get("value"))
            yield from _named(output.get("value"))
    resources = document.get("resources")
    for resource in resources if isinstance(resources, list) else ():
        yield from _of_each(_of_resource, [resource])


def _of_resource(resource: Mapping[str, Any]) -> Iterator[str]:
    for instance in resource.get("instances") or ():
        attributes = instance.get("attributes") or instance.get("attributes_flat") or {}
        type_, paths = str(resource.get("type")), instance.get("sensitive_attributes")
        marked = sensitive.without_plain_parameters(type_, attributes)
        yield from marked_texts(marked, sensitive.marks(type_, attributes, paths))
        yield from _named(attributes)


def of_plan(document: Mapping[str, Any]) -> Iterator[str]:
    """Of a plan's variables and outputs."""
    configured = document.get("configuration")
    root = configured.get("root_module") if isinstance(configured, dict) else None
    declared = root.get("variables") if isinstance(root, dict) else None
    variables = document.get("variables")
    for name, entry in variables.items() if isinstance(variables, dict) else ():
        about = declared.get(name) if isinstance(declared, dict) else None
        is_sensitive = isinstance(about, dict) and about.get("sensitive") is True
        yield from _of_variable(name, entry.get("value") if isinstance(entry, dict) else None, is_sensitive)
    outputs = document.get("output_changes")
    for change in outputs.values() if isinstance(outputs, dict) else ():
        for side in ("before", "after"):
            yield from marked_texts(change.get(side), change.get(f"{side}_sensitive"))


def _of_each(find: Callable[[_Part], Iterator[str]], parts: Iterable[_Part]) -> Iterator[str]:
    """What is found in all parts; one that is misshapen costs none of the others."""
    for part in parts:
        with contextlib.suppress(*_MISSHAPEN):
            yield from list(find(part))


def _declared(tree: Tree) -> Iterator[str]:
    for file in tree.files:
        for block in file.digest.blocks:
            if block.kind == "variable" and block.labels and any(map(_is_set, _attributes(block, *_MARKS))):
                yield block.labels[0]


def _attributes(block: Block, *paths: str) -> Iterator[Attribute]:
    return (each for each in block.attributes if each.path in paths)


def _is_set(flag: Attribute) -> bool:
    """Unless it is certainly false: Terraform converts texts, and what is not understood hides more, never less."""
    return _value(flag) not in _FALSE


def _given(digest: Digest) -> Iterator[tuple[str, Attribute]]:
    for block in digest.blocks:
        if not block.kind or block.kind == "module":
            yield from ((each.path, each) for each in block.attributes)
        elif block.kind == "variable" and block.labels and (default := block.attribute("default")):
            yield block.labels[0], default


def _value(attribute: Attribute) -> Any:
    node = attribute.node
    return Scope({}, {}).evaluate(node) if node else None


def _of_variable(name: str, value: Any, is_sensitive: bool) -> Iterator[str]:
    if is_sensitive:
        yield from _leaves(value)
    elif names_a_secret(name):
        yield from (text for text in _leaves(value) if is_secret(name, text))
    yield from _named(value, words=True)


def _leaves(value: Any) -> Iterator[str]:
    """All texts in a value, and its numbers, which Terraform turns into text wherever one is put together."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Unknown) and value.text.isdecimal():  # a number of more digits than are evaluated
        yield value.text
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)


def _named(value: Any, *, words: bool = False) -> Iterator[str]:
    """The texts in a value that stand under the name of a secret, and the passwords in URLs. `words`: also plain words."""
    if isinstance(value, str):
        held = parsed_json(value) if value.lstrip()[:1] in ("{", "[") else value
        if isinstance(held, str):
            yield from url_passwords(held)
        else:
            yield from _named(held, words=words)
    elif isinstance(value, dict):
        entry = (value.get("name"), value.get("value"))
        for name, item in (*value.items(), entry):
            if isinstance(name, str) and isinstance(item, str) and is_secret(name, item):
                if words or not _WORD.fullmatch(item):
                    yield item
            elif item is not entry[1] or name != entry[0]:
                yield from _named(item, words=words)
    elif isinstance(value, list):
        for item in value:
            yield from _named(item, words=words)
