"""What an apply's events claim, whether a state has it, and what versions of a state say of applies that ran at once."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.engine.runbook import OpenFollowUp, StepContext
from infraconsole.errors import AccessDenied, AwsNotFound
from infraconsole.redaction import MASK
from infraconsole.runbooks import state_history, strays
from infraconsole.runbooks.apply_end import End
from infraconsole.runbooks.read_back import ReadBack, read_back
from infraconsole.runbooks.terraform_root import Root
from infraconsole.target import Target
from infraconsole.terraform import events
from infraconsole.terraform.backend import S3Backend
from infraconsole.terraform.binary import Binary
from infraconsole.terraform.claims import Claims, Stray
from infraconsole.terraform.expected import NOTHING_EXPECTED, Expectations, Expected, expectations
from infraconsole.terraform.runner import Ended, Terraform

NOW = datetime(2026, 1, 1, tzinfo=UTC)


# Events


def told(kind: str, name: str, action: str, id_: str = "", *, key: str | int | None = None, module: str = "") -> str:
    index = "" if key is None else f"[{json.dumps(key)}]"
    resource = {
        "addr": f"{module + '.' if module else ''}t.{name}{index}",
        "module": module,
        "resource_type": "t",
        "resource_name": name,
        "resource_key": key,
    }
    hook = {"resource": resource, "action": action, **({"id_key": "id", "id_value": id_} if id_ else {})}
    return json.dumps(
        {"@level": "info", "@message": "…", "@timestamp": "2026-01-01T00:00:00Z", "type": kind, "hook": hook}
    )


def made(name: str, id_: str, **where: Any) -> list[str]:
    return [told("apply_start", name, "create", **where), told("apply_complete", name, "create", id_, **where)]


def destroyed(name: str, id_: str, **where: Any) -> list[str]:
    return [told("apply_start", name, "delete", id_, **where), told("apply_complete", name, "delete", **where)]


FINISHED = json.dumps(
    {
        "@message": "Apply complete!",
        "type": "change_summary",
        "changes": {"add": 1, "change": 0, "remove": 0, "operation": "apply"},
    }
)


def claims_of(*lines: str) -> Claims:
    claims = Claims()
    for line in lines:
        claims.take(events.parse(line))
    return claims


# States


def state(serial: int, *objects: Mapping[str, Any], lineage: str = "L") -> bytes:
    """`objects`: name → id, with key, module, deposed or other attributes beside it."""
    resources = []
    for each in objects:
        about = {"mode": "managed", "type": "t", "name": each["name"]}
        about["provider"] = each.get("provider", 'provider["p"]')
        about |= {"module": each["module"]} if each.get("module") else {}
        instance: dict[str, Any] = {"attributes": {"id": each["id"], "value": each.get("value", "")}}
        instance["attributes"] |= {"arn": each["arn"]} if "arn" in each else {}
        instance |= {"index_key": each["key"]} if "key" in each else {}
        instance |= {"deposed": each["deposed"]} if each.get("deposed") else {}
        resources.append({**about, "instances": [instance]})
    document = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": lineage, "outputs": {}}
    return json.dumps({**document, "resources": resources}, indent=2).encode()


def one(name: str, id_: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "id": id_, **more}


class Bucket:
    """The versions of one object, the oldest first; as much of AWS as these reads need."""

    def __init__(self, *bodies: bytes, versioned: bool = True) -> None:
        self.bodies = list(bodies)
        self.versioned = versioned
        self.denied = False
        self.ranges = 0

    def call(self, service: str, operation: str, **asked: Any) -> Mapping[str, Any]:
        if not self.bodies:
            raise AwsNotFound("No.", operation="s3:GetObject", code="NoSuchKey")
        at = int(str(asked["VersionId"])[1:]) if asked.get("VersionId") else len(self.bodies) - 1
        body = self.bodies[at]
        self.ranges += "Range" in asked
        version = {"VersionId": f"v{at}"} if self.versioned else {}
        return {"Body": body, "ETag": str(hash(body)), "ContentLength": len(body), **version}

    def whole_pages(self, service: str, operation: str, **_: Any) -> list[Mapping[str, Any]]:
        if self.denied:
            raise AccessDenied("s3:ListBucketVersions is not allowed.", operation="s3:ListObjectVersions")
        listed = [
            {
                "Key": "k",
                "VersionId": f"v{at}" if self.versioned else "null",
                "Size": len(body),
                "ETag": str(hash(body)),
                "LastModified": NOW + timedelta(seconds=at),
                "IsLatest": at == len(self.bodies) - 1,
            }
            for at, body in enumerate(self.bodies)
        ]
        return [{"Versions": listed}]

    def translating(self, *_: str) -> Bucket:
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Spoken:
    """As much of a step's context as these need."""

    def __init__(self, bucket: Bucket) -> None:
        self.reads = cast(AwsAccess, bucket)
        self.target = Target("plain", "dev", "r")
        self.folder = Path("/nowhere/runs/abc234")
        self.notes: list[str] = []
        self.open: list[OpenFollowUp] = []
        self.kept: list[tuple[str, str, str, tuple[Stray, ...]]] = []
        self.closed: list[str] = []

    def note(self, text: str, *, warning: bool = False) -> None:
        self.notes.append(text)

    def open_strays(self, place: str) -> Sequence[OpenFollowUp]:
        return [each for each in self.open if place == "s3://b/k"]

    def keep_strays(self, id_: str, title: str, *, detail: str, place: str, strays: Sequence[Stray]) -> None:
        self.kept.append((id_, detail, place, tuple(strays)))

    def close_follow_up(self, known: OpenFollowUp, detail: str) -> None:
        self.closed.append(detail)


