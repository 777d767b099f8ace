from __future__ import annotations

from pathlib import Path

import pytest

from infraconsole.engine import followups
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.errors import PrerequisiteMissing
from infraconsole.terraform import tfvars

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
