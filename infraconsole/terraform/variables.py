"""A module's variables as it declares them: what a value becomes that is given to one, by its type, its default and `nullable`."""

from __future__ import annotations

from dataclasses import dataclass

from infraconsole.terraform import hcl_plain
from infraconsole.terraform.conversions import converted
from infraconsole.terraform.evaluate import Scope, Unknown, Value
from infraconsole.terraform.hcl import Attribute, Block, Reference
from infraconsole.terraform.nodes import Node, text_of


@dataclass(frozen=True)
class Declared:
    """`type` is None where any will do; `default` None also where there is none."""

    name: str
    type: Node | None = None
    has_default: bool = False
    default: Value = None
    nullable: bool = True

    def taken(self, value: Value) -> Value:
        """What the variable is when it is given `value`; Unknown where that is not of its type, or not known to be."""
        if value is None and not self.nullable and self.has_default:
            value = self.default
        if self.type is None:
            return value
        try:
            return converted(value, self.type, Scope({}, {}).evaluate)
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            return Unknown(f"var.{self.name}", f"its value is not taken for {text_of(self.type)} here ({error})")


def declared(block: Block) -> Declared:
    default, nullable = block.attribute("default"), block.attribute("nullable")
    return Declared(
        block.labels[-1] if block.labels else "",
        _type(block.attribute("type")),
        default is not None,
        evaluated(default) if default else None,
        nullable is None or evaluated(nullable) is not False,
    )


def evaluated(attribute: Attribute) -> Value:
    """Of what is written where no names mean anything."""
    node = attribute.node
    return Scope({}, {}).evaluate(node) if node else Unknown(attribute.text, "it is not read")


def _type(attribute: Attribute | None) -> Node | None:
    """In JSON, and before Terraform 0.12, it is written as a text."""
    node = attribute.node if attribute else None
    if not node or node[0] != "lit":
        return node
    try:
        return hcl_plain.body_of(f"_ = {node[1]}\n", lambda *_: False, Reference).attributes[0].node
    except (hcl_plain.Refused, IndexError):
        return node
