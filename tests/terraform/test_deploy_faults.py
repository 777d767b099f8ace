"""Deploys under which the world changes, or in the middle of which something dies: what was not shown is not applied, what is
being applied is not cut off, and nothing is applied twice."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable

import pytest

from infraconsole.engine import launch
from infraconsole.engine.gate import FAILURE_GATE, Gate
from infraconsole.engine.history import RunRecord
from infraconsole.terraform import backend
from infraconsole.terraform.state import summary
from tests.terraform.conftest import BOTH, DEV, HEAD, IMPATIENT, PLAIN, VARIABLES, Site, data

pytestmark = pytest.mark.slow

YES = [("confirm", "yes")]


@BOTH
def test_a_lock_held_by_somebody_s_apply_is_told_before_anything_is_done(site: Site) -> None:
    site.seed(first="one", second="build-1")
    site.somebody_holds_the_lock()
    lock, before = site.lock(), site.versions()
    assert lock
    done = site.deploy()
    assert done.code == 1
    assert f"{lock.who} holds it for " in done.stderr
    assert f"OperationTypeApply, lock {lock.id}" in done.stderr
    assert "No run of this journal is at this target" in done.stderr
    assert "infraconsole run state-unlock" in done.stderr
    assert [each["step"] for each in done.events if each["kind"] == "step-started"] == ["precheck"]
    assert (site.lock(), site.versions()) == (lock, before)


def test_a_run_that_is_over_and_has_only_to_end_as_a_process_is_in_nobody_s_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.seed(first="old", second="build-1")
    run = site.start(monkeypatch, kill="hold:run-finished:", answers=YES)
    site.until(lambda: site.events(run, "run-finished"), "its end")
    assert site.executor(run)
    threading.Timer(2.0, (site.folder / "go").touch).start()
    after = site.deploy()
    assert after.code == 0, after.stderr
    assert after.result("read-plan")["words"] == "nothing to do"


# What changes while the gate is open


def edit_variables(site: Site, _: str) -> None:
    site.write_vars("dev", value="edited")


def edit_code(site: Site, _: str) -> None:
    site.write(f"{PLAIN}# edited\n")


def edit_module(site: Site, _: str) -> None:
    (site.root / "modules/part/main.tf").write_text("# edited\n")


def commit_more(site: Site, _: str) -> None:
    site.commit("Another one")


def replace_plan(site: Site, run: str) -> None:
    file = site.folder / "runs" / run / "plan.tfplan"
    file.write_bytes(file.read_bytes() + b"\0")


def apply_meanwhile(site: Site, _: str) -> None:
    site.somebody_applies("theirs")


MEANWHILE: list[tuple[Callable[[Site, str], None], str]] = [
    (edit_variables, "the variables' file"),
    (edit_code, "the code"),
    (edit_module, "the code"),
    (commit_more, "the commit"),
    (replace_plan, "the plan file"),
    (apply_meanwhile, "the state's serial"),
]


def with_module(site: Site) -> None:
    """A local module, and a folder that differs from its commit already: then another edit does not show in git's status."""
    part = site.root / "modules/part"
    part.mkdir(parents=True)
    (part / "main.tf").write_text("\n")
    site.write(f'{PLAIN}module "part" {{\n  source = "./modules/part"\n}}\n')
    site.seed(first="old", second="build-1")


