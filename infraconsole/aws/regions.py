"""The regions that botocore knows, from the data it comes with: nothing is asked of AWS."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    code: str
    name: str


def known(near: str) -> tuple[Region, ...]:
    """Those of the partition that `near` belongs to (AWS, China, GovCloud, …); of AWS's own where no partition knows it."""
    from botocore.session import Session

    partitions = Session().get_component("data_loader").load_data("partitions")["partitions"]
    here = next((each for each in partitions if near in each["regions"]), None)
    here = here or next((each for each in partitions if re.search(each["regionRegex"], near)), partitions[0])
    found = (Region(code, str(about.get("description") or "")) for code, about in here["regions"].items())
    # Pseudo regions, as aws-global, where only some services are.
    return tuple(sorted((each for each in found if not each.code.endswith("-global")), key=lambda each: each.code))
