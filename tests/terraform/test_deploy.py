"""Deploys of code that needs no provider, as a script runs them: what is applied, what is refused, and what is said."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infraconsole.redaction import MASK
from infraconsole.terraform import backend, binary
from tests.terraform.conftest import BOTH, DEV, FIRST, HEAD, PLAIN, VARIABLES, Site, client, data

pytestmark = pytest.mark.slow

TYPED = ("--answer", "type-target=plain-dev")


@BOTH
def test_a_first_deploy_makes_everything_and_a_second_finds_nothing_to_do(site: Site) -> None:
    done = site.deploy()
    assert done.code == 0, done.stderr
    assert site.values() == {"first": "one", "second": "build-1"}
    assert site.lock() is None
    assert "There is no state at" in done.warnings
    serial = site.serial
    again = site.deploy()
    assert again.code == 0, again.stderr
    assert again.result("read-plan")["words"] == "nothing to do"
    assert again.count("call-intended") == again.count("gate-opened") == 0
    assert site.serial == serial


def test_an_image_and_its_target_given_by_hand_are_deployed_alone_and_said_to_be_so(site: Site) -> None:
    site.seed(first="old", second="build-1")
    chosen = ("--set", "image_tag=build-2", "--set", "targets=terraform_data.second")
    unnamed = site.deploy(*DEV, *chosen)
    assert unnamed.code == 3, unnamed.stderr
    assert site.values() == {"first": "old", "second": "build-1"}
    done = site.deploy(*TYPED, *chosen)
    assert done.code == 0, done.stderr
    assert site.values() == {"first": "old", "second": "build-2"}
    assert "aimed at targets" in done.warnings
    notes = [each["text"] for each in done.events if each["kind"] == "note"]
    assert any("image_tag was given by hand" in note for note in notes)


@BOTH
def test_a_dry_run_applies_nothing_and_takes_no_lock(site: Site) -> None:
    before = site.seed(first="old")
    seen = max(call["seq"] for call in site.world.calls())
    done = site.deploy("--dry-run")
    assert done.code == 0, done.stderr
    assert done.result("read-plan")["words"] == "1 to create, 1 to update"
    assert [each["step"] for each in done.events if each["kind"] == "step-skipped"] == ["apply"]
    assert done.count("call-intended") == 0
    assert site.versions() == [before]
    assert site.lock() is None
    sent = {call["operation"] for call in site.world.calls(since=seen)}
    assert not {each for each in sent if each.startswith(("Put", "Delete", "Update", "Create"))}, sent


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ('resource "terraform_data" "first" {\n  input = var.vlaue\n}\n', "undeclared input variable"),
        ('resource "terraform_data" "first" {\n  inputs = "x"\n}\n', "Unsupported argument"),
        ('resource "terraform_data" "first" {\n  input = \n}\n', "Invalid expression"),
    ],
)
def test_code_that_is_wrong_is_named_with_file_and_line_before_anything_is_locked(
    site: Site, wrong: str, words: str
) -> None:
    site.write(f"{HEAD}{wrong}")
    seen = max(call["seq"] for call in site.world.calls())
    done = site.deploy()
    assert done.code == 1, done.stderr
    said = " ".join(done.stderr.split())
    assert words in said
    assert "main.tf:6" in said or "on main.tf line 6" in said
    assert site.world.calls("dynamodb", "PutItem", seen) == []


def test_an_environment_without_variables_is_named_with_those_that_have_some(site: Site) -> None:
    (site.root / "environments/dev/terraform.tfvars").unlink()
    done = site.deploy()
    assert done.code == 5
    assert "dev/terraform.tfvars does not exist; there are prod" in done.stderr


def test_an_environment_that_the_configuration_does_not_know(site: Site) -> None:
    done = site.deploy(environment="dve")
    assert (done.code, done.events) == (2, [])
    assert "There is no environment 'dve'" in done.stderr
    assert "Did you mean dev" in done.stderr


def test_a_service_without_code(site: Site) -> None:
    site.write_settings(path=False)
    done = site.deploy()
    assert done.code == 5
    assert "services.plain" in done.stderr
    site.write_settings()
    site.main.unlink()
    done = site.deploy()
    assert done.code == 5
    assert "There is no Terraform code in" in done.stderr


def test_a_state_that_could_not_be_stored_blocks_every_deploy_of_that_folder(site: Site) -> None:
    left = site.root / backend.ERRORED_STATE
    left.write_text("{}")
    before = site.seed(first="old")
    done = site.deploy()
    assert done.code == 1
    assert str(left) in done.stderr
    assert "infraconsole run state-recover --service plain --env dev" in done.stderr
    assert site.versions() == [before]


def test_what_is_not_committed_or_formatted_is_said(site: Site) -> None:
    site.seed(first="one", second="build-1")
    site.write(PLAIN.replace("  input = var.value", "  input    =    var.value"))
    done = site.deploy("--dry-run")
    assert done.code == 0, done.stderr
    assert "Not committed: " in done.warnings
    assert "Not formatted: main.tf" in done.warnings


def test_the_gate_says_that_what_is_deployed_is_in_no_commit(site: Site) -> None:
    site.write(f"{PLAIN}# more\n")
    done = site.deploy()
    (opened,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert "with changed files" in opened["changes"][0]


def test_without_an_answer_nothing_is_applied(site: Site) -> None:
    before = site.seed(first="one", second="build-0")
    done = site.deploy("--set", "image_tag=build-1")
    assert done.code == 3
    assert "--answer confirm=" in done.stderr
    assert (site.versions(), site.lock()) == ([before], None)


def test_destroying_needs_the_typed_name_even_where_a_yes_is_enough(site: Site) -> None:
    before = site.seed(first="one", second="build-1", third="x")
    refused = site.deploy()
    assert refused.code == 3, refused.stderr
    assert "--answer type-target=" in refused.stderr
    assert site.versions() == [before]
    done = site.deploy(*TYPED)
    assert done.code == 0, done.stderr
    (opened,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert opened["irreversible"] == ["terraform_data.third is destroyed"]
    assert site.values() == {"first": "one", "second": "build-1"}


def test_a_replacement_of_what_holds_nothing_is_a_change_like_any_other(site: Site) -> None:
    site.seed(first="one", second="build-1")
    site.write_vars("dev", value="one", trigger="b")
    done = site.deploy()
    assert done.code == 0, done.stderr
    shown = [each["gate"]["changes"] for each in done.events if each["kind"] == "gate-opened"]
    assert any("-/+ terraform_data.second  forced by triggers_replace" in line for line in shown[0])


def test_a_change_of_outputs_alone_is_a_change(site: Site) -> None:
    site.seed(first="one", second="build-1")
    site.write(f'{PLAIN}output "said" {{\n  value = "hello"\n}}\n')
    done = site.deploy()
    assert done.code == 0, done.stderr
    assert done.result("read-plan")["words"] == "1 output"
    assert site.state()["outputs"]["said"]["value"] == "hello"


def test_variables_are_those_of_the_environment(site: Site) -> None:
    site.write_vars("prod", value="of prod")
    site.write_vars("dev", value="of dev")
    site.commit()
    assert site.deploy().code == 0
    assert site.values()["first"] == "of dev"
    assert site.stored("prod") == b""


PROD = (
    *("--answer", "approve=platform-lead:CHG-7", "--answer", "approve=cto:CHG-7"),
    *("--answer", "type-target=plain-prod"),
)


def closed_window() -> str:
    """One that is not open now, nor soon."""
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a")
    return f'window = "{day} 10:00-11:00 UTC"\n'


def test_prod_outside_its_window_needs_a_reason_two_approvals_and_the_typed_name(site: Site) -> None:
    site.write_settings(prod=closed_window())
    site.seed("prod", first="old", second="build-1")
    before = site.stored("prod")
    for answers, gate in (
        ((), "reason"),
        (("--set", "reason=the site is down"), "approve"),
        (("--set", "reason=the site is down", *PROD[:4]), "type-target"),
    ):
        refused = site.deploy("--set", "image_tag=b", *answers, environment="prod")
        assert refused.code == 3, refused.stderr
        assert f"--answer {gate}=" in refused.stderr
    assert site.stored("prod") == before
    done = site.deploy("--answer", "reason=the site is down", *PROD, environment="prod")
    assert done.code == 0, done.stderr
    answered = [(each["gate"], each["value"]) for each in done.events if each["kind"] == "gate-answered"]
    assert answered == [
        ("reason", "the site is down"),
        ("approve", "platform-lead:CHG-7"),
        ("approve", "cto:CHG-7"),
        ("type-target", "plain-prod"),
    ]
    assert site.values("prod") == {"first": "one", "second": "build-1"}


def test_nobody_approves_an_own_deploy(site: Site) -> None:
    site.write_settings(prod=closed_window())
    reason = ("--set", "reason=the site is down")
    done = site.deploy(*reason, *PROD, environment="prod", INFRACONSOLE_OPERATOR="cto")
    assert done.code == 3, done.stderr
    assert "cto runs this and cannot approve it" in done.stderr
    assert site.stored("prod") == b""


def test_inside_the_window_no_reason_is_asked_for(site: Site) -> None:
    site.write_settings(prod='window = "Mon-Sun 00:00-23:59 UTC"\napprovers = []\n')
    site.seed("prod", first="old", second="build-1")
    done = site.deploy(*PROD[4:], environment="prod")
    assert done.code == 0, done.stderr


def test_what_a_script_types_for_every_deploy_of_prod_does_not_open_one_that_destroys(site: Site) -> None:
    site.write_settings(prod='window = "Mon-Sun 00:00-23:59 UTC"\napprovers = []\n')
    site.seed("prod", first="one", second="build-1", third="x")
    before = site.stored("prod")
    refused = site.deploy(*PROD[4:], environment="prod")
    assert (refused.code, site.stored("prod")) == (3, before)
    assert "--answer type-danger=" in refused.stderr
    assert site.deploy(*PROD[4:], "--answer", "type-danger=plain-prod", environment="prod").code == 0
    assert site.values("prod") == {"first": "one", "second": "build-1"}


def test_an_image_or_a_target_that_is_none_is_refused(site: Site) -> None:
    site.seed(first="old", second="build-1")
    for tag in ("", " ", "v1 2", "$(id)", "-1", "x" * 129):
        refused = site.deploy("--set", f"image_tag={tag}", *DEV)
        assert (refused.code, refused.events) == (2, []), tag
    nowhere = site.deploy("--set", "targets=terraform_data.frist", *DEV)
    assert nowhere.code == 2
    assert "There is nothing at terraform_data.frist" in nowhere.stderr
    assert site.values()["first"] == "old"


def test_what_nobody_else_can_see_stands_in_the_gate(site: Site, tmp_path: Path) -> None:
    site.seed(first="old", second="build-1")

    def warned(*more: str) -> str:
        done = site.deploy("--set", "targets=terraform_data.first", *more)
        (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
        return "\n".join(line for line in gate["changes"] if line.startswith("Warning: "))

    refusal = ("--answer", "type-target=no")
    assert "ommit" not in warned(*refusal)
    site.main.write_text(f"{site.main.read_text()}\n# edited\n")
    assert "Not committed: " in warned(*refusal)
    site.commit()
    site.git("init", "--quiet", "--bare", str(tmp_path / "upstream"))
    site.git("remote", "add", "origin", str(tmp_path / "upstream"))
    site.git("push", "--quiet", "--set-upstream", "origin", "main")
    assert "ommit" not in warned(*refusal)
    site.commit("Another")
    assert "1 commit is not pushed" in warned(*refusal)
    shutil.rmtree(site.root / ".git")
    assert "in no git repository" in warned(*refusal)


SECRETS = ("hunter2-old-secret", "correct-horse-battery")


def test_a_secret_is_nowhere_but_in_files_that_only_the_operator_can_read(site: Site) -> None:
    old, new = SECRETS
    variable = 'variable "password" {\n  type      = string\n  sensitive = true\n}\n\n'
    said = '  provisioner "local-exec" {\n    command = "echo made with ${self.input}; echo again >&2"\n  }\n'
    replaced = f"  triggers_replace = [var.password]\n{said}"
    site.write(f"{HEAD}{variable}{VARIABLES}{FIRST}{data('secret', 'var.password', replaced)}")
    site.commit()
    runs = []
    for value in (old, new):
        done = site.deploy(TF_VAR_password=value)
        assert done.code == 0, done.stderr
        runs.append(done.run)
        assert not any(secret in f"{done.events}{done.stderr}" for secret in SECRETS)
    assert site.values()["secret"] == new
    for run in runs:
        markdown = site.console("journal", run, "--markdown")
        assert markdown.returncode == 0
        assert "terraform:apply succeeded" in markdown.stdout
        assert not any(secret in markdown.stdout for secret in SECRETS)
    for file in site.folder.rglob("*"):
        if file.is_file() and any(secret.encode() in file.read_bytes() for secret in SECRETS):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
            assert file.is_relative_to(site.folder / "runs"), file
            assert "journal" not in file.name


def test_a_password_in_a_url_is_as_secret(site: Site) -> None:
    alone = '${split("@", split(":", self.input)[2])[0]}'
    echo = f"""  provisioner "local-exec" {{\n    command = "echo 'made with ${{self.input}} and {alone}'"\n  }}\n"""
    said = f"  triggers_replace = [var.url]\n{echo}"
    site.write(f'{HEAD}variable "url" {{}}\n\n{VARIABLES}{FIRST}{data("url", "var.url", said)}')
    site.commit()
    for password in SECRETS:
        done = site.deploy(TF_VAR_url=f"mysql://root:{password}@db/x")
        assert done.code == 0, done.stderr
        assert not any(secret in f"{done.events}{done.stderr}" for secret in SECRETS)
    assert f"mysql://root:{MASK}@db/x" in f"{done.result('read-plan')['lines']}"
    assert f"made with mysql://root:{MASK}@db/x and {MASK}" in f"{done.events}"


def test_the_code_of_one_environment_does_not_touch_another_one_s_setup(site: Site) -> None:
    """One root for all environments: what `init` set up for prod is not what a deploy of dev works with."""
    site.write_settings(prod='window = "Mon-Sun 00:00-23:59 UTC"\napprovers = []\n')
    site.seed("prod", first="old", second="build-1")
    site.write_vars("prod", value="of prod")
    assert site.deploy(*PROD[4:], environment="prod").code == 0
    assert site.deploy().code == 0
    again = site.deploy(*PROD[4:], environment="prod")
    assert again.result("read-plan")["words"] == "nothing to do"
    assert again.result("init")["why"] == ""
    assert (site.values("prod")["first"], site.values()["first"]) == ("of prod", "one")
    assert not (site.root / ".terraform").exists()


@pytest.mark.parametrize(("name", "code"), [("function.zip", 0), ("main.tf", 1)])
def test_files_that_a_plan_leaves_do_not_void_it_and_edited_code_does(site: Site, name: str, code: int) -> None:
    """An archive is made while the plan is; a Terraform that writes into the root stands for that, and for an editor."""
    tool = site.settings.with_name("terraform.sh")
    writes = f"case $1 in plan) echo '# x' >> '{site.root / name}';; esac"
    tool.write_text(f'#!/bin/sh\n{writes}\nexec {shlex.join(binary.find(site.environ).argv)} "$@"\n')
    tool.chmod(0o755)
    done = site.deploy(INFRACONSOLE_TERRAFORM=str(tool))
    assert done.code == code, done.stderr
    assert ("The code changed while the plan was made" in done.stderr) is (code == 1)
    assert bool(site.stored()) is (code == 0)


def test_what_infracost_says_stands_in_the_gate(site: Site, tmp_path: Path) -> None:
    site.keep_files()
    site.seed(first="old", second="build-1")
    tool = tmp_path / "bin/infracost"
    tool.parent.mkdir()
    said = {"currency": "USD", "totalMonthlyCost": "20", "diffTotalMonthlyCost": "12.3"}
    tool.write_text(f"#!/bin/sh\ngrep -q resource_changes \"$3\" && echo '{json.dumps(said)}'\n")
    tool.chmod(0o755)
    done = site.deploy(PATH=f"{tool.parent}:{os.environ['PATH']}")
    assert done.code == 0, done.stderr
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert "Cost: infracost: +12.30 USD a month" in gate["changes"]
    kept = site.folder / "runs" / done.run / "cost.json"
    assert (json.loads(kept.read_bytes()), stat.S_IMODE(kept.stat().st_mode)) == (said, 0o600)


@pytest.mark.parametrize(
    ("left", "said"),
    [(None, "The state was deleted."), (b"", "The stored state is empty."), (b'{"version": 4, "seri', "is cut off")],
    ids=["deleted", "empty", "cut-off"],
)
def test_a_state_that_was_lost_is_no_beginning(site: Site, left: bytes | None, said: str) -> None:
    """Terraform would take what is deleted or empty for one, and make everything a second time."""
    assert site.deploy().code == 0
    if left is None:
        client(site.world, "s3").delete_object(Bucket=site.bucket(), Key=site.key)
    else:
        site.put(left)
    done = site.deploy()
    assert (done.code, done.count("gate-opened"), done.count("call-intended")) == (1, 0, 0)
    assert said in done.stderr
    assert "infraconsole run state-undelete --service plain --env dev" in done.stderr


def test_a_first_deploy_asks_for_the_typed_name(site: Site) -> None:
    refused = site.run("deploy", *DEV)
    assert (refused.code, refused.count("call-intended")) == (3, 0)
    (gate,) = [each["gate"] for each in refused.events if each["kind"] == "gate-opened"]
    assert any("The state has no resources, so everything (2) is created." in line for line in gate["changes"])
    assert site.run("deploy", *DEV, "--answer", "type-target=plain-dev").code == 0
