"""The table of exports: which there have to be, of which type and shape, what they point at, and which module writes them.

Read from `assets/exports.toml` and from `[[exports]]` in infraconsole.toml, so that a team's own exports are checked by
the same code as the guide's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from infraconsole.config import Config, ExportSettings, wrong_value
from infraconsole.errors import ConfigError

TYPES = ("String", "StringList", "SecureString")
TIERS = ("public", "private", "data")
TARGETS = ("vpc", "ecr-url", "ecr-arn", "rds-endpoint", "rds-identifier", "security-group", "secret", "none")

Required = Literal["always", "never", "together"]
"""together: where one export of its folder is there, all have to be."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = ("service", "env")
_WORD = "[a-z][a-z0-9-]*"
_KIND = re.compile(_WORD)


@dataclass(frozen=True)
class Shape:
    """What a value, or each item of a list, looks like. `words` and `example` are for people."""

    name: str
    pattern: re.Pattern[str]
    words: str
    example: str

    def fits(self, value: str) -> bool:
        return self.pattern.fullmatch(value) is not None


@dataclass(frozen=True)
class Rule:
    """A line of the table. `template` is the name below the export root, with {service} and {env} in it."""

    template: str
    type: str
    shape: Shape | None
    points_at: str
    required: Required
    owner: str
    why: str

    @property
    def target(self) -> str:
        """What it points at, without the detail: `kms` of `kms:rds`."""
        return self.points_at.partition(":")[0]

    @property
    def detail(self) -> str:
        """Of `subnets:<tier>` and `kms:<kind>` the tier or kind; else ""."""
        return self.points_at.partition(":")[2]

    @property
    def folder(self) -> str:
        return self.template.rpartition("/")[0]


@dataclass(frozen=True)
class Match:
    """A name and the rule for it. `service` and `environment` are "" where the rule has no such placeholder."""

    name: str
    rule: Rule
    service: str = ""
    environment: str = ""

    @property
    def owner(self) -> str:
        """The module that writes it: `network`, `ecr/fileflow`."""
        return self._filled(self.rule.owner)

    @property
    def folder(self) -> str:
        """The full name without its last part: what `together` counts over."""
        return self.name.rpartition("/")[0]

    def _filled(self, text: str) -> str:
        return text.replace("{service}", self.service).replace("{env}", self.environment)


