"""The service modules against a hand-written fake of the access: batches, order, exact names, and what is made of the
answers. The shapes are AWS's, as botocore's models give them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import batches, distinct, moment
from infraconsole.aws.cloudwatch import CloudWatch
from infraconsole.aws.dynamodb import DynamoDb
from infraconsole.aws.ecr import Ecr, parse_image
from infraconsole.aws.ecs import (
    Ecs,
    family_and_revision,
    parse_service,
    parse_task,
    parse_task_definition,
)
from infraconsole.aws.elbv2 import Elbv2, parse_listener
from infraconsole.aws.logs import Logs, literal, task_stream
from infraconsole.aws.s3 import S3
from infraconsole.aws.ssm import Ssm
from infraconsole.aws.sts import account_alias, identity
from infraconsole.errors import AccessDenied, AwsNotFound

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ARN = "arn:aws:ecs:ap-northeast-2:123456789012"


class FakeAccess(AwsAccess):
    """Answers from `answers`: operation → what it answers, or a function of the parameters. Lists are pages."""

    def __init__(self, **answers: Any) -> None:
        super().__init__(region="ap-northeast-2", environ={})
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        self.calls.append((operation, parameters))
        answer = self.answers[operation]
        answer = answer(parameters) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, Any] = answer
        return found

    def whole_pages(self, service: str, operation: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        pages = self.answers[operation]
        pages = pages(parameters) if callable(pages) else pages
        for page in [pages] if isinstance(pages, dict) else pages:
            self.calls.append((operation, parameters))
            if isinstance(page, Exception):
                raise page
            yield page

    def sizes(self, operation: str, key: str) -> list[int]:
        return [len(parameters[key]) for name, parameters in self.calls if name == operation]


def tens(count: int, size: int) -> list[int]:
    return [size] * (count // size) + ([count % size] if count % size else [])


COUNTS = [0, 1, 9, 10, 11, 99, 100, 101]


@pytest.mark.parametrize("count", COUNTS)
def test_services_in_tens(count: int) -> None:
    access = FakeAccess(DescribeServices=lambda asked: {"services": [{"serviceName": n} for n in asked["services"]]})
    names = [f"s{number}" for number in range(count)]
    assert [service.name for service in Ecs(access).services("c", names)] == names
    assert access.sizes("DescribeServices", "services") == tens(count, 10)


@pytest.mark.parametrize("count", COUNTS)
def test_tasks_in_hundreds(count: int) -> None:
    arns = [f"{ARN}:task/c/{number:032x}" for number in range(count)]
    access = FakeAccess(
        ListTasks=[{"taskArns": arns[start : start + 100]} for start in range(0, count, 100)],
        DescribeTasks=lambda asked: {"tasks": [{"taskArn": arn} for arn in asked["tasks"]]},
    )
    assert {task.arn for task in Ecs(access).tasks("c", "s", desired_status="STOPPED")} == set(arns)
    assert access.sizes("DescribeTasks", "tasks") == tens(count, 100)
    assert all(asked["desiredStatus"] == "STOPPED" for name, asked in access.calls if name == "ListTasks")


@pytest.mark.parametrize("count", COUNTS)
def test_parameters_in_tens(count: int) -> None:
    access = FakeAccess(GetParameters=lambda asked: {"Parameters": [{"Name": name} for name in asked["Names"][1:]]})
    names = [f"/shared/x/{number}" for number in range(count)]
    found, missing = Ssm(access).parameters(names)
    assert [parameter.name for parameter in found] + list(missing) != [] or count == 0
    assert sorted([*(parameter.name for parameter in found), *missing]) == sorted(names)
    assert list(missing) == names[::10]
    assert access.sizes("GetParameters", "Names") == tens(count, 10)


@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 41])
def test_service_revisions_in_twenties(count: int) -> None:
    deployments = [
        {
            "serviceDeploymentArn": f"{ARN}:service-deployment/c/s/{number}",
            "targetServiceRevisionArn": f"revision/{number}",
            "createdAt": AT + timedelta(minutes=number),
            "status": "SUCCESSFUL",
        }
        for number in range(count)
    ]
    access = FakeAccess(
        ListServiceDeployments=[{"serviceDeployments": deployments}],
        DescribeServiceRevisions=lambda asked: {
            "serviceRevisions": [
                {"serviceRevisionArn": arn, "taskDefinition": f"definition-of-{arn}"}
                for arn in asked["serviceRevisionArns"]
                if arn != "revision/0"
            ],
            "failures": [],
        },
    )
    found = Ecs(access).service_deployments("c", "s")
    assert [deployment.id for deployment in found] == [str(number) for number in reversed(range(count))]
    if count:
        assert found[-1].task_definition == "", "a revision that AWS does not know any more"
        assert all(one.task_definition == f"definition-of-revision/{one.id}" for one in found[:-1])
    assert access.sizes("DescribeServiceRevisions", "serviceRevisionArns") == tens(count, 20)


def test_revisions_shared_by_deployments_are_asked_for_once() -> None:
    shared = {"targetServiceRevisionArn": "revision/1", "createdAt": AT}
    access = FakeAccess(
        ListServiceDeployments=[{"serviceDeployments": [shared, shared, {"status": "PENDING"}]}],
        DescribeServiceRevisions={"serviceRevisions": [{"serviceRevisionArn": "revision/1", "taskDefinition": "d:1"}]},
    )
    found = Ecs(access).service_deployments("c", "s")
    assert [deployment.task_definition for deployment in found] == ["d:1", "d:1", ""]
    assert access.sizes("DescribeServiceRevisions", "serviceRevisionArns") == [1]


def test_names_given_twice_are_asked_for_once() -> None:
    access = FakeAccess(DescribeServices=lambda asked: {"services": [{"serviceName": n} for n in asked["services"]]})
    assert [service.name for service in Ecs(access).services("c", ["a", "b", "a"])] == ["a", "b"]


def test_missing_services_are_left_out_and_the_order_is_the_askers() -> None:
    access = FakeAccess(
        DescribeServices={"services": [{"serviceName": "b"}, {"serviceName": "a"}], "failures": [{"reason": "MISSING"}]}
    )
    assert [service.name for service in Ecs(access).services("c", ["a", "gone", "b"])] == ["a", "b"]


def test_a_missing_service_names_what_there_is() -> None:
    access = FakeAccess(
        DescribeServices={"services": []},
        ListServices=[{"serviceArns": [f"{ARN}:service/c/zeta"]}, {"serviceArns": [f"{ARN}:service/c/alpha"]}],
    )
    with pytest.raises(AwsNotFound) as caught:
        Ecs(access).service("c", "gone")
    assert "'gone'" in caught.value.title
    assert "'c'" in caught.value.title
    assert caught.value.mend == "There are: alpha, zeta"


def test_service_names_of_old_and_new_arns() -> None:
    access = FakeAccess(ListServices={"serviceArns": [f"{ARN}:service/c/new", f"{ARN}:service/old"]})
    assert Ecs(access).service_names("c") == ("new", "old")


def test_only_the_exact_familys_revisions_newest_first_and_lazily() -> None:
    def definition(name: str) -> str:
        return f"{ARN}:task-definition/{name}"

    access = FakeAccess(
        ListTaskDefinitions=[
            {"taskDefinitionArns": [definition("fileflow-prod-batch:9"), definition("fileflow-prod:12")]},
            {"taskDefinitionArns": [definition("fileflow-prod:11"), definition("fileflow-production:3")]},
        ]
    )
    revisions = Ecs(access).revisions("fileflow-prod")
    assert access.calls == []
    assert next(revisions) == definition("fileflow-prod:12")
    assert len(access.calls) == 1, "the second page is not asked for yet"
    assert list(revisions) == [definition("fileflow-prod:11")]
    assert access.calls[0][1]["sort"] == "DESC"
    assert access.calls[0][1]["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (f"{ARN}:task-definition/fileflow-prod:42", ("fileflow-prod", 42)),
        ("fileflow-prod:42", ("fileflow-prod", 42)),
        ("fileflow-prod", ("fileflow-prod", 0)),
        ("fileflow-prod:latest", ("fileflow-prod", 0)),
        ("", ("", 0)),
    ],
)
def test_family_and_revision(reference: str, expected: tuple[str, int]) -> None:
    assert family_and_revision(reference) == expected


def deployment(status: str, rollout: str | None, **more: Any) -> dict[str, Any]:
    return {"id": f"ecs-svc/{status}", "status": status, **({"rolloutState": rollout} if rollout else {}), **more}


def test_parse_service() -> None:
    seoul = timezone(timedelta(hours=9))
    service = parse_service(
        {
            "serviceName": "s",
            "serviceArn": "arn/s",
            "clusterArn": "arn/c",
            "status": "ACTIVE",
            "desiredCount": 3,
            "runningCount": 2,
            "pendingCount": 1,
            "taskDefinition": "f:2",
            "deployments": [
                deployment("PRIMARY", "IN_PROGRESS", failedTasks=4, createdAt=AT.astimezone(seoul)),
                deployment("ACTIVE", "COMPLETED"),
            ],
            "events": [{"id": "e", "createdAt": AT, "message": "(service s) has started 1 tasks"}],
            "loadBalancers": [{"targetGroupArn": "tg", "containerName": "app", "containerPort": 8080}],
            "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
        }
    )
    assert (service.desired, service.running, service.pending) == (3, 2, 1)
    assert service.primary is not None
    assert service.primary.failed == 4
    assert service.primary.created_at == AT
    assert service.primary.created_at.tzinfo is UTC
    assert service.in_flight is service.primary
    assert service.load_balancers[0].port == 8080
    assert service.circuit_breaker
    assert service.breaker_rolls_back
    assert hash(service)


@pytest.mark.parametrize(
    ("rollout", "in_flight"), [("COMPLETED", False), ("IN_PROGRESS", True), ("FAILED", True), (None, True)]
)
def test_in_flight_is_whatever_has_not_completed(rollout: str | None, in_flight: bool) -> None:
    service = parse_service({"deployments": [deployment("ACTIVE", "IN_PROGRESS"), deployment("PRIMARY", rollout)]})
    assert (service.in_flight is not None) is in_flight


def test_a_service_without_deployments_or_breaker() -> None:
    service = parse_service({})
    assert service.primary is None
    assert service.in_flight is None
    assert not service.circuit_breaker
    without = parse_service(
        {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": False, "rollback": True}}}
    )
    assert not without.breaker_rolls_back


def test_parse_task() -> None:
    task = parse_task(
        {
            "taskArn": f"{ARN}:task/c/0123abc",
            "taskDefinitionArn": "f:1",
            "lastStatus": "STOPPED",
            "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited",
            "availabilityZone": "ap-northeast-2a",
            "attachments": [
                {"type": "sdi", "details": []},
                {"type": "ElasticNetworkInterface", "details": [{"name": "privateIPv4Address", "value": "10.0.1.2"}]},
            ],
            "containers": [
                {"name": "app", "exitCode": 0, "reason": "OutOfMemoryError"},
                {"name": "sidecar", "exitCode": 137},
                {"name": "running"},
            ],
        }
    )
    assert task.id == "0123abc"
    assert task.private_ip == "10.0.1.2"
    assert task.health == "UNKNOWN"
    assert [container.exit_code for container in task.containers] == [0, 137, None]


def test_parse_task_definition() -> None:
    definition = parse_task_definition(
        {
            "taskDefinitionArn": f"{ARN}:task-definition/fileflow-prod:42",
            "family": "fileflow-prod",
            "revision": 42,
            "status": "ACTIVE",
            "cpu": "2048",
            "memory": "4096",
            "registeredAt": AT,
            "containerDefinitions": [
                {"name": "xray", "image": "xray:3", "essential": False},
                {
                    "name": "fileflow-app",
                    "image": "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/fileflow:v1.2.3",
                    "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": ""}],
                    "secrets": [{"name": "DB", "valueFrom": "arn:secret"}],
                    "healthCheck": {"command": ["CMD-SHELL", "true"]},
                    "portMappings": [{"containerPort": 8080}],
                    "logConfiguration": {"options": {"awslogs-group": "/ecs/fileflow-prod/application"}},
                },
            ],
        }
    )
    assert (definition.name, definition.short) == ("fileflow-prod:42", ":42")
    assert (definition.cpu, definition.memory) == (2048, 4096)
    main = definition.container("fileflow-app")
    assert main is not None
    assert main.environment == (("A", ""), ("B", "2"))
    assert main.secrets[0].value_from == "arn:secret"
    assert main.health_check is not None
    assert main.health_check.interval_seconds == 30
    assert main.ports == (8080,)
    assert main.log_group == "/ecs/fileflow-prod/application"
    empty = parse_task_definition({"taskDefinitionArn": "x/f:3"})
    assert (empty.containers, empty.container("app"), empty.name) == ((), None, "f:3")


DIGEST = "sha256:" + "a" * 64
ECR = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        (f"{ECR}/fileflow:v1", ECR, "fileflow", "v1", ""),
        (f"{ECR}/team/fileflow:v1@{DIGEST}", ECR, "team/fileflow", "v1", DIGEST),
        (f"{ECR}/fileflow@{DIGEST}", ECR, "fileflow", "", DIGEST),
        (f"{ECR}/fileflow", ECR, "fileflow", "", ""),
        ("nginx", "", "nginx", "", ""),
        ("nginx:1.27", "", "nginx", "1.27", ""),
        ("library/nginx:1.27", "", "library/nginx", "1.27", ""),
        ("localhost/nginx:1", "localhost", "nginx", "1", ""),
        ("localhost:5000/nginx", "localhost:5000", "nginx", "", ""),
        ("registry.example.com:5000/a/b:c", "registry.example.com:5000", "a/b", "c", ""),
        ("", "", "", "", ""),
    ],
)
def test_parse_image(text: str, registry: str, repository: str, tag: str, digest: str) -> None:
    reference = parse_image(text)
    assert (reference.registry, reference.repository, reference.tag, reference.digest) == (
        registry,
        repository,
        tag,
        digest,
    )
    assert reference.text == text
    assert reference.in_ecr is (registry == ECR)
    assert reference.account == ("123456789012" if reference.in_ecr else "")
    assert reference.region == ("ap-northeast-2" if reference.in_ecr else "")


def test_image_by_digest_tag_or_latest() -> None:
    access = FakeAccess(DescribeImages={"imageDetails": [{"imageDigest": DIGEST, "imageTags": ["v2", "v1"]}]})
    for text in (f"{ECR}/f:v1@{DIGEST}", f"{ECR}/f:v1", f"{ECR}/f"):
        found = Ecr(access).image(parse_image(text))
        assert found is not None
        assert found.tags == ("v1", "v2")
    wanted = [asked["imageIds"][0] for _, asked in access.calls]
    assert wanted == [{"imageDigest": DIGEST}, {"imageTag": "v1"}, {"imageTag": "latest"}]
    assert all(asked["registryId"] == "123456789012" for _, asked in access.calls)


def test_a_missing_image_is_none_and_a_missing_repository_is_an_error() -> None:
    gone = AwsNotFound("x", operation="ecr:DescribeImages", code="ImageNotFoundException")
    assert Ecr(FakeAccess(DescribeImages=lambda asked: gone)).image(parse_image(f"{ECR}/f:v1")) is None
    none = AwsNotFound("x", operation="ecr:DescribeImages", code="RepositoryNotFoundException")
    with pytest.raises(AwsNotFound):
        Ecr(FakeAccess(DescribeImages=lambda asked: none)).image(parse_image(f"{ECR}/f:v1"))


def balancer(
    listeners: list[dict[str, Any]], rules: list[dict[str, Any]], group: dict[str, Any] | None = None
) -> Elbv2:
    shown = {
        "TargetGroupArn": "tg",
        "LoadBalancerArns": ["lb"],
        "HealthCheckPath": "/actuator/health",
        **(group or {}),
    }
    return Elbv2(
        FakeAccess(
            DescribeTargetGroups={"TargetGroups": [shown]},
            DescribeTargetGroupAttributes={"Attributes": []},
            DescribeListeners={"Listeners": listeners},
            DescribeRules={"Rules": rules},
            DescribeLoadBalancers={"LoadBalancers": [{"LoadBalancerArn": "lb", "DNSName": "lb.example.com"}]},
        )
    )


FORWARD = [{"Type": "forward", "TargetGroupArn": "tg"}]
REDIRECT = [{"Type": "redirect", "RedirectConfig": {}}]
WEIGHTED = [
    {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "old"}, {"TargetGroupArn": "tg"}]}}
]


def listener(port: int, protocol: str, actions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"ListenerArn": f"l{port}", "Port": port, "Protocol": protocol, "DefaultActions": actions}


@pytest.mark.parametrize(
    ("listeners", "rules", "expected"),
    [
        ([listener(80, "HTTP", FORWARD)], [], "http://lb.example.com:80/actuator/health"),
        (
            [listener(80, "HTTP", REDIRECT), listener(443, "HTTPS", FORWARD)],
            [],
            "https://lb.example.com:443/actuator/health",
        ),
        (
            [listener(80, "HTTP", FORWARD), listener(8443, "HTTPS", WEIGHTED)],
            [],
            "https://lb.example.com:8443/actuator/health",
        ),
        ([listener(8080, "HTTP", REDIRECT)], [{"Actions": FORWARD}], "http://lb.example.com:8080/actuator/health"),
        ([listener(80, "HTTP", REDIRECT)], [{"Actions": REDIRECT}], None),
        ([], [], None),
    ],
)
def test_health_address(listeners: list[dict[str, Any]], rules: list[dict[str, Any]], expected: str | None) -> None:
    assert balancer(listeners, rules).health_address("tg") == expected


def test_health_address_of_a_group_without_load_balancer() -> None:
    assert balancer([], [], {"LoadBalancerArns": []}).health_address("tg") is None


def test_deregistration_delay_is_300_unless_set() -> None:
    assert balancer([], []).target_group("tg").deregistration_delay_seconds == 300


def test_a_listeners_groups_are_named_once() -> None:
    both = [{"Type": "forward", "TargetGroupArn": "tg", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "tg"}]}}]
    assert parse_listener(listener(80, "HTTP", both)).target_group_arns == ("tg",)


def test_secure_strings_have_no_value_and_are_never_decrypted() -> None:
    raw = [{"Name": "/a", "Type": "SecureString", "Value": "AQICAHh…"}, {"Name": "/b", "Type": "String", "Value": ""}]
    access = FakeAccess(GetParametersByPath=[{"Parameters": raw}], GetParameters={"Parameters": raw})
    assert [parameter.value for page in Ssm(access).pages_under("/") for parameter in page] == [None, ""]
    assert [parameter.value for parameter in Ssm(access).parameters(["/a", "/b"])[0]] == [None, ""]
    assert all(asked["WithDecryption"] is False for _, asked in access.calls)


def test_alarms_ringing_first_and_of_both_kinds() -> None:
    access = FakeAccess(
        DescribeAlarms=[
            {"MetricAlarms": [{"AlarmName": "a", "StateValue": "OK", "Namespace": "AWS/ECS", "MetricName": "CPU"}]},
            {
                "MetricAlarms": [
                    {"AlarmName": "c", "StateValue": "ALARM", "Metrics": [{"Id": "m"}, {"Expression": "m/2"}]}
                ],
                "CompositeAlarms": [{"AlarmName": "b", "StateValue": "ALARM", "AlarmRule": "ALARM(a)"}],
            },
        ]
    )
    found = CloudWatch(access).alarms("fileflow-prod-")
    assert [(alarm.name, alarm.metric) for alarm in found] == [("b", "ALARM(a)"), ("c", "m/2"), ("a", "AWS/ECS/CPU")]
    assert access.calls[0][1]["AlarmTypes"] == ["MetricAlarm", "CompositeAlarm"]
    CloudWatch(access).alarms("")
    assert "AlarmNamePrefix" not in access.calls[-1][1]


def log_store(events: list[datetime]) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """As FilterLogEvents: both ends count in, oldest first, empty pages in between."""

    def answer(asked: dict[str, Any]) -> list[dict[str, Any]]:
        stamps = sorted(int(at.timestamp() * 1000) for at in events)
        inside = [s for s in stamps if asked["startTime"] <= s <= asked.get("endTime", 10**15)]
        return [
            {"events": []},
            *({"events": [{"timestamp": s, "message": str(s), "logStreamName": "x"}]} for s in inside),
        ]

    return answer


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
@pytest.mark.parametrize("spacing_seconds", [1, 299, 300, 3000])
def test_newest_lines_none_twice_and_none_missing(limit: int, spacing_seconds: int) -> None:
    times = [AT - timedelta(seconds=spacing_seconds * number) for number in range(40)]
    logs = Logs(FakeAccess(FilterLogEvents=log_store(times)), now=lambda: AT)
    found = logs.lines("g", since=times[-1], limit=limit)
    assert [line.at for line in found] == sorted(times)[-limit:]


def test_lines_older_than_since_are_left_and_windows_end() -> None:
    times = [AT - timedelta(hours=hours) for hours in (1, 5)]
    access = FakeAccess(FilterLogEvents=log_store(times))
    found = Logs(access, now=lambda: AT).lines("g", since=AT - timedelta(hours=2), limit=10)
    assert [line.at for line in found] == [times[0]]
    assert len({asked["startTime"] for _, asked in access.calls}) <= 4


def test_lines_of_a_clock_ahead_of_ours_are_found() -> None:
    ahead = AT + timedelta(minutes=2)
    found = Logs(FakeAccess(FilterLogEvents=log_store([ahead])), now=lambda: AT).lines("g", since=AT, limit=5)
    assert [line.at for line in found] == [ahead]
    later = Logs(FakeAccess(FilterLogEvents=log_store([ahead])), now=lambda: AT)
    assert later.lines("g", since=AT + timedelta(minutes=1), limit=5) != ()


def logged(seconds_ago: int, event: str, message: str = "m") -> dict[str, Any]:
    stamp = int((AT - timedelta(seconds=seconds_ago)).timestamp() * 1000)
    return {"timestamp": stamp, "message": message, "logStreamName": "x", "eventId": event}


def test_an_event_that_comes_on_two_pages_is_one_line_and_equal_lines_are_two() -> None:
    pages = [{"events": [logged(9, "1"), logged(5, "2")]}, {"events": [logged(5, "2"), logged(5, "3"), logged(9, "1")]}]
    found = Logs(FakeAccess(FilterLogEvents=pages), now=lambda: AT).lines("g", since=AT - timedelta(minutes=1), limit=9)
    assert [line.id for line in found] == ["1", "2", "3"]
    without = [{"events": [logged(5, ""), logged(5, "")]}]
    found = Logs(FakeAccess(FilterLogEvents=without), now=lambda: AT).lines("g", since=AT, limit=9)
    assert len(found) == 2, "where AWS gives no ids, nothing tells that they are one"


def test_repeated_events_take_no_place_of_others_and_late_ones_none_of_newer() -> None:
    pages = [{"events": [logged(9, "1"), logged(5, "2"), logged(4, "3"), logged(3, "4")]},
             {"events": [logged(9, "1"), logged(3, "4"), logged(8, "0")]}]  # fmt: skip
    found = Logs(FakeAccess(FilterLogEvents=pages), now=lambda: AT).lines("g", since=AT - timedelta(minutes=1), limit=3)
    assert [line.id for line in found] == ["2", "3", "4"]


def test_a_quiet_group_over_years_takes_few_calls() -> None:
    access = FakeAccess(FilterLogEvents=log_store([]))
    assert Logs(access, now=lambda: AT).lines("g", since=AT - timedelta(days=1000), limit=5) == ()
    assert len(access.calls) < 15


def test_patterns_and_streams() -> None:
    access = FakeAccess(FilterLogEvents=[{"events": []}])
    logs = Logs(access, now=lambda: AT)
    logs.lines("g", since=AT, limit=1, stream_prefix=task_stream("app", "0123"), pattern=literal('say "hi" \\ ?x'))
    assert access.calls[0][1]["logStreamNamePrefix"] == "ecs/app/0123"
    assert access.calls[0][1]["filterPattern"] == '"say \\"hi\\" \\\\ ?x"'


def version(key: str, number: int, *, latest: bool = False) -> dict[str, Any]:
    return {"Key": key, "VersionId": f"v{number}", "LastModified": AT + timedelta(days=number), "IsLatest": latest}


def test_versions_of_exactly_that_key_with_delete_markers_and_lazily() -> None:
    key = "fileflow/terraform.tfstate"
    access = FakeAccess(
        ListObjectVersions=[
            {"Versions": [version(key, 3), version(key, 2)], "DeleteMarkers": [version(key, 4, latest=True)]},
            {"Versions": [version(key, 1), version(key + ".tflock", 9, latest=True)]},
            {"Versions": [version(key + ".tflock", 8)]},
        ]
    )
    versions = S3(access).versions("b", key)
    assert access.calls == []
    first = next(versions)
    assert (first.version_id, first.is_delete_marker, first.is_latest) == ("v4", True, True)
    assert len(access.calls) == 1
    assert [(item.version_id, item.is_delete_marker) for item in versions] == [
        ("v3", False),
        ("v2", False),
        ("v1", False),
    ]
    assert len(access.calls) == 2, "past the key nothing can come any more"


def test_a_missing_object_is_named() -> None:
    gone = AwsNotFound("x", operation="s3:GetObject", code="NoSuchKey", words="The specified key does not exist.")
    access = FakeAccess(GetObject=lambda asked: gone, HeadObject=lambda asked: gone)
    with pytest.raises(AwsNotFound, match="s3://b/k, version v1"):
        S3(access).get("b", "k", "v1")
    with pytest.raises(AwsNotFound, match="s3://b/k"):
        S3(access).head("b", "k")
    bucket = AwsNotFound("x", operation="s3:GetObject", code="NoSuchBucket")
    with pytest.raises(AwsNotFound, match="bucket 'b'"):
        S3(FakeAccess(GetObject=lambda asked: bucket)).get("b", "k")


def test_lock_item_is_read_consistently() -> None:
    access = FakeAccess(GetItem={"Item": {"LockID": {"S": "b/k"}, "Info": {"S": "{}"}}})
    assert DynamoDb(access).item("terraform-lock", "b/k") == {"LockID": "b/k", "Info": "{}"}
    assert access.calls[0][1]["ConsistentRead"] is True
    assert DynamoDb(FakeAccess(GetItem={})).item("terraform-lock", "b/k") is None


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:user/ops/kim", "kim"),
        ("arn:aws:sts::123456789012:assumed-role/Admin/kim@example.com", "kim@example.com"),
        ("arn:aws:iam::123456789012:root", "root"),
    ],
)
def test_identity(arn: str, name: str) -> None:
    access = FakeAccess(GetCallerIdentity={"Account": "123456789012", "Arn": arn, "UserId": "AIDA"})
    assert identity(access).name == name
    assert identity(access).account == "123456789012"


def test_account_alias() -> None:
    def denied(asked: dict[str, Any]) -> Any:
        raise AccessDenied("x", operation="iam:ListAccountAliases")

    assert account_alias(FakeAccess(ListAccountAliases={"AccountAliases": ["company"]})) == "company"
    assert account_alias(FakeAccess(ListAccountAliases={"AccountAliases": []})) is None
    assert account_alias(FakeAccess(ListAccountAliases=denied)) is None


def test_batches_and_times() -> None:
    assert list(batches([], 10)) == []
    assert distinct(["b", "a", "b"]) == ("b", "a")
    assert moment(None) is None
    assert moment(True) is None
    assert moment(AT.timestamp()) == AT
    assert moment(AT.timestamp() * 1000) == AT
    assert moment(AT.replace(tzinfo=None)) == AT


@pytest.mark.parametrize(
    ("rule", "actions", "weights"),
    [
        (
            "arn:aws:elasticloadbalancing:r:1:listener-rule/app/a/1/2/3",
            [{"TargetGroupArn": "blue", "ForwardConfig": {"TargetGroups": [
                {"TargetGroupArn": "blue", "Weight": 90}, {"TargetGroupArn": "green", "Weight": 10}]}}],
            {"blue": 90, "green": 10},
        ),
        ("arn:aws:elasticloadbalancing:r:1:listener/net/a/1/2", [{"TargetGroupArn": "blue"}], {"blue": 1}),
        ("arn:aws:elasticloadbalancing:r:1:listener/net/a/1/2", [{"Type": "redirect"}], {}),
    ],
)  # fmt: skip
def test_where_a_rule_or_listener_sends_its_traffic(
    rule: str, actions: list[dict[str, Any]], weights: dict[str, int]
) -> None:
    access = FakeAccess(DescribeRules={"Rules": [{"Actions": actions}]},
                        DescribeListeners={"Listeners": [{"DefaultActions": actions}]})  # fmt: skip
    assert Elbv2(access).weights(rule) == weights
    asked, parameters = access.calls[0]
    assert rule in parameters["RuleArns" if asked == "DescribeRules" else "ListenerArns"]


def test_a_target_knows_its_group() -> None:
    group = f"{ARN.replace(':ecs:', ':elasticloadbalancing:')}:targetgroup/web-blue/abc"
    target = {"Target": {"Id": "10.0.0.1", "Port": 80}, "TargetHealth": {"State": "healthy"}}
    (health,) = Elbv2(FakeAccess(DescribeTargetHealth={"TargetHealthDescriptions": [target]})).target_health(group)
    assert (health.group, health.key) == ("web-blue", "web-blue/10.0.0.1:80")
