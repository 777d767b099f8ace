"""The parts of the Terraform steps that need no Terraform: what is said of a plan and of a failure, what a plan is bound to,
which locks are our own, and how a command under way is watched."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.engine.commands import Commands
from infraconsole.engine.event import Kind
from infraconsole.engine.inbox import Inbox
from infraconsole.engine.runbook import Intent, StepContext
from infraconsole.errors import AccessDenied, AwsError, AwsNotFound, HeldUp, PrerequisiteMissing, StepFailed
from infraconsole.runbooks import terraform_root, terraform_steps
from infraconsole.runbooks.plan_reading import change_lines
from infraconsole.runbooks.terraform_listener import Listener
from infraconsole.runbooks.terraform_root import (
    OwnHolder,
    Root,
    initialise,
    own_holder,
    refuse_wrong_version,
    state_summary,
    write_private,
)
from infraconsole.target import Target
from infraconsole.terraform import plan, supervise
from infraconsole.terraform.backend import S3Backend
from infraconsole.terraform.binary import Binary
from infraconsole.terraform.runner import Ended, Lost, Running, Terraform
from infraconsole.terraform.state import LockInfo, StateSummary

NOW = datetime.now(UTC)


class Spoken:
    """As much of a step's context as these need."""

    def __init__(self, folder: Path = Path("/nowhere/runs/abc234")) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.newest: tuple[str, Mapping[str, Any]] = ("", {})
        self.reads = cast(AwsAccess, None)
        self.target = Target("plain", "dev", "ap-northeast-2")
        self.inputs: dict[str, str] = {}
        self.dry_run = False

    def output(self, *lines: str, source: str = "") -> None:
        self.lines.extend(f"{source}: {line}" if source else line for line in lines)

    def progress(self, text: str, **figures: Any) -> None:
        self.newest = (text, figures)


def context(spoken: Spoken) -> StepContext:
    return cast(StepContext, spoken)


def root(folder: Path, **environ: str) -> Root:
    tool = Terraform(Binary(("terraform",), "1.11.4", "path"), folder, environ)
    return Root(folder, folder / "data", "dev", tool, S3Backend("b", "k", "r"), ())


def ended(folder: Path, said: str = "", errors: str = "", code: int = 1) -> Ended:
    (folder / "out").write_text(said)
    (folder / "err").write_text(errors)
    return Ended(("terraform", "apply"), code, folder / "out", folder / "err")


def event(kind: str, address: str = "", **hook: Any) -> str:
    resource = {"addr": address, "module": "", "resource_type": "t", "resource_name": "n", "resource_key": None}
    body = {"hook": {"resource": resource, **hook}} if address else hook
    return json.dumps({"@level": "info", "@message": "…", "@timestamp": "2026-01-01T00:00:00Z", "type": kind, **body})


# What is said


def test_an_apply_is_told_by_resource_and_summed_up_where_it_ended() -> None:
    spoken = Spoken()
    planned = {"a.a": 1, "a.b": 1, "a.c": 1, "a.d": 2, "a.e": 2, "a.f": 1}
    listener = Listener(context(spoken), planned)
    for line in (
        event("apply_start", "a.d", action="delete"),
        event("apply_complete", "a.d", action="delete", elapsed_seconds=2),
        event("apply_start", "a.e", action="create"),
        event("apply_complete", "a.e", action="create", elapsed_seconds=2),
        event("apply_start", "a.e", action="delete"),
        event("apply_complete", "a.e", action="delete", elapsed_seconds=1),
        event("apply_start", "a.a", action="create"),
        event("apply_complete", "a.a", action="create", elapsed_seconds=2),
        event("apply_start", "a.b", action="create"),
        event("apply_errored", "a.b", action="create", elapsed_seconds=1),
        event("apply_start", "a.c", action="update"),
        event("apply_progress", "a.c", action="update", elapsed_seconds=70),
    ):
        listener(line)
    assert spoken.newest[0] == "2 of 6 done, 1 failed; a.c 70 s"
    assert spoken.newest[1]["rows"] == [
        ["a.b", "create failed", 1],
        ["a.c", "update", 70],
        ["a.d", "destroyed, not made again yet", 2],
        ["a.a", "create done", 2],
        ["a.e", "replace done", 1],
        ["a.f", "not begun", 0.0],
    ]
    assert listener.summary == "2 of 6 changes were made, 1 failed."
    assert listener.applied.named() == (
        "Destroyed and not made again: a.d.",
        "Failed: a.b.",
        "Under way when it ended: a.c.",
        "Made: a.e, a.a.",
        "Not begun: a.f.",
    )


