"""One Terraform file's text as a digest: its blocks, their attributes as expressions, and every name these refer to, with
lines. Besides `tfvars`, the only place that uses python-hcl2, in the process of `hcl_worker`; what that refuses is read by
`hcl_plain`. Expressions are nodes, as in `nodes`."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from infraconsole.errors import InfraconsoleError
from infraconsole.terraform import hcl_plain, tfjson
from infraconsole.terraform.nodes import Node, number_of, parts_of, text_of

FORMAT_VERSION = 3
"""Of the digest: raised whenever the same text gives another one, so that older ones on the disk are not used."""
_TOO_DEEP = "it is nested too deeply to be read."
TEXT_LIMIT = 1_000
"""Characters of an expression's text that are kept."""


class HclUnreadable(InfraconsoleError):
    """Text that is no HCL, or HCL that python-hcl2 does not know. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"Line {line}: {why}")
        self.line = line
        self.why = why


@dataclass(frozen=True)
class Reference:
    """`parts` are the names in their order (`data`, `aws_ssm_parameter`, `vpc_id`, `value`); a literal index is a part
    like any other, `*` one that is only known when Terraform runs."""

    parts: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Attribute:
    """`path` is its name, after those of the blocks it is nested in: `rule.kms_master_key_id`. `text` is the expression as
    it is written, at most TEXT_LIMIT characters; `code` is the node as JSON, "" inside nested blocks, where nothing is
    evaluated. Most nodes are never looked at, so they stay JSON until one is."""

    path: str
    line: int
    text: str
    code: str
    references: tuple[Reference, ...]

    @property
    def node(self) -> Node | None:
        node: Node | None = json.loads(self.code) if self.code else None
        return node


@dataclass(frozen=True)
class Block:
    """`kind` is resource, data, locals, …; "" is what stands outside all blocks, as in a .tfvars file. `within` is the `check`
    that a data source stands in: Terraform only warns where that one fails."""

    kind: str
    labels: tuple[str, ...]
    line: int
    attributes: tuple[Attribute, ...]
    within: str = ""

    def attribute(self, path: str) -> Attribute | None:
        return next((attribute for attribute in self.attributes if attribute.path == path), None)


@dataclass(frozen=True)
class Digest:
    blocks: tuple[Block, ...]

    def as_json(self) -> list[Any]:
        return [
            [
                block.kind,
                block.labels,
                block.line,
                block.within,
                [
                    [
                        each.path,
                        each.line,
                        each.text,
                        each.code,
                        *("\n".join((str(ref.line), *ref.parts)) for ref in each.references),
                    ]
                    for each in block.attributes
                ],
            ]
            for block in self.blocks
        ]

    @classmethod
    def from_json(cls, document: list[Any]) -> Digest:
        """Raises ValueError, TypeError or LookupError for a document that `as_json` has not made."""
        return cls(
            tuple(
                Block(
                    kind,
                    tuple(labels),
                    line,
                    tuple(
                        Attribute(path, at, text, code, tuple(map(_reference, references)) if references else ())
                        for path, at, text, code, *references in attributes
                    ),
                    within,
                )
                for kind, labels, line, within, attributes in document
            )
        )


def _reference(written: str) -> Reference:
    line, *parts = written.split("\n")
    return Reference(tuple(parts), int(line))


def digest(text: str, *, is_json: bool = False) -> Digest:
    """What `text` says. Line ends may be of either kind. Raises HclUnreadable. Slow: see the module."""
    text = text.replace("\r\n", "\n")
    try:
        return Digest(tuple(_json_blocks(text) if is_json else _hcl_blocks(text)))
    except HclUnreadable:
        if is_json:
            raise
        try:
            return Digest(tuple(_plain_blocks(text)))
        except (hcl_plain.Refused, RecursionError):
            pass
        raise  # python-hcl2's words
    except RecursionError as error:
        raise HclUnreadable(1, _TOO_DEEP) from error


def _plain_blocks(text: str) -> Iterator[Block]:
    """As `_hcl_blocks`, of text that python-hcl2 refuses. Raises hcl_plain.Refused."""
    body = hcl_plain.body_of(text, _is_followed, Reference)
    for block in body.blocks:
        if block.kind == "check" and block.labels:
            for data in (each for each in block.body.blocks if each.kind == "data"):
                yield Block(
                    "data", data.labels, data.line, tuple(_plain_body(data.body, "")), f"check.{block.labels[0]}"
                )
        yield Block(block.kind, block.labels, block.line, tuple(_plain_body(block.body, "")))
    if body.attributes:
        loose = tuple(_plain_attribute(each, "") for each in body.attributes)
        yield Block("", (), loose[0].line, loose)


def _plain_body(body: hcl_plain.Body, path: str) -> Iterator[Attribute]:
    for each in body.order:
        if isinstance(each, hcl_plain.WrittenAttribute):
            yield _plain_attribute(each, path)
        elif each.kind != "dynamic" or not each.labels:
            yield from _plain_body(each.body, f"{path}{each.kind}.")
        else:
            for part in each.body.order:
                if isinstance(part, hcl_plain.WrittenBlock) and part.kind == "content":
                    yield from _plain_body(part.body, f"{path}{each.labels[0]}.")
                elif isinstance(part, hcl_plain.WrittenAttribute) and part.name == "for_each":
                    repeated = _plain_attribute(part, path)
                    yield Attribute(f"{path}{each.labels[0]}", part.line, repeated.text, "", repeated.references)


def _plain_attribute(each: hcl_plain.WrittenAttribute, path: str) -> Attribute:
    return _made(f"{path}{each.name}", each.line, each.text, None if path else each.node, each.references)


def _is_followed(root: str, has_steps: bool) -> bool:
    """Whether a name that begins so may stand for a value that is made elsewhere."""
    return root in _ROOTS or (has_steps and "_" in root)


# --- HCL ---------------------------------------------------------------------------------------------------------------

_ROOTS = frozenset(("data", "each", "ephemeral", "local", "module", "var"))
_DIRECTIVES = frozenset(
    ("template_if_start", "template_else", "template_endif", "template_for_start", "template_endfor")
)


def _hcl_blocks(text: str) -> Iterator[Block]:
    body = _only(_tree(text).children)
    attributes: list[Attribute] = []
    for child in _trees(body.children):
        if child.data == "block":
            kind, labels, inner = _parts_of_block(child)
            if kind == "check" and labels:
                yield from _data_in_check(text, f"check.{labels[0]}", inner)
            inside: list[Attribute] = []
            _body(text, inner, "", inside)
            yield Block(kind, labels, child.meta.line, tuple(inside))
        else:
            attributes.append(_attribute(text, child, ""))
    if attributes:
        yield Block("", (), attributes[0].line, tuple(attributes))


def _tree(text: str, first_line: int = 1) -> Any:
    """python-hcl2's own tree, in which everything has its place in the text. Its later stages drop the places."""
    import hcl2
    from lark.exceptions import UnexpectedInput, UnexpectedToken

    try:
        return hcl2.parses_to_tree(text)
    except UnexpectedInput as error:
        if unclosed := _unclosed_quote(text):
            raise HclUnreadable(first_line + unclosed - 1, _UNCLOSED) from error
        last = text.count("\n", 0, len(text.rstrip())) + 1
        line = error.line if isinstance(error.line, int) and 0 < error.line <= last else last
        found = ""
        if isinstance(error, UnexpectedToken) and error.token.type != "$END" and error.line == line:
            word = str(error.token).split("\n")[0].strip()[:40]
            found = f": {word!r} is not expected there" if word else ": it ends too early"
        elif line == last:
            found = ": the file ends too early"
        raise HclUnreadable(first_line + line - 1, f"this is not valid HCL{found}.") from error


