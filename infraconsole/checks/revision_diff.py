"""What differs between two task definitions, in the order in which it matters when a service is bad. Pure; nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infraconsole.aws.ecs import ContainerDefinition, TaskDefinition
from infraconsole.secret_places import MASK, masked, names_a_secret


@dataclass(frozen=True)
class Difference:
    """`before` or `after` is None where the thing is not there. Values of variables that probably hold secrets are masked."""

    what: str
    before: str | None
    after: str | None

    def lines(self) -> tuple[str, ...]:
        """As a diff: one line with `-`, one with `+`, or one of them."""
        removed = (f"- {self.what}: {self.before}",) if self.before is not None else ()
        added = (f"+ {self.what}: {self.after}",) if self.after is not None else ()
        return removed + added


def differences(before: TaskDefinition, after: TaskDefinition, first: str = "") -> tuple[Difference, ...]:
    """Image, cpu, memory, then container by container environment, secrets by reference, health check, ports, logs; roles last.
    Container `first` stands before the others."""
    return tuple(_differences(before, after, first))


def diff_lines(before: TaskDefinition, after: TaskDefinition, first: str = "") -> tuple[str, ...]:
    lines = tuple(line for difference in differences(before, after, first) for line in difference.lines())
    return lines or (f"{before.name} and {after.name} are the same but for their numbers.",)


def _differences(before: TaskDefinition, after: TaskDefinition, first: str) -> Iterator[Difference]:
    old = {container.name: container for container in before.containers}
    new = {container.name: container for container in after.containers}
    names = sorted(dict.fromkeys([*old, *new]), key=lambda name: name != first)
    for name in names:
        yield from _changed(f"{name} image", _image(old.get(name)), _image(new.get(name)))
    yield from _changed("cpu", before.cpu or None, after.cpu or None)
    yield from _changed("memory", before.memory or None, after.memory or None)
    for name in names:
        yield from _container(name, old.get(name), new.get(name))
    yield from _changed("task role", before.task_role_arn or None, after.task_role_arn or None)
    yield from _changed("execution role", before.execution_role_arn or None, after.execution_role_arn or None)


def _container(name: str, old: ContainerDefinition | None, new: ContainerDefinition | None) -> Iterator[Difference]:
    if old is None or new is None:
        return
    yield from _changed(f"{name} cpu", old.cpu, new.cpu)
    yield from _changed(f"{name} memory", old.memory, new.memory)
    yield from _mappings(f"{name} environment", dict(old.environment), dict(new.environment))
    yield from _mappings(
        f"{name} secret",
        {secret.name: secret.value_from for secret in old.secrets},
        {secret.name: secret.value_from for secret in new.secrets},
        by_reference=True,
    )
    yield from _changed(f"{name} health check", _health(old), _health(new))
    yield from _changed(f"{name} ports", _ports(old), _ports(new))
    yield from _changed(f"{name} log group", old.log_group or None, new.log_group or None)


def _mappings(
    what: str, old: Mapping[str, str], new: Mapping[str, str], *, by_reference: bool = False
) -> Iterator[Difference]:
    for key in sorted({*old, *new}):
        if old.get(key) == new.get(key):
            continue
        masked = not by_reference and names_a_secret(key)
        sides = [None if key not in side else MASK if masked else _text(side[key]) for side in (old, new)]
        yield Difference(f"{what} {key}", *sides)


def _changed(what: str, before: object, after: object) -> Iterator[Difference]:
    if before != after:
        yield Difference(what, None if before is None else _text(before), None if after is None else _text(after))


def _text(value: object) -> str:
    return masked(str(value))


def _image(container: ContainerDefinition | None) -> str | None:
    return container.image if container else None


def _health(container: ContainerDefinition) -> str | None:
    check = container.health_check
    if check is None:
        return None
    return (
        f"{' '.join(check.command)} every {check.interval_seconds} s, time-out {check.timeout_seconds} s, "
        f"{check.retries} retries, start period {check.start_period_seconds} s"
    )


def _ports(container: ContainerDefinition) -> str | None:
    return ", ".join(str(port) for port in container.ports) or None
