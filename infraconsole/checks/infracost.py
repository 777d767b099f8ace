"""What a plan costs according to infracost, where an operator has it: beside the guide's table, which knows few prices.

The fields are those of its JSON output (infracost.io/docs/features/json_output_format): amounts are decimal text, a month's.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECONDS = 30.0
"""It asks its pricing service over the network."""


@dataclass(frozen=True)
class Estimate:
    """A month's, in `currency`; None where it says nothing. `problem` is why there is none at all."""

    difference: float | None = None
    total: float | None = None
    currency: str = "USD"
    problem: str = ""

    def words(self) -> str:
        if self.problem:
            return f"infracost: {self.problem}"
        if self.difference is None:
            return "infracost does not say what it costs."
        total = f", {self.total:,.2f} in all" if self.total is not None else ""
        return f"infracost: {self.difference:+,.2f} {self.currency} a month{total}."


def ask(plan: Path, environ: Mapping[str, str], seconds: float = SECONDS) -> tuple[Estimate, bytes] | None:
    """What it says of the document of `terraform show -json`, and its own JSON; None where it is not installed."""
    import sh

    path = shutil.which("infracost", path=environ.get("PATH", os.defpath))
    if path is None:
        return None
    try:
        said = str(
            sh.Command(path)(
                *("breakdown", "--path", str(plan), "--format", "json", "--no-color"),
                _env={**environ, "INFRACOST_SKIP_UPDATE_CHECK": "true"},
                _timeout=seconds,
                _tty_out=False,
                _in="",
                _new_session=True,
                _return_cmd=False,
            )
        ).encode()
    except sh.TimeoutException:
        return Estimate(problem=f"it did not answer within {seconds:g} s."), b""
    except sh.ErrorReturnCode as error:
        words = bytes(error.stderr or error.stdout).decode(errors="replace").split()
        return Estimate(problem=f"it ended with code {error.exit_code}: {' '.join(words)[-200:]}"), b""
    except (OSError, sh.ForkException) as error:
        return Estimate(problem=f"it cannot be started: {error}"), b""
    return parse(said), said


def parse(said: bytes) -> Estimate:
    try:
        document = json.loads(said)
        difference, total = (_amount(document.get(name)) for name in ("diffTotalMonthlyCost", "totalMonthlyCost"))
        return Estimate(difference, total, str(document.get("currency") or "USD"))
    except (ValueError, AttributeError, TypeError):
        return Estimate(problem="what it said is not understood.")


def _amount(value: object) -> float | None:
    return float(value) if isinstance(value, str | int | float) and value != "" else None
