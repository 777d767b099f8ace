from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import pytest

from infraconsole import config
from infraconsole.errors import ConfigError, UnknownName
from infraconsole.window import Window


@pytest.fixture(autouse=True)
def _no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "INFRACONSOLE_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def load(tmp_path: Path, content: str) -> config.Config:
    file = tmp_path / "infraconsole.toml"
    file.write_text(content)
    return config.load(file)


def test_a_few_lines_are_enough(tmp_path: Path) -> None:
    loaded = load(tmp_path, 'region = "ap-northeast-2"\n[services.fileflow]\npath = "../fileflow"\n')
    assert list(loaded.environments) == ["dev", "staging", "prod"]
    assert loaded.target("fileflow", "prod").name == "fileflow-prod"
    assert loaded.state_key_of("fileflow", "prod") == "fileflow/terraform.tfstate"
    assert loaded.service("fileflow").path == tmp_path / "../fileflow"
    assert loaded.environment("prod").approvers == ("platform-lead", "cto")
    assert loaded.environment("dev").approvers == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("region = ", "not TOML"),
        ('regoin = "x"', "Did you mean region"),
        ("region = 3", "expected a text in quotes; found 3"),
        ('[environments.prod]\nwindow = "Tuesday"', "weekdays, hours and a time zone"),
        ('[environments.prod]\naccount = "12"', "twelve digits"),
        ('[environments.prod]\napprovers = "cto"', "a list of texts"),
        ('[environments.prod]\nhealth_path = "health"', "begins with /"),
        ('[environments.prod]\nstate_key = "{x}"', "{service}"),
        ("[environments.prod]\nuse_lockfile = 1", "true or false"),
        ('[environments.prod]\nprotected = "yes"', "true or false"),
        ('[environments.prod]\npassword = "x"', "There is no configuration key 'password'"),
        ("[services.File_Flow]\n", "lower-case letters"),
        ("services = 3", "a table"),
        ("[engine]\nhealth_checks = 0", "at least 1"),
        ('export_root = "shared"', "begins with /"),
        ('exports = "network/vpc-id"', "expected tables: [[exports]]; found 'network/vpc-id'"),
        ("exports = [3]", "expected tables"),
        ('[exports]\nname = "x"', "expected tables: [[exports]]"),
        ('[[exports]]\ntype = "String"', "exports[1].name is wrong"),
        ('[[exports]]\nname = "/shared/x"', "below the export root"),
        ('[[exports]]\nname = "a/b"\n[[exports]]\nname = 3', "exports[2].name"),
        ('[[exports]]\nname = "a/b"\nrequired = "yes"', """true, false or "together"; found 'yes'"""),
        ('[[exports]]\nname = "a/b"\ntpye = "String"', "Did you mean type"),
        ('[[exports]]\nname = "a/b"\ntype = 3', "exports[1].type is wrong"),
    ],
)
def test_a_wrong_file_names_file_key_expectation_and_finding(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, content)
    said = str(caught.value)
    assert words.lower() in said.lower()
    assert "infraconsole.toml" in said
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "guarded"),
    [
        *((name, True) for name in ("prod", "prod-eu", "production", "prd", "live", "dr", "developer", "tester")),
        *((name, False) for name in ("dev", "development", "staging", "stage", "test", "qa", "sandbox", "dev-kim")),
    ],
)
def test_an_environment_is_protected_unless_its_name_says_that_it_is_for_trials(
    tmp_path: Path, name: str, guarded: bool
) -> None:
    assert load(tmp_path, f"[environments.{name}]\n").environment(name).is_prod is guarded
    for said in (True, False):
        written = f"[environments.{name}]\nprotected = {str(said).lower()}\n"
        assert load(tmp_path, written).environment(name).is_prod is said


def test_modules_without_an_environment_lie_in_prod_s_bucket(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, '[environments.perf]\nstate_bucket = "perf-state"\n[environments.prod]\nstate_bucket = "prod-state"\n'
    )
    assert loaded.module_state_of("network") == ("prod-state", "network/terraform.tfstate")


