"""Encrypted copies of files: what was kept comes back, and whatever was done to it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infraconsole.config import EngineSettings
from infraconsole.engine import files_key, kept_states, sealed
from infraconsole.engine.files_key import FilesKey
from infraconsole.engine.sealed import CHUNK_BYTES, Damaged, Seal, WrongKey
from infraconsole.errors import PrerequisiteMissing

KEY = FilesKey(Path("files.key"), bytes(range(32)))
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    (tmp_path / "runs/abcdef/00003-plan").mkdir(parents=True)
    return Seal(KEY, tmp_path / "runs")


def clear(seal: Seal, made: Path) -> bytes:
    return b"".join(seal.chunks(made))


def kept(seal: Seal, body: bytes, name: str = "abcdef/plan.tfplan") -> Path:
    file = seal.runs / name
    file.write_bytes(body)
    seal.keep(file, will_go=True)
    return sealed.sealed_name(file)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_encrypted_comes_back(seal: Seal, size: int) -> None:
    body = os.urandom(size)
    made = kept(seal, body)
    assert clear(seal, made) == body
    assert size < 16 or body[:16] not in made.read_bytes()
    assert made.stat().st_mode & 0o777 == 0o600
    assert sealed.listed(made.parent) == [made], "no draft is left"


def test_the_same_file_is_never_encrypted_the_same_way(seal: Seal) -> None:
    one, other = kept(seal, b"x" * 100), kept(seal, b"x" * 100, "abcdef/00003-plan/stdout")
    assert one.read_bytes()[-116:] != other.read_bytes()[-116:]


@pytest.mark.parametrize("size", [0, 100, CHUNK_BYTES, 2 * CHUNK_BYTES + 7])
def test_every_truncation_and_every_bit_flip_is_told(seal: Seal, size: int) -> None:
    made = kept(seal, os.urandom(size))
    whole = made.read_bytes()
    header = len(whole) - size - 16 * max(1, -(-size // CHUNK_BYTES))
    cuts = {
        0,
        1,
        header - 1,
        header,
        header + 1,
        header + 16,
        header + CHUNK_BYTES + 16,
        len(whole) - 16,
        len(whole) - 1,
    }
    for cut in sorted(cut for cut in cuts if 0 <= cut < len(whole)):
        made.write_bytes(whole[:cut])
        with pytest.raises(Damaged):
            clear(seal, made)
    made.write_bytes(whole + b"x")
    with pytest.raises(Damaged):
        clear(seal, made)
    for place in sorted({*range(header), header, len(whole) - 1, len(whole) // 2}):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        made.write_bytes(flipped)
        with pytest.raises((Damaged, WrongKey)):
            clear(seal, made)


def test_chunks_that_change_places_and_files_that_do_are_told(seal: Seal) -> None:
    made = kept(seal, os.urandom(3 * CHUNK_BYTES))
    whole, each = made.read_bytes(), CHUNK_BYTES + 16
    start = len(whole) - 3 * each
    made.write_bytes(
        whole[:start] + whole[start + each : start + 2 * each] + whole[start : start + each] + whole[-each:]
    )
    with pytest.raises(Damaged):
        clear(seal, made)
    made.write_bytes(whole)
    moved = made.with_name("backup.tfstate.enc")
    made.rename(moved)
    with pytest.raises(Damaged, match="damaged") as caught:
        clear(seal, moved)
    assert "abcdef/plan.tfplan" in caught.value.cause


def test_another_key_is_told_as_such(seal: Seal) -> None:
    made = kept(seal, b"body")
    with pytest.raises(WrongKey, match="another key") as caught:
        clear(Seal(FilesKey(Path("/k/other.key"), bytes(32)), seal.runs), made)
    assert "/k/other.key" in caught.value.cause


def test_a_copy_that_is_there_is_not_written_again_and_stands_in_for_nothing_else(seal: Seal) -> None:
    made = kept(seal, b"first")
    was = made.read_bytes()
    file = sealed.clear_name(made)
    seal.keep(file, will_go=True)
    assert made.read_bytes() == was
    file.write_bytes(b"other")
    with pytest.raises(Damaged, match="no copy"):
        seal.keep(file, will_go=True)
    seal.keep(file, will_go=False)  # what a tidying left in it
    made.write_bytes(was[:-1])
    with pytest.raises(Damaged):
        seal.keep(file, will_go=False)
    assert file.read_bytes() == b"other"


def test_a_large_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    (tmp_path / "runs/abcdef").mkdir(parents=True)
    file = tmp_path / "runs/abcdef/plan.tfplan"
    with file.open("wb") as stream:
        stream.truncate(400 * 2**20)
    # On Linux ru_maxrss also counts the process that this one was forked from.
    code = (
        "import re,resource,sys;from pathlib import Path;from infraconsole.engine.sealed import Seal;"
        "from infraconsole.engine.files_key import FilesKey;runs=Path(sys.argv[1]);"
        "Seal(FilesKey(runs,bytes(32)),runs).keep(runs/'abcdef/plan.tfplan',will_go=True);"
        "status=Path('/proc/self/status');"
        "print(re.search(r'VmHWM:\\s+(\\d+)',status.read_text())[1] if status.exists() else "
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "runs")], capture_output=True, check=True, timeout=120
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 200 * 2**20


# The key


def test_the_default_key_is_made_once_and_only_for_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_key, "user_folder", lambda: tmp_path / "config/infraconsole")
    with pytest.raises(PrerequisiteMissing, match="missing"):
        files_key.load(EngineSettings())
    made = files_key.load_or_make(EngineSettings())
    assert made.file == tmp_path / "config/infraconsole/files.key"
    assert made.file.stat().st_mode & 0o777 == 0o600
    assert made.file.parent.stat().st_mode & 0o777 == 0o700
    assert files_key.load_or_make(EngineSettings()) == made
    assert [file.name for file in made.file.parent.iterdir()] == ["files.key"]
    assert "secret" not in repr(made)


def test_a_key_that_cannot_be_used_says_file_reason_and_fix_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "files.key"
    settings = EngineSettings(files_key=file)
    with pytest.raises(PrerequisiteMissing, match="is missing") as missing:
        files_key.load_or_make(settings)
    assert str(file) in missing.value.title
    assert "openssl rand" in missing.value.mend
    assert not file.exists(), "what the settings name is never made"
    for content in (b"", b"garbage\n", b"\xff\x00", b"QUJD\n", b"x" * 10_000):
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(PrerequisiteMissing) as caught:
            files_key.load_or_make(settings)
        assert (str(file) in caught.value.title, bool(caught.value.cause), bool(caught.value.mend)) == (
            True,
            True,
            True,
        )
        assert file.read_bytes() == content
    file.write_bytes(b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
    for mode in (0o640, 0o604, 0o660):
        file.chmod(mode)
        with pytest.raises(PrerequisiteMissing, match="open to others") as opened:
            files_key.load_or_make(settings)
        assert f"chmod 600 {file}" in opened.value.mend
    file.chmod(0o400)
    assert files_key.load_or_make(settings).secret == bytes(range(32))


def test_a_pipe_or_a_folder_in_the_keys_place_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path / "pipe", tmp_path):
        with pytest.raises(PrerequisiteMissing, match="cannot be read"):
            files_key.load(EngineSettings(files_key=file))


# States


def test_a_state_is_read_in_clear_and_encrypted_by_either_name(seal: Seal, tmp_path: Path) -> None:
    key = tmp_path / "files.key"
    key.write_bytes(b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
    key.chmod(0o600)
    settings = EngineSettings(files_key=key)
    made = kept(seal, b"{}", "abcdef/backup.tfstate")
    file = sealed.clear_name(made)
    assert kept_states.read(file, EngineSettings(files_key=tmp_path / "none"), seal.runs) == b"{}", (
        "clear: no key is needed"
    )
    file.unlink()
    assert kept_states.is_there(file)
    assert kept_states.read(file, settings, seal.runs) == b"{}"
    assert kept_states.read(made, settings, seal.runs) == b"{}"
    elsewhere = tmp_path / "taken.tfstate.enc"
    elsewhere.write_bytes(made.read_bytes())
    assert kept_states.read(elsewhere, settings, seal.runs) == b"{}"
    made.unlink()
    with pytest.raises(FileNotFoundError):
        kept_states.read(file, settings, seal.runs)
