"""The whole of HCL's native syntax, read by hand: for what python-hcl2 refuses though it is valid (double negation, blanks behind a
heredoc's marker, line breaks and comments within `${}`, strip markers, names that are not ASCII, …). It makes the same nodes.

After HCL's own specification (hashicorp/hcl, hclsyntax/spec.md). Comments and, within brackets, line breaks mean nothing.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_left
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infraconsole.terraform.nodes import Node, number_of, parts_of
from infraconsole.terraform.templates import Parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infraconsole.terraform.hcl import Reference

MakeReference = Callable[[tuple[str, ...], int], "Reference"]


class Refused(Exception):
    """What is not HCL, and what is not read here. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


@dataclass
class Body:
    attributes: list[WrittenAttribute] = field(default_factory=list)
    blocks: list[WrittenBlock] = field(default_factory=list)
    order: list[WrittenAttribute | WrittenBlock] = field(default_factory=list)


@dataclass
class WrittenAttribute:
    name: str
    line: int
    text: str
    node: Node
    references: list[Reference]


@dataclass
class WrittenBlock:
    kind: str
    labels: tuple[str, ...]
    line: int
    body: Body


def body_of(text: str, is_followed: Callable[[str, bool], bool], reference: MakeReference) -> Body:
    """What a file says. `is_followed` says of a name's root, and whether steps follow it, if it is one that is followed;
    `reference` makes what is collected of it. Raises Refused."""
    reader = _Reader(text, 1, is_followed, reference)
    found = reader.body()
    if reader.at < len(text):
        raise reader.refused("a closing brace is too many")
    return found