_UNCLOSED = "a text in quotes has no closing quote on its line."
_LEXEME = re.compile(
    r'#[^\n]*|//[^\n]*|/\*.*?\*/|<<-?(?P<word>[A-Za-z][\w.-]*)\n.*?^[ \t]*(?P=word)$|"|\$\{|[{}\n]',
    re.DOTALL | re.MULTILINE,
)
_IN_QUOTES = re.compile(r'\\.|\$\$\{|%%\{|\$\{|%\{|["\n]')


def _unclosed_quote(text: str) -> int:
    """The line of the first quoted text that a line's end cuts off; 0 without one. python-hcl2 reads on to the next quote,
    wherever that is, and complains of what it finds there."""
    stack: list[str] = []
    at = 0
    opened = 0
    while match := (_IN_QUOTES if stack and stack[-1] == '"' else _LEXEME).search(text, at):
        at = match.end()
        if stack and stack[-1] == '"':
            if match[0] == "\n":
                return text.count("\n", 0, opened) + 1
            if match[0] == '"':
                stack.pop()
            elif match[0] in ("${", "%{"):
                stack.append("{")
        elif match[0] == '"':
            opened = match.start()
            stack.append('"')
        elif match[0] in ("{", "${"):
            stack.append("{")
        elif match[0] == "}" and stack:
            stack.pop()
    return text.count("\n", 0, opened) + 1 if stack and stack[-1] == '"' else 0


