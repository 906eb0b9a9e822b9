"""How Sphinx builds the documentation: `make docs`."""

from importlib.metadata import version as installed_version

project = "Huey"
author = "The Huey 4 authors"
copyright = "2026, The Huey 4 authors"
version = release = installed_version("huey")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = False  # annotations name types of optional drivers, which have no page here

html_theme = "furo"
html_title = f"Huey {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autoclass_content = "class"
