from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from infraconsole.errors import PrerequisiteMissing
from infraconsole.terraform import hcl_cache, hcl_workers, reader
from infraconsole.terraform.hcl_workers import Outcome, Source
from infraconsole.terraform.reader import Tree, read_tree

FINE = 'resource "aws_ssm_parameter" "it" {\n  name = "/shared/it"\n}\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "terraform"
    folder.mkdir()
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were parsed, in an order of their own."""
    texts: list[str] = []
    real = hcl_workers.parse

    def parse(sources: Sequence[Source]) -> Sequence[Outcome]:
        texts.extend(source.text for source in sources)
        return tuple(real(sources))

    monkeypatch.setattr(reader, "parse", parse)
    return texts


def names(tree: Tree) -> list[str]:
    return [str(file.path.relative_to(tree.root)) for file in tree.files]


def settle(folder: Path) -> None:
    """Files whose time is long enough ago to be trusted."""
    old = time.time() - 60
    for file in folder.rglob("*.tf"):
        os.utime(file, (old, old))


def test_files_of_all_kinds_are_read_and_hidden_folders_are_not(root: Path, cache: Path) -> None:
    for name in ("a.tf", "below/b.tf", ".terraform/c.tf", ".git/d.tf", ".e.tf", "f.tf~", "g.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(FINE)
    (root / "h.tf.json").write_text('{"locals": {"a": 1}}')
    (root / "i.tfvars").write_text('env = "prod"\n')
    (root / "empty.tf").write_text("")
    tree = read_tree(root, cache)
    assert names(tree) == ["a.tf", "below/b.tf", "empty.tf", "h.tf.json", "i.tfvars"]
    assert tree.problems == ()
    assert tree.is_whole


def test_python_hcl2_is_never_loaded_by_who_reads(root: Path, cache: Path) -> None:
    (root / "a.tf").write_text(FINE)
    code = (
        "import sys; from pathlib import Path; from infraconsole.terraform.reader import read_tree; "
        f"tree = read_tree(Path({str(root)!r}), Path({str(cache)!r})); "
        "print(len(tree.files), 'hcl2' in sys.modules, 'lark' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False", "False"]


def test_everything_that_is_broken_is_named_and_the_rest_is_read(root: Path, cache: Path) -> None:
    (root / "fine.tf").write_text(FINE)
    (root / "bom.tf").write_bytes(b"\xef\xbb\xbf" + FINE.encode())
    (root / "syntax.tf").write_text("locals {\n  a = 1\n  b = = 2\n}\n")
    (root / "unclosed.tf").write_text('locals {\n\n  a = "x\n}\n')
    (root / "latin.tf").write_bytes("# one\n# gr\xfc\xdfe\n".encode("latin-1"))
    (root / "utf16.tf").write_bytes(FINE.encode("utf-16"))
    (root / "nul.tf").write_bytes(b"a = 1\nb = 2\0\n")
    (root / "huge.tf").write_bytes(b"# five\n" * (5 * 1024 * 1024 // 7))
    (root / "folder.tf").mkdir()
    (root / "folder.tf" / "inner.tf").write_text(FINE)
    (root / "gone.tf").symlink_to(root / "nowhere")
    (root / "itself.tf").symlink_to(root / "itself.tf")
    os.mkfifo(root / "pipe.tf")
    (root / "zero.tf").symlink_to("/dev/zero")
    (root / "json.tf.json").write_text('{\n  "a": 1,\n  "b" 2}')
    tree = read_tree(root, cache)
    assert names(tree) == ["bom.tf", "fine.tf", "folder.tf/inner.tf"]
    found = {Path(problem.file).name: problem for problem in tree.problems}
    assert {name: problem.line for name, problem in found.items()} == {
        "syntax.tf": 3,
        "unclosed.tf": 3,
        "latin.tf": 2,
        "utf16.tf": 1,
        "nul.tf": 2,
        "huge.tf": 1,
        "folder.tf": 1,
        "gone.tf": 1,
        "itself.tf": 1,
        "pipe.tf": 1,
        "zero.tf": 1,
        "json.tf.json": 3,
    }
    for word, name in (
        ("not valid HCL", "syntax.tf"),
        ("closing quote", "unclosed.tf"),
        ("0xfc", "latin.tf"),
        ("5.0 MiB", "huge.tf"),
        ("is a folder", "folder.tf"),
        ("No such file", "gone.tf"),
        ("leads back to itself", "itself.tf"),
        ("not a regular file", "pipe.tf"),
        ("NUL", "nul.tf"),
        ("not valid JSON", "json.tf.json"),
    ):
        assert word in found[name].message
    assert all(str(problem.file) in problem.message and problem.mend for problem in tree.problems)
    assert found["folder.tf"].level == "warning"
    assert not tree.is_whole


def test_links_that_go_in_circles_end(root: Path, cache: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "a.tf").write_text(FINE)
    (root / "a" / "up").symlink_to(root)
    (root / "b").symlink_to(root / "a")
    (root / "around").symlink_to(root / "around")
    tree = read_tree(root, cache)
    assert names(tree) == ["a/a.tf"]
    assert {(Path(problem.file).name, problem.level) for problem in tree.problems} == {
        ("up", "warning"),
        ("around", "error"),
    }


def test_a_linked_folder_from_elsewhere_is_read(root: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "s.tf").write_text(FINE)
    (root / "modules").symlink_to(tmp_path / "shared")
    assert names(read_tree(root, cache)) == ["modules/s.tf"]


def test_what_may_not_be_read_is_named(root: Path, cache: Path) -> None:
    (root / "a.tf").write_text(FINE)
    (root / "b.tf").write_text(FINE)
    (root / "b.tf").chmod(0)
    if os.access(root / "b.tf", os.R_OK):
        pytest.skip("this user may read everything")
    (root / "closed").mkdir(mode=0)
    tree = read_tree(root, cache)
    (root / "closed").chmod(0o700)
    assert names(tree) == ["a.tf"]
    assert sorted(Path(problem.file).name for problem in tree.problems) == ["b.tf", "closed"]


def test_a_refusal_by_the_system_is_named(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a.tf").write_text(FINE)
    (root / "b.tf").write_text("# b\n" + FINE)
    (root / "closed").mkdir()
    real_open, real_scan = os.open, os.scandir

    def refuse(path: Path | str, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("b.tf"):
            raise PermissionError(13, "Permission denied")
        return real_open(path, flags, mode)

    def scan(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real_scan(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        patched.setattr(os, "scandir", scan)
        tree = read_tree(root, cache)
    assert names(tree) == ["a.tf"]
    assert sorted(Path(problem.file).name for problem in tree.problems) == ["b.tf", "closed"]
    assert all("Permission denied" in problem.message for problem in tree.problems)


def test_a_folder_that_is_far_too_large_ends(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_FILES", 3)
    for number in range(10):
        (root / f"m{number}").mkdir()
        (root / f"m{number}" / "a.tf").write_text(FINE)
    tree = read_tree(root, cache)
    assert len(tree.files) == 4
    assert "the rest is not read" in tree.problems[0].message


def test_only_what_changed_is_parsed_again(root: Path, cache: Path, parsed: list[str]) -> None:
    for number in range(3):
        (root / f"{number}.tf").write_text(f"# {number}\n{FINE}")
    settle(root)
    first = read_tree(root, cache)
    assert len(parsed) == 3
    assert read_tree(root, cache) == first
    (root / "1.tf").write_text("a = 1\n")
    again = read_tree(root, cache)
    assert parsed[3:] == ["a = 1\n"]
    assert again != first


def test_unchanged_files_are_not_even_opened(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a.tf").write_text(FINE)
    settle(root)
    first = read_tree(root, cache)

    def no(path: Path) -> tuple[bytes, os.stat_result]:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(reader, "_content", no)
    assert read_tree(root, cache) == first


def test_a_change_within_the_same_moment_is_seen(root: Path, cache: Path) -> None:
    """The same size, the same time, the same inode: only the content tells."""
    file = root / "a.tf"
    file.write_text("a = 1\n")
    status = file.stat()
    read_tree(root, cache)
    file.write_text("a = 2\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read_tree(root, cache).files[0].digest.blocks[0].attributes[0].node == ["lit", 2]


def test_equal_files_are_parsed_once_and_moved_ones_not_again(root: Path, cache: Path, parsed: list[str]) -> None:
    (root / "a.tf").write_text(FINE)
    (root / "b.tf").write_text(FINE)
    read_tree(root, cache)
    (root / "a.tf").rename(root / "c.tf")
    assert names(read_tree(root, cache)) == ["b.tf", "c.tf"]
    assert parsed == [FINE]


def test_a_syntax_error_is_remembered_too(root: Path, cache: Path, parsed: list[str]) -> None:
    (root / "a.tf").write_text("a = = 1\n")
    assert read_tree(root, cache).problems == read_tree(root, cache).problems != ()
    assert len(parsed) == 1


def test_the_cache_is_private_and_what_is_wrong_with_it_does_not_matter(
    root: Path, cache: Path, parsed: list[str]
) -> None:
    (root / "a.tf").write_text(FINE)
    first = read_tree(root, cache)
    (kept,) = cache.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    good = json.loads(kept.read_text())
    wrong = [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b'{"format"',
        json.dumps({**good, "format": -1}).encode(),
        json.dumps({**good, "parser": "0.1"}).encode(),
        json.dumps({**good, "files": 3}).encode(),
        json.dumps({**good, "outcomes": {key: [1, [["x"]], 1, "", 0] for key in good["outcomes"]}}).encode(),
        json.dumps({**good, "outcomes": {key: [1, 7, 1, "", 0] for key in good["outcomes"]}}).encode(),
        json.dumps({**good, "outcomes": dict.fromkeys(good["outcomes"])}).encode(),
    ]
    for content in wrong:
        kept.write_bytes(content)
        before = len(parsed)
        assert read_tree(root, cache) == first
        assert len(parsed) == before + 1, content
        assert json.loads(kept.read_text())["outcomes"].keys() == good["outcomes"].keys()
    assert list(cache.iterdir()) == [kept]


def test_a_cache_that_cannot_be_written_only_costs_time(root: Path, tmp_path: Path) -> None:
    (root / "a.tf").write_text(FINE)
    (tmp_path / "file").write_text("")
    assert names(read_tree(root, tmp_path / "file" / "cache")) == ["a.tf"]


def test_contents_and_trees_not_seen_for_long_are_forgotten(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = root / "a.tf"
    other = cache.parent / "other"
    other.mkdir()
    read_tree(other, cache)
    (other / "o.tf").write_text(FINE)
    read_tree(other, cache)
    for number in range(3):
        file.write_text(f"a = {number}\n")
        read_tree(root, cache)
    kept = hcl_cache.DigestCache(cache, root).file
    assert len(json.loads(kept.read_text())["outcomes"]) == 3
    later = time.time() + hcl_cache.KEPT_SECONDS + 10
    monkeypatch.setattr(hcl_cache, "_now", lambda: later)
    read_tree(root, cache)
    assert len(json.loads(kept.read_text())["outcomes"]) == 1
    later += hcl_cache.TREE_KEPT_SECONDS
    file.write_text("a = 9\n")
    read_tree(root, cache)
    assert list(cache.iterdir()) == [kept]


def test_a_file_that_takes_too_long_or_kills_its_worker_costs_no_other(tmp_path: Path) -> None:
    slow = "a = [\n" + "  { b = 1 },\n" * 60_000 + "]\n"
    sources = [Source("slow", slow), *(Source(str(number), FINE) for number in range(3))]
    outcomes = {outcome.key: outcome for outcome in hcl_workers.parse(sources, file_seconds=1)}
    assert outcomes["slow"].digest is None
    assert "longer than 1 s" in outcomes["slow"].why
    assert not outcomes["slow"].lasting
    assert all(outcomes[str(number)].digest for number in range(3))


def test_a_worker_that_dies_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, signal, sys\n"
        "from infraconsole.terraform import hcl_worker\n"
        "real = hcl_worker.answer\n"
        "hcl_worker.answer = lambda asked: os.kill(os.getpid(), signal.SIGKILL) if 'die' in asked['text'] else real(asked)\n"
        "hcl_worker.serve(int(sys.argv[1]))\n"
    )
    monkeypatch.setattr(hcl_workers, "_WORKER", ("-P", "-c", code))
    sources = [Source("bad", "# die, please, all of you\n" + FINE), Source("good", FINE)]
    outcomes = {outcome.key: outcome for outcome in hcl_workers.parse(sources)}
    assert outcomes["bad"].digest is None
    assert signal.SIGKILL.name in outcomes["bad"].why
    assert outcomes["good"].digest


def test_what_killed_a_worker_is_not_tried_again_at_once(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.tf").write_text(FINE)
    tried: list[Source] = []

    def parse(sources: Sequence[Source]) -> Sequence[Outcome]:
        tried.extend(sources)
        return [Outcome(source.key, None, 1, "it is too slow.", lasting=False) for source in sources]

    monkeypatch.setattr(reader, "parse", parse)
    assert len(read_tree(root, cache).problems) == len(read_tree(root, cache).problems) == 1
    assert len(tried) == 1
    later = time.time() + hcl_cache.RETRY_SECONDS + 10
    monkeypatch.setattr(hcl_cache, "_now", lambda: later)
    read_tree(root, cache)
    assert len(tried) == 2


def test_without_python_hcl2_all_is_said_once(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (root / f"{number}.tf").write_text(f"a = {number}\n")
    monkeypatch.setattr(hcl_workers, "_WORKER", ("-P", "-c", "raise ImportError('no hcl2')"))
    tree = read_tree(root, cache)
    (problem,) = tree.problems
    assert tree.files == ()
    assert "20 files" in problem.message
    assert "no hcl2" in problem.message
    with pytest.raises(PrerequisiteMissing):
        list(hcl_workers.parse([Source("a", FINE)]))


def test_no_process_is_left_behind(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (root / f"{number}.tf").write_text(f"a = {number}\n")
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    class Watched(real):  # type: ignore[valid-type,misc]
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    read_tree(root, cache)
    assert len(started) == hcl_workers.MOST_PROCESSES
    deadline = time.monotonic() + 5
    while any(process.poll() is None for process in started) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [process.poll() for process in started] == [0] * len(started)
