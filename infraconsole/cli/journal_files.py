"""`infraconsole journal files`: what a run keeps encrypted, listed and read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from infraconsole import config, files, text
from infraconsole.cli.output import document, say, tell
from infraconsole.engine import acts, archive, files_key, sealed
from infraconsole.engine.event import Event
from infraconsole.engine.history import record_of
from infraconsole.engine.journal import Journal
from infraconsole.engine.sealed import Seal
from infraconsole.errors import EXIT_DONE, EXIT_FAILED, InfraconsoleError, UnknownName, UsageError


@dataclass(frozen=True)
class _File:
    """`name` is what it had in the run's folder; `into` where it lies in clear now, `problem` why not."""

    name: str
    encrypted: Path
    into: Path | None = None
    size: int | None = None
    problem: str = ""


def kept(run: str | None, into: Path | None, from_archive: Path | None, *, as_json: bool) -> int:
    """Without `into` they are only listed, which needs no key."""
    if run is None:
        raise UsageError("`journal files` needs a run.", mend="Write: infraconsole journal files RUN")
    settings = config.load()
    with Journal(config.state_folder(), create=False) as journal:
        run, events = _found(journal, run, from_archive)
        folder = journal.folder / "runs" / run
        found = [_File(sealed.clear_name(made).relative_to(folder).as_posix(), made) for made in _listed(folder)]
        if into is not None:
            if not found:
                raise InfraconsoleError(
                    f"Run {run} keeps no encrypted files.",
                    cause=f"There are none in {folder}.",
                    mend='They are kept where [engine] has keep_files = "encrypt", once the run is over.',
                )
            seal = Seal(files_key.load(settings.engine), journal.folder / "runs")
            _check_key(seal, found)
            into = into.absolute()
            _make_folder(into)
            title = f"Decrypted the files of run {run}"
            acts.record(journal, acts.REVEAL, title, record_of(run, events).target, config.operator_name(settings))
            found = [_decrypted(seal, file, into) for file in found]
    _tell(run, found, as_json=as_json, into=into)
    return EXIT_FAILED if any(file.problem for file in found) else EXIT_DONE


def _found(journal: Journal, run: str, from_archive: Path | None) -> tuple[str, list[Event]]:
    if from_archive is None:
        run = journal.resolve(run)
        return run, journal.events(run)
    events = archive.events(from_archive, run)
    if not events:
        raise UnknownName("run", run, (), where=f"in {from_archive}")
    return run, events


def _listed(folder: Path) -> list[Path]:
    try:
        return sealed.listed(folder)
    except OSError as error:
        raise files.unread(error, folder, InfraconsoleError) from error


def _check_key(seal: Seal, found: list[_File]) -> None:
    """Raises WrongKey where it fits none: then nothing is made."""
    wrong: list[sealed.WrongKey] = []
    for file in found:
        try:
            seal.check(file.encrypted)
        except sealed.WrongKey as error:
            wrong.append(error)
        except (OSError, InfraconsoleError):  # told with the file
            continue
        else:
            return
    if wrong:
        raise wrong[0]


def _make_folder(into: Path) -> None:
    try:
        into.mkdir(mode=0o700)
    except FileExistsError as error:
        raise UsageError(
            f"{into} exists already.", cause="Nothing is overwritten.", mend="Name a new folder."
        ) from error
    except (OSError, ValueError) as error:
        told = error if isinstance(error, OSError) else files.Unfit(str(error))
        raise files.unwritten(told, into, UsageError) from error


def _decrypted(seal: Seal, file: _File, into: Path) -> _File:
    target = into / file.name
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        size = sealed.write_clear(seal.chunks(file.encrypted), target)
        times = file.encrypted.stat()
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    except OSError as error:
        return _File(file.name, file.encrypted, problem=str(files.told(error, InfraconsoleError)))
    except InfraconsoleError as error:
        return _File(file.name, file.encrypted, problem=str(error))
    return _File(file.name, file.encrypted, target, size)


def _tell(run: str, found: list[_File], *, as_json: bool, into: Path | None) -> None:
    if as_json:
        document({"run": run, "files": [_as_json(file) for file in found]})
        return
    for file in found:
        if file.problem:
            tell(f"{text.line(file.name)}: {file.problem}")
        else:
            say(text.line(str(file.into or file.name)))
    if into is not None:
        tell(f"They are in clear now and may hold secrets: remove {text.line(str(into))} when you are done.")
    elif not found:
        tell(f"Run {run} keeps no encrypted files.")


def _as_json(file: _File) -> dict[str, object]:
    return {
        "name": file.name,
        "encrypted": str(file.encrypted),
        "into": str(file.into) if file.into else None,
        "bytes": file.size,
        "problem": file.problem or None,
    }
