"""Whether the variables bring the image that runs, or another one with the next deploy. Pure; nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infraconsole.aws.ecr import parse_image
from infraconsole.checks import image_pin
from infraconsole.secret_places import masked


@dataclass(frozen=True)
class Meant:
    """`key` is the variable that says `value`, which is not what runs."""

    key: str
    value: str


def meant(variables: Mapping[str, Any], image: str, names: Sequence[str]) -> Meant | None:
    """What the variables bring in the place of `image`; None where they bring that, or where it cannot be told. `names` are those
    of the service, its environment and container, as for `image_pin.pins`."""
    wanted = image_pin.pins(variables, parse_image(image), None, names=names)
    for key, value in wanted.values.items():
        said = variables.get(key)
        if isinstance(said, str | int) and not isinstance(said, bool) and str(said) not in ("", value):
            return Meant(key, masked(_short(str(said))))
    return None


def _short(said: str) -> str:
    """Of a whole image what a person calls it; a tag or a digest is that already."""
    return parse_image(said).short if "/" in said else said
