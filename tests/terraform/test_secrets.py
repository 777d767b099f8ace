"""Secrets that Terraform, a provisioner or a provider prints, in real runs: read in the raw bytes of the journal, in what the
command line prints, in the executor's log and in every file of the run's folder."""

from __future__ import annotations

import base64
import html
import json
import subprocess
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from infraconsole.redaction import MASK
from tests.terraform.conftest import DEV, HEAD, VARIABLES, Done, Site, data

pytestmark = pytest.mark.slow

PLANTED = {
    "db_password": "S3cr3t/One+9xQz&7",
    "settings": "nested-Two<8wKp>5",
    "token": "From-Env-Three/4rTy",
    "api_key": "by-name-Four_3uIo",
    "defaulted": "by-Default-Five-2aSd",
    "unchanged": "of-State-Six/1fGh",
    "output": "of-Output-Seven=0jK",
}
DECLARED = """
variable "db_password" {
  type      = string
  sensitive = true
}

variable "settings" {
  type      = map(list(string))
  sensitive = true
}

variable "token" {
  type      = string
  sensitive = true
}

variable "api_key" {
  type = string
}

variable "defaulted" {
  type      = string
  sensitive = true
  default   = "by-Default-Five-2aSd"
}
"""


def forms(secret: str) -> dict[str, str]:
    raw = secret.encode()
    return {
        "plain": secret,
        "json": json.dumps(secret)[1:-1],
        "base64": base64.b64encode(raw).decode().rstrip("="),
        "base64url": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "base64 of user:secret": base64.b64encode(b"user:" + raw).decode()[8:-4],
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "url": quote(secret, safe=""),
        "url+": quote_plus(secret),
        "html": html.escape(secret),
        "broken": secret[6:],
    }


def echo(file: Path) -> str:
    """A shell that prints every line of a file in every form that a shell has at hand."""
    return (
        'while read -r s; do echo "plain $s"; printf %s "$s" | base64 -w 20; echo; printf \'user:%s\' "$s" | base64; '
        'printf %s "$s" | od -An -v -tx1; printf %s "$s" | od -An -v -tx1 | tr -d \' \\n\' | tr a-f A-F; echo; '
        'printf %s "$s" | cut -c 1-6; printf \'     %s\\n\' "$(printf %s "$s" | cut -c 7-)"; '
        'echo "Server=db;Pwd=$s;"; done < ' + json.dumps(str(file))
    )


def local(command: str) -> str:
    return f'  provisioner "local-exec" {{\n    command = {json.dumps(command)}\n  }}\n'


def everything(site: Site, done: Done) -> dict[str, bytes]:
    """All that the run has left, by where. The last thing that a test does: reading the journal's files takes SQLite's locks off
    them in this process, and its connection may be stale after the next write of another."""
    found = {"stdout": json.dumps(done.events).encode(), "stderr": done.stderr.encode()}
    for file in sorted(site.folder.rglob("*")):
        if file.is_file() and file.relative_to(site.folder).parts[0] not in ("terraform", "cache"):
            found[str(file.relative_to(site.folder))] = file.read_bytes()
    return found


def assert_nowhere(found: dict[str, bytes], *but: str) -> None:
    seen = [
        (where, name, form)
        for where, body in found.items()
        if not where.endswith(but)
        for name, secret in PLANTED.items()
        for form, text in forms(secret).items()
        if text.encode() in body or json.dumps(text)[1:-1].encode() in body
    ]
    assert not seen, seen


