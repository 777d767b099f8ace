"""The environment variables of Terraform's processes. Apart from running them, since it is here that the operator's own
shell could change what an approved command does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_LOGS = ("TF_LOG", "TF_LOG_CORE", "TF_LOG_PROVIDER", "TF_LOG_PATH")
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


def environment(
    base: Mapping[str, str],
    *,
    data_dir: Path | None = None,
    profile: str | None = None,
    region: str | None = None,
    keep_logs: bool = False,
) -> dict[str, str]:
    """`base` (usually os.environ) for a Terraform process that nobody sits at.

    `data_dir` becomes TF_DATA_DIR; `profile` and `region` are the target's, as the AWS calls of the console use them.
    `keep_logs` leaves TF_LOG and its like. TF_VAR_… and the CLI configuration stay as they are.
    """
    found = {name: value for name, value in base.items() if not _dropped(name, keep_logs)}
    found |= {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    if data_dir:
        found["TF_DATA_DIR"] = str(data_dir)
    if profile:
        # Go's AWS library prefers keys in the environment to AWS_PROFILE: they may belong to another account.
        for name in _KEYS:
            found.pop(name, None)
        found.pop("AWS_DEFAULT_PROFILE", None)
        found["AWS_PROFILE"] = profile
    if region:
        found |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    return found


def _dropped(name: str, keep_logs: bool) -> bool:
    """TF_CLI_ARGS adds arguments to commands behind everybody's back: `-auto-approve`, `-lock=false`, another `-state`.
    TF_WORKSPACE means another state than the one that was looked at."""
    return (
        name.startswith("TF_CLI_ARGS") or name in ("TF_DATA_DIR", "TF_WORKSPACE") or (name in _LOGS and not keep_logs)
    )
