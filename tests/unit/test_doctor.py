"""The doctor: from facts to findings, and once over everything with a small server in AWS's place."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infraconsole import config
from infraconsole.checks import doctor, permissions, tools
from infraconsole.checks.doctor import Account, Terminal
from infraconsole.checks.findings import Finding, by_weight, has_errors
from infraconsole.checks.permissions import Answer, Need, policy_source
from infraconsole.checks.tools import Found, Tool
from infraconsole.errors import AccessDenied, ConfigError, CredentialsExpired, JournalError, NetworkUnreachable

GOOD = Terminal(columns=120, rows=40, is_terminal=True, kind="xterm-256color", encoding="utf-8")


def levels(findings: Any) -> dict[str, str]:
    return {finding.id: finding.level for finding in findings}


# Findings


def test_a_finding_as_json_names_file_and_line_only_where_there_is_one() -> None:
    plain = Finding("rule", "error", "subject", "message")
    assert plain.as_json() == {"id": "rule", "level": "error", "subject": "subject", "message": "message", "mend": ""}
    placed = Finding("rule", "info", "s", "m", "mend", file="a.tf", line=3)
    assert placed.as_json()["file"] == "a.tf"
    assert placed.as_json()["line"] == 3


def test_errors_come_first_and_the_rest_stays_in_its_order() -> None:
    found = [Finding(str(number), level, "s", "m") for number, level in enumerate(("info", "warning", "error", "info"))]  # type: ignore[arg-type]
    assert [finding.id for finding in by_weight(found)] == ["2", "1", "0", "3"]
    assert has_errors(found)
    assert not has_errors(found[:2])
    assert doctor.worst(found[:2]) == "warning"
    assert doctor.worst([]) == "info"


# Tools


def terraform(version: tuple[int, ...] = (), path: str = "/usr/bin/terraform", problem: str = "") -> Found:
    return Found(tools.TERRAFORM, path, version, problem)


@pytest.mark.parametrize(
    ("found", "rule", "level"),
    [
        (terraform((1, 11, 4)), "terraform", "info"),
        (terraform((1, 9, 0)), "terraform", "info"),
        (terraform((1, 8, 5)), "terraform-old", "warning"),
        (terraform((1, 5, 0)), "terraform-old", "warning"),
        (terraform((1, 4, 7)), "terraform-too-old", "error"),
        (terraform((0, 15, 0)), "terraform-too-old", "error"),
        (terraform(), "terraform-unknown", "warning"),
        (terraform(problem="did not answer within 10 s"), "terraform-unusable", "warning"),
        (terraform(path=""), "terraform-missing", "error"),
    ],
)
def test_terraform(found: Found, rule: str, level: str) -> None:
    assert levels(tools.findings((found,), wheel=lambda: "")) == {rule: level}


def test_the_wheel_stands_in_for_a_missing_terraform_only() -> None:
    (finding,) = tools.findings((terraform(path=""),), wheel=lambda: "0.15.3")
    assert (finding.level, "0.15.3" in finding.message) == ("info", True)
    assert levels(tools.findings((terraform((1, 4, 0)),), wheel=lambda: "0.15.3")) == {"terraform-too-old": "error"}


def test_optional_tools_are_only_mentioned() -> None:
    missing = tuple(Found(tool) for tool in tools.TOOLS)
    found = levels(tools.findings(missing, wheel=lambda: ""))
    assert found["git-missing"] == "error"
    assert found["aws-missing"] == "warning"
    assert {found[f"{name}-missing"] for name in ("session-manager-plugin", "mysql", "jq", "infracost")} == {"info"}


def script(folder: Path, name: str, body: str) -> dict[str, str]:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def tool(name: str) -> Tool:
    return next(one for one in tools.TOOLS if one.name == name)


@pytest.mark.parametrize(
    ("name", "said", "version"),
    [
        ("terraform", '{"terraform_version": "1.11.4", "platform": "linux_amd64"}', (1, 11, 4)),
        ("terraform", '{"terraform_version": "1.12.0-beta1"}', (1, 12, 0)),
        ("terraform", "Terraform v1.11.4", ()),
        ("git", "git version 2.39.5 (Apple Git-154)", (2, 39, 5)),
        ("git", "git version 2.30", (2, 30)),
        ("aws", "aws-cli/2.15.30 Python/3.11.8 Linux/6.1", (2, 15, 30)),
        ("jq", "jq-1.6", (1, 6)),
        ("jq", "none", ()),
    ],
)
def test_what_a_tool_says_of_its_version(name: str, said: str, version: tuple[int, ...], tmp_path: Path) -> None:
    environ = script(tmp_path, name, f"cat <<'END'\n{said}\nEND\necho 'a warning' >&2")
    found = tools.ask(tool(name), environ)
    assert found.version == version
    assert found.path == str(tmp_path / name)
    assert found.problem == ""


def test_a_tool_that_hangs_is_given_up(tmp_path: Path) -> None:
    environ = script(tmp_path, "git", "exec sleep 30")
    began = time.monotonic()
    found = tools.ask(tool("git"), environ, seconds=0.3)
    assert time.monotonic() - began < 5
    assert "0.3 s" in found.problem


def test_a_tool_that_fails_or_cannot_be_started(tmp_path: Path) -> None:
    environ = script(tmp_path, "git", "echo broken >&2; exit 3")
    assert "code 3: broken" in tools.ask(tool("git"), environ).problem
    (tmp_path / "git").write_text("#!/nonexistent/interpreter\n")
    assert tools.ask(tool("git"), environ).problem
    assert tools.ask(tool("git"), {"PATH": str(tmp_path / "empty")}) == Found(tool("git"))


# Python, terminal, journal, configuration


def test_python() -> None:
    assert levels(doctor.python_findings((3, 10, 9))) == {"python-too-old": "error"}
    assert levels(doctor.python_findings((3, 11, 0))) == {"python": "info"}


@pytest.mark.parametrize(
    ("terminal", "expected"),
    [
        (GOOD, {"terminal": "info"}),
        (Terminal(80, 24, True, "xterm", "UTF-8"), {"terminal-small": "warning"}),
        (Terminal(120, 40, True, "dumb", "utf8"), {"terminal-dumb": "warning"}),
        (Terminal(120, 40, True, "xterm", "ISO-8859-1"), {"terminal-encoding": "warning"}),
        (Terminal(20, 5, False, "", ""), {"terminal": "info"}),
    ],
)
def test_terminal(terminal: Terminal, expected: dict[str, str]) -> None:
    assert levels(doctor.terminal_findings(terminal)) == expected


def test_journal() -> None:
    def broken() -> list[str]:
        raise JournalError("The journal cannot be read.", cause="file is not a database")

    assert list(doctor.journal_findings(None)) == []
    assert levels(doctor.journal_findings(list)) == {"journal": "info"}
    assert [finding.level for finding in doctor.journal_findings(lambda: ["a", "b"])] == ["error", "error"]
    (finding,) = doctor.journal_findings(broken)
    assert (finding.id, "not a database" in finding.message) == ("journal-damaged", True)


def test_configuration(tmp_path: Path) -> None:
    file = tmp_path / "infraconsole.toml"
    document = {
        "infrastructure": {"path": "missing"},
        "services": {"here": {"path": "."}, "gone": {"path": "gone"}, "bare": {}},
    }
    found = list(doctor.configuration_findings(config.parse(document, file)))
    assert [(finding.id, finding.subject) for finding in found] == [
        ("configuration", "configuration"),
        ("path-missing", "infrastructure.path"),
        ("path-missing", "services.gone.path"),
    ]
    assert all(finding.file == str(file) for finding in found)
    assert levels(doctor.configuration_findings(config.parse({}, None))) == {"no-configuration": "warning"}
    assert levels(doctor.configuration_findings(config.parse({}, file))) == {
        "configuration": "info",
        "no-services": "warning",
    }


@pytest.mark.parametrize(
    ("content", "words", "line"),
    [
        ("dr_regoin = 'x'", "dr_regoin", None),
        ("[engine]\nwatch_minutes = 'long'", "engine.watch_minutes", None),
        ("region = 'x'\n\n[services\nx = 1", "is not TOML", 3),
    ],
)
def test_a_broken_configuration_is_a_finding_and_the_other_checks_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, words: str, line: int | None
) -> None:
    file = tmp_path / "infraconsole.toml"
    file.write_text(content)
    monkeypatch.setenv(config.CONFIG_VARIABLE, str(file))
    with pytest.raises(ConfigError) as raised:
        config.load()
    found = doctor.run(raised.value, {"PATH": "/usr/bin:/bin"}, journal=list, terminal=GOOD, reachable=lambda *_: True)
    broken = found[0]
    assert (broken.id, broken.level, broken.file, broken.line) == ("configuration-wrong", "error", str(file), line)
    assert words in broken.message
    assert str(file) in broken.message
    assert broken.mend
    assert {"python", "journal", "git", "credentials-not-tried"} <= set(levels(found))


# Credentials, clock, permissions


def settings(name: str = "prod", **more: Any) -> config.EnvironmentSettings:
    return config.EnvironmentSettings(name, **more)


def account(**more: Any) -> Account:
    known = {"environments": (settings(),), "region": "ap-northeast-2", "profile": None, "account": "123456789012"}
    return Account(**{**known, "arn": "arn:aws:iam::123456789012:user/kim", "source": "env", **more})


def test_credentials_say_who_where_and_through_what() -> None:
    (finding,) = doctor.account_findings(account(alias="company", environments=(settings("dev"), settings("staging"))))
    assert (finding.level, finding.subject) == ("info", "dev, staging")
    assert finding.message == "Account 123456789012 (company) in ap-northeast-2, as user/kim, through env."


def test_the_wrong_account_is_an_error_of_that_environment_only() -> None:
    right, wrong = settings("dev", account="123456789012"), settings("prod", account="999999999999")
    found = list(doctor.account_findings(account(environments=(right, wrong))))
    assert [(finding.id, finding.subject) for finding in found if finding.level == "error"] == [
        ("wrong-account", "prod")
    ]


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (CredentialsExpired("t", operation="sts:GetCallerIdentity", mend="aws sso login"), "credentials-expired"),
        (NetworkUnreachable("t", operation="sts:GetCallerIdentity", mend="check"), "network-unreachable"),
    ],
)
def test_an_error_of_awss_is_a_finding_with_its_mend(error: Any, rule: str) -> None:
    (finding,) = doctor.account_findings(account(error=error))
    assert (finding.id, finding.level, finding.mend) == (rule, "error", error.mend)


@pytest.mark.parametrize(
    ("seconds", "rule", "level"),
    [
        (0, "clock", "info"),
        (-20, "clock", "info"),
        (60, "clock-skew", "warning"),
        (-60, "clock-skew", "warning"),
        (600, "clock-skew", "error"),
        (-600, "clock-skew", "error"),
    ],
)
def test_clock(seconds: int, rule: str, level: str) -> None:
    finding = doctor.clock_finding(timedelta(seconds=seconds), "prod")
    assert (finding.id, finding.level) == (rule, level)
    if level != "info":
        assert ("ahead of" in finding.message) is (seconds > 0)


def test_permissions_denied_each_and_the_rest_in_a_line() -> None:
    denied = AccessDenied("t", operation="ecs:ListClusters", mend="Have ecs:ListClusters allowed")
    away = NetworkUnreachable("AWS is away.", operation="x:Y")
    answers = [
        Answer(Need("ecs:ListClusters", "services", essential=True), False, denied),
        Answer(Need("logs:DescribeLogGroups", "lines"), False, denied),
        Answer(Need("a:A", "a"), True),
        Answer(Need("b:B", "b"), True),
        Answer(Need("c:C", "c"), None, away),
        Answer(Need("d:D", "d"), None, away),
        Answer(Need("e:E", "e"), None, remark="Nobody knows."),
    ]
    found = list(doctor.permission_findings(answers, "prod"))
    assert [(finding.id, finding.level) for finding in found] == [
        ("permission-missing", "error"),
        ("permission-missing", "warning"),
        ("permission-unknown", "info"),
        ("permission-unknown", "info"),
        ("permissions", "info"),
    ]
    assert "c:C, d:D. AWS is away." in found[2].message
    assert found[4].message == "Allowed: a:A, b:B."


@pytest.mark.parametrize(
    ("arn", "source"),
    [
        ("arn:aws:sts::123456789012:assumed-role/Admin/kim", "arn:aws:iam::123456789012:role/Admin"),
        ("arn:aws-cn:sts::123456789012:assumed-role/Admin/kim", "arn:aws-cn:iam::123456789012:role/Admin"),
        ("arn:aws:iam::123456789012:user/kim", "arn:aws:iam::123456789012:user/kim"),
        ("arn:aws:iam::123456789012:root", ""),
        ("arn:aws:sts::123456789012:federated-user/kim", ""),
    ],
)
def test_whom_the_simulator_is_asked_about(arn: str, source: str) -> None:
    assert policy_source(arn) == source


def test_the_registry_is_tried_only_directly() -> None:
    def reached(host: str, port: int) -> bool:
        pytest.fail("tried")

    for name in ("HTTPS_PROXY", "https_proxy", "TF_CLI_CONFIG_FILE"):
        assert levels(doctor.registry_findings({name: "x"}, reached)) == {"registry": "info"}
    assert levels(doctor.registry_findings({}, lambda host, port: True)) == {"registry": "info"}
    assert levels(doctor.registry_findings({}, lambda host, port: False)) == {"registry-unreachable": "warning"}


# All of it, with a server in AWS's place


class Aws:
    """STS by query, everything else refused but S3's and DynamoDB's questions."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.ahead = timedelta()
        self.versioning = "<Status>Enabled</Status>"
        self.denied: set[str] = set()
        aws = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode(errors="replace")
                target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                action = target or dict(part.partition("=")[::2] for part in body.split("&")).get("Action", "?")
                aws.requests.append(action)
                if action in aws.denied:
                    code = {"__type": "AccessDeniedException", "message": "no"}
                    self.reply(400, json.dumps(code), "application/x-amz-json-1.1")
                elif target == "DescribeTable":
                    code = {"__type": "ResourceNotFoundException", "message": "no table"}
                    self.reply(400, json.dumps(code), "application/x-amz-json-1.1")
                elif target:
                    self.reply(200, "{}", "application/x-amz-json-1.1")
                elif action == "GetCallerIdentity":
                    answer = "<Arn>arn:aws:iam::123456789012:user/kim</Arn><UserId>AIDA</UserId><Account>123456789012</Account>"
                    self.reply(200, self.wrapped(action, answer), "text/xml")
                else:
                    self.reply(200, self.wrapped(action, ""), "text/xml")

            def do_GET(self) -> None:
                aws.requests.append("GetBucketVersioning")
                xmlns = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
                status = f"<VersioningConfiguration {xmlns}>{aws.versioning}</VersioningConfiguration>"
                self.reply(200, status, "application/xml")

            def wrapped(self, action: str, inner: str) -> str:
                return f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"

            def reply(self, status: int, text: str, kind: str) -> None:
                payload = text.encode()
                self.send_response_only(status)
                self.send_header("Date", format_datetime(datetime.now(UTC) - aws.ahead, usegmt=True))
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(payload)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def aws() -> Iterator[Aws]:
    server = Aws()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def environ(aws: Aws, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": str(tmp_path),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws.http.server_address[1]}",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }


