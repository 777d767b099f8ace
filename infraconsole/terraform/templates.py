"""A template's parts as HCL's own parser puts them together (hashicorp/hcl, hclsyntax/parser_template.go): what strip markers take
from the literals beside them, and what `<<-` takes from the lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infraconsole.terraform.nodes import Node


@dataclass
class _Literal:
    """In a heredoc, at most a line with its end: a strip marker does not reach into the next one."""

    text: str = ""
    from_left: bool = False

    def stripped(self) -> str:
        return self.text.lstrip() if self.from_left else self.text


class Parts:
    """A template on its way. `by_line` in a heredoc."""

    def __init__(self, *, by_line: bool = False) -> None:
        self._parts: list[_Literal | Node] = []
        self._by_line = by_line
        self._open = False
        """Whether what comes next belongs to the last literal."""
        self._strips = False

    def text(self, written: str) -> None:
        last = self._parts[-1] if self._open else None
        if not isinstance(last, _Literal):
            self._parts.append(last := _Literal(from_left=self._strips))
            self._strips = False
        last.text += written
        self._open = not (self._by_line and written.endswith("\n"))

    def add(self, node: Node) -> None:
        self._strips = self._open = False
        self._parts.append(node)

    def strip_before(self) -> None:
        if self._parts and isinstance(last := self._parts[-1], _Literal):
            last.text = last.text.rstrip()

    def strip_after(self) -> None:
        self._strips = True

    def node(self, *, unindent: bool = False) -> Node:
        """Nothing but text is a literal. Nothing but one node is that node, also of another type; with a text beside it that was
        stripped to nothing it is a text."""
        parts: list[Any] = [each.stripped() if isinstance(each, _Literal) else each for each in self._parts]
        if unindent:
            _unindent(parts)
        if len(parts) == 1 and not isinstance(parts[0], str):
            return list(parts[0])
        joined: list[Any] = []
        for part in parts:
            if isinstance(part, str) and joined and isinstance(joined[-1], str):
                joined[-1] += part
            elif part != "":
                joined.append(part)
        if all(isinstance(part, str) for part in joined):
            return ["lit", "".join(joined)]
        return ["tpl", joined]


def _unindent(parts: list[Any]) -> None:
    """The white space that all lines begin with. Lines of nothing but white space do not count, and keep theirs."""
    begins = True
    indents: dict[int, int] = {}
    least: int | None = None
    for number, part in enumerate(parts):
        if begins:
            indent = len(part) - len(part.lstrip()) if isinstance(part, str) else 0
            if not (isinstance(part, str) and indent == len(part) and part.endswith("\n")):
                least = indent if least is None else min(least, indent)
                indents[number] = indent
        begins = isinstance(part, str) and part.endswith("\n")
    for number in indents:
        if isinstance(parts[number], str):
            parts[number] = parts[number][least:]
