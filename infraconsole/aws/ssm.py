"""Parameter Store: the exports, streamed page by page, since AWS gives only ten a page and there may be thousands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import batches, distinct, moment

PARAMETERS_PER_CALL = 10
SECURE = "SecureString"


@dataclass(frozen=True)
class Parameter:
    """A parameter. `type`: String, StringList or SecureString; a SecureString is never decrypted here and has no value.

    What GetParametersByPath does not tell (`description` to `data_type`) is "" where it was not asked for.
    """

    name: str
    type: str
    value: str | None
    version: int
    modified_at: datetime | None
    arn: str
    description: str = ""
    tier: str = ""
    """Standard, Advanced or Intelligent-Tiering."""
    key_id: str = ""
    """Of a SecureString: the KMS key's id, ARN or alias."""
    modified_by: str = ""
    """The ARN of who changed it last."""
    data_type: str = ""


class Ssm:
    """Reads of one region's Parameter Store. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def parameters_under(self, path: str) -> Iterator[Parameter]:
        """Every parameter below `path`, at any depth, as the pages come (GetParametersByPath)."""
        filters: dict[str, Any] = {"Path": path, "Recursive": True, "WithDecryption": False}
        pages = self.access.pages("ssm", "GetParametersByPath", "Parameters", MaxResults=PARAMETERS_PER_CALL, **filters)
        return (parse_parameter(raw) for raw in pages)

    def parameters(self, names: Sequence[str]) -> tuple[tuple[Parameter, ...], tuple[str, ...]]:
        """The parameters of those names, and the names that do not exist, each in the order asked for."""
        asked = distinct(names)
        found: dict[str, Parameter] = {}
        for batch in batches(asked, PARAMETERS_PER_CALL):
            answer = self.access.call("ssm", "GetParameters", Names=list(batch), WithDecryption=False)
            for raw in answer.get("Parameters") or ():
                parameter = parse_parameter(raw)
                found[parameter.name] = parameter
        return (
            tuple(found[name] for name in asked if name in found),
            tuple(name for name in asked if name not in found),
        )


def parse_parameter(raw: Mapping[str, Any]) -> Parameter:
    """A parameter as GetParameters and GetParametersByPath answer it."""
    kind = str(raw.get("Type") or "")
    return Parameter(
        name=str(raw.get("Name") or ""),
        type=kind,
        value=None if kind == SECURE else str(raw.get("Value") or ""),
        version=int(raw.get("Version") or 0),
        modified_at=moment(raw.get("LastModifiedDate")),
        arn=str(raw.get("ARN") or ""),
    )