def settings_of(**environments: Any) -> config.Config:
    return config.parse({"region": "ap-northeast-2", "services": {"s": {}}, "environments": environments}, None)


def run(configuration: config.Config, environ: dict[str, str]) -> tuple[Finding, ...]:
    return doctor.run(configuration, environ, terminal=GOOD, reachable=lambda host, port: True, journal=list)


def test_environments_that_share_credentials_are_asked_about_once(aws: Aws, environ: dict[str, str]) -> None:
    found = run(settings_of(dev={}, staging={}, prod={"region": "ap-northeast-1"}), environ)
    subjects = [finding.subject for finding in found if finding.id == "credentials"]
    assert subjects == ["dev, staging", "prod"]
    assert aws.requests.count("GetCallerIdentity") == 2


def test_state_bucket_and_lock_table(aws: Aws, environ: dict[str, str]) -> None:
    configuration = settings_of(prod={"state_bucket": "states", "lock_table": "locks"})
    found = levels(run(configuration, environ))
    assert found["lock-table-missing"] == "error"
    assert "state-bucket-unversioned" not in found
    aws.versioning = ""
    assert levels(run(configuration, environ))["state-bucket-unversioned"] == "error"


def test_a_denied_read_is_named(aws: Aws, environ: dict[str, str]) -> None:
    aws.denied = {"ListClusters"}
    denied = [finding for finding in run(settings_of(prod={}), environ) if finding.id == "permission-missing"]
    assert [finding.level for finding in denied] == ["error"]
    assert denied[0].message.startswith("ecs:ListClusters is denied")


