"""The one way out of the command line: whatever a command prints goes through here, so that no text can move the cursor."""

from __future__ import annotations

import json
import sys
from typing import Any

from infraconsole import text


def say(words: str = "") -> None:
    """Lines of text on standard output, made harmless. Raises BrokenPipeError where nobody reads it any more."""
    print(text.block(words))


def tell(words: str) -> None:
    """As `say`, on standard error: all that is not the result itself."""
    print(text.block(words), file=sys.stderr)


def document(value: Any, *, indent: int | None = 2) -> None:
    """JSON on standard output, in ASCII: its own escapes make it harmless. `indent` None is one line, for streams."""
    print(json.dumps(value, indent=indent))
