"""How Sphinx builds these pages: `make docs`."""

from infraconsole import __version__

project = "infraconsole"
author = "The infraconsole authors"
release = version = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_build", "screenshots"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_title = f"infraconsole {version}"
nitpicky = True
