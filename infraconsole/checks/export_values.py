"""An export as its checks see it: the parameter, its rule, and its value taken apart, as far as that can be done.

What cannot be taken apart is said once, here, so that no other check stumbles over it or complains a second time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infraconsole import text
from infraconsole.aws.ssm import Parameter
from infraconsole.checks.export_rules import ExportRules, Match, Rule
from infraconsole.checks.findings import Finding, Level
from infraconsole.errors import AwsError

LIST = "StringList"
SHOWN = 160
"""Characters of a value in a message."""

_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:(?P<region>[a-z0-9-]*):(?P<account>\d*):.*", re.DOTALL)
_ECR_URL = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\..*")
_BARE_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


@dataclass(frozen=True)
class Export:
    """`items` are the value's parts (one, unless it is a list), none where `faults` says what is wrong with it."""

    parameter: Parameter
    match: Match | None
    items: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.parameter.name

    @property
    def rule(self) -> Rule | None:
        return self.match.rule if self.match else None

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def target(self) -> str:
        """What it points at; "none" for what no rule speaks of."""
        return self.rule.target if self.rule else "none"

    @property
    def detail(self) -> str:
        return self.rule.detail if self.rule else ""

    @property
    def item(self) -> str:
        """The value of what is no list; "" where it could not be taken apart."""
        return self.items[0] if self.items else ""

    @property
    def why(self) -> str:
        return self.rule.why if self.rule else ""

    def finding(self, rule: str, level: Level, message: str, mend: str = "") -> Finding:
        return Finding(rule, level, self.name, message.strip(), mend or self.mend("Mend the value"))

    def mend(self, what: str) -> str:
        """`what` is to be done in the module that writes the export."""
        module = f"the module {self.match.owner}" if self.match else "the module that writes it"
        return f"{what} in {module} of the infrastructure repository, and apply it."

    def points_at_nothing(self, what: str) -> Finding:
        return self.finding("export-points-at-nothing", "error", sentences(what, self.why))

    def not_checked(self, what: str, error: AwsError) -> Finding:
        """`what` completes "Whether …"."""
        message = f"Whether {what} could not be checked. {sentences(error.title, error.cause)}"
        return Finding("export-not-checked", "warning", self.name, message, error.mend)


def read_export(parameter: Parameter, rules: ExportRules) -> Export:
    """The export with its value taken apart; a SecureString, whose value is not read, has neither items nor faults."""
    match = rules.match(parameter.name)
    if parameter.value is None:
        return Export(parameter, match)
    rule = match.rule if match else None
    is_list = (rule.type if rule else parameter.type) == LIST
    faults = tuple(_list_faults(parameter.value, rule) if is_list else _faults(parameter.value, rule))
    items = parameter.value.split(",") if is_list else [parameter.value]
    return Export(parameter, match, () if faults else tuple(items), faults)


def of_target(exports: Sequence[Export], *targets: str) -> list[Export]:
    """Those that point at such things and whose value could be read."""
    return [export for export in exports if export.items and export.target in targets]


def place(value: str) -> tuple[str, str]:
    """The region and the account that an ARN or a repository's address names; "" for what it does not."""
    found = _ARN.fullmatch(value) or _ECR_URL.fullmatch(value)
    return (found["region"], found["account"]) if found else ("", "")


def is_elsewhere(value: str, region: str, account: str) -> bool:
    """Whether the value names another region or account than these, of which "" says that it is not known."""
    its_region, its_account = place(value)
    other_account = bool(its_account and account and its_account != account)
    return other_account or bool(its_region and region and its_region != region)


def lacks_port(export: Export) -> bool:
    """Whether a database's endpoint is a host's name and nothing else."""
    value = export.parameter.value or ""
    return export.target == "rds-endpoint" and bool(export.faults) and _BARE_HOST.fullmatch(value) is not None


def shown(value: str) -> str:
    """A value for a message: harmless, and not too long."""
    return text.line(value, SHOWN)


def sentences(*parts: str) -> str:
    return " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _faults(value: str, rule: Rule | None, what: str = "it") -> Iterator[str]:
    """What is wrong with a value, or with one item of a list."""
    if not value.strip():
        yield f"{what} is nothing but white space" if value else f"{what} is empty"
    elif value != value.strip():
        yield f"{what} {_margin(value)}"
    elif rule and rule.shape and not rule.shape.fits(value):
        example = f", such as {rule.shape.example}" if rule.shape.example else ""
        yield f"{shown(value)} is not {rule.shape.words}{example}"


def _margin(value: str) -> str:
    if value.endswith(("\n", "\r")):
        return "ends with a line feed"
    if value.startswith(("\n", "\r")):
        return "begins with a line feed"
    return "ends with a blank" if value != value.rstrip() else "begins with a blank"


def _list_faults(value: str, rule: Rule | None) -> Iterator[str]:
    if not value.strip():
        yield from _faults(value, rule)
        return
    items = value.split(",")
    for number, item in enumerate(items, start=1):
        yield from _faults(item, rule, f"item {number}")
    if rule:
        yield from (f"{shown(item)} is in it {items.count(item)} times" for item in _repeated(items))


def _repeated(items: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for item in items if item.strip() and items.count(item) > 1))