def root() -> Root:
    tool = Terraform(Binary(("terraform",), "1.11.4", "path"), Path("/code it"), {"TF_DATA_DIR": "/data"})
    variables = (Path("/code it/environments/dev/terraform.tfvars"),)
    return Root(Path("/code it"), Path("/data"), "dev", tool, S3Backend("b", "k", "r"), variables)


def look(
    bucket: Bucket,
    claims: Claims,
    *,
    serial: int = 5,
    version: str = "v0",
    by_itself: bool = True,
    expected: Expectations = NOTHING_EXPECTED,
    folder: Path | None = None,
) -> ReadBack:
    plan = {"bound": {"serial": serial, "lineage": "L" if serial else ""}, "version": version}
    context = cast(StepContext, Spoken(bucket))
    return read_back(context, root(), plan, claims, ended_by_itself=by_itself, expected=expected, folder=folder)


def planned(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    name: str = "a",
    unknown: Mapping[str, Any] | None = None,
    drifted_from: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> Expectations:
    """Of a plan that updates t.`name` in place."""
    about = {"address": f"t.{name}", "mode": "managed", "type": "t", "name": name}
    change = {"actions": ["update"], "before": before, "after": after, "after_unknown": unknown or {}}
    drift = {**about, "change": {"actions": ["update"], "before": drifted_from, "after": before}}
    document = {"resource_changes": [{**about, "change": change}], "output_changes": outputs or {}}
    return expectations(json.dumps({**document, "resource_drift": [drift] if drifted_from else []}).encode())


def updated(name: str, id_: str) -> list[str]:
    return [told("apply_start", name, "update", id_), told("apply_complete", name, "update", id_)]


# What is claimed


def test_of_a_replacement_the_new_object_counts_and_the_old_one_is_gone() -> None:
    for lines in (
        [*destroyed("a", "old"), *made("a", "new")],
        [*made("a", "new"), *destroyed("a", "old")],
    ):
        claims = claims_of(*lines)
        assert [each.id for each in claims.there] == ["new"]
        assert [each.id for each in claims.gone] == ["old"]
        assert not claims.unfinished


def test_a_replacement_that_keeps_its_id_is_not_missed_and_not_told_as_gone() -> None:
    """As of all that is named and not numbered: a role, a parameter."""
    claims = claims_of(*destroyed("a", "name"), *made("a", "name"))
    assert (claims.gone, [each.id for each in claims.there]) == ((), ["name"])


def test_what_was_begun_and_never_ended_is_unfinished() -> None:
    claims = claims_of(told("apply_start", "a", "create"), told("apply_start", "b", "update", "i"), *made("c", "x"))
    assert claims.unfinished
    assert [each.resource.name for each in claims.being_made] == ["a"]


def test_ids_that_name_nothing_are_none() -> None:
    assert [each.id for each in claims_of(*made("a", "none")).there] == [""]


def test_only_terraform_s_own_word_on_an_apply_is_its_end() -> None:
    assert claims_of(FINISHED).is_finished
    assert not claims_of(FINISHED.replace('"apply"', '"plan"')).is_finished
    words = json.dumps({"@message": "Apply complete!", "type": "provision_progress", "hook": {"output": FINISHED}})
    assert not claims_of(words).is_finished


@pytest.mark.parametrize(
    ("code", "finished", "well", "cut_off", "words"),
    [
        (0, True, True, False, "exit code 0"),
        (1, False, False, False, "exit code 1"),
        (-9, False, False, True, "SIGKILL"),
        (137, False, False, True, "SIGKILL"),
        (2, False, False, True, "exit code 2"),
        (-9, True, True, False, "SIGKILL"),
        (None, True, True, False, "nobody saw how"),
        (None, False, False, True, "nobody saw how"),
    ],
)
def test_how_it_ended(code: int | None, finished: bool, well: bool, cut_off: bool, words: str) -> None:
    ended = None if code is None else Ended(("terraform",), code, Path("o"), Path("e"))
    end = End(Path("r"), ended, claims_of(*([FINISHED] if finished else [])))
    assert (end.is_well, end.was_cut_off) == (well, cut_off)
    assert words in end.words


def test_a_good_exit_code_is_not_believed_where_something_never_ended() -> None:
    """A wrapper that loses the code of what it wraps."""
    end = End(Path("r"), Ended(("terraform",), 0, Path("o"), Path("e")), claims_of(told("apply_start", "a", "create")))
    assert (end.is_well, end.was_cut_off) == (False, True)


def test_an_error_that_terraform_told_itself_is_its_own_end_though_nobody_saw_the_code() -> None:
    end = End(Path("r"), None, claims_of(told("apply_start", "a", "create")), said_why=True)
    assert (end.is_well, end.was_cut_off) == (False, False)


# What the state has


def test_a_state_that_has_all_of_it_is_whole() -> None:
    stored = state(6, one("a", "i"), one("b", "j", key='x "${y}'), one("c", "k", key=0, module='module.m["a"]'))
    claims = claims_of(*made("a", "i"), *made("b", "j", key='x "${y}'), *made("c", "k", key=0, module='module.m["a"]'))
    back = look(Bucket(state(5), stored), claims)
    assert back.is_whole
    assert (back.before, back.serial) == (5, 6)


@pytest.mark.parametrize(
    ("after", "missing"),
    [
        ([one("a", "i")], []),
        ([one("a", "other")], ["t.a"]),
        ([], ["t.a"]),
        ([one("moved", "i")], []),  # moved since
        ([one("a", "i", deposed="d")], []),
        ([one("a", "i", key=0)], []),
    ],
    ids=["there", "another-object", "nothing", "moved", "deposed", "with-a-key-by-now"],
)
def test_what_was_made_is_known_by_its_id(after: list[dict[str, Any]], missing: list[str]) -> None:
    back = look(Bucket(state(5), state(6, *after)), claims_of(*made("a", "i")))
    assert [each.address for each in back.strays] == missing
    assert back.is_whole is not bool(missing)


@pytest.mark.parametrize("both", [False, True], ids=["twin-from-before", "twin-of-the-same-apply"])
def test_another_object_with_the_same_id_does_not_hide_one_that_is_in_no_state(both: bool) -> None:
    """As log groups of one name in two regions."""
    twin = one("seoul", "/app")
    base, after = (state(5), [state(6, twin)]) if both else (state(5, twin), [])
    back = look(Bucket(base, *after), claims_of(*(made("seoul", "/app") if both else []), *made("tokyo", "/app")))
    assert [each.address for each in back.strays] == ["t.tokyo"]
    spoken = Spoken(Bucket())
    spoken.open = [follow_up(*(Stray.from_json(each.as_json()) for each in back.strays))]
    context = cast(StepContext, spoken)
    assert len(strays.review(context, root(), state(7, twin))) == 1
    assert strays.review(context, root(), state(8, twin, one("moved", "/app"))) == ()


def test_what_is_moved_and_changed_at_once_is_the_same_object_still() -> None:
    claims = claims_of(told("apply_start", "new", "update", "i"), told("apply_complete", "new", "update", "i"))
    assert look(Bucket(state(5, one("old", "i"))), claims).strays == ()


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        ({"provider": 'provider["p"].tokyo'}, True),
        ({"arn": "arn:tokyo"}, True),
        ({"arn": "arn:seoul"}, False),
        ({"arn": "arn:seoul", "provider": 'provider["p"].other'}, False),
        ({}, False),
    ],
    ids=["another-provider", "another-arn", "the-same", "the-same-by-its-arn", "nothing-told"],
)
def test_what_another_apply_made_is_told_apart_by_provider_and_arn(theirs: dict[str, str], kept: bool) -> None:
    seoul = one("seoul", "/app", **({"arn": "arn:seoul"} if "arn" in theirs else {}))
    bucket = Bucket(state(5, seoul), state(6, seoul, one("tokyo", "/app", **theirs)), state(6, seoul, one("a", "i")))
    back = look(bucket, claims_of(*made("a", "i")))
    assert [each.address for each in back.strays] == (["t.tokyo"] if kept else [])


