"""Run by `make package` in a clean environment: what is linked into the package in the repository must be in the wheel."""

from importlib import resources

from infraconsole.engine.catalogue import runbooks

assets = resources.files("infraconsole") / "assets"
assert (assets / "console.tcss").read_text(), "the stylesheet is missing"
assert any(entry.name == "world" for entry in assets.iterdir()), "the world's data are missing"
assert [runbook.name for runbook in runbooks()], "the runbooks are missing"

import infraconsole.screens  # noqa: E402

assert infraconsole.screens.__doc__