def test_a_permission_that_nothing_needs_is_no_warning(aws: Aws, environ: dict[str, str]) -> None:
    aws.denied = {"DescribeTrails"}
    denied = [finding for finding in run(settings_of(prod={}), environ) if finding.id == "permission-missing"]
    assert [finding.level for finding in denied] == ["info"]
    assert "saying who wrote a version of a state" in denied[0].message


def test_a_clock_that_is_off_is_seen_by_the_answers(aws: Aws, environ: dict[str, str]) -> None:
    aws.ahead = timedelta(minutes=2)
    assert levels(run(settings_of(prod={}), environ))["clock-skew"] == "warning"


def test_only_reads_are_sent(aws: Aws, environ: dict[str, str]) -> None:
    run(settings_of(prod={"state_bucket": "states", "lock_table": "locks"}), environ)
    verbs = ("Describe", "List", "Get", "Simulate")
    assert all(name.startswith(verbs) for name in aws.requests), aws.requests
    assert {read.operation for read in permissions.READS} <= set(aws.requests)


def test_without_credentials_the_rest_is_still_found(aws: Aws, environ: dict[str, str]) -> None:
    del environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]
    found = levels(run(settings_of(prod={}), environ))
    assert found["credentials-missing"] == "error"
    assert found["git-missing"] == "error"
    assert found["python"] == "info"
    assert aws.requests == []


def test_an_environment_without_region_is_told(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, aws: Aws
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    found = run(config.parse({"environments": {"prod": {}}}, None), environ)
    assert levels(found)["config-error"] == "error"


def test_a_dead_endpoint_is_bounded_in_time(environ: dict[str, str], aws: Aws) -> None:
    environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    began = time.monotonic()
    found = levels(run(settings_of(prod={}), environ))
    assert found["network-unreachable"] == "error"
    assert time.monotonic() - began < 10


def test_nothing_of_the_process_environment_is_read(
    environ: dict[str, str], aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "USERS")
    assert os.environ["AWS_ACCESS_KEY_ID"] == "USERS"
    assert levels(run(settings_of(prod={}), environ))["credentials"] == "info"