def test_a_replacement_that_failed_half_way_is_told_as_what_is_gone() -> None:
    listener = Listener(context(Spoken()), {"a.a": 2})
    for kind, action in (("apply_start", "delete"), ("apply_complete", "delete"), ("apply_errored", "create")):
        listener(event(kind, "a.a", action=action, elapsed_seconds=1))
    assert listener.applied.named() == ("Destroyed and not made again: a.a.",)


def test_words_among_the_events_are_shown_and_unknown_events_as_such() -> None:
    spoken = Spoken()
    listener = Listener(context(spoken))
    for line in ("plain words", "", event("something_new"), '{"half": '):
        listener(line)
    assert spoken.lines == ["plain words", "…  (something_new: not known here)", '{"half": ']


def test_data_that_is_read_during_an_apply_counts_as_no_change() -> None:
    listener = Listener(context(Spoken()), {"a.a": 1})
    listener(event("apply_start", "data.a.b", action="read"))
    listener(event("apply_complete", "data.a.b", action="read", elapsed_seconds=0))
    assert listener.summary == "0 of 1 changes were made, 0 failed."


def entry(actions: list[str], before: Any = None, after: Any = None, **others: Any) -> plan.Change:
    change = {"actions": actions, "before": before, "after": after, **others.pop("change", {})}
    found = {"address": "a.b", "mode": "managed", "type": "a", "name": "b", "change": change, **others}
    (one,) = plan.read(json.dumps({"format_version": "1.2", "resource_changes": [found]}).encode()).changes
    return one


def test_lines_of_a_change() -> None:
    assert change_lines(entry(["no-op"], {"x": 1}, {"x": 1})) == []
    assert change_lines(entry(["create"], None, {"x": 1})) == ["+ a.b"]
    assert change_lines(entry(["delete"], {"x": 1})) == ["- a.b"]
    replaced = entry(["delete", "create"], {"x": 1}, {"x": 2}, change={"replace_paths": [["x"]]})
    assert change_lines(replaced)[0] == "-/+ a.b  forced by x"
    moved = entry(["no-op"], {"x": 1}, {"x": 1}, previous_address="a.old")
    assert change_lines(moved) == ["→ a.b  moved from a.old"]


def test_a_sensitive_attribute_is_no_line() -> None:
    marks = {"before_sensitive": {"x": True}, "after_sensitive": {"x": True}}
    lines = change_lines(entry(["update"], {"x": "old-secret", "y": "1"}, {"x": "new-secret", "y": "2"}, change=marks))
    assert not any("secret" in line for line in lines)
    assert any("y" in line for line in lines[1:])


# What a plan is bound to


def bound(folder: Path) -> str:
    return terraform_steps._sources_sha256(root(folder))


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("main.tf", True),
        ("more.tf.json", True),
        ("modules/part/main.tf", True),
        ("templates/user_data.tftpl", True),
        ("terraform.tfvars", True),
        ("x.auto.tfvars", True),
        ("x.auto.tfvars.json", True),
        ("environments/prod/terraform.tfvars", False),
        (".terraform/modules/x/main.tf", False),
        ("terraform.tfstate", False),
        ("files/policy.json", True),  # code may read any file
        ("README.md", True),
    ],
)
def test_which_files_are_code(tmp_path: Path, name: str, counts: bool) -> None:
    before = bound(tmp_path)
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x")
    assert (bound(tmp_path) != before) is counts


def test_a_local_module_beside_the_root_is_code_too(tmp_path: Path) -> None:
    folder, part = tmp_path / "root", tmp_path / "part"
    for each in (folder / "data/modules", part):
        each.mkdir(parents=True)
    listed = {"Modules": [{"Key": "", "Dir": "."}, {"Key": "part", "Dir": "../part"}]}
    (folder / "data/modules/modules.json").write_text(json.dumps(listed))
    before = bound(folder)
    (part / "main.tf").write_text("x")
    assert bound(folder) != before


def test_lines_for_a_shell_name_what_differs_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "r")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    line = root(tmp_path, TF_DATA_DIR="/d", AWS_PROFILE="prod", AWS_REGION="r", TF_INPUT="0").by_hand(("plan",))
    assert line == ("env", "TF_DATA_DIR=/d", "AWS_PROFILE=prod", "terraform", f"-chdir={tmp_path}", "plan")


def test_a_plan_is_aimed_at_the_addresses_that_were_typed(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path)
    spoken.inputs = {"targets": 'aws_x.y["a,b"], aws_x.z,'}
    arguments = terraform_steps.MakePlan()._arguments(context(spoken), root(tmp_path))
    assert [each for each in arguments if each.startswith("-target")] == ['-target=aws_x.y["a,b"]', "-target=aws_x.z"]


