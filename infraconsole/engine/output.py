"""Output on its way into the journal: gathered into batches, redacted, and held back where a line may be the beginning of a
secret that goes on in the next one."""

from __future__ import annotations

from collections.abc import Iterable

from infraconsole import clock
from infraconsole.redaction import NOTHING, Before, Redactor

LINES_A_BATCH = 2_000
HELD_SECONDS = 1.0
"""How long a line is held back for the next one; then the beginning of a secret in it is masked, and the line goes out."""


class Output:
    """Lines of several sources (resources that Terraform works on at the same time), in the order in which they came. A secret may
    be broken over two lines of one source, with lines of others between them."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._lines: list[tuple[str, str]] = []
        self._before: dict[str, Before] = {}
        self._ready: tuple[int, dict[str, Before]] = (0, {})
        self._held_since: float | None = None

    @property
    def count(self) -> int:
        return len(self._lines)

    def add(self, source: str, lines: Iterable[str]) -> None:
        self._lines += [(source, line) for line in lines]

    def ready(self, *, whole: bool) -> list[str]:
        """The next lines that can go out, redacted; the same ones until they are `taken`. `whole`: all of them can."""
        batch = self._lines[:LINES_A_BATCH]
        if not batch:
            return []
        is_over = self._held_since is not None and clock.seconds() - self._held_since >= HELD_SECONDS
        is_last = len(batch) == len(self._lines)
        lines, held, before = self._redacted(batch, unfinished=is_last and (whole or is_over))
        if held == 0 and not is_last:  # one that begins more than a whole batch ago
            lines, held, before = self._redacted(batch, unfinished=True)
        if held < len(batch):
            if self._held_since is None:
                self._held_since = clock.seconds()
            lines, _, before = self._redacted(batch, keep=held)
        self._ready = (held, before)
        return lines[:held]

    def taken(self) -> None:
        count, before = self._ready
        del self._lines[:count]
        self._before |= before
        self._before = {source: known for source, known in self._before.items() if known != NOTHING}
        self._ready = (0, {})
        self._held_since = None

    def _redacted(
        self, batch: list[tuple[str, str]], *, unfinished: bool = False, keep: int | None = None
    ) -> tuple[list[str], int, dict[str, Before]]:
        """The lines, the first that has to be held back, and what is known afterwards of the first `keep` lines of each source."""
        lines = [""] * len(batch)
        held, after = len(batch), dict[str, Before]()
        sources: dict[str, list[int]] = {}
        for place, (source, _) in enumerate(batch):
            sources.setdefault(source, []).append(place)
        for source, places in sources.items():
            before = self._before.get(source, NOTHING)
            found = self._redactor.lines([batch[place][1] for place in places], before, unfinished=unfinished)
            if not unfinished and found.held < len(places):
                held = min(held, places[found.held])
            said = f"{self._redactor.text(source)}: " if source else ""
            for place, line in zip(places, found.lines, strict=True):
                lines[place] = f"{said}{line}"
            kept = [batch[place][1] for place in places if keep is None or place < keep]
            if len(kept) < len(places):
                found = self._redactor.lines(kept, before)
            after[source] = found.after
        return lines, held, after
