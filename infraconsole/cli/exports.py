"""`infraconsole exports`: every export with its check and its consumers, for scripts and for people without a screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infraconsole import config, text
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ssm import SECURE, Parameter, Ssm
from infraconsole.cli.output import document, say, tell
from infraconsole.config import Config
from infraconsole.errors import EXIT_DONE, EXIT_FAILED, UsageError
from infraconsole.secret_places import masked

if TYPE_CHECKING:
    from infraconsole.checks.findings import Finding
    from infraconsole.exports.survey import Survey
    from infraconsole.terraform.exports import Trace


@dataclass(frozen=True)
class _Listed:
    """The exports of one account and region, and for which environments they are."""

    environments: tuple[str, ...]
    account: str
    region: str
    parameters: tuple[Parameter, ...]
    findings: tuple[Finding, ...]
    revealed: Mapping[str, str]


def exports(*, service: str | None, environment: str | None, checks: bool, reveal: Sequence[str], as_json: bool) -> int:
    """1 where an error-level finding stands. `reveal` names the SecureStrings whose values shall be shown, "" all of them."""
    from infraconsole.exports.survey import Survey, separate

    settings = config.load()
    if service is not None:
        settings.service(service)
    if environment is not None:
        settings.environment(environment)
    found: list[_Listed] = []
    trace: Trace | None = None
    for name in [environment] if environment is not None else separate(settings):
        access = AwsAccess(region=settings.region_of(name), profile=settings.environment(name).profile)
        survey = Survey(settings, name, access)
        if checks and trace is None:
            trace = survey.trace()
        found.append(_listed(settings, survey, access, trace, service, environment, checks, reveal))
    unknown = [name for name in reveal if name and not any(name in listed.revealed for listed in found)]
    if unknown:
        raise UsageError(f"There is no SecureString {unknown[0]}.", mend="`infraconsole exports` lists the exports.")
    if as_json:
        document(_document(found, trace))
    else:
        _print(found, trace)
    broken = any(finding.level == "error" for listed in found for finding in listed.findings)
    return EXIT_FAILED if broken else EXIT_DONE


def _listed(
    settings: Config,
    survey: Survey,
    access: AwsAccess,
    trace: Trace | None,
    service: str | None,
    environment: str | None,
    checks: bool,
    reveal: Sequence[str],
) -> _Listed:
    parameters = survey.whole()
    findings = survey.check(parameters, trace).findings if checks else ()
    concerns = survey.concerns(service, environment)
    parameters = tuple(parameter for parameter in parameters if concerns(parameter.name))
    findings = tuple(finding for finding in findings if concerns(finding.subject))
    secrets = {parameter.name for parameter in parameters if parameter.type == SECURE}
    account = parameters[0].arn.split(":")[4] if parameters and parameters[0].arn.count(":") >= 5 else ""
    revealed = {
        name: _revealed(settings, access, survey.environment, account, name)
        for name in (sorted(secrets) if "" in reveal else dict.fromkeys(reveal))
        if name in secrets
    }
    environments = (environment,) if environment is not None else survey.environments
    return _Listed(environments, account, access.region, parameters, findings, revealed)


def _revealed(settings: Config, access: AwsAccess, environment: str, account: str, name: str) -> str:
    """Recorded first, as on the screen."""
    from infraconsole.engine import acts
    from infraconsole.engine.journal import Journal
    from infraconsole.target import Target

    target = Target("exports", environment, access.region, account)
    with Journal(config.state_folder()) as journal:
        title = f"Looked at the value of {name}"
        acts.record(journal, acts.REVEAL, title, target, config.operator_name(settings))
    return Ssm(access).revealed(name)


def _document(found: Sequence[_Listed], trace: Trace | None) -> dict[str, Any]:
    return {
        "exports": [_export(listed, parameter, trace) for listed in found for parameter in listed.parameters],
        "findings": [finding.as_json() for finding in _all_findings(found)],
        "not_read": list(trace.not_read()) if trace is not None else [],
    }


def _export(listed: _Listed, parameter: Parameter, trace: Trace | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": parameter.name,
        "type": parameter.type,
        "value": listed.revealed.get(parameter.name) if parameter.type == SECURE else parameter.value,
        "version": parameter.version,
        "modified_at": text.utc(parameter.modified_at) if parameter.modified_at else None,
        "modified_by": parameter.modified_by,
        "description": parameter.description,
        "tier": parameter.tier,
        "key_id": parameter.key_id,
        "data_type": parameter.data_type,
        "arn": parameter.arn,
        "account": listed.account,
        "region": listed.region,
        "environments": list(listed.environments),
    }
    if trace is not None:
        told["producers"] = [
            {"owner": one.owner, "module": one.module, "address": one.address, "file": one.file, "line": one.line}
            for one in trace.producers_of(parameter.name)
        ]
        told["consumers"] = [
            {
                "service": one.service,
                "environment": one.environment,
                "address": one.address,
                "file": one.file,
                "line": one.line,
                "locals": list(one.locals),
                "selector": one.selector,
                "elsewhere": one.elsewhere,
                "by_path": one.name if one.by_path else "",
            }
            for one in trace.consumers_of(parameter.name)
        ]
    return told


def _all_findings(found: Sequence[_Listed]) -> Iterable[Finding]:
    """Of several accounts: what is said of the code is said once."""
    return dict.fromkeys(finding for listed in found for finding in listed.findings)


_SIGNS = {"error": "✗", "warning": "!", "info": "·"}


def _print(found: Sequence[_Listed], trace: Trace | None) -> None:
    for listed in found:
        if len(found) > 1:
            say(f"{text.line(listed.account)} {listed.region}: {', '.join(listed.environments)}")
        width = max((len(parameter.name) for parameter in listed.parameters), default=0)
        for parameter in listed.parameters:
            value = listed.revealed.get(parameter.name) if parameter.type == SECURE else masked(parameter.value or "")
            shown = "(SecureString)" if value is None else text.line(value)
            say(
                f"{text.line(parameter.name):<{width}}  {text.line(parameter.type):<12}  v{parameter.version:<3}  {shown}"
            )
    for finding in _all_findings(found):
        place = f" ({text.line(str(finding.file))}:{finding.line})" if finding.file else ""
        tell(f"{_SIGNS[finding.level]} {text.line(finding.subject)}: {text.line(finding.message)}{place}")
        if finding.mend and finding.level != "info":
            tell(f"    {text.line(finding.mend)}")