def _parts_of_block(tree: Any) -> tuple[str, tuple[str, ...], Any]:
    *words, inner = _trees(tree.children)
    names = [_word(word) for word in words]
    return names[0], tuple(names[1:]), inner


def _word(tree: Any) -> str:
    """A block's type or label, with or without quotes."""
    if tree.data == "string":
        return "".join(str(token) for part in _trees(tree.children) for token in part.children)
    return str(tree.children[0])


def _data_in_check(text: str, check: str, body: Any) -> Iterator[Block]:
    for child in _trees(body.children):
        if child.data == "block" and (parts := _parts_of_block(child))[0] == "data":
            inside: list[Attribute] = []
            _body(text, parts[2], "", inside)
            yield Block("data", parts[1], child.meta.line, tuple(inside), check)


def _body(text: str, body: Any, path: str, into: list[Attribute]) -> None:
    for child in _trees(body.children):
        if child.data == "attribute":
            into.append(_attribute(text, child, path))
            continue
        kind, labels, inner = _parts_of_block(child)
        if kind != "dynamic" or not labels:
            _body(text, inner, f"{path}{kind}.", into)
            continue
        # A dynamic block is the block it generates: what it repeats over is an attribute of that one's own name.
        for part in _trees(inner.children):
            if part.data == "block" and _parts_of_block(part)[0] == "content":
                _body(text, _parts_of_block(part)[2], f"{path}{labels[0]}.", into)
            elif part.data == "attribute" and _word(_trees(part.children)[0]) == "for_each":
                repeated = _attribute(text, part, path)
                into.append(Attribute(f"{path}{labels[0]}", repeated.line, repeated.text, "", repeated.references))


def _attribute(text: str, tree: Any, path: str) -> Attribute:
    name, expression = _trees(tree.children)
    reader = _Expressions(text, 1)
    node = reader.node(expression)
    written = text[expression.meta.start_pos : expression.meta.end_pos].strip()
    return _made(f"{path}{_word(name)}", tree.meta.line, written, None if path else node, reader.references)


def _made(path: str, line: int, text: str, node: Node | None, references: list[Reference]) -> Attribute:
    cut = text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
    code = json.dumps(node, separators=(",", ":"), ensure_ascii=False) if node else ""
    return Attribute(path, line, cut, code, tuple(dict.fromkeys(references)))


def _trees(children: Sequence[Any]) -> list[Any]:
    """The children that mean something: no punctuation, no comments."""
    return [child for child in children if hasattr(child, "data") and child.data != "new_line_or_comment"]


def _only(children: Sequence[Any]) -> Any:
    return _trees(children)[0]