# Files


def test_what_is_written_replaces_what_others_could_read(tmp_path: Path) -> None:
    file = tmp_path / "folder/state"
    file.parent.mkdir()
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, b"new")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"new", 0o600)


def test_a_state_that_could_not_be_stored_bars_the_folder(tmp_path: Path) -> None:
    terraform_root.refuse_errored_state(context(Spoken()), root(tmp_path))
    (tmp_path / "errored.tfstate").write_text("{}")
    with pytest.raises(HeldUp) as caught:
        terraform_root.refuse_errored_state(context(Spoken()), root(tmp_path))
    assert "infraconsole run state-recover --service plain --env dev" in caught.value.mend


# Locks of our own


def lock(created: datetime | None) -> LockInfo:
    return LockInfo("id", "b/k", "OperationTypeApply", "kim@here", "1.11.4", created, "")


def record(runs: Path, folder: Path, *, alive: bool, code: str = "1") -> None:
    """Of a command of run xyz234 that began just now; this process stands for its Terraform."""
    made = runs / "xyz234/00007-apply"
    made.mkdir(parents=True)
    (made / "command").write_text(json.dumps({"command": ["terraform", "apply"], "folder": str(folder)}))
    (made / supervise.PID).write_text(f"{os.getpid()} {supervise.start_mark(os.getpid())}")
    if not alive:
        (made / supervise.CODE).write_text(code)


@pytest.mark.parametrize(
    ("there", "alive", "later", "run"),
    [
        (True, True, timedelta(minutes=1), OwnHolder("xyz234", is_alive=True)),
        (True, True, None, OwnHolder("xyz234", is_alive=True)),
        (True, False, timedelta(minutes=1), None),
        (False, True, timedelta(minutes=1), None),
        (True, True, -timedelta(hours=1), None),
    ],
    ids=["alive", "no-time", "ended", "another-folder", "an-older-lock"],
)
def test_whose_lock_it_is(
    tmp_path: Path, there: bool, alive: bool, later: timedelta | None, run: OwnHolder | None
) -> None:
    """The lock is taken so much later than the command began; None where it does not say when."""
    created = None if later is None else datetime.now(UTC) + later
    runs, folder = tmp_path / "runs", tmp_path / "root"
    record(runs, folder if there else tmp_path / "other", alive=alive)
    assert own_holder(context(Spoken(runs / "abc234")), root(folder), lock(created)) == run


@pytest.mark.parametrize(("code", "who", "is_ours"), [("-9", "", True), ("-9", "lee@laptop", False), ("0", "", False)])
def test_a_lock_of_a_terraform_of_ours_that_was_killed(tmp_path: Path, code: str, who: str, is_ours: bool) -> None:
    """Nobody is at work with it; of another machine's lock that is not known."""
    runs, folder = tmp_path / "runs", tmp_path / "root"
    record(runs, folder, alive=False, code=code)
    held = replace(lock(datetime.now(UTC) + timedelta(minutes=1)), who=who or f"kim@{socket.gethostname()}")
    found = own_holder(context(Spoken(runs / "abc234")), root(folder), held)
    assert found == (OwnHolder("xyz234", is_alive=False) if is_ours else None)


# Commands under way


class Pretended:
    """A command that ends when it was signalled as often as `patience` says; `looks` are the signals, by look. It says nothing in
    the first looks, as many as `silent`."""

    command = ("terraform", "apply")

    def __init__(self, patience: int, *, lost: bool = False, silent: int = 0) -> None:
        self.patience, self.lost, self.silent = patience, lost, silent
        self.looks: list[str] = []

    def wait(self, each: Callable[[str], None] | None, *, seconds: float) -> int | None:
        if self.lost:
            raise Lost("Nobody knows.", command=self.command)
        if len([look for look in self.looks if look]) >= self.patience:
            return 1
        self.looks.append("")
        return None

    @property
    def has_spoken(self) -> bool:
        return len(self.looks) > self.silent

    def interrupt(self) -> bool:
        self.looks[-1] += "interrupt"
        return True

    def kill(self) -> bool:
        self.looks[-1] += "kill"
        return True

    def ended(self) -> Ended:
        return Ended(self.command, 1, Path("/nowhere"), Path("/nowhere"))


