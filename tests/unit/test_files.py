"""What is named as a file is read without waiting and to a limit, and what cannot be read or written says what helps."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from infraconsole import config, files
from infraconsole.errors import ConfigError, InfraconsoleError, PrerequisiteMissing
from infraconsole.terraform import backend, tfvars

UNFIT = ["fifo", "folder", "socket", "/dev/zero", "/dev/tty", "large", "link to a fifo"]


@pytest.fixture
def unfit(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "named"
    kind = request.param
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link to a fifo":
        os.mkfifo(tmp_path / "fifo")
        path.symlink_to(tmp_path / "fifo")
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # its name may not be long
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("named")
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(10 * 2**30)
    else:
        path.symlink_to(kind)
    return path


@pytest.mark.parametrize("unfit", UNFIT, indirect=True)
def test_what_is_no_file_is_not_read(unfit: Path) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one it is, the message says
        files.read(unfit)
    told = files.unread(caught.value, unfit, PrerequisiteMissing)
    assert str(unfit) in told.title
    assert told.cause
    assert told.mend or caught.value.errno == errno.ENXIO


@pytest.mark.parametrize("unfit", UNFIT, indirect=True)
def test_the_configuration_says_so(unfit: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(unfit)


@pytest.mark.parametrize("unfit", UNFIT, indirect=True)
def test_tfvars_say_so(unfit: Path) -> None:
    with pytest.raises(PrerequisiteMissing, match="cannot be read"):
        tfvars.read(unfit)
    with pytest.raises(PrerequisiteMissing, match="cannot be read"):
        tfvars.edit(unfit, "image_tag", "v1")


def test_a_pipe_among_the_code_is_named_before_terraform_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "main.tf")
    data = tmp_path / "data"
    with pytest.raises(PrerequisiteMissing, match=r"main\.tf cannot be read"):
        backend.note_init(tmp_path, data, [])


def test_a_file_that_grows_while_it_is_read_is_not_read_beyond_the_limit(tmp_path: Path) -> None:
    """Files of /proc have no size and yet a content."""
    assert files.read(Path("/proc/self/status"))
    with pytest.raises(files.Unfit, match="larger"):
        files.read(Path("/proc/self/status"), most=0)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_what_no_file_system_can_be_asked_for_is_no_path(name: str) -> None:
    with pytest.raises(files.Unfit, match="no path"):
        files.read(Path(name))
    for reads in (tfvars.read, tfvars.read_apart):
        with pytest.raises(PrerequisiteMissing, match="cannot be read"):
            reads(Path(name))


def test_nothing_is_an_empty_file() -> None:
    assert files.read(Path(os.devnull)) == b""
    assert config.load(Path(os.devnull)).read_only is False


@pytest.mark.parametrize(
    ("number", "word", "never"),
    [
        (errno.ENOSPC, "space", "ermission"),
        (errno.EDQUOT, "quota", "ermission"),
        (errno.EROFS, "read-only", "ermission"),
        (errno.EACCES, "permissions", "space"),
        (errno.EPERM, "permissions", "space"),
        (errno.ENOENT, "path", "ermission"),
        (errno.EIO, "disk", "ermission"),
        (errno.EMFILE, "open", "ermission"),
        (errno.EISDIR, "regular file", "ermission"),
    ],
)
def test_what_helps_depends_on_what_is_wrong(number: int, word: str, never: str) -> None:
    error = OSError(number, os.strerror(number), "/var/x")
    told = files.unwritten(error, "/var/x", InfraconsoleError)
    assert word in told.mend
    assert never not in told.mend
    assert os.strerror(number) in told.cause


def test_an_error_that_nobody_expected_says_which_file_and_what_helps() -> None:
    told = files.told(OSError(errno.ENOSPC, "No space left on device", "/var/x"), InfraconsoleError)
    assert "/var/x" in told.title
    assert "space" in told.mend
    assert "reset" in files.told(ConnectionResetError(errno.ECONNRESET, "Connection reset"), InfraconsoleError).title
