"""Parameters read out of Terraform states, in the form that Terraform 1.x and the AWS provider 5.x write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infraconsole.terraform.state import StateUnreadable
from infraconsole.terraform.state_exports import exports_in_state


def instance(name: str, value: str | None = "vpc-1", kind: str = "String", **more: Any) -> dict[str, Any]:
    attributes = {"name": name, "type": kind, "value": value, "insecure_value": None, "version": 1, "tier": "Standard"}
    inside = {key: more.pop(key) for key in ("version", "insecure_value") if key in more}
    marks = [[{"type": "get_attr", "value": "value"}]]
    return {"schema_version": 0, "attributes": {**attributes, **inside}, "sensitive_attributes": marks, **more}


def resource(label: str, *instances: Any, **more: Any) -> dict[str, Any]:
    provider = 'provider["registry.terraform.io/hashicorp/aws"]'
    known = {"mode": "managed", "type": "aws_ssm_parameter", "name": label, "provider": provider}
    return {**known, "instances": list(instances), **more}


def state(*resources: Any) -> bytes:
    document = {"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "l", "outputs": {}}
    return json.dumps({**document, "resources": list(resources), "check_results": None}).encode()


def test_a_plain_parameter() -> None:
    found = exports_in_state(state(resource("vpc_id", instance("/shared/network/vpc-id", version=4))))
    export = found["/shared/network/vpc-id"]
    assert (export.type, export.value, export.version) == ("String", "vpc-1", 4)
    assert export.address == "aws_ssm_parameter.vpc_id"
    assert not export.is_sensitive
    assert "vpc-1" not in repr(export)


def test_modules_count_and_for_each() -> None:
    found = exports_in_state(
        state(
            resource(
                "subnets",
                instance("/shared/network/public-subnet-ids", index_key="public"),
                instance("/shared/network/data-subnet-ids", index_key="data"),
                module='module.network["seoul"]',
                each="map",
            ),
            resource("key", instance("/a/0", index_key=0), instance("/a/1", index_key=1), each="list"),
        )
    )
    assert [export.address for export in found.values()] == [
        'module.network["seoul"].aws_ssm_parameter.subnets["public"]',
        'module.network["seoul"].aws_ssm_parameter.subnets["data"]',
        "aws_ssm_parameter.key[0]",
        "aws_ssm_parameter.key[1]",
    ]


def test_a_secure_string_keeps_its_value_to_itself() -> None:
    export = exports_in_state(state(resource("s", instance("/s", "hunter2", "SecureString"))))["/s"]
    assert export.is_sensitive
    assert export.value is None
    assert "hunter2" not in repr(export)


def test_an_insecure_value_is_the_value() -> None:
    found = exports_in_state(state(resource("v", instance("/v", None, insecure_value="vpc-2"))))
    assert found["/v"].value == "vpc-2"


def test_data_sources_other_resources_and_deposed_instances_are_left_out() -> None:
    found = exports_in_state(
        state(
            resource("read", instance("/read"), mode="data"),
            resource("doc", instance("/doc"), type="aws_ssm_document"),
            resource("old", instance("/new"), instance("/old", deposed="0a1b2c3d")),
        )
    )
    assert list(found) == ["/new"]


def test_what_is_odd_inside_is_passed_over() -> None:
    odd = resource("odd", {"attributes": None}, {"attributes": {"name": 3}}, "no instance", {})
    found = exports_in_state(state(odd, resource("v", instance("/v", version=None)), {"mode": "managed"}))
    assert list(found) == ["/v"]
    assert found["/v"].version == 0


def test_of_two_writers_the_last_counts() -> None:
    found = exports_in_state(state(resource("a", instance("/v", "1")), resource("b", instance("/v", "2"))))
    assert found["/v"].address == "aws_ssm_parameter.b"


def test_a_state_without_resources() -> None:
    assert exports_in_state(state()) == {}
    assert exports_in_state(b'{"version": 4, "serial": 0, "resources": null}') == {}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b'{"version": 4, "ser', "is cut off"),
        (b"<html>", "is not JSON"),
        (b'{"version": 3, "serial": 1}', "state format 3"),
        (state({**resource("x"), "instances": 3}), "list of instances"),
    ],
)
def test_what_is_no_state_is_named(data: bytes, words: str) -> None:
    with pytest.raises(StateUnreadable, match=r"network/terraform\.tfstate") as caught:
        exports_in_state(data, "network/terraform.tfstate")
    assert words in caught.value.title
