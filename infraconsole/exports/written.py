"""What the modules' Terraform states say they wrote, for the exports that a module owns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.budget import carried
from infraconsole.aws.s3 import S3
from infraconsole.checks.export_rules import ExportRules
from infraconsole.checks.findings import Finding
from infraconsole.config import Config
from infraconsole.errors import AwsNotFound, InfraconsoleError
from infraconsole.terraform.state_exports import StateExport, exports_in_state

_AT_ONCE = 8


@dataclass(frozen=True)
class Written:
    """`findings` are the states that could not be read."""

    exports: Mapping[str, StateExport]
    findings: tuple[Finding, ...] = ()


def written_exports(config: Config, access: AwsAccess, rules: ExportRules, names: Iterable[str]) -> Written:
    """The parameters in the states of the modules that own `names`. A state that does not exist says nothing."""
    modules = {(match.owner, match.environment) for name in names if (match := rules.match(name)) is not None}
    places = {
        place
        for module, environment in modules
        if (not environment or environment in config.environments)
        and (place := config.module_state_of(module, environment)) is not None
    }
    s3 = S3(access)

    def read(place: tuple[str, str]) -> Mapping[str, StateExport] | Finding:
        url = f"s3://{place[0]}/{place[1]}"
        try:
            return exports_in_state(s3.get(*place).body or b"", url)
        except AwsNotFound:
            return {}
        except InfraconsoleError as error:
            return Finding(
                "export-not-checked",
                "warning",
                url,
                f"The state {url} could not be read, so its exports are not compared with it: {error.title} {error.cause}",
                error.mend,
            )

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="states") as pool:
        answers = list(pool.map(carried(read), sorted(places)))
    exports: dict[str, StateExport] = {}
    for answer in answers:
        if not isinstance(answer, Finding):
            exports.update(answer)
    return Written(exports, tuple(answer for answer in answers if isinstance(answer, Finding)))