def test_what_was_destroyed_and_is_in_the_state_still_is_told() -> None:
    bucket = Bucket(state(5, one("a", "i")), state(6, one("a", "i")))
    assert look(bucket, claims_of(*destroyed("a", "i"))).still_there == ("t.a",)


def test_nothing_stored_and_another_lineage_are_told() -> None:
    assert not look(Bucket(), claims_of()).is_whole
    other = look(Bucket(state(5), state(6, one("a", "i"), lineage="M")), claims_of(*made("a", "i")))
    assert "its lineage is M, the plan's L" in other.sentences()[0]


@pytest.mark.parametrize(("by_itself", "unsure"), [(True, ["t.a"]), (False, ["t.a", "t.b"])])
def test_what_was_cut_off_may_exist_and_what_failed_is_terraform_s_own_word(by_itself: bool, unsure: list[str]) -> None:
    lines = (
        told("apply_start", "a", "create"),
        told("apply_start", "b", "create"),
        told("apply_errored", "b", "create"),
    )
    back = look(Bucket(state(5)), claims_of(*lines), by_itself=by_itself)
    assert [each.address for each in back.strays if each.cut_off] == unsure


MAKING = told("apply_start", "a", "create")


@pytest.mark.parametrize(
    "after",
    [
        [],
        [state(6, one("a", "old"), one("b", "j"))],
        [state(6, one("a", "old", deposed="d"))],
        [state(6, one("a", "new"))],
    ],
    ids=["nothing-stored", "old", "deposed", "new"],
)
@pytest.mark.parametrize("version", ["v0", ""], ids=["version", "serial"])
def test_a_replacement_that_was_cut_off_is_not_the_object_that_it_replaces(after: list[bytes], version: str) -> None:
    back = look(Bucket(state(5, one("a", "old")), *after), claims_of(MAKING), version=version, by_itself=False)
    is_stored = any(b'"new"' in each for each in after)
    assert [(each.address, each.before) for each in back.strays] == ([] if is_stored else [("t.a", ("old",))])
    assert back.is_whole is is_stored
    assert ("may exist, and is in no state: t.a." in " ".join(back.sentences())) is not is_stored


