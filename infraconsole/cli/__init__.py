"""The command line. Every command imports what it needs when it runs, so that `--version` and completion stay quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from infraconsole import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code, as the contract in docs/command-line.md says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        print(f"infraconsole {__version__}")
        return 0
    from infraconsole.cli.arguments import parse

    return parse(given)