def test_what_was_approved_is_not_applied_to_something_else(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever changes while the gate is open leads back to the plan, one after the other."""
    with_module(site)
    run = site.start(monkeypatch)
    for count, (change, words) in enumerate(MEANWHILE, start=1):
        site.until_gate(run, "confirm")
        change(site, run)
        before = site.versions()
        site.answer(run, "confirm", "yes")
        assert words in site.until_gate(run, "confirm").gate.notice
        assert (site.applies(run), site.intents(run), site.versions()) == (0, [], before), words
        said = [warning for warning in site.record(run).warnings if "Since the plan was made" in warning]
        assert len(said) == count
        assert words in said[-1]
        assert len(site.events(run, "step-finished", "plan")) == count + 1
    shown = site.answer(run, "confirm", "yes").gate
    assert "    + input: edited" in shown.changes
    assert site.finished(run).outcome == "done"
    assert site.values()["first"] == "edited"
    assert site.intents(run) == ["terraform:apply"]


@pytest.mark.parametrize("change", [edit_variables, apply_meanwhile], ids=lambda change: change.__name__)
def test_a_script_whose_plan_is_no_longer_so_applies_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, change: Callable[[Site, str], None]
) -> None:
    with_module(site)
    run = site.start(monkeypatch, kill="hold:gate-answered:apply", answers=YES)
    site.until(lambda: site.events(run, "gate-answered"), "the answer")
    change(site, run)
    before = site.versions()
    (site.folder / "go").touch()
    record = site.finished(run)
    assert (record.outcome, record.exit_code) == ("failed", 1)
    assert "Since the plan was made" in record.ending
    assert (site.intents(run), site.versions()) == ([], before)


def test_a_state_that_changes_in_the_last_moment_makes_terraform_refuse_the_plan(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.seed(first="old", second="build-1")
    run = site.start(monkeypatch, kill="hold:call-intended:apply", answers=YES)
    site.until(lambda: site.intents(run), "the intent")
    site.somebody_applies("theirs")
    before = site.versions()
    (site.folder / "go").touch()
    record = site.finished(run)
    assert (record.outcome, record.exit_code) == ("failed", 1)
    assert "The plan is stale" in record.ending
    assert "Make a new plan" in record.ending
    assert site.versions() == before


def test_what_the_gate_shows_can_be_typed_in_a_shell_and_then_is_not_done_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.seed(first="old", second="build-1")
    run = site.start(monkeypatch)
    (line,) = site.until_gate(run, "confirm").gate.commands
    site.shell(line)
    assert site.values()["first"] == "one"
    site.answer(run, "confirm", "yes")
    record = site.finished(run)
    assert (record.outcome, site.intents(run)) == ("done", [])
    assert record.step("read-plan").result["words"] == "nothing to do"


def test_a_lock_taken_while_the_gate_is_open_costs_neither_the_plan_nor_its_approval(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.seed(first="old", second="build-1")
    run = site.start(monkeypatch)
    site.until_gate(run, "confirm")
    site.put_lock()
    site.answer(run, "confirm", "yes")
    failed = site.until_gate(run, FAILURE_GATE).gate
    assert "The state is locked" in failed.title
    assert "lee@laptop" in failed.changes[0]
    assert site.applies(run) == 0
    site.free()
    site.answer(run, FAILURE_GATE, "retry")
    record = site.finished(run)
    assert (record.outcome, site.applies(run)) == ("done", 1)
    assert len(site.events(run, "step-finished", "plan")) == 1
    assert len(site.events(run, "gate-opened", "apply")) == 2, "the confirmation, and the failure's"


def test_a_lock_taken_in_the_last_moment_costs_not_the_plan(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.seed(first="old", second="build-1")
    run = site.start(monkeypatch, kill="hold:call-intended:apply")
    site.answer(run, "confirm", "yes")
    site.until(lambda: site.intents(run), "the intent")
    site.put_lock()
    (site.folder / "go").touch()
    failed = site.until_gate(run, FAILURE_GATE).gate
    assert "The state is locked" in failed.title
    site.free()
    site.answer(run, FAILURE_GATE, "retry")
    record = site.finished(run)
    assert record.outcome == "done", record.ending
    assert len(site.events(run, "step-finished", "plan")) == 1
    assert site.values()["first"] == "one"


def test_a_workspace_that_somebody_selected_is_not_what_is_planned(site: Site) -> None:
    site.seed(first="old", second="build-1")
    assert site.deploy("--dry-run").code == 0
    (folder,) = (site.folder / "terraform").glob("*/dev")
    (folder / "environment").write_text("scratch")
    done = site.deploy()
    assert done.code == 0, done.stderr
    assert done.result("read-plan")["words"] == "1 to update"
    assert site.values()["first"] == "one"


def test_credentials_that_expire_before_the_plan_are_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.seed(first="old", second="build-1")
    run = site.start(monkeypatch, kill="hold:step-finished:validate", answers=YES)
    site.until(lambda: site.events(run, "step-finished", "validate"), "the validation")
    try:
        site.world.fault("expired", "s3", "GetObject")
        (site.folder / "go").touch()
        site.until(lambda: site.record(run).waiting, "the run to wait")
    finally:
        site.world.clear_faults()
    assert "demo renew" in site.record(run).waiting or "expired" in site.record(run).waiting
    record = site.finished(run)
    assert record.outcome == "done", record.ending
    assert site.applies(run) == 1


# Half way


def partly(site: Site) -> None:
    """Three resources, of which the last cannot be made before there is a file `mended`."""
    made = "".join(data(name, "var.value", provisioned(site, f"echo {name} >> '{site.log}'")) for name in ("a", "b"))
    bad = provisioned(site, f"test -e '{site.folder / 'mended'}'")
    site.write(f"{HEAD}{VARIABLES}{made}{data('bad', 'terraform_data.b.output', bad)}")


def provisioned(site: Site, command: str) -> str:
    return f'  provisioner "local-exec" {{\n    command = {json.dumps(command)}\n  }}\n'


def test_an_apply_that_fails_half_way_says_what_it_did_and_a_retry_plans_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    partly(site)
    run = site.start(monkeypatch)
    site.answer(run, "confirm", "yes")
    failed = site.until_gate(run, FAILURE_GATE).gate
    assert "2 of 3 changes were made, 1 failed." in failed.title
    assert [choice.id for choice in failed.choices] == ["stop", "retry", "plan-again"]
    assert {"a", "b"} <= set(site.values())
    assert site.lock() is None
    first = site.record(run).step("plan").result["bound"]["plan"]
    (site.folder / "mended").touch()
    site.answer(run, FAILURE_GATE, "retry")
    shown = site.until_gate(run, "confirm").gate
    assert site.applies(run) == 1
    assert "1 to replace" in shown.title, "the one that failed is tainted"
    second = site.record(run).step("plan").result["bound"]
    assert second["plan"] != first
    site.answer(run, "confirm", "yes")
    assert site.finished(run).outcome == "done"
    assert site.log.read_text().split() == ["a", "b"] or site.log.read_text().split() == ["b", "a"]
    assert site.applies(run) == 2


def test_a_script_whose_apply_fails_half_way_ends_as_failed(site: Site) -> None:
    partly(site)
    done = site.deploy()
    assert done.code == 1
    assert "2 of 3 changes were made, 1 failed." in done.stderr
    assert "exit status 1" in done.stderr
    assert "terraform:apply ended with exit code 1" in site.console("journal", done.run, "--markdown").stdout
    assert {"a", "b"} <= set(site.values())
    again = site.deploy(*DEV, "--answer", f"{FAILURE_GATE}=retry")
    assert again.code == 1, "the same plan is not applied again, and no new one is approved by the old answer"
    assert again.count("call-intended") == 1
    assert "No plan is applied twice" in again.stderr


# Kills


def slow(site: Site) -> None:
    site.write(f"{HEAD}{VARIABLES}{site.waiting()}{data('after', 'terraform_data.slow.output')}")


@BOTH
def test_an_apply_goes_on_without_its_executor_and_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(site)
    run = site.start(monkeypatch, answers=YES)
    site.until_applying(run)
    site.kill_executor(run)
    lock = site.lock()
    assert lock
    other = site.deploy()
    assert other.code == 1
    assert f"Terraform of run {run} is still at work" in other.stderr
    assert f"infraconsole resume {run}" in other.stderr
    unlocking = site.run("state-unlock", "--answer", "type-target=plain-dev")
    assert unlocking.code == 1, "its holder lives"
    assert f"infraconsole resume {run}" in unlocking.stderr
    assert site.lock() == lock
    site.resume(run)
    site.until(lambda: len(site.events(run, "run-started")) == 2, "the second executor")
    assert not site.record(run).finished
    site.go.touch()
    record = site.finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert record.step("apply").result["applied"] == 2
    assert (site.makings, site.applies(run), site.intents(run)) == (1, 1, ["terraform:apply"])
    assert site.serial <= 3, "one apply, whose state Terraform stores a few times"
    assert site.lock() is None


KILLS = [
    "before:step-finished:plan",
    "after:gate-answered:apply",
    *(f"{when}:{kind}:apply" for when in ("before", "after") for kind in ("call-intended", "call-done")),
    "before:step-finished:apply",
    "before:run-finished:",
]


@pytest.mark.parametrize("kill", KILLS)
def test_executor_killed(site: Site, monkeypatch: pytest.MonkeyPatch, kill: str) -> None:
    site.go.touch()
    slow(site)
    run = site.start(monkeypatch, answers=YES, kill=kill)
    site.until_gone(run)
    assert site.record(run).resumable
    site.resume(run)
    record = site.finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert (site.makings, site.applies(run)) == (1, 1)
    assert site.values() == {"slow": "one", "after": "one"}
    assert [step.state.value for step in record.steps] == ["done"] * 8


def test_terraform_and_its_executor_killed_at_once_is_not_taken_for_done_nor_for_not_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.keep_files()
    slow(site)
    run = site.start(monkeypatch, answers=YES)
    site.until_applying(run)
    site.kill_executor(run)
    (record_folder,) = (site.folder / "runs" / run).glob("*-apply")
    for name in ("supervisor", "pid"):
        os.kill(int((record_folder / name).read_text().split()[0]), signal.SIGKILL)
    site.resume(run)
    record = site.finished(run)
    assert record.outcome == "failed"
    assert "Terraform ended, and nobody saw how" in record.ending
    assert "may exist, and is in no state: terraform_data.slow." in record.ending
    assert record.changed, "it may have changed something"
    assert site.applies(run) == 1
    assert site.lock(), "nobody has released it"
    blocked = site.deploy()
    assert blocked.code == 1
    assert f"It is of Terraform of run {run}, which was killed: nobody is using it" in blocked.stderr
    assert "infraconsole run state-unlock --service plain --env dev" in blocked.stderr
    assert "infraconsole run state-unlock --service plain --env dev" in record.ending
    assert "Not begun: terraform_data.after." in record.ending, record.ending
    unlocked = site.run("state-unlock", "--answer", "type-target=plain-dev")
    assert unlocked.code == 0, unlocked.stderr
    (gate,) = [each["gate"] for each in unlocked.events if each["kind"] == "gate-opened"]
    assert f"Terraform of run {run} of this journal, which was killed" in gate["changes"][1]


# Interrupts


def interrupted(site: Site, monkeypatch: pytest.MonkeyPatch, *, insist: bool = False) -> RunRecord:
    slow(site)
    run = site.start(monkeypatch, answers=YES)
    site.until_applying(run)
    more = ("--insist", run) if insist else ()
    assert site.console("interrupt", run, *more).returncode == 0
    return site.finished(run)


def test_an_interrupted_apply_stores_its_state_and_gives_the_lock_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = interrupted(site, monkeypatch)
    assert (record.outcome, record.exit_code) == ("interrupted", 4)
    assert set(site.values()) == {"slow"}, "what was begun is known to the state"
    assert site.lock() is None
    resumed = site.resumed(record.run)
    assert resumed.code == 1
    assert "This plan was applied in part" in resumed.stderr
    assert site.applies(record.run) == 1
    site.go.touch()
    assert site.deploy().code == 0
    assert site.values() == {"slow": "one", "after": "one"}


def test_an_interrupted_apply_is_taken_up_by_a_person_with_a_new_plan(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(site)
    run = site.start(monkeypatch)
    site.answer(run, "confirm", "yes")
    site.until_applying(run)
    site.journal.ask(run, "interrupt", "kim", {"level": 1})
    assert site.finished(run).exit_code == 4
    site.go.touch()
    site.resume(run)
    shown = site.until_gate(run, "confirm").gate
    assert "1 to replace, 1 to create" in shown.title
    assert site.applies(run) == 1
    site.answer(run, "confirm", "yes")
    assert site.finished(run).outcome == "done"
    assert site.applies(run) == 2


def test_a_script_s_interrupted_apply_is_taken_up_by_a_person(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    record = interrupted(site, monkeypatch)
    assert "1 of 2 changes were made" in record.ending or "0 of 2 changes were made" in record.ending
    assert f"infraconsole resume {record.run}" in record.ending
    site.go.touch()
    launch.resume(site.journal, record.run, site.config, interactive=True)
    shown = site.until_gate(record.run, "confirm").gate
    assert "1 to create" in shown.title
    told = [line for event in site.events(record.run, "output", "apply") for line in event.data["lines"]]
    begun = [line for line in told if line == "terraform_data.slow: create…"]
    assert len(begun) == 1, "what was done before is not told as if it happened again"
    assert not any("Nothing was sent" in warning for warning in site.record(record.run).warnings)
    site.answer(record.run, "confirm", "yes")
    assert site.finished(record.run).outcome == "done"
    assert site.applies(record.run) == 2


STAGES = [
    *(f"hold:step-started:{step}" for step in ("precheck", "init", "validate", "plan", "read-plan", "apply", "verify")),
    "hold:gate-answered:apply",
    "hold:call-intended:apply",
    "hold:call-done:apply",
]


@pytest.mark.parametrize("stage", STAGES)
def test_sigint_at_every_stage_loses_nothing_and_does_nothing_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    site.seed(first="old", second="build-1")
    run = site.start(monkeypatch, kill=stage, answers=YES)
    record = site.interrupted_at(stage, run)
    assert (record.outcome, record.ending) == ("done", "")
    assert (site.applies(run), site.sent(run)) == (1, ["terraform:apply"])
    assert site.values()["first"] == "one"


def test_insisting_sends_terraform_a_second_signal_and_awaits_its_own_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.keep_files()
    slow(site)
    run = site.start(monkeypatch, answers=YES)
    site.until_applying(run)
    # So that a graceful end would take longer than Terraform waits after the second signal.
    site.world.fault("delay", "s3", "PutObject", seconds=12.0)
    assert site.console("interrupt", run, "--insist", run).returncode == 0
    record = site.finished(run)
    site.world.clear_faults()
    assert (record.outcome, record.exit_code) == ("interrupted", 4)
    said = "\n".join(event.data["text"] for event in site.events(run, "note"))
    assert "was asked to stop" in said
    assert "was told to give up" in said
    (done,) = site.events(run, "call-done")
    assert done.data["answer"]["exit_code"] == 1, "its own end, not a kill"
    output = next((site.folder / "runs" / run).glob("*-apply/stdout")).read_text()
    assert "operation canceled" in output or "Two interrupts received" in output


# The state cannot be stored


def failing_to_store(
    site: Site, monkeypatch: pytest.MonkeyPatch, fault: str, *, broken: bytes = b""
) -> tuple[str, Gate]:
    """A run whose apply meets that fault when it stores its state, and the gate that then opens. `broken` stands in
    errored.tfstate by then."""
    site.write(f"{IMPATIENT}{VARIABLES}{site.waiting()}{data('after', 'terraform_data.slow.output')}")
    run = site.start(monkeypatch)
    site.answer(run, "confirm", "yes")
    site.until_applying(run)
    site.world.fault(fault, "s3", "PutObject")
    if broken:
        (site.root / backend.ERRORED_STATE).write_bytes(broken)
    site.go.touch()
    failed = site.until_gate(run, FAILURE_GATE).gate
    site.world.clear_faults()
    assert "it lies in errored.tfstate" in failed.title
    return run, failed


def recovered(site: Site) -> None:
    """The state that was left is pushed, and then knows all that was made."""
    pushed = site.run("state-recover", "--set", "action=push", "--answer", "type-target=plain-dev")
    assert pushed.code == 0, pushed.stderr
    assert not (site.root / backend.ERRORED_STATE).exists()
    again = site.deploy()
    assert again.code == 0, again.stderr
    assert again.result("read-plan")["words"] == "nothing to do"
    assert site.makings == 1


def test_a_connection_cut_while_the_state_is_written_leaves_it_in_a_file_that_blocks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = failing_to_store(site, monkeypatch, "drop-before")
    left = site.root / backend.ERRORED_STATE
    assert summary(left.read_bytes()).resource_count == 2
    assert any(str(left) in warning for warning in site.record(run).warnings)
    assert site.stored() == b""
    site.answer(run, FAILURE_GATE, "plan-again")
    blocked = site.until_gate(run, FAILURE_GATE).gate
    assert "holds a state that could not be stored" in blocked.title
    site.answer(run, FAILURE_GATE, "stop")
    stopped = site.finished(run)
    assert stopped.outcome == "interrupted", "with the state pushed, it makes a new plan"
    assert f"Then go on: infraconsole resume {run}" in stopped.ending
    refused = site.deploy()
    assert refused.code == 1
    assert str(left) in refused.stderr
    rollback = site.run("state-rollback", *DEV, "--set", "version=x")
    assert rollback.code == 1
    assert str(left) in rollback.stderr
    assert "infraconsole run state-recover --service plain --env dev" in refused.stderr
    recovered(site)


def test_a_state_for_which_terraform_cannot_even_write_errored_tfstate_is_not_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terraform reads the file first, and does not get past one that is no state."""
    site.keep_files()
    run, _ = failing_to_store(site, monkeypatch, "drop-before", broken=b'{"version": 4, "ser')
    assert "Emergency state dump" in next((site.folder / "runs" / run).glob("*-apply/stdout")).read_text()
    assert summary((site.root / backend.ERRORED_STATE).read_bytes()).resource_count == 2
    site.answer(run, FAILURE_GATE, "stop")
    assert site.finished(run).outcome == "failed"
    recovered(site)


def test_credentials_that_expire_in_the_middle_of_an_apply_cost_nothing_that_was_made(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, failed = failing_to_store(site, monkeypatch, "expired")
    assert any("infraconsole run state-recover" in change for change in failed.changes)
    site.answer(run, FAILURE_GATE, "stop")
    assert site.finished(run).outcome == "failed"
    free = site.run("state-unlock", "--answer", "type-target=plain-dev")
    assert free.code == 0, free.stderr
    recovered(site)