def test_a_replacement_that_was_cut_off_after_the_old_object_was_destroyed_is_told() -> None:
    claims = claims_of(*destroyed("a", "old"), MAKING)
    back = look(Bucket(state(5, one("a", "old"))), claims, by_itself=False)
    assert ([each.address for each in back.strays], back.still_there) == (["t.a"], ("t.a",))


def test_without_versions_the_plan_tells_what_stood_there_before(tmp_path: Path) -> None:
    change = {"actions": ["create", "delete"], "before": {"id": "old"}, "after": {}, "after_unknown": {"id": True}}
    entry = {"address": "t.a", "mode": "managed", "type": "t", "name": "a", "change": change}
    document = {"format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": [entry]}
    (tmp_path / "plan.json").write_text(json.dumps(document))
    bucket = Bucket(state(6, one("a", "old"), one("b", "j")), versioned=False)
    back = look(bucket, claims_of(MAKING), version="", by_itself=False, folder=tmp_path)
    assert [(each.address, each.before) for each in back.strays] == [("t.a", ("old",))]


def test_what_was_being_changed_is_named_and_no_stray() -> None:
    claims = claims_of(
        told("apply_start", "a", "update", "i"),
        told("apply_start", "b", "update", "j"),
        told("apply_errored", "b", "update"),
    )
    back = look(Bucket(state(5, one("a", "i"), one("b", "j"))), claims, by_itself=False)
    assert (back.strays, back.being_changed, back.is_whole) == ((), ("t.a", "t.b"), False)
    assert (
        "Was being changed or destroyed, and the stored state may not say what it is now: t.a, t.b." in back.sentences()
    )


