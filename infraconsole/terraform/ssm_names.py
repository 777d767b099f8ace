"""How code names a parameter when it reads one: plainly, with a version or label behind a colon, or by its ARN."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ARN = re.compile(r"arn:[\w${}.-]*:ssm:(?P<region>.*?):(?P<account>[^:]*):parameter(?P<name>/.*)", re.DOTALL)


@dataclass(frozen=True)
class SsmName:
    """`selector` is a version's number or a label, "" without. `region` and `account` are an ARN's; "" where the code does
    not say which, or says that they are those which it is applied in."""

    name: str
    selector: str = ""
    region: str = ""
    account: str = ""


_OWN = re.compile(r"\$\{data\.aws_(?:region\.\w+\.(?:region|name|id)|caller_identity\.\w+\.account_id)\}")
"""Of the account and region that the environment is in."""


def is_open(part: str) -> bool:
    """Whether it has in it what only Terraform knows."""
    return "${" in part or "%{" in part


def parse(written: str) -> SsmName | None:
    """None where the name itself holds a part that only Terraform knows (`${…}`): a version, a region or an account may."""
    region = account = ""
    if match := _ARN.fullmatch(written):
        written = match["name"]
        region, account = ("" if _OWN.fullmatch(part) else part for part in (match["region"], match["account"]))
    elif written.startswith("arn:"):
        return None
    name, _, selector = written.partition(":")
    if is_open(name):
        return None
    return SsmName(name, selector, region, account)


def beginning(written: str) -> str:
    """What the name begins with, of which only the beginning is known; "" where that may be anything."""
    if not written.startswith("arn:"):
        return written
    _, found, name = written.partition(":parameter/")
    return f"/{name}" if found else ""
