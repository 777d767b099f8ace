"""The blocks of parameters as they stand in the code: every module as often as it is called, and what a block says in each of them,
in one environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infraconsole.terraform import provider_places, ssm_names
from infraconsole.terraform.evaluate import Instance, Scope, Unknown, Value, instances
from infraconsole.terraform.flow import Flow
from infraconsole.terraform.hcl import Attribute
from infraconsole.terraform.modules import Located
from infraconsole.terraform.provider_places import Providers
from infraconsole.terraform.ssm_names import SsmName

PARAMETER = "aws_ssm_parameter"
BY_PATH = "aws_ssm_parameters_by_path"


@dataclass(frozen=True)
class Found:
    """A parameter's resource or data source, as often as it is there, in one environment. `text` is its name or path as far as it
    is known, `place` what that means."""

    flow: Flow
    located: Located
    index: str
    prefix: str
    name: Value
    type: Value
    value: Value
    certain: bool
    elsewhere: str = ""
    recursive: bool = False

    @property
    def address(self) -> str:
        return f"{self.prefix}{self.located.address}{self.index}"

    @property
    def by_path(self) -> bool:
        return self.located.type == BY_PATH

    @property
    def text(self) -> str:
        return self.name.text if isinstance(self.name, Unknown) else str(self.name)

    @property
    def place(self) -> SsmName | None:
        """None where the name is not known."""
        written = self.name.filled if isinstance(self.name, Unknown) else self.name
        if not isinstance(written, str) or not written:
            return None
        if self.located.block.kind == "resource":
            return None if isinstance(self.name, Unknown) else SsmName(written)
        return ssm_names.parse(written)

    @property
    def shown_name(self) -> str:
        place = self.place
        return place.name if place else self.text

    @property
    def why(self) -> str:
        if self.place is not None:
            return ""
        return self.name.why if isinstance(self.name, Unknown) else "it is no text"

    @property
    def line(self) -> int:
        return self.located.block.line


@dataclass(frozen=True)
class There:
    """A module as often as it is there in one environment: `prefix` is the address before what is in it, `certain` whether it is
    there for certain, and `providers` where its providers work."""

    flow: Flow
    scope: Scope
    providers: Providers
    prefix: str = ""
    certain: bool = True

    def called(self, call: Located, inner: Flow, instance: Instance) -> There:
        arguments = {
            each.path: instance.scope.evaluate(node)
            for each in call.block.attributes
            if (node := each.node) and each.path != "source"
        }
        scope = inner.module.called_with(arguments)
        return There(
            inner,
            scope,
            provider_places.of_call(inner.module, scope, call.block, self.providers),
            f"{self.prefix}module.{call.name}{instance.index}.",
            self.certain and instance.certain,
        )


def found_in(there: There, located: Located, instance: Instance) -> Found:
    block = located.block
    attribute = block.attribute("path" if located.type == BY_PATH else "name") or block.attribute("arn")
    return Found(
        there.flow,
        located,
        instance.index,
        there.prefix,
        name=_evaluated(attribute, instance.scope),
        type=_evaluated(block.attribute("type"), instance.scope),
        value=_evaluated(_value_of(located), instance.scope),
        certain=there.certain and instance.certain,
        recursive=_evaluated(block.attribute("recursive"), instance.scope) is True,
    )


def _value_of(located: Located) -> Attribute | None:
    """The one of its values that a parameter's resource is given."""
    values = (located.block.attribute(path) for path in ("value", "insecure_value", "value_wo"))
    return next((each for each in values if each is not None), None)


def without_index(step: str) -> str:
    """`module.a["x"]` → `a`."""
    return step.removeprefix("module.").partition("[")[0]


def names_given(call: Located, scope: Scope, root: str) -> Iterator[str]:
    """The names of exports among the values that a call is given."""
    for instance in instances(call.block, scope):
        for attribute in call.block.attributes:
            node = attribute.node
            if node and attribute.path not in ("source", "version", "for_each", "count", "providers", "depends_on"):
                yield from _names_in(instance.scope.evaluate(node), f"{root}/")


def _names_in(value: Value, beginning: str) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith(beginning):
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _names_in(each, beginning)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _names_in(key, beginning)
            yield from _names_in(each, beginning)


def _evaluated(attribute: Attribute | None, scope: Scope) -> Value:
    if attribute is None:
        return Unknown("", "it is not given")
    node = attribute.node
    return scope.evaluate(node) if node else Unknown(attribute.text, "it is not evaluated")


def may_be_below(root: str, found: Found) -> bool:
    """Whether a parameter is an export, or may be one for all that is known of its name."""
    below = f"{root}/"
    if (place := found.place) is not None:
        path = place.name.rstrip("/") + "/"
        return place.name.startswith(below) or (found.by_path and below.startswith(path))
    if isinstance(found.name, Unknown):
        begins = ssm_names.beginning(found.name.prefix)
        return begins.startswith(below) or below.startswith(begins)
    return False


def shown(value: Value, attribute: Attribute | None) -> str:
    """A value that comes from `each` as what it is there; else the expression as it is written."""
    written = attribute.text if attribute else ""
    if "each." in written and isinstance(value, Unknown | str):
        return value.text if isinstance(value, Unknown) else value
    return written.strip('"') if written.count('"') == 2 and "${" not in written else written


def shown_value(found: Found) -> str:
    """A secret that is written down in the code is not shown: neither directly nor by way of `each`."""
    attribute = _value_of(found.located)
    if found.type in ("String", "StringList"):
        return shown(found.value, attribute)
    if attribute is None or attribute.node is None or attribute.node[0] in ("lit", "tpl"):
        return "(not shown)"
    return attribute.text
