"""What a plan does to the monthly bill, as far as the guide's table of costs tells: `assets/costs.toml`.

It says what it does not know as plainly as what it knows: half a figure that looks like a whole one is worse than none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from infraconsole.terraform.plan import Change, Kind, Plan

_SERVICE = "aws_ecs_service"
_TASK = "aws_ecs_task_definition"
_IDLE = (Kind.NO_OP, Kind.READ, Kind.MOVED, Kind.IMPORT, Kind.FORGET)


@dataclass(frozen=True)
class Price:
    """USD a month for one object of a type whose attributes are as in `when`; `by`: the attribute that says how many."""

    type: str
    usd: float
    why: str
    when: Mapping[str, Any]
    by: str = ""


@dataclass(frozen=True)
class TaskPrice:
    """USD a month for one Fargate task that runs all the time. `cpu` in units, `memory` in MiB, as ECS writes them."""

    cpu: str
    memory: str
    usd: float
    why: str


@dataclass(frozen=True)
class CostTable:
    """`environments` and `shared`: totals in USD a month. Types `by_use` cost by what goes through them; `free` nothing."""

    environments: Mapping[str, float]
    shared: float
    prices: tuple[Price, ...]
    tasks: tuple[TaskPrice, ...]
    by_use: frozenset[str]
    free: frozenset[str]

    def prices_of(self, type_: str) -> tuple[Price, ...]:
        return tuple(price for price in self.prices if price.type == type_)


@dataclass(frozen=True)
class CostLine:
    """`usd`: the difference a month, negative where the plan saves."""

    address: str
    usd: float
    why: str


@dataclass(frozen=True)
class CostEffect:
    """`usd`: the known difference a month, None where nothing is known of a plan that may cost something. It is the whole
    difference only where `unknown`, the things that could not be priced, is empty."""

    usd: float | None
    lines: tuple[CostLine, ...]
    unknown: tuple[str, ...]

    def words(self) -> str:
        known = "not known" if self.usd is None else f"{self.usd:+,.2f} USD a month"
        return f"{known}; not counted: {'; '.join(self.unknown)}" if self.unknown else known


def load() -> CostTable:
    asset = resources.files("infraconsole").joinpath("assets", "costs.toml")
    document = tomllib.loads(asset.read_text(encoding="utf-8"))
    return CostTable(
        environments={name: float(table["total"]) for name, table in document["environments"].items()},
        shared=float(document["shared"]["total"]),
        prices=tuple(
            Price(line["type"], float(line["usd"]), line["why"], line.get("when", {}), line.get("by", ""))
            for line in document["prices"]
        ),
        tasks=tuple(TaskPrice(**line) for line in document["tasks"]),
        by_use=frozenset(document["by_use"]["types"]),
        free=frozenset(document["free"]["types"]),
    )


def cost_effect(plan: Plan, table: CostTable) -> CostEffect:
    """The difference that the plan makes, from what each object costs before and after."""
    lines: list[CostLine] = []
    unknown: dict[str, None] = {}
    for change in plan.changes:
        if change.is_data or change.kind in _IDLE or change.type in table.free:
            continue
        if change.type == _SERVICE:
            continue
        if change.type in table.by_use:
            if change.kind in (Kind.CREATE, Kind.DESTROY):
                unknown[f"{change.type} (by use)"] = None
            continue
        before, after = _sides(change, table)
        if before is None or after is None:
            unknown[_what(change, table)] = None
        elif round(after[0] - before[0], 2):
            lines.append(CostLine(change.address, round(after[0] - before[0], 2), after[1] or before[1]))
    for line in _services(plan, table):
        if isinstance(line, CostLine):
            lines.append(line)
        else:
            unknown[line] = None
    known = round(sum(line.usd for line in lines), 2)
    return CostEffect(known if lines or not unknown else None, tuple(lines), tuple(unknown))


def _sides(change: Change, table: CostTable) -> tuple[tuple[float, str] | None, tuple[float, str] | None]:
    """What it costs now and will cost, with the reason; (0, "") where it is not there, None where it is not known."""
    nothing = (0.0, "")
    prices = table.prices_of(change.type)
    before = nothing if change.kind is Kind.CREATE else _price(prices, change, is_after=False)
    after = nothing if change.kind is Kind.DESTROY else _price(prices, change, is_after=True)
    if change.kind is Kind.UPDATE and not _is_priced_anew(change, prices):
        return nothing, nothing
    return before, after


def _is_priced_anew(change: Change, prices: Iterable[Price]) -> bool:
    """Whether an update touches what the price hangs on; of a type without prices any update may cost something."""
    names = {name for price in prices for name in (*price.when, price.by) if name}
    if not names:
        return not list(prices)
    return any(change.is_unknown(name) or change.before(name) != change.after(name) for name in names)


def _price(prices: Iterable[Price], change: Change, *, is_after: bool) -> tuple[float, str] | None:
    value = change.after if is_after else change.before
    for price in prices:
        if is_after and any(change.is_unknown(name) for name in (*price.when, price.by) if name):
            continue
        # multi_az is null where nobody set it.
        if any((value(name) or False) != expected for name, expected in price.when.items()):
            continue
        how_many = value(price.by) if price.by else 1
        if isinstance(how_many, int):
            return price.usd * how_many, price.why
    return None


def _what(change: Change, table: CostTable) -> str:
    names = dict.fromkeys(name for price in table.prices_of(change.type) for name in price.when)
    told = [
        f"{name} {change.after(name) if change.kind is not Kind.DESTROY else change.before(name)}"
        for name in names
        if not change.is_unknown(name)
    ]
    return f"{change.type} ({', '.join(told)})" if told else change.type


def _services(plan: Plan, table: CostTable) -> Iterator[CostLine | str]:
    """Services and their task definitions: the size is in one, the number in the other, and a plan does not say which
    belong together. Where a module has one of each, they do."""
    modules: dict[str, tuple[list[Change], list[Change]]] = {}
    for change in plan.changes:
        if not change.is_data and not change.deposed and change.type in (_SERVICE, _TASK):
            modules.setdefault(change.module, ([], []))[change.type == _TASK].append(change)
    for services, tasks in modules.values():
        touched = [each for each in (*services, *tasks) if each.kind not in _IDLE]
        if not touched or not services:
            continue
        if len(services) > 1 or len(tasks) != 1:
            if any(_is_resized(each) for each in touched):
                yield f"{_SERVICE} (several task definitions in one module, or none)"
            continue
        service, task = services[0], tasks[0]
        before, after = _running(service, task, table, is_after=False), _running(service, task, table, is_after=True)
        if before is None or after is None:
            if any(_is_resized(each) for each in touched):
                size = f"cpu {task.after('cpu')}, memory {task.after('memory')}"
                yield f"{service.address} ({size}, {service.after('desired_count')} tasks)"
        elif round(after[0] - before[0], 2):
            yield CostLine(service.address, round(after[0] - before[0], 2), after[1] or before[1])


def _is_resized(change: Change) -> bool:
    names = ("cpu", "memory") if change.type == _TASK else ("desired_count",)
    return any(change.is_unknown(name) or change.before(name) != change.after(name) for name in names)


def _running(service: Change, task: Change, table: CostTable, *, is_after: bool) -> tuple[float, str] | None:
    if service.kind is (Kind.DESTROY if is_after else Kind.CREATE):
        return 0.0, ""
    number = service.after("desired_count") if is_after else service.before("desired_count")
    if task.kind is Kind.DESTROY or (task.kind is Kind.CREATE and not is_after):
        return None  # it runs something that is not in this plan
    cpu, memory = (task.after("cpu"), task.after("memory")) if is_after else (task.before("cpu"), task.before("memory"))
    price = next((each for each in table.tasks if (each.cpu, each.memory) == (cpu, memory)), None)
    return None if price is None or not isinstance(number, int) else (price.usd * number, price.why)
