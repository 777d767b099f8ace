"""What is said of a failed command: its words propose, and each is looked up before it is said in our own name."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.checks import state_digest
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AwsError, AwsNotFound, CredentialsExpired, HeldUp, TerraformError
from infraconsole.runbooks import terraform_failure
from infraconsole.runbooks.terraform_failure import failure
from infraconsole.runbooks.terraform_root import Root
from infraconsole.terraform import backend, complaints, events, runner
from infraconsole.terraform.backend import S3Backend
from infraconsole.terraform.binary import Binary
from infraconsole.terraform.runner import Ended, Terraform
from infraconsole.terraform.texts import Kind

STATE = b'{"version": 4, "serial": 7, "lineage": "ours", "terraform_version": "1.11.4", "resources": []}'
LOCK = json.dumps(
    {"ID": "1a2b", "Operation": "OperationTypeApply", "Who": "lee@laptop", "Created": "2026-01-02T03:04:05Z"}
)
BOUND = {"lineage": "ours", "serial": 7}


class World(AwsAccess):
    """A bucket `b`, its state and locks, and whose credentials these are; what is None is not there, an error is raised."""

    def __init__(self, **there: Any) -> None:
        super().__init__(region="r", environ={})
        self.there = {"state": STATE, "lock": None, "digest": "", "bucket": True, **there}

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if operation == "GetItem":
            digest = parameters["Key"]["LockID"]["S"].endswith("-md5")
            value = self._given("digest" if digest else "lock")
            return {"Item": {"Digest" if digest else "Info": {"S": value}}} if value else {}
        if operation == "HeadBucket":
            return self._found("bucket", "NoSuchBucket") and {}
        name = "lockfile" if parameters["Key"].endswith(".tflock") else "state"
        return {"Body": self._found(name, "NoSuchKey")}

    def _given(self, name: str) -> Any:
        value = self.there.get(name)
        if isinstance(value, AwsError):
            raise value
        return value

    def _found(self, name: str, code: str) -> Any:
        if not (value := self._given(name)):
            raise AwsNotFound("It is not there.", operation="s3:GetObject", code=code)
        return value


NOT_ASKED = AwsError("AWS cannot be reached.", operation="s3:GetObject")


class Case:
    """A failed `plan` or `apply` in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "code"
        self.folder.mkdir()
        self.record = folder / "runs/abc234/00007-apply"
        self.record.mkdir(parents=True)
        self.data = folder / "data"
        self.monkeypatch = monkeypatch
        self.left: tuple[str, ...] = ()
        self.credentials: AwsError | None = None

    def say(self, summary: str = "", detail: str = "", *, errors: str = "", **there: Any) -> TerraformError:
        """What is said of it. `summary` and `detail` are a diagnostic's, `errors` its standard error."""
        (self.record / "stdout").write_text("")
        (self.record / "stderr").write_text(errors)
        line = {"@message": "", "type": "diagnostic", "diagnostic": {"severity": "error"}}
        line["diagnostic"] |= {"summary": summary, "detail": detail}  # type: ignore[operator]
        found = events.parse(json.dumps(line))
        assert isinstance(found, events.Diagnostic)
        reads = World(**there)
        bound = there.get("bound", BOUND)
        context = SimpleNamespace(reads=reads, result=lambda step: {"bound": bound} if step == "plan" else {})

        def identity(_: AwsAccess) -> Any:
            if self.credentials:
                raise self.credentials
            return SimpleNamespace(arn="arn:aws:iam::1:user/kim")

        self.monkeypatch.setattr(terraform_failure, "identity", identity)
        tool = Terraform(Binary(("terraform",), "1.11.4", "path"), self.folder, {})
        root = Root(self.folder, self.data, "dev", tool, S3Backend("b", "k", "r", lock_table="t"), ())
        ended = Ended(("terraform", "apply", "-json"), 1, self.record / "stdout", self.record / "stderr")
        error = failure(
            cast(StepContext, context), root, ended, "The apply failed.", [found] if summary else [], left=self.left
        )
        assert isinstance(error, TerraformError)
        return error


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(tmp_path, monkeypatch)


