"""What is found in a plan before it is applied, and what it costs: on plans of real Terraform, and on small made ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infraconsole.checks import costs, stateful
from infraconsole.checks.findings import Finding
from infraconsole.checks.plan_review import cost_effect, review
from infraconsole.errors import ConfigError
from infraconsole.terraform.plan import Plan, read

DATA = Path(__file__).parent / "data"
STATEFUL = stateful.load()
COSTS = costs.load()


def real(name: str) -> Plan:
    return read((DATA / f"{name}.json").read_bytes())


def made(*entries: Mapping[str, Any], **others: Any) -> Plan:
    return read(json.dumps({"format_version": "1.2", "resource_changes": list(entries), **others}).encode())


def entry(address: str, actions: list[str], before: Any = None, after: Any = None, **others: Any) -> dict[str, Any]:
    type_, _, name = address.partition(".")
    change = {"actions": actions, "before": before, "after": after, **others}
    return {"address": address, "mode": "managed", "type": type_, "name": name, "change": change}


def found(plan: Plan, rule: str, **how: Any) -> list[Finding]:
    return [each for each in review(plan, STATEFUL, **how) if each.id == rule]


def subjects(plan: Plan, rule: str, **how: Any) -> list[str]:
    return [each.subject for each in found(plan, rule, **how)]


def containers(*images: str) -> str:
    return json.dumps([{"name": f"c{number}", "image": image} for number, image in enumerate(images)])


# The table


def test_the_table_names_what_the_guides_company_cannot_lose() -> None:
    for type_ in (
        "aws_db_instance",
        "aws_s3_bucket",
        "aws_kms_key",
        "aws_secretsmanager_secret",
        "aws_lb",
        "aws_efs_file_system",
        "aws_sqs_queue",
        "aws_route53_zone",
        "aws_dynamodb_table",
        "aws_elasticache_replication_group",
        "aws_ecr_repository",
    ):
        assert STATEFUL[type_]
    assert "aws_ecs_task_definition" not in STATEFUL


@pytest.mark.parametrize("text", ['[a]\nx = ""', "[a]\nx = 1", '[a]\nx = "y"\n[b]\nx = "y"', "a = 1"])
def test_a_wrong_table_names_the_key(text: str) -> None:
    with pytest.raises(ConfigError):
        stateful.parse(text)


# Destroys and replacements


def test_what_holds_state_is_an_error_and_says_what_is_lost_and_why() -> None:
    plan = real("plan-aws")
    assert subjects(plan, "stateful-destroyed") == ["aws_kms_key.files", "aws_ssm_parameter.image[2]"]
    assert subjects(plan, "stateful-replaced") == [
        "aws_db_instance.shared",
        "aws_dynamodb_table.sessions",
        "aws_ecs_cluster.main",
        "aws_s3_bucket.storage",
    ]
    database = found(plan, "stateful-replaced")[0]
    assert database.level == "error"
    assert "username cannot be changed in place" in database.message
    assert "the database with all its data" in database.message
    assert "skip_final_snapshot is true" in database.message
    assert "7 days" in found(plan, "stateful-destroyed")[0].message


def test_deletion_protection_is_told() -> None:
    plan = made(entry("aws_db_instance.a", ["delete"], {"deletion_protection": True, "skip_final_snapshot": False}))
    assert "AWS refuses until it is off" in found(plan, "stateful-destroyed")[0].message


def test_a_destroy_nobody_named_is_unexpected() -> None:
    plan = real("plan-modules")
    assert subjects(plan, "unexpected-destroy") == ["terraform_data.counted[11]", "terraform_data.gone"]
    expected = {"expected_destroys": ("terraform_data.gone",)}
    assert subjects(plan, "unexpected-destroy", **expected) == ["terraform_data.counted[11]"]
    assert subjects(plan, "destroyed", **expected) == ["terraform_data.gone"]
    # Naming it does not make it harmless.
    assert subjects(real("plan-aws"), "stateful-destroyed", expected_destroys=("aws_kms_key.files",))


def test_a_plan_that_destroys_most_of_all_is_the_wrong_plan() -> None:
    many = [entry(f"aws_iam_role.r{number}", ["delete"], {"name": "x"}) for number in range(6)]
    assert subjects(made(*many), "mass-destroy") == ["plan"]
    assert not subjects(made(*many[:3]), "mass-destroy")
    assert not subjects(made(*many, *(entry(f"aws_iam_role.k{n}", ["no-op"]) for n in range(7))), "mass-destroy")


def test_everything_new_in_an_empty_state_is_said() -> None:
    created = entry("aws_lb.a", ["create"], None, {"name": "x"})
    (finding,) = found(made(created), "empty-state")
    assert (finding.subject, finding.level) == ("plan", "error"), "it stands in the gate, behind the typed name"
    read = {"mode": "data", "type": "aws_ssm_parameter", "name": "vpc"}
    kept = {"mode": "managed", "type": "aws_sqs_queue", "name": "q"}

    def before(*resources: dict[str, str]) -> dict[str, Any]:
        return {"values": {"root_module": {"child_modules": [{"resources": list(resources)}]}}}

    assert subjects(made(created, prior_state=before(read)), "empty-state") == ["plan"], (
        "exports are read in every plan"
    )
    assert not subjects(made(created, prior_state=before(read, kept)), "empty-state")
    assert not subjects(real("plan-aws"), "empty-state")


def test_replaced_for_a_value_that_may_turn_out_the_same() -> None:
    plan = made(
        entry(
            "aws_ecs_task_definition.a",
            ["create", "delete"],
            {"family": "a", "task_role_arn": "arn"},
            {"family": "a"},
            after_unknown={"task_role_arn": True},
            replace_paths=[["task_role_arn"]],
        )
    )
    assert subjects(plan, "replaced-for-unknown") == ["aws_ecs_task_definition.a"]
    assert "aws_ecs_task_definition.app" in subjects(real("plan-aws"), "replaced")


def test_deposed_and_forgotten_objects() -> None:
    deposed = {**entry("aws_s3_bucket.a", ["delete"], {"bucket": "a"}), "deposed": "abcd1234"}
    assert subjects(made(deposed), "stateful-deposed") == ["aws_s3_bucket.a"]
    forgotten = found(made(entry("aws_s3_bucket.a", ["forget"], {"bucket": "a"})), "forgotten")
    assert [each.level for each in forgotten] == ["warning"]
    assert [each.level for each in found(real("plan-aws"), "forgotten")] == ["info"]


def test_actions_that_are_not_known_stop() -> None:
    (finding,) = found(made(entry("aws_iam_role.a", ["explode"])), "unknown-action")
    assert finding.level == "error"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"deletion_protection": True}, {"deletion_protection": False}),
        ({"enable_deletion_protection": True}, {"enable_deletion_protection": False}),
        ({"skip_final_snapshot": False}, {"skip_final_snapshot": True}),
        ({"force_destroy": False}, {"force_destroy": True}),
        ({"backup_retention_period": 7}, {"backup_retention_period": 0}),
    ],
)
def test_a_protection_that_goes_is_said_and_one_that_comes_is_not(before: Any, after: Any) -> None:
    assert subjects(made(entry("aws_db_instance.a", ["update"], before, after)), "protection-removed")
    assert not subjects(made(entry("aws_db_instance.a", ["update"], after, before)), "protection-removed")


# The whole plan


def test_a_plan_that_failed_is_not_to_be_applied() -> None:
    (finding,) = found(real("plan-errored"), "plan-errored")
    assert finding.level == "error"
    assert subjects(real("plan-errored"), "plan-incomplete") == ["plan"]
    assert not found(real("plan-aws"), "plan-errored")


def test_what_is_put_off_is_said() -> None:
    deferred = {"reason": "instance_count_unknown", "resource_change": entry("aws_subnet.a", ["create"])}
    (finding,) = found(made(deferred_changes=[deferred], complete=False), "unknown-at-plan")
    assert (finding.subject, "count" in finding.message) == ("aws_subnet.a", True)


def test_drift_that_is_put_back_is_a_warning_and_null_that_became_empty_is_nothing() -> None:
    plan = real("plan-aws")
    assert subjects(plan, "drift-put-back") == ['aws_cloudwatch_log_group.app["error"]']
    assert subjects(plan, "drift") == ["aws_iam_role.task"]
    gone = entry("aws_lb.a", ["delete"], {"name": "x"})
    assert subjects(made(entry("aws_lb.a", ["create"], None, {"name": "x"}), resource_drift=[gone]), "gone") == [
        "aws_lb.a"
    ]


def test_what_aws_moves_by_itself_is_nobody_s_change() -> None:
    def of(before: dict[str, Any], after: dict[str, Any]) -> Plan:
        return made(resource_drift=[entry("aws_db_instance.a", ["update"], before, after)])

    before = {"status": "available", "latest_restorable_time": "2026-11-25T09:42:20Z", "multi_az": True}
    after = {"status": "backing-up", "latest_restorable_time": "2026-11-25T09:47:20Z", "multi_az": True}
    assert not found(of(before, after), "drift")
    (finding,) = found(of(before, {**after, "multi_az": False}), "drift")
    assert "multi_az" in finding.message
    assert "status" not in finding.message


def test_after_a_state_rollback_nobody_is_accused() -> None:
    """AWS is ahead of the state that was put back: nobody changed anything."""
    task = entry(
        "aws_ecs_task_definition.a",
        ["delete", "create"],
        {"container_definitions": containers("web:6")},
        {"container_definitions": containers("web:8")},
    )
    drifted = drifted_service()
    plan = made(
        task,
        entry(
            "aws_ecs_service.a", ["update"], {"task_definition": "web:41"}, {}, after_unknown={"task_definition": True}
        ),
        entry("aws_sqs_queue.gone", ["create"], None, {"name": "gone"}),
        resource_drift=[
            entry("aws_ecs_service.a", ["update"], {"task_definition": "web:42"}, {"task_definition": "web:41"}),
            entry("aws_sqs_queue.gone", ["delete"], {"name": "gone"}),
            entry("aws_lb.left", ["update"], {"idle_timeout": 60}, {"idle_timeout": 61}),
        ],
    )
    assert {"drift-put-back", "image-brought-back"} <= {each.id for each in review(drifted, STATEFUL)}
    told = review(plan, STATEFUL, put_back=True)
    assert [(each.subject, each.level) for each in told if each.id == "state-is-older"] == [
        ("aws_sqs_queue.gone", "warning"),
        ("aws_ecs_service.a", "info"),
        ("aws_lb.left", "info"),
    ]
    said = " ".join(f"{each.message} {each.mend}" for each in told)
    for word in (
        "Somebody",
        "outside of Terraform",
        "deleted outside of Terraform",
        "pin image_tag",
        "Find out who",
    ):
        assert word not in said
    assert "it was removed later, and this plan recreates it" in said
    assert "AWS is ahead of the state that was put back in idle_timeout: this plan leaves it as it is there" in said


def drifted_service() -> Plan:
    """The state says 42, AWS runs 41, and the plan brings a revision that it makes itself."""
    return made(
        entry(
            "aws_ecs_service.a",
            ["update"],
            {"task_definition": "web:41"},
            {},
            after_unknown={"task_definition": True},
        ),
        resource_drift=[
            entry("aws_ecs_service.a", ["update"], {"task_definition": "web:42"}, {"task_definition": "web:41"})
        ],
    )


def test_drift_that_becomes_something_not_known_yet_is_not_left_as_it_is() -> None:
    (finding,) = found(drifted_service(), "drift-put-back")
    assert finding.level == "warning"
    assert "task_definition" in finding.message
    assert "known only after the apply" in finding.message
    assert not found(drifted_service(), "drift")


def test_what_our_own_failed_apply_left_is_nobody_s_change() -> None:
    plan, failed = drifted_service(), ("aws_ecs_service.a",)
    (finding,) = found(plan, "apply-left", failed=failed)
    assert (finding.level, "An earlier apply failed on it" in finding.message) == ("info", True)
    said = " ".join(f"{each.message} {each.mend}" for each in review(plan, STATEFUL, failed=failed))
    assert "Somebody" not in said
    assert "outside of Terraform" not in said
    assert found(plan, "image-brought-back", failed=failed), "it still would undo a rollback"
    assert found(plan, "drift-put-back", failed=("aws_ecs_service.b",))


def test_drift_of_what_is_made_anew_is_not_said_to_stay() -> None:
    plan = made(
        entry("aws_lb.a", ["delete", "create"], {"name": "a"}, {"name": "b"}),
        resource_drift=[entry("aws_lb.a", ["update"], {"idle_timeout": 60}, {"idle_timeout": 61})],
    )
    (finding,) = found(plan, "drift")
    assert "recreates all of it" in finding.message


def test_failed_checks() -> None:
    assert subjects(real("plan-aws"), "check-failed") == ["check.bucket"]


def test_errors_come_first_and_nothing_secret_is_said() -> None:
    levels = [each.level for each in review(real("plan-aws"), STATEFUL)]
    assert levels == sorted(levels, key=["error", "warning", "info"].index)
    said = repr(review(real("plan-aws"), STATEFUL)) + repr(review(real("plan-modules"), STATEFUL))
    assert not [secret for secret in ("hunter", "clear-token", "hidden-value") if secret in said]


# Images


def test_the_tag_that_was_asked_for_is_no_surprise() -> None:
    plan = real("plan-aws")
    assert not found(plan, "image-brought-back", image_tag="1.9.0")
    assert not found(plan, "image-not-asked-for", image_tag="1.9.0")
    assert "fluent-bit:3" in found(plan, "image-changes-too", image_tag="1.9.0")[0].message


def test_a_plan_without_the_tag_that_was_asked_for_stops() -> None:
    (finding,) = found(real("plan-aws"), "image-not-asked-for", image_tag="2.0.0")
    assert (finding.level, finding.subject) == ("error", "aws_ecs_task_definition.app")
    same = {"container_definitions": containers("repo:1")}
    assert found(made(entry("aws_ecs_task_definition.a", ["no-op"], same, same)), "image-not-asked-for", image_tag="2")
    assert not found(
        made(entry("aws_ecs_task_definition.a", ["no-op"], same, same)), "image-not-asked-for", image_tag="1"
    )


def test_after_a_rollback_a_plan_that_brings_the_broken_image_back_is_said() -> None:
    """Terraform's state has 2, AWS runs 1 since the rollback, and the code still says 2 with another cpu."""
    images = {"container_definitions": containers("repo:2")}
    plan = made(entry("aws_ecs_task_definition.a", ["delete", "create"], images, {**images, "cpu": "512"}))
    assert not found(plan, "image-brought-back")
    (finding,) = found(plan, "image-brought-back", running_images={"c0": "repo:1"})
    assert "repo:1; this plan puts repo:2" in finding.message
    assert not found(plan, "image-brought-back", running_images={"c0": "repo:2"})


