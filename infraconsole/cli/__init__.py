"""The command line. Every command imports what it needs when it runs, so that `--version`, completion and the console's
first frame stay quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from infraconsole import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code, as the contract in docs/command-line.md says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        print(f"infraconsole {__version__}")
        return 0
    if not given and "_ARGCOMPLETE" not in os.environ:
        return exit_code_of(_console)
    from infraconsole.cli.arguments import parse

    return parse(given)


def _console() -> int:
    from infraconsole.cli.console import console

    return console()


def exit_code_of(command: Callable[[], int]) -> int:
    """The one place where errors become words and exit codes."""
    from infraconsole.errors import EXIT_INTERRUPTED, InfraconsoleError

    try:
        return command()
    except InfraconsoleError as error:
        from infraconsole import text

        print(text.block(str(error)), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