@dataclass(frozen=True)
class ExportRules:
    """The whole table. Of several rules for a name the one with the fewest placeholders counts, then the team's own."""

    root: str
    rules: tuple[Rule, ...]
    _exact: Mapping[str, Rule] = field(init=False, repr=False, compare=False)
    _patterns: tuple[tuple[re.Pattern[str], Rule], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Thousands of names are looked up, and most rules are plain names: only the others cost a search.
        exact = {f"{self.root}/{rule.template}": rule for rule in self.rules if not _placeholders(rule.template)}
        patterns = [(_pattern(self.root, rule.template), rule) for rule in self.rules if _placeholders(rule.template)]
        patterns.sort(key=lambda pair: len(_placeholders(pair[1].template)))
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_patterns", tuple(patterns))

    def match(self, name: str) -> Match | None:
        """The rule for a full name, with the service and environment in that name; None for a name of no rule."""
        if rule := self._exact.get(name):
            # A team's line for one environment says nothing of it but its name; the guide's pattern tells the rest.
            parts = self._parts(name)
            return Match(name, rule, parts.get("service", ""), parts.get("env", ""))
        for pattern, rule in self._patterns:
            if found := pattern.fullmatch(name):
                parts = found.groupdict()
                return Match(name, rule, parts.get("service", ""), parts.get("env", ""))
        return None

    def rule_for(self, name: str) -> Rule | None:
        match = self.match(name)
        return match.rule if match else None

    def owner(self, name: str) -> str | None:
        """The module of the infrastructure repository that writes the export; None for a name of no rule."""
        match = self.match(name)
        return match.owner if match else None

    def expected(self, services: Sequence[str], environments: Sequence[str]) -> tuple[Match, ...]:
        """Every name that the table speaks of, required or not, for these services and environments, in its order."""
        names = dict.fromkeys(
            f"{self.root}/{name}" for rule in self.rules for name in _names(rule.template, services, environments)
        )
        return tuple(match for name in names if (match := self.match(name)) is not None)

    def _parts(self, name: str) -> Mapping[str, str]:
        return next((found.groupdict() for pattern, _ in self._patterns if (found := pattern.fullmatch(name))), {})


def load_rules(config: Config) -> ExportRules:
    """The guide's table with the configuration's `[[exports]]` over it. Raises ConfigError."""
    asset = resources.files("infraconsole") / "assets" / "exports.toml"
    document = tomllib.loads(asset.read_text("utf-8"))
    shapes = {name: _shape(name, table) for name, table in document["shapes"].items()}
    given = [
        ExportSettings(place=f"exports[{number}]", **table) for number, table in enumerate(document["exports"], start=1)
    ]
    guide = ExportRules(config.export_root, tuple(_Reader(shapes, Path("exports.toml"), None).rules(given)))
    own = tuple(_Reader(shapes, config.file, guide).rules(config.exports))
    replaced = {rule.template for rule in own}
    return ExportRules(guide.root, (*(rule for rule in guide.rules if rule.template not in replaced), *own))


class _Reader:
    """Lines as they were written become rules; what a line leaves out, the guide's line for that name says."""

    def __init__(self, shapes: Mapping[str, Shape], file: Path | None, guide: ExportRules | None) -> None:
        self.shapes = shapes
        self.file = file
        self.guide = guide

    def rules(self, lines: Iterable[ExportSettings]) -> list[Rule]:
        rules: dict[str, Rule] = {}
        for line in lines:
            if line.name in rules:
                raise self._wrong(line, "name", "each export once", line.name)
            rules[line.name] = self._rule(line)
        return list(rules.values())

    def _rule(self, line: ExportSettings) -> Rule:
        for placeholder in _PLACEHOLDER.findall(line.name):
            if placeholder not in _PLACEHOLDERS:
                raise self._wrong(line, "name", "no placeholders but {service} and {env}", line.name)
        placeholders, rest = _placeholders(line.name), _PLACEHOLDER.sub("", line.name)
        if "{" in rest or "}" in rest or len(set(placeholders)) < len(placeholders):
            raise self._wrong(line, "name", "{service} and {env} once at most", line.name)
        base = self._base(line.name)
        return Rule(
            template=line.name,
            type=self._type(line, base),
            shape=self._shape(line, base),
            points_at=self._points_at(line, base),
            required=self._required(line, base),
            owner=self._owner(line, base),
            why=line.why or (base.why if base else ""),
        )

    def _base(self, template: str) -> Rule | None:
        if self.guide is None:
            return None
        same = next((rule for rule in self.guide.rules if rule.template == template), None)
        return same or self.guide.rule_for(f"{self.guide.root}/{template}")

    def _type(self, line: ExportSettings, base: Rule | None) -> str:
        if line.type is None:
            return base.type if base else "String"
        if line.type not in TYPES:
            raise self._wrong(line, "type", f"one of {', '.join(TYPES)}", line.type)
        return line.type

    def _shape(self, line: ExportSettings, base: Rule | None) -> Shape | None:
        if line.shape is None:
            return base.shape if base else None
        if line.shape in self.shapes:
            return self.shapes[line.shape]
        written = line.shape
        if len(written) > 2 and written.startswith("/") and written.endswith("/"):
            try:
                return Shape(written, re.compile(written[1:-1]), f"text that matches {written}", "")
            except re.error as error:
                raise self._wrong(line, "shape", f"a regular expression ({error})", written) from error
        known = ", ".join(self.shapes)
        raise self._wrong(line, "shape", f"one of {known}, or a regular expression between slashes", written)

    def _points_at(self, line: ExportSettings, base: Rule | None) -> str:
        if line.points_at is None:
            return base.points_at if base else "none"
        target, colon, detail = line.points_at.partition(":")
        if line.points_at in TARGETS or (target == "subnets" and detail in TIERS):
            return line.points_at
        if target == "kms" and colon and _KIND.fullmatch(detail):
            return line.points_at
        subnets = (f"subnets:{tier}" for tier in TIERS)
        known = ", ".join((*TARGETS, *subnets, "kms:<kind>"))
        raise self._wrong(line, "points_at", f"one of {known}", line.points_at)

    def _required(self, line: ExportSettings, base: Rule | None) -> Required:
        if line.required is None:
            return base.required if base else "never"
        if isinstance(line.required, bool):
            return "always" if line.required else "never"
        return "together"

    def _owner(self, line: ExportSettings, base: Rule | None) -> str:
        if line.owner is None:
            # By the guide, exports lie under the name of the module that writes them.
            return base.owner if base else line.name.partition("/")[0]
        for placeholder in _PLACEHOLDER.findall(line.owner):
            if placeholder not in _placeholders(line.name):
                raise self._wrong(line, "owner", "only placeholders that are in the name too", line.owner)
        return line.owner

    def _wrong(self, line: ExportSettings, key: str, expected: str, found: object) -> ConfigError:
        return wrong_value(self.file, f"{line.place}.{key}", expected, found)


def _shape(name: str, table: Mapping[str, Any]) -> Shape:
    return Shape(name, re.compile(table["pattern"]), table["words"], table["example"])


def _placeholders(template: str) -> list[str]:
    return _PLACEHOLDER.findall(template)


def _pattern(root: str, template: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(template)  # text, placeholder, text, …
    written = (f"(?P<{part}>{_WORD})" if number % 2 else re.escape(part) for number, part in enumerate(parts))
    return re.compile(re.escape(f"{root}/") + "".join(written))


def _names(template: str, services: Sequence[str], environments: Sequence[str]) -> list[str]:
    """The template's names, of all services and environments that it has a placeholder for."""
    names = [template]
    for placeholder, values in (("{service}", services), ("{env}", environments)):
        if placeholder in template:
            names = [name.replace(placeholder, value) for name in names for value in values]
    return names
