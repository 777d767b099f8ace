"""The git history of the world's repositories: a commit for each build that was deployed, at the time when it was.

Without git there are the files alone, and the console says that it knows no commit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from infraconsole import naming
from infraconsole.world.company import Company

_SECONDS = 20.0
_IGNORED = ".terraform*\n*.tfstate\n*.tfstate.*\n"


def commit(repository: Path, company: Company, service: str = "") -> None:
    """Make `repository` one whose newest commit is what lies there; a `service`'s has the image tags of earlier builds."""
    git = shutil.which("git")
    if git is None:
        return
    (repository / ".gitignore").write_text(_IGNORED, "utf-8")
    stream = b"".join(_commits(repository, company, service))
    # Neither the user's configuration nor a hook of theirs has a part in this.
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(repository),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    for arguments, given in (
        (("init", "--quiet", "--initial-branch=main"), b""),
        (("fast-import", "--quiet"), stream),
        (("reset", "--quiet"), b""),
    ):
        done = subprocess.run(
            [git, *arguments],
            cwd=repository,
            env=environ,
            input=given,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            return


def _commits(repository: Path, company: Company, service: str) -> Iterator[bytes]:
    files = [path for path in sorted(repository.rglob("*")) if path.is_file() and ".git" not in path.parts]
    now = int(time.time())
    owner = company.services[service].owner if service else "platform@ryuqqq.com"
    builds = (
        [build for build in company.builds if build.outcome or build.prod_outcome] if service else company.builds[:1]
    )
    for number, build in enumerate(builds):
        message = f"Deploy build {build.number}" if service else "Share network, keys and databases"
        # A commit is there before it is deployed.
        when = now - int(build.hours * 3600) - 1200
        yield f"commit refs/heads/main\ncommitter Deploy <{owner}> {when} +0900\n".encode()
        yield _data(message.encode())
        for path in files:
            content = path.read_bytes()
            for environment in company.environments if service else ():
                if path == repository / "infrastructure/terraform" / naming.tfvars_path(environment):
                    newest = company.tag(service, environment, company.newest.number)
                    content = content.replace(newest.encode(), company.tag(service, environment, build.number).encode())
            if number == 0 or path.name == "terraform.tfvars":
                yield f"M 100644 inline {path.relative_to(repository).as_posix()}\n".encode()
                yield _data(content)


def _data(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"