_LINE_END = re.compile(r"\n")
_NAME = re.compile(r"[^\W\d][\w-]*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SPACE = re.compile(r"(?:[ \t\r\ufeff]|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_SPACE_AND_LINES = re.compile(r"(?:\s|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_HEREDOC = re.compile(r"<<(-?)([^\W\d][\w-]*)[ \t]*\n")
_LITERAL = re.compile(r'[^"\\\n$%]+')
_ESCAPE = re.compile(r'\\(?:([nrt"\\])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))')
_SURROGATES = range(0xD800, 0xE000)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_OPERATORS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("==", "!="),
    ("<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/", "%"),
)
"""From those that bind least."""
_CONSTANTS = {"true": True, "false": False, "null": None}


def template_of(
    text: str,
    line: int,
    is_followed: Callable[[str, bool], bool],
    reference: MakeReference,
    bound: list[str],
    *,
    heredoc: str = "",
) -> tuple[Node, list[Reference]]:
    """A template without quotes whose first line is `line`: a JSON string, or the inside of a heredoc that `heredoc` opens, `<<` or
    `<<-`. `bound` are the names that the `for` expressions around it bind. Raises Refused."""
    reader = _Reader(text, line, is_followed, reference)
    reader.bound = bound
    return reader.template(heredoc), reader.references


def unescaped(text: str) -> str:
    """Of a literal between quotes. Raises ValueError for what is no escape, and for what is no character."""
    made, at = "", 0
    while (begin := text.find("\\", at)) >= 0:
        character, end = _escape_at(text, begin)
        made, at = made + text[at:begin] + character, end
    return made + text[at:]


def _escape_at(text: str, at: int) -> tuple[str, int]:
    """The character, and where the escape ends. Raises ValueError."""
    match = _ESCAPE.match(text, at)
    if match is None:
        raise ValueError(f"{text[at : at + 2]!r} is no escape")
    if match[1]:
        return _ESCAPES[match[1]], match.end()
    number = int(match[2] or match[3], 16)
    if number > sys.maxunicode or number in _SURROGATES:
        raise ValueError(f"{match[0]!r} is no character")
    return chr(number), match.end()


class _Reader:
    def __init__(
        self, text: str, first_line: int, is_followed: Callable[[str, bool], bool], reference: MakeReference
    ) -> None:
        self.text = text
        self.at = 0
        self.first_line = first_line
        self.over_lines = False
        """Whether a line break is but a blank here, as within brackets."""
        self.bound: list[str] = []
        self.references: list[Reference] = []
        self._ends = [match.start() for match in _LINE_END.finditer(text)]
        self._is_followed = is_followed
        self._reference = reference

    # Where it stands

    def line(self, at: int | None = None) -> int:
        return self.first_line + bisect_left(self._ends, self.at if at is None else at)

    def refused(self, why: str) -> Refused:
        return Refused(self.line(min(self.at, len(self.text.rstrip()))), why)

    def skip(self, lines: bool | None = None) -> None:
        over = self.over_lines if lines is None else lines
        if match := (_SPACE_AND_LINES if over else _SPACE).match(self.text, self.at):
            self.at = match.end()

    def next_is(self, words: str) -> bool:
        self.skip()
        return self.text.startswith(words, self.at)

    def taken(self, words: str) -> bool:
        if not self.next_is(words):
            return False
        self.at += len(words)
        return True

    def must(self, words: str) -> None:
        if not self.taken(words):
            found = self.text[self.at : self.at + 20].split("\n")[0]
            raise self.refused(f"{words!r} is expected before {found!r}" if found else f"{words!r} is missing")

    def name(self) -> str:
        self.skip()
        match = _NAME.match(self.text, self.at)
        if match is None:
            raise self.refused(f"a name is expected before {self.text[self.at : self.at + 20]!r}")
        self.at = match.end()
        return match[0]

    @contextmanager
    def lines(self, over: bool) -> Iterator[None]:
        before, self.over_lines = self.over_lines, over
        try:
            yield
        finally:
            self.over_lines = before

    # Bodies

    def body(self) -> Body:
        """Up to its closing brace, or the end."""
        found = Body()
        while True:
            self.skip(lines=True)
            if self.at >= len(self.text) or self.text[self.at] == "}":
                return found
            line = self.line()
            name = self.name()
            self.skip()
            if self.text.startswith("=", self.at) and not self.text.startswith("==", self.at):
                self.at += 1
                found.order.append(attribute := self._attribute(name, line))
                found.attributes.append(attribute)
            else:
                found.order.append(block := self._block(name, line))
                found.blocks.append(block)
            self._end_of_line()

    def _attribute(self, name: str, line: int) -> WrittenAttribute:
        self.skip()
        begin, self.references = self.at, []
        with self.lines(over=False):
            node = self.expression()
        written = self.text[begin : self.at].strip()
        return WrittenAttribute(name, line, written, node, self.references)

    def _block(self, kind: str, line: int) -> WrittenBlock:
        labels = []
        while not self.next_is("{"):
            labels.append(self._label() if self.text.startswith('"', self.at) else self.name())
        self.at += 1
        with self.lines(over=False):
            inside = self.body()
        self.must("}")
        return WrittenBlock(kind, tuple(labels), line, inside)

    def _label(self) -> str:
        node = self._quoted()
        if node[0] != "lit":
            raise self.refused("a label is a plain text")
        return str(node[1])

    def _end_of_line(self) -> None:
        self.skip(lines=False)
        if self.at < len(self.text) and self.text[self.at] not in "\n}":
            raise self.refused(f"{self.text[self.at : self.at + 20].splitlines()[0]!r} is not expected there")

    # Expressions

    def expression(self) -> Node:
        condition = self._binary(0)
        if not self.taken("?"):
            return condition
        then = self.expression()
        self.must(":")
        return ["if", condition, then, self.expression()]

    def _binary(self, level: int) -> Node:
        if level == len(_OPERATORS):
            return self._unary()
        left = self._binary(level + 1)
        while operator := self._operator(level):
            left = ["op", operator, left, self._binary(level + 1)]
        return left

    def _operator(self, level: int) -> str:
        self.skip()
        for operator in _OPERATORS[level]:
            if self.text.startswith(operator, self.at):
                self.at += len(operator)
                return operator
        return ""

    def _unary(self) -> Node:
        self.skip()
        for sign, kind in (("!", "not"), ("-", "neg")):
            if self.text.startswith(sign, self.at):
                self.at += 1
                return [kind, self._unary()]
        return self._term()

    def _term(self) -> Node:
        self.skip()
        begin = self.at
        letter = self.text[begin : begin + 1]
        if letter == '"':
            return self._steps(self._quoted(), begin)
        if heredoc := _HEREDOC.match(self.text, begin):
            return self._heredoc(heredoc)
        if number := _NUMBER.match(self.text, begin):
            self.at = number.end()
            return number_of(number[0])
        if letter == "(":
            with self.lines(over=True):
                self.at += 1
                inner = self.expression()
                self.must(")")
            return self._steps(inner, begin)
        if letter in ("[", "{"):
            return self._steps(self._tuple() if letter == "[" else self._object(), begin)
        word = self.name()
        if self.text.startswith("::", self.at) or self._calls():
            return self._steps(self._call(word), begin)
        if word in _CONSTANTS:
            return ["lit", _CONSTANTS[word]]
        return self._steps(["ref", [word]], begin)

    def _calls(self) -> bool:
        return bool(re.compile(r"[ \t]*\(").match(self.text, self.at))

    def _call(self, word: str) -> Node:
        while self.text.startswith("::", self.at):
            self.at += 2
            word += f"::{self.name()}"
        arguments: list[Node] = []
        expands = False
        with self.lines(over=True):
            self.must("(")
            while not self.taken(")"):
                arguments.append(self.expression())
                if self.taken("..."):
                    expands = True
                    self.taken(",")
                    self.must(")")
                    break
                if not self.taken(","):
                    self.must(")")
                    break
        return ["call", word, arguments, expands]

    def _steps(self, base: Node, begin: int) -> Node:
        """What follows a term. A chain on a name is one name, and is collected once it is whole."""
        line = self.line(begin)
        steps: list[Any] = []
        only_names = False
        while True:
            here = self.at
            if self.over_lines:
                self.skip()
            if self.text.startswith("...", self.at):
                self.at = here
                break
            if self.text.startswith(".", self.at):
                self.at += 1
                step = self._after_dot()
                only_names = only_names or step == ["*"]
            elif self.text.startswith("[", self.at):
                step = self._index()
                if only_names:  # an attribute-only splat ends here: the index is one of the whole list's
                    base, steps, only_names = self._made(base, steps, line), [step], False
                    continue
            else:
                self.at = here
                break
            steps.append(step)
        return self._made(base, steps, line)

    def _after_dot(self) -> Any:
        if self.taken("*"):
            return ["*"]
        if match := re.compile(r"\d+").match(self.text, self.at):
            self.at = match.end()
            return ["idx", ["lit", int(match[0])]]
        return self.name()

    def _index(self) -> Any:
        with self.lines(over=True):
            self.at += 1
            if self.taken("*"):
                self.must("]")
                return ["*"]
            index = self.expression()
            self.must("]")
        return ["idx", index]

    def _made(self, base: Node, steps: list[Any], line: int) -> Node:
        if base[0] != "ref":
            return ["get", base, steps] if steps else base
        if steps and ["*"] in base[1]:  # the steps are those of the whole list
            return ["get", base, steps]
        root = base[1][0]
        if len(base[1]) == 1 and root not in self.bound and self._is_followed(root, bool(steps)):
            self.references.append(self._reference(parts_of([root, *steps]), line))
        return ["ref", [*base[1], *steps]]

    def _tuple(self) -> Node:
        with self.lines(over=True):
            self.at += 1
            if self._is_for():
                return self._for("list", "]")
            items: list[Node] = []
            while not self.taken("]"):
                items.append(self.expression())
                if not self.taken(","):
                    self.must("]")
                    break
        return ["list", items]

    def _object(self) -> Node:
        self.at += 1
        with self.lines(over=True):
            if self._is_for():
                return self._for("map", "}")
        items: list[Any] = []
        with self.lines(over=False):
            while True:
                self.skip(lines=True)
                if self.taken("}"):
                    return ["map", items]
                key = self._key()
                if not self.taken(":"):
                    self.must("=")
                self.skip(lines=True)
                items.append([key, self.expression()])
                self.skip(lines=False)
                if not self.taken(",") and not self.next_is("}") and self.text[self.at : self.at + 1] != "\n":
                    raise self.refused("a comma or a new line is expected")

    def _key(self) -> Node:
        """A bare word is a key, and no name of something else."""
        if match := re.compile(r"([^\W\d][\w-]*)[ \t]*(?:=(?!=)|:(?!:))").match(self.text, self.at):
            self.at += len(match[1])
            return ["lit", match[1]]
        return self.expression()

    def _is_for(self) -> bool:
        self.skip()
        return bool(re.compile(r"for\b(?![\w-])\s").match(self.text, self.at))

    def _for(self, kind: str, closing: str) -> Node:
        begin = self.at - 1
        self.at += len("for")
        words = [self.name()]
        if self.taken(","):
            words.append(self.name())
        if self.name() != "in":
            raise self.refused("'in' is expected")
        over = self.expression()
        self.must(":")
        before = len(self.bound)
        self.bound += words
        first: Node | None = self.expression()
        value: Node
        if kind == "map":
            self.must("=>")
            key, value = first, self.expression()
        else:
            key, value = None, first or []
        grouped = kind == "map" and self.taken("...")
        self.skip()
        condition = None
        if re.compile(r"if\b").match(self.text, self.at):
            self.at += 2
            condition = self.expression()
        del self.bound[before:]
        self.must(closing)
        if grouped:
            return ["raw", self.text[begin : self.at]]
        return ["for", kind, words[0] if len(words) > 1 else "", words[-1], over, key, value, condition]

    # Templates

    def _quoted(self) -> Node:
        self.at += 1
        parts = Parts()
        while True:
            if self.at >= len(self.text) or self.text[self.at] == "\n":
                raise self.refused("a text in quotes has no closing quote on its line")
            letter = self.text[self.at]
            if letter == '"':
                self.at += 1
                return parts.node()
            if letter == "\\":
                try:
                    character, self.at = _escape_at(self.text, self.at)
                except ValueError as error:
                    raise self.refused(str(error)) from error
                parts.text(character)
            else:
                self._part(parts)

    def _part(self, parts: Parts) -> None:
        """A piece of text, an interpolation or a directive."""
        for doubled in ("$${", "%%{"):
            if self.text.startswith(doubled, self.at):
                self.at += 3
                parts.text(doubled[1:])
                return
        if self.text.startswith("${", self.at):
            self._interpolation(parts)
        elif self.text.startswith("%{", self.at):
            self._directive(parts)
        else:
            match = _LITERAL.match(self.text, self.at)
            self.at = match.end() if match else self.at + 1
            parts.text(match[0] if match else self.text[self.at - 1])

    def _interpolation(self, parts: Parts) -> None:
        self.at += 2
        if self.text.startswith("~", self.at):
            self.at += 1
            parts.strip_before()
        with self.lines(over=True):
            parts.add(self.expression())
            if self.taken("~"):
                parts.strip_after()
            if not self.next_is("}") and self.at >= len(self.text):
                raise self.refused("this template has no closing brace")
            self.must("}")

    def _directive(self, parts: Parts) -> None:
        """Not evaluated; what it refers to is collected all the same."""
        begin = self.at
        self.at += 2
        self.taken("~")
        with self.lines(over=True):
            word = self.name()
            if word == "if":
                self.expression()
            elif word == "for":
                self.bound.append(self.name())
                if self.taken(","):
                    self.bound.append(self.name())
                if self.name() != "in":
                    raise self.refused("'in' is expected")
                self.expression()
            elif word not in ("else", "endif", "endfor"):
                raise self.refused(f"{word!r} is no directive")
            self.taken("~")
            self.must("}")
        parts.add(["raw", self.text[begin : self.at]])

    def _heredoc(self, opening: re.Match[str]) -> Node:
        ending = re.compile(rf"^[ \t]*{re.escape(opening[2])}[ \t\r]*$", re.MULTILINE)
        closing = ending.search(self.text, opening.end())
        if closing is None:
            raise self.refused(f"the heredoc {opening[2]} has no end")
        inner = _Reader(
            self.text[opening.end() : closing.start()], self.line(opening.end()), self._is_followed, self._reference
        )
        inner.bound, inner.references = self.bound, self.references
        self.at = closing.end()
        return inner.template(f"<<{opening[1]}")

    def template(self, heredoc: str) -> Node:
        """All of the text, in which quotes and backslashes mean nothing."""
        parts, before = Parts(by_line=bool(heredoc)), len(self.bound)
        while self.at < len(self.text):
            if self.text[self.at] in '"\\\n':
                parts.text(self.text[self.at])
                self.at += 1
            else:
                self._part(parts)
        del self.bound[before:]
        return parts.node(unindent=heredoc == "<<-")
