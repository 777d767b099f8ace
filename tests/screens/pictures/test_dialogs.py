"""Pictures of what stands over a screen: help, palette, where to go, what to look with, a login, what to deploy, leaving."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from infraconsole.app import ConsoleApp
from infraconsole.aws.profiles import Renewal
from infraconsole.config import Config
from infraconsole.engine.journal import Journal
from infraconsole.errors import PrerequisiteMissing
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.login import LoginScreen
from infraconsole.screens.places import GoTo, Place
from tests.screens.pictures.conftest import SMALL, Easel
from tests.screens.pictures.night import Night
from tests.screens.pictures.still import Clock, come, go, shown
from tests.screens.runs import FakeExecutor, type_gate
from tests.screens.test_login import ASKS

pytestmark = pytest.mark.pictures

PRINTED = ASKS.removeprefix("echo '").rstrip().removesuffix("'").splitlines()
"""What the AWS CLI prints."""


@pytest.fixture(autouse=True)
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a person, whatever this machine has."""
    (tmp_path / "aws").write_text(
        "[default]\nregion = ap-northeast-2\n"
        "[profile audit]\nrole_arn = arn:aws:iam::999999999999:role/OrganizationAccountAuditReadOnly\nsource_profile = prod\n"
        "[profile prod]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = Operator\n"
        "[profile 결제 정산 (읽기 전용)]\nsso_session = company\nsso_account_id = 210987654321\nsso_role_name = Reader\n"
        "[sso-session company]\nsso_start_url = https://sso.invalid/start\nsso_region = ap-northeast-2\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


async def test_help(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await easel.settled(pilot)
        await pilot.press("question_mark")
        await easel.compare(pilot)


@SMALL
async def test_help_of_containers(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "containers")
        await easel.settled(pilot)
        await pilot.press("question_mark")
        await easel.compare(pilot)


async def test_sort(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await easel.settled(pilot)
        await pilot.press("s")
        await easel.compare(pilot)


async def test_palette(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "containers")
        await easel.settled(pilot)
        await pilot.press("ctrl+p")
        await come(pilot, lambda: type(app.screen).__name__ == "Palette")
        await come(pilot, lambda: app.screen.query_one(OptionList).option_count)
        await easel.compare(pilot)


@SMALL
async def test_mending(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    """What mends a state is found in the palette."""
    async with app.run_test(size=size) as pilot:
        await go(pilot, "state")
        await easel.settled(pilot)
        await pilot.press("ctrl+p")
        await come(pilot, lambda: type(app.screen).__name__ == "Palette")
        await pilot.press(*"digest")
        await shown(pilot, "Repair the digest")
        await easel.compare(pilot)


async def to_the_field(app: ConsoleApp, easel: Easel, pilot: Pilot[None]) -> None:
    await easel.settled(pilot)
    await pilot.press("colon")
    await come(pilot, lambda: not isinstance(app.screen, BoardScreen))
    await easel.settled(pilot)


async def test_go_to(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await to_the_field(app, easel, pilot)
        await easel.compare(pilot)


@SMALL
@pytest.mark.parametrize("words", [["state", "space", "set"], ["nowhere", "enter"]], ids=["typed", "unknown"])
async def test_go_to_words(app: ConsoleApp, easel: Easel, size: tuple[int, int], words: list[str]) -> None:
    async with app.run_test(size=size) as pilot:
        await to_the_field(app, easel, pilot)
        for word in words:
            await pilot.press(*([word] if word in ("space", "enter") else word))
        await easel.compare(pilot)


@pytest.mark.parametrize("what", ["profile", "region"])
async def test_choosing(app: ConsoleApp, easel: Easel, size: tuple[int, int], what: str) -> None:
    async with app.run_test(size=size) as pilot:
        await easel.settled(pilot)
        app.on_go_to(GoTo(Place(what)))
        await come(pilot, lambda: not isinstance(app.screen, BoardScreen))
        await easel.compare(pilot)


async def test_looking(config: Config, journal: Journal, aws: Night, easel: Easel, size: tuple[int, int]) -> None:
    """The board as another profile sees it."""
    app = ConsoleApp(config, journal, lambda _: aws, "woken", access_with=lambda _: lambda _: aws)
    async with app.run_test(size=size) as pilot:
        await easel.settled(pilot)
        app.on_go_to(GoTo(Place("profile", detail="audit")))
        await shown(pilot, "profile audit")
        await easel.compare(pilot)


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LoginScreen]]:
    """A login that a person has not confirmed for 42 seconds, or whose command does not end well."""
    over = threading.Event()
    monkeypatch.setattr("infraconsole.screens.login.clock", SimpleNamespace(seconds=iter_of(1000.0, 42.0)))

    def made(error: Exception | None = None) -> LoginScreen:
        def log_in(_: Renewal, tell: Callable[[Sequence[str]], None], **__: object) -> None:
            tell(["$ aws sso login --profile prod --no-browser --use-device-code", *PRINTED])
            if error is not None:
                raise error
            over.wait(600)

        monkeypatch.setattr("infraconsole.screens.login.log_in", log_in)
        renewal = Renewal("prod", ("aws", "sso", "login"), by_hand="aws sso login --profile prod")
        return LoginScreen("Log in: profile prod", lambda: renewal)

    yield made
    over.set()


def iter_of(began: float, passed: float) -> Callable[[], float]:
    """A clock that says when something began, twice, and from then on how much later it is."""
    told = iter((began, began))
    return lambda: next(told, began + passed)


async def test_login(app: ConsoleApp, easel: Easel, size: tuple[int, int], login: Callable[..., LoginScreen]) -> None:
    async with app.run_test(size=size) as pilot:
        await easel.settled(pilot)
        app.push_screen(login())
        await shown(pilot, "HJRZ-HIWR")
        screen = app.screen
        assert isinstance(screen, LoginScreen)
        screen._draw()
        await easel.compare(pilot, endless=("default",), waiting=1)


async def test_login_failed(
    app: ConsoleApp, easel: Easel, size: tuple[int, int], login: Callable[..., LoginScreen]
) -> None:
    error = PrerequisiteMissing(
        "aws sso login ended with 255.",
        cause="Error loading SSO Token: Token for company does not exist",
        mend="Look at what it printed, below.",
    )
    async with app.run_test(size=size) as pilot:
        await easel.settled(pilot)
        app.push_screen(login(error))
        await shown(pilot, "ended with 255")
        await easel.compare(pilot)


async def test_deploying(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "containers", "fileflow", "prod")
        await easel.settled(pilot)
        await pilot.press("D")
        await shown(pilot, "pushed")
        await pilot.press("down", "down")
        await easel.compare(pilot)


async def test_quitting(app: ConsoleApp, journal: Journal, moment: Clock, easel: Easel, size: tuple[int, int]) -> None:
    moment.before(minutes=4)
    executor = FakeExecutor(journal.folder)
    executor.begin("update", changes=True)
    executor.open("update", type_gate())
    other = FakeExecutor(journal.folder, "p8rt2d", environment="staging", operator="kim")
    other.begin("watch")
    moment.before()
    try:
        async with app.run_test(size=size) as pilot:
            await easel.settled(pilot)
            app.on_go_to(GoTo(Place("quit")))
            await shown(pilot, "Leave the console?")
            await easel.compare(pilot, endless=("quit",))
    finally:
        for each in (executor, other):
            each.leave()
            each.journal.close()
