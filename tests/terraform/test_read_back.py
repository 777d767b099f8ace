"""Applies whose stored state is not what Terraform said: killed at every point, and two at once without a lock. What is in no state
is named, and shown by every later plan until the state has it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infraconsole.engine.history import RunRecord
from tests.terraform.conftest import DEV, HEAD, SERVICE, VARIABLES, Done, Site, SiteFactory, data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

YES = [("confirm", "yes"), ("type-target", f"{SERVICE}-dev")]
ANSWERS = (*DEV, *(f"--answer={gate}={SERVICE}-dev" for gate in ("type-target", "type-danger")))


def record_folder(site: Site, run: str) -> Path:
    return max((site.folder / "runs" / run).glob("*-apply"))


def said(site: Site, run: str) -> list[dict[str, Any]]:
    """Terraform's events of the apply of that run so far, as far as they are whole."""
    found = []
    for line in (record_folder(site, run) / "stdout").read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def made(site: Site, run: str) -> dict[str, str]:
    """Address → id of what Terraform says it made."""
    hooks = [each["hook"] for each in said(site, run) if each["type"] == "apply_complete"]
    return {hook["resource"]["addr"]: hook["id_value"] for hook in hooks if hook["action"] != "delete"}


def has_begun(site: Site, run: str) -> bool:
    folders = list((site.folder / "runs" / run).glob("*-apply/pid"))
    return bool(folders)


def kill(site: Site, run: str, *names: str) -> None:
    for name in names:
        os.kill(int((record_folder(site, run) / name).read_text().split()[0]), signal.SIGKILL)


BOTH = ("supervisor", "pid")
WHO = pytest.mark.parametrize("who", [("pid",), BOTH], ids=["terraform", "both"])


def three(site: Site) -> None:
    """Beside one that is there: one that is made, one that waits for `go`, one after it."""
    site.seed(kept="one")
    slow = site.waiting("slow", "terraform_data.a.id")
    site.write(f"{HEAD}{VARIABLES}{data('kept')}{data('a')}{slow}{data('after', 'terraform_data.slow.id')}")


def pair(site: Site) -> None:
    site.write(f"{HEAD}{VARIABLES}{data('a')}{data('b', 'terraform_data.a.id')}")


def follow_ups(site: Site) -> list[dict[str, Any]]:
    return list(json.loads(site.console("journal", "--json").stdout)["follow_ups"])


def gate_of(done: Done, gate: str) -> list[str]:
    """What the gate showed."""
    found = [each["gate"] for each in done.events if each["kind"] == "gate-opened" and each["gate"]["id"] == gate]
    assert found, done.stderr
    return list(found[-1]["changes"])


def unlock(site: Site) -> None:
    if site.lock():
        done = site.run("state-unlock", "--answer", f"type-target={SERVICE}-dev")
        assert done.code == 0, done.stderr


def ids(site: Site) -> set[str]:
    """Of all that the stored state has."""
    if not site.stored():
        return set()
    return {one["attributes"]["id"] for each in site.state()["resources"] for one in each["instances"]}


def cut_off(site: Site, run: str) -> RunRecord:
    record = site.finished(run)
    assert record.outcome == "failed"
    assert "The apply was cut off." in record.ending
    return record


# Killed


@WHO
def test_killed_before_the_first_resource_leaves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, who: tuple[str, ...]
) -> None:
    pair(site)
    run = site.start(monkeypatch, answers=YES, kill="hold:call-intended:apply")
    site.until(lambda: site.events(run, "call-intended"), "the intent")
    site.world.fault("throttle", "dynamodb", "PutItem")
    (site.folder / "go").touch()
    site.until(lambda: has_begun(site, run), "terraform")
    kill(site, run, *who)
    site.world.clear_faults()
    record = cut_off(site, run)
    assert "in no state" not in record.ending
    assert "The stored state: serial 0, as before the apply." in record.ending
    assert site.stored() == b""
    assert follow_ups(site) == []


