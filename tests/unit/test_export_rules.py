"""The table of exports: the guide's lines, a team's own over them, and complaints about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraconsole import config, naming
from infraconsole.checks.export_rules import TARGETS, TIERS, TYPES, ExportRules, load_rules
from infraconsole.errors import ConfigError


def rules(tmp_path: Path, content: str = "") -> ExportRules:
    file = tmp_path / "infraconsole.toml"
    file.write_text(content)
    return load_rules(config.load(file))


def test_the_guides_table_asks_for_what_the_guide_asks_for(tmp_path: Path) -> None:
    expected = rules(tmp_path).expected(["fileflow"], ["prod"])
    required = tuple(match.name for match in expected if match.rule.required == "always")
    together = tuple(match.name for match in expected if match.rule.required == "together")
    assert required == naming.required_exports("fileflow")
    assert together == naming.rds_exports("prod")
    assert [match.name for match in expected if match.rule.required == "never"] == [
        "/shared/ecr/fileflow-repository-arn"
    ]


def test_every_line_is_whole_and_its_example_fits(tmp_path: Path) -> None:
    for rule in rules(tmp_path).rules:
        assert rule.type in TYPES
        assert rule.why.endswith(".")
        assert rule.owner
        assert rule.shape is not None
        assert rule.shape.fits(rule.shape.example)
        assert not rule.shape.fits(rule.shape.example + " ")
        assert rule.points_at in TARGETS or rule.detail in (*TIERS, *naming.KMS_KINDS)


@pytest.mark.parametrize(
    ("name", "template", "owner", "service", "environment"),
    [
        ("/shared/network/vpc-id", "network/vpc-id", "network", "", ""),
        ("/shared/ecr/web-api-repository-url", "ecr/{service}-repository-url", "ecr/web-api", "web-api", ""),
        ("/shared/rds/prod-dr/identifier", "rds/{env}/identifier", "rds", "", "prod-dr"),
    ],
)
def test_names_find_their_line(
    tmp_path: Path, name: str, template: str, owner: str, service: str, environment: str
) -> None:
    table = rules(tmp_path)
    match = table.match(name)
    assert match is not None
    assert (match.rule.template, match.owner) == (template, owner)
    assert (match.service, match.environment) == (service, environment)
    assert table.rule_for(name) is match.rule
    assert table.owner(name) == owner


@pytest.mark.parametrize(
    "name",
    [
        "/shared/network/vpc-id/",
        "/shared/network/VPC-ID",
        "/shared/ecr/-repository-url",
        "/shared/ecr/a/b-repository-url",
        "/other/network/vpc-id",
        "/shared/rds/prod/endpoint\n",
        "",
    ],
)
def test_other_names_find_none(tmp_path: Path, name: str) -> None:
    table = rules(tmp_path)
    assert table.rule_for(name) is None
    assert table.owner(name) is None


def test_another_root(tmp_path: Path) -> None:
    table = rules(tmp_path, 'export_root = "/company.x/shared"')
    assert table.owner("/company.x/shared/network/vpc-id") == "network"
    assert table.owner("/company.x/shared/ecr/a-repository-url") == "ecr/a"
    assert table.owner("/company-x/shared/ecr/a-repository-url") is None
    assert all(match.name.startswith("/company.x/shared/") for match in table.expected(["a"], ["dev"]))


@pytest.mark.parametrize(
    ("services", "environments", "count"),
    [([], [], 11), (["a"], [], 13), ([], ["dev"], 15), (["a", "b"], ["x", "y"], 23)],
)
def test_expected_names(tmp_path: Path, services: list[str], environments: list[str], count: int) -> None:
    names = [match.name for match in rules(tmp_path).expected(services, environments)]
    assert len(names) == len(set(names)) == count


# The team's own


def test_a_new_export_with_defaults(tmp_path: Path) -> None:
    rule = rules(tmp_path, '[[exports]]\nname = "acm/{env}/certificate-arn"').rule_for(
        "/shared/acm/dev/certificate-arn"
    )
    assert rule is not None
    assert (rule.type, rule.shape, rule.points_at, rule.required) == ("String", None, "none", "never")
    assert (rule.owner, rule.why) == ("acm", "")


def test_a_new_export_in_full(tmp_path: Path) -> None:
    table = rules(
        tmp_path,
        """
        [[exports]]
        name = "cache/{service}/{env}/nodes"
        type = "StringList"
        shape = "/[a-z0-9.-]+:6379/"
        points_at = "none"
        required = true
        owner = "cache/{service}"
        why = "Where Redis answers."
        """,
    )
    match = table.match("/shared/cache/fileflow/prod/nodes")
    assert match is not None
    assert (match.service, match.environment, match.owner) == ("fileflow", "prod", "cache/fileflow")
    assert match.rule.shape is not None
    assert match.rule.shape.fits("redis.internal:6379")
    assert not match.rule.shape.fits("redis.internal:6379,")
    assert len([one for one in table.expected(["a", "b"], ["x", "y"]) if one.folder.startswith("/shared/cache/")]) == 4


def test_a_line_of_the_guides_is_changed_where_it_says_so(tmp_path: Path) -> None:
    table = rules(tmp_path, '[[exports]]\nname = "rds/{env}/endpoint"\nrequired = false\npoints_at = "none"')
    rule = table.rule_for("/shared/rds/dev/endpoint")
    assert rule is not None
    assert (rule.required, rule.points_at, rule.owner) == ("never", "none", "rds")
    assert rule.shape is not None
    assert rule.shape.name == "host-and-port"
    assert len(table.rules) == len(rules(tmp_path).rules)


def test_one_environment_or_service_is_told_apart_from_the_others(tmp_path: Path) -> None:
    table = rules(
        tmp_path,
        '[[exports]]\nname = "rds/prod/endpoint"\nrequired = true\n'
        '[[exports]]\nname = "ecr/fileflow-repository-arn"\nrequired = true\n',
    )
    prod, dev = table.match("/shared/rds/prod/endpoint"), table.match("/shared/rds/dev/endpoint")
    assert prod is not None
    assert dev is not None
    assert (prod.rule.required, prod.rule.points_at, prod.environment) == ("always", "rds-endpoint", "prod")
    assert dev.rule.required == "together"
    assert table.owner("/shared/ecr/fileflow-repository-arn") == "ecr/fileflow"
    assert len(table.expected(["fileflow"], ["dev", "prod"])) == 21, "no name twice"


def test_further_kinds_of_keys(tmp_path: Path) -> None:
    rule = rules(tmp_path, '[[exports]]\nname = "kms/efs-key-arn"\npoints_at = "kms:efs"').rule_for(
        "/shared/kms/efs-key-arn"
    )
    assert rule is not None
    assert (rule.target, rule.detail) == ("kms", "efs")


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ('type = "Strings"', "exports[1].type", "String, StringList, SecureString; found 'Strings'"),
        ('shape = "vpcid"', "exports[1].shape", "vpc-id, subnet-id"),
        ('shape = "/[/"', "exports[1].shape", "a regular expression (unterminated"),
        ('points_at = "kms:"', "exports[1].points_at", "kms:<kind>"),
        ('points_at = "subnets:cache"', "exports[1].points_at", "subnets:public"),
        ('points_at = "VPC"', "exports[1].points_at", "found 'VPC'"),
        ('owner = "ecr/{service}"', "exports[1].owner", "placeholders that are in the name"),
    ],
)
def test_a_wrong_line_names_file_key_expectation_and_finding(tmp_path: Path, line: str, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(tmp_path, f'[[exports]]\nname = "a/b"\n{line}')
    said = str(caught.value)
    assert f"infraconsole.toml: {key} is wrong" in said
    assert words in said


@pytest.mark.parametrize("name", ["rds/{environment}/x", "a/{}", "a/{service}/{service}", "a/{service", "a/service}"])
def test_wrong_placeholders(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"exports\[1\]\.name is wrong"):
        rules(tmp_path, f'[[exports]]\nname = "{name}"')


def test_the_same_export_twice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"exports\[2\]\.name is wrong"):
        rules(tmp_path, '[[exports]]\nname = "a/b"\n[[exports]]\nname = "a/b"')
