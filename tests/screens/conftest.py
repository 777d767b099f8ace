"""Fakes at the boundary: an AWS that answers from a table, in AWS's own shapes, so that parsing is on the way too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.aws.access import AwsAccess
from infraconsole.config import Config, parse
from infraconsole.engine.journal import Journal
from infraconsole.errors import AwsNotFound
from infraconsole.screens import deploying

_moment = datetime.now(UTC)


def just_now() -> datetime:
    """When the test began: ages on the screen count from then, however long the other tests have taken."""
    return _moment


@pytest.fixture(autouse=True)
def begins() -> None:
    global _moment
    _moment = datetime.now(UTC)


class FakeAccess(AwsAccess):
    """Answers from `services`, `definitions` and so on; `raises` maps an operation to the error it ends in."""

    def __init__(self) -> None:
        super().__init__(region="ap-northeast-2")
        self.services: dict[str, dict[str, Any]] = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, list[dict[str, Any]]] = {}
        self.targets: list[dict[str, Any]] = []
        self.alarms: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.missing_exports: set[str] = set()
        self.state: bytes = (
            b'{"version": 4, "serial": 42, "lineage": "l", "terraform_version": "1.11.4", "resources": []}'
        )
        self.etag = '"e1"'
        self.raises: dict[str, Exception] = {}
        self.delay_seconds = 0.0
        self.calls: list[str] = []
        self._calls_lock = threading.Lock()

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        with self._calls_lock:
            self.calls.append(operation)
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        if operation in self.raises:
            raise self.raises[operation]
        answer: Callable[..., dict[str, Any]] = getattr(self, f"_{operation}")
        return answer(**parameters)

    def whole_pages(self, service: str, operation: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        yield self.call(service, operation, **parameters)

    def _DescribeServices(self, cluster: str, services: list[str]) -> dict[str, Any]:  # noqa: N802
        return {"services": [self.services[name] for name in services if name in self.services]}

    def _ListServices(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"serviceArns": [raw["serviceArn"] for raw in self.services.values()]}

    def _DescribeTaskDefinition(self, taskDefinition: str) -> dict[str, Any]:  # noqa: N802, N803
        name = taskDefinition.rsplit("/", 1)[-1]
        if name not in self.definitions:
            raise AwsNotFound(f"There is no {name}.", operation="ecs:DescribeTaskDefinition", code="ClientException")
        return {"taskDefinition": self.definitions[name]}

    def _ListTaskDefinitions(self, familyPrefix: str, status: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        found = [raw for raw in self.definitions.values() if raw["family"] == familyPrefix and raw["status"] == status]
        return {"taskDefinitionArns": [raw["taskDefinitionArn"] for raw in reversed(found)]}

    def _ListServiceDeployments(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"serviceDeployments": []}

    def _ListTasks(self, serviceName: str, desiredStatus: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        found = self.tasks.get(serviceName, [])
        return {"taskArns": [raw["taskArn"] for raw in found if raw["desiredStatus"] == desiredStatus]}

    def _DescribeTasks(self, tasks: list[str], **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"tasks": [raw for every in self.tasks.values() for raw in every if raw["taskArn"] in tasks]}

    def _DescribeTargetHealth(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"TargetHealthDescriptions": self.targets}

    def _DescribeAlarms(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"MetricAlarms": self.alarms}

    def _GetParameters(self, Names: list[str], **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        return {
            "Parameters": [
                {"Name": name, "Type": "String", "Value": "v", "Version": 1}
                for name in Names
                if name not in self.missing_exports
            ]
        }

    def _DescribeParameters(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"Parameters": []}

    def _HeadObject(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"ETag": self.etag, "ContentLength": len(self.state), "LastModified": just_now() - timedelta(days=3)}

    def _GetObject(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        if Key.endswith(".tflock"):
            raise AwsNotFound("There is no lock.", operation="s3:GetObject", code="NoSuchKey")
        return {**self._HeadObject(), "Body": self.state}

    def _ListObjectsV2(self, Bucket: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        names = {name.split("-")[0] for name in self.services}
        head = self._HeadObject()
        found = {"ETag": head["ETag"], "Size": head["ContentLength"], "LastModified": head["LastModified"]}
        return {"Contents": [{"Key": f"{name}/terraform.tfstate", **found} for name in sorted(names)]}

    def _GetItem(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {}

    def _BatchGetItem(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N802, N803
        wanted = [(table, key) for table, asked in RequestItems.items() for key in asked["Keys"]]
        items = [{**key, **item} for _, key in wanted if (item := self._GetItem(Key=key).get("Item"))]
        return {"Responses": {next(iter(RequestItems)): items}}

    def _FilterLogEvents(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"events": self.logs}

    def _GetCallerIdentity(self) -> dict[str, Any]:  # noqa: N802
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ops", "UserId": "U"}

    def _ListAccountAliases(self) -> dict[str, Any]:  # noqa: N802
        return {"AccountAliases": ["ryuqqq-prod"]}

    # What is in it

    def add(self, service: str, environment: str, *, running: int = 2, desired: int = 2, revision: int = 7,
            state: str = "COMPLETED", failed: int = 0, event: str = "has reached a steady state.",
            tag: str = "v1.4.2") -> None:  # fmt: skip
        family = f"{service}-{environment}"
        for number in range(max(1, revision - 3), revision + 1):
            image_tag = tag if number == revision else f"v1.{number}.0"
            self.definitions[f"{family}:{number}"] = definition(family, number, image_tag)
        primary = deployment(f"{family}:{revision}", "PRIMARY", state, desired, running, failed)
        self.services[f"{family}-service"] = {
            "serviceName": f"{family}-service",
            "serviceArn": f"arn:aws:ecs:ap-northeast-2:123456789012:service/{family}-cluster/{family}-service",
            "clusterArn": f"arn:aws:ecs:ap-northeast-2:123456789012:cluster/{family}-cluster",
            "status": "ACTIVE",
            "desiredCount": desired,
            "runningCount": running,
            "pendingCount": 0,
            "taskDefinition": primary["taskDefinition"],
            "deployments": [primary],
            "events": [
                {"id": "e1", "createdAt": just_now() - timedelta(minutes=2), "message": f"(service {family}) {event}"}
            ],
            "loadBalancers": [{"targetGroupArn": "arn:tg", "containerName": f"{service}-app", "containerPort": 8080}],
        }
        self.tasks[f"{family}-service"] = [task(family, revision, index) for index in range(running)]


def arn(name: str) -> str:
    return f"arn:aws:ecs:ap-northeast-2:123456789012:task-definition/{name}"


def deployment(name: str, status: str, state: str, desired: int, running: int, failed: int) -> dict[str, Any]:
    return {
        "id": f"ecs-svc/{name}",
        "status": status,
        "taskDefinition": arn(name),
        "desiredCount": desired,
        "runningCount": running,
        "pendingCount": 0,
        "failedTasks": failed,
        "rolloutState": state,
        "rolloutStateReason": "",
        "createdAt": just_now() - timedelta(minutes=20),
        "updatedAt": just_now() - timedelta(minutes=1),
    }


def definition(family: str, revision: int, tag: str) -> dict[str, Any]:
    return {
        "taskDefinitionArn": arn(f"{family}:{revision}"),
        "family": family,
        "revision": revision,
        "status": "ACTIVE",
        "cpu": "2048",
        "memory": "4096",
        "registeredAt": just_now() - timedelta(days=10 - revision),
        "registeredBy": "arn:aws:iam::123456789012:user/deployer",
        "containerDefinitions": [
            {
                "name": "app",
                "image": f"123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/fileflow:{tag}",
                "essential": True,
                "environment": [
                    {"name": "POOL_SIZE", "value": str(revision * 10)},
                    {"name": "API_TOKEN", "value": f"hunter{revision}"},
                ],
                "secrets": [{"name": "DB_PASSWORD", "valueFrom": "arn:aws:secretsmanager:db"}],
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {"awslogs-group": f"/ecs/{family}/application"},
                },
            }
        ],
    }


def task(family: str, revision: int, index: int) -> dict[str, Any]:
    return {
        "taskArn": f"arn:aws:ecs:ap-northeast-2:123456789012:task/{family}-cluster/{index:032x}",
        "taskDefinitionArn": arn(f"{family}:{revision}"),
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "healthStatus": "HEALTHY",
        "createdAt": just_now() - timedelta(hours=3),
        "startedAt": just_now() - timedelta(hours=3),
        "availabilityZone": "ap-northeast-2a",
        "containers": [{"name": "app", "image": "i", "lastStatus": "RUNNING", "healthStatus": "HEALTHY"}],
    }


@pytest.fixture(autouse=True)
def no_multiplexer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the tests are run."""
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.delenv("STY", raising=False)