def test_a_service_that_was_rolled_back_outside_of_terraform_is_said() -> None:
    old, new = {"task_definition": "web:41"}, {"task_definition": "web:42"}
    service, drift = entry("aws_ecs_service.a", ["update"], old, new), entry("aws_ecs_service.a", ["update"], new, old)
    (finding,) = found(made(service, resource_drift=[drift]), "image-brought-back")
    assert "web:41; this plan puts web:42" in finding.message
    assert not found(made(service), "image-brought-back")
    assert not found(made(service, resource_drift=[drift]), "image-brought-back", image_tag="1")


# Costs


def test_the_guides_totals_are_the_sums_of_their_parts() -> None:
    assert COSTS.environments == {"dev": 145, "staging": 322, "prod": 663}
    assert COSTS.shared == 372


def test_known_differences_are_summed() -> None:
    redis = {"node_type": "cache.t3.micro", "num_cache_clusters": 1}
    plan = made(
        entry("aws_lb.a", ["create"], None, {"load_balancer_type": "application"}),
        entry(
            "aws_elasticache_replication_group.a",
            ["update"],
            redis,
            {"node_type": "cache.t3.medium", "num_cache_clusters": 2},
        ),
        entry("aws_kms_key.a", ["delete"], {"description": "x"}),
        entry("aws_iam_role.a", ["create"], None, {"name": "x"}),
    )
    effect = cost_effect(plan, COSTS)
    assert (effect.usd, effect.unknown) == (20 + 70 - 1, ())
    assert effect.words() == "+89.00 USD a month"


