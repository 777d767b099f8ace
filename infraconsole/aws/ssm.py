"""Parameter Store: the exports, streamed page by page, since AWS gives few a page and there may be thousands.

DescribeParameters tells everything but the values, fifty a page; GetParameters the values of ten names;
GetParametersByPath both, ten a page and one page after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import batches, distinct, moment

PARAMETERS_PER_CALL = 10
DESCRIBED_PER_CALL = 50
HISTORY_PER_CALL = 50
SECURE = "SecureString"
_HIGH_THROUGHPUT = "/ssm/parameter-store/high-throughput-enabled"


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


@dataclass(frozen=True)
class ParameterVersion:
    """One version of a parameter, from GetParameterHistory; a SecureString's has no value."""

    version: int
    type: str
    value: str | None
    modified_at: datetime | None
    modified_by: str
    labels: tuple[str, ...]
    description: str
    key_id: str


class Ssm:
    """Reads of one region's Parameter Store. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def pages_under(self, path: str) -> Iterator[tuple[Parameter, ...]]:
        """Every parameter below `path`, at any depth, ten at a time as the pages come (GetParametersByPath)."""
        filters: dict[str, Any] = {"Path": path, "Recursive": True, "WithDecryption": False}
        pages = self.access.whole_pages("ssm", "GetParametersByPath", MaxResults=PARAMETERS_PER_CALL, **filters)
        return (tuple(parse_parameter(raw) for raw in page.get("Parameters") or ()) for page in pages)

    def described_under(self, path: str) -> Iterator[tuple[Parameter, ...]]:
        """Every parameter below `path`, at any depth, without its value, a page at a time (DescribeParameters)."""
        filters = [{"Key": "Path", "Option": "Recursive", "Values": [path]}]
        pages = self.access.whole_pages(
            "ssm", "DescribeParameters", ParameterFilters=filters, MaxResults=DESCRIBED_PER_CALL
        )
        return (tuple(_described(raw) for raw in page.get("Parameters") or ()) for page in pages)

    def history(self, name: str) -> tuple[ParameterVersion, ...]:
        """The versions that AWS still keeps (the newest hundred), newest first. AwsNotFound where there is no such name."""
        pages = self.access.pages(
            "ssm",
            "GetParameterHistory",
            "Parameters",
            Name=name,
            WithDecryption=False,
            MaxResults=HISTORY_PER_CALL,
        )
        return tuple(sorted((_version(raw) for raw in pages), key=lambda version: -version.version))

    def revealed(self, name: str) -> str:
        """A SecureString's value in clear (GetParameter): only for a person who asked for it, after that was recorded."""
        answer = self.access.call("ssm", "GetParameter", Name=name, WithDecryption=True)
        return str(answer["Parameter"].get("Value") or "")

    def has_high_throughput(self) -> bool:
        """Whether the account pays for Parameter Store's higher throughput in this region (GetServiceSetting)."""
        answer = self.access.call("ssm", "GetServiceSetting", SettingId=_HIGH_THROUGHPUT)
        return str((answer.get("ServiceSetting") or {}).get("SettingValue")).lower() == "true"

    def parameters(self, names: Sequence[str]) -> tuple[tuple[Parameter, ...], tuple[str, ...]]:
        """The parameters of those names, and the names that do not exist, each in the order asked for. A name may have a version or
        a label behind a colon."""
        asked = distinct(names)
        found: dict[str, Parameter] = {}
        for batch in self._batches(asked):
            answer = self.access.call("ssm", "GetParameters", Names=list(batch), WithDecryption=False)
            selected = {name.partition(":")[0]: name for name in batch}
            for raw in answer.get("Parameters") or ():
                parameter = parse_parameter(raw)
                found[selected.get(parameter.name, parameter.name)] = parameter
        return (
            tuple(found[name] for name in asked if name in found),
            tuple(name for name in asked if name not in found),
        )

    def _batches(self, names: Sequence[str]) -> Iterator[Sequence[str]]:
        """By ten, and no parameter twice in one call: AWS refuses that, whatever stands behind the colon."""
        rounds: list[dict[str, str]] = []
        for name in names:
            plain = name.partition(":")[0]
            free = next((each for each in rounds if plain not in each), None)
            if free is None:
                rounds.append(free := {})
            free[plain] = name
        for each in rounds:
            yield from batches(tuple(each.values()), PARAMETERS_PER_CALL)


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


def _described(raw: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name=str(raw.get("Name") or ""),
        type=str(raw.get("Type") or ""),
        value=None,
        version=int(raw.get("Version") or 0),
        modified_at=moment(raw.get("LastModifiedDate")),
        arn=str(raw.get("ARN") or ""),
        description=str(raw.get("Description") or ""),
        tier=str(raw.get("Tier") or ""),
        key_id=str(raw.get("KeyId") or ""),
        modified_by=str(raw.get("LastModifiedUser") or ""),
        data_type=str(raw.get("DataType") or ""),
    )


def _version(raw: Mapping[str, Any]) -> ParameterVersion:
    kind = str(raw.get("Type") or "")
    return ParameterVersion(
        version=int(raw.get("Version") or 0),
        type=kind,
        value=None if kind == SECURE else str(raw.get("Value") or ""),
        modified_at=moment(raw.get("LastModifiedDate")),
        modified_by=str(raw.get("LastModifiedUser") or ""),
        labels=tuple(str(label) for label in raw.get("Labels") or ()),
        description=str(raw.get("Description") or ""),
        key_id=str(raw.get("KeyId") or ""),
    )
