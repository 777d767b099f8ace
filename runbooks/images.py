"""Whether the images of a revision can still be pulled: lifecycle policies delete what old revisions name."""

from __future__ import annotations

from infraconsole.aws.ecr import Ecr, parse_image
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AccessDenied, AwsNotFound, StepFailed


def check_image(context: StepContext, image: str, *, essential: bool, quiet: bool = False) -> None:
    """Raises StepFailed where an essential container's image is gone. `quiet`: it is not the application's, so it is no warning
    where nobody can look."""
    reference = parse_image(image)
    if not reference.in_ecr:
        context.note(f"{image} is not in ECR: whether it still exists was not checked.", warning=not quiet)
        return
    if reference.region != context.target.region:
        context.note(
            f"{image} is in ECR of {reference.region}: whether it still exists was not checked.", warning=not quiet
        )
        return
    try:
        found = Ecr(context.reads).image(reference)
    except AccessDenied as error:
        # ECS pulls it with a role of its own: that ours may not look is not a reason to hold a rollback up.
        context.note(f"Whether {image} is still in ECR was not checked: {error.title} {error.mend}", warning=not quiet)
        return
    except AwsNotFound:
        found = None
    if found:
        context.note(f"{image} is in ECR.")
    elif essential:
        raise StepFailed(
            f"{image} is no longer in ECR.",
            cause="Tasks of this revision could not start.",
            mend="Choose another revision, or push the image again.",
        )
    else:
        context.note(f"{image} is no longer in ECR; its container is not essential.", warning=True)