@WHO
def test_killed_between_resources_names_what_is_in_no_state_until_the_state_has_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, who: tuple[str, ...]
) -> None:
    three(site)
    run = site.start(monkeypatch, answers=YES)
    site.until_applying(run)
    id_ = made(site, run)["terraform_data.a"]
    kill(site, run, *who)
    record = cut_off(site, run)
    site.go.touch()
    assert f"Made, and in no state: terraform_data.a (terraform_data, id {id_})." in record.ending
    assert "may exist, and is in no state: terraform_data.slow." in record.ending
    assert "What was made is in the state" not in record.ending
    lock = site.lock()
    assert lock
    assert lock.id in record.ending
    assert "infraconsole run state-unlock --service plain --env dev" in record.ending
    [kept] = follow_ups(site)
    assert kept["run"] == run
    [line] = [
        each for each in kept["detail"].splitlines() if "import" in each and each.endswith(f"terraform_data.a {id_}")
    ]
    unlock(site)
    # Every later plan shows it, and a script does not make it twice.
    again = site.deploy()
    assert again.code == 3, again.stderr
    shown = "\n".join(gate_of(again, "type-target"))
    assert "This plan makes another one." in shown
    assert f"terraform_data.a (terraform_data, id {id_}) was made by run {run}, and is in no state." in shown
    assert line in shown
    assert f"terraform_data.slow (terraform_data, no id known) was being made by run {run}" in shown
    assert site.applies(again.run) == 0
    # The very line brings it back.
    subprocess.run(shlex.split(line), env=site.environ, check=True, capture_output=True, timeout=60)
    after = site.deploy(*ANSWERS)
    assert after.code == 0, after.stderr
    assert "terraform_data.a (" not in "\n".join(gate_of(after, "confirm"))
    assert id_ in ids(site)
    assert site.deploy().code == 0
    assert follow_ups(site) == []


