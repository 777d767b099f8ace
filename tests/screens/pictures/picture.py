"""A screen as text: what stands on each line, and below it how that looks. Kept in files, so that a change of look is read as a
difference of lines.

    │✗ fileflow prod: tasks keep failing to start
     0,16-43 bold error; 2-14 bold

says that column 0 and columns 16 to 43 are bold in the colour of errors, and that columns 2 to 14 are bold. Cells that look as
the screen does by itself are not named. A line that is there several times is written once. Below the last line stands what the
theme's colours are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.color import Color, ColorParseError
from textual.geometry import Region
from textual.screen import ModalScreen

from infraconsole.app import ConsoleApp

_ATTRIBUTES = ("bold", "italic", "underline", "reverse", "strike", "blink", "dim")
_SEEN_ON_BLANKS = ("underline", "reverse", "strike")
_DIALOGS = ".dialog, #--container"
"""What a dialog's frame is called: the console's, and that of Textual's palette."""
_NAMED_FIRST = (
    "foreground",
    "background",
    "surface",
    "panel",
    "primary",
    "secondary",
    "accent",
    "warning",
    "error",
    "success",
)
"""Where several of a theme's colours are the same one."""


@dataclass(frozen=True)
class Look:
    """How a cell looks. Colours by their names in the theme, or as hex where they are none of it, as where two are blended."""

    colour: str = ""
    background: str = ""
    attributes: tuple[str, ...] = ()

    @property
    def of_a_blank(self) -> Look:
        """What is seen of it where no letter stands."""
        seen = tuple(name for name in self.attributes if name in _SEEN_ON_BLANKS)
        return Look(self.colour if seen else "", self.background, seen)

    @property
    def words(self) -> str:
        behind = (f"on {self.background}",) if self.background else ()
        return " ".join((*self.attributes, *((self.colour,) if self.colour else ()), *behind))


class Colours:
    """The theme's, by value, and which of them a picture has."""

    def __init__(self, app: ConsoleApp) -> None:
        self._names: dict[str, str] = {}
        variables = app.theme_variables
        for name in (*_NAMED_FIRST, *sorted(variables)):
            try:
                colour = Color.parse(variables[name])
            except (ColorParseError, KeyError):
                continue  # `auto`, a text style, and what the theme does not say
            known = self._names.setdefault(_hex(colour), name) if colour.a == 1 else name
            if known not in (name, *_NAMED_FIRST):
                self._names[_hex(colour)] = _hex(colour)
        self.used: dict[str, str] = {}
        self.usual = Look(self._name("foreground", variables), self._name("background", variables))

    def _name(self, name: str, variables: dict[str, str]) -> str:
        return self._names.get(_hex(Color.parse(variables[name])), "")

    def look(self, style: Style | None, blank: bool) -> Look:
        style = style or Style()
        attributes = tuple(name for name in _ATTRIBUTES if getattr(style, name))
        colour, behind = (
            "" if each is None else self._called(Color.from_rich_color(each)) for each in (style.color, style.bgcolor)
        )
        found = Look(
            "" if colour == self.usual.colour else colour, "" if behind == self.usual.background else behind, attributes
        )
        return found.of_a_blank if blank else found

    def _called(self, colour: Color) -> str:
        value = _hex(colour)
        name = self._names.get(value, value)
        self.used[name] = value
        return name


def _hex(colour: Color) -> str:
    return "default" if colour.ansi == -1 else f"ansi {colour.ansi}" if colour.ansi is not None else colour.hex6.lower()


def picture(app: ConsoleApp) -> str:
    """Of a dialog its own part of the screen; what stands behind it has pictures of its own."""
    colours, focus, screen = Colours(app), app.focused, app.screen
    at = screen.region
    if isinstance(screen, ModalScreen):
        at = at.intersection(Region.from_union([each.region for each in screen.query(_DIALOGS)]))
    size = f"{app.size.width}x{app.size.height}"
    place = "" if at == screen.region else f"  {at.width}x{at.height} at {at.x},{at.y}"
    rows = [
        f"{type(screen).__name__}  {size}{place}  {app.theme}  focus: {focus.css_identifier if focus else 'nowhere'}"
    ]
    shown = [
        (f"│{visible(strip.text)}".rstrip(), f" {_looks(strip, colours)}".rstrip())
        for strip in (each.crop(at.x, at.right) for each in screen._compositor.render_strips()[at.y : at.bottom])
    ]
    for (words, looks), equal in groupby(shown):
        more = len(tuple(equal)) - 1
        rows += [row for row in (words, looks, f" … {more} more" if more else "") if row]
    rows += [f"{called} = {value}" for called, value in sorted(colours.used.items()) if called != value]
    return "\n".join(rows) + "\n"


def _looks(segments: Iterable[Segment], colours: Colours) -> str:
    """Runs of cells that look the same. A blank shows nothing but what is behind it, and belongs to the run before; at the end of
    a run it is left out where nothing is behind it."""
    runs: list[tuple[int, int, Look]] = []
    for start, end, look, blank in _cells(segments, colours):
        before = runs[-1][2] if runs else Look()
        if runs and (look == before or (blank and look == before.of_a_blank)):
            runs[-1] = (runs[-1][0], runs[-1][1] if blank and look == Look() else end, before)
        else:
            runs.append((start, end, look))
    where: dict[Look, list[str]] = {}
    for start, end, look in runs:
        if look != Look():
            where.setdefault(look, []).append(f"{start}-{end - 1}" if end - start > 1 else f"{start}")
    return "; ".join(f"{','.join(places)} {look.words}" for look, places in where.items())


def _cells(segments: Iterable[Segment], colours: Colours) -> Iterator[tuple[int, int, Look, bool]]:
    """Pieces of equal style, blanks at their ends apart: first column, column after the last, look, whether it is blank."""
    column = 0
    for words, style, _ in segments:
        inner = words.strip(" ")
        before = len(words) - len(words.lstrip(" ")) if inner else len(words)
        for piece in (words[:before], inner, words[before + len(inner) :]):
            if piece:
                width, blank = cell_len(piece), not piece.strip(" ")
                yield column, column + width, colours.look(style, blank), blank
                column += width


def visible(words: str) -> str:
    """What would move the cursor of whoever reads the file, by its number."""
    return "".join(
        f"\\u{ord(each):04x}" if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") else each
        for each in words
    )


class Stored(SingleFileSnapshotExtension):
    """A file per picture: `__snapshots__/test_services/test_board[80x24].txt`."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


def as_svg(app: ConsoleApp, name: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path(app.save_screenshot(f"{name}.svg", path=str(folder)))
