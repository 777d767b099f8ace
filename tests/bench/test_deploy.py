"""A whole deploy against the same raw Terraform commands, with the real AWS provider on the embedded world, in turns.

Only where INFRACONSOLE_PROVIDER_MIRROR names a mirror with the provider. What the console does besides, before and after
(exports, locks, the rollout and its health), is told apart from what it adds to the commands themselves.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from infraconsole.world.company import load
from tests.bench.conftest import Figures
from tests.world.conftest import worlds

MIRROR = os.environ.get("INFRACONSOLE_PROVIDER_MIRROR", "")
pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not MIRROR, reason="INFRACONSOLE_PROVIDER_MIRROR names no mirror with the AWS provider"),
]
STEPS = ("init", "validate", "plan", "read-plan", "apply")


def test_a_whole_deploy(figures: Figures, tmp_path: Path) -> None:
    company = load()
    tags = [company.tag("fileflow", "dev", build) for build in (6, 8, 6, 8)]
    ours, steps, raw = [], [], []
    with worlds(tmp_path) as make:
        world = make("healthy", 120.0)
        environ = world.applied()
        (tmp_path / "tfrc").write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{MIRROR}"\n  }}\n}}\n'
        )
        environ["TF_CLI_CONFIG_FILE"] = str(tmp_path / "tfrc")
        root = world.dir / "repos/fileflow/infrastructure/terraform"
        for attempt, tag in enumerate(tags):
            if attempt % 2:
                began = time.perf_counter()
                raw_deploy(root, environ, tag)
                raw.append(time.perf_counter() - began)
            else:
                began = time.perf_counter()
                steps.append(our_deploy(environ, tag))
                ours.append(time.perf_counter() - began)
    whole = statistics.median(ours) / statistics.median(raw)
    commands = statistics.median(steps) / statistics.median(raw)
    figures.add(
        "the Terraform steps of a deploy, against the same raw commands",
        f"{commands:.2f} ×",
        "at most 1.05 ×",
        f"medians: {statistics.median(steps):.1f} s against {statistics.median(raw):.1f} s (init, validate, plan, show, apply)",
    )
    figures.add(
        "a whole deploy, its checks and the watched rollout included, against the raw commands",
        f"{whole:.2f} ×",
        "–",
        f"medians: {statistics.median(ours):.1f} s against {statistics.median(raw):.1f} s, which watch nothing",
    )


def our_deploy(environ: dict[str, str], tag: str) -> float:
    """Seconds that the Terraform steps took."""
    done = subprocess.run(
        (
            *(sys.executable, "-m", "infraconsole", "run", "deploy", "--service", "fileflow", "--env", "dev", "--json"),
            *("--set", f"image_tag={tag}", "--answer", "confirm=yes"),
        ),
        env=environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    at = {(event["kind"], event["step"]): datetime.fromisoformat(event["at"]) for event in events}
    spans = [at[("step-finished", step)] - at[("step-started", step)] for step in STEPS]
    return sum(span.total_seconds() for span in spans)


def raw_deploy(root: Path, environ: dict[str, str], tag: str) -> None:
    environ = {**environ, "TF_DATA_DIR": str(root.parent / "raw-data"), "TF_IN_AUTOMATION": "1"}
    plan = root.parent / "raw.tfplan"
    backend = {
        "bucket": "ryuqqq-dev-tfstate",
        "key": "fileflow/terraform.tfstate",
        "region": environ.get("AWS_REGION", "ap-northeast-2"),
        "dynamodb_table": "terraform-lock",
        "use_path_style": "true",
    }
    for command in (
        ("init", "-input=false", "-reconfigure", *(f"-backend-config={key}={value}" for key, value in backend.items())),
        ("validate",),
        (
            "plan",
            "-input=false",
            "-var-file=environments/dev/terraform.tfvars",
            f"-var=image_tag={tag}",
            f"-out={plan}",
        ),
        ("show", "-json", str(plan)),
        ("apply", "-input=false", str(plan)),
    ):
        done = subprocess.run(
            ("terraform", *command), cwd=root, env=environ, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
