"""The company that the world is seeded with, read from `assets/world/company.toml`. Pure data, no moto: the seed, the
repositories on disk and the tests ask it for the same names, tags and revisions."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from infraconsole import naming


@dataclass(frozen=True)
class Service:
    name: str
    team: str
    owner: str
    cost_center: str
    data_class: str
    feature: str


@dataclass(frozen=True)
class Environment:
    name: str
    cpu: int
    memory: int
    desired: int
    minimum: int
    maximum: int
    first_build: int
    database_class: str
    multi_az: bool
    redis_node_type: str
    redis_nodes: int
    retention: Mapping[str, int]
    """Days, by kind of log."""
    approvers: tuple[str, ...] = ()
    window: str = ""

    @property
    def state_bucket(self) -> str:
        return f"ryuqqq-{self.name}-tfstate"


@dataclass(frozen=True)
class Build:
    """One revision of every family. `number` is the revision, `hours` how long ago it was registered."""

    number: int
    hours: float
    size: float
    health_check: bool
    environment: Mapping[str, str]
    outcome: str = ""
    prod_outcome: str = ""
    inactive: bool = False
    image_deleted: bool = False
    tracing: bool = False
    feature: bool = False

    def outcome_in(self, environment: str) -> str:
        return self.prod_outcome or self.outcome if environment == "prod" else self.outcome


@dataclass(frozen=True)
class Company:
    account: str
    region: str
    dr_region: str
    zones: tuple[str, ...]
    container_port: int
    deregistration_delay: int
    network: Mapping[str, Any]
    services: Mapping[str, Service]
    environments: Mapping[str, Environment]
    builds: tuple[Build, ...]
    people: tuple[str, ...]

    @property
    def log_bucket(self) -> str:
        """Of the company's trail."""
        return "ryuqqq-cloudtrail-logs"

    def writer(self, environment: str, number: int) -> tuple[str, str]:
        """Role and session of who applied a revision: people in dev, and now and then elsewhere; else the pipeline."""
        if environment == "dev" or number % 3 == 0:
            return "Admin", self.people[number % len(self.people)]
        return "deploy", "terraform"

    @property
    def newest(self) -> Build:
        return self.builds[-1]

    def tag(self, service: str, environment: str, revision: int) -> str:
        """The image tag of a revision: a short commit hash, the same for all environments a build went through."""
        build = self.environments[environment].first_build + revision
        return hashlib.sha256(f"{service}#{build}".encode()).hexdigest()[:7]

    def tags_in_registry(self, service: str) -> tuple[str, ...]:
        """Image tags that exist in ECR, oldest first: all in use, without those that the lifecycle policy deleted."""
        # A build goes through all environments under different revision numbers; which are gone is said of prod's.
        deleted = {self.tag(service, "prod", build.number) for build in self.builds if build.image_deleted}
        everything = {
            self.environments[environment].first_build + build.number: self.tag(service, environment, build.number)
            for environment in self.environments
            for build in self.builds
        }
        return tuple(tag for _, tag in sorted(everything.items()) if tag not in deleted)

    def repository_url(self, service: str) -> str:
        repository = naming.ecr_repository(service)
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{repository}"

    def application_environment(self, service: str, build: Build) -> dict[str, str]:
        """The settings that a build brings to the container, beyond those that every build has."""
        feature = {self.services[service].feature: "true"} if build.feature else {}
        return {**build.environment, **feature}

    def secret_suffix(self, service: str, environment: str) -> str:
        """The end of the name of the secret with the database user."""
        return hashlib.sha256(f"{service}{environment}".encode()).hexdigest()[:8]

    def resource_tags(self, service: str, environment: str, name: str, component: str) -> dict[str, str]:
        """The guide's tags for one resource."""
        about = self.services.get(service)
        return {
            "Environment": environment,
            "Service": service,
            "Owner": about.owner if about else "platform@ryuqqq.com",
            "CostCenter": about.cost_center if about else "engineering",
            "Team": about.team if about else "platform-team",
            "Lifecycle": "critical" if environment in ("prod", "shared") else "non-critical",
            "DataClass": about.data_class if about else "sensitive",
            "ManagedBy": "Terraform",
            "Repository": service if about else "infrastructure",
            "Name": name,
            "Component": component,
        }


@cache
def load() -> Company:
    document = tomllib.loads((resources.files("infraconsole") / "assets" / "world" / "company.toml").read_text("utf-8"))
    environments = {
        name: Environment(name, **{**table, "approvers": tuple(table.get("approvers", ()))})
        for name, table in document["environments"].items()
    }
    builds = tuple(Build(number, **table) for number, table in enumerate(document["revisions"], start=1))
    return Company(
        account=document["account"],
        region=document["region"],
        dr_region=document["dr_region"],
        zones=tuple(document["zones"]),
        container_port=document["container_port"],
        deregistration_delay=document["deregistration_delay"],
        network=document["network"],
        services={name: Service(name, **table) for name, table in document["services"].items()},
        environments=environments,
        builds=builds,
        people=tuple(document["people"]),
    )
