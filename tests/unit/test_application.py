"""Which container is the application's: by load balancer, ECR repository, convention; never simply the first essential one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from infraconsole.aws.ecr import parse_image
from infraconsole.aws.ecs import LoadBalancerBinding, TaskDefinition, parse_task_definition
from infraconsole.checks.application import application
from infraconsole.checks.revision_diff import diff_lines

ECR = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
ROUTER = {
    "name": "log_router",
    "image": "public.ecr.aws/aws-observability/aws-for-fluent-bit:stable",
    "essential": True,
    "firelensConfiguration": {"type": "fluentbit"},
}
XRAY = {"name": "xray-daemon", "image": "amazon/aws-xray-daemon:3.x", "portMappings": [{"containerPort": 2000}]}
PROXY = {"name": "envoy", "image": "public.ecr.aws/appmesh/aws-appmesh-envoy:v1", "essential": True}
APP = {"name": "fileflow-app", "image": f"{ECR}/fileflow:6d63c3c", "portMappings": [{"containerPort": 8080}]}


def definition(*containers: Mapping[str, Any], revision: int = 9) -> TaskDefinition:
    arn = f"arn:aws:ecs:ap-northeast-2:123456789012:task-definition/fileflow-dev:{revision}"
    return parse_task_definition({"taskDefinitionArn": arn, "containerDefinitions": list(containers)})


def bound(container: str, port: int = 8080) -> LoadBalancerBinding:
    return LoadBalancerBinding("arn:aws:elasticloadbalancing:r:1:targetgroup/tg/1", container, port)


@pytest.mark.parametrize(
    ("containers", "bindings", "name", "why"),
    [
        ((ROUTER, APP), (), "fileflow-app", "repository fileflow"),
        ((XRAY, PROXY, APP), (), "fileflow-app", "repository fileflow"),
        ((ROUTER, {**APP, "name": "web"}), (bound("web"),), "web", "load balancer sends to it, on port 8080"),
        ((ROUTER, {**APP, "image": "ghcr.io/acme/other:1"}), (), "fileflow-app", "called fileflow-app"),
        ((ROUTER, {**APP, "name": "main", "image": f"{ECR}/team/fileflow:1"}), (), "main", "repository team/fileflow"),
        ((ROUTER, {**APP, "name": "main", "image": "acme/fileflow:1"}), (), "main", "repository acme/fileflow"),
        ((ROUTER, XRAY, {"name": "x", "image": f"{ECR}/y:1"}), (), "x", "only one from ECR"),
        ((ROUTER, {"name": "x", "image": "y:1"}), (), "x", "first essential one that is no log router"),
        ((ROUTER,), (), "log_router", "first essential one"),
        ((ROUTER, APP), (bound("gone"),), "fileflow-app", "repository fileflow"),
    ],
)
def test_the_application_is_found_and_why_is_said(
    containers: Sequence[Mapping[str, Any]], bindings: Sequence[LoadBalancerBinding], name: str, why: str
) -> None:
    found = application(definition(*containers), "fileflow", bindings)
    assert found is not None
    assert found.container.name == name
    assert why in found.sentence


def test_of_several_behind_load_balancers_the_repository_decides() -> None:
    admin = {"name": "admin", "image": f"{ECR}/admin:1", "portMappings": [{"containerPort": 9000}]}
    found = application(definition(admin, APP), "fileflow", (bound("admin", 9000), bound("fileflow-app")))
    assert found is not None
    assert found.container.name == "fileflow-app"


def test_a_sidecar_pulled_through_ecr_is_no_application() -> None:
    router = {**ROUTER, "image": f"{ECR}/ecr-public/aws-observability/aws-for-fluent-bit:stable"}
    router.pop("firelensConfiguration")
    found = application(definition(router, {"name": "x", "image": f"{ECR}/y:1"}), "fileflow")
    assert found is not None
    assert found.container.name == "x"


def test_a_definition_without_containers_has_none() -> None:
    assert application(definition(), "fileflow") is None


def test_the_comparison_begins_with_the_application() -> None:
    old = definition({**ROUTER, "image": "r:1"}, APP)
    new = definition({**ROUTER, "image": "r:2"}, {**APP, "image": f"{ECR}/fileflow:d553ccf"}, revision=10)
    assert diff_lines(old, new)[0].startswith("- log_router image")
    assert diff_lines(old, new, first="fileflow-app")[0] == f"- fileflow-app image: {ECR}/fileflow:6d63c3c"


DIGEST = "sha256:" + "ab12" * 16


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{ECR}/fileflow:v1", "v1"),
        (f"{ECR}/fileflow@{DIGEST}", "@ab12ab12ab12"),
        (f"{ECR}/fileflow:v1@{DIGEST}", "v1@ab12ab12ab12"),
        (f"{ECR}/team/fileflow", "fileflow"),
        ("nginx", "nginx"),
        ("localhost:5000/a/b", "b"),
        ("public.ecr.aws/x/y:stable", "stable"),
    ],
)
def test_an_image_always_has_a_name(text: str, words: str) -> None:
    assert parse_image(text).short == words


def test_log_groups_behind_a_log_router_and_stream_prefixes_are_read() -> None:
    options = {"Name": "cloudwatch_logs", "log_group_name": "/apps/fileflow", "region": "ap-northeast-2"}
    found = definition({**APP, "logConfiguration": {"logDriver": "awsfirelens", "options": options}}).containers[0]
    assert (found.log_group, found.log_driver) == ("/apps/fileflow", "awsfirelens")
    options = {"awslogs-group": "/g", "awslogs-stream-prefix": "app"}
    found = definition({**APP, "logConfiguration": {"logDriver": "awslogs", "options": options}}).containers[0]
    assert (found.log_group, found.log_stream_prefix) == ("/g", "app")