def test_an_update_that_changed_nothing_needs_no_higher_serial() -> None:
    """It put back to what the state had what somebody had changed in AWS: Terraform stores nothing."""
    put_back = planned({"value": "theirs"}, {"value": "ours"}, drifted_from={"value": "ours"})
    stored = Bucket(state(5, one("a", "i", value="ours")))
    back = look(stored, claims_of(*updated("a", "i"), FINISHED), expected=put_back)
    assert back.is_whole, back.sentences()
    assert back.moved == "serial 5, as before the apply"


NEW = planned({"value": "old"}, {"value": "new"})
VERSIONED = pytest.mark.parametrize("versioned", [True, False], ids=["versions", "no-versions"])


@VERSIONED
@pytest.mark.parametrize("expected", [NEW, NOTHING_EXPECTED], ids=["plan", "no-plan"])
@pytest.mark.parametrize("serial", [5, 3], ids=["unmoved", "went-back"])
def test_an_update_under_a_serial_that_did_not_grow_was_not_stored(
    versioned: bool, expected: Expectations, serial: int
) -> None:
    bodies = [state(serial, one("a", "i", value="old"))] if serial == 5 else [state(5), state(3, one("a", "i"))]
    bucket = Bucket(*bodies, versioned=versioned)
    back = look(bucket, claims_of(*updated("a", "i"), FINISHED), version="v0" if versioned else "", expected=expected)
    assert not back.is_whole
    assert "Changed, and the stored state may not know it: t.a (t, id i)." in back.sentences()
    assert f"serial {5 if serial == 5 else '5 → 3'}" in back.sentences()[-1]


@pytest.mark.parametrize(
    "lines",
    [
        [*destroyed("a", "name"), *made("a", "name")],
        [told("apply_start", "a", "delete"), told("apply_complete", "a", "delete")],
        made("a", ""),
    ],
    ids=["replaced-under-its-name", "destroyed-without-an-id", "made-without-an-id"],
)
def test_whatever_was_done_makes_the_serial_grow(lines: list[str]) -> None:
    back = look(Bucket(state(5, one("a", "name"))), claims_of(*lines, FINISHED))
    assert [each.address for each in back.unsure] == ["t.a"]


