"""Programs that the measures start: `python -m tests.bench.apps rows`, `run <run>` (both in a terminal), or
`write <state folder> <run> <lines a second> <lines>`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROWS = 10_000


def rows() -> None:
    """A screen of the console with band, filter and footer, and ten thousand rows on it."""
    import tempfile

    from textual.app import ComposeResult
    from textual.screen import Screen
    from textual.widget import Widget

    from infraconsole.app import ConsoleApp
    from infraconsole.aws.access import AwsAccess
    from infraconsole.config import parse
    from infraconsole.engine.journal import Journal
    from infraconsole.screens.console_screen import ConsoleScreen
    from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows

    columns = (
        Column("name", "name", 20),
        Column("state", "state", 10),
        Column("image", "image", 24, rank=1),
        Column("says", "says", 30, rank=2, stretch=True),
    )

    class ListScreen(ConsoleScreen):
        def body(self) -> ComposeResult:
            yield Rows(columns, id="list")

        def on_mount(self) -> None:
            self.list_widget().focus()
            self.list_widget().set_rows(
                Row(
                    f"row-{number:05}",
                    {
                        "name": Cell(f"row-{number:05}"),
                        "state": Cell("steady" if number % 7 else "failing", "good" if number % 7 else "bad"),
                        "image": Cell(f"fileflow:v1.{number % 90}.{number % 11}", "dim"),
                        "says": Cell(f"(service {number}) has reached a steady state."),
                    },
                )
                for number in range(ROWS)
            )

        def list_widget(self) -> Rows:
            return self.query_one("#list", Rows)

        def narrow(self, words: str) -> None:
            self.list_widget().set_filter(words)

    class ListApp(ConsoleApp):
        def get_default_screen(self) -> Screen[Widget]:
            return ListScreen(self.desk)

    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder)) as journal:
        ListApp(parse({}, None), journal, lambda _: AwsAccess(region="ap-northeast-2"), "woken").run()


def run(run_id: str) -> None:
    """The console as the command line opens it, on a run of the journal that the environment names."""
    from infraconsole.cli.console import console

    sys.exit(console(start_run=run_id))


def write(folder: str, run_id: str, a_second: int, lines: int) -> None:
    """Output as an executor writes it, in batches of a tenth of a second; each line its number, and when it was written."""
    from infraconsole.engine.journal import Journal
    from infraconsole.engine.recorder import Recorder
    from infraconsole.redaction import Redactor

    with Journal(Path(folder)) as journal:
        recorder = Recorder(journal, run_id, Redactor())
        began = time.monotonic()
        for first in range(0, lines, a_second // 10):
            time.sleep(max(0.0, began + first / a_second - time.monotonic()))
            now = time.monotonic()
            batch = range(first, min(lines, first + a_second // 10))
            recorder.line("watch", *(f"{number} {now:.3f} a line of output as Terraform writes it" for number in batch))
            recorder.flush()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rows"]:
            rows()
        case ["run", run_id]:
            run(run_id)
        case ["write", folder, run_id, a_second, lines]:
            write(folder, run_id, int(a_second), int(lines))
        case _:
            sys.exit(__doc__)
