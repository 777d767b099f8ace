"""Where a root module's state lies: what the settings want, what `init` has left, and whether it has to run again.

Every environment has a data folder of its own (TF_DATA_DIR), outside of the repository. The guide has one root for all
environments, so in `<root>/.terraform`, which remembers one backend, a plan for dev would be made against whatever was
initialised last: prod, or another engineer's. That folder, and what people do in it, is left alone; the price is that
modules and providers are installed once per environment (the user's plugin cache spares the download).

No HCL is read here: after `init` Terraform's own record (`terraform.tfstate` of the data folder) says it in JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infraconsole import files
from infraconsole.config import Config, EnvironmentSettings
from infraconsole.errors import PrerequisiteMissing, ToolMissing

LOCK_FILE = ".terraform.lock.hcl"
ERRORED_STATE = "errored.tfstate"
DEFAULT_WORKSPACE = "default"
_RECORD = "terraform.tfstate"
_MODULES = "modules/modules.json"
_NOTE = "infraconsole-init.json"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT", "AWS_ENDPOINT_URL")
LOCK_FILE_SINCE = (1, 10)
"""The first Terraform that locks by an object beside the state."""


@dataclass(frozen=True)
class S3Backend:
    """What the settings say about one state. `use_lockfile` is None where they do not name it (locking.py decides then);
    `path_style` where the S3 endpoint is not AWS's own: only there do buckets not have a host name each."""

    bucket: str
    key: str
    region: str
    use_lockfile: bool | None = None
    lock_table: str | None = None
    path_style: bool = False

    def arguments(self, version: Sequence[int]) -> tuple[str, ...]:
        """The `name=value` pairs for `init`, for that version of Terraform. Raises ToolMissing where it is too old."""
        if self.use_lockfile and tuple(version) < LOCK_FILE_SINCE:
            found = ".".join(map(str, version))
            raise ToolMissing(
                "This Terraform is too old to lock states by use_lockfile.",
                cause=f"It is {found}; the backend can do it from 1.10 on.",
                mend="Install a newer Terraform, or set lock_table in place of use_lockfile.",
            )
        return tuple(f"{name}={_written(value)}" for name, value in self._values().items())

    def differences(self, found: Found) -> tuple[str, ...]:
        """Why a backend that `init` has set up is not this one, in words; () where it is."""
        if found.type != "s3":
            return (f"the state is kept by the backend {found.type!r}, not in s3://{self.bucket}/{self.key}",)
        return tuple(
            f"{name} is {_shown(found.config.get(name))}, the settings say {_shown(value)}"
            for name, value in self._values().items()
            if found.config.get(name) != value
        )

    def key_of(self, workspace: str) -> str:
        """Where the state of a workspace lies in the bucket."""
        return self.key if workspace == DEFAULT_WORKSPACE else f"env:/{workspace}/{self.key}"

    def _values(self) -> dict[str, str | bool]:
        found: dict[str, str | bool] = {"bucket": self.bucket, "key": self.key, "region": self.region}
        if self.use_lockfile:
            found["use_lockfile"] = True
        if self.lock_table:
            found["dynamodb_table"] = self.lock_table
        if self.path_style:
            found["use_path_style"] = True
        return found


@dataclass(frozen=True)
class Found:
    """The backend that `init` has set up; `config` as Terraform keeps it, what is not set being None."""

    type: str
    config: Mapping[str, Any]

    def s3(self, *, path_style: bool = False) -> S3Backend | None:
        """None of another one."""
        bucket, key = self.config.get("bucket"), self.config.get("key")
        if self.type != "s3" or not bucket or not key:
            return None
        return S3Backend(
            str(bucket),
            str(key),
            str(self.config.get("region") or ""),
            bool(self.config.get("use_lockfile")),
            self.config.get("dynamodb_table") or None,
            path_style,
        )

    def local_state(self, root: Path, workspace: str = DEFAULT_WORKSPACE) -> Path | None:
        """The state's file, of a local backend; None of another one."""
        if self.type != "local":
            return None
        if workspace == DEFAULT_WORKSPACE:
            return root / str(self.config.get("path") or "terraform.tfstate")
        folder = root / str(self.config.get("workspace_dir") or "terraform.tfstate.d")
        return folder / workspace / "terraform.tfstate"


def in_effect(wanted: S3Backend | None, found: Found | None) -> S3Backend | None:
    """The backend that Terraform uses: what the settings want, and what the code says besides, once `init` has told; None where
    the state is not in S3, as far as is known."""
    told = found.s3() if found else None
    if wanted is None:
        return told
    if told is None or (told.bucket, told.key) != (wanted.bucket, wanted.key):
        return wanted
    return replace(
        wanted,
        use_lockfile=wanted.use_lockfile or told.use_lockfile,
        lock_table=wanted.lock_table or told.lock_table,
    )


def of_service(config: Config, service: str, environment: str, environ: Mapping[str, str]) -> S3Backend | None:
    """The backend that the settings mean for a service; None where no bucket is set: then the code alone decides.

    `environ` is Terraform's: an endpoint in it is not AWS's own. Raises UnknownName, ConfigError.
    """
    settings = config.environment(environment)
    if not settings.state_bucket:
        return None
    place = (settings.state_bucket, config.state_key_of(service, environment))
    return _backend(settings, place, config.region_of(environment), environ)


