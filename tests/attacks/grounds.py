"""What is attacked: a target of a runbook, what a run of it wants, and what AWS says became of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config as ClientConfig

from infraconsole.config import Config
from infraconsole.world.process import World
from tests.attacks import roots
from tests.attacks.plan import Plan
from tests.settings import read as settings_of

SOMEBODY = "ASIASOMEBODYELSE00AA"
"""Whose calls are not those of our runs."""
ENGINE = "settle_seconds = 3\npoll_seconds = 0.2\nwatch_minutes = 0.5\n"


class Ground(Protocol):
    """One run's target. `secrets` must never be told by anything that the run writes."""

    service: str
    environment: str
    config: Config
    inputs: dict[str, str]
    answers: list[tuple[str, str]]
    secrets: list[str]

    def sent(self) -> int:
        """How many changing calls for what the run wants were carried out."""

    def is_as_wanted(self) -> str:
        """Why it is not; "" where it is."""

    def was_as_wanted(self) -> str:
        """The same where somebody may have changed it since: why it never was."""

    def somebody_changes_it(self) -> None: ...

    def is_under_way(self) -> bool:
        """Whether its Terraform is at work and waits to be let go."""

    def let_go(self) -> None: ...

    def left_locked(self) -> str:
        """Who holds the state's lock; "" for nobody."""

    def elsewhere(self) -> dict[str, str]:
        """The inputs of another console's run on the same target, which wants something else."""