class _Expressions:
    """Makes nodes of the trees in one expression's text, and collects the names it meets."""

    def __init__(self, text: str, first_line: int) -> None:
        self.text = text
        self.first_line = first_line
        self.references: list[Reference] = []
        self.bound: list[str] = []
        """The names that the `for` expressions around bind: these refer to nothing outside."""

    def node(self, tree: Any) -> Node:
        make: Callable[[Any], Node] | None = getattr(self, f"_{tree.data}", None)
        return make(tree) if make else self._raw(tree)

    def _expr_term(self, tree: Any) -> Node:
        return self.node(_only(tree.children))

    def _int_lit(self, tree: Any) -> Node:
        return number_of(str(tree.children[0]))

    def _float_lit(self, tree: Any) -> Node:
        return number_of(str(tree.children[0]))

    def _literal_value(self, tree: Any) -> Node:
        return ["lit", {"true": True, "false": False}.get(str(tree.children[0]))]

    def _string(self, tree: Any) -> Node:
        parts: list[Any] = []
        for part in _trees(tree.children):
            inner = part.children[0]
            if not hasattr(inner, "data"):
                written = str(inner)
                if "\n" in written:
                    raise HclUnreadable(self.first_line + inner.line - 1, _UNCLOSED)
                if inner.type in ("ESCAPED_INTERPOLATION", "ESCAPED_DIRECTIVE"):
                    written = written[1:]
                try:
                    parts.append(hcl_plain.unescaped(written))
                except ValueError as error:
                    raise HclUnreadable(self.first_line + inner.line - 1, f"{error}.") from error
            elif inner.data == "interpolation":
                parts.append(self.node(_only(inner.children)))
            else:
                parts.append(self._raw(inner))
        return _template(parts)

    def _identifier(self, tree: Any) -> Node:
        return self._name(tree, str(tree.children[0]), [])

    def _get_attr_expr_term(self, tree: Any) -> Node:
        base, get = _trees(tree.children)
        return self._step(tree, base, [self._get_step(get)])

    def _index_expr_term(self, tree: Any) -> Node:
        base, index = _trees(tree.children)
        return self._step(tree, base, [self._get_step(index)])

    def _full_splat_expr_term(self, tree: Any) -> Node:
        base, splat = _trees(tree.children)
        return self._step(tree, base, [["*"], *(self._get_step(step) for step in _trees(splat.children))])

    def _attr_splat_expr_term(self, tree: Any) -> Node:
        """`.*` goes on over names alone: what begins with an index in brackets is of the whole list."""
        base, splat = _trees(tree.children)
        steps = _trees(splat.children)
        names = list(itertools.takewhile(lambda step: step.data != "braces_index", steps))
        of_each = self._step(tree, base, [["*"], *map(self._get_step, names)])
        of_all = [self._get_step(step) for step in steps[len(names) :]]
        return ["get", of_each, of_all] if of_all else of_each

    def _get_step(self, tree: Any) -> Any:
        if tree.data == "get_attr":
            return str(_only(tree.children).children[0])
        if tree.data == "short_index":
            return ["idx", ["lit", int(str(tree.children[-1]))]]
        return ["idx", self.node(_only(tree.children))]

    def _step(self, tree: Any, base: Any, steps: list[Any]) -> Node:
        """A chain of steps is unwound down to its root, so that it is one name and not one for each of its steps."""
        while base.data == "expr_term" and len(base.children) == 1 and hasattr(base.children[0], "data"):
            inner = base.children[0]
            if inner.data in ("get_attr_expr_term", "index_expr_term"):
                below, step = _trees(inner.children)
                steps = [self._get_step(step), *steps]
            elif inner.data == "full_splat_expr_term":
                below, splat = _trees(inner.children)
                steps = [["*"], *(self._get_step(step) for step in _trees(splat.children)), *steps]
            elif inner.data == "identifier":
                return self._name(tree, str(inner.children[0]), steps)
            else:
                break
            base = below
        return ["get", self.node(base), steps]

    def _name(self, tree: Any, root: str, steps: list[Any]) -> Node:
        if root not in self.bound and _is_followed(root, bool(steps)):
            self.references.append(Reference(parts_of([root, *steps]), self.first_line + tree.meta.line - 1))
        return ["ref", [root, *steps]]

    def _function_call(self, tree: Any) -> Node:
        names = [child for child in _trees(tree.children) if child.data == "identifier"]
        arguments = next((child for child in _trees(tree.children) if child.data == "arguments"), None)
        inner = arguments.children if arguments else []
        expands = any(getattr(child, "type", "") == "ELLIPSIS" for child in inner)
        name = "::".join(str(each.children[0]) for each in names)
        return ["call", name, [self.node(each) for each in _trees(inner)], expands]

    def _conditional(self, tree: Any) -> Node:
        return ["if", *(self.node(child) for child in _trees(tree.children))]

    def _binary_op(self, tree: Any) -> Node:
        left, term = _trees(tree.children)[:2]
        operator, right = _trees(term.children)[:2]
        return ["op", str(operator.children[0]).split()[-1], self.node(left), self.node(right)]

    def _unary_op(self, tree: Any) -> Node:
        kind = "not" if str(tree.children[0]).strip() == "!" else "neg"
        return [kind, self.node(_only(tree.children))]

    def _tuple(self, tree: Any) -> Node:
        return ["list", [self.node(child) for child in _trees(tree.children)]]

    def _object(self, tree: Any) -> Node:
        items = []
        for element in _trees(tree.children):
            key, value = _trees(element.children)
            items.append([self._key(key.children[0]), self.node(value)])
        return ["map", items]

    def _key(self, tree: Any) -> Node:
        """A bare word is a key, and no name of something else, unless it stands in parentheses."""
        inner = tree.children[0] if tree.data == "expr_term" else tree
        if getattr(inner, "data", "") in ("identifier", "keyword", "literal_value"):
            return ["lit", str(inner.children[0])]
        return self.node(tree)

    def _for_tuple_expr(self, tree: Any) -> Node:
        intro, value, *condition = _trees(tree.children)
        return self._for("list", intro, None, value, condition)

    def _for_object_expr(self, tree: Any) -> Node:
        if any(getattr(child, "type", "") == "ELLIPSIS" for child in tree.children):
            return self._raw(tree)
        intro, key, value, *condition = _trees(tree.children)
        return self._for("map", intro, key, value, condition)

    def _for(self, kind: str, intro: Any, key: Any, value: Any, condition: list[Any]) -> Node:
        *names, collection = _trees(intro.children)
        words = [str(name.children[0]) for name in names]
        over = self.node(collection)
        before = len(self.bound)
        self.bound += words
        made = [
            self.node(key) if key is not None else None,
            self.node(value),
            self.node(_only(condition[0].children)) if condition else None,
        ]
        del self.bound[before:]
        return ["for", kind, words[0] if len(words) > 1 else "", words[-1], over, *made]

    def _heredoc_template(self, tree: Any) -> Node:
        opening, *lines = str(tree.children[0]).rstrip("\n").split("\n")
        written = "".join(f"{each}\n" for each in lines[:-1])
        return self.template(written, self.first_line + tree.meta.line, "<<-" if opening.startswith("<<-") else "<<")

    _heredoc_template_trim = _heredoc_template

    def _raw(self, tree: Any) -> Node:
        """Not evaluated; what it refers to is collected all the same."""
        before = len(self.bound)
        for child in _trees(tree.children):
            if tree.data in _DIRECTIVES and child.data == "identifier":
                self.bound.append(str(child.children[0]))
            else:
                self.node(child)
        if tree.data not in _DIRECTIVES:
            del self.bound[before:]
        return ["raw", self.text[tree.meta.start_pos : tree.meta.end_pos] if not tree.meta.empty else ""]

    def template(self, text: str, line: int, heredoc: str = "") -> Node:
        """A template without quotes, as in a heredoc or a JSON string, whose first line is `line`. Raises HclUnreadable."""
        try:
            node, references = hcl_plain.template_of(text, line, _is_followed, Reference, self.bound, heredoc=heredoc)
        except hcl_plain.Refused as error:
            raise HclUnreadable(error.line, f"this is not valid HCL: {error.why}.") from error
        self.references += references
        return node