def test_exports_of_the_team(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        '[[exports]]\nname = "kms/efs-key-arn"\nrequired = true\npoints_at = "kms:efs"\n'
        '[[exports]]\nname = "rds/{env}/endpoint"\nrequired = "together"\n',
    )
    first, second = loaded.exports
    assert (first.name, first.required, first.points_at, first.type) == ("kms/efs-key-arn", True, "kms:efs", None)
    assert (second.name, second.required, second.place) == ("rds/{env}/endpoint", "together", "exports[2]")
    assert load(tmp_path, "").exports == ()


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRACONSOLE_CONFIG", str(tmp_path / "nowhere.toml"))
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        config.load()


def test_a_missing_region_is_an_error_that_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No region is set for prod") as caught:
        load(tmp_path, "[services.fileflow]").region_of("prod")
    assert 'region = "' in caught.value.mend


def test_unknown_names_say_what_exists(tmp_path: Path) -> None:
    loaded = load(tmp_path, 'region = "ap-northeast-2"\n[services.fileflow]\n[services.authhub]')
    with pytest.raises(UnknownName, match=r"authhub, fileflow\. Did you mean fileflow"):
        loaded.target("filflow", "prod")
    with pytest.raises(UnknownName, match="dev, prod, staging"):
        loaded.target("fileflow", "production")


def test_the_file_is_found_upwards(tmp_path: Path) -> None:
    (tmp_path / "infraconsole.toml").write_text("")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert config.find(deep) == tmp_path / "infraconsole.toml"


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        (datetime(2026, 11, 24, 1, 0, tzinfo=UTC), True),  # Tuesday 10:00 in Seoul
        (datetime(2026, 11, 24, 1, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 24, 2, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 24, 0, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 25, 1, 30, tzinfo=UTC), False),  # Wednesday
        (datetime(2026, 11, 26, 1, 30, tzinfo=UTC), True),  # Thursday
    ],
)
def test_windows(at: datetime, is_open: bool) -> None:
    assert Window.parse("Tue,Thu 10:00-11:00 Asia/Seoul").is_open(at) is is_open


@pytest.mark.parametrize(
    ("text", "opens", "closes"),
    [
        ("Fri 22:00-02:00 UTC", "2026-11-27T22:00", "2026-11-28T02:00"),
        ("Tue 10:00-09:00 UTC", "2026-11-24T10:00", "2026-11-25T09:00"),
        ("Fri-Mon 09:00-10:00 UTC", "2026-11-30T09:00", "2026-11-30T10:00"),
        ("Sun-Sun 09:00-10:00 UTC", "2026-11-29T09:00", "2026-11-29T10:00"),
        ("Mon 18:00-24:00 UTC", "2026-11-30T18:00", "2026-12-01T00:00"),
        ("Mon 18:00-00:00 UTC", "2026-11-30T18:00", "2026-12-01T00:00"),
        ("Tuesday 10:00-11:00 UTC", "2026-11-24T10:00", "2026-11-24T11:00"),
        ("Tues, thursday 9:00 - 10:30 UTC", "2026-11-26T09:00", "2026-11-26T10:30"),
        ("Sat 23:00-01:00 Asia/Seoul", "2026-11-28T14:00", "2026-11-28T16:00"),
    ],
)
def test_windows_open_and_close(text: str, opens: str, closes: str) -> None:
    window = Window.parse(text)
    first, last = (datetime.fromisoformat(at).replace(tzinfo=UTC) for at in (opens, closes))
    moment = timedelta(seconds=1)
    assert [window.is_open(at) for at in (first - moment, first, last - moment, last)] == [False, True, True, False]


@pytest.mark.parametrize("day", range(7))
def test_a_window_of_all_week_is_never_closed(day: int) -> None:
    assert Window.parse("Mon-Sun 00:00-24:00 UTC").is_open(datetime(2026, 11, 23 + day, 23, 59, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "weekdays"),
        ("Tue", "weekdays"),
        ("Tue 10:00-10:00 UTC", "empty"),
        ("Tue 24:00-02:00 UTC", "24:00 can only be the end"),
        ("Tue 10:00-24:01 UTC", "'24:01' is no time of day"),
        ("Tue 10:60-11:00 UTC", "'10:60' is no time of day"),
        ("Tu 10:00-11:00 UTC", "'Tu' is no weekday"),
        ("Die 10:00-11:00 UTC", "'Die' is no weekday"),
        ("Tue, 10:00-11:00 UTC", "'' is no weekday"),
        ("Tue 10:00-11:00 Mars/Base", "'Mars/Base' is not in the time zone database"),
        ("Tue 10:00-11:00 asia/soul", "did you mean Asia/Seoul"),
        ("Tue 10:00-11:00 ../../etc/passwd", "is not in the time zone database"),
        ("Tue 10:00-11:00 Asia", "is not in the time zone database"),
    ],
)
def test_wrong_windows_are_refused_for_the_true_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="weekdays") as refused:
        Window.parse(text)
    assert why in str(refused.value)


