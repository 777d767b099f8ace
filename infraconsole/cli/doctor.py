"""`infraconsole doctor`: are tools, credentials, configuration and journal fit for the night?"""

from __future__ import annotations

from infraconsole import config, text
from infraconsole.checks import doctor as checks
from infraconsole.checks.findings import has_errors
from infraconsole.cli.output import document, say
from infraconsole.engine.verify import is_begun, verify
from infraconsole.errors import EXIT_DONE, EXIT_FAILED, ConfigError, InfraconsoleError

_SIGNS = {"error": "✗ error  ", "warning": "! warning", "info": "✓ ok     "}


def doctor(*, as_json: bool) -> int:
    """1 where an error-level finding stands; a configuration that cannot be read is one."""
    findings = checks.run(_configuration(), journal=_journal_problems)
    if as_json:
        document({"findings": [finding.as_json() for finding in findings]})
    else:
        for finding in findings:
            say(f"{_SIGNS[finding.level]}  {text.line(finding.subject)}: {text.line(finding.message)}")
            if finding.mend and finding.level != "info":
                say(f"             {text.line(finding.mend)}")
    return EXIT_FAILED if has_errors(findings) else EXIT_DONE


def _configuration() -> config.Config | ConfigError:
    try:
        return config.load()
    except ConfigError as error:
        return error


def _journal_problems() -> list[str]:
    folder = config.state_folder()
    if not is_begun(folder):
        return []
    try:
        return [problem.what for problem in verify(folder, newest=checks.NEWEST_EVENTS).problems]
    except InfraconsoleError as error:
        return [str(error)]