def rejoined(monkeypatch: pytest.MonkeyPatch, running: Pretended, inbox: Any) -> list[tuple[Kind, dict[str, Any]]]:
    written: list[tuple[Kind, dict[str, Any]]] = []
    monkeypatch.setattr(Running, "attach", lambda _: running)
    watching = Commands(cast(Inbox, inbox), lambda kind, **more: written.append((kind, more)), lambda _: None)
    intent = Intent("abc234/9", "terraform:apply", {"record": "/nowhere"}, NOW)
    try:
        watching.rejoin(intent, None)
    except Lost:
        written.append((Kind.STEP_FAILED, {}))
    return written


class Asked:
    interrupts = ("kim",)
    awaits_command = False

    def __init__(self, insisted: bool) -> None:
        self.insisted = insisted


def test_the_second_signal_never_comes_together_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two signals at once may arrive as one, and then nothing is left to insist with."""
    running = Pretended(patience=2)
    written = rejoined(monkeypatch, running, Asked(insisted=True))
    assert running.looks == ["interrupt", "kill"]
    assert written == [
        (Kind.CALL_DONE, {"call": "abc234/9", "operation": "terraform:apply", "answer": {"exit_code": 1}})
    ]


def test_one_interrupt_is_one_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Pretended(patience=1)
    rejoined(monkeypatch, running, Asked(insisted=False))
    assert running.looks == ["interrupt"]


@pytest.mark.parametrize(("insisted", "looks"), [(False, ["", "", "interrupt"]), (True, ["interrupt"])])
def test_a_command_that_does_not_listen_yet_is_asked_once_it_speaks(
    monkeypatch: pytest.MonkeyPatch, insisted: bool, looks: list[str]
) -> None:
    """The signal would kill Terraform before it has begun, and the plan would count as used."""
    running = Pretended(patience=1, silent=2)
    rejoined(monkeypatch, running, Asked(insisted=insisted))
    assert running.looks == looks


def test_a_command_whose_end_nobody_saw_may_have_changed_something(monkeypatch: pytest.MonkeyPatch) -> None:
    (failed, about), _ = rejoined(monkeypatch, Pretended(patience=9, lost=True), Asked(insisted=False))
    assert (failed, about["maybe_done"]) == (Kind.CALL_FAILED, True)


# What is stored


class Stored(AwsAccess):
    """A bucket without the state; `versions` is what listing its versions ends in."""

    def __init__(self, versions: dict[str, Any] | AwsError) -> None:
        super().__init__(region="r", environ={})
        self._versions = versions

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        raise AwsNotFound("There is no such key.", operation="s3:GetObject", code="NoSuchKey")

    def whole_pages(self, service: str, operation: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        if isinstance(self._versions, AwsError):
            raise self._versions
        yield self._versions


def stored(tmp_path: Path, versions: dict[str, Any] | AwsError) -> tuple[StateSummary | None, list[str]]:
    warnings: list[str] = []

    def note(said: str, *, warning: bool = False) -> None:
        warnings.append(said)

    looking = SimpleNamespace(reads=Stored(versions), note=note, target=Target("web", "dev", "r"))
    return state_summary(cast(StepContext, looking), root(tmp_path)), warnings


def test_without_the_right_to_list_versions_a_first_deploy_goes_on_and_says_what_it_cannot_tell(tmp_path: Path) -> None:
    """Terraform itself does not need that right."""
    denied = AccessDenied("s3:ListBucketVersions is not allowed.", operation="s3:ListBucketVersions")
    found, warnings = stored(tmp_path, denied)
    assert found is None
    assert warnings == ["Whether there ever was a state cannot be told: s3:ListBucketVersions is not allowed."]


def test_what_never_was_is_a_beginning_and_what_has_versions_was_deleted(tmp_path: Path) -> None:
    assert stored(tmp_path, {}) == (None, [])
    with pytest.raises(StepFailed) as caught:
        stored(tmp_path, {"DeleteMarkers": [{"Key": "k", "VersionId": "v2", "LastModified": datetime.now(UTC)}]})
    assert caught.value.title == "The state was deleted."
    assert "infraconsole run state-undelete --service web --env dev" in caught.value.mend


def test_a_version_that_the_code_refuses_is_said_before_init(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "versions.tf").write_text('terraform {\n  required_version = "~> 1.5.0"\n}\n')
    with pytest.raises(PrerequisiteMissing) as caught:
        initialise(cast(StepContext, None), root(code))
    assert "Terraform 1.11.4" in caught.value.title
    assert f"{code / 'versions.tf'} asks for Terraform ~> 1.5.0" in caught.value.cause
    (code / "versions.tf").unlink()
    (code / ".terraform-version").write_text("1.5.7\n")
    (told,) = refuse_wrong_version(cast(StepContext, None), root(code))
    assert "asks for Terraform 1.5.7; this is 1.11.4" in told
