from __future__ import annotations

from dataclasses import replace

from infraconsole.aws.ecs import ContainerDefinition, HealthCheck, SecretReference, TaskDefinition
from infraconsole.checks.revision_diff import Difference, diff_lines, differences
from infraconsole.redaction import MASK

APP = ContainerDefinition(
    name="fileflow-app",
    image="123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/fileflow:abc1234",
    cpu=0,
    memory=0,
    essential=True,
    environment=(("DB_PASSWORD", "hunter2"), ("LOG_LEVEL", "info")),
    secrets=(SecretReference("TOKEN", "arn:aws:secretsmanager:x"),),
    health_check=HealthCheck(("CMD", "true"), 30, 5, 3, 0),
    ports=(8080,),
    log_group="/ecs/fileflow-prod/application",
)
OLD = TaskDefinition(
    arn="arn:aws:ecs:ap-northeast-2:123456789012:task-definition/fileflow-prod:7",
    family="fileflow-prod",
    revision=7,
    status="ACTIVE",
    cpu=2048,
    memory=4096,
    containers=(APP,),
    registered_at=None,
    registered_by="",
    task_role_arn="",
    execution_role_arn="",
)


def changed(**changes: object) -> TaskDefinition:
    return replace(OLD, revision=8, containers=(replace(APP, **changes),))  # type: ignore[arg-type]


def test_the_image_comes_first_and_sizes_next() -> None:
    new = replace(changed(image="other:1"), cpu=1024)
    assert [difference.what for difference in differences(OLD, new)] == ["fileflow-app image", "cpu"]


def test_added_removed_and_changed_variables() -> None:
    new = changed(environment=(("DB_PASSWORD", "hunter2"), ("NEW", "1")))
    assert differences(OLD, new) == (
        Difference("fileflow-app environment LOG_LEVEL", "info", None),
        Difference("fileflow-app environment NEW", None, "1"),
    )


def test_values_that_are_secrets_by_name_are_masked_and_still_show_that_they_differ() -> None:
    lines = diff_lines(OLD, changed(environment=(("DB_PASSWORD", "hunter3"), ("LOG_LEVEL", "info"))))
    assert lines == (
        f"- fileflow-app environment DB_PASSWORD: {MASK}",
        f"+ fileflow-app environment DB_PASSWORD: {MASK}",
    )


def test_secrets_are_shown_by_reference() -> None:
    lines = diff_lines(OLD, changed(secrets=(SecretReference("TOKEN", "arn:aws:secretsmanager:y"),)))
    assert lines == (
        "- fileflow-app secret TOKEN: arn:aws:secretsmanager:x",
        "+ fileflow-app secret TOKEN: arn:aws:secretsmanager:y",
    )


def test_a_sidecar_that_came_or_went_is_one_line() -> None:
    sidecar = replace(APP, name="xray-daemon", image="amazon/aws-xray-daemon:latest")
    assert diff_lines(OLD, replace(OLD, containers=(APP, sidecar))) == (
        "+ xray-daemon image: amazon/aws-xray-daemon:latest",
    )


def test_twins_are_called_twins() -> None:
    assert diff_lines(OLD, replace(OLD, revision=8)) == (
        "fileflow-prod:7 and fileflow-prod:8 are the same but for their numbers.",
    )


def test_passwords_in_urls_are_masked() -> None:
    check = HealthCheck(("CMD", "curl http://ops:hunter2@localhost/"), 30, 5, 3, 0)
    new = changed(environment=(*APP.environment, ("DATABASE_URL", "mysql://root:hunter2@db/x")), health_check=check)
    lines = diff_lines(OLD, new)
    assert f"+ fileflow-app environment DATABASE_URL: mysql://root:{MASK}@db/x" in lines
    assert "hunter2" not in " ".join(lines)