@VERSIONED
@pytest.mark.parametrize("others", ["base", "drift"])
def test_an_update_that_somebody_s_older_state_lies_over_is_noticed(versioned: bool, others: str) -> None:
    expected = planned({"value": "old"}, {"value": "new"}, drifted_from={"value": "drifted from"})
    value = "old" if others == "base" else "drifted from"
    theirs = state(6, one("a", "i", value=value), one("b", "k"))
    bodies = (state(5, one("a", "i", value="drifted from")), theirs) if versioned else (theirs,)
    bucket, version = Bucket(*bodies, versioned=versioned), "v0" if versioned else ""
    back = look(bucket, claims_of(*updated("a", "i"), FINISHED), version=version, expected=expected)
    assert [(each.address, each.id) for each in back.unsure] == [("t.a", "i")]
    assert not back.is_whole


@pytest.mark.parametrize("value", ["new", "NEW", "changed since"])
def test_an_update_that_is_stored_as_it_was_planned_or_otherwise_is_known(value: str) -> None:
    """AWS writes some values in its own way."""
    back = look(Bucket(state(6, one("a", "i", value=value))), claims_of(*updated("a", "i"), FINISHED), expected=NEW)
    assert back.is_whole, back.sentences()


def test_what_aws_leaves_as_it_is_makes_no_apply_fail_whose_state_was_stored() -> None:
    """A change that the plan shows each time, beside one that was made."""
    stored = Bucket(state(6, one("a", "i", value="old"), one("b", "j")), versioned=False)
    lines = [*updated("a", "i"), *made("b", "j")]
    assert look(stored, claims_of(*lines, FINISHED), version="", expected=NEW).is_whole
    assert not look(stored, claims_of(*lines), version="", by_itself=False, expected=NEW).is_whole


def test_an_update_that_was_stored_and_changed_back_since_is_no_loss() -> None:
    bodies = [state(serial, one("a", "i", value=value)) for serial, value in ((5, "old"), (6, "new"), (7, "old"))]
    assert look(Bucket(*bodies), claims_of(*updated("a", "i"), FINISHED), expected=NEW).is_whole


@pytest.mark.parametrize("by_itself", [True, False])
def test_an_update_that_was_cut_off_may_be_unknown_to_the_state(by_itself: bool) -> None:
    lines = [told("apply_start", "a", "update", "i"), told("apply_start", "b", "delete", "j")]
    stored = Bucket(state(5, one("a", "i"), one("b", "j")))
    back = look(stored, claims_of(*lines), by_itself=by_itself)
    assert back.being_changed == (() if by_itself else ("t.a", "t.b"))
    assert back.is_whole is by_itself


def test_an_output_that_changed_makes_the_serial_grow() -> None:
    def outputs(after: str, unknown: bool = False) -> Expectations:
        change = {"actions": ["update"], "before": "old", "after": after, "after_unknown": unknown}
        return planned({}, {}, outputs={"url": change})

    assert not look(Bucket(state(5)), claims_of(FINISHED), expected=outputs("new")).is_whole
    assert look(Bucket(state(6)), claims_of(FINISHED), version="", expected=outputs("new")).is_whole
    for expected in (outputs("old"), outputs("new", unknown=True)):
        assert look(Bucket(state(5)), claims_of(FINISHED), expected=expected).is_whole


def test_what_is_masked_or_unknown_is_compared_with_nothing() -> None:
    masked = planned({"value": MASK}, {"value": f"{MASK}•"})
    unknown = planned({"value": "old"}, {"value": None}, unknown={"value": True})
    for expected in (masked, unknown, expectations(b"no plan"), expectations(b"[]")):
        assert all(each == Expected({}, each.before) for each in expected.updates.values())
        back = look(Bucket(state(6, one("a", "i", value="old"))), claims_of(*updated("a", "i")), expected=expected)
        assert back.is_whole


