"""Settings of a world's folder, read in a process whose own environment leads to no world."""

from __future__ import annotations

import tomllib
from pathlib import Path

from infraconsole import config


def read(file: Path) -> config.Config:
    return config.parse(tomllib.loads(file.read_text(encoding="utf-8")), file)
