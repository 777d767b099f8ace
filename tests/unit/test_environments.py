"""Environments side by side: what differs, what is missing, what nothing declares, and what runs; secrets stay masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infraconsole.checks.environments import (
    Comparison,
    Declared,
    Given,
    Line,
    Origin,
    Running,
    Standing,
    compare,
    compare_code,
    running_lines,
)
from infraconsole.redaction import MASK
from infraconsole.terraform.reader import read_tree

PLACES = ("dev", "prod")


def given(**values: Any) -> dict[str, Given]:
    return {name: Given(value, "line 1") for name, value in values.items()}


def line(found: Comparison, name: str) -> Line:
    return next(each for each in found.lines if each.name == name)


def test_what_is_missing_and_undeclared_comes_first() -> None:
    declared = {"a": Declared(), "b": Declared(), "c": Declared(has_default=True, default=1), "d": Declared()}
    found = compare(PLACES, declared, {"dev": given(a=1, b=1, d=1, x=1), "prod": given(a=1, b=2, c=1)})
    assert [(each.name, each.standing) for each in found.lines] == [
        ("d", Standing.MISSING),
        ("x", Standing.UNDECLARED),
        ("b", Standing.DIFFERS),
        ("a", Standing.SAME),
        ("c", Standing.SAME),
    ]
    assert line(found, "d").hint == "prod gives it no value, and it has no default."
    assert line(found, "c").sides["dev"].origin is Origin.DEFAULT
    assert line(found, "c").sides["prod"].origin is Origin.GIVEN


def test_a_default_that_another_environment_overrides_differs() -> None:
    found = compare(PLACES, {"c": Declared(has_default=True, default=1)}, {"dev": given(), "prod": given(c=2)})
    assert line(found, "c").standing is Standing.DIFFERS
    null = compare(PLACES, {"c": Declared(has_default=True, default=None)}, {"dev": given(), "prod": given()})
    assert line(null, "c").standing is Standing.SAME


def test_a_misspelled_name_is_recognised() -> None:
    found = compare(PLACES, {"desired_count": Declared()}, {"dev": given(desired_cout=1), "prod": given()})
    assert "Is desired_count meant?" in line(found, "desired_cout").hint
    assert line(found, "desired_count").standing is Standing.MISSING


def test_an_environment_without_variables_is_not_said_to_miss_each_of_them() -> None:
    found = compare(PLACES, {"a": Declared()}, {"dev": given(a=1), "prod": None})
    assert found.without_file == ("prod",)
    assert line(found, "a").standing is Standing.SAME
    assert line(found, "a").sides["prod"].origin is Origin.NO_FILE


def test_without_declarations_nothing_is_undeclared() -> None:
    found = compare(PLACES, {}, {"dev": given(a=1, b=1), "prod": given(a=1)})
    assert [each.standing for each in found.lines] == [Standing.DIFFERS, Standing.SAME]


def test_secrets_are_masked_and_still_compared() -> None:
    declared = {"db_password": Declared(), "opaque": Declared(sensitive=True), "settings": Declared()}
    values = {
        "dev": given(db_password="hunter2", opaque="clear-1", settings={"API_TOKEN": "hunter3", "size": 1}),
        "prod": given(db_password="hunter4", opaque="clear-1", settings={"API_TOKEN": "hunter3", "size": 1}),
    }
    found = compare(PLACES, declared, values)
    assert line(found, "db_password").standing is Standing.DIFFERS
    assert line(found, "opaque").standing is Standing.SAME
    assert line(found, "db_password").secret
    words = " ".join(side.words for each in found.lines for side in each.sides.values())
    assert "hunter" not in words
    assert "clear" not in words
    assert MASK in words
    assert '"size": 1' in line(found, "settings").sides["dev"].words
    assert "hunter" not in repr(found)


def test_true_is_not_one() -> None:
    found = compare(PLACES, {"a": Declared()}, {"dev": given(a=True), "prod": given(a=1)})
    assert line(found, "a").standing is Standing.DIFFERS


def test_what_runs_is_compared_with_what_the_variables_say() -> None:
    code = compare(
        PLACES,
        {"image_tag": Declared(), "ecs_task_cpu": Declared(has_default=True, default="512")},
        {"dev": given(image_tag="v1"), "prod": given(image_tag="v2")},
    )
    running = {
        "dev": Running("v1", "7", "512", "1024", 1, 1, "ecr/fileflow:v1"),
        "prod": Running("v1", "8", "1024", "1024", 0, 3, "ecr/fileflow:v1"),
    }
    lines = {each.name: each for each in running_lines(running, PLACES, code)}
    assert lines["image"].standing is Standing.DRIFTED
    assert lines["image"].sides["prod"].note == "the variables say v2"
    assert lines["image"].sides["dev"].note == ""
    assert lines["cpu"].hint.startswith("prod runs 1024, the variables say 512")
    assert lines["memory"].standing is Standing.SAME
    assert lines["tasks"].sides["prod"].words == "0 of 3"
    alone = {each.name: each for each in running_lines({"dev": running["dev"], "prod": None}, PLACES, None)}
    assert alone["image"].sides["prod"].origin is Origin.UNKNOWN
    assert alone["image"].standing is Standing.SAME


def test_from_the_code(tmp_path: Path) -> None:
    root = tmp_path / "terraform"
    files = {
        "variables.tf": """