# What was stored at the same time


def test_what_another_apply_stored_and_ours_took_away_is_named() -> None:
    base, theirs = state(5, one("kept", "k")), state(6, one("kept", "k", value="new"), one("x", "1"))
    back = look(Bucket(base, theirs, state(6, one("kept", "k"), one("a", "i"))), claims_of(*made("a", "i")))
    assert [each.id for each in back.overwritten] == ["v1"]
    assert [(each.address, each.id, each.by_another) for each in back.strays] == [("t.x", "1", True)]
    assert back.undone == ("t.kept",)
    assert not back.is_whole


def test_what_ours_stored_and_another_one_took_away_is_named() -> None:
    bucket = Bucket(state(5), state(6, one("a", "i")), state(7, one("a", "i"), one("b", "j")), state(6, one("x", "1")))
    back = look(bucket, claims_of(*made("a", "i"), *made("b", "j")))
    assert [(each.id, each.by_another) for each in back.strays] == [("i", False), ("j", False)]
    assert [each.serial for each in back.overwritten] == [7]


def test_of_two_that_store_in_turns_both_are_heard() -> None:
    ours, theirs = one("a", "i"), one("x", "1")
    bucket = Bucket(state(5), state(6, ours), state(6, theirs), state(7, ours, one("b", "j")))
    back = look(bucket, claims_of(*made("a", "i"), *made("b", "j")))
    assert [each.id for each in back.strays] == ["1"]


def test_first_applies_at_once_have_two_lineages() -> None:
    bucket = Bucket(state(1, one("x", "1"), lineage="M"), state(1, one("a", "i")))
    back = look(bucket, claims_of(*made("a", "i")), serial=0, version="")
    assert [each.id for each in back.strays] == ["1"]


def test_what_our_own_apply_destroyed_on_its_way_is_not_missed() -> None:
    """A long apply stores its state in between."""
    between, last = state(6, one("a", "new"), one("a", "old", deposed="d")), state(7, one("a", "new"))
    bucket = Bucket(state(5, one("a", "old")), between, state(6, one("x", "1")), last)
    back = look(bucket, claims_of(*made("a", "new"), *destroyed("a", "old")))
    assert [each.id for each in back.strays] == ["1"]


def test_what_was_stored_and_changed_since_is_no_loss() -> None:
    bucket = Bucket(state(5), state(6, one("a", "i")), state(7, one("a", "their own")))
    back = look(bucket, claims_of(*made("a", "i")))
    assert (back.is_whole, back.stored_since) == (True, ("t.a",))


def test_a_state_that_was_sent_twice_is_one() -> None:
    stored = state(6, one("a", "i"))
    assert look(Bucket(state(5), stored, stored), claims_of(*made("a", "i"))).is_whole


def test_what_is_no_state_among_the_versions_is_passed_over() -> None:
    bucket = Bucket(state(5), b"oops", state(6, one("a", "i")))
    assert look(bucket, claims_of(*made("a", "i"))).is_whole


@pytest.mark.parametrize("kind", ["unversioned", "denied", "expired-version"])
def test_without_versions_only_our_own_is_known(kind: str) -> None:
    bucket = Bucket(state(5), state(6, one("x", "1")), state(6, one("a", "i")), versioned=kind != "unversioned")
    bucket.denied = kind == "denied"
    back = look(
        bucket, claims_of(*made("a", "i"), *made("b", "j")), version="v9" if kind == "expired-version" else "v0"
    )
    assert [each.id for each in back.strays] == ["j"]
    assert back.overwritten == ()


def test_of_versions_only_the_beginning_is_read() -> None:
    bucket = Bucket(state(5), state(6, one("a", "i")))
    spoken = cast(StepContext, Spoken(bucket))
    history = state_history.since(spoken, root(), "v0", 5)
    assert history is not None
    assert ([each.serial for each in history.since], bucket.ranges) == ([6], 2)
    bucket.bodies[1] = json.dumps(json.loads(bucket.bodies[1]), sort_keys=True).encode()
    again = state_history.since(spoken, root(), "v0", 5)
    assert again is not None
    assert again.since[0].serial == 6, "also where the state does not begin as Terraform writes it"


