"""Lists of resource addresses as a person types them: `aws_ecs_service.app, module.x.aws_y.z["a,b"]`.

The grammar is from the Terraform documentation (Resource Addressing): an instance key is a number, or a string in quotes.
"""

from __future__ import annotations

import re

_PART = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^,"])+')


def split(words: str) -> tuple[str, ...]:
    """The addresses between commas; a comma in the quotes of an instance key divides nothing."""
    return tuple(part for match in _PART.finditer(words) if (part := match[0].strip()))
