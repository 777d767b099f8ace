"""What can be typed: the parser and its completion."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from infraconsole import __version__
from infraconsole.cli import exit_code_of, output
from infraconsole.errors import InfraconsoleError, UsageError

Command = Callable[[argparse.Namespace], int]

_EPILOG = """exit codes:
  0 done   1 a check or run failed   2 usage or configuration   3 a gate refused
  4 interrupted, can be resumed      5 a prerequisite is missing (tool, credentials, network)"""


class _Parser(argparse.ArgumentParser):
    """argparse repeats what was typed; it may hold anything."""

    color = False
    details: Callable[[], str] | None = None
    """What stands at the end of its help, worked out when it is asked for."""

    def format_help(self) -> str:
        if self.details is not None:
            self.epilog = self.details()
        return super().format_help()

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            (output.say if file is sys.stdout else output.tell)(message.rstrip("\n"))


def parse(arguments: Sequence[str]) -> int:
    parser = build()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)

    def command() -> int:
        try:
            options = parser.parse_args(arguments)
        except SystemExit as ended:  # argparse's own: help was printed, or what is wrong
            return int(ended.code or 0)
        return int(options.command(options))

    return exit_code_of(command)


def build() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="infraconsole",
        description="Operator console for hybrid Terraform infrastructure on AWS. Without a command: the full-screen console.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"infraconsole {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo",
        help="the embedded world, and the console on it; nothing else needed",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.details = _scenarios_told
    demo.add_argument(
        "action",
        nargs="?",
        default="console",
        choices=("console", "up", "down", "env", "renew"),
        help="up, down: the world without the console; env: the exports for a shell; renew: new credentials for it",
    )
    demo.add_argument("--fresh", action="store_true", help="end a running world first")
    _complete(demo.add_argument("--scenario", default=None, help="what has gone wrong in it"), _scenarios)
    demo.add_argument("--factor", type=float, default=None, help="how much faster than real time the world runs")
    demo.set_defaults(command=_demo)

    doctor = commands.add_parser("doctor", help="tools, credentials, configuration, journal")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(command=_doctor)

    status = commands.add_parser(
        "status", help="is anything wrong? The board's judgement without a screen; 0 when all is ok"
    )
    _complete(status.add_argument("--service", metavar="S", help="only this service"), _services)
    _complete(status.add_argument("--env", metavar="E", help="only this environment"), _environments)
    status.add_argument("--json", action="store_true")
    status.set_defaults(command=_status)

    exports = commands.add_parser("exports", help="all exports, their check, their consumers")
    _complete(exports.add_argument("--service", metavar="S", help="only what this service needs"), _services)
    _complete(exports.add_argument("--env", metavar="E", help="only what this environment needs"), _environments)
    exports.add_argument("--no-checks", action="store_true", help="only list them")
    exports.add_argument(
        "--reveal",
        action="append",
        nargs="?",
        const="",
        default=[],
        metavar="NAME",
        help="show the value of this SecureString, or without a name of all; recorded in the journal",
    )
    exports.add_argument("--json", action="store_true")
    exports.set_defaults(command=_exports)

    runbooks = commands.add_parser("runbooks", help="the catalogue, with inputs and gates")
    runbooks.add_argument("--json", action="store_true")
    runbooks.set_defaults(command=_runbooks)

    run = commands.add_parser("run", help="carry a runbook out")
    _complete(run.add_argument("runbook", metavar="RUNBOOK"), _runbook_names)
    _complete(run.add_argument("--service", required=True, metavar="S"), _services)
    _complete(run.add_argument("--env", required=True, metavar="E"), _environments)
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an input of the runbook")
    run.add_argument("--answer", action="append", default=[], metavar="GATE=VALUE", help="an answer to a gate")
    run.add_argument("--dry-run", action="store_true", help="make no changing call at all")
    run.add_argument("--json", action="store_true", help="one event a line")
    run.set_defaults(command=_run)

    for name, what in (("attach", "follow a run live"), ("resume", "go on with an interrupted run")):
        command = commands.add_parser(name, help=what)
        _complete(command.add_argument("run", metavar="RUN"), _runs)
        command.add_argument("--json", action="store_true", help="one event a line")
        command.add_argument("--plain", action="store_true", help="lines of text, also on a terminal")
        if name == "resume":
            command.add_argument(
                "--answer",
                action="append",
                default=[],
                metavar="GATE=VALUE",
                help="an answer to a gate that is still closed, as if it had been given when the run began",
            )
        command.set_defaults(command=_attach if name == "attach" else _resume)

    interrupt = commands.add_parser("interrupt", help="ask a run to stop where nothing is half done")
    _complete(interrupt.add_argument("run", metavar="RUN"), _runs)
    interrupt.add_argument("--insist", metavar="RUN", help="end its executor at once; type the run's id again")
    interrupt.set_defaults(command=_interrupt)

    _add_journal(commands.add_parser("journal", help="runs, their events and files; verify, archive and anchor them"))

    completion = commands.add_parser("completion", help="print the completion code of a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(command=_completion)
    return parser


def _add_journal(journal: argparse.ArgumentParser) -> None:
    _complete(
        journal.add_argument(
            "run", nargs="?", metavar="RUN", help="a run, `last`, `verify`, `archive`, `anchor` or `files`"
        ),
        _runs,
    )
    _complete(journal.add_argument("of", nargs="?", metavar="RUN", help="files: whose encrypted files"), _runs)
    form = journal.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--markdown", action="store_true", help="of one run")
    count = journal.add_mutually_exclusive_group()
    count.add_argument("--limit", type=_count, metavar="N", help="how many runs are listed, the newest first (50)")
    count.add_argument("--all", action="store_true", help="list every run")
    journal.add_argument("--before", metavar="DATE", help="archive: the runs that ended before that day (UTC)")
    journal.add_argument("--to", metavar="WHERE", help="archive: the file; anchor: s3://BUCKET/PREFIX or ssm:/NAME")
    journal.add_argument("--into", type=Path, metavar="DIR", help="files: decrypt them into this new folder")
    journal.add_argument("--yes", action="store_true", help="anchor: write it without asking")
    journal.add_argument(
        "--anchor", nargs="?", const="", metavar="WHERE", help="verify: compare with the anchors there"
    )
    _complete(journal.add_argument("--env", metavar="E", help="anchor: whose account and region"), _environments)
    journal.add_argument("--archive", type=Path, metavar="FILE", help="verify that archive, or show or read RUN of it")
    journal.set_defaults(command=_journal, check=refuse_what_does_not_apply)


def _count(words: str) -> int:
    if not words.isdecimal() or int(words) < 1:
        raise argparse.ArgumentTypeError(f"{words!r} is no number from 1 on")
    return int(words)


# Each command in a module of its own, imported when it is used.


def _scenarios_told() -> str:
    from infraconsole.cli.demo import scenarios_told

    return scenarios_told()


def _demo(options: argparse.Namespace) -> int:
    from infraconsole.cli.demo import demo

    return demo(options.action, fresh=options.fresh, scenario=options.scenario, factor=options.factor)


def _doctor(options: argparse.Namespace) -> int:
    from infraconsole.cli.doctor import doctor

    return doctor(as_json=options.json)


def _status(options: argparse.Namespace) -> int:
    from infraconsole.cli.status import status

    return status(service=options.service, environment=options.env, as_json=options.json)


def _exports(options: argparse.Namespace) -> int:
    from infraconsole.cli.exports import exports

    return exports(
        service=options.service,
        environment=options.env,
        checks=not options.no_checks,
        reveal=options.reveal,
        as_json=options.json,
    )


def _runbooks(options: argparse.Namespace) -> int:
    from infraconsole.cli.runs import runbooks

    return runbooks(as_json=options.json)


def _run(options: argparse.Namespace) -> int:
    from infraconsole.cli.runs import run

    return run(
        options.runbook,
        service=options.service,
        environment=options.env,
        inputs=options.set,
        answers=options.answer,
        dry_run=options.dry_run,
        as_json=options.json,
    )


def _attach(options: argparse.Namespace) -> int:
    from infraconsole.cli.runs import attach

    return attach(options.run, as_json=options.json, plain=options.plain)


def _resume(options: argparse.Namespace) -> int:
    from infraconsole.cli.runs import resume

    return resume(options.run, answers=options.answer, as_json=options.json, plain=options.plain)


def _interrupt(options: argparse.Namespace) -> int:
    from infraconsole.cli.runs import interrupt

    return interrupt(options.run, insist=options.insist)


_OF_JOURNAL = {
    "": ("json", "limit", "all"),
    "RUN": ("json", "markdown", "archive"),
    "verify": ("json", "archive", "anchor", "env"),
    "archive": ("json", "before", "to"),
    "anchor": ("json", "to", "env", "yes"),
    "files": ("json", "of", "into", "archive"),
}
"""What goes with which form of `journal`: an option that would be passed over is refused."""


def refuse_what_does_not_apply(options: argparse.Namespace) -> None:
    form = (options.run if options.run in _OF_JOURNAL else "RUN") if options.run else ""
    every = dict.fromkeys(name for names in _OF_JOURNAL.values() for name in names)
    for name in every:
        value = getattr(options, name)
        if value is None or value is False or name in _OF_JOURNAL[form]:
            continue
        given = repr(value) if name == "of" else f"--{name}"
        forms = [" ".join(f"journal {known}".split()) for known, names in _OF_JOURNAL.items() if name in names]
        shown = " ".join(f"journal {options.run or ''}".split())
        raise UsageError(f"{given} does not go with `{shown}`.", mend=f"It goes with: {', '.join(forms)}.")
    if options.env is not None and form == "verify" and options.anchor is None:
        raise UsageError("--env does not go with `journal verify` alone.", mend="It goes with --anchor.")


def _journal(options: argparse.Namespace) -> int:
    options.check(options)
    if options.run == "files":
        from infraconsole.cli.journal_files import kept

        return kept(options.of, options.into, options.archive, as_json=options.json)
    if options.run == "verify":
        from infraconsole.cli.journal_care import verified

        against = None if options.anchor is None else (options.anchor, options.env)
        return verified(options.archive, against, as_json=options.json)
    if options.run == "archive":
        from infraconsole.cli.journal_care import archive

        return archive(options.before, Path(options.to) if options.to else None, as_json=options.json)
    if options.run == "anchor":
        from infraconsole.cli.journal_care import anchor

        return anchor(options.to, options.env, yes=options.yes, as_json=options.json)
    from infraconsole.cli.journal import LIMIT, journal

    limit = None if options.all else options.limit or LIMIT
    return journal(
        options.run, limit=limit, from_archive=options.archive, as_json=options.json, markdown=options.markdown
    )


def _completion(options: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    output.program(shellcode(["infraconsole"], shell=options.shell))
    return 0


# Completers: they must never fail, and never ask AWS.


def _complete(action: argparse.Action, names: Callable[[], Sequence[str]]) -> None:
    def completer(**_: Any) -> Sequence[str]:
        try:
            return [name for name in names() if name.isascii() and name.isprintable()]
        except (InfraconsoleError, OSError):
            return ()

    action.completer = completer  # type: ignore[attr-defined]


def _services() -> Sequence[str]:
    from infraconsole.config import load

    return tuple(load().services)


def _environments() -> Sequence[str]:
    from infraconsole.config import load

    return tuple(load().environments)


def _runbook_names() -> Sequence[str]:
    from infraconsole.engine.catalogue import runbooks

    return tuple(runbook.name for runbook in runbooks())


def _runs() -> Sequence[str]:
    from infraconsole.config import state_folder
    from infraconsole.engine.journal import Journal

    with Journal(state_folder(), create=False) as journal:
        return ("last", *journal.run_ids())


def _scenarios() -> Sequence[str]:
    from infraconsole.world.scenarios import SCENARIOS

    return tuple(SCENARIOS)
