"""A named pipe where a file of Terraform's is expected: nobody writes to it, and nothing may wait for it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from infraconsole.engine.runbook import StepContext
from infraconsole.runbooks import apply_end, earlier_applies
from infraconsole.runbooks.apply_end import End
from infraconsole.terraform import backend
from infraconsole.terraform.declared import declared_in
from tests.unit.test_read_back import Bucket, Spoken, claims_of, made, root, state

pytestmark = pytest.mark.timeout(20)


def test_a_pipe_named_errored_tfstate_holds_up_no_read_back(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / backend.ERRORED_STATE)
    spoken = cast(StepContext, Spoken(Bucket(state(5))))
    plan = {"bound": {"serial": 5, "lineage": "L"}, "version": "v0"}
    at = replace(root(), folder=tmp_path)
    back = apply_end.look(spoken, at, End(tmp_path, None, claims_of(*made("a", "i"))), plan, "run")
    assert [each.id for each in back.strays] == ["i"]


def test_a_pipe_in_a_run_s_folder_holds_up_no_later_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "run" / "1-apply"
    record.mkdir(parents=True)
    os.mkfifo(record.parent / apply_end.BOUND_FILE)
    monkeypatch.setattr(earlier_applies, "unread", lambda *_: [record])
    context = cast(StepContext, SimpleNamespace(folder=tmp_path / "other"))
    apply_end.look_at_unread(context, root())
    os.mkfifo(record / earlier_applies.DIGEST)
    assert earlier_applies._digest(record) is None


def test_a_pipe_among_the_code_is_code_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "main.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": {}}}}))
    assert declared_in(tmp_path) is not None
    os.mkfifo(tmp_path / "other.tf")
    assert declared_in(tmp_path) is None