# What is kept of it


def follow_up(*missing: Stray) -> OpenFollowUp:
    return OpenFollowUp("Bring back", "…", "run2", "in-no-state-xyz", missing)


def test_import_lines_can_be_typed() -> None:
    stray = Stray('module.m["a b"].t.a["$${x}"]', "t", 'it\'s; ${HOME} "x"')
    line = strays.import_command(cast(StepContext, Spoken(Bucket())), root(), stray)
    typed = shlex.split(line)
    assert typed[-3:] == ["--", stray.address, stray.id]
    assert "-var-file=/code it/environments/dev/terraform.tfvars" in typed
    assert 'id = "it\'s; $${HOME} \\"x\\""' in strays.import_block(stray)


def test_a_follow_up_closes_when_the_state_has_it_at_whatever_address() -> None:
    spoken = Spoken(Bucket())
    spoken.open = [follow_up(Stray("t.a", "t", "i"), Stray("t.b", "t", "j"))]
    context = cast(StepContext, spoken)
    (left,) = strays.review(context, root(), state(6, one("a", "i")))
    assert ([each.id for each in left.strays], spoken.closed) == (["j"], [])
    assert strays.review(context, root(), state(7, one("a", "i"), one("elsewhere", "j"))) == ()
    assert len(spoken.closed) == 1


def test_what_may_exist_closes_by_its_address_and_says_what_is_left_to_look_for() -> None:
    spoken = Spoken(Bucket())
    spoken.open = [follow_up(Stray("t.a", "t", cut_off=True))]
    assert strays.review(cast(StepContext, spoken), root(), state(6, one("a", "i"))) == ()
    assert "is in no state: look for it" in spoken.notes[-1]


def test_what_may_exist_beside_what_it_was_to_replace_closes_by_another_id() -> None:
    spoken = Spoken(Bucket())
    stray = Stray("t.a", "t", cut_off=True, before=("old",))
    spoken.open = [follow_up(Stray.from_json(json.loads(json.dumps(stray.as_json()))))]
    context = cast(StepContext, spoken)
    (left,) = strays.review(context, root(), state(6, one("a", "old")))
    assert "What the state had there before (id old) is not it." in strays.sentence(left.strays[0], "xyz")
    assert len(strays.review(context, root(), state(7, one("a", "old", deposed="d")))) == 1
    assert spoken.closed == []
    assert strays.review(context, root(), state(8, one("a", "new"))) == ()


def test_what_the_plan_makes_again_is_an_error_and_the_rest_a_warning() -> None:
    known = follow_up(Stray("t.a", "t", "i"), Stray("t.b", "t", "j"), Stray("t.c", "t", cut_off=True))
    lines = strays.gate_lines(cast(StepContext, Spoken(Bucket())), root(), [known], {"t.a", "t.c"})
    assert [line.partition(":")[0] for line in lines] == ["Error", "Warning", "Warning"]
    assert "was made by run xyz" in lines[0]


def test_a_second_apply_of_a_run_adds_to_what_the_first_one_left() -> None:
    spoken = Spoken(Bucket())
    spoken.open = [OpenFollowUp("Bring back", "…", "abc234", "in-no-state-abc234", (Stray("t.a", "t", "i"),))]
    context = cast(StepContext, spoken)
    strays.keep(context, root(), [Stray("t.a", "t", "i")], "abc234")
    assert spoken.kept == []
    strays.keep(context, root(), [Stray("t.b", "t", "j")], "abc234")
    ((id_, detail, place, kept),) = spoken.kept
    assert (id_, place, [each.id for each in kept]) == ("in-no-state-abc234", "s3://b/k", ["i", "j"])
    assert "infraconsole run strays-dismiss --service plain --env dev --set run=abc234" in detail
