"""Lists of resource addresses as a person types them, with commas between them. Keys may hold commas of their own:
`aws_x.y["a,b"]`. Apart from `commands.py`, since also inputs are checked by it, before anything runs."""

from __future__ import annotations

from infraconsole.errors import UsageError

_OPENING = {"[": "]", "(": ")", "{": "}"}


def split(text: str) -> tuple[str, ...]:
    """The addresses in `text`; commas in quotes and brackets part nothing. Raises UsageError where it names none, or where a
    quote or bracket is not closed."""
    parts, expected = [""], list[str]()
    quoted = escaped = False
    for letter in text:
        if letter == "," and not quoted and not expected:
            parts.append("")
            continue
        parts[-1] += letter
        if quoted:
            quoted = letter != '"' or escaped
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in _OPENING:
            expected.append(_OPENING[letter])
        elif expected and letter == expected[-1]:
            expected.pop()
    if quoted or expected:
        missing = '"' if quoted else expected[-1]
        raise UsageError(f"{text} is no list of addresses.", cause=f"A {missing} is missing.", mend=_MEND)
    found = tuple(address for part in parts if (address := part.strip()))
    if not found:
        raise UsageError(f"{text!r} names no address.", mend=f"{_MEND} Left out, it is everything.")
    return found


_MEND = 'Write them with commas between them, and each as Terraform does: aws_sqs_queue.jobs,module.app.aws_x.y["key"].'