def test_a_machine_without_time_zones_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ZoneInfoNotFoundError

    monkeypatch.setattr("infraconsole.window.ZoneInfo", missing)
    monkeypatch.setattr("infraconsole.window.available_timezones", set)
    with pytest.raises(ValueError, match="no time zone database: pip install tzdata"):
        Window.parse("Tue 10:00-11:00 Asia/Seoul")


def test_time_zones_are_there_where_the_system_has_none() -> None:
    code = "import zoneinfo; zoneinfo.reset_tzpath(()); print(zoneinfo.ZoneInfo('Asia/Seoul'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "Asia/Seoul", done.stderr


NUMBERS = ("settle_seconds", "watch_minutes", "health_checks", "poll_seconds", "credentials_minutes")


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize(
    "value", ["nan", "-nan", "inf", "-inf", "-1", "true", "1e300", f"1{'0' * 400}", '"5"', "[]", "{}"]
)
def test_a_number_that_is_none_is_an_error_of_ours(tmp_path: Path, key: str, value: str) -> None:
    file = tmp_path / "infraconsole.toml"
    file.write_text(f"[engine]\n{key} = {value}\n")
    with pytest.raises(ConfigError, match=f"engine.{key} is wrong"):
        config.load(file)


@pytest.mark.parametrize(
    "endpoint", ["", "https://ecs.eu-west-1.amazonaws.com", "http://10.0.0.5:5000", "http://[", "x"]
)
def test_less_than_thirty_seconds_of_settling_is_for_an_emulator_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    file = tmp_path / "infraconsole.toml"
    file.write_text("[engine]\nsettle_seconds = 5\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(ConfigError, match=r"engine\.settle_seconds is 5"):
        config.load(file)
    for local in ("http://127.0.0.1:5000", "http://localhost:1", "http://[::1]:2"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", local)
        assert config.load(file).engine.settle_seconds == 5
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    file.write_text("[engine]\nsettle_seconds = 30\n")
    assert config.load(file).engine.settle_seconds == 30


def test_half_a_health_check_is_none(tmp_path: Path) -> None:
    file = tmp_path / "infraconsole.toml"
    file.write_text("[engine]\nhealth_checks = 2.5\n")
    with pytest.raises(ConfigError, match="a whole number of at least 1 and at most 1000"):
        config.load(file)


def test_the_key_of_encrypted_files_is_relative_to_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/kim")
    file = tmp_path / "infraconsole.toml"
    for written, expected in (
        ('"keys/own.key"', tmp_path / "keys/own.key"),
        ('"~/own.key"', Path("/home/kim/own.key")),
        ('"/k/own.key"', Path("/k/own.key")),
        ('"~nobody-of-that-name/x"', tmp_path / "~nobody-of-that-name/x"),
        ('""', None),
    ):
        file.write_text(f'[engine]\nkeep_files = "encrypt"\nfiles_key = {written}\n')
        engine = config.load(file).engine
        assert (engine.keep_files, engine.files_key) == ("encrypt", expected)


@pytest.mark.parametrize("name", ["main.tf", "cdk.tf.json", "main.tofu", "main.tofu.json"])
def test_a_folder_with_any_kind_of_code_is_a_module(tmp_path: Path, name: str) -> None:
    for folder in ("network", "ecr/fileflow", "modules/shared", ".terraform/x", "empty"):
        (tmp_path / folder).mkdir(parents=True)
        if folder != "empty":
            (tmp_path / folder / name).touch()
    (tmp_path / "empty/.main.tf.swp").touch()
    settings = config.parse({"infrastructure": {"path": str(tmp_path)}}, tmp_path / "infraconsole.toml")
    assert settings.modules() == ("network", "ecr/fileflow")
    assert not config.has_code(tmp_path / "empty")
