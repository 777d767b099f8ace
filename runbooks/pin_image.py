"""After a rollback: what the code's variables have to say so that the next apply does not undo it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infraconsole import naming
from infraconsole.aws.ecr import Ecr, Image, ImageReference, parse_image
from infraconsole.checks import image_pin
from infraconsole.checks.image_pin import Pins
from infraconsole.engine.runbook import Step, StepContext
from infraconsole.errors import AwsError, PrerequisiteMissing
from infraconsole.terraform import tfvars

_ID = "pin-image-tag"


class PinImage(Step):
    id = "follow-up"
    title = "Check what Terraform's next apply would do"
    why = "The next apply deploys the image that the tfvars name: until they name this one, the rollback is borrowed."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        if context.result("update") == {}:
            return {"pinned": False}
        target = context.target
        relative = naming.tfvars_path(target.environment)
        path = context.config.tfvars_of(target.service, target.environment)
        variables, unread = _variables(path)
        wanted = parse_image(context.result("choose")["image"])
        pins = _pins(context, wanted, variables)
        if not pins.values:
            # No follow-up: no variable would ever say that it is done.
            context.note(
                f"{pins.why_not} Terraform's next apply may bring the old image back: change where the code takes it from.",
                warning=True,
            )
            return {"pinned": False}
        if path is not None and image_pin.are_so(variables, pins):
            said = ", ".join(f"{key} = {value}" for key, value in pins.values.items())
            context.note(f"{path} says {said} already.")
            return {"pinned": True}
        # The follow-up is done once the file says this: never what it says by now.
        key, value = next(pair for pair in pins.values.items() if path is None or variables.get(pair[0]) != pair[1])
        detail, problem = _edits(path, pins) if not unread else (_plain(pins), unread)
        if path is None:
            context.note(
                f"The repository of {target.service} is not configured; set {_plain(pins)} in {relative} by hand.",
                warning=True,
            )
        elif problem:
            context.note(problem, warning=True)
        context.follow_up(
            _ID,
            f"Pin {' and '.join(pins.values)} in {relative} of {target.service}",
            detail=detail,
            file=str(path) if path else "",
            key=key,
            value=value,
        )
        return {"pinned": False}


def _variables(path: Path | None) -> tuple[Mapping[str, Any], str]:
    """What the environment's variables say, and why they could not be read."""
    if path is None:
        return {}, ""
    try:
        return tfvars.read(path), ""
    except PrerequisiteMissing as error:
        return {}, f"{error.title} {error.cause}".strip()


def _pins(context: StepContext, wanted: ImageReference, variables: Mapping[str, Any]) -> Pins:
    replaced = context.result("look").get("current_image", "")
    registered = _registered(context, wanted)
    container = context.result("choose").get("container", "")
    return image_pin.pins(
        variables,
        wanted,
        parse_image(replaced) if replaced else None,
        names=tuple(filter(None, (context.target.service, context.target.environment, container))),
        tags=registered.tags if registered else (),
        digest=registered.digest if registered else "",
    )


def _registered(context: StepContext, wanted: ImageReference) -> Image | None:
    """What ECR calls the image besides; None where it is elsewhere, or cannot be asked."""
    if not wanted.in_ecr or wanted.region != context.target.region:
        return None
    try:
        return Ecr(context.reads).image(wanted)
    except AwsError:
        return None


def _edits(path: Path | None, pins: Pins) -> tuple[str, str]:
    if path is None:
        return _plain(pins), ""
    try:
        return "\n".join(
            line for key, value in pins.values.items() for line in tfvars.edit(path, key, value).as_diff()
        ), ""
    except PrerequisiteMissing as error:
        return _plain(pins), f"{error.title} {error.cause}".strip()


def _plain(pins: Pins) -> str:
    return ", ".join(f'{key} = "{value}"' for key, value in pins.values.items())