def of_module(config: Config, module: str, environment: str, environ: Mapping[str, str]) -> S3Backend | None:
    """As `of_service`, of an infrastructure module: of one environment, or "" of all, then locked as prod's are."""
    place = config.module_state_of(module, environment)
    if place is None:
        return None
    name = environment or config.guarding_environment()
    if not name:
        return None
    return _backend(config.environment(name), place, config.region_of(name), environ)


def _backend(
    settings: EnvironmentSettings, place: tuple[str, str], region: str, environ: Mapping[str, str]
) -> S3Backend:
    bucket, key = place
    return S3Backend(bucket, key, region, settings.use_lockfile, settings.lock_table, _needs_path_style(environ))


def selected_workspace(data: Path) -> str:
    """The workspace that was selected in a data folder."""
    try:
        return files.read_text(data / "environment").strip() or DEFAULT_WORKSPACE
    except (OSError, UnicodeDecodeError):
        return DEFAULT_WORKSPACE


def data_dir(folder: Path, root: Path, environment: str) -> Path:
    """The TF_DATA_DIR of an environment ("" where there are none) of that root module, below the console's own `folder`.

    Two checkouts of one repository do not share it.
    """
    whole = str(root.resolve())
    name = f"{root.resolve().name}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
    return folder / "terraform" / name / (environment or "all")


def found_in(data: Path) -> Found | None:
    """The backend of a data folder; None where no `init` was noted and Terraform has left no record.

    Raises PrerequisiteMissing where Terraform's record cannot be read.
    """
    file = data / _RECORD
    try:
        backend = json.loads(files.read(file)).get("backend") or {}
        return Found(str(backend.get("type") or "local"), dict(backend.get("config") or {}))
    except FileNotFoundError:
        return Found("local", {}) if (data / _NOTE).exists() else None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise PrerequisiteMissing(
            f"{file} cannot be read.", cause=str(error), mend="Delete it: the next init writes it again."
        ) from error


def why_init(root: Path, data: Path, arguments: Sequence[str]) -> str:
    """Why `init` has to run before anything else, in words; "" where it has not to. `arguments` are its backend's.

    Any change of the code counts, since only parsing it would tell whether modules or providers are among what changed;
    an `init` that changes nothing is over in a second.
    """
    try:
        note = json.loads(files.read(data / _NOTE))
    except FileNotFoundError:
        return "it never ran for this environment"
    except (OSError, ValueError) as error:
        return f"{data / _NOTE} cannot be read: {error}"
    now = _note(root, data, arguments)
    for member, why in (
        ("backend", "the backend's settings have changed"),
        ("record", "Terraform's record of the backend has changed"),
        ("modules", "the installed modules have changed"),
        ("lock_file", f"{LOCK_FILE} has changed"),
        ("sources", "the code has changed"),
        ("installed", "modules or providers that it installed are gone"),
    ):
        if note.get(member) != now[member]:
            return why
    return ""


def note_init(root: Path, data: Path, arguments: Sequence[str]) -> None:
    """To be called when `init` has succeeded, for `why_init`. Raises OSError."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = data / f"{_NOTE}.draft"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(_note(root, data, arguments)), "utf-8")
    draft.replace(data / _NOTE)


def forget_init(data: Path) -> None:
    """To be called before `init`: what it leaves when it fails half way is not to be relied upon."""
    (data / _NOTE).unlink(missing_ok=True)


def _note(root: Path, data: Path, arguments: Sequence[str]) -> dict[str, Any]:
    modules = _installed_modules(root, data)
    installed = [folder for folder in (*modules, data / "providers") if folder.is_dir()]
    return {
        "backend": list(arguments),
        "record": _sha256(data / _RECORD),
        "modules": _sha256(data / _MODULES),
        "lock_file": _sha256(root / LOCK_FILE),
        "sources": _sources_sha256([root, *(folder for folder in modules if data not in folder.parents)]),
        "installed": sorted(map(str, installed)),
    }


def _installed_modules(root: Path, data: Path) -> list[Path]:
    """Their folders, of remote ones below `data`, of local ones wherever they are."""
    try:
        listed = json.loads(files.read(data / _MODULES))["Modules"]
        folders = [root / str(module["Dir"]) for module in listed if module["Key"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return sorted(set(folders))


def _sources_sha256(folders: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in _sources(folders):
        digest.update(f"{file}\0{_sha256(file)}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _sources(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(file for form in ("*.tf", "*.tf.json", "*.tofu", "*.tofu.json") for file in folder.glob(form))


def _sha256(file: Path) -> str:
    """ "" where there is no such file. Raises PrerequisiteMissing for what would keep Terraform waiting for ever."""
    try:
        return files.sha256(file)
    except files.Unfit as error:
        raise PrerequisiteMissing(
            f"{file} cannot be read.", cause=files.reason(error), mend="Remove it: Terraform reads it too."
        ) from error
    except OSError:
        return ""


def _needs_path_style(environ: Mapping[str, str]) -> bool:
    """Terraform reads the endpoint itself (from 1.6 on); AWS's own hosts have a name for each bucket."""
    endpoint = next((environ[name] for name in _ENDPOINTS if environ.get(name)), "")
    if not endpoint:
        return False
    host = (urlsplit(endpoint).hostname or "").rstrip(".")
    return not host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _written(value: str | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else value


def _shown(value: object) -> str:
    return "not set" if value is None else json.dumps(value)