@pytest.fixture
def planted(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the code's provisioners print."""
    variables = site.root / "environments/dev/terraform.tfvars"
    settings = json.dumps({"a": [PLANTED["settings"]]}).replace(":", " =")
    variables.write_text(
        f'db_password = "{PLANTED["db_password"]}"\nsettings = {settings}\napi_key = "{PLANTED["api_key"]}"\n'
    )
    site.environ["TF_VAR_token"] = PLANTED["token"]
    file = tmp_path / "planted"
    file.write_text("".join(f"{each}\n" for each in PLANTED.values()))
    return file


def code(*more: str) -> str:
    kept = (
        'variable "state_only" {\n  type      = string\n  sensitive = true\n  default = "x"\n}\n'
        'resource "terraform_data" "kept" {\n  input = sensitive(file("${path.module}/.kept"))\n}\n'
        'output "kept" {\n  value     = file("${path.module}/.out")\n  sensitive = true\n}\n'
    )
    return HEAD + VARIABLES + DECLARED + kept + "".join(more)


def write(site: Site, *more: str) -> None:
    (site.root / ".kept").write_text(PLANTED["unchanged"])
    (site.root / ".out").write_text(PLANTED["output"])
    site.write(code(*more))


def test_what_is_echoed_while_planning_and_applying_is_masked_everywhere(site: Site, planted: Path) -> None:
    write(site)
    first = site.deploy()
    assert first.code == 0, first.stderr
    told = (
        "${nonsensitive(var.db_password)} ${base64encode(nonsensitive(var.db_password))} ${urlencode(nonsensitive(var.token))}",
        '${jsonencode(nonsensitive(var.settings))} ${file("${path.module}/.out")} ${nonsensitive(terraform_data.kept.output)}',
    )
    message = f'error_message = "told: {" ".join(told)}"'
    warns = f'check "echo" {{\n  assert {{\n    condition     = var.value == "never"\n    {message}\n  }}\n}}\n'
    write(site, warns, data("echoes", '"new"', local(echo(planted))))
    done = site.deploy()
    assert done.code == 0, done.stderr
    lines = [line for each in done.events if each["kind"] == "output" for line in each["lines"]]
    assert any(f"plain {MASK}" in line for line in lines), "the provisioner was heard"
    assert any(f"told: {MASK}" in line for line in lines), "the check was heard"
    assert_nowhere(everything(site, done))
    assert site.stored().count(PLANTED["unchanged"].encode()), "the state itself has it"


@pytest.mark.parametrize("stage", ["plan", "apply"])
def test_what_a_failing_condition_says_is_masked_everywhere(site: Site, planted: Path, stage: str) -> None:
    told = "${nonsensitive(var.db_password)} ${urlencode(nonsensitive(var.token))} ${nonsensitive(var.defaulted)}"
    kind, condition = {
        "plan": ("precondition", "var.value == nonsensitive(var.db_password)"),
        "apply": ("postcondition", "self.id == nonsensitive(var.db_password)"),
    }[stage]
    fails = f'  lifecycle {{\n    {kind} {{\n      condition     = {condition}\n      error_message = "no: {told}"\n    }}\n  }}\n'
    write(site, data("fails", '"new"', fails))
    done = site.deploy()
    assert done.code == 1, done.stderr
    assert f"no: {MASK}" in json.dumps(done.events, ensure_ascii=False)
    assert_nowhere(everything(site, done))


def test_a_run_that_is_over_keeps_what_a_person_and_later_runs_read_and_no_secret(site: Site, planted: Path) -> None:
    write(site, data("echoes", '"new"', local(echo(planted))))
    done = site.deploy()
    assert done.code == 0, done.stderr
    folder = site.folder / "runs" / done.run
    assert not (folder / "plan.tfplan").exists()
    record = json.loads((folder / "plan.json").read_text())
    assert {each["address"] for each in record["resource_changes"]} == {"terraform_data.kept", "terraform_data.echoes"}
    (stdout,) = folder.glob("*-apply/stdout")
    assert "terraform_data.echoes" in stdout.read_text()
    assert [file.name for file in folder.glob("*/stderr")] == []
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.rglob("*"))


def test_keep_keeps_all_files(site: Site, planted: Path) -> None:
    site.settings.write_text(site.settings.read_text().replace("[engine]\n", '[engine]\nkeep_files = "keep"\n'))
    write(site)
    done = site.deploy()
    assert done.code == 0, done.stderr
    folder = site.folder / "runs" / done.run
    assert (folder / "plan.tfplan").exists()
    assert_nowhere(everything(site, done), "plan.tfplan", "plan.json", "stdout", "stderr", "tfstate")


