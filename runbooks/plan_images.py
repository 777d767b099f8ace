"""Whether what a plan brings can be pulled: a tag that is not there is told before the apply, and not minutes later by tasks
that do not start."""

from __future__ import annotations

from infraconsole.aws.ecr import Ecr, ImageReference, parse_image
from infraconsole.checks.findings import Finding
from infraconsole.checks.plan_review import images_brought
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AwsError, AwsNotFound
from infraconsole.terraform.plan import Plan


def missing_images(context: StepContext, plan: Plan) -> tuple[Finding, ...]:
    """An error for each image that its repository lacks. What cannot be looked at is only noted."""
    found = []
    for address, image in images_brought(plan):
        reference = parse_image(image)
        if not reference.in_ecr:
            context.note(f"{image} is not in ECR: whether it exists was not looked at.")
        elif reference.region != context.target.region:
            context.note(f"{image} is in ECR of {reference.region}: whether it exists was not looked at.")
        elif why := _missing(context, reference):
            mend = "Push it, or deploy another tag; until then its tasks cannot start."
            found.append(Finding("image-missing", "error", address, f"{image} is brought, and {why}.", mend))
    return tuple(found)


def _missing(context: StepContext, reference: ImageReference) -> str:
    """Why it cannot be pulled; "" where it can, or where that cannot be told, which then is noted."""
    try:
        if Ecr(context.reads).image(reference) is not None:
            return ""
    except AwsNotFound:
        return f"there is no repository {reference.repository}"
    except AwsError as error:
        context.note(f"Whether {reference.text} is in ECR cannot be told: {error.title}")
        return ""
    return "its repository does not have it"
