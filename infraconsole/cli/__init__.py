"""The command line. Every command imports what it needs when it runs, so that `--version`, completion and the console's
first frame stay quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from infraconsole import __version__

if TYPE_CHECKING:
    from infraconsole.screens.desk import Scenes


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code, as the contract in docs/command-line.md says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        from infraconsole.cli.output import guard

        guard()
    if given == ["--version"]:
        return exit_code_of(_version)
    if not given and "_ARGCOMPLETE" not in os.environ:
        return exit_code_of(_console)
    from infraconsole.cli.arguments import parse

    return parse(given)


def _version() -> int:
    from infraconsole.cli.output import say

    say(f"infraconsole {__version__}")
    return 0


def _console() -> int:
    from infraconsole.cli.console import console

    return console(world=world_name(), scenes=world_scenes())


def world_name() -> str | None:
    """The embedded world that this shell was put into; the console's band names it."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        return None
    from infraconsole.world.process import entered

    world = entered()
    return world.scenario if world else None


def world_scenes() -> Scenes | None:
    """What that world can be asked for."""
    if world_name() is None:
        return None
    from infraconsole.cli.demo import scenes
    from infraconsole.world.process import entered

    world = entered()
    return scenes(world) if world else None


EXIT_UNREAD = 141
"""The reader of the output has gone: what a shell says of a program that SIGPIPE ended (128 + 13)."""


def exit_code_of(command: Callable[[], int]) -> int:
    """The one place where errors become words and exit codes. An output that nobody reads turns no failure into success."""
    from infraconsole.cli import output
    from infraconsole.errors import EXIT_FAILED, EXIT_INTERRUPTED, InfraconsoleError

    code = 0
    try:
        try:
            code = command()
        except InfraconsoleError as error:
            code = error.exit_code
            output.tell(str(error))
        except (BrokenPipeError, output.Unwritten):
            raise
        except OSError as error:
            from infraconsole import files

            code = EXIT_FAILED
            output.tell(str(files.told(error, InfraconsoleError)))
        except KeyboardInterrupt:
            code = EXIT_INTERRUPTED
            output.tell("Interrupted.")
        output.flush()
    except BrokenPipeError:
        output.print_no_more()
        return code or EXIT_UNREAD
    except output.Unwritten as error:
        output.tell(str(error))
        return code or EXIT_FAILED
    return code
