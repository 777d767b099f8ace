"""A login from inside: a program on the PATH, driven through the pane, whatever it does; and reading that goes on after it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.aws.access import AwsAccess, ViewingAccess
from infraconsole.aws.errors import RENEW_VARIABLE
from infraconsole.config import Config, parse
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.errors import CredentialsExpired, SsoLoginNeeded
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.login import LoginScreen
from infraconsole.screens.run import RunScreen
from infraconsole.screens.widgets.band import Band
from tests.screens.conftest import FakeAccess
from tests.screens.runs import FakeExecutor
from tests.screens.seen import at_once, notices, text_of, until, until_seen

URL = "https://device.sso.eu-west-1.amazonaws.com/?user_code=HJRZ-HIWR"
ASKS = f"""echo 'Browser will not be automatically opened.
Please visit the following URL:

https://device.sso.eu-west-1.amazonaws.com/

Then enter the code:

HJRZ-HIWR

Alternatively, you may visit the following URL which will autofill the code upon loading:
{URL}'
"""
HOSTILE = r"printf '\033]0;owned\007\033[2J[bold red]markup[/] \302\233H https://e.invalid/\342\200\256gpj\n'"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "aws-config").write_text(
        "[profile prod]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = Operator\n"
        "[profile other]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = Reader\n"
        "[sso-session company]\nsso_start_url = https://sso.invalid/start\nsso_region = ap-northeast-2\n"
    )
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", RENEW_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def aws_program(files: Path) -> Callable[[str], None]:
    def made(script: str) -> None:
        program = files / "bin" / "aws"
        program.write_text(f'#!/bin/sh\necho $$ > {files}/pid\necho "$@" >> {files}/asked\n{script}\n')
        program.chmod(0o755)

    return made


def has_ended(files: Path) -> bool:
    stat = Path(f"/proc/{(files / 'pid').read_text().strip()}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def expired(operation: str) -> SsoLoginNeeded:
    error = SsoLoginNeeded(
        "The SSO login has expired (region ap-northeast-2, profile prod).",
        operation=operation,
        mend="Log in: aws sso login --profile prod",
    )
    error.profile = "prod"
    return error


@pytest.fixture
def config(files: Path) -> Config:
    table = {"profile": "prod", "account": "123456789012"}
    return parse(
        {"region": "ap-northeast-2", "services": {"fileflow": {}}, "environments": {"dev": {}, "prod": table}}, None
    )


class UntilLogin(FakeAccess):
    """Whose prod has no login before `done` is there."""

    def __init__(self, done: Path) -> None:
        super().__init__()
        self.done = done
        self.profile = "prod"
        self.renewed = 0

    def renew(self) -> None:
        self.renewed += 1

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if not self.done.exists() or not self.renewed:
            raise expired(f"{service}:{operation}")
        return super().call(service, operation, **parameters)


@pytest.fixture
def locked(files: Path) -> UntilLogin:
    access = UntilLogin(files / "done")
    access.add("fileflow", "prod", tag="v-new")
    return access


@pytest.fixture
def app(config: Config, journal: Journal, aws: FakeAccess, locked: UntilLogin) -> ConsoleApp:
    return ConsoleApp(config, journal, lambda name: locked if name == "prod" else aws, "woken")


def band(app: ConsoleApp) -> str:
    return " ".join(" ".join(str(found.render()) for found in app.screen.query(Band)).split())


async def test_an_expired_login_says_which_and_which_key_and_is_renewed_at_once(
    app: ConsoleApp, aws_program: Callable[[str], None], files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_program(
        f"{ASKS}until [ -e {files}/confirmed ]; do sleep 0.05; done; touch {files}/done; echo Successfully logged in"
    )
    said, copied = notices(app, monkeypatch), list[str]()
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "The SSO login has expired")
        await until(
            pilot, lambda: "profile prod). L logs in here; elsewhere: aws sso login --profile prod" in band(app)
        )
        await until_seen(pilot, "L Log in")
        for _ in range(20):  # dev is read all the time, and does not take it away
            assert "SSO login has expired" in band(app)
            await pilot.pause(0.02)
        await pilot.press("L")
        await until_seen(pilot, "Code: HJRZ-HIWR")
        assert isinstance(app.screen, LoginScreen)
        await until_seen(pilot, "Open this address in a browser, on any machine")
        assert "sso login --profile prod --no-browser --use-device-code" in (files / "asked").read_text()
        await pilot.press("y")
        await pilot.press("c")
        assert copied == [URL, "HJRZ-HIWR"]
        (files / "confirmed").touch()
        await until_seen(pilot, "v-new")
        assert isinstance(app.screen, BoardScreen)
        await until(pilot, lambda: "expired" not in band(app))
        assert any("Logged in: profile prod" in words for words in said)
        assert "L Log in" not in text_of(app)
        assert has_ended(files)


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_a_login_that_never_ends_is_cancelled(
    key: str, app: ConsoleApp, aws_program: Callable[[str], None], files: Path
) -> None:
    aws_program("trap '' TERM INT HUP\necho waiting\nsleep 600 & wait\nsleep 600")
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "expired")
        at_once(app, "colon", *"login", "enter")
        await until_seen(pilot, "waiting")
        await until_seen(pilot, "Waiting for the address")
        await pilot.press(key)
        await until_seen(pilot, "Ending the login")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        assert has_ended(files)
        assert "expired" in band(app)


async def test_leaving_the_console_ends_the_login(
    app: ConsoleApp, aws_program: Callable[[str], None], files: Path
) -> None:
    aws_program("echo waiting\nsleep 600")
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "expired")
        at_once(app, "colon", *"login prod", "enter")
        await until_seen(pilot, "waiting")
        assert not has_ended(files)
        await pilot.press("ctrl+q")
    deadline = time.monotonic() + 30
    while not has_ended(files):
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_one_that_fails_says_so_and_is_tried_again(
    app: ConsoleApp, aws_program: Callable[[str], None], files: Path
) -> None:
    aws_program(f"[ -e {files}/done ] && exit 0; echo 'InvalidGrantException: the code has expired' >&2; exit 255")
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "L Log in")
        await pilot.press("L")
        await until_seen(pilot, "The login failed (exit code 255)")
        await until_seen(pilot, "InvalidGrantException: the code has expired")
        (files / "done").touch()
        await pilot.press("r")
        await until_seen(pilot, "v-new")


async def test_what_it_prints_is_text(app: ConsoleApp, aws_program: Callable[[str], None], files: Path) -> None:
    aws_program(f"{HOSTILE}\nuntil [ -e {files}/done ]; do sleep 0.05; done; exit 3")
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "L Log in")
        await pilot.press("L")
        await until_seen(pilot, "[bold red]markup[/]")
        shown = text_of(app)
        for hidden in ("\033", "\007", "\x9b", "\u202e"):
            assert hidden not in shown
        assert "␛]0;owned␇␛[2J" in shown
        (files / "done").touch()
        await until_seen(pilot, "The login failed (exit code 3)")
        assert not {"\033", "\x9b", "\u202e"} & set(text_of(app))


async def test_without_the_program_it_says_what_to_run_elsewhere(
    app: ConsoleApp, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(files / "bin"))
    copied: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "expired")
        at_once(app, "colon", *"login other", "enter")
        await until_seen(pilot, "There is no aws program on the PATH")
        await until_seen(pilot, "aws sso login --profile other")
        await pilot.press("y")
        assert copied == ["aws sso login --profile other --no-browser --use-device-code"]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        at_once(app, "colon", *"login othr", "enter")
        await until_seen(pilot, "There is no AWS profile 'othr'")


async def test_the_teams_own_tool_is_what_the_key_runs(
    app: ConsoleApp, files: Path, locked: UntilLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = f"touch {files}/done && echo renewed"
    monkeypatch.setenv(RENEW_VARIABLE, tool)
    error = CredentialsExpired("The AWS credentials have expired.", operation="x:Y", mend=f"Renew them: {tool}")
    monkeypatch.setattr("tests.screens.test_login.expired", lambda _: error)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "L Log in")
        await pilot.press("L")
        await until_seen(pilot, "v-new")


async def test_a_run_that_waits_for_a_login_offers_it(
    app: ConsoleApp, aws_program: Callable[[str], None], files: Path
) -> None:
    aws_program(f"{ASKS}until [ -e {files}/done ]; do sleep 0.05; done")
    executor = FakeExecutor(files / "state")
    executor.write(Kind.WAITING, reason="The SSO login has expired.", mend="Log in: aws sso login --profile prod")
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "expired")
        at_once(app, "colon", *f"run {executor.run}", "enter")
        await until_seen(pilot, "(L logs in here)")
        assert isinstance(app.screen, RunScreen)
        await pilot.press("L")
        await until_seen(pilot, "Code: HJRZ-HIWR")
        assert "--profile prod" in (files / "asked").read_text()
        (files / "done").touch()
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: "expired" not in band(app))
        assert "123456789012" in band(app)


class Portal:
    """AWS's SSO portal and STS: credentials for the newest token alone."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.tokens.append(str(self.headers["x-amz-sso_bearer_token"]))
                keys = {
                    "accessKeyId": "A",
                    "secretAccessKey": "S",
                    "sessionToken": "T",
                    "expiration": 4_000_000_000_000,
                }
                self.answer(200, json.dumps({"roleCredentials": keys}))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                who = "<Arn>arn:aws:sts::123456789012:assumed-role/Operator/kim</Arn><Account>123456789012</Account>"
                answer = f"<GetCallerIdentityResult>{who}<UserId>U</UserId></GetCallerIdentityResult>"
                self.answer(200, f"<GetCallerIdentityResponse>{answer}</GetCallerIdentityResponse>")

            def answer(self, status: int, body: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch, files: Path) -> Iterator[Portal]:
    from botocore.credentials import SSOProvider
    from botocore.tokens import SSOTokenProvider

    made = Portal()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.http.server_port}")
    for provider in (SSOProvider, SSOTokenProvider):  # they have looked at the home folder when they were imported
        monkeypatch.setattr(provider, "_SSO_TOKEN_CACHE_DIR", str(files / "cache"))
    yield made
    made.http.shutdown()
    made.http.server_close()


async def test_botocore_reads_with_the_new_token_without_a_restart(
    config: Config, journal: Journal, portal: Portal, aws_program: Callable[[str], None], files: Path
) -> None:
    """As the AWS CLI writes it, into the cache that botocore reads."""
    token = {"accessToken": "new", "expiresAt": (datetime.now(UTC) + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    (files / "token").write_text(json.dumps(token))

    name = hashlib.sha1(b"company").hexdigest()  # noqa: S324 - as AWS names the file
    (files / "cache").mkdir()
    old = {**token, "accessToken": "old", "expiresAt": "2020-01-01T00:00:00Z"}
    (files / "cache" / f"{name}.json").write_text(json.dumps(old))
    aws_program(f"{ASKS}cp {files}/token {files}/cache/{name}.json")

    def access_for(environment: str) -> AwsAccess:
        return ViewingAccess(region="ap-northeast-2", profile="prod")

    app = ConsoleApp(config, journal, access_for, "woken", start_run=FakeExecutor(files / "state").run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: "The SSO login has expired" in band(app))
        assert portal.tokens == []
        await pilot.press("L")
        await until(pilot, lambda: "123456789012" in band(app))
        assert "expired" not in band(app)
        assert set(portal.tokens) == {"new"}