def test_a_failure_that_nobody_knows_is_told_in_terraform_s_own_words(case: Case) -> None:
    error = case.say(errors="Error: the moon is down")
    assert error.title.strip() == "The apply failed."
    assert "the moon is down" in error.cause


def test_a_state_that_could_not_be_stored_is_named_where_the_file_is(case: Case) -> None:
    assert "errored.tfstate" not in case.say("Failed to persist state to backend").title
    (case.folder / backend.ERRORED_STATE).write_bytes(STATE)
    error = case.say("Failed to persist state to backend")
    assert "it lies in errored.tfstate" in error.title
    assert "state-recover" in error.mend


def test_a_state_that_is_nowhere_is_told_where_the_stored_one_has_not_moved(case: Case) -> None:
    """The disk was full, so that not even the dump is whole: what was made stands in no state."""
    words = "This prevented Terraform from writing the updated state to the configured backend and from creating a file"
    assert "could not be stored" not in case.say("Failed", words).title, "nothing was made"
    case.left = ("Made: a.b.",)
    error = case.say("Failed", words)
    assert "could not be stored" in error.title
    assert "terraform import" in error.mend
    stored_since = STATE.replace(b'"serial": 7', b'"serial": 8')
    assert "could not be stored" not in case.say("Failed", words, state=stored_since).title
    unknown = case.say("Failed", words, state=NOT_ASKED)
    assert "Terraform says: What was applied could not be stored" in unknown.title
    assert "terraform import" in unknown.mend


def test_the_holder_of_a_lock_is_the_one_that_holds_it_now(case: Case) -> None:
    said = "Error acquiring the state lock"
    quoted = "ConditionalCheckFailed\nLock Info:\n  ID:        9z9z\n  Who:       mallory@x\n"
    held = case.say(said, quoted, lock=LOCK)
    assert isinstance(held, HeldUp), "once its holder is gone, a run that has begun goes on"
    assert held.title.endswith("The state is locked.")
    assert "lee@laptop" in held.cause
    assert "mallory" not in held.cause
    free = case.say(said, quoted)
    assert "is locked" not in free.title
    assert "nobody holds the state now" in free.cause
    assert free.mend == "Try again."
    unknown = case.say(said, quoted, lock=NOT_ASKED)
    assert "Terraform says" in unknown.title
    assert "AWS cannot be reached." in unknown.cause


def test_a_stale_plan_is_one_whose_state_moved(case: Case) -> None:
    stale = case.say("Saved plan is stale", bound={"lineage": "ours", "serial": 6})
    assert stale.title == "The apply failed. The plan is stale: the state has changed since it was made."
    assert stale.mend == "Make a new plan."
    same = case.say("Saved plan is stale")
    assert "is stale:" not in same.title
    assert "is the one it was made from" in same.cause
    assert "Terraform says" in case.say("Saved plan is stale", state=NOT_ASKED).title
    case.left = ("Made: a.b.",)
    begun = case.say("x", "Saved plan is stale", bound={"lineage": "ours", "serial": 6})
    assert "stale:" not in begun.title, "what had begun to be applied was not stale"


def test_a_digest_is_compared(case: Case) -> None:
    said = ("Failed to load state", "state data in S3 does not have the expected content.")
    differs = case.say(*said, digest="0" * 32)
    assert "digest was made of" in differs.title
    assert "0" * 32 in differs.cause
    assert "digest-repair" in differs.mend
    agrees = case.say(*said, digest=state_digest.calculated(STATE))
    assert "digest was made of" not in agrees.title
    assert "digest-repair" not in agrees.mend


def test_a_bucket_is_asked_for(case: Case) -> None:
    said = ("Failed to load state", 'S3 bucket "b" does not exist.')
    assert "bucket does not exist" in case.say(*said, bucket=None).title
    assert "bucket does not exist" not in case.say(*said).title
    assert "bucket does not exist" not in case.say("x", 'S3 bucket "other" does not exist.', bucket=None).title