class Field:
    """The world that all attacks of a process are made in, and its settings."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.environ = world.applied()
        settings = Path(self.environ["INFRACONSOLE_CONFIG"])
        settings.write_text(f"{settings.read_text()}\n[engine]\n{ENGINE}")
        self.config = settings_of(settings)
        self._targets = {
            environment: itertools.cycle(sorted(self.config.services)) for environment in self.config.environments
        }
        self._secret_revisions: dict[tuple[str, str], str] = {}
        self._secret = roots.planted()

    def next_service(self, environment: str) -> str:
        return next(self._targets[environment])

    def somebody(self, service: str) -> Any:
        """A client of somebody else, whose calls are told from ours."""
        return boto3.Session().client(
            service,
            region_name=self.world.region,
            endpoint_url=self.world.endpoint,
            aws_access_key_id=SOMEBODY,
            aws_secret_access_key="theirs",
            config=ClientConfig(proxies={}),
        )

    def seen(self) -> int:
        return max((call["seq"] for call in self.world.calls()), default=0)

    def ours(self, service: str, operation: str, since: int, *, accepted: bool = True) -> list[dict[str, Any]]:
        calls = self.world.calls(service, operation, since)
        return [call for call in calls if call["access_key"] != SOMEBODY and (call["accepted"] or not accepted)]

    def ground(self, plan: Plan, folder: Path) -> Ground:
        makers: dict[str, Callable[[Field, Plan], Ground]] = {"ecs-rollback": Rollback, "export-put": Export}
        if plan.runbook in makers:
            return makers[plan.runbook](self, plan)
        return roots.root(self.somebody, self.world, plan, folder)

    def secret_revision(self, service: str, environment: str) -> tuple[str, str]:
        """A revision whose tasks have secrets in their environment, and the secret."""
        key = service, environment
        if key not in self._secret_revisions:
            ecs = self.somebody("ecs")
            known = ecs.describe_task_definition(taskDefinition=f"{service}-{environment}:6")["taskDefinition"]
            containers = known["containerDefinitions"]
            containers[0]["environment"] += [
                {"name": "DB_PASSWORD", "value": self._secret},
                {"name": "DB_URL", "value": f"mysql://root:{self._secret}@db.internal:3306/x"},
            ]
            kept = (
                "family",
                "networkMode",
                "requiresCompatibilities",
                "cpu",
                "memory",
                "executionRoleArn",
                "taskRoleArn",
            )
            made = ecs.register_task_definition(
                containerDefinitions=containers, **{name: known[name] for name in kept if known.get(name)}
            )
            self._secret_revisions[key] = str(made["taskDefinition"]["revision"])
        return self._secret_revisions[key], self._secret


class Simple:
    """A target that is changed by one call, which no Terraform takes part in."""

    def __init__(self, field: Field, plan: Plan) -> None:
        self._field = field
        self.config = field.config
        self.environment = plan.environment
        self.service = field.next_service(plan.environment)

    def is_under_way(self) -> bool:
        return False

    def let_go(self) -> None:
        return

    def left_locked(self) -> str:
        return ""


class Rollback(Simple):
    """A service that goes back to another revision; one of them has secrets in the environment of its tasks."""

    def __init__(self, field: Field, plan: Plan) -> None:
        super().__init__(field, plan)
        revision, secret = field.secret_revision(self.service, self.environment)
        self.secrets = [secret]
        self._ecs = field.somebody("ecs")
        self._settle()
        self._others = [number for number in ("5", "6", revision) if number != self._current()]
        wanted = self._others.pop()
        self.inputs = {"revision": wanted, "reason": f"{self.environment} answers 503"}
        self.answers = [
            ("type-target", f"{self.service}-{self.environment}"),
            ("confirm", "yes"),
            ("reason", "it is broken"),
        ]
        self._since = field.seen()

    def sent(self) -> int:
        return self.sent_for(self.inputs["revision"])

    def sent_for(self, revision: str) -> int:
        calls = self._field.ours("ecs", "UpdateService", self._since)
        wanted = (f"/{self._family}:{revision}", f"-{self.environment}-service")
        return sum(
            call["parameters"]["taskDefinition"].endswith(wanted[0])
            and call["parameters"]["service"] == f"{self.service}{wanted[1]}"
            for call in calls
        )

    def is_as_wanted(self) -> str:
        primary = next(each for each in self._described()["deployments"] if each["status"] == "PRIMARY")
        said = f"{primary['taskDefinition'].rpartition('/')[2]} {primary['rolloutState']}"
        wanted = f"{self._family}:{self.inputs['revision']} COMPLETED"
        return "" if said == wanted else f"the service is on {said}, not on {wanted}"

    def was_as_wanted(self) -> str:
        past = self._ecs.list_service_deployments(cluster=self._cluster, service=self._name)["serviceDeployments"]
        arns = [each["targetServiceRevisionArn"] for each in past if each["status"] == "SUCCESSFUL"][:20]
        revisions = self._ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
        wanted = f":{self.inputs['revision']}"
        found = any(each["taskDefinition"].endswith(wanted) for each in revisions)
        return "" if found else "no deployment of it was ever completed"

    def somebody_changes_it(self) -> None:
        self._update(self._others[-1])

    def elsewhere(self) -> dict[str, str]:
        return {**self.inputs, "revision": self._others[-1]}

    @property
    def _family(self) -> str:
        return f"{self.service}-{self.environment}"

    @property
    def _cluster(self) -> str:
        return f"{self._family}-cluster"

    @property
    def _name(self) -> str:
        return f"{self._family}-service"

    def _described(self) -> dict[str, Any]:
        return dict(self._ecs.describe_services(cluster=self._cluster, services=[self._name])["services"][0])

    def _current(self) -> str:
        return str(self._described()["taskDefinition"].rpartition(":")[2])

    def _update(self, revision: str) -> None:
        self._ecs.update_service(cluster=self._cluster, service=self._name, taskDefinition=f"{self._family}:{revision}")

    def _settle(self) -> None:
        """What was begun by an earlier attack comes to its end."""
        for _ in range(50):
            described = self._described()
            if len(described["deployments"]) == 1 and described["deployments"][0]["rolloutState"] == "COMPLETED":
                return
            self._field.world.advance(60)
        raise AssertionError(f"{self._name} does not settle: {described['deployments']}")


class Export(Simple):
    """A parameter below the export root that is written by hand."""

    def __init__(self, field: Field, plan: Plan) -> None:
        super().__init__(field, plan)
        self._ssm = field.somebody("ssm")
        self.secrets = [roots.planted()]
        self._becomes_secret = plan.seed % 2 == 1
        self._name = f"{field.config.export_root}/rds/{plan.environment}/identifier"
        if (
            self._ssm.get_parameter(Name=self._name)["Parameter"]["Type"] != "String"
        ):  # as an earlier attack has left it
            self._ssm.delete_parameter(Name=self._name)
        put = self._ssm.put_parameter(Name=self._name, Value="before", Type="String", Overwrite=True)
        self._version = int(put["Version"]) + 1
        self.inputs = {"name": self._name, "value": f"value-{plan.seed}", "reason": "its module cannot be applied"}
        self.answers = [("type-export", self._name)]
        self._since = field.seen()

    def sent(self) -> int:
        return len(self._field.ours("ssm", "PutParameter", self._since))

    def is_as_wanted(self) -> str:
        said = self._ssm.get_parameter(Name=self._name)["Parameter"]
        wanted = (self.inputs["value"], self._version)
        return "" if (said["Value"], said["Version"]) == wanted else f"{said['Value']!r}, version {said['Version']}"

    def was_as_wanted(self) -> str:
        history = self._ssm.get_parameter_history(Name=self._name)["Parameters"]
        if history[0]["Type"] == "SecureString":  # what was before went with its history
            return ""
        return "" if any(each["Value"] == self.inputs["value"] for each in history) else "it was never written"

    def somebody_changes_it(self) -> None:
        if self._becomes_secret:  # AWS changes no parameter's type: it is deleted, and made with version 1
            self._ssm.delete_parameter(Name=self._name)
            self._ssm.put_parameter(Name=self._name, Value=self.secrets[0], Type="SecureString")
        else:
            self._ssm.put_parameter(Name=self._name, Value="theirs", Type="String", Overwrite=True)

    def elsewhere(self) -> dict[str, str]:
        return {**self.inputs, "value": "another"}
