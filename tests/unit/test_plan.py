"""Plans as real Terraform writes them (the documents in data/), and what no plan should do to whoever reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infraconsole.redaction import MASK
from infraconsole.terraform.attributes import UNKNOWN, AttributeChange, Key, Nature, differences, path_name, same
from infraconsole.terraform.plan import Change, Kind, Plan, PlanUnreadable, module_steps, read

DATA = Path(__file__).parent / "data"
SECRETS = (
    "hunter2-secret",
    "hunter3-secret",
    "clear-token",
    "other-token",
    "first-hidden-value",
    "second-hidden-value",
)


def real(name: str) -> Plan:
    return read((DATA / f"{name}.json").read_bytes())


def change(plan: Plan, address: str) -> Change:
    return next(each for each in plan.changes if each.address == address)


def by_name(found: tuple[AttributeChange, ...]) -> Mapping[str, AttributeChange]:
    return {each.name: each for each in found}


def made(*entries: Mapping[str, Any], **others: Any) -> Plan:
    return read(json.dumps({"format_version": "1.2", "resource_changes": list(entries), **others}).encode())


def entry(address: str, actions: list[str], **change: Any) -> dict[str, Any]:
    type_, _, name = address.rpartition(".")[0].rpartition(".")[2], None, address.rpartition(".")[2]
    return {
        "address": address,
        "mode": "managed",
        "type": type_,
        "name": name,
        "change": {"actions": actions, **change},
    }


# What it is


def test_what_terraform_says_of_the_plan() -> None:
    plan = real("plan-aws")
    assert (plan.format_version, plan.terraform_version) == ("1.2", "1.11.4")
    assert (plan.is_applyable, plan.is_complete, plan.is_errored) == (True, True, False)
    assert plan.at is not None
    assert plan.at.utcoffset() is not None
    assert real("plan-modules").has_managed_before
    assert not plan.has_managed_before, "its data sources are nothing that Terraform manages"


def test_a_plan_against_prevent_destroy_is_errored_and_still_readable() -> None:
    plan = real("plan-errored")
    assert (plan.is_applyable, plan.is_complete, plan.is_errored) == (False, False, True)
    assert change(plan, "terraform_data.kept").forced_by == ("triggers_replace",)


def test_flags_that_an_older_terraform_does_not_write_are_unknown() -> None:
    plan = made()
    assert (plan.is_applyable, plan.is_complete, plan.is_errored, plan.at) == (None, None, None, None)
    assert plan.totals().words() == "nothing to do"
    assert not plan.has_managed_before


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("data.terraform_remote_state.later", Kind.READ),
        ('aws_cloudwatch_log_group.app["application"]', Kind.NO_OP),
        ('aws_cloudwatch_log_group.app["error"]', Kind.UPDATE),
        ("aws_db_instance.shared", Kind.REPLACE),
        ("aws_kms_key.files", Kind.DESTROY),
        ("aws_sqs_queue.archive", Kind.MOVED),
        ("aws_sqs_queue.found", Kind.UPDATE),
        ("aws_sqs_queue.new", Kind.CREATE),
        ("terraform_data.forgotten", Kind.FORGET),
    ],
)
def test_kinds(address: str, kind: Kind) -> None:
    assert change(real("plan-aws"), address).kind is kind


def test_each_change_tells_where_it_is_and_why() -> None:
    plan = real("plan-aws")
    parameter = change(plan, "aws_ssm_parameter.image[2]")
    assert (parameter.type, parameter.name, parameter.index, parameter.module) == ("aws_ssm_parameter", "image", 2, "")
    assert parameter.provider == "registry.terraform.io/hashicorp/aws"
    assert parameter.reason == "its number is beyond the count"
    assert change(plan, 'aws_cloudwatch_log_group.app["error"]').index == "error"
    assert change(plan, "aws_sqs_queue.archive").previous_address == "aws_sqs_queue.old"
    assert change(plan, "aws_sqs_queue.found").importing_id.endswith("/fileflow-prod-found")
    assert change(plan, "aws_db_instance.shared").forced_by == ("username",)
    assert not change(plan, "aws_db_instance.shared").creates_first
    assert change(plan, "aws_ecs_task_definition.app").creates_first
    assert change(plan, "data.terraform_remote_state.later").is_data
    assert "tainted" in change(real("plan-tainted"), "terraform_data.tainted").reason
    moved = change(real("plan-modules"), 'module.store["other"].terraform_data.bucket')
    assert moved.module == 'module.store["other"]'
    assert moved.previous_address == 'module.store["plain"].terraform_data.bucket'


def test_actions_and_reasons_that_are_not_known_are_not_taken_for_harmless() -> None:
    plan = made(
        {**entry("a.b", ["explode", "create"]), "action_reason": "replace_by_magic"},
        entry("a.c", []),
        {"address": "a.d"},
    )
    assert [each.kind for each in plan.changes] == [Kind.OTHER] * 3
    assert plan.changes[0].reason == "replace by magic"
    assert [each.change.address for each in plan.dangerous({})] == ["a.b", "a.c", "a.d"]
    assert "not known here" in plan.totals().words()


def test_imports_that_change_nothing_are_imports() -> None:
    found = made(entry("a.b", ["no-op"], importing={"id": "i-1"}), entry("a.c", ["no-op"], importing={"unknown": True}))
    assert [each.kind for each in found.changes] == [Kind.IMPORT] * 2
    assert [each.importing_id for each in found.changes] == ["i-1", "(known after apply)"]
    assert found.totals().imported == 2


# Totals and tree


def test_totals_are_terraforms_own() -> None:
    totals = real("plan-aws").totals()
    # Its text said: Plan: 1 to import, 7 to add, 7 to change, 8 to destroy.
    assert (totals.imported, totals.to_add, totals.to_change, totals.to_destroy) == (1, 7, 7, 8)
    assert (totals.moved, totals.outputs, totals.of(Kind.FORGET)) == (1, 4, 1)
    modules = real("plan-modules").totals()
    assert (modules.to_add, modules.to_change, modules.to_destroy) == (1, 4, 2)
    assert totals.words().startswith("2 to destroy, 6 to replace, 1 to create, 7 to update")


def test_tree_by_module_then_type() -> None:
    tree = real("plan-modules").tree()
    assert tree.path == ""
    assert [module.name for module in tree.modules] == ['module.store["a.b"]', 'module.store["other"]']
    assert [group.type for group in tree.types] == ["terraform_data"]
    assert sum(1 for _ in tree.changes()) == tree.totals().changing
    whole = real("plan-modules").tree(with_no_op=True)
    assert sum(1 for _ in whole.changes()) == len(real("plan-modules").changes)


def test_modules_within_modules_that_change_nothing_themselves() -> None:
    inner = {**entry("module.a.module.b[0].x.y", ["create"]), "module_address": "module.a.module.b[0]", "type": "x"}
    tree = made(inner).tree()
    (a,) = tree.modules
    (b,) = a.modules
    assert (a.path, a.types, b.path, b.name) == ("module.a", (), "module.a.module.b[0]", "module.b[0]")
    assert a.totals().of(Kind.CREATE) == 1


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("", ()),
        ("module.a", ("module.a",)),
        ('module.a["x.module.y"].module.b[0]', ('module.a["x.module.y"]', "module.b[0]")),
        (r'module.a["q\"].module.z"].module.b', (r'module.a["q\"].module.z"]', "module.b")),
        ("nonsense", ("nonsense",)),
    ],
)
def test_module_steps(path: str, steps: tuple[str, ...]) -> None:
    assert module_steps(path) == steps


def test_dangerous_things_first_what_holds_state() -> None:
    found = real("plan-aws").dangerous({"aws_db_instance": "the database", "aws_kms_key": "the key"})
    assert [each.change.address for each in found][:3] == [
        "aws_kms_key.files",
        "aws_db_instance.shared",
        "aws_ssm_parameter.image[2]",
    ]
    assert found[0].lost == "the key"
    assert {each.change.address for each in found} == {
        each.address for each in real("plan-aws").changes if "delete" in each.actions
    }
    assert "terraform_data.forgotten" not in {each.change.address for each in found}


# Attributes


def test_what_forces_the_replacement_is_marked() -> None:
    found = by_name(change(real("plan-aws"), "aws_db_instance.shared").attributes())
    assert [name for name, each in found.items() if each.forces_replacement] == ["username"]
    assert (found["username"].before, found["username"].after) == ("admin", "root")
    assert found["arn"].unknown
    assert found["arn"].after is None
    assert found["tags"].nature is Nature.EMPTY


def test_container_definitions_are_compared_by_name() -> None:
    """In the code the containers changed places, which is nothing."""
    found = by_name(change(real("plan-aws"), "aws_ecs_task_definition.app").attributes())
    image = found['container_definitions["fileflow-app"].image']
    assert str(image.before).endswith(":1.8.1")
    assert str(image.after).endswith(":1.9.0")
    assert image.in_json
    assert image.forces_replacement
    environment = found['container_definitions["fileflow-app"].environment["DB_HOST"]']
    assert (environment.before, environment.after) == ("prod-shared-mysql.local", "replica.local")
    secret = found['container_definitions["fileflow-app"].environment["API_TOKEN"]']
    assert (secret.before, secret.after, secret.sensitive) == (MASK, MASK, True)
    counting = {name for name, each in found.items() if each.counts and each.in_json}
    assert counting == {image.name, environment.name, secret.name, 'container_definitions["log-router"].image'}


def test_policies_are_compared_by_statement() -> None:
    found = by_name(change(real("plan-aws"), "aws_iam_role_policy.task").attributes())
    assert found['policy.Statement["Read"].Action'].nature is Nature.ORDER
    assert not found['policy.Statement["Read"].Action'].counts
    assert found['policy.Statement["Queue"].Action'].after == ["sqs:SendMessage", "sqs:ReceiveMessage"]


def test_rules_without_names_that_changed_places_are_not_shown() -> None:
    (added,) = change(real("plan-aws"), "aws_security_group.app").attributes()
    assert added.name == "ingress[0]"
    assert added.before is None
    assert added.after["from_port"] == 8443


def test_another_order_of_a_list_of_terraforms_counts() -> None:
    found = by_name(change(real("plan-aws"), "terraform_data.list").attributes())
    assert found["input"].nature is Nature.ORDER
    assert found["input"].counts


def test_1_that_becomes_true_is_a_change() -> None:
    found = by_name(change(real("plan-modules"), "terraform_data.secret").attributes())
    assert (found["input.n"].before, found["input.n"].after) == (1, True)
    assert not same({"a": [1]}, {"a": [True]})
    assert not same(0, False)
    assert same({"a": 1, "b": 2.0}, {"b": 2, "a": 1})


@pytest.mark.parametrize("name", ["plan-aws", "plan-modules", "plan-errored", "plan-tainted"])
def test_no_secret_leaves_a_plan(name: str) -> None:
    text = (DATA / f"{name}.json").read_text()
    plan = real(name)
    everything = [repr(plan), repr(plan.outputs), repr(plan.variables()), repr(plan.deferred)]
    for each in (*plan.changes, *plan.drift):
        everything += [repr(each), repr(each.attributes()), *(line for a in each.attributes() for line in a.lines())]
        for attribute in ("secret_string", "password", "input", "output", "value", "container_definitions"):
            everything += [repr(each.before(attribute)), repr(each.after(attribute))]
    shown = "\n".join(everything)
    assert name not in ("plan-aws", "plan-modules") or any(secret in text for secret in SECRETS)
    assert not [secret for secret in SECRETS if secret in shown]


def test_a_copy_that_the_provider_does_not_mark_is_masked_as_well() -> None:
    found = by_name(change(real("plan-modules"), "terraform_data.secret").attributes())
    assert found["output"].before["list"] == [{"hidden": MASK, "plain": "shown"}]


def test_what_is_partly_unknown_says_where() -> None:
    (found,) = differences({"a": ["x", "y"]}, {"a": ["x", None]}, unknown={"a": [False, True]})
    assert found.unknown
    assert found.after == ["x", UNKNOWN]


def test_one_attribute_by_its_name() -> None:
    plan = real("plan-aws")
    task = change(plan, "aws_ecs_task_definition.app")
    assert (task.before("cpu"), task.after("cpu"), task.after("nothing")) == ("512", "1024", None)
    assert task.after("container_definitions")[0]["environment"][0] == {"name": "API_TOKEN", "value": MASK}
    assert task.is_unknown("arn")
    assert change(plan, "aws_secretsmanager_secret_version.db").after("secret_string") == MASK
    assert change(plan, "aws_db_instance.shared").before("deletion_protection") is False


def test_outputs_drift_checks_and_variables() -> None:
    plan = real("plan-aws")
    outputs = {each.name: each for each in plan.outputs}
    assert list(outputs) == ["bucket", "cluster", "gone", "password"]
    assert outputs["bucket"].unknown
    assert (outputs["cluster"].before, outputs["cluster"].after) == ("fileflow-prod-cluster", "fileflow-prod-main")
    assert (outputs["password"].before, outputs["password"].after, outputs["password"].sensitive) == (MASK, MASK, True)
    assert len(plan.drift) == 15
    assert 'aws_cloudwatch_log_group.app["error"]' in [each.address for each in plan.real_drift]
    assert len(plan.real_drift) == 2  # the rest is null that became empty, and until when a database can be restored
    (check,) = plan.checks
    assert (check.address, check.status, check.problems) == (
        "check.bucket",
        "fail",
        ("The bucket has the wrong name.",),
    )
    assert plan.variables() == {"db_password": MASK, "image_tag": "1.9.0"}
    assert real("plan-modules").variables() == {"secret": MASK}


def test_deferred_changes_say_why() -> None:
    plan = made(deferred_changes=[{"reason": "instance_count_unknown", "resource_change": entry("a.b.c", ["create"])}])
    (deferred,) = plan.deferred
    assert (deferred.change.address, deferred.reason) == ("a.b.c", "its count or for_each is not known yet")


# How values are compared


def compared(before: Any, after: Any, **how: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.before, each.after) for each in differences({"x": before}, {"x": after}, **how)]


def test_json_in_text_on_both_sides_is_compared_inside() -> None:
    before, after = '{"a": {"b": 1, "c": [1]}}', '{"a": {"b": 2, "c": [1]}, "d": null}'
    assert compared(before, after) == [
        ("x.a.b", 1, 2),
    ]
    (only_format,) = differences({"x": '{"a":1}'}, {"x": '{ "a": 1 }'})
    assert only_format.nature is Nature.FORMAT


def test_json_on_one_side_only_is_shown_as_what_it_holds() -> None:
    assert compared(None, '{"a": 1}') == [("x", None, {"a": 1})]
    assert compared("text", '{"a": 1}') == [("x", "text", {"a": 1})]
    assert compared("{not json", "[also not") == [("x", "{not json", "[also not")]


def test_a_policys_one_is_a_list_of_one() -> None:
    before = {"Statement": {"Sid": "A", "Action": "s3:GetObject", "Principal": {"AWS": "1"}}}
    after = {"Statement": [{"Sid": "A", "Action": ["s3:GetObject"], "Principal": {"AWS": ["1"]}}]}
    (found,) = differences({"policy": json.dumps(before)}, {"policy": json.dumps(after)})
    assert found.nature is Nature.FORMAT


def test_names_of_statements_hide_nothing_and_names_of_variables_do() -> None:
    statement = {"Sid": "ReadSecrets", "Action": "a"}
    before = json.dumps({"Statement": [statement]})
    after = json.dumps({"Statement": [{**statement, "Action": "b"}]})
    assert compared(before, after) == [('x.Statement["ReadSecrets"].Action', "a", "b")]
    assert compared({"DB_PASSWORD": "one"}, {"DB_PASSWORD": "two"}) == [("x.DB_PASSWORD", MASK, MASK)]


def test_passwords_in_urls_are_masked_wherever_they_stand() -> None:
    def attributes(password: str) -> dict[str, Any]:
        url = f"mysql://root:{password}@db/x"
        containers = [{"name": "app", "environment": [{"name": "DATABASE_URL", "value": url}], "command": [url, "b"]}]
        variables = [{"variables": {"DATABASE_URL": url}}]
        return {"url": url, "containers": json.dumps(containers), "environment": variables, "listed": [url, "a", "a"]}

    before, after = attributes("hunter2-one"), attributes("hunter2-two")
    for found in (differences(before, after), differences(None, after), differences(before, None)):
        assert "hunter2" not in " ".join(line for each in found for line in each.lines())
        assert all(each.sensitive for each in found)
    assert [(each.name, each.before, each.after) for each in differences(before, {**before, "url": after["url"]})] == [
        ("url", f"mysql://root:{MASK}@db/x", f"mysql://root:{MASK}@db/x")
    ]


def test_the_passwords_in_the_urls_of_a_plan_are_among_what_has_to_be_scrubbed() -> None:
    environment = json.dumps([{"environment": [{"name": "U", "value": "mysql://root:hunter%262-one@db"}]}])
    change = {"actions": ["update"], "before": {"a": environment}, "after": {"a": ["amqp://u:hunter2-two@q"]}}
    entry = {"address": "x.a", "type": "x", "name": "a", "mode": "managed", "change": change}
    plan = made(entry)
    assert set(plan.secrets()) == {"hunter%262-one", "hunter&2-one", "hunter2-two"}


def test_references_to_secrets_are_no_secrets() -> None:
    arn = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:db-AbCdEf"
    before = json.dumps([{"name": "app", "secrets": [{"name": "DB_PASSWORD", "valueFrom": "/one"}]}])
    after = json.dumps([{"name": "app", "secrets": [{"name": "DB_PASSWORD", "valueFrom": arn}]}])
    assert compared(before, after) == [('x["app"].secrets["DB_PASSWORD"]', "/one", arn)]
    assert compared(None, before) == [("x", None, json.loads(before))]
    assert [each.after for each in differences({"secret_arn": "x"}, {"secret_arn": arn})] == [arn]


def test_commands_are_not_sorted() -> None:
    before, after = (
        json.dumps([{"name": "a", "command": ["x", "y"]}]),
        json.dumps([{"name": "a", "command": ["y", "x"]}]),
    )
    (found,) = differences({"c": before}, {"c": after})
    assert found.nature is Nature.CHANGED


def test_items_with_the_same_name_are_compared_place_by_place() -> None:
    before = [{"name": "a", "v": 1}, {"name": "a", "v": 2}]
    after = [{"name": "a", "v": 2}, {"name": "a", "v": 3}]
    assert compared(before, after) == [
        ("x[0]", {"name": "a", "v": 1}, None),
        ("x[1]", None, {"name": "a", "v": 3}),
    ]


def test_a_marked_branch_is_masked_whole_and_not_walked() -> None:
    found = differences({"a": {"k": 1}}, {"a": {"k": 2, "l": 3}}, after_sensitive={"a": True})
    assert found == (AttributeChange(("a",), MASK, MASK, sensitive=True),)
    assert differences({"a": 1}, {"a": 2}, before_sensitive=True) == (AttributeChange((), MASK, MASK, sensitive=True),)


def test_long_values_are_kept_whole_and_marked() -> None:
    (found,) = differences({"a": "x" * 1000}, {"a": "y"})
    assert found.is_long
    assert len(found.before) == 1000
    assert found.lines() == ("- a: " + "x" * 1000, "+ a: y")


def test_paths_are_written_as_people_write_them() -> None:
    assert path_name(("a", 0, Key("x.y"), "b-c", "d e")) == 'a[0]["x.y"].b-c["d e"]'


def test_values_nested_without_end_are_said_to_be_so() -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"a": deep}
    (found,) = differences({"x": deep, "y": 1}, {"x": {"a": deep}, "y": 1})
    assert "too deep" in str(found.before) or found.name.startswith("x")


def test_hostile_text_stays_data() -> None:
    text = "\x1b]0;x\x07[red]‮$(rm)"
    assert compared("", text) == [("x", "", text)]


# What is no plan


@pytest.mark.parametrize(
    ("data", "title"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"PK\x03\x04\xff\xfe", "not JSON"),
        (b"PK\x03\x04", "not JSON"),
        (b"\xff{}", "not JSON"),
        (b"[]", "not a Terraform plan"),
        (b"{}", "not a Terraform plan"),
        (b'{"format_version": "1.0", "values": {}}', "not a Terraform plan"),
        (b'{"version": 4, "lineage": "x"}', "not a Terraform plan"),
        (b'{"@level":"info"}\n{"@level":"info"}', "not a Terraform plan"),
        (b"[" * 100_000, "not a Terraform plan"),
        (b'{"format_version": "2.0", "resource_changes": []}', "format 2.0"),
        (b'{"format_version": "0.2", "resource_changes": []}', "format 0.2"),
        (b'{"format_version": 1, "resource_changes": []}', "not a Terraform plan"),
        (b'{"format_version": "1.2", "resource_changes": {}}', "list of changes"),
        (b'{"format_version": "1.2", "resource_changes": [1]}', "list of changes"),
    ],
)
def test_what_is_no_plan(data: bytes, title: str) -> None:
    with pytest.raises(PlanUnreadable) as caught:
        read(data, "That plan")
    assert title in caught.value.title
    assert "That plan" in caught.value.title
    assert caught.value.mend


def test_a_plan_cut_off_at_any_byte_is_told() -> None:
    data = (DATA / "plan-errored.json").read_bytes().rstrip()
    for length in range(0, len(data), 7):
        with pytest.raises(PlanUnreadable):
            read(data[:length])
    with pytest.raises(PlanUnreadable, match="cut off"):
        read(data[: len(data) // 2])


@pytest.mark.parametrize("odd", [None, 1, "x", [], {}, [None], True])
def test_odd_parts_of_a_plan_do_no_harm(odd: Any) -> None:
    keys = (
        "resource_drift",
        "output_changes",
        "checks",
        "deferred_changes",
        "variables",
        "configuration",
        "prior_state",
    )
    plan = made(
        {"address": odd, "change": odd},
        entry("a.b.c", ["update"], before=odd, after={"k": 1}),
        **dict.fromkeys(keys, odd),
    )
    assert len(plan.changes) == 2
    for each in plan.changes:
        assert isinstance(each.attributes(), tuple)
    assert isinstance(plan.tree().totals().words(), str)
    assert (plan.drift, plan.outputs, plan.checks, plan.deferred) == ((), (), (), ()) or odd == [None]
    assert isinstance(plan.variables(), dict)
    assert not plan.has_managed_before
