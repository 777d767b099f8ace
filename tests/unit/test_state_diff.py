"""Two states against each other: as real Terraform wrote them (data/), cut off, hostile, and thousands of resources long."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infraconsole.collector import uncollected
from infraconsole.redaction import MASK
from infraconsole.terraform.attributes import differences
from infraconsole.terraform.state import StateUnreadable
from infraconsole.terraform.state_diff import (
    Difference,
    InstanceDifference,
    StateComparison,
    addresses,
    compare,
)

DATA = Path(__file__).parent / "data"
SECRETS = (
    "hunter2-secret",
    "hunter3-secret",
    "clear-token",
    "other-token",
    "first-hidden-value",
    "second-hidden-value",
)


def real(name: str) -> bytes:
    return (DATA / f"state-{name}.json").read_bytes()


def at(comparison: StateComparison, address: str) -> InstanceDifference:
    return next(each for each in (*comparison.resources, *comparison.data_sources) if each.address == address)


def names(found: InstanceDifference) -> list[str]:
    return [each.name for each in found.attributes()]


def state(*resources: dict[str, Any], serial: int = 1, **others: Any) -> bytes:
    head = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": "l", "outputs": {}}
    return json.dumps({**head, "resources": list(resources), **others}).encode()


def resource(name: str, *instances: dict[str, Any], type: str = "t", **others: Any) -> dict[str, Any]:  # noqa: A002
    provider = 'provider["registry.terraform.io/hashicorp/aws"]'
    return {"mode": "managed", "type": type, "name": name, "provider": provider, "instances": list(instances), **others}


def instance(**attributes: Any) -> dict[str, Any]:
    return {"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}


ODD_RESOURCES: tuple[Any, ...] = ([1], {}, [{"instances": [1]}])
MODULES = compare(real("modules-before"), real("modules-after"))
AWS = compare(real("aws-before"), real("aws-after"))


# Real states


def test_both_states_say_what_they_are() -> None:
    assert (MODULES.before.terraform_version, MODULES.after.terraform_version) == ("1.11.4", "1.11.4")
    assert MODULES.before.serial < MODULES.after.serial
    assert MODULES.is_same_lineage
    assert not compare(real("aws-before"), real("modules-before")).is_same_lineage
    assert MODULES.before.size_bytes == len(real("modules-before"))
    assert (AWS.before.resource_count, AWS.after.resource_count) == (20, 19)


def test_added_removed_changed_and_moved() -> None:
    found = {(each.difference, each.address) for each in MODULES.resources}
    assert found == {
        (Difference.ADDED, "terraform_data.added"),
        (Difference.REMOVED, "terraform_data.counted[11]"),
        (Difference.REMOVED, "terraform_data.gone"),
        (Difference.CHANGED, 'module.store["a.b"].terraform_data.bucket'),
        (Difference.CHANGED, "terraform_data.secret"),
        (Difference.CHANGED, "terraform_data.whole"),
        (Difference.MOVED, "terraform_data.new_name"),
        (Difference.MOVED, 'module.store["other"].terraform_data.bucket'),
    }
    assert MODULES.same_count == 17
    assert MODULES.words() == "1 added, 2 removed, 3 changed, 2 moved, 2 of outputs, 17 the same"


def test_what_moved_says_from_where_and_what_changed_on_the_way() -> None:
    plain, inner = at(MODULES, "terraform_data.new_name"), at(MODULES, 'module.store["other"].terraform_data.bucket')
    assert (plain.previous_address, names(plain)) == ("terraform_data.old_name", [])
    assert inner.previous_address == 'module.store["plain"].terraform_data.bucket'
    assert inner.module == 'module.store["other"]'
    assert "input.name" in names(inner)


def test_a_state_and_itself() -> None:
    for name in ("aws-before", "aws-after", "modules-after", "tainted"):
        same = compare(real(name), real(name))
        assert same.is_empty
        assert same.same_count == same.after.resource_count


def test_the_other_way_round_what_was_added_is_removed() -> None:
    back = compare(real("modules-after"), real("modules-before"))
    assert len(back.resources) == len(MODULES.resources)
    assert at(back, "terraform_data.added").difference is Difference.REMOVED
    assert at(back, "terraform_data.old_name").previous_address == "terraform_data.new_name"


def test_attributes_of_aws_resources() -> None:
    task = at(AWS, "aws_ecs_task_definition.app")
    assert task.is_another_object
    assert 'container_definitions["fileflow-app"].image' in names(task)
    assert "create_before_destroy" in task.bookkeeping()
    assert names(at(AWS, "aws_iam_role_policy.task")) == [
        'policy.Statement["Read"].Action',
        'policy.Statement["Queue"].Action',
    ]
    assert at(AWS, "aws_sqs_queue.archive").previous_address == "aws_sqs_queue.old"
    assert at(AWS, "aws_ssm_parameter.image[2]").index == 2
    # A refresh turned null into empty: it differs, and means nothing.
    jobs = at(AWS, "aws_sqs_queue.jobs")
    assert names(jobs) == ["tags"]
    assert not jobs.counts()
    assert at(AWS, "aws_ssm_parameter.image[0]").counts()


def test_no_secret_leaves_a_state() -> None:
    for comparison, texts in ((AWS, real("aws-after")), (MODULES, real("modules-after"))):
        assert any(secret.encode() in texts for secret in SECRETS)
        everything = [repr(comparison)]
        for each in (*comparison.resources, *comparison.data_sources):
            everything += [repr(each), repr(each.attributes())]
        assert not [secret for secret in SECRETS if secret in "\n".join(everything)]


def test_values_of_any_type_are_marked_as_if_their_type_stood_not_beside_them() -> None:
    found = {each.name: each for each in at(MODULES, "terraform_data.secret").attributes()}
    assert found["input.list[0].hidden"].before == MASK
    assert found["output.list[0].hidden"].after == MASK
    assert (found["input.n"].before, found["input.n"].after) == (1, True)


def test_outputs() -> None:
    outputs = {each.name: each for each in AWS.outputs}
    assert {name: each.difference for name, each in outputs.items()} == {
        "bucket": Difference.ADDED,
        "cluster": Difference.CHANGED,
        "gone": Difference.REMOVED,
        "password": Difference.CHANGED,
    }
    assert (outputs["gone"].before, outputs["gone"].after) == ("old", None)
    assert (outputs["password"].before, outputs["password"].after, outputs["password"].sensitive) == (MASK, MASK, True)
    assert {each.name: each.after for each in MODULES.outputs}["shape"] == {"a": 2, "b": [True, None]}


def test_addresses_are_those_of_terraform_state_list() -> None:
    listed = r"""terraform_data.odd["$${x}"]
