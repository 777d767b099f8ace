"""Looking with another profile or region: said at every moment, never mixed with what was read before, and no run goes there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.aws.access import AwsAccess
from infraconsole.config import Config, parse
from infraconsole.engine import launch
from infraconsole.engine.journal import Journal
from infraconsole.errors import UnknownName
from infraconsole.screens import deploying
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.choosing import ChoiceScreen
from infraconsole.screens.containers import ContainersScreen
from infraconsole.screens.places import Names, Place, known_places
from infraconsole.screens.places import parse as place_of
from infraconsole.screens.run import RunScreen
from infraconsole.screens.widgets.band import Band
from tests.screens.conftest import FakeAccess
from tests.screens.runs import FakeExecutor
from tests.screens.seen import at_once, notices, text_of, until, until_seen

PROD, AUDIT = "123456789012", "999999999999"
NAMES = Names(("audit", "default", "with blank"), ("eu-west-1", "us-east-1"))


class OfAccount(FakeAccess):
    account = PROD

    def _GetCallerIdentity(self) -> dict[str, Any]:  # noqa: N802
        return {**super()._GetCallerIdentity(), "Account": self.account}


class ByProfile:
    """The accesses of each profile and region, one AWS for each profile."""

    def __init__(self, make: Callable[[str], OfAccount]) -> None:
        self._make = make
        self.made: dict[tuple[str, str], OfAccount] = {}

    def __call__(self, config: Config) -> Callable[[str], AwsAccess]:
        def access_for(environment: str) -> AwsAccess:
            return self.of(config.environment(environment).profile or "", config.region_of(environment))

        return access_for

    def of(self, profile: str, region: str = "ap-northeast-2") -> OfAccount:
        if (profile, region) not in self.made:
            made = self.made[profile, region] = self._make(f"{profile or 'own'}-{region[:2]}")
            made.region, made.profile = region, profile or None
            made.account = AUDIT if profile == "audit" else PROD
        return self.made[profile, region]


@pytest.fixture(autouse=True)
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "aws").write_text(
        "[default]\n[profile audit]\nrole_arn = arn:aws:iam::999999999999:role/Audit\nsource_profile = base\n"
        "[profile base]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = Operator\n"
        "[sso-session company]\nsso_start_url = https://sso.invalid/start\nsso_region = ap-northeast-2\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(config: Config) -> Config:
    changed = {name: replace(each, account=PROD) for name, each in config.environments.items()}
    return replace(config, environments=changed, services={"fileflow": config.services["fileflow"]})


@pytest.fixture
def accesses() -> ByProfile:
    def make(tag: str) -> OfAccount:
        access = OfAccount()
        for environment in ("dev", "staging", "prod"):
            access.add("fileflow", environment, tag=f"v-{tag}")
        return access

    return ByProfile(make)


@pytest.fixture
def app(config: Config, journal: Journal, accesses: ByProfile) -> ConsoleApp:
    return ConsoleApp(config, journal, accesses(config), "woken", access_with=accesses)


def band(app: ConsoleApp) -> str:
    return " ".join(" ".join(str(found.render()) for found in app.screen.query(Band)).split())


async def typed(pilot: Any, words: str) -> None:
    """As a person who opens the field and types into it."""
    at_once(pilot.app, "colon", *words, "enter")


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("profile", Place("profile")),
        (":profile audit", Place("profile", detail="audit")),
        ("profile -", Place("profile", detail="-")),
        ("profile with blank", Place("profile", detail="with blank")),
        ("region eu-west-1", Place("region", detail="eu-west-1")),
        ("region -", Place("region", detail="-")),
        ("login", Place("login")),
        ("LOGIN audit", Place("login", detail="audit")),
    ],
)
def test_as_it_is_typed(config: Config, words: str, place: Place) -> None:
    assert place_of(words, config, names=NAMES) == place


def test_an_unknown_name_says_what_exists(config: Config) -> None:
    for words, told in (
        ("profile audti", "Did you mean audit"),
        ("region eu-west-9", "eu-west-1"),
        ("login x", "There is no AWS profile 'x'"),
    ):
        with pytest.raises(UnknownName) as caught:
            place_of(words, config, names=NAMES)
        assert told in str(caught.value)
    assert place_of("profile any", config, names=Names(None)) == Place("profile", detail="any"), "the files say why not"
    assert {"profile audit", "region us-east-1", "login default"} <= set(known_places(config, names=NAMES))


def test_a_service_of_that_name_goes_first() -> None:
    config = parse({"region": "eu-west-1", "services": {"login": {}}}, None)
    assert place_of("login dev", config, names=NAMES) == Place("containers", "login", "dev")
    assert "login audit" not in known_places(config, names=NAMES)
    assert place_of("profile audit", config, names=NAMES) == Place("profile", detail="audit")


async def test_a_profile_is_switched_shown_and_left_again(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "v-own-ap")
        await typed(pilot, "profile audit")
        await until_seen(pilot, "v-audit-ap")
        assert "profile audit (override)" in band(app)
        await until(pilot, lambda: f"Profile audit is account {AUDIT}, dev is {PROD}." in band(app))
        assert "This is not dev: no run can be started. Back: :profile -" in band(app)
        assert isinstance(app.screen, BoardScreen)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        assert "profile audit (override)" in band(app)
        await typed(pilot, "profile -")
        await until_seen(pilot, "v-own-ap")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen), "one stays where one was")
        await until(pilot, lambda: PROD in band(app))
        assert "override" not in band(app)
        assert "no run" not in band(app)


async def test_a_region_is_switched_and_it_is_said_that_runs_do_not_follow(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "v-own-ap")
        await typed(pilot, "containers fileflow prod")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        await typed(pilot, "region eu-west-1")
        await until_seen(pilot, "v-own-eu")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        assert "region eu-west-1 (override)" in band(app)
        assert "You look at eu-west-1, prod is in ap-northeast-2. This is not prod: no run can be started." in band(app)
        await typed(pilot, "region ap-northeast-2")
        await until(pilot, lambda: "no run can be started" not in band(app), "the configured one by its name")


async def test_nothing_read_before_is_shown_after_the_switch(
    app: ConsoleApp, accesses: ByProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers under way come back after the switch, and find nobody."""
    own, let_go, waiting = accesses.of(""), threading.Event(), threading.Semaphore(0)
    ask = own._DescribeServices

    def late(**asked: Any) -> dict[str, Any]:
        waiting.release()
        let_go.wait(30)
        return ask(**asked)

    monkeypatch.setattr(own, "_DescribeServices", late)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: waiting.acquire(blocking=False))
        before = set(threading.enumerate())
        await typed(pilot, "profile audit")
        await until_seen(pilot, "v-audit-ap")
        let_go.set()
        answering = [thread for thread in before if thread.name in ("BoardScreen", "account")]
        while any(thread.is_alive() for thread in answering):
            assert "v-own" not in text_of(app)
            await pilot.pause(0.02)
        app.screen.action_refresh()  # type: ignore[attr-defined]
        for _ in range(20):
            assert "v-own" not in text_of(app)
            await pilot.pause(0.02)
        assert app.desk.overview.access("prod") is accesses.of("audit")