def test_a_task_costs_by_the_size_in_one_resource_and_the_number_in_another() -> None:
    small, big = {"cpu": "512", "memory": "1024"}, {"cpu": "1024", "memory": "2048"}
    task = entry("aws_ecs_task_definition.a", ["delete", "create"], small, big)
    service = entry("aws_ecs_service.a", ["update"], {"desired_count": 1}, {"desired_count": 2})
    assert cost_effect(made(task, service), COSTS).usd == 90
    odd = entry("aws_ecs_task_definition.a", ["delete", "create"], small, {"cpu": "256", "memory": "512"})
    effect = cost_effect(made(odd, service), COSTS)
    assert effect.usd is None
    assert "cpu 256" in effect.words()


def test_what_is_not_known_is_said_and_not_counted() -> None:
    plan = made(
        entry("aws_kms_key.a", ["create"], None, {"description": "x"}),
        entry("aws_db_instance.a", ["create"], None, {"instance_class": "db.r6g.large", "multi_az": True}),
        entry("aws_s3_bucket.a", ["create"], None, {"bucket": "x"}),
        entry("aws_sagemaker_endpoint.a", ["create"], None, {"name": "x"}),
    )
    effect = cost_effect(plan, COSTS)
    assert effect.usd == 1
    assert effect.unknown == (
        "aws_db_instance (instance_class db.r6g.large, multi_az True)",
        "aws_s3_bucket (by use)",
        "aws_sagemaker_endpoint",
    )
    alone = cost_effect(made(entry("aws_sagemaker_endpoint.a", ["create"], None, {"name": "x"})), COSTS)
    assert alone.usd is None


def test_a_plan_that_touches_nothing_that_costs_costs_nothing() -> None:
    renamed = entry(
        "aws_lb.a", ["update"], {"load_balancer_type": "application", "x": 1}, {"load_balancer_type": "application"}
    )
    assert cost_effect(made(renamed), COSTS).usd == 0
    assert cost_effect(made(), COSTS).words() == "+0.00 USD a month"


@pytest.mark.parametrize(
    ("before", "words"), [(None, "had no value in the state"), ([], "changed outside of Terraform")]
)
def test_what_the_state_said_nothing_of_is_told_from_what_somebody_changed(before: Any, words: str) -> None:
    drift = entry("aws_security_group.x", ["update"], {"ingress": before}, {"ingress": ["all"]})
    (finding,) = found(made(resource_drift=[drift]), "drift")
    assert finding.message == f"ingress {words}; this plan leaves it."
