"""The journal's anchor outside, written to and compared with real buckets and parameters; and the head that every run prints."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from infraconsole.engine import chain
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from tests.unit.test_index import create, end
from tests.world.conftest import client, worlds
from tests.world.test_command_line import Shell

pytestmark = pytest.mark.slow
BUCKET, LOCKED = "anchors-plain", "anchors-locked"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with worlds(tmp_path_factory.mktemp("worlds")) as make:
        made = Shell(make("healthy"))
        s3 = client(made.world, "s3")
        where = {"LocationConstraint": made.world.region}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        s3.create_bucket(Bucket=LOCKED, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
        with Journal(state_of(made)) as journal:
            for number in range(5):
                journal.append("run001", Kind.NOTE, data={"level": "info", "text": f"note {number}"})
        yield made


def state_of(shell: Shell) -> Path:
    return Path(shell.world.environment()["INFRACONSOLE_STATE"])


def rewritten(folder: Path) -> None:
    """Every hash recomputed behind an edit, the head included: as somebody would who owns the files."""
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        db.execute("DROP TRIGGER events_keep")
        rows = db.execute(f"SELECT {chain.ROW} FROM events ORDER BY id").fetchall()  # noqa: S608
        before = chain.GENESIS
        for number, run, seq, at, kind, step, data, _, _ in rows:
            told = data.replace("note 2", "note X")
            digest = chain.digest(number, run, seq, at, kind, step, told, before)
            db.execute(
                "UPDATE events SET data = ?, previous = ?, hash = ? WHERE id = ?", (told, before, digest, number)
            )
            before = digest
        db.execute(chain.TRIGGERS["events_keep"])
    (folder / "journal.head").write_bytes(chain.head_line(rows[-1][0], before))


@pytest.mark.parametrize("where", [f"s3://{LOCKED}/infra/anchors", f"s3://{BUCKET}/a", "ssm:/infraconsole/anchor"])
def test_a_rewritten_journal_is_told_by_its_anchor(shell: Shell, tmp_path: Path, where: str) -> None:
    done = shell("journal", "anchor", "--to", where, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["locked_until"] is not None) is (LOCKED in where)
    assert shell("journal", "verify", f"--anchor={where}").returncode == 0
    whole, folder = tmp_path / "whole", state_of(shell)
    shutil.copytree(folder, whole)
    try:
        rewritten(folder)
        alone = shell("journal", "verify")
        assert alone.returncode == 0, "the file itself cannot tell"
        assert "only an anchor outside tells" in alone.stderr
        found = shell("journal", "verify", f"--anchor={where}")
        assert found.returncode == 1
        assert "the journal was rewritten" in found.stdout
    finally:
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
    with Journal(folder) as journal:
        kinds = [event.kind for event in journal.events("anchors")][-2:]
        assert kinds == ["call-intended", "call-done"]


def test_an_anchor_in_a_bucket_with_object_lock_stays(shell: Shell) -> None:
    done = shell("journal", "anchor", "--to", f"s3://{LOCKED}/kept", "--yes", "--json")
    told = json.loads(done.stdout)
    s3, key = client(shell.world, "s3"), told["where"].removeprefix(f"s3://{LOCKED}/")
    assert s3.head_object(Bucket=LOCKED, Key=key)["ObjectLockMode"] == "COMPLIANCE"
    s3.delete_object(Bucket=LOCKED, Key=key)  # hides it; the version stays
    compared = shell("journal", "verify", f"--anchor=s3://{LOCKED}/kept")
    assert (compared.returncode, "Compared with 1 anchors" in compared.stderr) == (0, True)


def test_nothing_is_written_without_a_yes_or_in_a_read_only_console(shell: Shell, tmp_path: Path) -> None:
    before = shell.world.counted_calls("PutObject", "s3")
    refused = shell("journal", "anchor", "--to", f"s3://{BUCKET}/no")
    assert (refused.returncode, "--yes" in refused.stderr) == (3, True)
    file = tmp_path / "infraconsole.toml"
    file.write_text(f'read_only = true\nregion = "{shell.world.region}"\n')
    refused = shell("journal", "anchor", "--to", f"s3://{BUCKET}/no", "--yes", INFRACONSOLE_CONFIG=str(file))
    assert (refused.returncode, "read-only" in refused.stderr) == (3, True)
    assert shell.world.counted_calls("PutObject", "s3") == before


@pytest.mark.parametrize("where", ["here", "s3://UPPER/x", "ssm:name", "s3://bucket"])
def test_a_place_that_is_none_is_refused(shell: Shell, where: str) -> None:
    assert shell("journal", "anchor", "--to", where, "--yes").returncode == 2


def test_a_bucket_that_is_not_there_leaves_a_record_of_the_attempt(shell: Shell) -> None:
    done = shell("journal", "anchor", "--to", "s3://nowhere-at-all/x", "--yes")
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


def test_an_anchor_that_a_lagging_copy_hides_is_waited_for(shell: Shell) -> None:
    """Nothing is documented of what GetParameterHistory shows, and when."""
    first = shell("journal", "anchor", "--to", "ssm:/infraconsole/late", "--yes", "--json")
    with Journal(state_of(shell)) as journal:
        journal.append("run001", Kind.NOTE, data={"level": "info", "text": "more"})
    shell.world.fault("lag", operation="GetParameterHistory", seconds=6.0)
    assert shell("journal", "verify", "--anchor=ssm:/infraconsole/late").returncode == 0, "what the copy has to show"
    try:
        before = shell.world.counted_calls("PutParameter", "ssm")
        done = shell("journal", "anchor", "--to", "ssm:/infraconsole/late", "--yes", "--json")
    finally:
        shell.world.clear_faults()
    assert json.loads(first.stdout)["event"] < json.loads(done.stdout)["event"], done.stderr
    assert done.returncode == 0, done.stderr
    assert shell.world.counted_calls("PutParameter", "ssm") == before + 1
    assert shell("journal", "verify", "--anchor=ssm:/infraconsole/late").returncode == 0


def test_an_anchor_whose_answer_is_lost_is_looked_for_and_sent_once(shell: Shell) -> None:
    before = shell.world.counted_calls("PutObject", "s3")
    shell.world.fault("drop-after", service="s3", operation="PutObject", count=1)
    done = shell("journal", "anchor", "--to", f"s3://{BUCKET}/lost", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert shell.world.counted_calls("PutObject", "s3") == before + 1
    with Journal(state_of(shell)) as journal:
        assert [event.kind for event in journal.events("anchors")][-2:] == ["call-intended", "call-done"]


def test_an_anchored_event_that_was_archived_is_found_in_the_archive_that_is_named(
    shell: Shell, tmp_path: Path
) -> None:
    where = f"s3://{BUCKET}/archived"
    whole, folder = tmp_path / "whole", state_of(shell)
    shutil.copytree(folder, whole)
    try:
        with Journal(folder) as journal:
            for run in ("aaaaaa", "bbbbbb"):
                create(journal, run)
                end(journal, run)
            last = journal.last_event("aaaaaa")
            assert last is not None
            journal.append("run001", Kind.NOTE, data={"level": "info", "text": "later"})
        told = json.loads(shell("journal", "anchor", "--to", where, "--yes", "--json").stdout)["where"]
        key = f"{told.removeprefix(f's3://{BUCKET}/').rpartition('/')[0]}/{last.id:012d}-{last.hash}.json"
        client(shell.world, "s3").put_object(Bucket=BUCKET, Key=key, Body=b"{}")
        assert shell("journal", "verify", f"--anchor={where}").returncode == 0
        file, moved = tmp_path / "old.db", tmp_path / "moved.db"
        done = shell("journal", "archive", "--before", "2100-01-01", "--to", str(file), "--json")
        assert json.loads(done.stdout)["runs"] == 1, done.stdout
        assert shell("journal", "verify", f"--anchor={where}").returncode == 0
        file.rename(moved)
        found = shell("journal", "verify", f"--anchor={where}")
        assert (found.returncode, "without its archive" in found.stdout) == (1, True)
        assert shell("journal", "verify", f"--anchor={where}", "--archive", str(moved)).returncode == 0
    finally:
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)


def test_every_run_ends_with_the_head_of_the_journal(shell: Shell) -> None:
    done = shell("run", "ecs-rollback", "--service", "fileflow", "--env", "dev", "--dry-run", "--json",
                 "--set", "reason=to see the head of the journal")  # fmt: skip
    with Journal(state_of(shell)) as journal:
        number, digest = journal.head()
    assert f"Journal: event {number}, head {digest}" in done.stderr, done.stderr
