from __future__ import annotations

from pathlib import Path

import pytest

from infraconsole.engine import followups
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.engine.recorder import Recorder
from infraconsole.errors import PrerequisiteMissing
from infraconsole.redaction import Redactor
from infraconsole.terraform import tfvars
from infraconsole.terraform.claims import Stray

CONTENT = '# prod\nenvironment = "prod"\nimage_tag   = "bad1234" # set by the pipeline\ndesired = 3\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "terraform.tfvars"
    path.write_text(CONTENT)
    return path


def opened(journal: Journal, run: str, file: Path, value: str) -> None:
    data = {"id": "pin-image-tag", "title": "Pin", "detail": "x", "file": str(file), "key": "image_tag", "value": value}
    journal.append(run, Kind.FOLLOW_UP_OPENED, "follow-up", data)


def test_the_edit_changes_the_value_and_nothing_else(file: Path) -> None:
    edit = tfvars.edit(file, "image_tag", "good123")
    assert edit.line == 3
    assert edit.before == 'image_tag   = "bad1234" # set by the pipeline'
    assert edit.after == 'image_tag   = "good123" # set by the pipeline'


def test_a_missing_variable_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "x.tfvars"
    path.write_text("a = 1\n")
    assert tfvars.edit(path, "image_tag", "good123").as_diff()[1:] == ("@@ at the end @@", '+image_tag = "good123"')


def test_a_follow_up_is_open_until_the_file_says_so(tmp_path: Path, file: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        opened(journal, "run1", file, "good123")
        assert [known.done for known in followups.review(journal)] == [False]
        edit = tfvars.edit(file, "image_tag", "good123")
        file.write_text(file.read_text().replace(edit.before, edit.after))
        assert [known.done for known in followups.review(journal)] == [True]
        assert followups.review(journal) == ()
        assert journal.verify().problems == ()
        assert journal.run_ids() == []


def test_a_later_rollback_takes_the_earlier_follow_up_s_place(tmp_path: Path, file: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        opened(journal, "run1", file, "good123")
        opened(journal, "run2", file, "better1")
        assert [known.run for known in followups.open_follow_ups(journal)] == ["run2"]


def test_a_file_that_cannot_be_read_leaves_it_open(tmp_path: Path, file: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        opened(journal, "run1", tmp_path / "nowhere", "good123")
        file.write_text("image_tag = = =\n")
        opened(journal, "run2", file, "good123")
        assert [known.done for known in followups.review(journal)] == [False, False]


@pytest.mark.parametrize("content", ["image_tag = = 3\n", 'x = "unclosed\n', "\x00\x01"])
def test_broken_hcl_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.tfvars"
    path.write_text(content)
    with pytest.raises(PrerequisiteMissing, match=r"broken\.tfvars"):
        tfvars.read(path)


STRAYS = (Stray("t.a", "t", "i"), Stray("t.b", "t", cut_off=True), Stray("t.c", "t", "k", by_another=True))


def kept(journal: Journal, run: str, place: str) -> None:
    about = {"detail": "x", "file": "", "key": "", "value": "", "place": place}
    data = {"id": f"in-no-state-{run}", "title": f"Bring back what {run} left", **about}
    journal.append(run, Kind.FOLLOW_UP_OPENED, "apply", {**data, "strays": [each.as_json() for each in STRAYS]})


def test_what_is_in_no_state_is_kept_by_the_place_of_the_state_until_it_is_closed(tmp_path: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        kept(journal, "run1", "s3://b/dev")
        kept(journal, "run2", "s3://b/prod")
        recorder = Recorder(journal, "run3", Redactor())
        (known,) = recorder.open_strays("s3://b/dev")
        assert (known.run, known.id, known.strays) == ("run1", "in-no-state-run1", STRAYS)
        assert [each.done for each in followups.review(journal)] == [False, False], "no file tells of them"
        recorder.close_follow_up(known, "the stored state has it")
        assert recorder.open_strays("s3://b/dev") == []
        assert len(recorder.open_strays("s3://b/prod")) == 1
        assert journal.verify().problems == ()
        # Lists of runs know it as well, although it is written under another name than the run's.
        assert [each.run for each in followups.open_follow_ups(journal)] == ["run2"]


def test_a_follow_up_that_is_renewed_takes_its_own_place(tmp_path: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        kept(journal, "run1", "s3://b/dev")
        kept(journal, "run1", "s3://b/dev")
        recorder = Recorder(journal, "run1", Redactor())
        (known,) = recorder.open_strays("s3://b/dev")
        recorder.close_follow_up(known, "the stored state has it")
        assert recorder.open_strays("s3://b/dev") == []