def _template(parts: list[Any]) -> Node:
    """Neighbouring texts become one; nothing but text is a literal, and nothing but one node is that node."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    if not joined:
        return ["lit", ""]
    if len(joined) == 1:
        return ["lit", joined[0]] if isinstance(joined[0], str) else joined[0]
    return ["tpl", joined]


# --- JSON --------------------------------------------------------------------------------------------------------------

_LABELS = {
    "resource": 2,
    "data": 2,
    "ephemeral": 2,
    "action": 2,
    "module": 1,
    "variable": 1,
    "output": 1,
    "provider": 1,
    "check": 1,
}
_COMMENT = "//"
"""A member of this name is a comment, at the top and in every block (Terraform, JSON Configuration Syntax)."""


def _json_document(text: str) -> tfjson.Place:
    try:
        return tfjson.parse(text)
    except json.JSONDecodeError as error:
        raise HclUnreadable(error.lineno, f"this is not valid JSON: {error.msg}.") from error


def json_variables(text: str) -> Digest:
    """Of a `.tfvars.json` file: a variable may have any name, and its strings are no templates. Raises HclUnreadable."""
    try:
        return Digest(tuple(_json_assignments(text)))
    except RecursionError as error:
        raise HclUnreadable(1, _TOO_DEEP) from error


def _json_assignments(text: str) -> Iterator[Block]:
    found = []
    for name, place in tfjson.members(_json_document(text)):
        if name != _COMMENT:
            node = _json_node(place, None)
            found.append(_made(name, place.line, text_of(node), node, []))
    if found:
        yield Block("", (), found[0].line, tuple(found))


def _json_blocks(text: str) -> Iterator[Block]:
    """Terraform's JSON syntax: the same blocks, every string of it a template. Nested blocks look like maps there, so what
    they refer to belongs to the attribute at the top."""
    loose = []
    for kind, place in tfjson.members(_json_document(text)):
        if kind == _COMMENT:
            continue
        if kind == "locals" or (kind in _LABELS and tfjson.members(place)):
            for labels, line, body in _labelled(place, _LABELS.get(kind, 0)):
                if kind == "check" and labels:
                    yield from _json_data_in_check(f"check.{labels[0]}", body)
                yield Block(kind, labels, line, _json_attributes(body))
        elif kind == "terraform":
            continue
        else:
            loose.append(_json_attribute(kind, place))
    if loose:
        yield Block("", (), loose[0].line, tuple(loose))


def _labelled(
    place: tfjson.Place, labels: int, so_far: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], int, list[tuple[str, tfjson.Place]]]]:
    if isinstance(place.value, list):
        for each in place.value:
            yield from _labelled(each, labels, so_far)
    elif labels:
        for name, inner in tfjson.members(place):
            if name != _COMMENT:
                yield from _labelled(inner, labels - 1, (*so_far, name))
    else:
        yield so_far, place.line, tfjson.members(place)


def _json_data_in_check(check: str, body: list[tuple[str, tfjson.Place]]) -> Iterator[Block]:
    for name, place in body:
        if name == "data":
            for labels, line, inner in _labelled(place, _LABELS["data"]):
                yield Block("data", labels, line, _json_attributes(inner), check)


def _json_attributes(body: list[tuple[str, tfjson.Place]]) -> tuple[Attribute, ...]:
    return tuple(_json_attribute(name, each) for name, each in body if name != _COMMENT)


def _json_attribute(name: str, place: tfjson.Place) -> Attribute:
    reader = _Expressions("", 1)
    node = _json_node(place, reader)
    return _made(name, place.line, text_of(node), node, reader.references)


def _json_node(place: tfjson.Place, reader: _Expressions | None) -> Node:
    """Without a reader, strings are what they are."""
    value = place.value
    if isinstance(value, str):
        return reader.template(value, place.line) if reader else ["lit", value]
    if isinstance(value, list):
        return ["list", [_json_node(each, reader) for each in value]]
    if isinstance(value, dict):
        return ["map", [[["lit", key], _json_node(each, reader)] for key, each in value.items()]]
    return ["lit", value]
