"""What infracost says a plan costs, where somebody has installed it: it knows the price of far more than the guide's table.

It is asked for a plan's own document (Infracost CLI: `breakdown --path plan.json`, whose JSON compares the plan with what is
there now). It takes its prices from a server, so that it is bounded in time, and what it cannot say is no failure.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infraconsole import programs
from infraconsole.errors import InfraconsoleError

SECONDS = 30.0
PROGRAM = "infracost"
QUIET = {"INFRACOST_SKIP_UPDATE_CHECK": "true"}
_WORDS = 200


class NoEstimate(InfraconsoleError):
    """infracost is there, and says nothing of use."""


@dataclass(frozen=True)
class Estimate:
    """The difference a month, in `currency`, that the plan makes; negative where it saves."""

    monthly: float
    currency: str

    def words(self) -> str:
        return f"infracost: {self.monthly:+,.2f} {self.currency} a month"


def program(environ: Mapping[str, str]) -> str:
    """Where it is; "" where it is not on the PATH."""
    return shutil.which(PROGRAM, path=environ.get("PATH", "")) or ""


def ask(path: str, plan: Path, environ: Mapping[str, str], seconds: float = SECONDS) -> bytes:
    """Its JSON of the plan in `plan`, a document of `terraform show -json`. Raises NoEstimate."""
    command = (path, "breakdown", "--path", str(plan), "--format", "json", "--no-color")
    try:
        said = programs.ask(command, seconds=seconds, environ={**environ, **QUIET})
    except OSError as error:
        raise NoEstimate("infracost cannot be started.", cause=str(error)) from error
    except programs.Unheard as error:
        raise NoEstimate(f"infracost did not answer within {seconds:g} s.", cause=str(error)) from None
    if said.code:
        words = " ".join((said.errors or said.output).decode(errors="replace").split())
        raise NoEstimate(f"infracost ended with code {said.code}.", cause=words[:_WORDS])
    return said.output


def parse(document: bytes) -> Estimate:
    """What its JSON says. Raises NoEstimate where it prices nothing, or is not its JSON."""
    try:
        read = json.loads(document)
        monthly = _amount(read, "diffTotalMonthlyCost")
        if monthly is None:
            after, before = _amount(read, "totalMonthlyCost"), _amount(read, "pastTotalMonthlyCost")
            monthly = None if after is None and before is None else (after or 0.0) - (before or 0.0)
        currency = str(read.get("currency") or "USD")
    except (ValueError, TypeError, AttributeError) as error:
        raise NoEstimate("infracost's answer is not understood.", cause=str(error)) from error
    if monthly is None:
        raise NoEstimate("infracost knows no price of anything in this plan.")
    return Estimate(monthly, currency)


def _amount(read: Mapping[str, Any], key: str) -> float | None:
    """Decimals come as text, and null where nothing was priced."""
    value = read.get(key)
    return None if value is None else float(value)