terraform_data.odd["<b>"]
terraform_data.odd["back\\slash"]
terraform_data.odd["new\nline"]
terraform_data.odd["quo\"te"]
terraform_data.odd["한글"]
module.store["a.b"].terraform_data.bucket
terraform_data.counted[10]""".splitlines()
    found = addresses(real("modules-after"))
    assert set(listed) <= set(found)
    assert len(found) == 23
    assert addresses(real("aws-after"))[0] == "data.aws_iam_policy_document.queue"


# What Terraform writes in special cases


def test_tainted_and_other_bookkeeping_is_told_apart_from_attributes() -> None:
    whole = state(resource("a", instance(id="1")))
    tainted = state(
        resource("a", {**instance(id="1"), "status": "tainted", "dependencies": ["t.b"], "private": "eA=="})
    )
    (found,) = compare(whole, tainted).resources
    assert found.attributes() == ()
    assert not found.counts()
    assert found.bookkeeping() == ("tainted", "dependencies", "the provider's private data")


def test_deposed_objects_stand_beside_the_current_one() -> None:
    before = state(resource("a", instance(id="1")))
    after = state(resource("a", instance(id="2"), {**instance(id="1"), "deposed": "abcd1234"}))
    found = compare(before, after).resources
    assert [(each.difference, each.address, each.deposed) for each in found] == [
        (Difference.CHANGED, "t.a", ""),
        (Difference.ADDED, "t.a", "abcd1234"),
    ]
    assert addresses(after) == ("t.a",)


def test_data_sources_are_apart() -> None:
    old, new = resource("a", instance(id="1"), mode="data"), resource("a", instance(id="2"), mode="data")
    found = compare(state(old), state(new))
    assert found.resources == ()
    assert [each.address for each in found.data_sources] == ["data.t.a"]
    assert found.before.resource_count == 0


def test_ids_that_several_have_or_that_say_nothing_make_no_move() -> None:
    def found(id_: str, *names: str) -> list[Difference]:
        before = state(*(resource(f"old-{name}", instance(id=id_)) for name in names))
        after = state(*(resource(f"new-{name}", instance(id=id_)) for name in names))
        return sorted(each.difference for each in compare(before, after).resources)

    assert found("i-1", "a") == [Difference.MOVED]
    assert found("none", "a") == found("", "a") == [Difference.ADDED, Difference.REMOVED]
    assert found("i-1", "a", "b") == [Difference.ADDED] * 2 + [Difference.REMOVED] * 2


def test_revisions_of_a_task_definition_share_an_id_and_are_not_the_same() -> None:
    before = state(resource("old", instance(id="web", arn="arn:web:1")))
    after = state(resource("new", instance(id="web", arn="arn:web:2")))
    assert [each.difference for each in compare(before, after).resources] == [Difference.REMOVED, Difference.ADDED][
        ::-1
    ]


def test_a_move_into_a_module_with_a_provider_of_its_own() -> None:
    inner = resource("a", instance(id="1"), module="module.m")
    inner["provider"] = 'module.m.provider["registry.terraform.io/hashicorp/aws"].dr'
    (found,) = compare(state(resource("a", instance(id="1"))), state(inner)).resources
    assert (found.difference, found.previous_address, found.bookkeeping()) == (Difference.MOVED, "t.a", ("provider",))


@pytest.mark.parametrize(
    ("type_", "attribute"),
    [
        ("aws_ssm_parameter", "value"),
        ("aws_ssm_parameters_by_path", "values"),
        ("aws_vpn_connection", "tunnel1_preshared_key"),
        ("aws_vpn_connection", "customer_gateway_configuration"),
        ("aws_appsync_api_key", "key"),
        ("aws_api_gateway_api_key", "value"),
        ("aws_iam_access_key", "ses_smtp_password_v4"),
        ("aws_secretsmanager_secret_version", "secret_binary"),
        ("random_password", "result"),
        ("local_sensitive_file", "content"),
        ("azuread_application_password", "value"),
        ("vault_generic_secret", "data_json"),
        ("tls_private_key", "private_key_openssh"),
        ("terraform_remote_state", "outputs"),
        ("x", "db_password"),
        ("x", "auth_token"),
    ],
)
def test_what_older_terraforms_do_not_mark_is_masked_by_type_and_name(type_: str, attribute: str) -> None:
    before = state(resource("a", instance(id="1", **{attribute: "clear-one"}), type=type_))
    after = state(resource("a", instance(id="1", **{attribute: "clear-two"}), type=type_))
    (found,) = compare(before, after).resources[0].attributes()
    assert (found.before, found.after, found.sensitive) == (MASK, MASK, True)


def test_what_a_provider_declares_inside_of_blocks_is_masked_too() -> None:
    def with_values(value: str) -> bytes:
        profile = [{"user": "u", "payload": value, "name": "n"}]
        parameters = [{"lambda_parameters": profile}, {"lambda_parameters": profile}]
        task = instance(id="1", task_invocation_parameters=parameters)
        return state(resource("a", task, type="aws_ssm_maintenance_window_task"))

    found = compare(with_values("clear-one"), with_values("clear-two")).resources[0].attributes()
    assert [(each.before, each.after) for each in found] == [(MASK, MASK)] * 2


def test_all_outputs_of_another_state_are_masked() -> None:
    def with_outputs(**outputs: str) -> bytes:
        typed = {"value": outputs, "type": ["object", dict.fromkeys(outputs, "string")]}
        found = instance(backend="s3", outputs=typed, workspace=None)
        return state(resource("a", found, type="terraform_remote_state", mode="data"))

    (found,) = compare(with_outputs(a="clear-one"), with_outputs(a="clear-two", b="x")).data_sources[0].attributes()
    assert (found.name, found.before, found.after) == ("outputs", MASK, MASK)


def test_what_only_one_of_the_states_calls_sensitive_is_masked_on_both_sides() -> None:
    marked = {**instance(id="1", a="clear-two"), "sensitive_attributes": [[{"type": "get_attr", "value": "a"}]]}
    before, after = state(resource("a", instance(id="1", a="clear-one"))), state(resource("a", marked))
    for found in (compare(before, after), compare(after, before)):
        (change,) = found.resources[0].attributes()
        assert (change.before, change.after) == (MASK, MASK)


@pytest.mark.parametrize(
    "path",
    [
        [{"type": "get_attr", "value": "a"}, {"type": "index", "value": {"value": "k", "type": "string"}}],
        [{"type": "get_attr", "value": "a"}, {"type": "index", "value": "k"}],
        [{"type": "get_attr", "value": "a"}, {"type": "telepathy"}],
    ],
)
def test_paths_of_sensitive_attributes(path: list[Any]) -> None:
    def with_value(value: str) -> bytes:
        return state(resource("a", {**instance(id="1", a={"k": value}), "sensitive_attributes": [path]}))

    (change,) = compare(with_value("clear-one"), with_value("clear-two")).resources[0].attributes()
    assert (change.before, change.after) == (MASK, MASK)


def test_numbers_sort_as_numbers() -> None:
    many = resource("a", *({**instance(id=str(number)), "index_key": number} for number in range(12)))
    found = compare(state(), state(many)).resources
    assert [each.index for each in found] == list(range(12))


# What is no state


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"version": 3, "serial": 1}', b'{"version": 4, "serial": -1}']
    + [json.dumps({"version": 4, "serial": 1, "resources": odd}).encode() for odd in ODD_RESOURCES],
)
def test_what_is_no_state_is_named(data: bytes) -> None:
    good = state()
    calls: list[Callable[[], object]] = [
        lambda: compare(data, good, before_name="Version v3"),
        lambda: compare(good, data, after_name="Version v3"),
        lambda: addresses(data, "Version v3"),
    ]
    for call in calls:
        with pytest.raises(StateUnreadable, match="Version v3"):
            call()


def test_a_state_cut_off_is_told() -> None:
    data = real("tainted").rstrip()
    for length in range(0, len(data), 11):
        with pytest.raises(StateUnreadable):
            compare(data, data[:length])


@pytest.mark.parametrize("odd", [None, 1, "x", [], {}, [None], True, {"a": {"a": 1}}])
def test_odd_parts_of_a_state_do_no_harm(odd: Any) -> None:
    broken = {"mode": odd, "type": odd, "name": odd, "module": odd, "provider": odd, "instances": [{}]}
    inner = dict.fromkeys(("attributes", "sensitive_attributes", "index_key", "deposed", "dependencies", "status"), odd)
    strange = state(broken, resource("a", inner), outputs=odd, lineage=odd, terraform_version=odd)
    for found in (compare(state(resource("a", instance(id="1"))), strange), compare(strange, state())):
        for each in (*found.resources, *found.data_sources):
            assert isinstance(each.attributes(), tuple)
            assert isinstance(each.bookkeeping(), tuple)


def test_empty_states() -> None:
    assert compare(state(), state(serial=2)).is_empty
    assert compare(b'{"version": 4, "serial": 0}', state()).is_empty
    assert not compare(b'{"version": 4, "serial": 0}', state()).is_same_lineage


def test_of_thousands_only_what_differs_is_looked_at() -> None:
    many = [resource(f"r{number}", instance(id=str(number), text="x" * 50)) for number in range(3000)]
    changed = [*many[:1500], resource("r1500", instance(id="1500", text="y")), *many[1501:]]
    found = compare(state(*many), state(*changed))
    assert [each.address for each in found.resources] == ["t.r1500"]
    assert found.same_count == 2999


def test_the_collector_is_put_off_only_while_reading() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(StateUnreadable):
        compare(b"{", b"{")
    assert gc.isenabled()


def test_passwords_in_urls_are_not_shown() -> None:
    (changed,) = differences({"url": "mysql://root:s3cr3t@db:3306/x"}, {"url": "mysql://root:t0pp@db:3306/x y://a:1/@"})
    assert changed.lines() == (
        f"- url: mysql://root:{MASK}@db:3306/x",
        f"+ url: mysql://root:{MASK}@db:3306/x y://a:1/@",
    )
