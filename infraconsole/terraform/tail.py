"""Reading a file that somebody else is still writing, line by line and in bounded memory."""

from __future__ import annotations

from pathlib import Path

CHUNK_BYTES = 1 << 20
LINE_BYTES = 16 << 20
"""A longer line is cut, and says so."""


class Tail:
    """`offset` is how far the file has been read, in bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self._begun = b""
        self._skipped = 0

    def new(self, complete: bool) -> list[str]:
        """The next complete lines, of about a megabyte at most or of one line; empty when there are none. With `complete`
        nobody writes any more, and what follows the last line feed is a line as well."""
        while chunk := self._chunk():
            *whole, rest = chunk.split(b"\n")
            if not whole:
                self._keep(rest)
                continue
            whole[0] = self._finished(whole[0])
            self._keep(rest)
            return [line.decode("utf-8", "replace") for line in whole]
        if complete and (self._begun or self._skipped):
            return [self._finished(b"").decode("utf-8", "replace")]
        return []

    def _chunk(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                chunk = file.read(CHUNK_BYTES)
        except FileNotFoundError:
            return b""
        self.offset += len(chunk)
        return chunk

    def _keep(self, piece: bytes) -> None:
        room = max(0, LINE_BYTES - len(self._begun))
        self._begun += piece[:room]
        self._skipped += max(0, len(piece) - room)

    def _finished(self, piece: bytes) -> bytes:
        self._keep(piece)
        cut = f"… (+{self._skipped:,} bytes)".encode() if self._skipped else b""
        line, self._begun, self._skipped = self._begun + cut, b"", 0
        return line
