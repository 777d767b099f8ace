"""How code names a parameter when it reads one: plainly, with a version or label behind a colon, or by its ARN."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ARN = re.compile(r"arn:[\w${}.-]*:ssm:(?P<region>.*?):(?P<account>[^:]*):parameter(?P<name>/.*)", re.DOTALL)


@dataclass(frozen=True)
class SsmName:
    """`selector` is a version's number or a label, "" without. `region` and `account` are an ARN's; "" where the code does
    not say which, or only Terraform knows them."""

    name: str
    selector: str = ""
    region: str = ""
    account: str = ""

    @property
    def asked(self) -> str:
        """As GetParameters takes it."""
        return f"{self.name}:{self.selector}" if self.selector else self.name


def parse(written: str) -> SsmName | None:
    """None where the name itself holds a part that only Terraform knows (`${…}`): a version, a region or an account may."""
    region = account = ""
    if match := _ARN.fullmatch(written):
        written = match["name"]
        region, account = ("" if "${" in part else part for part in (match["region"], match["account"]))
    elif written.startswith("arn:"):
        return None
    name, _, selector = written.partition(":")
    if "${" in name or "%{" in name:
        return None
    return SsmName(name, selector, region, account)


def beginning(written: str) -> str:
    """What the name begins with, of which only the beginning is known; "" where that may be anything."""
    if not written.startswith("arn:"):
        return written
    _, found, name = written.partition(":parameter/")
    return f"/{name}" if found else ""
