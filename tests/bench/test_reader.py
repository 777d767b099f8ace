"""Reading Terraform: the first time, in processes of their own, against once more when nothing has changed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from infraconsole.terraform.reader import read_tree
from tests.bench.conftest import Figures, median_seconds, percentile, seconds

pytestmark = pytest.mark.bench

FILES = 200
MODULE = """
resource "aws_ssm_parameter" "parameter_{n}" {{
  name        = "/shared/module/${{var.environment}}/value-{n}"
  description = "Value {n} for whoever needs it"
  type        = "String"
  value       = aws_thing.thing_{n}.id

  tags = merge(local.required_tags, {{ Name = "value-{n}-export", Component = "bench" }})
}}

data "aws_ssm_parameter" "other_{n}" {{
  name = "/shared/module/other-{n}"
}}

resource "aws_iam_policy" "policy_{n}" {{
  name = "${{local.name_prefix}}-{n}"
  policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [
      {{ Effect = "Allow", Action = ["kms:Decrypt"], Resource = data.aws_ssm_parameter.other_{n}.value }},
      {{ Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${{module.bucket.arn}}/*"] }},
    ]
  }})
}}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(FILES):
        folder = tmp_path / "terraform" / f"module-{number // 10}"
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(MODULE.format(n=f"{number}_{part}") for part in range(2))
        (folder / f"file-{number}.tf").write_text(text)
    return tmp_path / "terraform"


def test_reading_again_what_has_not_changed(figures: Figures, tree: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = seconds(lambda: read_tree(tree, cache))
    assert len(read_tree(tree, cache).files) == FILES
    again = median_seconds(lambda: read_tree(tree, cache))
    figures.add(
        f"terraform: {FILES} files read again unchanged, of the first reading",
        f"{again / first:.3f} ×",
        "0.1 ×",
        f"{again * 1000:.0f} ms against {first:.2f} s",
    )
    assert again <= 0.1 * first


def test_a_view_is_not_held_up_by_a_reading(figures: Figures, tree: Path, tmp_path: Path) -> None:
    """What another thread of this process notices: python-hcl2 works elsewhere, so only small pieces of the reading are here."""
    reading = threading.Thread(target=read_tree, args=(tree, tmp_path / "cache"))
    late = []
    reading.start()
    while reading.is_alive():
        began = time.perf_counter()
        time.sleep(0.005)
        late.append(time.perf_counter() - began - 0.005)
    reading.join()
    worst = percentile(late, 99)
    figures.add(
        f"terraform: {FILES} files read the first time, delay of a frame meanwhile (p99)",
        f"{worst * 1000:.1f} ms",
        "50 ms",
        f"worst {max(late) * 1000:.0f} ms",
    )
    assert worst < 0.05
