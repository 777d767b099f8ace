"""Terraform trees on the disk: which files there are, and what each one says. What cannot be read becomes a problem with
file and line, and the rest is still read. python-hcl2 is never loaded here: it works in `hcl_workers`."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from infraconsole.errors import PrerequisiteMissing
from infraconsole.terraform.hcl import Digest
from infraconsole.terraform.hcl_cache import DigestCache
from infraconsole.terraform.hcl_workers import Outcome, Source, parse

MOST_BYTES = 1024 * 1024
"""Of one file. python-hcl2 needs some seconds for as much; what people write by hand is a hundredth of it."""
MOST_FILES = 10_000
MOST_ENTRIES = 200_000
"""Of one tree, over all its folders: a path in the configuration that points at a home folder ends here."""

_JSON = (".tf.json", ".tfvars.json", ".tofu.json")
_ENDINGS = (".tf", ".tofu", ".tfvars", *_JSON)


@dataclass(frozen=True)
class Problem:
    """Something that could not be read, whole or in part. `line` counts from 1. An error hides exports or their consumers;
    a warning is about something that Terraform leaves out too, or that `hides` them though nothing is wrong with it."""

    file: str
    line: int
    level: Literal["error", "warning"]
    message: str
    mend: str
    hides: bool = False


@dataclass(frozen=True)
class TerraformFile:
    path: Path
    digest: Digest


@dataclass(frozen=True)
class Tree:
    """What stands in the files below `root`, in the order of their paths."""

    root: Path
    files: tuple[TerraformFile, ...]
    problems: tuple[Problem, ...]
    tofu: bool = False
    """Whether OpenTofu reads it: its own files count then, and not otherwise."""

    @cached_property
    def folders(self) -> Mapping[Path, tuple[TerraformFile, ...]]:
        """The files of each folder that has any."""
        found: dict[Path, list[TerraformFile]] = {}
        for file in self.files:
            found.setdefault(file.path.parent, []).append(file)
        return {folder: tuple(files) for folder, files in found.items()}

    @cached_property
    def real_folders(self) -> Mapping[Path, Path]:
        """The folders that have files, by where they really are."""
        return {Path(os.path.realpath(folder)): folder for folder in self.folders}

    @cached_property
    def variable_folders(self) -> Mapping[Path, tuple[Path, ...]]:
        """The folders that have variables files, also unreadable ones, by the folder that they stand in."""
        paths = [file.path for file in self.files] + [Path(problem.file) for problem in self.problems]
        found: dict[Path, list[Path]] = {}
        for folder in sorted({path.parent for path in paths if ".tfvars" in path.name}):
            found.setdefault(folder.parent, []).append(folder)
        return {folder: tuple(inner) for folder, inner in found.items()}

    @property
    def is_whole(self) -> bool:
        return not any(problem.level == "error" or problem.hides for problem in self.problems)


def read_tree(root: Path, cache: Path, *, below: bool = True, tofu: bool = False) -> Tree:
    """Read the code and the variables in a folder and, unless `below` is False, in those below it. `cache` is the folder for
    what was read before. Blocks: for seconds at the first time, hardly at all when nothing has changed."""
    return _read([_Reading(root.absolute(), cache, below, tofu)])[0]


def marks_of(root: Path) -> tuple[object, ...]:
    """What tells without reading them whether any of the files that `read_tree` reads has changed. Quick."""
    problems: list[Problem] = []
    found = [
        (str(path), status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        for path, status in _walk(root.absolute(), True, problems)
    ]
    return (*found, *problems)


def read_trees(roots: Sequence[tuple[Path, bool]], cache: Path) -> tuple[Tree, ...]:
    """As `read_tree`, for several at once, each with whether OpenTofu reads it: what has to be parsed shares the processes that
    parse."""
    return _read([_Reading(root.absolute(), cache, True, tofu) for root, tofu in roots])


def _read(readings: Sequence[_Reading]) -> tuple[Tree, ...]:
    outcomes: dict[str, Outcome] = {}
    trouble = None
    try:
        for outcome in parse(
            tuple({key: each for reading in readings for key, each in reading.sources.items()}.values())
        ):
            outcomes[outcome.key] = outcome
    except PrerequisiteMissing as error:
        trouble = error
    return tuple(reading.tree(outcomes, trouble) for reading in readings)


class _Reading:
    """One tree on its way: looked through first, with `sources` for what has to be parsed; a Tree once that is done."""

    def __init__(self, root: Path, cache: Path, below: bool, tofu: bool) -> None:
        self.root = root
        self.tofu = tofu
        self.sources: dict[str, Source] = {}
        self._problems: list[Problem] = []
        self._known = DigestCache(cache, root if below else root / "*")
        self._keys: dict[Path, str] = {}
        self._outcomes: dict[str, Outcome] = {}
        for path, status in _walk(root, below, self._problems):
            try:
                self._look(path, status)
            except _Unfit as unfit:
                self._problems.append(_unread(path, unfit.line, unfit.why, unfit.mend))

    def _look(self, path: Path, status: os.stat_result) -> None:
        key = self._known.key_of(str(path), status)
        outcome = self._known.outcome(key) if key else None
        if outcome is None:
            content, status = _content(path)
            text = _text(content)
            is_json, is_variables = path.name.endswith(_JSON), path.name.endswith(".tfvars.json")
            kind = "variables" if is_variables else "json" if is_json else "hcl"
            key = f"{kind}-{hashlib.sha256(content).hexdigest()}"
            self._known.remember(str(path), status, key)
            outcome = self._outcomes.get(key) or self._known.outcome(key)
            if outcome is None:
                self.sources[key] = Source(key, text, is_json, is_variables)
        if outcome is not None:
            self._outcomes[key] = outcome
        self._keys[path] = key

    def tree(self, parsed: Mapping[str, Outcome], trouble: PrerequisiteMissing | None) -> Tree:
        """`parsed` are the outcomes of the sources, unless `trouble` says why there are not all of them."""
        problems = list(self._problems)
        for key in self.sources.keys() & parsed.keys():
            self._known.put(parsed[key])
            self._outcomes[key] = parsed[key]
        self._known.save()
        files = []
        left = 0
        for path in sorted(self._keys):
            outcome = self._outcomes.get(self._keys[path])
            if outcome is None:
                left += 1
            elif outcome.digest:
                files.append(TerraformFile(path, outcome.digest))
            elif outcome.limit:
                problems.append(_limit(path, outcome))
            else:
                mend = "Fix that line; `terraform validate` says more." if outcome.lasting else _TRY_IT
                problems.append(_unread(path, outcome.line, outcome.why, mend))
        if left and trouble:
            why = f"{left} files below it cannot be read. {trouble.title} {trouble.cause}".strip()
            problems.append(Problem(str(self.root), 1, "error", f"{self.root}: {why}", trouble.mend))
        return Tree(self.root, tuple(files), tuple(problems), self.tofu)


_TRY_IT = "Whether the file is wrong is not known: `terraform validate` says it. It is read again within an hour."


def _unread(path: Path, line: int, why: str, mend: str) -> Problem:
    return Problem(
        str(path), line, "error", f"{path}, line {line}: {why} Exports made or used there are not known.", mend
    )


def _limit(path: Path, outcome: Outcome) -> Problem:
    return Problem(
        str(path),
        outcome.line,
        "warning",
        f"{path}, line {outcome.line}: {outcome.why} Exports made or used there are not known.",
        "Nothing is wrong with the file: please report these lines to infraconsole's authors.",
        hides=True,
    )


# --- The files ---------------------------------------------------------------------------------------------------------


def _walk(root: Path, below: bool, problems: list[Problem]) -> Iterator[tuple[Path, os.stat_result]]:
    """Each file once, with its status. Links to folders come last, so that what stands in the tree itself is found under
    its own name; a folder that was there before is not entered again, wherever a link leads."""
    pending = deque([root])
    linked: deque[Path] = deque()
    been: set[tuple[int, int]] = set()
    files = entries = 0
    while pending or linked:
        folder = pending.popleft() if pending else linked.popleft()
        try:
            here = folder.stat()
            if (here.st_dev, here.st_ino) in been:
                continue
            been.add((here.st_dev, here.st_ino))
            with os.scandir(folder) as listing:
                found = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            problems.append(_closed(folder, error))
            continue
        entries += len(found)
        for entry in found:
            if entry.name.startswith("."):
                continue
            path = folder / entry.name
            try:
                if entry.is_dir():
                    if entry.name.endswith(_ENDINGS):
                        problems.append(_folder_like_a_file(path))
                    if below:
                        _enter(entry, path, pending, linked, problems)
                elif _is_terraform(entry.name):
                    files += 1
                    yield path, entry.stat()
            except OSError as error:
                if entry.is_symlink() or _is_terraform(entry.name):
                    problems.append(_closed(path, error))
        if files > MOST_FILES or entries > MOST_ENTRIES:
            problems.append(
                Problem(
                    str(root),
                    1,
                    "error",
                    f"{root} holds more than {MOST_FILES:,} Terraform files or {MOST_ENTRIES:,} others: the rest is not read.",
                    "Let the path in the configuration point at the Terraform folder itself.",
                )
            )
            return


def _enter(
    entry: os.DirEntry[str], path: Path, pending: deque[Path], linked: deque[Path], problems: list[Problem]
) -> None:
    if not entry.is_symlink():
        pending.append(path)
    elif path.parent.resolve().is_relative_to(target := path.resolve()):
        message = f"{path} is a symbolic link to {target}, a folder that it stands in itself: it is not followed."
        problems.append(Problem(str(path), 1, "warning", message, "Remove the link."))
    else:
        linked.append(path)


def _is_terraform(name: str) -> bool:
    """By its name; what an editor leaves behind (`a.tf~`, `#a.tf#`) does not end so."""
    return name.endswith(_ENDINGS)


def _folder_like_a_file(path: Path) -> Problem:
    message = f"{path} is a folder with the name of a Terraform file: Terraform does not read it as one."
    return Problem(str(path), 1, "warning", message, "Rename the folder, or restore the file that it replaced.")


def _closed(path: Path, error: OSError) -> Problem:
    if error.errno == errno.ELOOP:
        message = f"{path} is a symbolic link that leads back to itself."
        return Problem(str(path), 1, "error", message, "Remove the link.")
    return _unread(
        path, 1, f"it cannot be read: {error.strerror or error}.", "Mend the file's place or its permissions."
    )


class _Unfit(Exception):
    """A file whose content does not get as far as the parser."""

    def __init__(self, line: int, why: str, mend: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why
        self.mend = mend


def _content(path: Path) -> tuple[bytes, os.stat_result]:
    """Raises _Unfit. Opening does not wait, so that a pipe with the name of a file holds nobody up."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _Unfit(1, "it is not a regular file.", "Remove it.")
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        problem = _closed(path, error)
        raise _Unfit(1, f"it cannot be read: {error.strerror or error}.", problem.mend) from error
    if len(content) > MOST_BYTES:
        size = f"{max(status.st_size, len(content)) / 1024 / 1024:.1f} MiB"
        raise _Unfit(
            1,
            f"it has {size}; more than {MOST_BYTES // 1024 // 1024} MiB is not read.",
            "Split it, or move data out of it.",
        )
    return content, status


def _text(content: bytes) -> str:
    """UTF-8, with or without a byte order mark, as Terraform reads it. Raises _Unfit."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from after the mark; a line is a line either way.
        line = content.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise _Unfit(line, f"byte 0x{byte:02x} is not UTF-8.", "Convert the file to UTF-8.") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _Unfit(line, "it holds a NUL character, so it is no text.", "Restore the file from git.")
    return text