variable "image_tag" {
  description = "Tag of the image"
  type        = string
}

variable "key" {
  sensitive = true
  default   = "clear-default"
}

variable "sizes" {
  default = { a = 1 }
}
""",
        "main.tf": 'module "inner" {\n  source = "./inner"\n}\n',
        "inner/variables.tf": 'variable "of_the_inner_module" {}\n',
        "common.auto.tfvars": 'sizes = { a = 2 }\nimage_tag = "v0"\n',
        "environments/dev/terraform.tfvars": 'image_tag = "v1"\nwrong = 1\n',
        "environments/prod/terraform.tfvars": 'image_tag = "v2"\n',
        "environments/broken/terraform.tfvars": 'image_tag = "v2\n',
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    found = compare_code(read_tree(root, tmp_path / "cache"), ("dev", "prod", "staging"))
    assert {each.name: each.standing for each in found.lines} == {
        "wrong": Standing.UNDECLARED,
        "image_tag": Standing.DIFFERS,
        "key": Standing.SAME,
        "sizes": Standing.SAME,
    }
    image = line(found, "image_tag")
    assert image.description == "Tag of the image"
    assert (image.sides["dev"].words, image.sides["prod"].words) == ("v1", "v2")
    assert line(found, "sizes").sides["dev"].words == '{"a": 2}'
    assert line(found, "key").sides["dev"].words == MASK
    assert found.without_file == ("staging",)
    assert len(found.problems) == 1
    assert "broken" in found.problems[0]


def test_code_without_a_root_module(tmp_path: Path) -> None:
    found = compare_code(read_tree(tmp_path, tmp_path / "cache"), PLACES)
    assert found.lines == ()
    assert found.without_file == PLACES


def test_values_are_compared_as_terraform_takes_them(tmp_path: Path) -> None:
    code = (
        'variable "port" { type = string }\n'
        'variable "zones" { type = set(string) }\n'
        'variable "about" { type = object({ size = number, kind = optional(string, "usual") }) }\n'
        'variable "tag" {\n  default = "x"\n  nullable = false\n}\n'
        'variable "any" {}\n'
        'variable "wrong" { type = number }\n'
        'variable "cpu" { type = number }\n'
    )
    (tmp_path / "main.tf").write_text(code)
    for name, text in {
        "dev": 'port = 80\nzones = ["b", "a"]\nabout = { size = "1" }\ntag = null\nany = 1\nwrong = "x"\ncpu = "512"\n',
        "prod": 'port = "80"\nzones = ["a", "b", "a"]\nabout = { size = 1, kind = "usual", odd = 2 }\nany = "1"\nwrong = "y"\n'
        "cpu = 512\n",
    }.items():
        (tmp_path / "environments" / name).mkdir(parents=True)
        (tmp_path / "environments" / name / "terraform.tfvars").write_text(text)
    found = compare_code(read_tree(tmp_path, tmp_path / "cache"), PLACES)
    assert {each.name: each.standing for each in found.lines} == {
        "port": Standing.SAME,
        "zones": Standing.SAME,
        "about": Standing.SAME,
        "tag": Standing.SAME,
        "cpu": Standing.SAME,
        "any": Standing.DIFFERS,
        "wrong": Standing.DIFFERS,
    }
    assert line(found, "zones").sides["dev"].words != line(found, "zones").sides["prod"].words, "shown as written"
    assert found.values["dev"]["cpu"] == 512