async def test_no_run_begins_with_a_foreign_profile_and_it_says_why(
    app: ConsoleApp, monkeypatch: pytest.MonkeyPatch, accesses: ByProfile
) -> None:
    """The same `launch.begin` as everywhere; whose account a profile is comes from the fake."""
    asked: list[str] = []

    def identity(access: AwsAccess) -> Any:
        asked.append(access.profile or "")
        return type("Identity", (), {"account": AUDIT if access.profile == "audit" else PROD})()

    monkeypatch.setattr(launch, "identity", identity)
    monkeypatch.setattr(launch, "_start_executor", lambda *_: None)
    monkeypatch.setattr(deploying, "_known", {"ecs-rollback", "deploy"})
    said = notices(app, monkeypatch)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_seen(pilot, "v-own-ap")
        await typed(pilot, "profile audit")
        await until(pilot, lambda: AUDIT in band(app))
        await pilot.press("D")
        await until(pilot, lambda: any("no run can be started" in words for words in said))
        assert isinstance(app.screen, BoardScreen)
        await pilot.press("R")
        await until(pilot, lambda: any(f"profile audit belong to account {AUDIT}" in words for words in said))
        assert asked == ["audit"]
        assert app.desk.journal.run_ids() == []
        await typed(pilot, "profile -")
        await until_seen(pilot, "v-own-ap")
        await typed(pilot, "region eu-west-1")
        await until_seen(pilot, "v-own-eu")
        await pilot.press("R")
        await until(pilot, lambda: any("The console looks at eu-west-1" in words for words in said))
        assert asked == ["audit"], "nothing had to be asked"
        assert app.desk.journal.run_ids() == []


async def test_a_runs_screen_goes_by_its_own_account_and_region(
    app: ConsoleApp, config: Config, journal: Journal, accesses: ByProfile, tmp_path: Path
) -> None:
    executor = FakeExecutor(tmp_path / "state")
    async with app.run_test(size=(160, 40)) as pilot:
        await until_seen(pilot, "v-own-ap")
        await typed(pilot, f"run {executor.run}")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await typed(pilot, "profile audit")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "override" in band(app))
        await until(pilot, lambda: f"{PROD} · ap-northeast-2" in band(app))
        assert "not of this run: profile audit (override)" in band(app)
        assert AUDIT not in band(app)
        assert isinstance(app.screen, RunScreen)
        assert app.screen.login_profile is None, "its own profile is none"


async def test_the_lists_say_what_the_files_say_and_take_what_is_chosen(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "v-own-ap")
        await typed(pilot, "profile")
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen))
        await until_seen(pilot, "SSO company")
        await until_seen(pilot, "default (dev, staging, prod)")
        await until_seen(pilot, "role by base")
        await pilot.press(*"audit")
        await pilot.press("enter")
        await until_seen(pilot, "v-audit-ap")
        await typed(pilot, "region")
        await until_seen(pilot, "Europe (Ireland)")
        await pilot.press(*"ireland")
        await pilot.press("enter")
        await until_seen(pilot, "v-audit-eu")
        assert "profile audit, region eu-west-1 (override)" in band(app)


async def test_a_configured_profile_of_another_account_is_said_too(
    config: Config, journal: Journal, accesses: ByProfile
) -> None:
    wrong = replace(config, environments={"prod": replace(config.environment("prod"), profile="audit")})
    app = ConsoleApp(wrong, journal, accesses(wrong), "woken", access_with=accesses)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, f"These credentials belong to account {AUDIT}")
        await until(pilot, lambda: f"prod is {PROD}. This is not prod: no run can be started." in band(app))


async def test_files_that_cannot_be_read_are_named_in_the_list(
    app: ConsoleApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aws").write_text("[a]\n[a]\n")
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "v-own-ap")
        await typed(pilot, "profile")
        await until_seen(pilot, "The AWS profiles cannot be read")
        assert str(tmp_path / "aws")[-20:] in text_of(app).replace("\n", "").replace(" ", "")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
