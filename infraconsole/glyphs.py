"""What stands for a sign that the terminal's encoding does not have (ISO 8859-1, EUC-KR, ASCII): something legible, so that text
never fails to be written. Separate from `text`, which makes text harmless wherever it goes.
"""

from __future__ import annotations

import codecs
import unicodedata

_SIGNS = {
    **dict.fromkeys("✓✔●◆■▶▸", "+"),
    **dict.fromkeys("✗✘×", "x"),
    **dict.fromkeys("○◇□•·∙", "*"),
    **dict.fromkeys("─━═╌┄–—‐‑−", "-"),
    **dict.fromkeys("│┃║▏▎▌▐█▉▊▋▍", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫┳┻╋╔╗╚╝", "+"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("‘’‚", "'"),
    **dict.fromkeys("→▷►", ">"),
    **dict.fromkeys("←◁◀", "<"),
    **dict.fromkeys("↑▲△", "^"),
    **dict.fromkeys("↓▼▽", "v"),
    **dict.fromkeys("…", "."),
    "⚠": "!",
    "␛": "?",
    "\u00a0": " ",
}
"""Each of one cell, as what it stands for."""
_WORDS = {"→": "->", "←": "<-", "…": "...", "≥": ">=", "≤": "<=", "≠": "!=", "€": "EUR"}
"""Where lines may grow."""
CELLS = "infraconsole-cells"
"""An error handler's name, for streams: signs of one cell, so that what is placed on the screen keeps its place."""


def encodable(words: str, encoding: str) -> str:
    """`words` as that encoding can write it; a letter it does not have becomes its escape sequence."""
    try:
        words.encode(encoding)
    except UnicodeError:
        return "".join(_written(character, encoding) for character in words)
    except LookupError:
        return encodable(words, "ascii")
    return words


def _written(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeError:
        sign = _WORDS.get(character) or _SIGNS.get(character)
        return sign or character.encode("ascii", "backslashreplace").decode("ascii")
    return character


def _cells(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_cell, error.object[error.start : error.end])), error.end


def _cell(character: str) -> str:
    if unicodedata.combining(character):
        return ""
    return _SIGNS.get(character, "?") * (2 if unicodedata.east_asian_width(character) in "WF" else 1)


def use_cells() -> None:
    """Make the error handler known to Python's codecs."""
    codecs.register_error(CELLS, _cells)
