"""Exports of ECR repositories: is the repository there, is it the service's own, and do its address and its ARN agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infraconsole import naming
from infraconsole.checks.export_facts import PointedAt, repository_name
from infraconsole.checks.export_values import Export, of_target, place, sentences
from infraconsole.checks.findings import Finding


def repository_findings(
    exports: Sequence[Export], facts: PointedAt | None, services: Sequence[str]
) -> Iterator[Finding]:
    """Without facts only whether the repository's name is the service's."""
    for export in of_target(exports, "ecr-url", "ecr-arn"):
        yield from _owner(export, services)
        if facts is not None:
            yield from _repository(export, facts)


def _owner(export: Export, services: Sequence[str]) -> Iterator[Finding]:
    service = export.match.service if export.match else ""
    name = repository_name(export.item)
    own = naming.ecr_repository(service)
    last = name.rpartition("/")[2]
    if not service or last == own or last.startswith(f"{own}-") or last.endswith(f"-{own}"):
        return
    stranger = next((one for one in services if last == naming.ecr_repository(one)), "")
    if stranger:
        what = f"The repository {name} is {stranger}'s own: {service} would run {stranger}'s images"
    else:
        what = f"The repository is {name}; by the guide {service}'s is called {own}"
    yield export.finding("ecr-url-mismatch", "error" if stranger else "warning", sentences(what, export.why))


def _repository(export: Export, facts: PointedAt) -> Iterator[Finding]:
    if facts.is_elsewhere(export.item):
        region, account = place(export.item)
        what = f"The repository is in account {account}, region {region}; these exports are of {facts.here}"
        yield export.points_at_nothing(what)
        return
    name = repository_name(export.item)
    if error := facts.repositories.error(name):
        yield export.not_checked(f"the repository {name} exists", error)
        return
    repository = facts.repositories.get(name)
    if repository is None:
        yield export.points_at_nothing(f"There is no repository {name} in {facts.here}")
        return
    real = repository.uri if export.target == "ecr-url" else repository.arn
    if real != export.item:
        message = f"The repository {name} is {real}, not what is exported. {export.why}"
        yield export.finding("ecr-url-mismatch", "error", message)