def test_an_executor_that_comes_after_a_crash_knows_the_secrets_before_it_prints(
    site: Site, planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_VAR_token", PLANTED["token"])
    write(site)
    assert site.deploy().code == 0
    waits = f"touch '{site.begun}'; for i in $(seq 1200); do [ -e '{site.go}' ] && break; sleep 0.05; done; "
    write(site, data("echoes", '"new"', local(waits + echo(planted))))
    run = site.start(monkeypatch, answers=[("confirm", "yes")])
    site.until_applying(run)
    site.kill_executor(run)
    site.go.touch()
    done = site.resumed(run)
    assert done.code == 0, done.stderr
    assert any(f"plain {MASK}" in line for each in site.events(run, "output") for line in each.data["lines"])
    assert_nowhere(everything(site, done))


def test_files_of_a_run_whose_executor_was_killed_at_its_end_go_with_the_next_run(
    site: Site, planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_VAR_token", PLANTED["token"])
    write(site)
    run = site.start(monkeypatch, kill="after:run-finished:", answers=[("confirm", "yes")])
    assert site.finished(run).outcome == "done"
    folder = site.folder / "runs" / run
    assert (folder / "plan.tfplan").exists()
    done = site.deploy()
    assert done.code == 0, done.stderr
    assert not (folder / "plan.tfplan").exists()
    assert_nowhere(everything(site, done))


def encrypting(site: Site, folder: Path) -> Path:
    """The key's file, which is made at first use."""
    site.settings.write_text(site.settings.read_text().replace("[engine]\n", '[engine]\nkeep_files = "encrypt"\n'))
    site.environ["XDG_CONFIG_HOME"] = str(folder / "config")
    return folder / "config/infraconsole/files.key"


def decrypted(site: Site, run: str, into: Path) -> dict[str, bytes]:
    done = subprocess.run(
        site.command("journal", "files", run, "--into", str(into), "--json"),
        env=site.environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {each["name"]: Path(each["into"]).read_bytes() for each in json.loads(done.stdout)["files"]}


def test_encrypted_files_come_back_byte_for_byte_and_nothing_stays_in_clear(
    site: Site, planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = encrypting(site, tmp_path)
    monkeypatch.setenv("TF_VAR_token", PLANTED["token"])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write(site, data("echoes", '"new"', local(echo(planted))))
    run = site.start(monkeypatch, kill="after:run-finished:", answers=[("confirm", "yes")])
    assert site.finished(run).outcome == "done"
    folder = site.folder / "runs" / run
    was = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert PLANTED["token"].encode() in was["plan.json"], "killed before its files were encrypted"
    done = site.deploy()
    assert done.code == 0, done.stderr
    assert key.stat().st_mode & 0o777 == 0o600
    found = decrypted(site, run, tmp_path / "clear")
    assert {"plan.tfplan", "plan.json"} < set(found)
    assert any(name.endswith("-apply/stdout") for name in found)
    assert found == {name: was[name] for name in found}
    assert all(name in found or (folder / name).read_bytes() == body for name, body in was.items()), "nothing is lost"
    assert {"plan.tfplan", "plan.json"} < set(decrypted(site, done.run, tmp_path / "other")), "the second run's own"
    assert_nowhere(everything(site, done))


def test_a_run_is_undone_from_its_encrypted_backup(site: Site, planted: Path, tmp_path: Path) -> None:
    encrypting(site, tmp_path)
    write(site)
    assert site.deploy().code == 0
    first = site.versions()[0]
    (site.root / ".kept").write_text("another-value-that-is-kept")
    assert site.deploy().code == 0
    was = site.state()["resources"]
    back = site.run("state-rollback", *DEV, "--set", f"version={first}")
    assert back.code == 0, back.stderr
    folder = site.folder / "runs" / back.run
    assert not list(folder.glob("*.tfstate"))
    undone = site.run("state-rollback", *DEV, "--set", f"version=backup:{back.run}")
    assert undone.code == 0, undone.stderr
    assert site.state()["resources"] == was
    again = site.run("state-rollback", *DEV, "--set", f"version=file:{folder / 'backup.tfstate'}")
    assert "says the same as the stored state" in str(again.events[-1]), "it was read"
    assert_nowhere(everything(site, back))


def test_without_its_key_a_runs_files_stay_and_its_log_says_why(site: Site, planted: Path, tmp_path: Path) -> None:
    text = f'[engine]\nkeep_files = "encrypt"\nfiles_key = "{tmp_path / "missing.key"}"\n'
    site.settings.write_text(site.settings.read_text().replace("[engine]\n", text))
    write(site)
    done = site.deploy()
    assert done.code == 0, done.stderr
    folder = site.folder / "runs" / done.run
    assert (folder / "plan.tfplan").exists()
    assert not list(folder.rglob("*.enc"))
    log = Path(f"{folder}.log").read_text()
    assert f"{tmp_path / 'missing.key'}, is missing" in log
    assert "all files stay as they are" in log