@pytest.fixture
def config() -> Config:
    return parse(
        {
            "region": "ap-northeast-2",
            "services": {"fileflow": {}, "authhub": {}, "crawler": {}},
            "environments": {
                name: {"state_bucket": f"ryuqqq-{name}-tfstate", "lock_table": "terraform-lock"}
                for name in ("dev", "staging", "prod")
            },
        },
        None,
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def aws() -> FakeAccess:
    """Nine services; fileflow prod is in trouble."""
    access = FakeAccess()
    for service in ("fileflow", "authhub", "crawler"):
        for environment, desired in (("dev", 1), ("staging", 2), ("prod", 3)):
            access.add(service, environment, running=desired, desired=desired)
    access.add("fileflow", "prod", running=0, desired=3, revision=8, state="IN_PROGRESS", failed=12, tag="v1.5.0-broken",
               event="is unable to consistently start tasks successfully.")  # fmt: skip
    return access


@pytest.fixture
def app(config: Config, journal: Journal, aws: FakeAccess, monkeypatch: pytest.MonkeyPatch) -> ConsoleApp:
    # So long that a test sees a toast also where the machine is busy.
    monkeypatch.setattr(ConsoleApp, "NOTIFICATION_TIMEOUT", 60.0)
    return ConsoleApp(config, journal, lambda _: aws, "woken")


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    names = {"deploy", "state-rollback", "state-unlock", "state-undelete", "state-recover", "digest-repair"}
    names.add("strays-dismiss")
    monkeypatch.setattr(deploying, "_known", names)
    return names


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    wishes: list[Any] = []

    def begin(_: Any, wish: Any) -> str:
        wishes.append(wish)
        return "k3m9px"

    monkeypatch.setattr("infraconsole.app.begin", begin)
    return wishes