def test_credentials_are_asked_about(case: Case) -> None:
    said = ("Error", "api error ExpiredToken: The provided token has expired.")
    fine = case.say(*said)
    assert "expired" not in fine.title
    assert "AWS accepts those of this run" in fine.cause
    case.credentials = CredentialsExpired("The AWS credentials have expired.", operation="x", mend="Renew them: now")
    expired = case.say(*said)
    assert expired.title.endswith("The AWS credentials have expired.")
    assert expired.mend == "Renew them: now"
    case.credentials = AwsError("AWS cannot be reached.", operation="sts:GetCallerIdentity")
    assert "Terraform says" in case.say(*said).title


def test_what_was_canceled_was_interrupted(case: Case) -> None:
    """Go's own library says `operation canceled` as well, of a time-out."""
    said = ("Error reading", "dial tcp: operation canceled")
    assert "canceled" not in case.say(*said).title
    (case.record / runner.INTERRUPTED).touch()
    assert "canceled" in case.say(*said).title


def test_init_that_is_needed_runs_next_time(case: Case) -> None:
    case.data.mkdir()
    note = case.data / "infraconsole-init.json"
    note.write_text("{}")
    quoted = case.say("local-exec provisioner error", "Backend initialization required, please run")
    assert note.exists()
    assert quoted.mend == ""
    stated = case.say('Backend initialization required, please run "terraform init"')
    assert not note.exists()
    assert "set up again first" in stated.mend


def test_what_cannot_be_looked_up_is_believed_of_terraform_alone(case: Case) -> None:
    words = "Failed to install provider"
    assert "provider could not be installed" not in case.say("local-exec provisioner error", f"Output: {words}").title
    assert "provider could not be installed" in case.say(words, "x").title
    assert "provider could not be installed" in case.say(errors=f"Error: {words}").title


# What counts as an error's words at all


def proposed(folder: Path, *lines: dict[str, Any] | str, command: tuple[str, ...] = ("plan", "-json")) -> list[Kind]:
    written = "".join(f"{line if isinstance(line, str) else json.dumps({'@message': 'x', **line})}\n" for line in lines)
    (folder / "stdout").write_text(written)
    (folder / "stderr").write_text("")
    ended = Ended(("terraform", *command), 1, folder / "stdout", folder / "stderr")
    return [found.kind for found in complaints.proposed(ended)]


@pytest.mark.parametrize(
    "line",
    [
        {"type": "provision_progress", "hook": {"output": "ExpiredToken"}},
        {"type": "outputs", "outputs": {"x": {"value": "ExpiredToken"}}},
        {"type": "log", "@message": "ExpiredToken"},
        {"type": "planned_change", "change": {"resource": {"addr": "ExpiredToken"}}},
        {"type": "diagnostic", "diagnostic": {"severity": "warning", "summary": "ExpiredToken"}},
        {"type": "something_new", "text": "ExpiredToken"},
        "plain words: ExpiredToken",
    ],
    ids=lambda line: str(line["type"]) if isinstance(line, dict) else "text",
)
def test_only_an_error_diagnostic_proposes_anything(tmp_path: Path, line: dict[str, Any] | str) -> None:
    assert proposed(tmp_path, line) == []
    told = {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "ExpiredToken"}}
    assert proposed(tmp_path, line, told) == [Kind.CREDENTIALS_EXPIRED]


def test_the_output_of_a_command_without_json_proposes_nothing(tmp_path: Path) -> None:
    assert proposed(tmp_path, "Error: ExpiredToken", command=("state", "push")) == []


def test_the_document_of_validate_is_read_as_one(tmp_path: Path) -> None:
    document = {"valid": False, "diagnostics": [{"severity": "error", "summary": "Module not installed"}]}
    written = json.dumps(document, indent=2)
    assert proposed(tmp_path, written, command=("validate", "-json")) == [Kind.MODULE_MISSING]