@pytest.mark.parametrize("first", [True, False], ids=["create-before-destroy", "destroy-before-create"])
def test_a_replacement_that_is_killed_is_kept_until_another_object_stands_there(
    site: Site, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    site.seed(slow="one")
    [old] = ids(site)
    order = f"\n  lifecycle {{ create_before_destroy = {json.dumps(first)} }}\n  triggers_replace"
    slow = site.waiting("slow").replace("\n  provisioner", f'{order} = ["again"]\n  provisioner', 1)
    assert order in slow
    site.write(f"{HEAD}{VARIABLES}{slow}")
    typed = [(gate, f"{SERVICE}-dev") for gate in ("type-target", "type-danger")]
    run = site.start(monkeypatch, answers=[("confirm", "yes"), *typed])
    site.until_applying(run)
    kill(site, run, "pid")
    record = cut_off(site, run)
    assert "Was being made, may exist, and is in no state: terraform_data.slow." in record.ending
    assert "What was made is in the state" not in record.ending
    assert len(follow_ups(site)) == 1
    site.go.touch()
    unlock(site)
    again = site.deploy(*ANSWERS)
    assert again.code == 0, again.stderr
    assert f"What the state had there before (id {old}) is not it." in "\n".join(gate_of(again, "confirm"))
    assert len(follow_ups(site)) == 1
    assert not ids(site) & {old}
    assert site.deploy().code == 0
    assert follow_ups(site) == []


@WHO
def test_killed_before_the_state_is_stored_names_all_that_was_made(
    site: Site, monkeypatch: pytest.MonkeyPatch, who: tuple[str, ...]
) -> None:
    pair(site)
    run = site.start(monkeypatch, answers=YES, kill="hold:call-intended:apply")
    site.until(lambda: site.events(run, "call-intended"), "the intent")
    site.world.fault("throttle", "s3", "PutObject")
    (site.folder / "go").touch()
    site.until(lambda: has_begun(site, run) and len(made(site, run)) == 2, "both to be made")
    kill(site, run, *who)
    site.world.clear_faults()
    record = cut_off(site, run)
    for address, id_ in made(site, run).items():
        assert f"{address} (terraform_data, id {id_})" in record.ending
    assert site.stored() == b""
    assert len(follow_ups(site)) == 1


@WHO
def test_killed_after_the_state_was_stored_says_so_and_names_the_lock(
    site: Site, monkeypatch: pytest.MonkeyPatch, who: tuple[str, ...]
) -> None:
    pair(site)
    run = site.start(monkeypatch, answers=YES, kill="hold:call-intended:apply")
    site.until(lambda: site.events(run, "call-intended"), "the intent")
    site.world.fault("throttle", "dynamodb", "DeleteItem")
    (site.folder / "go").touch()
    site.until(lambda: len(ids(site)) == 2, "the state to be stored")
    kill(site, run, *who)
    site.world.clear_faults()
    record = cut_off(site, run)
    assert "in no state" not in record.ending
    assert "What was made is in the state" in record.ending
    assert "The state is locked by" in record.ending
    unlock(site)
    again = site.deploy()
    assert again.code == 0, again.stderr
    assert again.result("read-plan")["words"] == "nothing to do"
    assert follow_ups(site) == []


@pytest.mark.parametrize("executor_too", [False, True], ids=["supervisor", "supervisor-and-executor"])
def test_terraform_ends_by_itself_though_its_supervisor_was_killed(
    site: Site, monkeypatch: pytest.MonkeyPatch, executor_too: bool
) -> None:
    three(site)
    run = site.start(monkeypatch, answers=YES)
    site.until_applying(run)
    if executor_too:
        site.kill_executor(run)
    kill(site, run, "supervisor")
    if executor_too:
        site.resume(run)
    site.until(lambda: site.executor(run), "an executor that waits for its end")
    assert not site.record(run).finished
    site.go.touch()
    record = site.finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert any("nobody saw how" in warning for warning in record.warnings)
    assert set(site.values()) == {"kept", "a", "slow", "after"}
    assert (site.makings, site.applies(run)) == (1, 1)
    assert site.lock() is None


def test_what_a_run_left_that_nobody_resumed_is_found_by_the_next_plan(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(site)
    run = site.start(monkeypatch, answers=YES)
    site.until_applying(run)
    id_ = made(site, run)["terraform_data.a"]
    site.kill_executor(run)
    kill(site, run, *BOTH)
    site.go.touch()
    unlock(site)
    again = site.deploy()
    assert again.code == 3, again.stderr
    assert f"id {id_}) was made by run {run}, and is in no state" in "\n".join(gate_of(again, "type-target"))
    assert len(follow_ups(site)) == 1


# Two at once


def second_machine(site_factory: SiteFactory, site: Site, text: str) -> Site:
    """Another checkout, and another journal, on the same state."""
    other = site_factory(site.locking)
    other.key = site.key
    other.write_settings()
    other.write(text)
    return other


def begin(site: Site) -> subprocess.Popen[str]:
    command = site.command("run", "deploy", "--service", SERVICE, "--env", "dev", "--json", *ANSWERS)
    return subprocess.Popen(
        command, env=site.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its code, its run and what it said."""
    stdout, stderr = process.communicate(timeout=90)
    return process.returncode, json.loads(stdout.splitlines()[0])["run"], stderr


@pytest.mark.parametrize("same", [False, True], ids=["other-addresses", "same-addresses"])
def test_two_deploys_at_once_without_a_lock_are_not_both_done(site_factory: SiteFactory, same: bool) -> None:
    """Each makes four things; of the one that stores first, nothing is left in the state."""
    first = site_factory("off")
    first.seed(kept="old")
    kept, names = data("kept", '"old"'), ("a", "b", "c")
    texts = [
        "".join((HEAD, VARIABLES, kept, *(data(f"{prefix}{name}") for name in names)))
        for prefix in (("x", "x") if same else ("x", "y"))
    ]
    first.write(texts[0] + first.waiting("slow_x"))
    other = second_machine(site_factory, first, "")
    other.write(texts[1] + other.waiting("slow_x" if same else "slow_y"))
    processes = [begin(first), begin(other)]
    first.until(first.begun.exists, "the first to apply")
    other.until(other.begun.exists, "the other to apply")
    first.go.touch()
    code, run, _ = ended(processes[0])
    assert code == 0
    of_the_first = made(first, run)
    assert len(of_the_first) == 4
    other.go.touch()
    code, run, stderr = ended(processes[1])
    assert code == 1
    assert "Two applies stored at the same time" in stderr
    assert "Made by the other apply, and in no state: " in stderr
    assert not set(of_the_first.values()) & ids(first), "the other one has stored over it"
    for address, id_ in of_the_first.items():
        assert f"{address} (terraform_data, id {id_})" in stderr
    assert set(made(other, run).values()) <= ids(first)
    [follow_up] = follow_ups(other)
    assert all(id_ in follow_up["detail"] for id_ in of_the_first.values())


def test_what_others_changed_after_it_was_stored_is_no_loss(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the lock, between the end of our apply and the look at the state."""
    pair(site)
    run = site.start(monkeypatch, answers=YES, kill="hold:call-done:apply")
    site.until(lambda: site.events(run, "call-done", "apply"), "the end of the apply")
    theirs = site.somebody(f"{HEAD}{VARIABLES}{data('a')}")
    site.terraform("apply", "-auto-approve", "-input=false", folder=theirs)
    (site.folder / "go").touch()
    record = site.finished(run)
    assert record.outcome == "done", record.ending
    assert any("has it no more: terraform_data.b" in warning for warning in record.warnings)
    assert follow_ups(site) == []


# What is in the state, however it came there


def test_replacements_and_keys_and_modules_are_found_where_they_are(site: Site) -> None:
    part = site.root / "modules/part"
    part.mkdir(parents=True)
    (part / "main.tf").write_text('variable "value" {\n  type = string\n}\n\n' + data("inner"))
    first_made = "  lifecycle {\n    create_before_destroy = true\n  }\n  triggers_replace = [var.trigger]\n"
    keys = (
        'resource "terraform_data" "keyed" {\n  for_each = toset(["a", "b\\"c", "d.e"])\n  input    = var.value\n}\n\n'
    )
    counted = 'resource "terraform_data" "counted" {\n  count = var.trigger == "a" ? 3 : 1\n  input = var.value\n}\n\n'
    call = 'module "part" {\n  source   = "./modules/part"\n  for_each = toset(["x y"])\n  value    = var.value\n}\n\n'
    output = 'output "value" {\n  value = var.value\n}\n\n'
    cbd, destroyed_first = data("cbd", more=first_made), data("dbc", more="  triggers_replace = [var.trigger]\n")
    text = f"{HEAD}{VARIABLES}{keys}{counted}{call}{output}{cbd}{destroyed_first}"
    site.write(text)
    made_first = site.deploy(*ANSWERS)
    assert made_first.code == 0, made_first.stderr
    site.write_vars("dev", value="two", trigger="b")
    changed = site.deploy(*ANSWERS)
    assert changed.code == 0, changed.stderr
    site.write(text.replace('"terraform_data" "dbc"', '"terraform_data" "moved"') + _MOVED)
    site.write_vars("dev", value="two", trigger="b")
    moved = site.deploy(*ANSWERS)
    assert moved.code == 0, moved.stderr
    site.write(f"{HEAD}{VARIABLES}{data('only')}")
    partly = site.deploy(*ANSWERS, "--set", "targets=terraform_data.only")
    assert partly.code == 0, partly.stderr
    rest = site.deploy(*ANSWERS)
    assert rest.code == 0, rest.stderr
    assert set(site.values()) == {"only"}
    assert follow_ups(site) == []


_MOVED = "moved {\n  from = terraform_data.dbc\n  to   = terraform_data.moved\n}\n"


def test_a_local_state_is_read_back_as_well(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform writes it with every resource, so that only what was under way is in no state."""
    site.write(f"{VARIABLES}{data('a')}{site.waiting('slow', 'terraform_data.a.id')}")
    site.write_vars("sandbox", value="one")
    answers = [("confirm", "yes"), ("type-target", f"{SERVICE}-sandbox"), ("type-danger", f"{SERVICE}-sandbox")]
    run = site.start(monkeypatch, environment="sandbox", answers=answers)
    site.until_applying(run)
    local = site.root / "terraform.tfstate"
    site.until(lambda: local.exists() and "terraform_data" in local.read_text(), "the first to be in the state")
    kill(site, run, "pid")
    site.go.touch()
    record = cut_off(site, run)
    assert "Made, and in no state" not in record.ending
    assert "may exist, and is in no state: terraform_data.slow." in record.ending
    again = site.run("deploy", *(f"--answer={gate}={value}" for gate, value in answers), environment="sandbox")
    assert again.code == 0, again.stderr
    assert "terraform_data.slow (terraform_data, no id known) was being made by run" in again.warnings
    last = site.run("deploy", "--answer=confirm=yes", environment="sandbox")
    assert last.code == 0, last.stderr
    assert follow_ups(site) == []
