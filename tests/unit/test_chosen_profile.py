"""A run that is begun while a person looks with another profile or region: refused before anything starts, or recorded."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infraconsole import config
from infraconsole.engine import launch
from infraconsole.engine.catalogue import runbook
from infraconsole.engine.event import Kind
from infraconsole.engine.history import record_of
from infraconsole.engine.journal import Journal
from infraconsole.errors import PrerequisiteMissing
from infraconsole.exports.survey import sharing

PROD, DEV, AUDIT = "123456789012", "111111111111", "999999999999"
OWNERS = {"AKIAPROD": PROD, "AKIADEV": DEV, "AKIAADMIN": PROD, "AKIAAUDIT": AUDIT}


class Sts:
    """Tells whose a key is, and keeps all that it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                key = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
                operation = body.partition("Action=")[2].partition("&")[0] or str(self.headers.get("X-Amz-Target"))
                outer.asked.append((operation, key))
                if operation != "GetCallerIdentity":
                    denied = b'{"__type": "AccessDeniedException", "message": "not authorized"}'
                    self.send_response(400)
                    self.send_header("Content-Length", str(len(denied)))
                    self.end_headers()
                    self.wfile.write(denied)
                    return
                account = OWNERS[key]
                answer = (
                    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
                    f"<Arn>arn:aws:iam::{account}:user/kim</Arn><UserId>U</UserId><Account>{account}</Account>"
                    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sts]:
    made = Sts()
    keys = tmp_path / "credentials"
    keys.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = AKIA{name.upper()}\naws_secret_access_key = s\n"
            for name in ("prod", "dev", "admin", "audit")
        )
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.http.server_port}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def settings() -> config.Config:
    return config.parse(
        {
            "region": "ap-northeast-2",
            "services": {"fileflow": {}},
            "environments": {
                "prod": {"profile": "prod", "account": PROD},
                "dr": {"profile": "prod", "account": PROD, "region": "ap-northeast-1"},
                "dev": {"profile": "dev", "account": DEV},
                "beta": {"profile": "dev", "account": DEV},
                "lab": {"profile": "dev"},
            },
        },
        None,
    )


Begin = Callable[..., str]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def begin(sts: Sts, settings: config.Config, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> Begin:
    monkeypatch.setattr(launch, "_start_executor", lambda *_: None)

    def begun(environment: str, profile: str = "", region: str = "") -> str:
        return launch.begin(
            journal,
            runbook("ecs-rollback"),
            settings,
            service="fileflow",
            environment=environment,
            inputs={},
            interactive=True,
            operator="kim",
            profile=profile,
            region=region,
        )

    return begun


def test_a_profile_of_another_account_begins_nothing(begin: Begin, sts: Sts, journal: Journal) -> None:
    with pytest.raises(PrerequisiteMissing, match=f"profile audit belong to account {AUDIT}") as caught:
        begin("prod", profile="audit")
    assert f"prod is account {PROD}" in caught.value.cause
    assert ":profile -" in caught.value.mend
    assert sts.asked == [("GetCallerIdentity", "AKIAAUDIT")]
    assert journal.run_ids() == []


def test_where_no_account_is_configured_nothing_is_even_asked(begin: Begin, sts: Sts, journal: Journal) -> None:
    with pytest.raises(PrerequisiteMissing, match="Nobody can tell whether profile audit is for lab"):
        begin("lab", profile="audit")
    assert (sts.asked, journal.run_ids()) == ([], [])
    assert begin("lab", profile="dev"), "the configured one is no other"


@pytest.mark.parametrize("profile", ["", "admin"])
def test_another_region_begins_nothing(profile: str, begin: Begin, sts: Sts, journal: Journal) -> None:
    with pytest.raises(PrerequisiteMissing, match="looks at eu-west-1; prod is in ap-northeast-2"):
        begin("prod", profile=profile, region="eu-west-1")
    with pytest.raises(PrerequisiteMissing, match="dr is in ap-northeast-1"):
        begin("dr", profile=profile, region="ap-northeast-2")
    assert (sts.asked, journal.run_ids()) == ([], [])
    assert begin("prod", region="ap-northeast-2")


def test_a_run_works_with_the_chosen_profile_of_the_same_account_and_records_it(
    begin: Begin, sts: Sts, journal: Journal
) -> None:
    run = begin("prod", profile="admin")
    assert sts.asked == [("GetCallerIdentity", "AKIAADMIN")]
    record = record_of(run, journal.events(run))
    assert (record.profile, record.target.account, record.target.region) == ("admin", PROD, "ap-northeast-2")
    created = next(event for event in journal.events(run) if event.kind == Kind.RUN_CREATED)
    assert (created.data["profile"], created.data["profile_chosen"]) == ("admin", True)


def test_its_executor_asks_aws_with_the_chosen_profile_alone(
    sts: Sts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "infraconsole.toml"
    file.write_text(
        'region = "ap-northeast-2"\n[services.fileflow]\n[engine]\nsettle_seconds = 0.3\n'
        f'[environments.prod]\nprofile = "prod"\naccount = "{PROD}"\n'
    )
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    with Journal(tmp_path / "state") as journal:
        run = launch.begin(
            journal,
            runbook("ecs-rollback"),
            config.load(file),
            service="fileflow",
            environment="prod",
            inputs={},
            interactive=False,
            operator="kim",
            profile="admin",
        )
        deadline = time.monotonic() + 60
        while not record_of(run, journal.events(run)).finished:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        started = next(event for event in journal.events(run) if event.kind == Kind.RUN_STARTED)
        assert started.data["profile"] == "admin"
    assert {key for _, key in sts.asked} == {"AKIAADMIN"}
    assert len(sts.asked) > 2, "it looked at ECS as well"


def test_the_configured_profile_is_recorded_and_not_bound(begin: Begin, journal: Journal) -> None:
    """A run takes up the configuration's profile as it is when it goes on: only a choice stays with it."""
    run = begin("prod")
    created = next(event for event in journal.events(run) if event.kind == Kind.RUN_CREATED)
    assert (created.data["profile"], created.data["profile_chosen"]) == ("prod", False)
    assert record_of(run, journal.events(run)).profile == ""
    assert json.loads(json.dumps(created.data))["target"]["region"] == "ap-northeast-2"


def test_what_shares_an_account_goes_on_sharing_it(settings: config.Config) -> None:
    """Exports are written under the rules of all that share them."""
    assert sharing(settings, "dev") == ("dev", "beta", "lab")
    chosen = settings.run_with("dev", "admin")
    assert sharing(chosen, "dev") == ("dev", "beta", "lab")
    assert chosen.environment("prod").profile == "prod"
    assert chosen.environment("dr").profile == "prod"
    looking = settings.seen_with("audit", "eu-west-1")
    assert {(each.profile, each.region) for each in looking.environments.values()} == {("audit", "eu-west-1")}
    assert settings.seen_with(region="eu-west-1").environment("dev").profile == "dev"
